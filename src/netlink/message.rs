//! Netlink messages: framing a request, taking a datagram of answers apart.

use super::attr::{Malformed, Nest, Writer};
use super::wire::{self, GENMSG, HEADER, err, flag};
pub use crate::frames::{Header, Messages};

impl Header {
    /// The message's number within nf_tables, if it is one of that subsystem.
    pub fn nf_tables(&self) -> Option<u16> {
        (self.kind >> 8 == wire::SUBSYS_NFTABLES).then_some(self.kind & 0xff)
    }
}

/// The type of a message of nf_tables.
pub fn kind(msg: u16) -> u16 {
    wire::SUBSYS_NFTABLES << 8 | msg
}

/// Appends a message with an empty body; [`finish`] writes its length.
pub fn start(bytes: &mut Vec<u8>, kind: u16, flags: u16, seq: u32) -> usize {
    let at = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&(flags | flag::REQUEST).to_ne_bytes());
    bytes.extend_from_slice(&seq.to_ne_bytes());
    bytes.extend_from_slice(&[0; 4]);
    // struct nfgenmsg: a batch's begin and end name the subsystem, everything else the family.
    let batch = matches!(kind, wire::BATCH_BEGIN | wire::BATCH_END);
    let (family, resource) = if batch { (0, wire::SUBSYS_NFTABLES) } else { (wire::FAMILY_INET, 0) };
    bytes.extend_from_slice(&[family, 0]);
    bytes.extend_from_slice(&resource.to_be_bytes());
    at
}

/// Writes the length of the message that starts at `start` and ends at the buffer's end.
pub fn finish(bytes: &mut [u8], start: usize) {
    let len = u32::try_from(bytes.len() - start).expect("callers keep messages under 64 KiB");
    bytes[start..start + 4].copy_from_slice(&len.to_ne_bytes());
}

/// Appends a whole message.
pub fn write(bytes: &mut Vec<u8>, kind: u16, flags: u16, seq: u32, content: impl FnOnce(&mut Writer<'_>)) {
    let at = start(bytes, kind, flags, seq);
    content(&mut Writer::new(bytes));
    finish(bytes, at);
}

/// The attributes of a message of nf_tables, if it is of the family `inet`.
pub fn inet_attrs(body: &[u8]) -> Result<Option<Nest<'_>>, Malformed> {
    match body.split_at_checked(GENMSG) {
        Some((&[wire::FAMILY_INET, ..], attrs)) => Nest::parse(attrs).map(Some),
        Some(_) => Ok(None),
        None => Err(Malformed("a message without its family")),
    }
}

/// What `NLMSG_ERROR` or `NLMSG_DONE` says: an errno, 0 for success, and the extended acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub errno: i32,
    pub detail: Option<String>,
}

impl Answer {
    pub fn parse(header: Header, body: &[u8]) -> Result<Self, Malformed> {
        let Some((code, rest)) = body.split_first_chunk::<4>() else {
            return Err(Malformed("an answer without a status"));
        };
        let errno = i32::from_ne_bytes(*code).checked_neg().filter(|errno| *errno >= 0);
        let errno = errno.ok_or(Malformed("an answer whose status is no errno"))?;
        Ok(Self { errno, detail: detail(header, rest)? })
    }
}

/// The extended acknowledgement follows the header of the request that is answered, and that request itself where
/// the answer is not capped.
fn detail(header: Header, rest: &[u8]) -> Result<Option<String>, Malformed> {
    if header.kind != wire::NLMSG_ERROR || header.flags & flag::ACK_TLVS == 0 {
        return Ok(None);
    }
    let Some(len) = rest.first_chunk::<4>() else { return Err(Malformed("an answer without its request")) };
    let echoed = if header.flags & flag::CAPPED == 0 { u32::from_ne_bytes(*len) as usize } else { HEADER };
    let Some(attrs) = rest.get(echoed.max(HEADER).next_multiple_of(4)..) else { return Ok(None) };
    let nest = Nest::parse(attrs)?;
    Ok(match (nest.string(err::MSG)?, nest.ne32(err::OFFS)?) {
        (Some(text), Some(offset)) => Some(format!("{text} (attribute at octet {offset})")),
        (Some(text), None) => Some(text.to_owned()),
        (None, Some(offset)) => Some(format!("attribute at octet {offset}")),
        (None, None) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_is_written_is_read_back() {
        let mut bytes = Vec::new();
        write(&mut bytes, kind(wire::msg::GETSET), flag::DUMP, 7, |w| w.string(1, "portgrave"));
        write(&mut bytes, wire::BATCH_BEGIN, 0, 8, |_| {});
        let all: Vec<_> = Messages::new(&bytes).map(Result::unwrap).collect();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].0.nf_tables(), Some(wire::msg::GETSET));
        assert_eq!(all[0].0.seq, 7);
        assert_eq!(inet_attrs(all[0].1).unwrap().unwrap().string(1).unwrap(), Some("portgrave"));
        assert_eq!(all[1].0.nf_tables(), None);
        assert_eq!(all[1].1, [0, 0, 0, 10]);
    }

    #[test]
    fn messages_that_lie_about_their_length_are_malformed() {
        let mut bytes = Vec::new();
        write(&mut bytes, kind(wire::msg::GETGEN), 0, 1, |_| {});
        for len in [0_u32, 15, 21, u32::MAX] {
            bytes[..4].copy_from_slice(&len.to_ne_bytes());
            assert!(Messages::new(&bytes).any(|m| m.is_err()), "{len}");
        }
        assert!(Messages::new(&bytes[..7]).any(|m| m.is_err()));
    }

    #[test]
    fn an_answer_tells_the_errno_and_the_kernels_words() {
        let header =
            Header { kind: wire::NLMSG_ERROR, flags: flag::CAPPED | flag::ACK_TLVS, seq: 1, port: 1 };
        let mut body = (-16_i32).to_ne_bytes().to_vec();
        body.extend_from_slice(&[0; HEADER]);
        let mut attrs = Vec::new();
        Writer::new(&mut attrs).string(err::MSG, "in use");
        body.extend_from_slice(&attrs);
        assert_eq!(
            Answer::parse(header, &body).unwrap(),
            Answer { errno: 16, detail: Some("in use".to_owned()) }
        );
        assert!(Answer::parse(header, &i32::MIN.to_ne_bytes()).is_err());
        assert!(Answer::parse(header, &5_i32.to_ne_bytes()).is_err());
    }
}
