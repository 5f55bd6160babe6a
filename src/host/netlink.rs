//! Messages of netlink(7) sockets that are spoken to by hand.

use crate::frames::{self, Header, Messages};
pub(super) use crate::frames::{NLMSG_DONE, NLMSG_ERROR};
use std::io::{Error, ErrorKind};

const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP: u16 = 0x300;
pub(super) const NLM_F_DUMP_INTR: u16 = 0x10;

/// The messages of a datagram; `None` if a length does not fit.
pub(super) fn messages(datagram: &[u8]) -> Option<Vec<(Header, &[u8])>> {
    Messages::new(datagram).collect::<Result<_, _>>().ok()
}

/// A request for a dump: the header, and the body that follows it.
pub(super) fn dump_request(kind: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    frames::message(kind, NLM_F_REQUEST | NLM_F_DUMP, sequence, body)
}

/// What an error message says.
pub(super) fn refusal(body: &[u8]) -> Error {
    match body.first_chunk::<4>() {
        Some(code) => Error::from_raw_os_error(i32::from_ne_bytes(*code).wrapping_neg()),
        None => malformed(),
    }
}

pub(super) fn malformed() -> Error {
    Error::new(ErrorKind::InvalidData, "the kernel's answer cannot be read")
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}
