//! Netlink attributes (type, length, value): a reader that trusts nothing, and a writer.

use super::KernelError;
pub use crate::frames::{Attrs, Malformed};

/// Attribute numbers are small; greater ones are of a kernel to come and are passed over.
const KINDS: usize = 32;
const NESTED: u16 = 0x8000;

impl From<Malformed> for KernelError {
    fn from(Malformed(what): Malformed) -> Self {
        Self::Malformed(what)
    }
}

/// The attributes of one level by number. Of a number that comes twice the last counts, as in the kernel.
pub struct Nest<'a> {
    slots: [Option<&'a [u8]>; KINDS],
}

impl<'a> Nest<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut slots = [None; KINDS];
        for attr in Attrs::new(bytes) {
            let (kind, payload) = attr?;
            if let Some(slot) = slots.get_mut(usize::from(kind)) {
                *slot = Some(payload);
            }
        }
        Ok(Self { slots })
    }

    pub fn bytes(&self, kind: u16) -> Option<&'a [u8]> {
        self.slots.get(usize::from(kind)).copied().flatten()
    }

    pub fn has(&self, kind: u16) -> bool {
        self.bytes(kind).is_some()
    }

    /// The attributes within one; of one that is absent: none.
    pub fn nest(&self, kind: u16) -> Result<Nest<'a>, Malformed> {
        Nest::parse(self.bytes(kind).unwrap_or(&[]))
    }

    pub fn u8(&self, kind: u16) -> Result<Option<u8>, Malformed> {
        Ok(self.fixed::<1>(kind)?.map(|[octet]| octet))
    }

    pub fn be16(&self, kind: u16) -> Result<Option<u16>, Malformed> {
        Ok(self.fixed(kind)?.map(u16::from_be_bytes))
    }

    pub fn be32(&self, kind: u16) -> Result<Option<u32>, Malformed> {
        Ok(self.fixed(kind)?.map(u32::from_be_bytes))
    }

    pub fn be64(&self, kind: u16) -> Result<Option<u64>, Malformed> {
        Ok(self.fixed(kind)?.map(u64::from_be_bytes))
    }

    /// In the byte order of this machine: only the netlink layer's own attributes are so.
    pub fn ne32(&self, kind: u16) -> Result<Option<u32>, Malformed> {
        Ok(self.fixed(kind)?.map(u32::from_ne_bytes))
    }

    pub fn string(&self, kind: u16) -> Result<Option<&'a str>, Malformed> {
        let Some(bytes) = self.bytes(kind) else { return Ok(None) };
        let end = bytes.iter().position(|octet| *octet == 0).unwrap_or(bytes.len());
        match std::str::from_utf8(&bytes[..end]) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(Malformed("a name that is not UTF-8")),
        }
    }

    fn fixed<const N: usize>(&self, kind: u16) -> Result<Option<[u8; N]>, Malformed> {
        match self.bytes(kind) {
            None => Ok(None),
            Some(bytes) => match bytes.try_into() {
                Ok(array) => Ok(Some(array)),
                Err(_) => Err(Malformed("a number of the wrong length")),
            },
        }
    }
}

/// Turns an absent attribute into an error.
pub fn required<T>(value: Option<T>, what: &'static str) -> Result<T, Malformed> {
    value.ok_or(Malformed(what))
}

/// Writes attributes at the end of a buffer.
pub struct Writer<'a> {
    bytes: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    pub fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self { bytes }
    }

    pub fn bytes(&mut self, kind: u16, payload: &[u8]) {
        let start = self.open(kind);
        self.bytes.extend_from_slice(payload);
        self.close(start);
    }

    pub fn be32(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    pub fn be64(&mut self, kind: u16, value: u64) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// A string with its final zero.
    pub fn string(&mut self, kind: u16, text: &str) {
        let start = self.open(kind);
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
        self.close(start);
    }

    pub fn nest(&mut self, kind: u16, content: impl FnOnce(&mut Writer<'_>)) {
        let start = self.open_nest(kind);
        content(self);
        self.close(start);
    }

    /// Starts a nest whose end is not known yet; returns where it starts, for [`Writer::close`].
    pub fn open_nest(&mut self, kind: u16) -> usize {
        self.open(kind | NESTED)
    }

    fn open(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        start
    }

    /// Writes the length of the attribute that starts at `start` and ends at the buffer's end, and pads it.
    pub fn close(&mut self, start: usize) {
        let len = u16::try_from(self.bytes.len() - start).expect("callers keep attributes under 64 KiB");
        self.bytes[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes);
        writer.string(1, "portgrave");
        writer.nest(3, |inner| {
            inner.be32(2, 7);
            inner.be64(4, 1 << 40);
            inner.bytes(5, &[9]);
        });
        assert_eq!(bytes.len() % 4, 0);
        let nest = Nest::parse(&bytes).unwrap();
        assert_eq!(nest.string(1).unwrap(), Some("portgrave"));
        let inner = nest.nest(3).unwrap();
        assert_eq!(inner.be32(2).unwrap(), Some(7));
        assert_eq!(inner.be64(4).unwrap(), Some(1 << 40));
        assert_eq!(inner.u8(5).unwrap(), Some(9));
        assert_eq!(inner.be32(6).unwrap(), None);
    }

    #[test]
    fn attributes_that_lie_about_their_length_are_malformed() {
        for bytes in [&[1_u8][..], &[3, 0, 1, 0], &[0, 0, 0, 0], &[9, 0, 1, 0, 1, 2, 3, 4], &[255, 255, 1, 0]]
        {
            assert!(Nest::parse(bytes).is_err(), "{bytes:?}");
        }
        let short = Nest::parse(&[6, 0, 1, 0, 1, 2, 0, 0]).unwrap_or_else(|_| panic!("well formed"));
        assert!(short.be32(1).is_err());
    }

    #[test]
    fn the_last_of_two_equal_numbers_counts_and_unknown_numbers_are_passed_over() {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes);
        writer.be32(1, 1);
        writer.be32(1, 2);
        writer.be32(0x3000, 3);
        assert_eq!(Nest::parse(&bytes).unwrap_or_else(|_| panic!("well formed")).be32(1).unwrap(), Some(2));
    }
}
