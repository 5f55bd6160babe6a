//! Octets and descriptors on a unix stream socket.

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

/// The kernel takes no more descriptors in one message (SCM_MAX_FD), so that none is cut off for want of room.
const MOST_DESCRIPTORS: usize = 253;
const ANCILLARY: usize = rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS));

/// What one reading brought; without octets, the other end has said all it will say.
pub(super) struct Received {
    pub octets: usize,
    pub files: Vec<OwnedFd>,
    /// Descriptors were lost: this process may open no more.
    pub truncated: bool,
}

/// Reads without waiting; `None` if there is nothing yet.
pub(super) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Option<Received>> {
    let mut space = [MaybeUninit::uninit(); ANCILLARY];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let message = loop {
        match recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut ancillary, flags) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(None),
            received => break received?,
        }
    };
    let mut files = Vec::new();
    for part in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = part {
            files.extend(descriptors);
        }
    }
    let truncated = message.flags.contains(ReturnFlags::CTRUNC);
    Ok(Some(Received { octets: message.bytes, files, truncated }))
}

/// Writes without waiting, with the first octet these files; `None` if there is no room now. The number of octets otherwise.
pub(super) fn send(
    socket: BorrowedFd<'_>,
    octets: &[u8],
    files: &[BorrowedFd<'_>],
) -> io::Result<Option<usize>> {
    let mut space = [MaybeUninit::uninit(); ANCILLARY];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many files for one message"));
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    loop {
        match sendmsg(socket, &[IoSlice::new(octets)], &mut ancillary, flags) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(None),
            sent => return Ok(Some(sent?)),
        }
    }
}
