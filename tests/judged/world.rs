//! The machine of the random policies as a network namespace, and a second one at the other end of its links. Nothing that
//! is sent ever arrives: a table of the test's own counts what the policy lets pass, and drops it, so that conntrack never
//! holds a connection and every packet is the first of its own.

use super::counters::Counters;
use super::random::{CONNECTED, INTERFACES, OWN_V4, OWN_V6, UIDS};
use super::wire::{HOP_LIMIT, octets};
use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, unshare};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6, bind, send, sendto,
    setsockopt, socket, sockopt,
};
use nix::unistd::{Pid, gettid, setfsuid};
use portgrave::model::Packet;
use portgrave::types::{Direction, Family};
use std::collections::BTreeMap;
use std::io::Write;
use std::net::{IpAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Only a broken test ever waits that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A packet that has not come to its hook by now was lost before: the queue of packets of a CPU is one for all namespaces, and
/// full where others flood it.
const LOST: Duration = Duration::from_secs(3);

/// The last octet of the link addresses of an interface: here, and (with the highest bit) at the other end.
const FAR: u8 = 0x80;

pub struct World {
    counters: Counters,
    /// The other ends of the links, by interface.
    links: BTreeMap<&'static str, OwnedFd>,
    /// Who sends through which interface.
    senders: BTreeMap<(u32, &'static str, Family), OwnedFd>,
    /// Users that exist here: in the namespace of an ordinary user there is one alone.
    pub uids: Vec<u32>,
}

impl World {
    pub fn new() -> Self {
        stay_on_one_cpu();
        for (key, value) in [
            ("ipv4/conf/default/rp_filter", "0"),
            ("ipv4/conf/all/rp_filter", "0"),
            ("ipv4/icmp_ratemask", "0"),
            ("ipv6/icmp/ratelimit", "0"),
            ("ipv6/conf/default/accept_dad", "0"),
            ("ipv6/conf/default/router_solicitations", "0"),
        ] {
            sysctl(key, value);
        }
        let links = links();
        ip(&addresses());
        nft(&watching());
        let uids = uids();
        let senders = senders(&uids);
        Self { counters: Counters::new(), links, senders, uids }
    }

    /// The counters are others now.
    pub fn restart(&mut self) {
        self.counters.restart();
    }

    /// Sends a packet, and tells which counters have moved by it. The kernel works a packet off on this CPU, on which this
    /// thread stays, before the thread goes on: once the packet was seen at its hook, it is at its end.
    pub fn send(&mut self, packet: &Packet) -> BTreeMap<String, u64> {
        self.send_once(packet);
        let seen = format!("{}.seen", packet.direction.as_str());
        let (start, mut last) = (Instant::now(), Instant::now());
        let mut moved = self.counters.moved();
        while !moved.contains_key(&seen) {
            assert!(start.elapsed() < PATIENCE, "{packet:?} never came to its hook");
            if last.elapsed() > LOST {
                self.send_once(packet);
                last = Instant::now();
            }
            for (name, packets) in self.counters.moved() {
                *moved.entry(name).or_default() += packets;
            }
        }
        moved
    }

    fn send_once(&mut self, packet: &Packet) {
        let octets = octets(packet);
        let interface = packet.interface.as_deref().expect("a packet that is sent has an interface");
        match packet.direction {
            Direction::In => self.send_in(interface, packet, &octets),
            Direction::Out => self.send_out(interface, packet, &octets),
        }
    }

    fn send_in(&self, interface: &str, packet: &Packet, octets: &[u8]) {
        let number = link_number(interface);
        let kind: [u8; 2] = if packet.peer.is_ipv4() { [8, 0] } else { [0x86, 0xdd] };
        let mut frame = [link_address(number), link_address(number | FAR)].concat();
        frame.extend_from_slice(&kind);
        frame.extend_from_slice(octets);
        let sent = send(self.links[interface].as_raw_fd(), &frame, MsgFlags::empty());
        assert_eq!(sent, Ok(frame.len()), "{packet:?}");
    }

    /// A packet that is dropped is an error to its sender.
    fn send_out(&self, interface: &str, packet: &Packet, octets: &[u8]) {
        let uid = packet.user.expect("a packet that is sent has a sender");
        let key = (uid, known_interface(interface), Family::of(packet.peer));
        let sender = self.senders.get(&key).unwrap_or_else(|| panic!("{packet:?} has no sender"));
        let fd = sender.as_raw_fd();
        let sent = match packet.peer {
            IpAddr::V4(to) => {
                sendto(fd, octets, &SockaddrIn::from(SocketAddrV4::new(to, 0)), MsgFlags::empty())
            }
            IpAddr::V6(to) => {
                sendto(fd, octets, &SockaddrIn6::from(SocketAddrV6::new(to, 0, 0, 0)), MsgFlags::empty())
            }
        };
        let refused =
            [nix::errno::Errno::EPERM, nix::errno::Errno::ECONNREFUSED, nix::errno::Errno::EHOSTUNREACH];
        assert!(
            sent.is_ok_and(|sent| sent == octets.len()) || sent.is_err_and(|e| refused.contains(&e)),
            "{packet:?}: {sent:?}"
        );
    }
}

/// What is sent to a link is worked off on the CPU that sends it.
fn stay_on_one_cpu() {
    let allowed = sched_getaffinity(Pid::from_raw(0)).expect("the CPUs of this thread");
    let cpus: Vec<usize> = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false)).collect();
    let mut one = CpuSet::new();
    one.set(cpus[std::process::id() as usize % cpus.len()]).expect("a CPU of this machine");
    sched_setaffinity(Pid::from_raw(0), &one).expect("to stay on a CPU");
}

