//! The agent's end: starts the worker, speaks to it without ever waiting, and sees its end.

use super::message::{FromWorker, MOST_OCTETS, ToWorker, Unfit, decode, encode};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, Shutdown, SockFlag, SockType, recv, send, setsockopt, shutdown, socketpair,
    sockopt,
};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// The hidden verb that makes this program the worker.
const VERB: &str = "worker";
/// Messages that wait for room in the socket.
const MOST_WAITING: usize = 64;

/// A worker that runs, or has ended.
pub struct Worker {
    child: Child,
    socket: OwnedFd,
    outbox: VecDeque<Vec<u8>>,
    inbox: Vec<u8>,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("as many messages wait for the worker as may")]
    Full,
    #[error("the worker is gone")]
    Gone,
    #[error(transparent)]
    Unfit(Unfit),
}

/// Why the worker is of no more use: it is to be killed, and another started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("the worker is gone")]
    Gone,
    #[error("the worker sent what it may not: {0}")]
    Malformed(Unfit),
}

impl Worker {
    /// Starts this program as the worker. It gets the socket of the kernel's log, if there is one, and nothing else.
    ///
    /// # Errors
    /// Only if the machine cannot start a process. A worker that cannot raise its walls says so by
    /// [`FromWorker::Refused`], and ends.
    pub fn start(log: Option<OwnedFd>) -> io::Result<Self> {
        Self::start_program(Path::new("/proc/self/exe"), log)
    }

    /// Starts another program as the worker.
    pub fn start_program(program: &Path, log: Option<OwnedFd>) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (socket, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
        for end in [&socket, &theirs] {
            make_room(end)?;
        }
        let child = Command::new(program)
            .arg(VERB)
            .env_clear()
            .current_dir("/")
            // Signals from a terminal are for the agent, which ends its worker by itself.
            .process_group(0)
            .stdin(theirs)
            .stdout(log.map_or_else(Stdio::null, Stdio::from))
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { child, socket, outbox: VecDeque::new(), inbox: vec![0; MOST_OCTETS] })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What to poll: always for reading, and for writing while [`Self::wants_write`].
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether messages wait for room. [`Self::flush`] sends them once there is some.
    pub fn wants_write(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Sends, or keeps the message until there is room.
    pub fn send(&mut self, message: &ToWorker) -> Result<(), Refusal> {
        let packet = encode(message).map_err(Refusal::Unfit)?;
        self.flush().map_err(|_| Refusal::Gone)?;
        if self.outbox.len() >= MOST_WAITING {
            return Err(Refusal::Full);
        }
        self.outbox.push_back(packet);
        self.flush().map_err(|_| Refusal::Gone)
    }

    /// Sends what waits, as far as there is room.
    pub fn flush(&mut self) -> Result<(), Problem> {
        send_all(self.socket.as_fd(), &mut self.outbox).map_err(|_| Problem::Gone)
    }

    /// One message; `None` if none waits. What a worker sent before it ended still comes, also after [`Refusal::Gone`]. Nothing forces a worker to stop sending: who reads in a loop counts.
    pub fn receive(&mut self) -> Result<Option<FromWorker>, Problem> {
        match receive(self.socket.as_fd(), &mut self.inbox).map_err(|_| Problem::Gone)? {
            Received::Nothing => Ok(None),
            Received::End => Err(Problem::Gone),
            Received::Packet(packet) => packet.and_then(decode).map(Some).map_err(Problem::Malformed),
        }
    }

    /// How it ended, if it has. Never waits.
    pub fn reap(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Ends it, and waits until it has ended.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        // One that may not be signalled, for it has another user, sees that its agent is gone.
        let _ = shutdown(self.socket.as_raw_fd(), Shutdown::Both);
        self.child.kill()?;
        self.child.wait()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// So that the largest message fits: the kernel's default may be less. Only who administers the network may pass its limit.
fn make_room(socket: &OwnedFd) -> io::Result<()> {
    let forced = setsockopt(socket, sockopt::SndBufForce, &MOST_OCTETS);
    Ok(forced.or_else(|_| setsockopt(socket, sockopt::SndBuf, &MOST_OCTETS))?)
}

/// Sends from the front until nothing is left or there is no room.
pub(super) fn send_all(socket: BorrowedFd<'_>, packets: &mut VecDeque<Vec<u8>>) -> Result<(), Errno> {
    while let Some(packet) = packets.front() {
        match send(socket.as_raw_fd(), packet, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT) {
            Ok(_) => drop(packets.pop_front()),
            Err(Errno::EAGAIN) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

pub(super) enum Received<'a> {
    Nothing,
    End,
    Packet(Result<&'a [u8], Unfit>),
}

/// Receives one packet. Descriptors that come with it are closed by the kernel, as there is no room for them.
pub(super) fn receive<'a>(socket: BorrowedFd<'_>, inbox: &'a mut [u8]) -> Result<Received<'a>, Errno> {
    loop {
        // With MSG_TRUNC the length is that of the packet, also where the inbox is too short for it.
        match recv(socket.as_raw_fd(), inbox, MsgFlags::MSG_TRUNC | MsgFlags::MSG_DONTWAIT) {
            Ok(0) => return Ok(Received::End),
            Ok(length) => return Ok(Received::Packet(inbox.get(..length).ok_or(Unfit::TooLong(length)))),
            Err(Errno::EAGAIN) => return Ok(Received::Nothing),
            // A side that ended without having read all resets the connection, once: what it sent before is still there.
            Err(Errno::EINTR | Errno::ECONNRESET) => {}
            Err(error) => return Err(error),
        }
    }
}
