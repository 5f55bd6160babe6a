//! A DNS server, or several, that do as they are told, and remember what they were asked.
//!
//! ```ignore
//! let dns = Dns::new();
//! let server = dns.serve(&namespace, "10.99.0.53:53".parse()?);
//! dns.set("repo.example.net", Act::cached(&[&["93.184.1.1"], &["93.184.1.2"]], 2));
//! dns.set_family("repo.example.net", Family::V6, Act::rcode(SERVFAIL));
//! dns.set_at(server, Act::silent());
//! dns.asked_for("repo.example.net", Family::V4, 2);
//! ```

use super::act::{Act, Asked, Datagram};
use super::events::Events;
use super::wire::Query;
use crate::rig::Ns;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use portgrave::types::Family;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    Udp,
    Tcp,
}

/// Where a datagram comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Server,
    OtherPort,
    /// Another address of the same namespace, from the server's port.
    Address(IpAddr),
}

/// A question that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub server: SocketAddr,
    pub client: SocketAddr,
    pub transport: Transport,
    /// In lower case, with dots.
    pub name: String,
    pub family: Option<Family>,
    pub query: Query,
    pub at: Instant,
}

/// All servers with what they shall do. What is said of one server goes before what is said of a name.
#[derive(Clone, Default)]
pub struct Dns {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    acts: Mutex<Acts>,
    running: Mutex<BTreeMap<SocketAddr, Running>>,
    asked: Mutex<BTreeMap<(String, Option<Family>), usize>>,
    seen: Events<Seen>,
}

#[derive(Default)]
struct Acts {
    of_names: BTreeMap<(String, Family), Act>,
    of_names_at: BTreeMap<(SocketAddr, String, Family), Act>,
    of_servers: BTreeMap<SocketAddr, Act>,
}

/// Dropping it wakes the thread.
struct Running {
    wake: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Dns {
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a server for UDP and TCP on an address of a namespace. What it was not told to answer does not exist.
    pub fn serve(&self, ns: &Ns, address: SocketAddr) -> SocketAddr {
        self.start(ns, address, true)
    }

    /// The same without TCP: connections are refused.
    pub fn serve_udp_alone(&self, ns: &Ns, address: SocketAddr) -> SocketAddr {
        self.start(ns, address, false)
    }

    /// Ends a server: its port is closed.
    pub fn stop(&self, server: SocketAddr) {
        let running = self.shared.running.lock().expect("no poison").remove(&server);
        drop(running.unwrap_or_else(|| panic!("{server} does not run")));
    }

    /// What every server does for a name, in both families.
    pub fn set(&self, name: &str, act: Act) {
        for family in Family::BOTH {
            self.set_family(name, family, act.clone());
        }
    }

    pub fn set_family(&self, name: &str, family: Family, act: Act) {
        self.acts(|acts| acts.of_names.insert((name.to_owned(), family), act));
    }

    /// What one server does for a name, in both families.
    pub fn set_name_at(&self, server: SocketAddr, name: &str, act: Act) {
        for family in Family::BOTH {
            self.acts(|acts| acts.of_names_at.insert((server, name.to_owned(), family), act.clone()));
        }
    }

    /// What one server does whatever it is asked.
    pub fn set_at(&self, server: SocketAddr, act: Act) {
        self.acts(|acts| acts.of_servers.insert(server, act));
    }

    /// The server does again what was said of names.
    pub fn clear_at(&self, server: SocketAddr) {
        self.acts(|acts| acts.of_servers.remove(&server));
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.all()
    }

    pub fn count(&self, which: impl Fn(&Seen) -> bool) -> usize {
        self.shared.seen.count(which)
    }

    /// The last question for a name in a family.
    pub fn last_of(&self, name: &str, family: Family) -> Option<Seen> {
        self.shared.seen.last(|seen| seen.name == name && seen.family == Some(family))
    }

    pub fn count_of(&self, name: &str, family: Family) -> usize {
        self.count(|seen| seen.name == name && seen.family == Some(family))
    }

    /// Waits until the servers together were asked so often for a name in a family.
    pub fn asked_for(&self, name: &str, family: Family, count: usize) -> Vec<Seen> {
        let what = format!("{count} queries for {name} {family:?}");
        self.wait(&what, count, |seen| seen.name == name && seen.family == Some(family))
    }

    /// Waits for `count` more than there are now.
    pub fn asked_again(&self, name: &str, family: Family, count: usize) -> Vec<Seen> {
        self.asked_for(name, family, self.count_of(name, family) + count)
    }

    pub fn wait(&self, what: &str, count: usize, which: impl Fn(&Seen) -> bool) -> Vec<Seen> {
        self.shared.seen.wait(what, count, which)
    }

    fn acts<T>(&self, change: impl FnOnce(&mut Acts) -> T) -> T {
        change(&mut self.shared.acts.lock().expect("no poison"))
    }

    fn start(&self, ns: &Ns, address: SocketAddr, tcp: bool) -> SocketAddr {
        let (wake, woken) = UnixStream::pair().expect("a pair of sockets");
        let (server, thread) = ns.enter(|| {
            let udp = UdpSocket::bind(address).unwrap_or_else(|error| panic!("udp {address}: {error}"));
            let server = udp.local_addr().expect("a bound socket");
            let bound = |server| TcpListener::bind(server).unwrap_or_else(|e| panic!("tcp {server}: {e}"));
            let tcp = tcp.then(|| bound(server));
            let serving = Serving { shared: Arc::downgrade(&self.shared), server };
            // A thread that is made here stays in the namespace.
            (server, std::thread::spawn(move || serving.run(&udp, tcp.as_ref(), &woken)))
        });
        let running = Running { wake: Some(wake), thread: Some(thread) };
        self.shared.running.lock().expect("no poison").insert(server, running);
        server
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.wake.take());
        // A server may be the last to hold what all of them share, and then ends here itself.
        let others = |thread: &JoinHandle<()>| thread.thread().id() != std::thread::current().id();
        if let Some(thread) = self.thread.take().filter(others) {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server failed");
        }
    }
}

