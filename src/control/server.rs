//! The daemon's end of the socket, driven from its loop: nothing here waits.

use super::MOST_CLIENTS;
use super::closer::Closer;
use super::connection::{Connection, turn_away};
use super::judge::MayChange;
use super::listener::{BindError, Listener};
use super::request::Request;
use super::sealed::Sealed;
use nix::poll::PollFlags;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use serde::Serialize;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// One connection; no two of a server have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientId(u64);

/// Who is at the other end, as the kernel knows it (SO_PEERCRED), in the daemon's own namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub pid: i32,
    pub uid: u32,
    pub gid: u32,
}

/// A request that is whole, understood, and permitted to who asks it.
#[derive(Debug)]
pub struct Incoming {
    pub client: ClientId,
    pub peer: Peer,
    pub request: Request,
    /// See [`super::Handed::read`].
    pub files: Vec<Sealed>,
}

pub struct Server {
    listener: Listener,
    clients: BTreeMap<ClientId, Connection>,
    next: u64,
    may_change: MayChange,
    /// Until then nobody is accepted: this process had no descriptors left, or too many to close.
    deaf_until: Option<Duration>,
    closer: Closer,
}

/// How long to wait for a descriptor to become free.
const DEAFNESS: Duration = Duration::from_secs(1);

/// Clients that are accepted or turned away before the rest of the loop has its turn.
const MOST_ACCEPTED: usize = 2 * MOST_CLIENTS;

impl Server {
    /// Makes the socket, for root and the members of this group, and takes the place of a dead daemon's.
    ///
    /// # Errors
    /// [`BindError::Running`] if a daemon runs already.
    pub fn bind(path: &Path, group: Option<u32>) -> Result<Self, BindError> {
        Ok(Self {
            listener: Listener::bind(path, group)?,
            clients: BTreeMap::new(),
            next: 0,
            may_change: MayChange { own: nix::unistd::geteuid().as_raw() },
            deaf_until: None,
            closer: Closer::default(),
        })
    }

    /// What to poll. The answers go to [`Server::advance`], in the same order; [`Server::reply`] may be called in between.
    pub fn interests(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        let listening = if self.deaf_until.is_some() { PollFlags::empty() } else { PollFlags::POLLIN };
        let clients = self.clients.values().map(|client| (client.as_fd(), client.interest()));
        std::iter::once((self.listener.as_fd(), listening)).chain(clients).collect()
    }

    /// When [`Server::advance`] is to be called even if nothing is ready.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.clients.values().filter_map(Connection::deadline).chain(self.deaf_until).min()
    }

    /// Goes on with all that is ready (poll gave any event for it) and ends what took too long.
    pub fn advance(&mut self, ready: &[bool], now: Duration) -> Vec<Incoming> {
        let (listening, ready) = ready.split_first().map_or((false, ready), |(first, rest)| (*first, rest));
        let mut incoming = Vec::new();
        for ((id, client), ready) in self.clients.iter_mut().zip(ready) {
            let asked = if *ready { client.advance(&self.may_change, now) } else { None };
            if let Some((request, files)) = asked {
                incoming.push(Incoming { client: *id, peer: client.peer, request, files });
            }
        }
        self.clients.values_mut().for_each(|client| client.expire(now));
        self.remove_ended();
        if self.deaf_until.is_some_and(|until| until <= now) {
            self.deaf_until = None;
        }
        if listening {
            self.accept(now);
        }
        incoming
    }

    /// Answers a request; one whose client has gone is answered to nobody.
    pub fn reply(&mut self, client: ClientId, reply: &impl Serialize, now: Duration) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.reply(reply, now);
        }
    }

    fn remove_ended(&mut self) {
        let ended: Vec<ClientId> =
            self.clients.iter().filter(|(_, client)| client.is_over()).map(|(id, _)| *id).collect();
        ended.into_iter().for_each(|id| self.remove(id));
    }

    fn remove(&mut self, id: ClientId) {
        if let Some(client) = self.clients.remove(&id) {
            let (socket, files) = client.into_parts();
            self.closer.close(socket, files);
        }
    }

    fn accept(&mut self, now: Duration) {
        for _ in 0..MOST_ACCEPTED {
            if self.closer.is_overloaded() {
                self.deaf_until = Some(now + DEAFNESS);
                return;
            }
            match accept_with(&self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(socket) => self.admit(socket, now),
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    self.deaf_until = Some(now + DEAFNESS);
                    return;
                }
            }
        }
    }

    fn admit(&mut self, socket: OwnedFd, now: Duration) {
        let Ok(credentials) = getsockopt(&socket, PeerCredentials) else { return };
        let peer = Peer { pid: credentials.pid(), uid: credentials.uid(), gid: credentials.gid() };
        self.admit_peer(socket, peer, now);
    }

    fn admit_peer(&mut self, socket: OwnedFd, peer: Peer, now: Duration) {
        if self.clients.len() >= MOST_CLIENTS && !self.make_room(&peer) {
            turn_away(socket.as_fd());
            self.closer.close(socket, Vec::new());
            return;
        }
        let id = ClientId(self.next);
        self.next += 1;
        self.clients.insert(id, Connection::new(socket, peer, now));
    }

    /// Readers cannot keep out who may change things: the one who came first gives way.
    fn make_room(&mut self, newcomer: &Peer) -> bool {
        if !self.may_change.allows(newcomer) {
            return false;
        }
        let reader = self.clients.iter().find(|(_, client)| !self.may_change.allows(&client.peer));
        let Some((id, client)) = reader.map(|(id, client)| (*id, client)) else { return false };
        client.give_way();
        self.remove(id);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    fn filled_with(uid: u32) -> (tempfile::TempDir, Server, Vec<UnixStream>) {
        let dir = tempfile::tempdir().unwrap();
        let mut server = Server::bind(&dir.path().join("control.sock"), None).unwrap();
        let clients = (0..MOST_CLIENTS).map(|_| admit(&mut server, uid)).collect();
        (dir, server, clients)
    }

    fn admit(server: &mut Server, uid: u32) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        server.admit_peer(ours.into(), Peer { pid: 1, uid, gid: uid }, Duration::ZERO);
        theirs.set_nonblocking(true).unwrap();
        theirs
    }

    fn told(client: &mut UnixStream) -> String {
        let mut text = String::new();
        let _ = client.read_to_string(&mut text);
        text
    }

    const READER: u32 = 60_001;

    #[test]
    fn a_reader_gives_way_to_who_may_change_things() {
        let (_dir, mut server, mut readers) = filled_with(READER);
        let mut root = admit(&mut server, 0);
        assert_eq!(told(&mut root), "");
        assert!(told(&mut readers[0]).contains("64 clients are connected"));
        assert_eq!(told(&mut readers[1]), "");
        assert_eq!(server.interests().len(), 1 + MOST_CLIENTS);
    }

    #[test]
    fn nobody_gives_way_to_a_reader_nor_root_to_root() {
        for (uid, newcomer) in [(READER, READER), (0, READER), (0, 0)] {
            let (_dir, mut server, mut clients) = filled_with(uid);
            let mut turned_away = admit(&mut server, newcomer);
            assert!(told(&mut turned_away).contains("64 clients are connected"), "{uid} {newcomer}");
            assert!(clients.iter_mut().all(|client| told(client).is_empty()));
        }
    }
}
