//! The socket: a subscription to one group of the kernel's log.

use super::wire::{self, PACKET, chunk, messages, receive, request};
use crate::frames::NLMSG_ERROR;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, send, setsockopt, socket,
    sockopt,
};
use std::io::{self, Error, ErrorKind};
use std::os::fd::{AsRawFd, OwnedFd};

/// Each group has one reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "another program reads group {0} of the kernel's packet log; set `nflog-group` in [log] to a free one"
)]
pub struct GroupTaken(pub u16);

/// `NFNL_SUBSYS_ULOG` with `NFULNL_MSG_CONFIG`.
const CONFIG: u16 = 4 << 8 | 1;

const COMMAND: u16 = 1;
const MODE: u16 = 2;
const BUFFER: u16 = 3;
const TIMEOUT: u16 = 4;
const THRESHOLD: u16 = 5;
const FLAGS: u16 = 6;

const BIND: u8 = 1;
const COPY_PACKET: u8 = 2;
const SEQUENCE_NUMBERS: u16 = 1;

/// Octets of a packet that are handed over: headers, also behind a few extension headers.
const COPIED: u32 = 128;
/// The kernel sends a datagram when it holds so many packets, or 50 ms (in hundredths of a second) after the first.
const PACKETS: u32 = 32;
const DELAY: u32 = 5;
const DATAGRAM: u32 = 16 * 1024;
/// What may wait in the socket: some thousand packets.
const WAITING: usize = 2 * 1024 * 1024;

/// A socket that receives what this network namespace logs to a group, and does not block. It stays subscribed in the hands
/// of a process without rights, until it is closed.
///
/// # Errors
/// [`GroupTaken`] inside the error if another program reads the group; else what the kernel says: for one, that it was built
/// without `nfnetlink_log`.
pub fn open(group: u16) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let log = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkNetFilter)?;
    bind(log.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    // The limit of the system holds where the user namespace may not pass it.
    if setsockopt(&log, sockopt::RcvBufForce, &WAITING).is_err() {
        setsockopt(&log, sockopt::RcvBuf, &WAITING)?;
    }
    match ask(&log, &subscription(group))? {
        Ok(()) => Ok(log),
        Err(Errno::EBUSY) => Err(taken(group)),
        Err(Errno::EPERM) if may_configure(&log)? => Err(taken(group)),
        Err(error) => Err(error.into()),
    }
}

fn taken(group: u16) -> Error {
    Error::new(ErrorKind::AddrInUse, GroupTaken(group))
}

/// The kernel says EPERM of a group that another socket has. To who has no rights it says so of any message, even of one that
/// is none.
fn may_configure(log: &OwnedFd) -> io::Result<bool> {
    Ok(ask(log, &request(PACKET, 0, &[]))? != Err(Errno::EPERM))
}

fn subscription(group: u16) -> Vec<u8> {
    let mut mode = COPIED.to_be_bytes().to_vec();
    mode.extend([COPY_PACKET, 0]);
    let attributes: [(u16, &[u8]); 6] = [
        (COMMAND, &[BIND]),
        (MODE, &mode),
        (BUFFER, &DATAGRAM.to_be_bytes()),
        (TIMEOUT, &DELAY.to_be_bytes()),
        (THRESHOLD, &PACKETS.to_be_bytes()),
        (FLAGS, &SEQUENCE_NUMBERS.to_be_bytes()),
    ];
    request(CONFIG, group, &attributes)
}

/// Sends a request and reads on to its acknowledgement, which is there when the request has been sent.
fn ask(log: &OwnedFd, request: &[u8]) -> io::Result<Result<(), Errno>> {
    send(log.as_raw_fd(), request, MsgFlags::empty())?;
    let mut buffer = vec![0; wire::BUFFER];
    loop {
        let length = receive(log, &mut buffer)?;
        let answer = messages(&buffer[..length]).find(|(header, _)| header.kind == NLMSG_ERROR);
        if let Some((_, body)) = answer {
            let code = chunk(body, 0).map_or(0, i32::from_ne_bytes);
            return Ok(if code == 0 { Ok(()) } else { Err(Errno::from_raw(code.wrapping_neg())) });
        }
    }
}
