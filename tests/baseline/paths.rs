//! What only works if several of the baseline's rules do: IPv6 without known neighbours, and paths with a narrow link.

use super::lab::{Lab, gw, peer};
use super::proof::{policy, rule};
use super::rig::{Agent, Counters, Family, Ns, PATIENCE, connected, connecting, eventually, isolated};
use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

const INTO_GW: u16 = 5000;
const OUT_OF_GW: u16 = 5001;

fn site() -> String {
    rule("flow-in", "in", &["tcp/5000", "udp/5000"]) + &rule("flow-out", "out", &["tcp/5001", "udp/5001"])
}

#[test]
fn ipv6_works_from_a_cold_neighbour_table() {
    isolated("paths::ipv6_works_from_a_cold_neighbour_table", || {
        let lab = Lab::new();
        lab.apply(&site());
        for (client, server, to, counter) in [
            (&lab.gw, &lab.peer, SocketAddr::new(peer(Family::V6), OUT_OF_GW), "out.flow-out"),
            (&lab.peer, &lab.gw, SocketAddr::new(gw(Family::V6), INTO_GW), "in.flow-in"),
        ] {
            forget_neighbours(&lab);
            let before = lab.counters();
            let listener = server.enter(|| TcpListener::bind(to)).expect("a listener");
            let mut stream =
                client.enter(|| TcpStream::connect_timeout(&to, PATIENCE)).expect("a connection");
            let (mut accepted, _) = listener.accept().expect("the connection");
            accepted.write_all(b"pong").expect("it is open");
            stream.read_exact(&mut [0; 4]).expect("it is open");
            let moved = lab.counters().moved_since(&before);
            assert_eq!(moved.get(counter), Some(&1), "the first segment waits and is enough: {moved:?}");
            for side in ["in", "out"] {
                let discovery = format!("{side}.baseline.neighbour-discovery");
                assert!(moved.contains_key(&discovery), "{discovery}: {moved:?}");
                assert!(!moved.contains_key(&format!("{side}.default")), "{moved:?}");
            }
        }
    });
}

#[test]
fn without_neighbour_discovery_there_is_no_ipv6() {
    isolated("paths::without_neighbour_discovery_there_is_no_ipv6", || {
        let lab = Lab::new();
        lab.apply(&site());
        lab.take_out("out.untracked", "neighbour-discovery");
        lab.take_out("in.untracked", "neighbour-discovery");
        forget_neighbours(&lab);
        for (client, server, to, dropped) in [
            (&lab.gw, &lab.peer, SocketAddr::new(peer(Family::V6), OUT_OF_GW), "out.default"),
            (&lab.peer, &lab.gw, SocketAddr::new(gw(Family::V6), INTO_GW), "in.default"),
        ] {
            let before = lab.counters();
            let receiver = server.enter(|| UdpSocket::bind(to)).expect("a socket");
            receiver.set_nonblocking(true).expect("a socket option");
            let sender = client.enter(|| UdpSocket::bind("[::]:0")).expect("a socket");
            sender.send_to(b"probe", to).expect("it waits for its neighbour");
            eventually(|| {
                let moved = lab.counters().moved_since(&before);
                if moved.contains_key(dropped) { Ok(()) } else { Err(moved) }
            });
            assert!(receiver.recv(&mut [0; 8]).is_err());
        }
    });
}

fn forget_neighbours(lab: &Lab) {
    for ns in [&lab.gw, &lab.peer] {
        for state in ["permanent", "all"] {
            ns.stdout(Command::new("ip").args(["-6", "neigh", "flush", "dev", "up0", "nud", state]));
        }
        let known = ns.stdout(Command::new("ip").args(["-6", "neigh", "show", "dev", "up0"]));
        let usable = known.lines().filter(|line| line.contains("lladdr"));
        assert_eq!(usable.collect::<Vec<_>>(), [""; 0], "nothing is known of neighbours");
    }
}

/// The narrowest link that IPv6 allows.
const NARROW: u32 = 1280;

/// gw ── middle ── peer, the second link narrow in one direction; the ends know nothing of it.
struct Chain {
    gw: Ns,
    middle: Ns,
    peer: Ns,
    agent: Agent,
    _dir: tempfile::TempDir,
}

/// What goes over the narrow link.
#[derive(Clone, Copy, Debug)]
struct Transfer {
    family: Family,
    /// Opened by the gateway, not by the peer. The gateway sends, in any case.
    by_gw: bool,
    /// The peer's address of this transfer: what was learned about a path is kept by address.
    host: u8,
}

