//! One question put to one server: its socket, and what has come of it so far.

use super::judge::{Judged, Transport, judge};
use super::outcome::Failure;
use super::question::Question;
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

pub(super) struct Exchange {
    question: Question,
    channel: Channel,
}

enum Channel {
    Udp(UdpSocket),
    Tcp(Stream),
}

struct Stream {
    socket: TcpStream,
    outbox: Vec<u8>,
    sent: usize,
    inbox: Vec<u8>,
}

pub(super) enum Progress {
    Pending,
    Message(Judged),
    /// The socket is of no more use.
    Broken(Failure),
}

impl Exchange {
    pub(super) fn udp(server: SocketAddr, question: Question) -> io::Result<Self> {
        let socket = UdpSocket::from(connected(server, SockType::Datagram)?);
        socket.send(&question.query())?;
        Ok(Self { question, channel: Channel::Udp(socket) })
    }

    pub(super) fn tcp(server: SocketAddr, question: Question) -> io::Result<Self> {
        let socket = TcpStream::from(connected(server, SockType::Stream)?);
        let query = question.query();
        let mut outbox = u16::try_from(query.len()).expect("a query is short").to_be_bytes().to_vec();
        outbox.extend(query);
        let stream = Stream { socket, outbox, sent: 0, inbox: Vec::new() };
        Ok(Self { question, channel: Channel::Tcp(stream) })
    }

    pub(super) fn is_tcp(&self) -> bool {
        matches!(self.channel, Channel::Tcp(_))
    }

    #[cfg(test)]
    pub(super) fn local_port(&self) -> u16 {
        let address = match &self.channel {
            Channel::Udp(socket) => socket.local_addr(),
            Channel::Tcp(stream) => stream.socket.local_addr(),
        };
        address.unwrap().port()
    }

    /// What to wait for before the next [`Self::advance`].
    pub(super) fn interest(&self) -> (BorrowedFd<'_>, PollFlags) {
        match &self.channel {
            Channel::Udp(socket) => (socket.as_fd(), PollFlags::POLLIN),
            Channel::Tcp(stream) if stream.sent < stream.outbox.len() => {
                (stream.socket.as_fd(), PollFlags::POLLOUT)
            }
            Channel::Tcp(stream) => (stream.socket.as_fd(), PollFlags::POLLIN),
        }
    }

    /// Does what can be done without waiting; by UDP at most one datagram.
    pub(super) fn advance(&mut self) -> Progress {
        let (read, transport) = match &mut self.channel {
            Channel::Udp(socket) => (datagram(socket), Transport::Udp),
            Channel::Tcp(stream) => (stream.message(), Transport::Tcp),
        };
        match read {
            Ok(message) => Progress::Message(judge(&message, &self.question, transport)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Progress::Pending
            }
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Progress::Broken(Failure::Malformed),
            Err(_) => Progress::Broken(Failure::Unreachable),
        }
    }
}

/// A socket that never waits, connected in one step with a port that the kernel picks at random: a socket bound before
/// would take datagrams from anybody until it is connected.
fn connected(server: SocketAddr, kind: SockType) -> io::Result<OwnedFd> {
    let family = match server {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let socket = socket(family, kind, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None)?;
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(server)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

fn datagram(socket: &UdpSocket) -> io::Result<Vec<u8>> {
    // More than was asked for is ignored by its length, so that its end need not be read.
    let mut buffer = [0; 2048];
    let length = socket.recv(&mut buffer)?;
    Ok(buffer[..length].to_vec())
}

impl Stream {
    /// Sends what is left to send, then reads one message after its length.
    fn message(&mut self) -> io::Result<Vec<u8>> {
        while self.sent < self.outbox.len() {
            self.sent += self.socket.write(&self.outbox[self.sent..])?;
        }
        let mut buffer = [0; 4096];
        loop {
            let wanted = match self.inbox.first_chunk::<2>() {
                Some(length) => 2 + usize::from(u16::from_be_bytes(*length)),
                None => 2,
            };
            if wanted > 2 && self.inbox.len() >= wanted {
                return Ok(self.inbox[2..wanted].to_vec());
            }
            match self.socket.read(&mut buffer)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                length => self.inbox.extend(&buffer[..length]),
            }
        }
    }
}
