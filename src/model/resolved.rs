//! The resolved policy: what `compile` and `verdict` work on.

use crate::diag::Span;
use crate::types::{
    AddrRange, Direction, HostName, InterfacePattern, PortMatch, PortRange, Protocol, RuleName,
};
use serde::{Deserialize, Serialize};
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

/// How addresses of a name are held, where a group says other than the settings do. Of all groups that a name stands in the
/// longest times count, and every network that one of them opens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NamePolicy {
    pub ttl_floor: Option<Duration>,
    pub ttl_cap: Option<Duration>,
    pub grace: Option<Duration>,
    /// Private networks that the name may stand for (`allow-net`); sorted.
    pub allow_net: Vec<AddrRange>,
}

/// What becomes of a new packet that no rule matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DefaultAction {
    #[default]
    Deny,
    Reject,
    /// It passes, and is counted as one that would be denied.
    Audit,
}

impl DefaultAction {
    pub const ALL: [Self; 3] = [Self::Deny, Self::Reject, Self::Audit];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Reject => "reject",
            Self::Audit => "audit",
        }
    }
}

/// What becomes of forwarded packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardDefault {
    /// There is no forward chain.
    #[default]
    Untouched,
    /// Replies pass, the rest is dropped.
    Deny,
}

impl ForwardDefault {
    pub const ALL: [Self; 2] = [Self::Untouched, Self::Deny];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Untouched => "untouched",
            Self::Deny => "deny",
        }
    }
}

/// `[default]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    pub input: DefaultAction,
    pub output: DefaultAction,
    pub forward: ForwardDefault,
}

impl Defaults {
    pub fn of(&self, direction: Direction) -> DefaultAction {
        match direction {
            Direction::In => self.input,
            Direction::Out => self.output,
        }
    }
}

/// `[log]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPolicy {
    /// Whether denied and rejected packets are logged, and those that would be in audit mode, where a rule does not say
    /// otherwise.
    pub denied: bool,
    /// The NFLOG group that they go to.
    pub group: u16,
}

impl Default for LogPolicy {
    fn default() -> Self {
        Self { denied: true, group: 100 }
    }
}

/// The policy in force: only rules that are enabled and whose switches hold, sorted by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    pub default: Defaults,
    pub baseline: Baseline,
    pub rules: Vec<Rule>,
    /// Every host name that a rule reaches.
    pub names: BTreeMap<HostName, NamePolicy>,
    /// The groups under `[hosts]` as they are written: a question may be about the members of one.
    pub groups: BTreeMap<String, Group>,
    /// Of the settings; no file of a policy says it.
    pub log: LogPolicy,
}

impl Policy {
    /// Whether the new packets that a rule matches are logged.
    pub fn logs(&self, rule: &Rule) -> bool {
        rule.log.unwrap_or(self.log.denied && rule.action != Action::Allow)
    }

    /// The NFLOG group that packets go to, if any do.
    pub fn log_group(&self) -> Option<u16> {
        let any = self.log.denied || self.rules.iter().any(|rule| self.logs(rule));
        any.then_some(self.log.group)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub name: RuleName,
    /// The place of its name.
    pub origin: Span,
    pub direction: RuleDirection,
    pub action: Action,
    /// `mode = "audit"`, on deny and reject only: it decides nothing, and is counted.
    pub audit: bool,
    /// Sorted and without duplicates; data ports of `passive` included.
    pub ports: Vec<PortMatch>,
    /// The conntrack helper for connections to the service's ports; only ever "ftp".
    pub helper: Option<String>,
    /// The peer's ports, of incoming rules only; every port if there is none.
    pub from_ports: Vec<(Protocol, PortRange)>,
    /// `None`: every interface. An empty zone matches none.
    pub interfaces: Option<Vec<InterfacePattern>>,
    /// This machine's addresses; every one if there is none.
    pub local: Vec<AddrRange>,
    /// Whose packets, of outgoing rules only; everybody's if there is none.
    pub users: Vec<User>,
    /// Whether its packets are logged; `None`: as `[log]` says for its action.
    pub log: Option<bool>,
    pub peers: Peers,
    pub purpose: String,
    pub rows: Vec<String>,
}

impl Rule {
    /// Whether a packet that peers and ports match may still not match.
    pub fn has_conditions(&self) -> bool {
        !self.from_ports.is_empty()
            || self.interfaces.is_some()
            || !self.local.is_empty()
            || !self.users.is_empty()
    }

    /// Whether it may decide a packet: rules in audit mode never do.
    pub fn decides(&self) -> bool {
        !self.audit
    }
}

/// A local user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum User {
    Uid(u32),
    /// Looked up when the policy is loaded: the address book has its uid.
    Name(String),
}

/// The far end of a rule, groups resolved. A packet matches if any part does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Peers {
    /// As written: `any`, `@admins`, `repo.example.net`.
    pub written: Vec<String>,
    /// Sorted and without duplicates.
    pub parts: Vec<PeerPart>,
}

/// One source of addresses, less those that any of the exceptions holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerPart {
    pub source: Source,
    pub except: Vec<Exception>,
}

/// `except` of a group. No part of it is a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exception {
    /// The group that has the exception; it names the set.
    pub group: String,
    pub parts: Vec<PeerPart>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// An address, a prefix or a range as written.
    Range(AddrRange),
    /// The servers of resolv.conf, from the address book; they count as written addresses.
    ResolvConf,
    /// This machine's broadcast addresses and 255.255.255.255, from the address book; outgoing only.
    Broadcast,
    Name(HostName),
    List(ListRef),
    Any,
}

/// A group of `[hosts]`: its members, less those that an exception holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    pub members: Vec<Member>,
    pub except: Vec<Member>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Member {
    Source(Source),
    Group(String),
}

impl Peers {
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.parts.iter().map(|part| &part.source)
    }

    pub fn names(&self) -> impl Iterator<Item = &HostName> {
        self.sources().filter_map(|source| match source {
            Source::Name(name) => Some(name),
            Source::Range(_) | Source::ResolvConf | Source::Broadcast | Source::List(_) | Source::Any => None,
        })
    }

    pub fn has(&self, wanted: &Source) -> bool {
        self.sources().any(|source| source == wanted)
    }

    /// Every list file, those of exceptions included.
    pub fn lists(&self) -> Vec<&ListRef> {
        let mut lists = Vec::new();
        collect_lists(&self.parts, &mut lists);
        lists
    }
}

fn collect_lists<'p>(parts: &'p [PeerPart], lists: &mut Vec<&'p ListRef>) {
    for part in parts {
        if let Source::List(list) = &part.source {
            lists.push(list);
        }
        for exception in &part.except {
            collect_lists(&exception.parts, lists);
        }
    }
}

/// A list file that a group names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListRef {
    /// The group's name; it names the set.
    pub group: String,
    pub path: PathBuf,
    /// The place of `file`.
    pub span: Span,
    pub min_entries: Option<u64>,
    /// In percent.
    pub max_shrink: Option<u8>,
}
