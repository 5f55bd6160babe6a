//! The TCP sockets of this network namespace, from the kernel by NETLINK_SOCK_DIAG (sock_diag(7)).
//!
//! The first apply on a live host needs them: connections that are open and permitted are adopted.

use super::netlink::{self, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, malformed, messages, refusal, u32_at};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, send, setsockopt,
    socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

/// All sorted, each once; an IPv4 peer of an IPv6 socket reads as IPv4.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sockets {
    /// Those that are neither closed nor only waiting for stray segments.
    pub connections: Vec<Connection>,
    pub listeners: Vec<SocketAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connection {
    pub local: SocketAddr,
    pub peer: SocketAddr,
    /// Whose the socket is.
    pub user: u32,
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;

// TCP states as in the kernel's tcp_states.h.
const TIME_WAIT: u8 = 6;
const CLOSE: u8 = 7;
const LISTEN: u8 = 10;
const LAST_STATE: u8 = 12;

/// How often a dump that the kernel calls inconsistent is made again. After that it is taken as it is.
const TRIES: usize = 4;

/// # Errors
/// What the kernel says: for one, that it was built without `tcp_diag`, or forbids loading it.
pub fn read() -> io::Result<Sockets> {
    let diag = open()?;
    let (mut connections, mut listeners) = (BTreeSet::new(), BTreeSet::new());
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        for socket in dump(&diag, family)? {
            if socket.state == LISTEN {
                listeners.insert(socket.local);
            } else {
                connections.insert(Connection { local: socket.local, peer: socket.peer, user: socket.user });
            }
        }
    }
    Ok(Sockets { connections: connections.into_iter().collect(), listeners: listeners.into_iter().collect() })
}

