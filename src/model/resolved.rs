//! The resolved policy: what `compile` and `verdict` work on.

use crate::diag::Span;
use crate::types::{AddrRange, Direction, HostName, PortMatch, RuleName};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// The stronger action stands first: deny beats reject beats allow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    Deny,
    Reject,
    #[default]
    Allow,
}

impl Action {
    pub const ALL: [Self; 3] = [Self::Deny, Self::Reject, Self::Allow];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Reject => "reject",
            Self::Allow => "allow",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleDirection {
    In,
    Out,
    Both,
}

impl RuleDirection {
    pub fn has(self, direction: Direction) -> bool {
        match self {
            Self::Both => true,
            Self::In => direction == Direction::In,
            Self::Out => direction == Direction::Out,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Both => "both",
        }
    }
}

/// The rules under `baseline.*` that have a switch, all but `established` and `neighbour-discovery`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BaselineRule {
    Loopback,
    Invalid,
    Related,
    TcpNewIsSyn,
    RouterAdvertisement,
    MulticastMembership,
    Dhcp,
    IcmpErrors,
    Echo,
    Dns,
    Containers,
}

impl BaselineRule {
    pub const ALL: [Self; 11] = [
        Self::Loopback,
        Self::Invalid,
        Self::Related,
        Self::TcpNewIsSyn,
        Self::RouterAdvertisement,
        Self::MulticastMembership,
        Self::Dhcp,
        Self::IcmpErrors,
        Self::Echo,
        Self::Dns,
        Self::Containers,
    ];

    /// The key under `[baseline]`, and the part after `baseline.` in the rule's name.
    pub fn key(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Invalid => "invalid",
            Self::Related => "related",
            Self::TcpNewIsSyn => "tcp-new-is-syn",
            Self::RouterAdvertisement => "router-advertisement",
            Self::MulticastMembership => "multicast-membership",
            Self::Dhcp => "dhcp",
            Self::IcmpErrors => "icmp-errors",
            Self::Echo => "echo",
            Self::Dns => "dns",
            Self::Containers => "containers",
        }
    }

    /// Whether it is on where no file says anything.
    pub fn is_default(self) -> bool {
        self != Self::Containers
    }
}

/// Which baseline rules are on.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    pub on: BTreeSet<BaselineRule>,
}

impl Default for Baseline {
    fn default() -> Self {
        Self { on: BaselineRule::ALL.into_iter().filter(|rule| rule.is_default()).collect() }
    }
}

impl Baseline {
    pub fn has(&self, rule: BaselineRule) -> bool {
        self.on.contains(&rule)
    }
}

/// How long addresses of a name are held, where a group says other than the settings do. The longest of all groups that
/// a name stands in counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NamePolicy {
    pub ttl_floor: Option<Duration>,
    pub ttl_cap: Option<Duration>,
    pub grace: Option<Duration>,
}

/// The policy in force: only rules that are enabled and whose switches hold, sorted by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    pub baseline: Baseline,
    pub rules: Vec<Rule>,
    /// Every host name that a rule reaches.
    pub names: BTreeMap<HostName, NamePolicy>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub name: RuleName,
    /// The place of its name.
    pub origin: Span,
    pub direction: RuleDirection,
    pub action: Action,
    /// Sorted and without duplicates; data ports of `passive` included.
    pub ports: Vec<PortMatch>,
    /// The conntrack helper for connections to `ports`; only ever "ftp".
    pub helper: Option<String>,
    pub peers: Peers,
    pub purpose: String,
    pub rows: Vec<String>,
}

/// The far end of a rule, groups resolved. A packet matches if any part does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Peers {
    /// As written: `any`, `@admins`, `repo.example.net`.
    pub written: Vec<String>,
    pub any: bool,
    /// Addresses, prefixes and ranges, sorted, as written (they may overlap).
    pub ranges: Vec<AddrRange>,
    pub names: Vec<HostName>,
    pub lists: Vec<ListRef>,
    /// The servers of resolv.conf, from the address book; they count as written addresses.
    pub resolv_conf: bool,
    /// This machine's broadcast addresses and 255.255.255.255, from the address book; outgoing only.
    pub broadcast: bool,
}

/// A list file that a group names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListRef {
    /// The group's name; it names the set.
    pub group: String,
    pub path: PathBuf,
}
