//! One packet and what becomes of it.

use super::counters::PROBE_PORTS;
use super::socket::{connected, connecting, readable};
use super::{Counters, Host, PATIENCE, World};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proto {
    Tcp,
    Udp,
}

impl Proto {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }

    pub fn other(self) -> Self {
        match self {
            Self::Tcp => Self::Udp,
            Self::Udp => Self::Tcp,
        }
    }
}

/// A new connection, or a datagram and its answer, between the gateway and another host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flow {
    pub from: (Host, IpAddr),
    pub to: (Host, IpAddr),
    pub proto: Proto,
    pub port: u16,
    /// Sent to every host of the shared network: there is no answer to wait for.
    pub broadcast: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It arrived, was answered, and the answer came back.
    Passed,
    /// The agent's counters that moved say that it was dropped.
    Dropped,
    /// Neither was seen: something else is wrong.
    Lost(String),
}

/// What was seen of a flow at the gateway, by counters.
#[derive(Clone, Debug)]
pub struct Seen {
    pub outcome: Outcome,
    /// The agent's counters that it moved.
    pub moved: Vec<String>,
}

impl Flow {
    pub fn is_in(&self) -> bool {
        self.to.0 == Host::Gw
    }

    /// As the policy language writes packets.
    pub fn written(&self) -> String {
        let direction = if self.is_in() { "in" } else { "out" };
        let side = |(host, address): (Host, IpAddr)| match host {
            Host::Gw => "self".to_owned(),
            Host::Peer | Host::Other | Host::Dns => address.to_string(),
        };
        let (from, to) = (side(self.from), side(self.to));
        let to = if self.broadcast { self.to.1.to_string() } else { to };
        let to = if to.contains(':') { format!("[{to}]") } else { to };
        format!("{direction} {} {from} -> {to}:{}", self.proto.as_str(), self.port)
    }

    /// Sends it from a source port that nothing else uses, and tells what became of it.
    pub fn send(&self, world: &World) -> Seen {
        self.send_from(world, next_source_port())
    }

    pub fn send_from(&self, world: &World, source_port: u16) -> Seen {
        let watch = Watch::new(world, self.is_in());
        let from = SocketAddr::new(self.from.1, source_port);
        let outcome = match self.proto {
            Proto::Tcp => self.connect(world, from, &watch).map(|pair| pair.is_some()),
            Proto::Udp => self.datagram(world, from, &watch),
        };
        let (outcome, moved) = watch.judge(outcome);
        Seen { outcome, moved }
    }

    /// A TCP connection that stays open: its two ends, or nothing if it was dropped.
    pub fn open(&self, world: &World) -> Result<Option<(TcpStream, TcpStream)>, String> {
        let from = SocketAddr::new(self.from.1, next_source_port());
        self.connect(world, from, &Watch::new(world, self.is_in()))
    }

    fn connect(
        &self,
        world: &World,
        from: SocketAddr,
        watch: &Watch,
    ) -> Result<Option<(TcpStream, TcpStream)>, String> {
        let to = SocketAddr::new(self.to.1, self.port);
        let listener =
            world.ns(self.to.0).enter(|| TcpListener::bind(to)).map_err(|e| format!("listen {to}: {e}"))?;
        let stream = world
            .ns(self.from.0)
            .enter(|| connecting(from, to))
            .map_err(|e| format!("connect {from} to {to}: {e}"))?;
        let start = Instant::now();
        while !connected(&stream, watch.pause).map_err(|e| format!("connection to {to}: {e}"))? {
            if watch.dropped() {
                return Ok(None);
            }
            if start.elapsed() > PATIENCE {
                return Err(format!("no connection from {from} to {to}, and no counter moved"));
            }
        }
        let (accepted, peer) = listener.accept().map_err(|e| format!("accept at {to}: {e}"))?;
        if peer.port() != from.port() {
            return Err(format!("{peer} was accepted, not {from}"));
        }
        exchange(&stream, &accepted).map_err(|e| format!("data between {from} and {to}: {e}"))?;
        Ok(Some((stream, accepted)))
    }

