//! The machine of an example, with a network on each of its interfaces, and what becomes of a packet there.
//!
//! A peer's address is put where the probe says, and the machine's route to it too, so that also the address of one side
//! on the interface of the other is answered where no rule drops it.

use super::probes::{Probe, Proto};
use super::rig::{Counters, Ns, PATIENCE, Process, has_all_users, next_source_port, servers};
use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// An interface of the machine: its name and its addresses, in networks of 24 and of 64 bits.
pub type Interface = (&'static str, &'static str, &'static str);

pub struct Site {
    pub gw: Ns,
    sides: Vec<(Interface, Ns)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer came back; VRRP, which has none, arrived.
    Passed,
    /// It came to the agent's chains and not beyond.
    Dropped,
}

/// What became of a probe, and the agent's counters that it moved.
#[derive(Debug)]
pub struct Seen {
    pub outcome: Outcome,
    pub moved: Vec<String>,
}

impl Site {
    /// `more`: addresses of the first interface beside its own.
    pub fn new(interfaces: &[Interface; 2], more: &[&str]) -> Self {
        let gw = Ns::new("gw");
        let far = ["outside", "inside"].map(Ns::new);
        let sides: Vec<(Interface, Ns)> = interfaces.iter().copied().zip(far).collect();
        for ((name, v4, v6), far) in &sides {
            gw.ip(&format!("link add {name} type veth peer name up0 netns {}\n", far.name));
            gw.ip(&format!(
                "addr add {v4}/24 dev {name}\naddr add {v6}/64 dev {name} nodad\nlink set {name} up\n"
            ));
            let (far4, far6) = (first(v4), first(v6));
            far.ip(&format!(
                "addr add {far4}/24 dev up0\naddr add {far6}/64 dev up0 nodad\nlink set up0 up\n"
            ));
            far.ip(&format!("route add default via {v4}\nroute add default via {v6} dev up0\n"));
        }
        let site = Self { gw, sides };
        site.more_addresses("add", more);
        site.gw.nft(&observer());
        site
    }

    /// Adds or deletes addresses of the first interface.
    pub fn more_addresses(&self, verb: &str, addresses: &[&str]) {
        let (outside, ..) = self.sides[0].0;
        for address in addresses {
            let nodad = if verb == "add" { nodad(address) } else { "" };
            self.gw.ip(&format!("addr {verb} {address} dev {outside}{nodad}\n"));
        }
    }

    /// Sends a probe and tells what became of it.
    ///
    /// # Panics
    /// If neither is seen.
    pub fn send(&self, probe: &Probe, uid: u32) -> Seen {
        let (interface, far) = self
            .sides
            .iter()
            .find(|((name, ..), _)| *name == probe.interface)
            .unwrap_or_else(|| panic!("no interface: {}", probe.written));
        let own = if probe.peer.is_ipv4() { interface.1 } else { interface.2 };
        let local = probe.local.unwrap_or_else(|| own.parse().expect("an address"));
        self.place(probe.peer, interface, far, true);
        let ends = if probe.is_in {
            Ends { client: far, from: probe.peer, server: &self.gw, to: local }
        } else {
            Ends { client: &self.gw, from: local, server: far, to: probe.peer }
        };
        let watch = Watch::new(self, probe.is_in);
        let passed = match probe.proto {
            Proto::Tcp | Proto::Udp => ends.ask(probe, uid, &watch),
            Proto::Vrrp => {
                ends.advertise(probe, first(interface.1).parse().expect("an address"), own, &watch)
            }
        };
        let seen = watch.judge(passed, probe);
        self.place(probe.peer, interface, far, false);
        seen
    }

    /// Whether a process of that user can be had here: not where an ordinary user's own id was mapped alone.
    pub fn can_be(uid: u32) -> bool {
        uid == 0 || has_all_users()
    }

    fn place(&self, peer: IpAddr, (name, v4, v6): &Interface, far: &Ns, there: bool) {
        let verb = if there { "add" } else { "del" };
        if peer.is_multicast() {
            self.gw.ip(&format!("route {verb} {peer} dev {name}\n"));
            return;
        }
        let via = first(if peer.is_ipv4() { v4 } else { v6 });
        far.ip(&format!("addr {verb} {peer} dev up0{}\n", if there { nodad(&peer.to_string()) } else { "" }));
        self.gw.ip(&format!("route {verb} {peer} via {via} dev {name}\n"));
    }
}

struct Ends<'a> {
    client: &'a Ns,
    from: IpAddr,
    server: &'a Ns,
    to: IpAddr,
}

