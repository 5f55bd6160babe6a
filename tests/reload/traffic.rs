//! A stream of packets through a guarded namespace, each of a kind that is counted before and after the agent's chains.
//!
//! Every packet but those of live flows comes from a port of its own and is taken out behind the agent's chains, before
//! connection tracking confirms it: so each is new, and the table of connections stays empty. A packet's kind is the length
//! of its datagram, which the counting rules look up.

use super::packet::{UDP_HEADER, packet};
use crate::rig::{Counters, Ns, PATIENCE, eventually};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, sendto, socket,
};
use portgrave::types::Direction;
pub use portgrave::types::Family;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Packets in each tick of the sender, half of them forbidden.
const PER_TICK: u64 = 40;
const TICK: Duration = Duration::from_millis(1);

/// Ports that packets come from.
const FRESH_PORTS: std::ops::Range<u16> = 10_000..60_000;
/// Both ends of live flows.
const FLOW_PORT: u16 = 5000;

/// A kind of packet: who sends it where, and what must become of it.
#[derive(Clone, Debug)]
pub struct Kind {
    pub what: &'static str,
    pub allowed: bool,
    pub way: Direction,
    pub peer: IpAddr,
    pub port: u16,
}

impl Kind {
    fn family(&self) -> Family {
        Family::of(self.peer)
    }

    fn is_flow(&self) -> bool {
        self.port == FLOW_PORT
    }
}

/// What became of the packets of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub sent: u64,
    pub before: u64,
    pub after: u64,
}

/// The guarded namespace and its neighbour.
pub struct Wire {
    pub gw: Ns,
    peer: Ns,
    kinds: Vec<Kind>,
    /// Both ends of live flows: while they are open, nobody answers with an error.
    flows: Vec<UdpSocket>,
}

impl Wire {
    pub fn new(kinds: Vec<Kind>) -> Self {
        let wire = Self { gw: Ns::new("gw"), peer: Ns::new("peer"), kinds, flows: Vec::new() };
        wire.gw.ip("link add up0 type veth peer name up0 netns peer\n");
        for (ns, own, other) in [(&wire.gw, 2, 1), (&wire.peer, 1, 2)] {
            ns.ip(&format!(
                "addr add 93.184.1.{own}/24 dev up0\nlink set up0 up\n\
                 addr add 2606:2800:1::{own}/64 dev up0 nodad\n\
                 route add default via 93.184.1.{other}\nroute add default via 2606:2800:1::{other} dev up0\n"
            ));
        }
        wire
    }

    /// Opens a flow each way in each family, which the policy in force must let through, and counts from then on.
    pub fn observe(&mut self) {
        for way in Direction::BOTH {
            for family in Family::BOTH {
                let peer = neighbour(family);
                self.kinds.push(Kind { what: "a live flow", allowed: true, way, peer, port: FLOW_PORT });
                let inside = self.gw.enter(|| bound(own(family), port(way, Direction::In)));
                let outside = self.peer.enter(|| bound(peer, port(way, Direction::Out)));
                let (client, server) = match way {
                    Direction::In => (&outside, &inside),
                    Direction::Out => (&inside, &outside),
                };
                let to = server.local_addr().expect("a bound socket");
                client.send_to(b"open", to).expect("the first datagram of a flow");
                let from = server.recv_from(&mut [0; 8]).expect("it arrives").1;
                server.send_to(b"open", from).expect("the answer");
                client.recv_from(&mut [0; 8]).expect("the answer arrives");
                self.flows.extend([inside, outside]);
            }
        }
        self.gw.nft(&observer(&self.kinds));
    }