fn sysctl(key: &str, value: &str) {
    let path = format!("/proc/sys/net/{key}");
    std::fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
}

/// Runs lines of `ip -batch`.
fn ip(batch: &str) {
    feed(Command::new("ip").args(["-batch", "-"]), batch);
}

fn nft(text: &str) {
    feed(Command::new("nft").args(["-f", "-"]), text);
}

fn feed(command: &mut Command, text: &str) {
    let mut child =
        command.stdin(Stdio::piped()).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("the program reads");
    assert!(child.wait().expect("the program ends").success(), "{command:?}\n{text}");
}

fn known_interface(interface: &str) -> &'static str {
    INTERFACES.into_iter().find(|known| *known == interface).expect("a known interface")
}

fn link_number(interface: &str) -> u8 {
    let index = INTERFACES.iter().position(|known| *known == interface).expect("a known interface");
    u8::try_from(index + 1).expect("few interfaces")
}

fn link_address(number: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, number]
}

fn link_text(number: u8) -> String {
    format!("02:00:00:00:00:{number:02x}")
}

/// Makes the links to a second namespace, which says nothing by itself, and a socket at the far end of each.
fn links() -> BTreeMap<&'static str, OwnedFd> {
    let (say, hear) = mpsc::channel();
    let (go, wait) = mpsc::channel();
    let far = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a namespace for the other ends");
        sysctl("ipv6/conf/default/disable_ipv6", "1");
        say.send(gettid()).expect("somebody listens");
        wait.recv().expect("the links are made");
        for interface in INTERFACES {
            ip(&format!("link set {interface} up\n"));
        }
        INTERFACES.map(|interface| (interface, link_socket(interface)))
    });
    let thread = hear.recv().expect("the other namespace");
    let mut batch = String::from("link set lo up\n");
    for interface in INTERFACES {
        let number = link_number(interface);
        batch.push_str(&format!(
            "link add {interface} address {near} type veth peer name {interface} address {far} \
             netns /proc/{process}/task/{thread}/ns/net\n",
            near = link_text(number),
            far = link_text(number | FAR),
            process = std::process::id(),
        ));
    }
    ip(&batch);
    go.send(()).expect("somebody waits");
    far.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).into()
}

fn link_socket(interface: &str) -> OwnedFd {
    let socket =
        socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None).expect("a packet socket");
    let mut all = nix::ifaddrs::getifaddrs().expect("the interfaces");
    let link = all
        .find_map(|entry| {
            let address = entry.address.filter(|_| entry.interface_name == interface)?;
            address.as_link_addr().copied()
        })
        .unwrap_or_else(|| panic!("no {interface}"));
    bind(socket.as_raw_fd(), &link).expect("a packet socket is bound");
    socket
}

