//! What the kernel writes before a logged packet: the direction, what was done with the packet, and by which rule.

use super::{Direction, NameError, RuleName};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What was done with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Allow,
    Deny,
    Reject,
    /// It passed, in audit mode.
    WouldDeny,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Allow, Self::Deny, Self::Reject, Self::WouldDeny];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Reject => "reject",
            Self::WouldDeny => "would-deny",
        }
    }
}

/// What decided about a packet: a rule of the policy, or, as no rule did, the default of its direction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Decider {
    Rule(RuleName),
    Default,
}

const DEFAULT: &str = "default";

impl fmt::Display for Decider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(name) => name.fmt(f),
            Self::Default => f.write_str(DEFAULT),
        }
    }
}

impl FromStr for Decider {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text == DEFAULT { Ok(Self::Default) } else { text.parse().map(Self::Rule) }
    }
}

impl TryFrom<String> for Decider {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Decider> for String {
    fn from(decider: Decider) -> Self {
        decider.to_string()
    }
}

/// `pg:in:deny:ssh-in`: a prefix of the kernel's log, at most 82 octets of its 127.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLabel {
    pub direction: Direction,
    pub outcome: Outcome,
    pub decider: Decider,
}

impl fmt::Display for LogLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pg:{}:{}:{}", self.direction.as_str(), self.outcome.as_str(), self.decider)
    }
}

impl LogLabel {
    /// `None` for what somebody else's rule writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (direction, rest) = text.strip_prefix("pg:")?.split_once(':')?;
        let (outcome, decider) = rest.split_once(':')?;
        Some(Self {
            direction: Direction::BOTH.into_iter().find(|known| known.as_str() == direction)?,
            outcome: Outcome::ALL.into_iter().find(|known| known.as_str() == outcome)?,
            decider: decider.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_reads_back_and_fits_the_kernels_prefix() {
        let longest = "a".repeat(64);
        for direction in Direction::BOTH {
            for outcome in Outcome::ALL {
                for decider in ["default", "a", "smtp-in.2", &longest] {
                    let decider: Decider = decider.parse().unwrap();
                    let label = LogLabel { direction, outcome, decider };
                    let text = label.to_string();
                    assert!(text.len() <= 82, "{text}");
                    assert_eq!(LogLabel::parse(&text), Some(label));
                }
            }
        }
    }

    #[test]
    fn what_others_write_is_no_label() {
        for text in ["", "pg:", "pg:in:deny", "pg:in:deny:", "pg:fwd:deny:a", "pg:in:drop:a", "Pg:in:deny:a"]
        {
            assert_eq!(LogLabel::parse(text), None, "{text}");
        }
        assert_eq!(LogLabel::parse("pg:in:deny:A"), None);
        assert_eq!(LogLabel::parse(&format!("pg:in:deny:{}", "a".repeat(65))), None);
    }
}
