//! A question and the bytes that ask it.

use crate::types::{Family, HostName};
use domain::base::iana::Rtype;
use domain::base::{MessageBuilder, Name};

/// How many random bytes a question takes: two for its id, a bit for each letter of the longest name.
pub const ENTROPY: usize = 34;

/// The largest answer that is taken by UDP: what passes everywhere without fragments.
pub(super) const UDP_SIZE: u16 = 1232;

/// One name asked for one family of addresses, with an id and a spelling that an attacker off the path must guess.
#[derive(Clone, Debug)]
pub struct Question {
    pub(super) id: u16,
    /// In the wire's form, upper and lower case at random ("0x20").
    pub(super) name: Name<Vec<u8>>,
    pub(super) family: Family,
}

impl Question {
    pub fn new(name: &HostName, family: Family, entropy: &[u8; ENTROPY]) -> Self {
        let (id, case) = ([entropy[0], entropy[1]], &entropy[2..]);
        let mut wire = Vec::with_capacity(name.as_str().len() + 2);
        let mut position = 0;
        for label in name.as_str().split('.') {
            wire.push(u8::try_from(label.len()).expect("a label has at most 63 octets"));
            for byte in label.bytes() {
                let upper = case[position / 8 % case.len()] >> (position % 8) & 1 == 1;
                wire.push(if upper { byte.to_ascii_uppercase() } else { byte });
                position += 1;
            }
        }
        wire.push(0);
        let name = Name::from_octets(wire).expect("a host name is a domain name");
        Self { id: u16::from_be_bytes(id), name, family }
    }

    pub(super) fn rtype(&self) -> Rtype {
        match self.family {
            Family::V4 => Rtype::A,
            Family::V6 => Rtype::AAAA,
        }
    }

    /// The message to send: recursion desired, EDNS with a size of 1232.
    pub fn query(&self) -> Vec<u8> {
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_id(self.id);
        builder.header_mut().set_rd(true);
        let mut builder = builder.question();
        builder.push((&self.name, self.rtype())).expect("a question fits into a message");
        let mut builder = builder.additional();
        let sized = builder.opt(|opt| {
            opt.set_udp_payload_size(UDP_SIZE);
            Ok(())
        });
        sized.expect("an OPT record fits into a message");
        builder.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_the_id_the_spelling_and_edns() {
        let mut entropy = [0; ENTROPY];
        entropy[..3].copy_from_slice(&[0x12, 0x34, 0b101]);
        let query = Question::new(&"www.example".parse().unwrap(), Family::V6, &entropy).query();
        let expected = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\x01\x03WwW\x07example\0\0\x1c\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0";
        assert_eq!(query, expected);
    }

    #[test]
    fn the_longest_name_is_asked_with_every_letter_spelt_at_random() {
        let label = "a".repeat(63);
        let name = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        let question = Question::new(&name.parse().unwrap(), Family::V4, &[0xff; ENTROPY]);
        assert_eq!(question.name.to_string(), name.to_uppercase());
    }
}