#[derive(Clone)]
struct Serving {
    // A server that kept what keeps it would never end.
    shared: std::sync::Weak<Shared>,
    server: SocketAddr,
}

impl Serving {
    fn run(&self, udp: &UdpSocket, tcp: Option<&TcpListener>, woken: &UnixStream) {
        loop {
            let mut fds = vec![
                PollFd::new(woken.as_fd(), PollFlags::POLLIN),
                PollFd::new(udp.as_fd(), PollFlags::POLLIN),
            ];
            fds.extend(tcp.map(|tcp| PollFd::new(tcp.as_fd(), PollFlags::POLLIN)));
            poll(&mut fds, PollTimeout::NONE).expect("to wait for questions");
            let ready: Vec<bool> = fds.iter().map(|fd| fd.any() == Some(true)).collect();
            if ready[0] {
                return;
            }
            if ready[1] {
                self.datagram(udp);
            }
            if let (Some(tcp), Some(true)) = (tcp, ready.get(2)) {
                let (stream, client) = tcp.accept().expect("a connection");
                let serving = self.clone();
                std::thread::spawn(move || serving.connection(stream, client));
            }
        }
    }

    fn datagram(&self, udp: &UdpSocket) {
        let mut buffer = [0; 4096];
        // An error here is an earlier answer that could not be delivered.
        let Ok((length, client)) = udp.recv_from(&mut buffer) else { return };
        let Some(query) = Query::read(&buffer[..length]) else { return };
        let datagrams = self.answer(&query, client, Transport::Udp, |act, asked| act.datagrams(asked));
        for datagram in datagrams.unwrap_or_default() {
            let socket = udp.try_clone().expect("a second handle");
            if datagram.after.is_zero() {
                self.send(&socket, &datagram, client);
            } else {
                let serving = self.clone();
                std::thread::spawn(move || {
                    std::thread::sleep(datagram.after);
                    serving.send(&socket, &datagram, client);
                });
            }
        }
    }

    /// What cannot be delivered is the client's loss: it may be gone.
    fn send(&self, socket: &UdpSocket, datagram: &Datagram, client: SocketAddr) {
        let other = match datagram.from {
            From::Server => None,
            From::OtherPort => Some(SocketAddr::new(self.server.ip(), 0)),
            From::Address(address) => Some(SocketAddr::new(address, self.server.port())),
        };
        let other = other.map(|address| UdpSocket::bind(address).expect("an address of the namespace"));
        let _ = other.as_ref().unwrap_or(socket).send_to(&datagram.octets, client);
    }

    /// One question after the other, as long as the client keeps the connection.
    fn connection(&self, mut stream: TcpStream, client: SocketAddr) {
        let mut length = [0; 2];
        while stream.read_exact(&mut length).is_ok() {
            let mut octets = vec![0; u16::from_be_bytes(length).into()];
            if stream.read_exact(&mut octets).is_err() {
                return;
            }
            let Some(query) = Query::read(&octets) else { return };
            let written = self.answer(&query, client, Transport::Tcp, |act, asked| act.written(asked));
            let Some(written) = written else { return };
            std::thread::sleep(written.after);
            // In two pieces: a reader must put them together.
            let (first, rest) = written.octets.split_at(written.octets.len() / 2);
            if stream.write_all(first).and_then(|()| stream.write_all(rest)).is_err() || !written.held {
                return;
            }
        }
    }

    /// Remembers the question, and asks the act for an answer. Nothing if the servers are gone.
    fn answer<T>(
        &self,
        query: &Query,
        client: SocketAddr,
        transport: Transport,
        of: impl FnOnce(&Act, &Asked<'_>) -> T,
    ) -> Option<T> {
        let shared = self.shared.upgrade()?;
        let (name, family, at) = (query.text(), query.family(), Instant::now());
        let before = shared.before(&name, family);
        let act = shared.acts.lock().expect("no poison").of(self.server, &name, family);
        let asked = Asked { query, name: name.clone(), transport, server: self.server, before, now: at };
        let answer = of(&act, &asked);
        let query = query.clone();
        shared.seen.push(Seen { server: self.server, client, transport, name, family, query, at });
        Some(answer)
    }
}

impl Shared {
    /// How often a name was asked for in a family until now; this time counts from now on.
    fn before(&self, name: &str, family: Option<Family>) -> usize {
        let mut asked = self.asked.lock().expect("no poison");
        let count = asked.entry((name.to_owned(), family)).or_default();
        *count += 1;
        *count - 1
    }
}

impl Acts {
    fn of(&self, server: SocketAddr, name: &str, family: Option<Family>) -> Act {
        let of_name = |family| {
            let here = self.of_names_at.get(&(server, name.to_owned(), family));
            here.or_else(|| self.of_names.get(&(name.to_owned(), family)))
        };
        let act = self.of_servers.get(&server).or_else(|| family.and_then(of_name));
        act.cloned().unwrap_or_else(|| Act::no_such_name(Some(60)))
    }
}

impl Seen {
    /// How long after another one.
    pub fn after(&self, earlier: &Self) -> Duration {
        self.at.duration_since(earlier.at)
    }
}