    fn datagram(&self, world: &World, from: SocketAddr, watch: &Watch) -> Result<bool, String> {
        let any = IpAddr::from([0, 0, 0, 0]);
        let at = SocketAddr::new(if self.broadcast { any } else { self.to.1 }, self.port);
        let server =
            world.ns(self.to.0).enter(|| UdpSocket::bind(at)).map_err(|e| format!("listen {at}: {e}"))?;
        let client =
            world.ns(self.from.0).enter(|| UdpSocket::bind(from)).map_err(|e| format!("bind {from}: {e}"))?;
        if self.broadcast {
            client.set_broadcast(true).map_err(|e| e.to_string())?;
        }
        let to = SocketAddr::new(self.to.1, self.port);
        // A datagram that is dropped on its way out gives EPERM; the counter decides.
        let _ = client.send_to(b"probe", to);
        let start = Instant::now();
        while !readable(&server, watch.pause) {
            if watch.dropped() {
                return Ok(false);
            }
            if start.elapsed() > PATIENCE {
                return Err(format!("nothing from {from} at {to}, and no counter moved"));
            }
        }
        let mut buffer = [0; 16];
        let (_, source) = server.recv_from(&mut buffer).map_err(|e| format!("receive at {at}: {e}"))?;
        if source != from {
            return Err(format!("a datagram of {source} at {at}, not of {from}"));
        }
        if self.broadcast {
            return Ok(true);
        }
        server.send_to(b"reply", source).map_err(|e| format!("answer from {at}: {e}"))?;
        if !readable(&client, PATIENCE) {
            return Err(format!("the answer from {at} did not come back to {from}"));
        }
        client.recv_from(&mut buffer).map_err(|e| format!("answer at {from}: {e}"))?;
        Ok(true)
    }
}

/// A word each way: an accepted connection carries data in both directions.
fn exchange(mut one: &TcpStream, mut two: &TcpStream) -> std::io::Result<()> {
    for stream in [one, two] {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
    }
    let mut word = [0; 4];
    one.write_all(b"ping")?;
    two.read_exact(&mut word)?;
    two.write_all(&word)?;
    one.read_exact(&mut word)
}

/// A source port that no probe of this process has used.
pub fn next_source_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(PROBE_PORTS.start);
    let port = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(PROBE_PORTS.contains(&port), "more probes than source ports");
    port
}

/// Whether an object `in.default`, `out.baseline.invalid`, … counts packets that the agent drops.
fn counts_drops(object: &str, direction: &str) -> bool {
    let Some((of, name)) = object.split_once('.') else { return false };
    let drops = ["default", "baseline.invalid", "baseline.tcp-new-is-syn"].contains(&name)
        || name.ends_with(".dropped");
    of == direction && drops
}

/// The counters at the gateway from before a probe on.
struct Watch<'a> {
    world: &'a World,
    direction: &'static str,
    start: Counters,
    /// How long an answer is waited for before counters are asked again: as long as asking takes.
    pause: Duration,
}

impl<'a> Watch<'a> {
    fn new(world: &'a World, is_in: bool) -> Self {
        let (direction, asked) = (if is_in { "in" } else { "out" }, Instant::now());
        let start = Counters::read(&world.gw);
        Self { world, direction, start, pause: asked.elapsed() }
    }

    /// Whether a counter of the agent's for dropped packets has moved.
    fn dropped(&self) -> bool {
        self.has_drop(&Counters::read(&self.world.gw))
    }

    fn has_drop(&self, now: &Counters) -> bool {
        now.moved_since(&self.start).keys().any(|name| counts_drops(name, self.direction))
    }

    /// Holds what the sockets saw against what the counters say.
    fn judge(&self, socket: Result<bool, String>) -> (Outcome, Vec<String>) {
        let now = Counters::read(&self.world.gw);
        let moved: Vec<String> = now.moved_since(&self.start).into_keys().collect();
        let delta = |place: &str| {
            let name = format!("{}-{place}", self.direction);
            now.observed(&name) - self.start.observed(&name)
        };
        let (before, after) = (delta("before"), delta("after"));
        let outcome = match socket {
            Ok(true) if before >= 1 && after == before => Outcome::Passed,
            Ok(false) if before >= 1 && after == 0 => Outcome::Dropped,
            Ok(passed) => {
                let saw = if passed { "an answer" } else { "a drop" };
                Outcome::Lost(format!(
                    "{saw}, but {before} packets before and {after} after the agent ({moved:?})"
                ))
            }
            Err(problem) => Outcome::Lost(format!(
                "{problem} ({before} packets before, {after} after the agent, {moved:?})"
            )),
        };
        (outcome, moved)
    }
}
