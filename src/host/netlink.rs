//! Messages of netlink(7) sockets that are spoken to by hand.

use std::io::{Error, ErrorKind};

pub(super) const NLM_F_REQUEST: u16 = 0x1;
pub(super) const NLM_F_DUMP: u16 = 0x300;
pub(super) const NLM_F_DUMP_INTR: u16 = 0x10;
pub(super) const NLMSG_ERROR: u16 = 2;
pub(super) const NLMSG_DONE: u16 = 3;
const HEADER: usize = 16;

pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    pub(super) body: &'a [u8],
}

/// The messages of a datagram; `None` if a length does not fit.
pub(super) fn messages(mut bytes: &[u8]) -> Option<Vec<Message<'_>>> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
        let body = bytes.get(HEADER..length)?;
        let (kind, flags) = (u16_at(bytes, 4)?, u16_at(bytes, 6)?);
        messages.push(Message { kind, flags, sequence: u32_at(bytes, 8)?, body });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(messages)
}

/// A request for a dump: the header, and the body that follows it.
pub(super) fn dump_request(kind: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = (HEADER + body.len()) as u32;
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(body);
    bytes
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

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}
