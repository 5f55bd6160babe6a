//! Messages and attributes of netlink(7), in octets that nobody vouches for: what is cut off ends a walk.

pub const NLMSG_ERROR: u16 = 2;
pub const NLMSG_DONE: u16 = 3;

/// Octets of `struct nlmsghdr`.
pub const HEADER: usize = 16;
/// Octets of `struct nlattr` and `struct rtattr`.
pub const ATTRIBUTE: usize = 4;

/// The bits of an attribute's type that are its number.
const TYPE_MASK: u16 = 0x3fff;

/// What was read does not have the form that the kernel gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// The header of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub kind: u16,
    pub flags: u16,
    pub seq: u32,
    pub port: u32,
}

/// The messages of a datagram; ends after the first that is cut off.
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    pub fn new(datagram: &'a [u8]) -> Self {
        Self { rest: datagram }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<(Header, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() {
            return None;
        }
        let Some(header) = rest.first_chunk::<HEADER>() else {
            return Some(Err(Malformed("a message without a header")));
        };
        let word =
            |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let half = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
        let len = word(0) as usize;
        let Some(body) = rest.get(HEADER..len) else {
            return Some(Err(Malformed("a message longer than its datagram")));
        };
        self.rest = rest.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        Some(Ok((Header { kind: half(4), flags: half(6), seq: word(8), port: word(12) }, body)))
    }
}

/// The attributes in `bytes`, one after the other; ends after the first that is cut off.
pub struct Attrs<'a> {
    rest: &'a [u8],
}

impl<'a> Attrs<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Attrs<'a> {
    type Item = Result<(u16, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() {
            return None;
        }
        let (Some(&[l0, l1]), Some(&[k0, k1])) = (rest.first_chunk::<2>(), rest.get(2..4)) else {
            return Some(Err(Malformed("an attribute without a header")));
        };
        let len = usize::from(u16::from_ne_bytes([l0, l1]));
        let Some(payload) = rest.get(ATTRIBUTE..len) else {
            return Some(Err(Malformed("an attribute longer than its message")));
        };
        self.rest = rest.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        Some(Ok((u16::from_ne_bytes([k0, k1]) & TYPE_MASK, payload)))
    }
}

/// A message, whole.
pub fn message(kind: u16, flags: u16, seq: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len()).expect("callers keep messages under 64 KiB");
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(seq.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(body);
    bytes
}
