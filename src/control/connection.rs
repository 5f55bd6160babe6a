//! One client: its request comes in pieces, waits for the daemon, and its reply goes out in pieces.

use super::request::{Request, RequestError};
use super::sealed::{HandedError, Sealed};
use super::server::Peer;
use super::{MOST_CLIENTS, MOST_LISTS, MOST_REPLY, MOST_REQUEST, PATIENCE, refused, wire};
use nix::poll::PollFlags;
use serde_json::Value;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

pub(super) struct Connection {
    socket: OwnedFd,
    pub peer: Peer,
    state: State,
}

enum State {
    Asking {
        received: Vec<u8>,
        files: Vec<OwnedFd>,
        until: Duration,
    },
    /// The daemon has the request; this may last.
    Waiting,
    Answered {
        reply: Vec<u8>,
        sent: usize,
        until: Duration,
    },
    Over,
}

/// Why a request is not passed on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the request has more than {MOST_REQUEST} octets")]
    TooLong,
    #[error("the request was not complete within {} seconds", PATIENCE.as_secs())]
    TooSlow,
    #[error("a connection carries one request: a line, and nothing after it")]
    MoreThanOne,
    #[error("more files came than a request may have")]
    TooManyFiles,
    #[error("the daemon cannot take files now: it has too many open")]
    FilesLost,
    #[error("only {0} may hand over files")]
    FilesForbidden(String),
    #[error("no files may come with this request")]
    FilesUnasked,
    #[error("only {0} may change what is in force")]
    Forbidden(String),
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Handed(#[from] HandedError),
}

impl Connection {
    pub(super) fn new(socket: OwnedFd, peer: Peer, now: Duration) -> Self {
        let state = State::Asking { received: Vec::new(), files: Vec::new(), until: now + PATIENCE };
        Self { socket, peer, state }
    }

