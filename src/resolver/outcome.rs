//! What came of the questions: addresses, or a typed failure.

use crate::types::{Family, HostName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// The addresses of a name in one family, sorted, each once, with the lowest TTL along its chain of aliases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Address and seconds. A TTL with its top bit set counts as 0 (RFC 2181, 8).
    pub addresses: Vec<(IpAddr, u32)>,
    /// How many more there were than [`Answer::MOST`].
    pub left_out: u32,
}

impl Answer {
    /// Of the addresses in a longer answer the lowest are kept.
    pub const MOST: usize = 1024;

    pub(super) fn of(mut addresses: Vec<(IpAddr, u32)>) -> Self {
        let left_out = addresses.len().saturating_sub(Self::MOST);
        addresses.truncate(Self::MOST);
        Self { addresses, left_out: u32::try_from(left_out).unwrap_or(u32::MAX) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "failure", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Failure {
    /// The name exists, without addresses of the family. With the seconds for which the zone says so (RFC 2308).
    #[error("it has no addresses")]
    NoData { seconds: Option<u32> },
    #[error("there is no such name (NXDOMAIN)")]
    NxDomain { seconds: Option<u32> },
    #[error("the server failed (SERVFAIL)")]
    ServFail,
    #[error("the server refused (REFUSED)")]
    Refused,
    #[error("the server did not understand the question (FORMERR)")]
    FormErr,
    #[error("the server does not do such questions (NOTIMP)")]
    NotImp,
    #[error("the server answered with response code {code}")]
    OtherCode { code: u16 },
    #[error("the server does not look up this name (a lame answer)")]
    Lame,
    #[error("its chain of aliases is longer than 16 names")]
    ChainTooLong,
    #[error("its chain of aliases is a loop")]
    ChainLoop,
    #[error("two aliases (CNAME) at one name")]
    TwoAliases,
    #[error("the answer cannot be read")]
    Malformed,
    #[error("no answer in time")]
    Timeout,
    #[error("the server cannot be reached")]
    Unreachable,
    #[error("there is no server to ask")]
    NoServers,
    #[error("too many questions at once")]
    TooMany,
}

impl Failure {
    /// Whether the failure says something of the name. All others say something of the servers, and what was learnt
    /// before is kept.
    pub fn is_of_the_name(self) -> bool {
        matches!(self, Self::NoData { .. } | Self::NxDomain { .. })
    }

    /// Whether a server said it, as opposed to silence.
    pub(super) fn is_said(self) -> bool {
        !matches!(self, Self::Timeout | Self::Unreachable | Self::NoServers | Self::TooMany)
    }
}

/// The end of one question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// The server that answered, or that failed last.
    pub server: Option<SocketAddr>,
    pub outcome: Result<Answer, Failure>,
}

/// Every question that was asked, with its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lookups {
    pub by_question: BTreeMap<(HostName, Family), Lookup>,
    pub counters: Counters,
}

impl Lookups {
    pub fn get(&self, name: &HostName, family: Family) -> Option<&Lookup> {
        self.by_question.get(&(name.clone(), family))
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counters {
    pub udp_asked: u64,
    pub tcp_asked: u64,
    /// Attempts that no answer ended in time.
    pub timeouts: u64,
    /// Datagrams from a server's address that were no answer to the question: wrong id, question or case, or unreadable.
    pub spoof_suspect: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_written_with_their_names_in_kebab_case_and_read_back() {
        for (failure, json) in [
            (Failure::NoData { seconds: Some(60) }, r#"{"failure":"no-data","seconds":60}"#),
            (Failure::NxDomain { seconds: None }, r#"{"failure":"nx-domain","seconds":null}"#),
            (Failure::ServFail, r#"{"failure":"serv-fail"}"#),
            (Failure::OtherCode { code: 23 }, r#"{"failure":"other-code","code":23}"#),
            (Failure::TwoAliases, r#"{"failure":"two-aliases"}"#),
            (Failure::TooMany, r#"{"failure":"too-many"}"#),
        ] {
            assert_eq!(serde_json::to_string(&failure).unwrap(), json);
            assert_eq!(serde_json::from_str::<Failure>(json).unwrap(), failure);
        }
    }

    #[test]
    fn what_another_process_says_beyond_the_form_is_refused() {
        for json in [
            r#"{"failure":"unheard-of"}"#,
            r#"{"failure":"no-data","seconds":-1}"#,
            r#"{"failure":"no-data","seconds":1,"more":1}"#,
            r#"{"failure":"other-code"}"#,
        ] {
            assert!(serde_json::from_str::<Failure>(json).is_err(), "{json}");
        }
        let lookup =
            Lookup { server: None, outcome: Ok(Answer::of(vec![("192.0.2.1".parse().unwrap(), 60)])) };
        let json = r#"{"server":null,"outcome":{"Ok":{"addresses":[["192.0.2.1",60]],"left_out":0}}}"#;
        assert_eq!(serde_json::to_string(&lookup).unwrap(), json);
        for (from, to) in [("192.0.2.1", "192.0.2"), ("60", "4294967296"), ("\"left_out\"", "\"more\"")] {
            assert!(serde_json::from_str::<Lookup>(&json.replace(from, to)).is_err(), "{to}");
        }
    }

    #[test]
    fn an_answer_keeps_the_lowest_addresses_and_counts_the_rest() {
        let addresses: Vec<(IpAddr, u32)> =
            (0..1030u32).map(|last| (std::net::Ipv4Addr::from(last).into(), 60)).collect();
        assert_eq!(Answer::of(addresses[..1024].to_vec()).left_out, 0);
        let answer = Answer::of(addresses.clone());
        assert_eq!((&answer.addresses[..], answer.left_out), (&addresses[..1024], 6));
    }
}
