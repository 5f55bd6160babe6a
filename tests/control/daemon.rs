//! A server of the control socket in a thread, and clients without manners.

use nix::poll::{PollFd, PollTimeout, poll};
use portgrave::control::{Client, ClientError, ClientId, Handed, Incoming, Request, Server, agreed, refused};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

pub const LONG: Option<Duration> = Some(Duration::from_secs(120));

/// A server in a thread. It answers `ping`, `status` and `apply` at once, `names` with several megabytes, and `reload` when told.
pub struct Daemon {
    pub dir: tempfile::TempDir,
    pub path: PathBuf,
    pub switches: Arc<Switches>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
pub struct Switches {
    stop: AtomicBool,
    pub answer_reloads: AtomicBool,
    pub waiting_reloads: AtomicU64,
    /// The server's clock in seconds: it stands still unless it is stepped.
    clock: AtomicU64,
    clients: AtomicU64,
    pub turns: AtomicU64,
}

pub const NAMES: usize = 1 << 20;

impl Daemon {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/control.sock");
        let switches = Arc::new(Switches::default());
        let server = Server::bind(&path, Some(nix::unistd::getegid().as_raw())).unwrap();
        let seen = switches.clone();
        let thread = std::thread::spawn(move || serve(server, &seen));
        Self { dir, path, switches, thread: Some(thread) }
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.path).unwrap().expect("a server listens")
    }

    pub fn ask(&self, request: &Request) -> Result<Value, ClientError> {
        self.client().ask(request, &[], LONG)
    }

    pub fn answers(&self) {
        assert_eq!(self.ask(&Request::Ping {}).unwrap()["pong"], true);
    }

    pub fn raw(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.path).unwrap();
        stream.set_read_timeout(LONG).unwrap();
        stream
    }

    /// What comes back for these octets.
    pub fn said(&self, octets: &[u8]) -> Value {
        let mut stream = self.raw();
        // The server may close before all is written.
        let _ = stream.write_all(octets);
        answer(&stream)
    }

    pub fn wait_until(&self, what: &str, holds: impl Fn(&Switches) -> bool) {
        wait_until(what, || holds(&self.switches));
    }

    pub fn wait_for_clients(&self, number: usize) {
        let told = format!("{number} clients");
        self.wait_until(&told, |seen| seen.clients.load(Ordering::SeqCst) == number as u64);
    }

    pub fn stop(&mut self) {
        self.switches.stop.store(true, Ordering::SeqCst);
        // A server that hangs is no reason for a test that fails to hang as well.
        let thread = self.thread.take().filter(|_| !std::thread::panicking());
        assert!(thread.is_none_or(|thread| thread.join().is_ok()), "the server panicked");
    }

    pub fn step_clock(&self, by: Duration) {
        self.switches.clock.fetch_add(by.as_secs(), Ordering::SeqCst);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}

pub fn wait_until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..12_000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("never: {what}");
}

fn serve(mut server: Server, switches: &Switches) {
    let mut reloads: Vec<ClientId> = Vec::new();
    while !switches.stop.load(Ordering::SeqCst) {
        let ready = ready(&server, 10);
        let now = Duration::from_secs(switches.clock.load(Ordering::SeqCst));
        for incoming in server.advance(&ready, now) {
            match &incoming.request {
                Request::Reload {} => reloads.push(incoming.client),
                Request::Ping {} | Request::Status {} | Request::Names {} | Request::Apply {} => {
                    server.reply(incoming.client, &outcome(incoming), now);
                }
            }
        }
        if switches.answer_reloads.load(Ordering::SeqCst) {
            for client in reloads.drain(..) {
                server.reply(client, &agreed(json!({ "outcome": "unchanged" })), now);
            }
        }
        switches.turns.fetch_add(1, Ordering::SeqCst);
        switches.waiting_reloads.store(reloads.len() as u64, Ordering::SeqCst);
        switches.clients.store(server.interests().len() as u64 - 1, Ordering::SeqCst);
    }
}

pub fn ready(server: &Server, milliseconds: u16) -> Vec<bool> {
    let mut polled: Vec<PollFd<'_>> =
        server.interests().into_iter().map(|(socket, events)| PollFd::new(socket, events)).collect();
    poll(&mut polled, PollTimeout::from(milliseconds)).unwrap();
    polled.iter().map(|polled| polled.any() == Some(true)).collect()
}

fn outcome(incoming: Incoming) -> Value {
    match incoming.request {
        Request::Status {} => agreed(json!({ "uid": incoming.peer.uid, "pid": incoming.peer.pid })),
        Request::Names {} => agreed(json!({ "names": "n".repeat(NAMES) })),
        Request::Apply {} => match Handed::read(incoming.files) {
            Ok(handed) => agreed(json!({
                "policy": handed.policy,
                "lists": handed.lists.iter().map(|(path, _)| path).collect::<Vec<_>>(),
                "octets": handed.lists.into_iter().map(|(_, list)| contents(list.into_file()).len()).sum::<usize>(),
            })),
            Err(error) => refused(&error.to_string(), "see the protocol"),
        },
        Request::Ping {} | Request::Reload {} => agreed(json!({ "pong": true })),
    }
}

fn contents(mut file: File) -> Vec<u8> {
    let mut octets = Vec::new();
    file.read_to_end(&mut octets).unwrap();
    octets
}

pub fn answer(stream: &UnixStream) -> Value {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("an answer in time");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:.200}"))
}

pub fn error_of(answer: &Value) -> &str {
    assert_eq!(answer["ok"], false, "{answer}");
    answer["error"].as_str().unwrap()
}

/// Sends a line with files.
pub fn send(stream: &UnixStream, line: &str, files: &[BorrowedFd<'_>]) {
    let mut space = vec![std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut ancillary = rustix::net::SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(rustix::net::SendAncillaryMessage::ScmRights(files)));
    let octets = [std::io::IoSlice::new(line.as_bytes())];
    rustix::net::sendmsg(stream, &octets, &mut ancillary, rustix::net::SendFlags::NOSIGNAL).unwrap();
}
