//! Netlink messages and attributes in octets that nobody vouches for. What is cut short ends the walk.

/// `nlmsghdr`: length, type, flags, sequence, port.
const HEADER: usize = 16;
/// `nfgenmsg`: family, version, resource.
const GENERIC: usize = 4;
const ATTRIBUTE: usize = 4;
const TYPE_MASK: u16 = 0x3fff;

pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) body: &'a [u8],
}

/// The messages of a datagram up to the first that does not fit.
pub(super) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk()?)).ok()?;
        let body = bytes.get(HEADER..length)?;
        let kind = u16::from_ne_bytes(chunk(bytes, 4)?);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message { kind, body })
    })
}

/// The attributes of a message of netfilter, each with its number, up to the first that does not fit.
pub(super) fn attributes(body: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut bytes = body.get(GENERIC..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(*bytes.first_chunk()?));
        let value = bytes.get(ATTRIBUTE..length)?;
        let kind = u16::from_ne_bytes(chunk(bytes, 2)?) & TYPE_MASK;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
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
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend(u32::from(short(HEADER + body.len())).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(REQUEST_AND_ACK.to_ne_bytes());
    bytes.resize(HEADER, 0);
    bytes.extend(body);
    bytes
}

/// Requests are far shorter than what a length can say.
fn short(length: usize) -> u16 {
    u16::try_from(length).expect("a short request")
}