    pub fn start(&self) -> Traffic {
        let sockets = [&self.peer, &self.gw].map(|ns| Family::BOTH.map(|family| ns.enter(|| raw(family))));
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            sent: self.kinds.iter().map(|_| AtomicU64::new(0)).collect(),
        });
        let before = (Counters::read(&self.gw), self.dropped_by_wire());
        let (kinds, mine) = (self.kinds.clone(), Arc::clone(&shared));
        let thread = std::thread::spawn(move || send(&kinds, &sockets, &mine));
        Traffic { shared, thread: Some(thread), start: Instant::now(), before }
    }

    /// Waits until every packet that was sent has been seen before the agent's chains or was lost on the wire, and tells what
    /// became of each kind.
    pub fn counts(&self, mut traffic: Traffic) -> Counts {
        let (sent, time) = traffic.finish();
        let (start, lost_before) = &traffic.before;
        let total: u64 = sent.iter().sum();
        eventually(|| {
            let counters = Counters::read(&self.gw);
            let get = |place: &str, kind: usize| {
                let name = format!("{place}-{kind}");
                counters.observed(&name) - start.observed(&name)
            };
            let counts: Vec<Count> = sent
                .iter()
                .enumerate()
                .map(|(kind, sent)| Count {
                    sent: *sent,
                    before: get("before", kind),
                    after: get("after", kind),
                })
                .collect();
            let before: u64 = counts.iter().map(|count| count.before).sum();
            let lost = self.dropped_by_wire() - lost_before;
            let all = before + lost == total;
            let counts = Counts { kinds: self.kinds.clone(), counts, lost, time };
            if all { Ok(counts) } else { Err(format!("{total} sent, {before} came, {lost} lost")) }
        })
    }

    /// Packets that the link dropped because its queue was full.
    fn dropped_by_wire(&self) -> u64 {
        let read = || std::fs::read_to_string("/proc/thread-self/net/dev").expect("/proc is mounted");
        let text = self.peer.enter(read);
        let line = text.lines().find_map(|line| line.trim().strip_prefix("up0:")).expect("the link");
        line.split_whitespace().nth(11).and_then(|field| field.parse().ok()).expect("the field of tx drops")
    }
}

/// What became of everything.
#[derive(Debug)]
pub struct Counts {
    kinds: Vec<Kind>,
    counts: Vec<Count>,
    pub lost: u64,
    pub time: Duration,
}

impl Counts {
    pub fn sent(&self) -> u64 {
        self.counts.iter().map(|count| count.sent).sum()
    }

    /// Allowed packets that did not pass.
    pub fn missing(&self) -> u64 {
        self.of(true).map(|count| count.before - count.after).sum()
    }

    /// Forbidden packets that passed.
    pub fn leaked(&self) -> u64 {
        self.of(false).map(|count| count.after).sum()
    }

    pub fn forbidden_kinds(&self) -> usize {
        self.of(false).count()
    }

    fn of(&self, allowed: bool) -> impl Iterator<Item = &Count> {
        self.kinds
            .iter()
            .zip(&self.counts)
            .filter(move |(kind, _)| kind.allowed == allowed)
            .map(|(_, count)| count)
    }

    /// The kinds that were not judged as they must be.
    pub fn faults(&self) -> Vec<String> {
        let wrong = |(kind, count): (&Kind, &Count)| {
            let right = if kind.allowed { count.after == count.before } else { count.after == 0 };
            (!right || count.before == 0).then(|| {
                let verdict = if kind.allowed { "allowed" } else { "forbidden" };
                let (way, peer) = (kind.way.as_str(), kind.peer);
                format!("{verdict}, {}, {way}, {peer} port {}: {count:?}", kind.what, kind.port)
            })
        };
        self.kinds.iter().zip(&self.counts).filter_map(wrong).collect()
    }

    pub fn summary(&self) -> String {
        let (sent, time) = (self.sent(), self.time.as_secs_f64());
        format!(
            "{sent} packets in {time:.1} s ({:.0}/s), half of them forbidden; {} allowed lost, {} forbidden passed, {} lost on \
             the wire",
            sent as f64 / time,
            self.missing(),
            self.leaked(),
            self.lost
        )
    }
}

/// A sender at work.
pub struct Traffic {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    start: Instant,
    /// The counters, and what the link had dropped, before the first packet.
    before: (Counters, u64),
}

struct Shared {
    stop: AtomicBool,
    sent: Vec<AtomicU64>,
}

impl Traffic {
    pub fn sent(&self) -> u64 {
        self.shared.sent.iter().map(|sent| sent.load(Ordering::Relaxed)).sum()
    }

    /// Waits until so many more packets have been sent.
    pub fn wait_for(&self, more: u64) {
        let (until, start) = (self.sent() + more, Instant::now());
        while self.sent() < until {
            assert!(start.elapsed() < PATIENCE, "the sender has stopped");
            std::thread::sleep(TICK);
        }
    }