fn far(family: Family, host: u8) -> IpAddr {
    match family {
        Family::V4 => IpAddr::from([10, 78, 2, host]),
        Family::V6 => format!("2001:db8:78:2::{host}").parse().expect("an address"),
    }
}

fn near(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::from([10, 78, 1, 2]),
        Family::V6 => "2001:db8:78:1::2".parse().expect("an address"),
    }
}

const HOSTS: std::ops::Range<u8> = 10..30;

impl Chain {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("portgrave-paths-").tempdir().expect("a directory");
        let agent = Agent::at(dir.path(), "[resolver]\nservers = [\"10.78.2.53\"]\n");
        let chain =
            Self { gw: Ns::new("gw"), middle: Ns::new("middle"), peer: Ns::new("peer"), agent, _dir: dir };
        chain.middle.sysctl("ipv4/ip_forward", "1");
        chain.middle.sysctl("ipv6/conf/all/forwarding", "1");
        for (ns, net) in [(&chain.gw, 1), (&chain.peer, 2)] {
            chain.middle.ip(&format!(
                "link add to{net} type veth peer name up0 netns {}\n\
                 addr add 10.78.{net}.1/24 dev to{net}\nlink set to{net} up\n\
                 addr add 2001:db8:78:{net}::1/64 dev to{net} nodad\n",
                ns.name
            ));
            ns.ip("link set up0 up\n");
        }
        chain.middle.ip(&format!("link set to2 mtu {NARROW}\n"));
        for family in Family::BOTH {
            chain.gw.ip(&with_prefix(near(family)));
            HOSTS.for_each(|host| chain.peer.ip(&with_prefix(far(family, host))));
        }
        for (ns, net) in [(&chain.gw, 1), (&chain.peer, 2)] {
            ns.ip(&format!(
                "route add default via 10.78.{net}.1\nroute add default via 2001:db8:78:{net}::1 dev up0\n"
            ));
        }
        chain
    }

    fn apply(&self, related: bool) {
        let text = format!("language = 1\n\n{}", policy("related", related, &site()));
        let path = self.agent.policy("policy", &text);
        self.agent.apply(&self.gw, &[&path]);
    }

    fn moved(&self, before: &Counters, counter: &str) -> u64 {
        Counters::read(&self.gw).moved_since(before).get(counter).copied().unwrap_or(0)
    }

    /// The gateway's end and the peer's end of a connection.
    fn tcp(&self, transfer: Transfer) -> (TcpStream, TcpStream) {
        let Transfer { family, by_gw, host } = transfer;
        let (client, server, from, to) = if by_gw {
            (&self.gw, &self.peer, near(family), SocketAddr::new(far(family, host), OUT_OF_GW))
        } else {
            (&self.peer, &self.gw, far(family, host), SocketAddr::new(near(family), INTO_GW))
        };
        let listener = server.enter(|| TcpListener::bind(to)).expect("a listener");
        let stream = client.enter(|| connecting(SocketAddr::new(from, 0), to)).expect("a connection");
        assert!(connected(&stream, PATIENCE).expect("a connection"), "{transfer:?}");
        stream.set_nonblocking(false).expect("a socket option");
        let (accepted, _) = listener.accept().expect("the connection");
        if by_gw { (stream, accepted) } else { (accepted, stream) }
    }

    /// The gateway's and the peer's sockets of a flow; where the peer has opened it, it has spoken.
    fn udp(&self, transfer: Transfer) -> (UdpSocket, UdpSocket) {
        let Transfer { family, by_gw, host } = transfer;
        let (gw_port, peer_port) = if by_gw { (0, OUT_OF_GW) } else { (INTO_GW, 0) };
        let gw = self.gw.enter(|| UdpSocket::bind((near(family), gw_port))).expect("a socket");
        let peer = self.peer.enter(|| UdpSocket::bind((far(family, host), peer_port))).expect("a socket");
        gw.set_read_timeout(Some(PATIENCE)).expect("a socket option");
        peer.set_nonblocking(true).expect("a socket option");
        peer.connect(gw.local_addr().expect("an address")).expect("a socket option");
        gw.connect(peer.local_addr().expect("an address")).expect("a socket option");
        if !by_gw {
            peer.send(b"open").expect("it may");
            gw.recv(&mut [0; 8]).expect("the policy lets it in");
        }
        (gw, peer)
    }

    /// What the gateway knows of the path.
    fn route(&self, transfer: Transfer) -> String {
        let to = far(transfer.family, transfer.host).to_string();
        self.gw.stdout(Command::new("ip").args(["route", "get", &to]))
    }
}

