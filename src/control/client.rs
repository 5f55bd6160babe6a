//! A command's end of the socket.

use super::{MOST_REPLY, MOST_REQUEST, Request, listener, wire};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{Gid, Group};
use rustix::io::Errno as Refusal;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, sockopt::Timeout,
    sockopt::set_socket_timeout,
};
use serde_json::Value;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub struct Client {
    socket: OwnedFd,
    path: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("{}: no permission; only root and {members} may ask the daemon", path.display())]
    Forbidden { path: PathBuf, members: String },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: a daemon runs, and its socket was removed; restart it", path.display())]
    Deaf { path: PathBuf },
    #[error("{}: the daemon does not accept connections; see `systemctl status portgrave`", path.display())]
    Busy { path: PathBuf },
    #[error("the request has {0} octets; {MOST_REQUEST} are allowed")]
    TooLong(usize),
    #[error("the daemon did not answer within {} seconds; see `systemctl status portgrave`", .0.as_secs())]
    Timeout(Duration),
    #[error("the daemon ended before it answered; see `journalctl -u portgrave`")]
    Ended,
    #[error("the daemon's reply is not one of portgrave's: {0}")]
    Malformed(String),
    /// The daemon's own words. The whole reply is there for what else it has.
    #[error("{error}")]
    Refused { error: String, help: Option<String>, reply: Value },
}

/// How long the daemon may take to accept a connection.
const ACCEPTED_WITHIN: Duration = Duration::from_secs(10);

impl Client {
    /// `None` where no daemon runs: there is no socket, or nobody listens.
    pub fn connect(path: &Path) -> Result<Option<Self>, ClientError> {
        let failed = |errno: Refusal| ClientError::Io { path: path.to_owned(), source: errno.into() };
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .map_err(failed)?;
        set_socket_timeout(&socket, Timeout::Send, Some(ACCEPTED_WITHIN)).map_err(failed)?;
        let address = SocketAddrUnix::new(path).map_err(failed)?;
        loop {
            return match connect(&socket, &address) {
                Ok(()) => Ok(Some(Self { socket, path: path.to_owned() })),
                Err(Refusal::INTR) => continue,
                Err(Refusal::NOENT | Refusal::CONNREFUSED) if listener::is_held(path) => {
                    Err(ClientError::Deaf { path: path.to_owned() })
                }
                Err(Refusal::NOENT | Refusal::CONNREFUSED) => Ok(None),
                Err(Refusal::ACCESS | Refusal::PERM) => Err(forbidden(path)),
                Err(Refusal::AGAIN) => Err(ClientError::Busy { path: path.to_owned() }),
                Err(errno) => Err(failed(errno)),
            };
        }
    }

    /// Asks, and waits for the reply: for good without a timeout.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where the daemon says no.
    pub fn ask(
        self,
        request: &Request,
        files: &[OwnedFd],
        timeout: Option<Duration>,
    ) -> Result<Value, ClientError> {
        let line = request.to_line();
        if line.len() > MOST_REQUEST {
            return Err(ClientError::TooLong(line.len()));
        }
        let wait = Wait { timeout, end: timeout.map(|timeout| Instant::now() + timeout) };
        self.send(line.as_bytes(), files, &wait)?;
        understand(&self.receive(&wait)?)
    }

    fn send(&self, line: &[u8], files: &[OwnedFd], wait: &Wait) -> Result<(), ClientError> {
        let files: Vec<BorrowedFd<'_>> = files.iter().map(AsFd::as_fd).collect();
        let mut sent = 0;
        while sent < line.len() {
            let with: &[BorrowedFd<'_>] = if sent == 0 { &files } else { &[] };
            match wire::send(self.socket.as_fd(), &line[sent..], with) {
                Ok(Some(octets)) => sent += octets,
                Ok(None) => self.wait(PollFlags::POLLOUT, wait)?,
                // It has said why, and closed.
                Err(error) if has_closed(&error) => return Ok(()),
                Err(error) => return Err(self.told(error)),
            }
        }
        Ok(())
    }

    /// A line, without its end.
    fn receive(&self, wait: &Wait) -> Result<Vec<u8>, ClientError> {
        let mut received = Vec::new();
        let mut buffer = [0; 64 * 1024];
        loop {
            match wire::receive(self.socket.as_fd(), &mut buffer) {
                Ok(None) => self.wait(PollFlags::POLLIN, wait)?,
                Ok(Some(piece)) if piece.octets == 0 => return Err(ClientError::Ended),
                Ok(Some(piece)) => received.extend(&buffer[..piece.octets]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Err(ClientError::Ended);
                }
                Err(error) => return Err(self.told(error)),
            }
            if received.last() == Some(&b'\n') {
                received.pop();
                return Ok(received);
            }
            if received.len() > MOST_REPLY {
                return Err(ClientError::Malformed(format!("more than {MOST_REPLY} octets")));
            }
        }
    }

    fn wait(&self, events: PollFlags, wait: &Wait) -> Result<(), ClientError> {
        let mut polled = [PollFd::new(self.socket.as_fd(), events)];
        match poll(&mut polled, wait.left()?) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(self.told(errno.into())),
        }
    }

    fn told(&self, source: io::Error) -> ClientError {
        ClientError::Io { path: self.path.clone(), source }
    }
}

fn has_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// How long an answer may take.
struct Wait {
    timeout: Option<Duration>,
    end: Option<Instant>,
}

impl Wait {
    fn left(&self) -> Result<PollTimeout, ClientError> {
        let (Some(timeout), Some(end)) = (self.timeout, self.end) else { return Ok(PollTimeout::NONE) };
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ClientError::Timeout(timeout));
        }
        // A whole millisecond at least, so that the end is not polled for.
        Ok(PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX))
    }
}

fn understand(line: &[u8]) -> Result<Value, ClientError> {
    let reply: Value =
        serde_json::from_slice(line).map_err(|error| ClientError::Malformed(error.to_string()))?;
    match reply.get("ok").and_then(Value::as_bool) {
        Some(true) => Ok(reply),
        Some(false) => {
            let field = |name| reply.get(name).and_then(Value::as_str).map(str::to_owned);
            let error = field("error").unwrap_or_else(|| "the daemon refused without a word".into());
            Err(ClientError::Refused { error, help: field("help"), reply })
        }
        None => Err(ClientError::Malformed("no `ok`".into())),
    }
}

/// Who may connect is what the mode and the group of the socket say.
fn forbidden(path: &Path) -> ClientError {
    let group =
        std::fs::metadata(path).ok().filter(|found| found.mode() & 0o060 == 0o060).map(|found| found.gid());
    let members = match group {
        None => "the user of the daemon".to_owned(),
        Some(gid) => match Group::from_gid(Gid::from_raw(gid)) {
            Ok(Some(group)) => format!("members of the group {}", group.name),
            Ok(None) | Err(_) => format!("members of the group with number {gid}"),
        },
    };
    ClientError::Forbidden { path: path.to_owned(), members }
}
