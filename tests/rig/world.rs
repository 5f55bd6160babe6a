//! The gateway and what is around it.
//!
//! ```text
//!   peer ──┐                        peer: allowed peers, every name and every group at an address of its own
//!   other ─┼─ router ── gw          other: a stranger
//!   dns ───┘                        dns: the server that answers for the policy's names
//!
//!   gw, peer and other also share a network of their own (lan0), for broadcasts
//! ```
//! What names resolve to is not in the gateway's connected networks, and looks public: the agent refuses other answers.

use super::counters::{observer_of_gateway, observer_of_peer};
use super::ftp::FtpRole;
use super::isolate::replace_file;
use super::{Ns, Process, names};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    Gw,
    Peer,
    Other,
    Dns,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

pub struct World {
    pub gw: Ns,
    pub peer: Ns,
    pub other: Ns,
    pub dns: Ns,
    pub router: Ns,
    pub dir: tempfile::TempDir,
    name_server: Option<Process>,
}

/// The network that gateway, peer and other share.
pub const LAN_BROADCAST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 88, 0, 255));

/// Groups of the shipped policy that a site fills in, in the order of their addresses.
pub const GROUPS: [&str; 12] = [
    "admins",
    "dns-servers",
    "ftp-servers",
    "sftp-servers",
    "livefeed-servers",
    "domain-controllers",
    "snmp-peers",
    "ldap-servers",
    "key-servers",
    "ksn-servers",
    "syslog-servers",
    "peer-gateways",
];

impl World {
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("portgrave-rig-").tempdir().expect("a temporary directory");
        let world = Self {
            gw: Ns::new("gw"),
            peer: Ns::new("peer"),
            other: Ns::new("other"),
            dns: Ns::new("dns"),
            router: Ns::new("router"),
            dir,
            name_server: None,
        };
        world.router.sysctl("ipv4/ip_forward", "1");
        world.router.sysctl("ipv6/conf/all/forwarding", "1");
        world.router.ip("link add br0 type bridge\nlink set br0 up\n");
        for (host, net, lan) in
            [(Host::Gw, 1, 1), (Host::Peer, 10, 2), (Host::Other, 20, 3), (Host::Dns, 53, 0)]
        {
            world.connect(host, net);
            if lan > 0 {
                world.join_lan(host, lan);
            }
        }
        world.add_peer_addresses();
        world.observe();
        replace_file("/etc/resolv.conf", &format!("nameserver {}\n", address(Host::Dns, Family::V4)));
        world
    }

    pub fn ns(&self, host: Host) -> &Ns {
        match host {
            Host::Gw => &self.gw,
            Host::Peer => &self.peer,
            Host::Other => &self.other,
            Host::Dns => &self.dns,
        }
    }

    /// Starts the real DNS server: every name of the port table, at both families.
    pub fn serve_names(&mut self) {
        let mut command = Command::new("dnsmasq");
        command.args(["--no-daemon", "--no-resolv", "--no-hosts", "--no-ping", "--conf-file=/dev/null"]);
        command.args(["--bind-interfaces", "--local-ttl=300", "--log-queries", "--pid-file="]);
        for family in Family::BOTH {
            command.arg(format!("--listen-address={}", address(Host::Dns, family)));
        }
        for name in names() {
            let (v4, v6) = (name_address(name, Family::V4), name_address(name, Family::V6));
            command.arg(format!("--host-record={name},{v4},{v6}"));
        }
        let log = self.dir.path().join("dnsmasq.log");
        let server =
            self.dns.serve(&mut command, log, || self.dns.listens("udp", 53) && self.dns.listens("tcp", 53));
        self.name_server = Some(server);
    }

    /// Makes an address of the peer's the one that its clients come from, where they do not choose.
    pub fn speak_from(&self, address: IpAddr) {
        let route = match Family::of(address) {
            Family::V4 => format!("route replace default via 93.184.10.1 src {address}\n"),
            Family::V6 => format!("route replace default via 2606:2800:10::1 dev up0 src {address}\n"),
        };
        self.peer.ip(&route);
    }

    fn connect(&self, host: Host, net: u8) {
        let link = format!("r{net}");
        let ns = self.ns(host);
        self.router.ip(&format!(
            "link add {link} type veth peer name up0 netns {name}\n\
             addr add 93.184.{net}.1/24 dev {link}\n\
             link set {link} up\n\
             addr add 2606:2800:{net}::1/64 dev {link} nodad\n",
            name = ns.name
        ));
        ns.ip(&format!(
            "addr add {v4}/24 brd + dev up0\n\
             link set up0 up\n\
             addr add {v6}/64 dev up0 nodad\n\
             route add default via 93.184.{net}.1\n\
             route add default via 2606:2800:{net}::1 dev up0\n",
            v4 = address(host, Family::V4),
            v6 = address(host, Family::V6),
        ));
    }

    fn join_lan(&self, host: Host, lan: u8) {
        let ns = self.ns(host);
        self.router.ip(&format!(
            "link add b{lan} type veth peer name lan0 netns {}\nlink set b{lan} master br0\nlink set b{lan} up\n",
            ns.name
        ));
        ns.ip(&format!("addr add {}/24 brd + dev lan0\nlink set lan0 up\n", lan_address(host)));
    }

    fn add_peer_addresses(&self) {
        let mut batch = String::new();
        let named =
            names().into_iter().flat_map(|name| Family::BOTH.map(|family| name_address(name, family)));
        let grouped = GROUPS.iter().flat_map(|group| group_members(group));
        for address in named.chain(grouped).filter(|address| *address != lan_address(Host::Peer)) {
            batch.push_str(&format!(
                "addr add {address} dev up0{}\n",
                if address.is_ipv6() { " nodad" } else { "" }
            ));
        }
        let mut routes = String::new();
        for vendor in super::rows_table::VENDOR_ADDRESSES {
            batch.push_str(&format!("addr add {vendor} dev up0\n"));
            routes.push_str(&format!("route add {vendor} via 93.184.10.2\n"));
        }
        self.peer.ip(&batch);
        self.router.ip(&format!(
            "route add 93.184.12.0/23 via 93.184.10.2\n\
             route add 2606:2800:12::/64 via 2606:2800:10::2\n\
             route add 2606:2800:13::/64 via 2606:2800:10::2\n{routes}"
        ));
    }

    /// Counts probes before and after the agent's chains at the gateway, and what arrives at the others.
    fn observe(&self) {
        self.gw.nft(&observer_of_gateway());
        let [v4, v6] = Family::BOTH.map(|family| address(Host::Gw, family));
        let observer = observer_of_peer(&[v4, v6, lan_address(Host::Gw)]);
        self.peer.nft(&observer);
        self.other.nft(&observer);
    }
}

