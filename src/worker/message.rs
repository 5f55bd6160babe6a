//! What agent and worker say to each other: one JSON document a packet, checked on both sides.

use crate::observe::Record;
use crate::resolver::{Answer, Counters, Lookup};
use crate::types::{Family, HostName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The largest packet.
pub(super) const MOST_OCTETS: usize = 256 * 1024;
pub(super) const MOST_RECORDS: usize = 256;
/// More at once than a kernel logs in a minute, and too little for sums of it to overflow.
pub(super) const MOST_LOST: u64 = u32::MAX as u64;
const MOST_SERVERS: usize = 64;
const MOST_TEXT: usize = 512;
/// The largest TTL (RFC 2181, 8).
const MOST_SECONDS: u32 = i32::MAX as u32;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ToWorker {
    /// Ask the servers, in their order, for the name's addresses of the family.
    Ask {
        #[serde(with = "as_text")]
        name: HostName,
        family: Family,
        servers: Vec<SocketAddr>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FromWorker {
    /// The walls stand; sent once, first.
    Ready(Raised),
    /// It does not run; sent in place of `Ready`, before it exits.
    Refused { reason: String },
    /// The end of a question.
    Ended {
        #[serde(with = "as_text")]
        name: HostName,
        family: Family,
        lookup: Lookup,
    },
    /// Packets that the kernel logged, and how many more there were.
    Denied { records: Vec<Record>, lost: u64 },
    /// The resolver's counters since the worker began.
    Counters(Counters),
}

/// Which of the walls that not every machine has do stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Raised {
    /// The user that it runs as.
    pub uid: u32,
    pub landlock: Landlock,
}

/// How much of Landlock the kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Landlock {
    Full,
    /// An older one: each access that it knows is forbidden.
    Partial,
    Absent,
}

/// Why something is no message. Nothing of what the other side wrote is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("a packet of {0} octets, more than {MOST_OCTETS}")]
    TooLong(usize),
    #[error("no message, from octet {0}")]
    Unreadable(usize),
    #[error("{0} of {1}, more than {2}")]
    TooMany(usize, &'static str, usize),
    #[error("an address of another family than was asked for")]
    OtherFamily,
    #[error("a packet with addresses of both families")]
    MixedFamilies,
    #[error("addresses out of order")]
    Unsorted,
    #[error("{0} packets lost at once")]
    Lost(u64),
    #[error("a time of {0} s, more than RFC 2181 has")]
    Seconds(u32),
    #[error("a text that is too long or has control characters")]
    Text,
}

/// What can be sent: a form, and a check of what the form alone does not say.
pub trait Message: Serialize + DeserializeOwned {
    fn check(&self) -> Result<(), Unfit>;
}

pub fn encode<M: Message>(message: &M) -> Result<Vec<u8>, Unfit> {
    message.check()?;
    let packet = serde_json::to_vec(message).map_err(|_| Unfit::Unreadable(0))?;
    fits(&packet)?;
    Ok(packet)
}

pub fn decode<M: Message>(packet: &[u8]) -> Result<M, Unfit> {
    fits(packet)?;
    let message: M = serde_json::from_slice(packet).map_err(|error| Unfit::Unreadable(error.column()))?;
    message.check()?;
    Ok(message)
}

fn fits(packet: &[u8]) -> Result<(), Unfit> {
    if packet.len() > MOST_OCTETS { Err(Unfit::TooLong(packet.len())) } else { Ok(()) }
}

impl Message for ToWorker {
    fn check(&self) -> Result<(), Unfit> {
        let Self::Ask { servers, .. } = self;
        at_most(MOST_SERVERS, servers.len(), "servers")
    }
}

impl Message for FromWorker {
    fn check(&self) -> Result<(), Unfit> {
        match self {
            Self::Ready(_) | Self::Counters(_) => Ok(()),
            Self::Refused { reason } => text(reason),
            Self::Ended { family, lookup, .. } => ended(*family, lookup),
            Self::Denied { records, lost } => logged(records, *lost),
        }
    }
}

fn ended(family: Family, lookup: &Lookup) -> Result<(), Unfit> {
    // The agent bounds the time for which a name is said to have nothing.
    lookup.outcome.as_ref().map_or(Ok(()), |answer| answered(family, answer))
}

fn answered(family: Family, answer: &Answer) -> Result<(), Unfit> {
    at_most(Answer::MOST, answer.addresses.len(), "addresses")?;
    if answer.addresses.iter().any(|(address, _)| Family::of(*address) != family) {
        return Err(Unfit::OtherFamily);
    }
    if !answer.addresses.is_sorted_by(|(first, _), (second, _)| first < second) {
        return Err(Unfit::Unsorted);
    }
    answer.addresses.iter().try_for_each(|(_, ttl)| seconds(*ttl))
}

fn logged(records: &[Record], lost: u64) -> Result<(), Unfit> {
    if lost > MOST_LOST {
        return Err(Unfit::Lost(lost));
    }
    at_most(MOST_RECORDS, records.len(), "records")?;
    let mixed = |record: &Record| Family::of(record.source) != Family::of(record.destination);
    if records.iter().any(mixed) { Err(Unfit::MixedFamilies) } else { Ok(()) }
}

fn at_most(most: usize, there: usize, what: &'static str) -> Result<(), Unfit> {
    if there > most { Err(Unfit::TooMany(there, what, most)) } else { Ok(()) }
}

fn seconds(seconds: u32) -> Result<(), Unfit> {
    if seconds > MOST_SECONDS { Err(Unfit::Seconds(seconds)) } else { Ok(()) }
}

fn text(text: &str) -> Result<(), Unfit> {
    if text.len() > MOST_TEXT || text.contains(char::is_control) { Err(Unfit::Text) } else { Ok(()) }
}

/// A host name, which must be written in the one form that it has.
mod as_text {
    use crate::types::HostName;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(name: &HostName, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(name.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HostName, D::Error> {
        let text = String::deserialize(deserializer)?;
        let name: HostName = text.parse().map_err(D::Error::custom)?;
        if name.as_str() == text { Ok(name) } else { Err(D::Error::custom("not in its one form")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolver::Failure;
    use std::net::{IpAddr, Ipv4Addr};

    fn ended(family: Family, addresses: Vec<(IpAddr, u32)>) -> FromWorker {
        let server = Some("[2001:db8::53]:53".parse().unwrap());
        let lookup = Lookup { server, outcome: Ok(Answer { addresses, left_out: 0 }) };
        FromWorker::Ended { name: "www.example".parse().unwrap(), family, lookup }
    }

    fn many(count: u32) -> Vec<(IpAddr, u32)> {
        (0..count).map(|index| (IpAddr::from(Ipv4Addr::from(index)), 300)).collect()
    }

    fn read(text: &str) -> Result<FromWorker, Unfit> {
        decode(text.as_bytes())
    }

    #[test]
    fn each_message_comes_as_it_was_sent() {
        let name: HostName = "www.example".parse().unwrap();
        let ask = |servers| ToWorker::Ask { name: name.clone(), family: Family::V6, servers };
        let servers = vec!["192.0.2.53:53".parse().unwrap(), "[fe80::1%2]:5353".parse().unwrap()];
        for message in [ask(servers), ask(vec![])] {
            assert_eq!(decode(&encode(&message).unwrap()), Ok(message));
        }
        let failures = [
            Failure::NoData { seconds: None },
            Failure::NxDomain { seconds: Some(300) },
            Failure::ServFail,
            Failure::OtherCode { code: 23 },
            Failure::Timeout,
        ];
        let mut messages: Vec<FromWorker> = failures
            .map(|failure| FromWorker::Ended {
                name: name.clone(),
                family: Family::V4,
                lookup: Lookup { server: None, outcome: Err(failure) },
            })
            .into();
        messages.push(ended(Family::V6, vec![("2001:db8::1".parse().unwrap(), 60)]));
        messages.push(FromWorker::Ready(Raised { uid: 65534, landlock: Landlock::Partial }));
        messages.push(FromWorker::Refused { reason: "seccomp: not there".into() });
        messages.push(FromWorker::Counters(Counters { udp_asked: 7, ..Counters::default() }));
        for message in messages {
            assert_eq!(decode(&encode(&message).unwrap()), Ok(message));
        }
    }

    #[test]
    fn the_largest_answer_fits_and_one_address_more_is_refused() {
        let largest = ended(Family::V4, many(1024));
        assert_eq!(decode(&encode(&largest).unwrap()), Ok(largest));
        let over = ended(Family::V4, many(1025));
        assert_eq!(encode(&over), Err(Unfit::TooMany(1025, "addresses", 1024)));
        let packet = serde_json::to_vec(&over).unwrap();
        assert_eq!(decode::<FromWorker>(&packet), Err(Unfit::TooMany(1025, "addresses", 1024)));
    }

    #[test]
    fn a_packet_over_the_cap_is_not_even_read() {
        let mut packet = encode(&ended(Family::V4, many(1))).unwrap();
        packet.resize(MOST_OCTETS, b' ');
        assert!(decode::<FromWorker>(&packet).is_ok());
        packet.push(b' ');
        assert_eq!(decode::<FromWorker>(&packet), Err(Unfit::TooLong(MOST_OCTETS + 1)));
    }

    #[test]
    fn addresses_must_be_of_the_family_asked_each_once_and_in_order() {
        let refused = |family, addresses| {
            let packet = serde_json::to_vec(&ended(family, addresses)).unwrap();
            decode::<FromWorker>(&packet).unwrap_err()
        };
        let two: Vec<(IpAddr, u32)> = many(2);
        assert_eq!(refused(Family::V6, two.clone()), Unfit::OtherFamily);
        assert_eq!(refused(Family::V4, vec![two[1], two[0]]), Unfit::Unsorted);
        assert_eq!(refused(Family::V4, vec![two[0], two[0]]), Unfit::Unsorted);
        assert_eq!(refused(Family::V4, vec![(two[0].0, u32::MAX)]), Unfit::Seconds(u32::MAX));
    }

    fn logged(source: &str) -> Record {
        let record = format!(
            r#"{{"what":"deny","rule":"default","direction":"in","interface":2,"protocol":6,"source":"{source}","destination":"192.0.2.1","length":60}}"#
        );
        serde_json::from_str(&record).unwrap()
    }

    #[test]
    fn logged_packets_have_a_limit_one_family_each_and_losses_that_can_be_added_up() {
        let denied = |records, lost| {
            let message = FromWorker::Denied { records, lost };
            decode::<FromWorker>(&serde_json::to_vec(&message).unwrap())
        };
        let record = logged("192.0.2.9");
        assert!(denied(vec![record.clone(); 256], MOST_LOST).is_ok());
        assert_eq!(denied(vec![record.clone(); 257], 0), Err(Unfit::TooMany(257, "records", 256)));
        assert_eq!(denied(vec![record, logged("2001:db8::9")], 0), Err(Unfit::MixedFamilies));
        assert_eq!(denied(vec![], MOST_LOST + 1), Err(Unfit::Lost(MOST_LOST + 1)));
    }

    #[test]
    fn what_is_no_message_is_refused_and_none_of_it_is_repeated() {
        let right =
            String::from_utf8(encode(&FromWorker::Refused { reason: "why".into() }).unwrap()).unwrap();
        assert_eq!(right, r#"{"refused":{"reason":"why"}}"#);
        assert!(read(&right).is_ok());
        let wrong = [
            "",
            "null",
            "[]",
            r#"{"refused":{"reason":"why"}}x"#,
            r#"{"refused":{"reason":"why","more":1}}"#,
            r#"{"refused":{"reason":"why","reason":"why"}}"#,
            r#"{"refused":{"reason":"why"},"ready":{"uid":0,"landlock":"full"}}"#,
            r#"{"refused":{"reason":7}}"#,
            r#"{"evil\u001b[2J":{}}"#,
            r#"{"ready":{"uid":-1,"landlock":"full"}}"#,
            r#"{"ended":{"name":"WWW.example","family":"v4","lookup":{"server":null,"outcome":{"Err":{"failure":"timeout"}}}}}"#,
            r#"{"ended":{"name":"127.1","family":"v4","lookup":{"server":null,"outcome":{"Err":{"failure":"timeout"}}}}}"#,
            r#"{"ended":{"name":"a.b","family":"v5","lookup":{"server":null,"outcome":{"Err":{"failure":"timeout"}}}}}"#,
            r#"{"ended":{"name":"a.b","family":"v4","lookup":{"server":null,"outcome":{"Err":{"failure":"what"}}}}}"#,
        ];
        for text in wrong {
            let Err(unfit @ Unfit::Unreadable(_)) = read(text) else { panic!("{text} was read") };
            assert!(!unfit.to_string().contains("evil"));
        }
        assert_eq!(read(r#"{"refused":{"reason":"a\nb"}}"#), Err(Unfit::Text));
        let nested = "[".repeat(100_000);
        assert!(matches!(read(&nested), Err(Unfit::Unreadable(_))));
        assert!(matches!(decode::<FromWorker>(&[0xff, 0xfe, 0x00]), Err(Unfit::Unreadable(_))));
        assert!(matches!(decode::<ToWorker>(right.as_bytes()), Err(Unfit::Unreadable(_))));
    }

    #[test]
    fn a_message_cut_short_anywhere_or_with_any_octet_changed_is_never_a_panic() {
        let whole = encode(&ended(Family::V4, many(3))).unwrap();
        for length in 0..whole.len() {
            assert!(decode::<FromWorker>(&whole[..length]).is_err(), "{length}");
        }
        for place in 0..whole.len() {
            for octet in [0, b'"', b'}', b'9', 0x80, 0xff] {
                let mut changed = whole.clone();
                changed[place] = octet;
                let _ = decode::<FromWorker>(&changed);
            }
        }
    }
}