fn open() -> io::Result<OwnedFd> {
    let protocol = SockProtocol::NetlinkSockDiag;
    let netlink = socket(AddressFamily::Netlink, SockType::Datagram, SockFlag::SOCK_CLOEXEC, protocol)?;
    bind(netlink.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    setsockopt(&netlink, sockopt::ReceiveTimeout, &TimeVal::seconds(5))?;
    Ok(netlink)
}

fn dump(diag: &OwnedFd, family: AddressFamily) -> io::Result<Vec<Socket>> {
    let mut found = Vec::new();
    for sequence in 1..=TRIES {
        found.clear();
        send(diag.as_raw_fd(), &request(family, sequence as u32), MsgFlags::empty())?;
        if !receive(diag, sequence as u32, &mut found)? {
            break;
        }
    }
    Ok(found)
}

/// A dump request for all TCP sockets of a family: `nlmsghdr` and `inet_diag_req_v2`.
fn request(family: AddressFamily, sequence: u32) -> Vec<u8> {
    let states: u32 =
        (1..=LAST_STATE).filter(|state| ![TIME_WAIT, CLOSE].contains(state)).map(|state| 1 << state).sum();
    let mut body = vec![family as u8, 6, 0, 0];
    body.extend(states.to_ne_bytes());
    body.resize(56, 0);
    netlink::dump_request(SOCK_DIAG_BY_FAMILY, sequence, &body)
}

/// Reads a dump to its end. True if the kernel says that sockets changed meanwhile.
fn receive(diag: &OwnedFd, sequence: u32, found: &mut Vec<Socket>) -> io::Result<bool> {
    let mut buffer = vec![0; 64 * 1024];
    let mut interrupted = false;
    loop {
        let (length, sender) = match recvfrom::<NetlinkAddr>(diag.as_raw_fd(), &mut buffer) {
            Err(Errno::EINTR) => continue,
            received => received?,
        };
        // Only the kernel has port 0.
        if sender.is_some_and(|sender| sender.pid() != 0) {
            continue;
        }
        let messages = messages(&buffer[..length]).ok_or_else(malformed)?;
        for (header, body) in messages.iter().filter(|(header, _)| header.seq == sequence) {
            interrupted |= header.flags & NLM_F_DUMP_INTR != 0;
            match header.kind {
                NLMSG_DONE => return Ok(interrupted),
                NLMSG_ERROR => return Err(refusal(body)),
                SOCK_DIAG_BY_FAMILY => found.push(Socket::read(body).ok_or_else(malformed)?),
                _ => {}
            }
        }
    }
}

#[derive(Debug, PartialEq)]
struct Socket {
    state: u8,
    local: SocketAddr,
    peer: SocketAddr,
    user: u32,
}

impl Socket {
    /// From an `inet_diag_msg`: family, state, timer, retransmits, then ports and addresses in network order, the interface,
    /// a cookie, three counters, the user.
    fn read(body: &[u8]) -> Option<Self> {
        let family = i32::from(*body.first()?);
        let state = *body.get(1)?;
        let port = |at: usize| Some(u16::from_be_bytes(*body.get(at..)?.first_chunk()?));
        let address = |at: usize| match family {
            _ if family == AddressFamily::Inet as i32 => {
                Some(IpAddr::from(Ipv4Addr::from(*body.get(at..)?.first_chunk::<4>()?)))
            }
            _ if family == AddressFamily::Inet6 as i32 => {
                Some(IpAddr::from(Ipv6Addr::from(*body.get(at..)?.first_chunk::<16>()?)).to_canonical())
            }
            _ => None,
        };
        let local = SocketAddr::new(address(8)?, port(4)?);
        let peer = SocketAddr::new(address(24)?, port(6)?);
        Some(Self { state, local, peer, user: u32_at(body, 64)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_listener_and_both_ends_of_its_connection_are_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let listening = listener.local_addr().unwrap();
        let client = TcpStream::connect(listening).unwrap();
        let (server, client_address) = listener.accept().unwrap();
        let sockets = read().unwrap();
        assert!(sockets.listeners.contains(&listening));
        let user = nix::unistd::getuid().as_raw();
        for (local, peer) in [(client_address, listening), (listening, client_address)] {
            assert!(sockets.connections.contains(&Connection { local, peer, user }));
        }
        drop((server, client, listener));
        let sockets = read().unwrap();
        assert!(!sockets.listeners.contains(&listening));
    }

    #[test]
    fn an_ipv4_peer_of_an_ipv6_listener_reads_as_ipv4() {
        let listener = TcpListener::bind("[::]:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (server, _) = listener.accept().unwrap();
        let (near, far) = (client.peer_addr().unwrap(), client.local_addr().unwrap());
        assert!(server.local_addr().unwrap().is_ipv6());
        let sockets = read().unwrap();
        assert!(sockets.connections.iter().any(|open| (open.local, open.peer) == (near, far)));
        assert!(sockets.listeners.contains(&listener.local_addr().unwrap()));
    }

    #[test]
    fn what_is_cut_short_is_not_read() {
        let mut body = vec![2, 1, 0, 0, 0, 22, 0x13, 0x88];
        body.extend([192, 0, 2, 1].into_iter().chain([0; 12]));
        body.extend([192, 0, 2, 2].into_iter().chain([0; 36]));
        body.extend(1000_u32.to_ne_bytes());
        let whole = Socket {
            state: 1,
            local: "192.0.2.1:22".parse().unwrap(),
            peer: "192.0.2.2:5000".parse().unwrap(),
            user: 1000,
        };
        assert_eq!(Socket::read(&body), Some(whole));
        assert_eq!(Socket::read(&body[..67]), None);
        assert_eq!(Socket::read(&[9, 1]), None);
        let message = request(AddressFamily::Inet, 7);
        assert_eq!(messages(&message).unwrap()[0].0.seq, 7);
        for length in 1..message.len() {
            assert!(messages(&message[..length]).is_none(), "{length}");
        }
        let mut tiny = message;
        tiny[0] = 3;
        assert!(messages(&tiny).is_none());
    }
}