/// Every interface leads everywhere; the first has the networks that hosts stand in.
fn addresses() -> String {
    let mut batch = String::new();
    for (metric, interface) in INTERFACES.iter().enumerate() {
        batch.push_str(&format!("link set {interface} up\n"));
        batch.push_str(&format!("route add default dev {interface} metric {}\n", metric + 1));
        batch.push_str(&format!("route add ::/0 dev {interface} metric {}\n", metric + 1));
    }
    for (own, interface) in OWN_V4.iter().chain(&OWN_V6) {
        let network = CONNECTED.iter().find_map(|network| {
            let (prefix, length) = network.split_once('/')?;
            (own.trim_end_matches('1') == prefix.trim_end_matches('0')).then_some(length)
        });
        let length = network.unwrap_or(if own.contains(':') { "128" } else { "32" });
        let more = if own.contains(':') { "nodad" } else { "brd +" };
        batch.push_str(&format!("addr add {own}/{length} dev {interface} {more}\n"));
    }
    batch
}

/// Counts the test's packets before and after the agent's chains, and drops what is left of them. What an interface says by
/// itself goes nowhere; resets and ICMP errors are counted.
fn watching() -> String {
    let counters: String =
        ["in.seen", "in.passed", "out.seen", "out.passed", "answer.reset", "answer.unreachable"]
            .map(|name| format!("counter {name} {{ }}\n"))
            .concat();
    let ours = |rest: &str| format!("ip ttl {HOP_LIMIT} {rest}\nip6 hoplimit {HOP_LIMIT} {rest}\n");
    let chain = |direction: &str, hook: &str| {
        let replies = if direction == "out" {
            "meta l4proto tcp tcp flags & rst == rst ip ttl != 77 counter name answer.reset drop
             meta l4proto tcp tcp flags & rst == rst ip6 hoplimit != 77 counter name answer.reset drop
             ip ttl != 77 icmp type destination-unreachable icmp code port-unreachable counter name answer.unreachable drop
             ip6 hoplimit != 77 icmpv6 type destination-unreachable icmpv6 code port-unreachable counter name answer.unreachable drop\n"
        } else {
            ""
        };
        let noise =
            "ip6 hoplimit != 77 icmpv6 type { 130-137, 143 } drop\nip ttl != 77 ip protocol igmp drop\n";
        format!(
            "chain {direction}.before {{ type filter hook {hook} priority -150;\n{noise}{}}}\n\
             chain {direction}.after {{ type filter hook {hook} priority 100;\n{replies}{}drop\n}}\n",
            ours(&format!("counter name {direction}.seen")),
            ours(&format!("counter name {direction}.passed")),
        )
    };
    format!("table inet watching {{\n{counters}{}{}}}\n", chain("in", "input"), chain("out", "output"))
}

fn uids() -> Vec<u32> {
    let map = std::fs::read_to_string("/proc/self/uid_map").expect("/proc is mounted");
    let mapped = |uid: &u32| {
        map.lines().any(|line| {
            let numbers: Vec<u64> =
                line.split_whitespace().map(|word| word.parse().expect("a number")).collect();
            (numbers[0]..numbers[0] + numbers[2]).contains(&u64::from(*uid))
        })
    };
    UIDS.into_iter().filter(mapped).collect()
}

fn senders(uids: &[u32]) -> BTreeMap<(u32, &'static str, Family), OwnedFd> {
    let mut senders = BTreeMap::new();
    for uid in uids {
        for interface in INTERFACES {
            for family in Family::BOTH {
                senders.insert((*uid, interface, family), sender(*uid, interface, family));
            }
        }
    }
    senders
}

/// A socket for whole packets, of a user, bound to an interface. The kernel knows who made a socket.
fn sender(uid: u32, interface: &str, family: Family) -> OwnedFd {
    let of = match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    };
    let before = setfsuid(uid.into());
    let socket = socket(of, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw).expect("a raw socket");
    setfsuid(before);
    setsockopt(&socket, sockopt::BindToDevice, &interface.into())
        .expect("a socket is bound to its interface");
    setsockopt(&socket, sockopt::Broadcast, &true).expect("a socket may send to everybody");
    socket
}