/// A host's own address.
pub fn address(host: Host, family: Family) -> IpAddr {
    let net = match host {
        Host::Gw => (1, 2),
        Host::Peer => (10, 2),
        Host::Other => (20, 2),
        Host::Dns => (53, 53),
    };
    numbered(family, net.0, net.1)
}

/// A host's address on the shared network.
pub fn lan_address(host: Host) -> IpAddr {
    let last = match host {
        Host::Gw => 1,
        Host::Peer => 2,
        Host::Other => 3,
        Host::Dns => panic!("the DNS server is not on the shared network"),
    };
    IpAddr::V4(Ipv4Addr::new(10, 88, 0, last))
}

/// Where the peer has a name of the port table.
pub fn name_address(name: &str, family: Family) -> IpAddr {
    let index =
        names().iter().position(|known| *known == name).unwrap_or_else(|| panic!("unknown name {name}"));
    numbered(family, 12, 10 + u8::try_from(index).expect("fewer than 200 names"))
}

/// Where the peer is a member of a group of the shipped policy.
pub fn group_address(group: &str, family: Family) -> IpAddr {
    let index =
        GROUPS.iter().position(|known| *known == group).unwrap_or_else(|| panic!("unknown group {group}"));
    if group == "peer-gateways" && family == Family::V4 {
        return lan_address(Host::Peer);
    }
    numbered(family, 13, 10 + u8::try_from(index).expect("twelve groups"))
}

/// A peer of FTP rows that is only ever one side of it.
pub fn ftp_address(role: FtpRole, family: Family) -> IpAddr {
    numbered(family, 13, if role == FtpRole::Server { 100 } else { 101 })
}

/// Every address of a group of the shipped policy, as a site fills it in.
pub fn group_members(group: &str) -> Vec<IpAddr> {
    let mut members = Family::BOTH.map(|family| group_address(group, family)).to_vec();
    if group == "ftp-servers" {
        for role in [FtpRole::Server, FtpRole::Client] {
            members.extend(Family::BOTH.map(|family| ftp_address(role, family)));
        }
    }
    members
}

fn numbered(family: Family, net: u8, host: u8) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::new(93, 184, net, host)),
        Family::V6 => {
            format!("2606:2800:{net}::{host}").parse::<Ipv6Addr>().expect("digits are hexadecimal too").into()
        }
    }
}
