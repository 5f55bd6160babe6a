//! Sockets that std cannot make: a connection under way from a chosen port.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, setsockopt, socket, sockopt,
};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// A non-blocking TCP connection from `from` to `to` whose first segment was sent.
pub fn connecting(from: SocketAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    // The port is free at once: a closed probe leaves no TIME_WAIT behind.
    setsockopt(&fd, sockopt::Linger, &nix::libc::linger { l_onoff: 1, l_linger: 0 })?;
    bind(fd.as_raw_fd(), &SockaddrStorage::from(from))?;
    match connect(fd.as_raw_fd(), &SockaddrStorage::from(to)) {
        Ok(()) | Err(nix::errno::Errno::EINPROGRESS) => Ok(TcpStream::from(fd)),
        Err(error) => Err(error.into()),
    }
}

/// Waits at most `wait` for the connection to stand or to fail.
pub fn connected(stream: &TcpStream, wait: Duration) -> io::Result<bool> {
    if !ready(stream, PollFlags::POLLOUT, wait) {
        return Ok(false);
    }
    match stream.take_error()? {
        Some(error) => Err(error),
        None => stream.peer_addr().map(|_| true),
    }
}

/// Waits at most `wait` for something to read.
pub fn readable(socket: &impl AsFd, wait: Duration) -> bool {
    ready(socket, PollFlags::POLLIN, wait)
}

fn ready(socket: &impl AsFd, flags: PollFlags, wait: Duration) -> bool {
    let timeout = PollTimeout::try_from(wait).expect("a short wait");
    let mut fds = [PollFd::new(socket.as_fd(), flags)];
    matches!(poll(&mut fds, timeout), Ok(1))
}
