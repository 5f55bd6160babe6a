//! A gateway and a peer on one link, and ways to put any packet on it.

use super::packet::Packet;
use super::rig::{Agent, Counters, Family, Ns};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, send, sendto,
    setsockopt, socket, sockopt,
};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::process::Command;

const GW_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const PEER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
pub const GW_LINK_LOCAL: &str = "fe80::1";
pub const PEER_LINK_LOCAL: &str = "fe80::2";

pub struct Lab {
    pub gw: Ns,
    pub peer: Ns,
    pub agent: Agent,
    _dir: tempfile::TempDir,
}

pub fn gw(family: Family) -> IpAddr {
    address(family, 1)
}

pub fn peer(family: Family) -> IpAddr {
    address(family, 2)
}

/// An address on the link that nobody has.
pub fn nobody(family: Family) -> IpAddr {
    address(family, 3)
}

fn address(family: Family, host: u8) -> IpAddr {
    match family {
        Family::V4 => IpAddr::from([10, 77, 0, host]),
        Family::V6 => format!("2001:db8:77::{host}").parse().expect("an address"),
    }
}

impl Lab {
    /// The two ends know each other's link-layer addresses for good, and the peer speaks only when a test makes it.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("portgrave-baseline-").tempdir().expect("a directory");
        let servers = Family::BOTH.map(|family| format!("\"{}\"", peer(family)));
        let agent = Agent::at(dir.path(), &format!("[resolver]\nservers = [{}]\n", servers.join(", ")));
        let lab = Self { gw: Ns::new("gw"), peer: Ns::new("peer"), agent, _dir: dir };
        lab.link("up0");
        let ends = [(&lab.gw, 1, GW_LINK_LOCAL, 2, PEER_MAC), (&lab.peer, 2, PEER_LINK_LOCAL, 1, GW_MAC)];
        for (ns, own, link_local, other, mac) in ends {
            ns.ip(&format!(
                "addr add {}/24 brd + dev up0\naddr add {}/64 dev up0 nodad\naddr add {link_local}/64 dev up0 nodad\n\
                 route add default dev up0\n",
                address(Family::V4, own),
                address(Family::V6, own),
            ));
            for address in [
                address(Family::V4, other),
                address(Family::V6, other),
                format!("fe80::{other}").parse().unwrap(),
            ] {
                ns.ip(&format!("neigh add {address} lladdr {} dev up0 nud permanent\n", written(mac)));
            }
        }
        lab.peer.nft(
            "table inet quiet { chain out { type filter hook output priority 0; policy accept;\n\
             icmpv6 type { 1, 130, 131, 132, 143 } drop; ip protocol igmp drop; icmp type 3 drop;\n\
             tcp flags rst drop; }\n}\n",
        );
        lab
    }

    /// A link between the two, of this name at the gateway.
    pub fn link(&self, name: &str) {
        let index = self.links();
        let (gw_mac, peer_mac) =
            if name == "up0" { (GW_MAC, PEER_MAC) } else { (mac(1, index), mac(2, index)) };
        self.gw.ip(&format!(
            "link add {name} address {} type veth peer name {name} address {} netns peer\n\
             link set {name} addrgenmode none\nlink set {name} up\n",
            written(gw_mac),
            written(peer_mac),
        ));
        self.peer.ip(&format!("link set {name} addrgenmode none\nlink set {name} up\n"));
    }

    /// Gives the gateway a neighbour: it never asks for it, and never finds that it is not there.
    pub fn knows(&self, address: IpAddr, link: &str) {
        self.gw.ip(&format!("neigh add {address} lladdr {} dev {link} nud permanent\n", written(PEER_MAC)));
    }

    fn links(&self) -> u8 {
        let text = self.gw.stdout(Command::new("ip").args(["-o", "link"]));
        u8::try_from(text.lines().count()).expect("few links")
    }

    /// Applies a policy, given without its first line, and returns what was printed.
    pub fn apply(&self, policy: &str) -> String {
        let path = self.agent.policy("policy", &format!("language = 1\n\n{policy}"));
        self.agent.apply(&self.gw, &[&path])
    }

    /// Puts a packet on the link, from the peer's end.
    pub fn wire(&self, packet: &Packet) {
        self.wire_all("up0", std::slice::from_ref(packet));
    }

    pub fn wire_all(&self, link: &str, packets: &[Packet]) {
        let gateway = self.mac(link);
        self.peer.enter(|| {
            let raw = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)
                .expect("a packet socket");
            bind(raw.as_raw_fd(), &link_address(link)).expect("a packet socket of the link");
            for packet in packets {
                let frame = frame(packet, gateway);
                let sent = send(raw.as_raw_fd(), &frame, MsgFlags::empty()).expect("a frame goes out");
                assert_eq!(sent, frame.len());
            }
        });
    }

    /// Sends a packet as the gateway's own, through its output hook.
    pub fn emit(&self, packet: &Packet) {
        self.emit_all("up0", std::slice::from_ref(packet));
    }

    pub fn emit_all(&self, link: &str, packets: &[Packet]) {
        self.gw.enter(|| {
            for family in [AddressFamily::Inet, AddressFamily::Inet6] {
                let raw = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw)
                    .expect("a raw socket");
                setsockopt(&raw, sockopt::Broadcast, &true).expect("a socket option");
                setsockopt(&raw, sockopt::BindToDevice, &link.into()).expect("a socket option");
                let own = |packet: &&Packet| packet.from.is_ipv4() == (family == AddressFamily::Inet);
                for packet in packets.iter().filter(own) {
                    let to = SockaddrStorage::from(scoped(packet.to, link));
                    // What is dropped on its way out gives EPERM; the counters decide.
                    let _ = sendto(raw.as_raw_fd(), &packet.bytes, &to, MsgFlags::empty());
                }
            }
        });
    }

    pub fn counters(&self) -> Counters {
        Counters::read(&self.gw)
    }

    /// Takes the rules that speak of `word` out of a chain of the agent's.
    pub fn take_out(&self, chain: &str, word: &str) {
        let handles = self.handles(chain, word);
        let delete = |handle| format!("delete rule inet portgrave {chain} handle {handle}\n");
        self.gw.nft(&handles.into_iter().map(delete).collect::<String>());
    }

    /// Puts a rule in the place of the one that speaks of `word`.
    pub fn replace(&self, chain: &str, word: &str, rule: &str) {
        let handles = self.handles(chain, word);
        assert_eq!(handles.len(), 1, "one rule of {chain} speaks of {word}");
        self.gw.nft(&format!("replace rule inet portgrave {chain} handle {} {rule}\n", handles[0]));
    }

    fn handles(&self, chain: &str, word: &str) -> Vec<String> {
        let listing = self.gw.nft_list(&["-a", "list", "chain", "inet", "portgrave", chain]);
        let rules = listing.lines().filter(|line| line.contains(word));
        let handles: Vec<String> =
            rules.filter_map(|line| Some(line.rsplit_once("# handle ")?.1.to_owned())).collect();
        assert!(!handles.is_empty(), "no rule of {chain} speaks of {word}\n{listing}");
        handles
    }

    fn mac(&self, link: &str) -> [u8; 6] {
        self.gw.enter(|| link_address(link).addr().expect("a hardware address"))
    }
}