    /// What it waits for; that the other end has gone is told in any case.
    pub(super) fn interest(&self) -> PollFlags {
        match self.state {
            State::Asking { .. } => PollFlags::POLLIN,
            State::Waiting | State::Over => PollFlags::empty(),
            State::Answered { .. } => PollFlags::POLLOUT,
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        match self.state {
            State::Asking { until, .. } | State::Answered { until, .. } => Some(until),
            State::Waiting | State::Over => None,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Goes on with what the socket is ready for. A request, once it is whole and may be asked.
    pub(super) fn advance(
        &mut self,
        may_change: &MayChange,
        now: Duration,
    ) -> Option<(Request, Vec<Sealed>)> {
        match &mut self.state {
            State::Asking { received, files, .. } => {
                let ended = match read(self.socket.as_fd(), received, files, &self.peer, may_change) {
                    Ok(None) => return None,
                    Ok(Some(ended)) => ended,
                    Err(fault) => {
                        self.fail(&fault, now);
                        return None;
                    }
                };
                match ended {
                    Ended::Gone => self.end(),
                    Ended::Asked => {
                        let (line, files) = (std::mem::take(received), std::mem::take(files));
                        match judge(&line, &files, &self.peer, may_change) {
                            Ok(asked) => {
                                self.state = State::Waiting;
                                return Some(asked);
                            }
                            Err(fault) => self.fail(&fault, now),
                        }
                    }
                }
            }
            // Nothing was asked of poll: the other end has gone.
            State::Waiting => self.end(),
            State::Answered { .. } => self.write(),
            State::Over => {}
        }
        None
    }

    /// Ends what has taken too long.
    pub(super) fn expire(&mut self, now: Duration) {
        if self.deadline().is_none_or(|until| now < until) {
            return;
        }
        match self.state {
            State::Asking { .. } => self.fail(&Fault::TooSlow, now),
            State::Waiting | State::Answered { .. } | State::Over => {}
        }
        // An error that does not fit into the socket at once is not waited for.
        self.end();
    }

    /// Sends the reply to its request; a second one is dropped.
    pub(super) fn reply(&mut self, reply: &Value, now: Duration) {
        if matches!(self.state, State::Waiting) {
            self.answer(reply, now);
        }
    }

    pub(super) fn fail(&mut self, fault: &Fault, now: Duration) {
        self.answer(&refused(&fault.to_string(), fault.help()), now);
    }

    pub(super) fn answer(&mut self, reply: &Value, now: Duration) {
        let mut reply = format!("{reply}\n").into_bytes();
        if reply.len() > MOST_REPLY {
            let error = format!("the reply would have {} octets; {MOST_REPLY} are allowed", reply.len());
            reply = format!("{}\n", refused(&error, "")).into_bytes();
        }
        self.state = State::Answered { reply, sent: 0, until: now + PATIENCE };
        self.write();
    }

    fn write(&mut self) {
        let State::Answered { reply, sent, .. } = &mut self.state else { return };
        while *sent < reply.len() {
            match wire::send(self.socket.as_fd(), &reply[*sent..], &[]) {
                Ok(Some(octets)) => *sent += octets,
                Ok(None) => return,
                Err(_) => break,
            }
        }
        self.end();
    }

    /// The descriptor stays open until the server lets go of it, so that whoever polls it now polls no other.
    fn end(&mut self) {
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        self.state = State::Over;
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Fault {
    fn help(&self) -> &'static str {
        match self {
            Self::Forbidden(_) | Self::FilesForbidden(_) => "run the command as root, with sudo for one",
            Self::Request(_) => "the command and the daemon are not of one version: restart the daemon",
            Self::TooLong
            | Self::TooSlow
            | Self::MoreThanOne
            | Self::TooManyFiles
            | Self::FilesLost
            | Self::FilesUnasked
            | Self::Handed(_) => "docs/control-protocol.md says what a request is",
        }
    }
}

/// Who may change things: root, and whoever runs the daemon.
pub(super) struct MayChange {
    pub own: u32,
}

impl MayChange {
    pub(super) fn allows(&self, peer: &Peer) -> bool {
        peer.uid == 0 || peer.uid == self.own
    }

    fn words(&self, peer: &Peer) -> String {
        match self.own {
            0 => format!("root (not uid {})", peer.uid),
            own => format!("root and uid {own} (not uid {})", peer.uid),
        }
    }
}

enum Ended {
    /// A whole request is there.
    Asked,
    Gone,
}

/// Reads what is there; `None` if the request is not whole yet.
fn read(
    socket: BorrowedFd<'_>,
    received: &mut Vec<u8>,
    files: &mut Vec<OwnedFd>,
    peer: &Peer,
    may_change: &MayChange,
) -> Result<Option<Ended>, Fault> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let piece = match wire::receive(socket, &mut buffer) {
            Ok(Some(piece)) => piece,
            Ok(None) => return Ok(None),
            Err(_) => return Ok(Some(Ended::Gone)),
        };
        if piece.truncated {
            return Err(Fault::FilesLost);
        }
        if !piece.files.is_empty() && !may_change.allows(peer) {
            return Err(Fault::FilesForbidden(may_change.words(peer)));
        }
        files.extend(piece.files);
        if files.len() > MOST_LISTS + 1 {
            return Err(Fault::TooManyFiles);
        }
        // The end of what it says ends its request as well.
        if piece.octets == 0 {
            return Ok(Some(if received.is_empty() { Ended::Gone } else { Ended::Asked }));
        }
        let piece = &buffer[..piece.octets];
        received.extend(piece);
        if piece.contains(&b'\n') {
            return whole(received).map(|()| Some(Ended::Asked));
        }
        if received.len() > MOST_REQUEST {
            return Err(Fault::TooLong);
        }
    }
}

fn whole(received: &[u8]) -> Result<(), Fault> {
    let end = received.iter().position(|octet| *octet == b'\n').map_or(0, |at| at + 1);
    match () {
        () if end > MOST_REQUEST => Err(Fault::TooLong),
        () if end < received.len() => Err(Fault::MoreThanOne),
        () => Ok(()),
    }
}

fn judge(
    line: &[u8],
    files: &[OwnedFd],
    peer: &Peer,
    may_change: &MayChange,
) -> Result<(Request, Vec<Sealed>), Fault> {
    let request = Request::parse(line)?;
    if request.changes() && !may_change.allows(peer) {
        return Err(Fault::Forbidden(may_change.words(peer)));
    }
    if !files.is_empty() && !request.hands_over_files() {
        return Err(Fault::FilesUnasked);
    }
    let sealed: Result<Vec<_>, _> =
        (0..).zip(files).map(|(number, file)| Sealed::check(number, file)).collect();
    Ok((request, sealed?))
}

/// Tells a client that there is no room for it, if its socket takes so much at once.
pub(super) fn turn_away(socket: BorrowedFd<'_>) {
    let error = format!("{MOST_CLIENTS} clients are connected: no more are taken");
    let reply = format!("{}\n", refused(&error, "try again in a moment"));
    let _ = wire::send(socket, reply.as_bytes(), &[]);
}
