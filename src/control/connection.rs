//! One client: its request comes in pieces, waits for the daemon, and its reply goes out in pieces.

use super::judge::{Fault, MayChange, judge};
use super::request::Request;
use super::sealed::Sealed;
use super::server::Peer;
use super::{MOST_CLIENTS, MOST_LISTS, MOST_REPLY, MOST_REQUEST, PATIENCE, refused, wire};
use nix::poll::PollFlags;
use serde::Serialize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

pub(super) struct Connection {
    socket: OwnedFd,
    pub peer: Peer,
    state: State,
    /// Files of a request that was refused, until the server has them closed.
    refused: Vec<OwnedFd>,
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

impl Connection {
    pub(super) fn new(socket: OwnedFd, peer: Peer, now: Duration) -> Self {
        let state = State::Asking { received: Vec::new(), files: Vec::new(), until: now + PATIENCE };
        Self { socket, peer, state, refused: Vec::new() }
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
                match read(self.socket.as_fd(), received, files, &self.peer, may_change) {
                    Ok(Reading::Unfinished) => {}
                    Ok(Reading::Gone) => self.end(),
                    Ok(Reading::Whole) => {
                        let (line, files) = (std::mem::take(received), std::mem::take(files));
                        return self.ask(&line, files, may_change, now);
                    }
                    Err(fault) => self.fail(&fault, now),
                }
            }
            // Nothing was asked of poll: the other end has gone.
            State::Waiting => self.end(),
            State::Answered { .. } => self.write(),
            State::Over => {}
        }
        None
    }

    fn ask(
        &mut self,
        line: &[u8],
        files: Vec<OwnedFd>,
        may_change: &MayChange,
        now: Duration,
    ) -> Option<(Request, Vec<Sealed>)> {
        match judge(line, &files, &self.peer, may_change) {
            Ok(asked) => {
                self.become_state(State::Waiting);
                Some(asked)
            }
            Err(fault) => {
                self.refused = files;
                self.fail(&fault, now);
                None
            }
        }
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
    pub(super) fn reply(&mut self, reply: &impl Serialize, now: Duration) {
        if matches!(self.state, State::Waiting) {
            self.answer(reply, now);
        }
    }

    /// Makes room for another; what is being answered is cut off.
    pub(super) fn give_way(&self) {
        if !matches!(self.state, State::Answered { .. }) {
            turn_away(self.socket.as_fd());
        }
    }

    fn fail(&mut self, fault: &Fault, now: Duration) {
        self.answer(&refused(&fault.to_string(), fault.help()), now);
    }

    fn answer(&mut self, reply: &impl Serialize, now: Duration) {
        let written = serde_json::to_string(reply);
        let mut reply =
            written.unwrap_or_else(|error| refused(&error.to_string(), "").to_string()).into_bytes();
        reply.push(b'\n');
        if reply.len() > MOST_REPLY {
            let error = format!("the reply would have {} octets; {MOST_REPLY} are allowed", reply.len());
            reply = format!("{}\n", refused(&error, "")).into_bytes();
        }
        self.become_state(State::Answered { reply, sent: 0, until: now + PATIENCE });
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
        self.become_state(State::Over);
    }

    fn become_state(&mut self, state: State) {
        if let State::Asking { files, .. } = std::mem::replace(&mut self.state, state) {
            self.refused.extend(files);
        }
    }

    /// What is to be closed: the connection, and files that it has sent for nothing.
    pub(super) fn into_parts(mut self) -> (OwnedFd, Vec<OwnedFd>) {
        self.become_state(State::Over);
        (self.socket, self.refused)
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

enum Reading {
    Unfinished,
    Whole,
    Gone,
}

/// Reads what is there.
fn read(
    socket: BorrowedFd<'_>,
    received: &mut Vec<u8>,
    files: &mut Vec<OwnedFd>,
    peer: &Peer,
    may_change: &MayChange,
) -> Result<Reading, Fault> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let piece = match wire::receive(socket, &mut buffer) {
            Ok(Some(piece)) => piece,
            Ok(None) => return Ok(Reading::Unfinished),
            Err(_) => return Ok(Reading::Gone),
        };
        files.extend(piece.files);
        if piece.truncated {
            return Err(Fault::FilesLost);
        }
        if !files.is_empty() && !may_change.allows(peer) {
            return Err(Fault::FilesForbidden(may_change.words(peer)));
        }
        if files.len() > MOST_LISTS + 1 {
            return Err(Fault::TooManyFiles);
        }
        // The end of all it says is the end of its request.
        if piece.octets == 0 {
            return Ok(if received.is_empty() { Reading::Gone } else { Reading::Whole });
        }
        received.extend(&buffer[..piece.octets]);
        if let Some(end) = received.iter().position(|octet| *octet == b'\n') {
            return whole(received.len(), end + 1);
        }
        if received.len() > MOST_REQUEST {
            return Err(Fault::TooLong);
        }
    }
}

fn whole(received: usize, line: usize) -> Result<Reading, Fault> {
    if line > MOST_REQUEST {
        Err(Fault::TooLong)
    } else if line < received {
        Err(Fault::MoreThanOne)
    } else {
        Ok(Reading::Whole)
    }
}

