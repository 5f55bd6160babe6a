//! One question put to one server: its socket, and what has come of it so far.

use super::judge::{Judged, Transport, judge};
use super::outcome::Failure;
use super::question::Question;
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

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
    /// The kernel picks a port at random for each socket, and takes datagrams from the server's address alone.
    pub(super) fn udp(server: SocketAddr, question: Question) -> io::Result<Self> {
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        socket.send(&question.query())?;
        Ok(Self { question, channel: Channel::Udp(socket) })
    }

    pub(super) fn tcp(server: SocketAddr, question: Question) -> io::Result<Self> {
        let family = match server {
            SocketAddr::V4(_) => AddressFamily::Inet,
            SocketAddr::V6(_) => AddressFamily::Inet6,
        };
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = socket(family, SockType::Stream, flags, None)?;
        match connect(socket.as_raw_fd(), &SockaddrStorage::from(server)) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let query = question.query();
        let mut outbox = u16::try_from(query.len()).expect("a query is short").to_be_bytes().to_vec();
        outbox.extend(query);
        let stream = Stream { socket: TcpStream::from(socket), outbox, sent: 0, inbox: Vec::new() };
        Ok(Self { question, channel: Channel::Tcp(stream) })
    }

    pub(super) fn is_tcp(&self) -> bool {
        matches!(self.channel, Channel::Tcp(_))
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
