//! The messages of netfilter's log.

use crate::frames::{self, ATTRIBUTE, Attrs, Header, Messages};
use nix::errno::Errno;
use nix::sys::socket::{NetlinkAddr, recvfrom};
use std::os::fd::{AsFd, AsRawFd};

/// `NFNL_SUBSYS_ULOG` with `NFULNL_MSG_PACKET`, which only the kernel sends.
pub(super) const PACKET: u16 = 4 << 8;

/// More than the kernel puts into one datagram of a socket by [`open`](super::open).
pub(super) const BUFFER: usize = 64 * 1024;

/// `nfgenmsg`: family, version, resource.
const GENERIC: usize = 4;

/// The length of the kernel's next datagram. That others were lost is no error: the numbers of the next tell.
pub(super) fn receive(socket: impl AsFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    loop {
        match recvfrom::<NetlinkAddr>(socket.as_fd().as_raw_fd(), buffer) {
            Err(Errno::EINTR | Errno::ENOBUFS) => {}
            // Only the kernel has port 0.
            Ok((_, Some(sender))) if sender.pid() != 0 => {}
            received => return received.map(|(length, _)| length),
        }
    }
}

/// The messages of a datagram up to the first that does not fit.
pub(super) fn messages(datagram: &[u8]) -> impl Iterator<Item = (Header, &[u8])> {
    Messages::new(datagram).map_while(Result::ok)
}

/// The attributes of a message of netfilter, each with its number, up to the first that does not fit.
pub(super) fn attributes(body: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    Attrs::new(body.get(GENERIC..).unwrap_or_default()).map_while(Result::ok)
}

/// `N` octets from a place on, where there are so many.
pub(super) fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// A request of netfilter with its attributes, to be acknowledged.
pub(super) fn request(kind: u16, resource: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    const REQUEST_AND_ACK: u16 = 0x5;
    let mut body = vec![0, 0];
    body.extend(resource.to_be_bytes());
    for (kind, value) in attributes {
        body.extend(short(ATTRIBUTE + value.len()).to_ne_bytes());
        body.extend(kind.to_ne_bytes());
        body.extend(*value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    frames::message(kind, REQUEST_AND_ACK, 0, &body)
}

/// Requests are far shorter than what a length can say.
fn short(length: usize) -> u16 {
    u16::try_from(length).expect("a short request")
}