fn frame(packet: &Packet, gateway: [u8; 6]) -> Vec<u8> {
    let mut frame = hardware_address(packet.to, gateway).to_vec();
    frame.extend(PEER_MAC);
    frame.extend(if packet.from.is_ipv4() { [0x08, 0x00] } else { [0x86, 0xdd] });
    frame.extend(&packet.bytes);
    frame
}

fn scoped(to: IpAddr, link: &str) -> SocketAddr {
    match to {
        IpAddr::V4(_) => SocketAddr::new(to, 0),
        IpAddr::V6(to) => SocketAddrV6::new(to, 0, 0, if_nametoindex(link).expect("a link")).into(),
    }
}

/// The hardware address that a packet goes to.
fn hardware_address(to: IpAddr, gateway: [u8; 6]) -> [u8; 6] {
    match to {
        IpAddr::V4(to) if to.is_broadcast() => [0xff; 6],
        IpAddr::V4(to) if to.is_multicast() => {
            let [_, b, c, d] = to.octets();
            [0x01, 0x00, 0x5e, b & 0x7f, c, d]
        }
        IpAddr::V6(to) if to.is_multicast() => {
            let [.., a, b, c, d] = to.octets();
            [0x33, 0x33, a, b, c, d]
        }
        IpAddr::V4(_) | IpAddr::V6(_) => gateway,
    }
}

fn link_address(link: &str) -> LinkAddr {
    let all = getifaddrs().expect("the addresses of the namespace");
    let of_link = all.filter(|entry| entry.interface_name == link);
    let addresses = of_link.filter_map(|entry| entry.address);
    let mut links = addresses.filter_map(|address| address.as_link_addr().copied());
    links.next().unwrap_or_else(|| panic!("no link {link} here"))
}

fn mac(end: u8, index: u8) -> [u8; 6] {
    [2, 0, 0, 0, index, end]
}

fn written(mac: [u8; 6]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}