fn with_prefix(address: IpAddr) -> String {
    match address {
        IpAddr::V4(_) => format!("addr add {address}/24 dev up0\n"),
        IpAddr::V6(_) => format!("addr add {address}/64 dev up0 nodad\n"),
    }
}

fn transfers(first_host: u8) -> impl Iterator<Item = Transfer> {
    let kinds = Family::BOTH.into_iter().flat_map(|family| [true, false].map(|by_gw| (family, by_gw)));
    kinds.zip(first_host..).map(|((family, by_gw), host)| Transfer { family, by_gw, host })
}

/// No multiple of any segment's size.
const SIZE: usize = 1_000_003;

#[test]
fn tcp_finds_the_mtu_of_its_path() {
    isolated("paths::tcp_finds_the_mtu_of_its_path", || {
        let chain = Chain::new();
        chain.apply(true);
        for transfer in transfers(10) {
            let (mut gw, mut peer) = chain.tcp(transfer);
            let before = Counters::read(&chain.gw);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    gw.write_all(&vec![7; SIZE]).expect("the connection takes it all");
                    gw.shutdown(Shutdown::Write).expect("the connection is open");
                });
                peer.set_read_timeout(Some(PATIENCE)).expect("a socket option");
                let mut received = Vec::new();
                peer.read_to_end(&mut received).unwrap_or_else(|error| panic!("{transfer:?}: {error}"));
                assert_eq!(received.len(), SIZE, "{transfer:?}");
            });
            assert!(chain.moved(&before, "in.baseline.related") > 0, "{transfer:?}");
            assert!(chain.route(transfer).contains("mtu 1280"), "{transfer:?}: {}", chain.route(transfer));
        }
        chain.apply(false);
        transfers(20).for_each(|transfer| tcp_hangs(&chain, transfer));
    });
}

/// Without the errors nothing is learned: the sender repeats itself, and gets the same answer.
fn tcp_hangs(chain: &Chain, transfer: Transfer) {
    let (mut gw, mut peer) = chain.tcp(transfer);
    let before = Counters::read(&chain.gw);
    let received = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let mut writer = gw.try_clone().expect("a second handle");
        scope.spawn(move || writer.write_all(&vec![7; SIZE]).is_ok());
        let mut reader = peer.try_clone().expect("a second handle");
        let count = &received;
        scope.spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(more @ 1..) = reader.read(&mut buffer) {
                count.fetch_add(more, Ordering::Relaxed);
            }
        });
        eventually(|| {
            let dropped = chain.moved(&before, "in.baseline.related.dropped");
            if dropped >= 3 { Ok(()) } else { Err(format!("{transfer:?}: {dropped} errors were dropped")) }
        });
        assert!(!chain.route(transfer).contains("mtu"), "{transfer:?}: {}", chain.route(transfer));
        for end in [&mut gw, &mut peer] {
            let _ = end.shutdown(Shutdown::Both);
        }
    });
    assert!(received.into_inner() < SIZE, "{transfer:?}");
}

const BIG: [u8; 1400] = [7; 1400];

#[test]
fn udp_finds_the_mtu_of_its_path() {
    isolated("paths::udp_finds_the_mtu_of_its_path", || {
        let chain = Chain::new();
        chain.apply(true);
        for transfer in transfers(10) {
            let (gw, peer) = chain.udp(transfer);
            let before = Counters::read(&chain.gw);
            let mut buffer = [0; 2000];
            eventually(|| {
                // The first one is lost and learned from; the next ones go in fragments.
                let _ = gw.send(&BIG);
                UdpSocket::recv(&peer, &mut [0; 2000]).map_err(|error| format!("{transfer:?}: {error}"))
            });
            assert!(chain.moved(&before, "in.baseline.related") > 0, "{transfer:?}");
            let _ = peer.recv(&mut buffer);
        }
        chain.apply(false);
        for transfer in transfers(20) {
            let (gw, peer) = chain.udp(transfer);
            let before = Counters::read(&chain.gw);
            for sent in 1..=3 {
                gw.send(&BIG).expect("nothing is known against it");
                eventually(|| {
                    let dropped = chain.moved(&before, "in.baseline.related.dropped");
                    if dropped >= sent { Ok(()) } else { Err(format!("{transfer:?}: {dropped} of {sent}")) }
                });
            }
            assert!(peer.recv(&mut [0; 2000]).is_err(), "{transfer:?}");
        }
    });
}