impl Ends<'_> {
    /// A question with an answer: whether it came back.
    fn ask(&self, probe: &Probe, uid: u32, watch: &Watch) -> bool {
        let at = SocketAddr::new(self.to, probe.port);
        let server = self.server.enter(|| Server::bind(probe.proto, at));
        let (from, port) = (self.from.to_string(), next_source_port().to_string());
        let proto = if probe.proto == Proto::Tcp { "tcp" } else { "udp" };
        let mut command = peer(&["ask", proto, &from, &port, &self.to.to_string(), &probe.port.to_string()]);
        let mut client = self.client.start(command.uid(uid).stderr(Stdio::null()));
        let start = Instant::now();
        loop {
            server.answer();
            if let Some(status) = client.child.try_wait().expect("the status of a child") {
                assert!(status.success(), "{}: the client ended with {status}", probe.written);
                return true;
            }
            if watch.dropped() {
                return false;
            }
            assert!(start.elapsed() < PATIENCE, "{}: no answer, and no counter moved", probe.written);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// An advertisement of VRRP: whether it is heard at the other end.
    fn advertise(&self, probe: &Probe, far: IpAddr, own: &str, watch: &Watch) -> bool {
        let far = far.to_string();
        let membership = if probe.is_in { own } else { &far };
        let mut command = peer(&["hear", membership, &self.from.to_string()]);
        let mut hearer = self.server.start(command.stdout(Stdio::piped()));
        let mut line = String::new();
        let output = hearer.child.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("a line of the hearer");
        assert_eq!(line, "listening\n", "{}", probe.written);
        let mut command = peer(&["advertise", &self.from.to_string(), &self.to.to_string()]);
        let mut sender: Process = self.client.start(&mut command);
        assert!(sender.wait(), "{}: not sent", probe.written);
        let start = Instant::now();
        loop {
            if hearer.child.try_wait().expect("the status of a child").is_some_and(|status| status.success())
            {
                return true;
            }
            if watch.dropped() {
                return false;
            }
            assert!(start.elapsed() < PATIENCE, "{}: not heard, and no counter moved", probe.written);
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

enum Server {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl Server {
    fn bind(proto: Proto, at: SocketAddr) -> Self {
        let server = match proto {
            Proto::Tcp => TcpListener::bind(at).and_then(|server| {
                server.set_nonblocking(true)?;
                Ok(Self::Tcp(server))
            }),
            Proto::Udp | Proto::Vrrp => UdpSocket::bind(at).and_then(|server| {
                server.set_nonblocking(true)?;
                Ok(Self::Udp(server))
            }),
        };
        server.unwrap_or_else(|error| panic!("listen at {at}: {error}"))
    }

    /// Sends back what has come, if anything has.
    fn answer(&self) {
        let mut word = [0; 4];
        match self {
            Self::Tcp(server) => {
                if let Ok((mut stream, _)) = server.accept() {
                    let echoed = stream
                        .set_nonblocking(false)
                        .and_then(|()| stream.set_read_timeout(Some(PATIENCE)))
                        .and_then(|()| stream.read_exact(&mut word))
                        .and_then(|()| stream.write_all(&word));
                    echoed.expect("an accepted connection carries data");
                    // The client ends it.
                    let _ = stream.read(&mut word);
                }
            }
            Self::Udp(server) => {
                if let Ok((_, from)) = server.recv_from(&mut word) {
                    // An answer that is dropped does not come back, which is what is asked.
                    let _ = server.send_to(&word, from);
                }
            }
        }
    }
}

/// What the counters of the machine have counted from before a probe on.
struct Watch<'a> {
    site: &'a Site,
    seen: RefCell<Counters>,
    is_in: bool,
}

impl<'a> Watch<'a> {
    fn new(site: &'a Site, is_in: bool) -> Self {
        Counters::take(&site.gw);
        Self { site, seen: RefCell::default(), is_in }
    }

    /// Whether it came to the agent's chains and not beyond. The counters are taken one by one, so all of them once more
    /// after the first was seen to move.
    fn dropped(&self) -> bool {
        let once = || {
            self.seen.borrow_mut().add(Counters::take(&self.site.gw));
            let (before, after) = self.observed();
            before > 0 && after == 0 && !self.moved().is_empty()
        };
        once() && once()
    }

    fn observed(&self) -> (u64, u64) {
        let way = if self.is_in { "in" } else { "out" };
        let seen = self.seen.borrow();
        (seen.observed(&format!("{way}-before")), seen.observed(&format!("{way}-after")))
    }

    /// The agent's counters that have moved.
    fn moved(&self) -> Vec<String> {
        self.seen.borrow().moved_since(&Counters::default()).into_keys().collect()
    }

    fn judge(&self, passed: bool, probe: &Probe) -> Seen {
        self.seen.borrow_mut().add(Counters::take(&self.site.gw));
        let (moved, (before, after)) = (self.moved(), self.observed());
        let sound = if passed { before > 0 && after == before } else { before > 0 && after == 0 };
        assert!(
            sound,
            "{}: passed: {passed}, but {before} before and {after} after ({moved:?})",
            probe.written
        );
        Seen { outcome: if passed { Outcome::Passed } else { Outcome::Dropped }, moved }
    }
}

/// Counts new packets of probes before and after the agent's chains, which have priority 0.
fn observer() -> String {
    let mut text = String::from("table inet observer {\n");
    for (hook, way) in [("input", "in"), ("output", "out")] {
        for (place, priority) in [("before", -10), ("after", 10)] {
            let name = format!("{way}-{place}");
            text.push_str(&format!(
                "counter {name} {{ }}\nchain {name} {{ type filter hook {hook} priority {priority}; policy accept; \
                 tcp flags & (fin|syn|rst|ack) == syn counter name {name}; udp sport 20000-39999 counter name {name}; \
                 meta l4proto 112 counter name {name}; }}\n"
            ));
        }
    }
    text + "}\n"
}

fn peer(args: &[&str]) -> Command {
    let mut command = Command::new(servers::PYTHON);
    command.args(["-c", include_str!("peer.py")]).args(args).stdin(Stdio::null());
    command
}

/// The first address of a machine's network, which is the other end's.
fn first(address: &str) -> String {
    let (network, separator) = match address.rsplit_once("::") {
        Some((network, _)) => (network, "::"),
        None => (address.rsplit_once('.').expect("an IPv4 address").0, "."),
    };
    format!("{network}{separator}1")
}

fn nodad(address: &str) -> &'static str {
    if address.contains(':') { " nodad" } else { "" }
}