/// Tells a client that there is no room for it, if its socket takes so much at once.
pub(super) fn turn_away(socket: BorrowedFd<'_>) {
    let error = format!("{MOST_CLIENTS} clients are connected: no more are taken");
    let reply = format!("{}\n", refused(&error, "try again in a moment"));
    let _ = wire::send(socket, reply.as_bytes(), &[]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::seal;
    use serde_json::{Value, json};
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixStream;

    const ROOT: MayChange = MayChange { own: 0 };
    const START: Duration = Duration::from_secs(1000);

    struct Pair {
        theirs: UnixStream,
        ours: Connection,
    }

    impl Pair {
        fn with_uid(uid: u32) -> Self {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let peer = Peer { pid: 1, uid, gid: uid };
            Self { theirs, ours: Connection::new(ours.into(), peer, START) }
        }

        fn send(&mut self, line: &str, may_change: &MayChange) -> Option<(Request, Vec<Sealed>)> {
            self.theirs.write_all(line.as_bytes()).unwrap();
            self.ours.advance(may_change, START)
        }

        fn answer(self) -> Value {
            let mut line = String::new();
            BufReader::new(self.theirs).read_line(&mut line).unwrap();
            serde_json::from_str(&line).unwrap()
        }
    }

    #[test]
    fn who_may_change_things_are_root_and_the_user_of_the_daemon() {
        for (uid, own, allowed) in
            [(0, 0, true), (1000, 0, false), (0, 990, true), (990, 990, true), (991, 990, false)]
        {
            for request in [Request::Reload {}, Request::Status {}] {
                let mut pair = Pair::with_uid(uid);
                let asked = pair.send(&request.to_line(), &MayChange { own });
                assert_eq!(asked.is_some(), allowed || !request.changes(), "{uid} {own} {request:?}");
                if asked.is_none() {
                    let answer = pair.answer();
                    assert_eq!(answer["ok"], false);
                    let error = answer["error"].as_str().unwrap();
                    assert!(
                        error.starts_with("only root") && error.contains(&format!("not uid {uid}")),
                        "{error}"
                    );
                    assert!(answer["help"].as_str().unwrap().contains("as root"));
                }
            }
        }
    }

    #[test]
    fn files_are_taken_only_from_who_may_change_things() {
        for (uid, allowed) in [(0, true), (1000, false)] {
            let mut pair = Pair::with_uid(uid);
            let file = seal(&b"text"[..]).unwrap();
            let line = Request::Apply {}.to_line();
            wire::send(pair.theirs.as_fd(), line.as_bytes(), &[file.as_fd()]).unwrap();
            let asked = pair.ours.advance(&ROOT, START);
            assert_eq!(asked.map(|(_, files)| files[0].read().unwrap()), allowed.then(|| b"text".to_vec()));
        }
    }

    #[test]
    fn a_request_may_come_octet_by_octet_within_ten_seconds() {
        let mut pair = Pair::with_uid(1000);
        let line = Request::Names {}.to_line();
        let (last, first) = line.as_bytes().split_last().unwrap();
        for octet in first {
            assert!(pair.send(&char::from(*octet).to_string(), &ROOT).is_none());
        }
        pair.ours.expire(START + PATIENCE - Duration::from_millis(1));
        assert!(!pair.ours.is_over());
        let asked = pair.send(&char::from(*last).to_string(), &ROOT);
        assert_eq!(asked.map(|(request, _)| request), Some(Request::Names {}));
        assert_eq!(pair.ours.deadline(), None);

        let mut slow = Pair::with_uid(1000);
        assert!(slow.send("{", &ROOT).is_none());
        assert_eq!(slow.ours.deadline(), Some(START + PATIENCE));
        slow.ours.expire(START + PATIENCE);
        assert!(slow.ours.is_over());
        assert!(slow.answer()["error"].as_str().unwrap().contains("within 10 seconds"));
    }

    #[test]
    fn a_reply_that_is_not_read_is_given_up_after_ten_seconds() {
        let mut pair = Pair::with_uid(1000);
        assert!(pair.send(&Request::Names {}.to_line(), &ROOT).is_some());
        pair.ours.reply(&json!({ "ok": true, "text": "x".repeat(4 << 20) }), START);
        assert_eq!(pair.ours.interest(), PollFlags::POLLOUT);
        pair.ours.expire(START + PATIENCE - Duration::from_millis(1));
        assert!(!pair.ours.is_over());
        pair.ours.expire(START + PATIENCE);
        assert!(pair.ours.is_over());
    }

    #[test]
    fn a_reply_beyond_the_limit_becomes_an_error() {
        let mut pair = Pair::with_uid(0);
        assert!(pair.send(&Request::Names {}.to_line(), &ROOT).is_some());
        pair.ours.reply(&json!({ "ok": true, "text": "x".repeat(MOST_REPLY) }), START);
        let answer = pair.answer();
        assert_eq!(answer["ok"], false);
        assert!(answer["error"].as_str().unwrap().contains("16777216 are allowed"), "{answer}");
    }

    #[test]
    fn only_a_client_that_waits_is_answered_and_once() {
        let mut pair = Pair::with_uid(0);
        pair.ours.reply(&json!({ "ok": true, "number": 1 }), START);
        assert!(pair.send(&Request::Ping {}.to_line(), &ROOT).is_some());
        pair.ours.reply(&json!({ "ok": true, "number": 2 }), START);
        pair.ours.reply(&json!({ "ok": true, "number": 3 }), START);
        assert_eq!(pair.answer()["number"], 2);
    }
}
