//! What an administrator should know of the lookups. None stops anything.

use crate::resolver::outcome::Failure;
use crate::types::{Family, HostName, RuleName};
use std::fmt;
use std::net::IpAddr;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The name could not be looked up, wholly or in one family.
    Unanswered {
        name: HostName,
        failure: Failure,
        held: usize,
    },
    /// Its servers have said for long enough that there is no such name.
    Gone {
        name: HostName,
        held: usize,
    },
    /// Addresses that no name may have; `all` if the name is left without any.
    Refused {
        name: HostName,
        addresses: Vec<(IpAddr, &'static str)>,
        all: bool,
    },
    AnswerCap {
        name: HostName,
        family: Family,
        dropped: usize,
        cap: usize,
    },
    NameCap {
        name: HostName,
        dropped: usize,
        cap: usize,
    },
    RuleCap {
        rule: RuleName,
        dropped: usize,
        cap: usize,
    },
    Cap {
        dropped: usize,
        cap: usize,
    },
}

impl Warning {
    /// The name that is left without addresses since all were refused, and these.
    pub fn all_refused(&self) -> Option<(&HostName, Vec<IpAddr>)> {
        let Self::Refused { name, addresses, all: true } = self else { return None };
        Some((name, addresses.iter().map(|(address, _)| *address).collect()))
    }

    /// The name that it is about, if it is one.
    pub fn name(&self) -> Option<&HostName> {
        match self {
            Self::Unanswered { name, .. }
            | Self::Gone { name, .. }
            | Self::Refused { name, .. }
            | Self::AnswerCap { name, .. }
            | Self::NameCap { name, .. } => Some(name),
            Self::RuleCap { .. } | Self::Cap { .. } => None,
        }
    }
}

/// How many refused addresses a warning shows.
const SHOWN: usize = 8;

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unanswered { name, failure, held: 0 } => {
                write!(f, "{name}: {failure}; nothing is known of it: a rule matches nobody by this name")
            }
            Self::Unanswered { name, failure, held } => {
                write!(f, "{name}: {failure}; what was learnt stays in use: {}", addresses(*held))
            }
            Self::Gone { name, held: 0 } => {
                write!(f, "{name}: it has gone from DNS; a rule matches nobody by this name")
            }
            Self::Gone { name, held } => {
                write!(f, "{name}: it has gone from DNS; what was learnt runs out: {}", addresses(*held))
            }
            Self::Refused { name, addresses, all } => {
                write!(f, "{name}: refused")?;
                for (index, (address, reason)) in addresses.iter().take(SHOWN).enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma} {address} ({reason})")?;
                }
                if addresses.len() > SHOWN {
                    write!(f, " and {} more", addresses.len() - SHOWN)?;
                }
                if *all { f.write_str("; it has no other address") } else { Ok(()) }
            }
            Self::AnswerCap { name, family, dropped, cap } => {
                let family = if *family == Family::V4 { "IPv4" } else { "IPv6" };
                write!(f, "{name}: its {family} answer has more than {cap} addresses, {dropped} are left out")
            }
            Self::NameCap { name, dropped, cap } => {
                write!(f, "{name}: more than {cap} addresses, {dropped} are left out")
            }
            Self::RuleCap { rule, dropped, cap } => {
                write!(f, "rule {rule}: its names have more than {cap} addresses, {dropped} are left out")
            }
            Self::Cap { dropped, cap } => {
                write!(f, "all names together have more than {cap} addresses, {dropped} are left out")
            }
        }
    }
}

fn addresses(count: usize) -> String {
    if count == 1 { "1 address".into() } else { format!("{count} addresses") }
}