    fn finish(&mut self) -> (Vec<u64>, Duration) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it was started");
        thread.join().expect("the sender ends well");
        (self.shared.sent.iter().map(|sent| sent.load(Ordering::Relaxed)).collect(), self.start.elapsed())
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

/// Forbidden and allowed packets in turn, a few every tick.
fn send(kinds: &[Kind], sockets: &[[OwnedFd; 2]; 2], shared: &Shared) {
    let of = |allowed: bool| -> Vec<usize> {
        (0..kinds.len()).filter(|kind| kinds[*kind].allowed == allowed).collect()
    };
    let (forbidden, allowed) = (of(false), of(true));
    let mut ports = FRESH_PORTS.cycle();
    let (mut round, mut next) = (0_usize, Instant::now());
    while !shared.stop.load(Ordering::Relaxed) {
        for _ in 0..PER_TICK / 2 {
            for index in [forbidden[round % forbidden.len()], allowed[round % allowed.len()]] {
                let kind = &kinds[index];
                let from = if kind.is_flow() { FLOW_PORT + 1 } else { ports.next().expect("it repeats") };
                let [inward, outward] = sockets;
                let [v4, v6] = if kind.way == Direction::In { inward } else { outward };
                let socket = if kind.family() == Family::V4 { v4 } else { v6 };
                if send_one(socket, kind, index, from) {
                    shared.sent[index].fetch_add(1, Ordering::Relaxed);
                }
            }
            round += 1;
        }
        next += TICK;
        let now = Instant::now();
        match next.checked_duration_since(now) {
            Some(wait) => std::thread::sleep(wait),
            None => next = next.max(now - 20 * TICK),
        }
    }
}

fn send_one(socket: &OwnedFd, kind: &Kind, index: usize, from: u16) -> bool {
    let (near, far) = (own(kind.family()), kind.peer);
    let (source, target) = if kind.way == Direction::In { (far, near) } else { (near, far) };
    let packet = packet(source, from, target, kind.port, index);
    let to = SockaddrStorage::from(SocketAddr::new(target, 0));
    match sendto(socket.as_raw_fd(), &packet, &to, MsgFlags::empty()) {
        // What is dropped on its way out gives EPERM, by whomever.
        Ok(_) | Err(Errno::EPERM) => true,
        Err(Errno::ENOBUFS) => false,
        Err(error) => panic!("{kind:?} cannot be sent: {error}"),
    }
}

fn observer(kinds: &[Kind]) -> String {
    let mut text = String::from("table inet observer {\n");
    let lengths = |keep: &dyn Fn(&Kind) -> bool| -> Vec<(usize, usize)> {
        kinds
            .iter()
            .enumerate()
            .filter(|(_, kind)| keep(kind))
            .map(|(n, _)| (n, UDP_HEADER + 1 + n))
            .collect()
    };
    for place in ["before", "after"] {
        for number in 0..kinds.len() {
            text.push_str(&format!("  counter {place}-{number} {{ }}\n"));
        }
    }
    for (hook, way) in [("input", Direction::In), ("output", Direction::Out)] {
        for (place, priority) in [("before", -10), ("after", 10)] {
            let map: Vec<String> = lengths(&|kind| kind.way == way)
                .into_iter()
                .map(|(number, length)| format!("{length} : \"{place}-{number}\""))
                .collect();
            text.push_str(&format!(
                "  chain {hook}-{place} {{ type filter hook {hook} priority {priority}; policy accept;\n    \
                 counter name udp length map {{ {} }}\n",
                map.join(", ")
            ));
            if place == "after" {
                let fresh = lengths(&|kind| kind.way == way && !kind.is_flow());
                let fresh: Vec<String> = fresh.into_iter().map(|(_, length)| length.to_string()).collect();
                text.push_str(&format!("    udp length {{ {} }} drop\n", fresh.join(", ")));
            }
            text.push_str("  }\n");
        }
    }
    text.push_str("}\n");
    text
}

/// The port of a flow's end: who is asked has the flow's port, who asks the next one.
fn port(way: Direction, asked: Direction) -> u16 {
    if way == asked { FLOW_PORT } else { FLOW_PORT + 1 }
}

fn own(family: Family) -> IpAddr {
    super::cases::address(family, "1.2")
}

fn neighbour(family: Family) -> IpAddr {
    super::cases::address(family, "1.1")
}

fn bound(address: IpAddr, port: u16) -> UdpSocket {
    let socket = UdpSocket::bind((address, port)).expect("a free port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

/// A socket that takes packets with their headers.
fn raw(family: Family) -> OwnedFd {
    let domain = if family == Family::V4 { AddressFamily::Inet } else { AddressFamily::Inet6 };
    socket(domain, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw).expect("a raw socket")
}
