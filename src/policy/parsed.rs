//! The parsed form of the files: every value with its place, nothing looked up, nothing merged.

use crate::diag::{FileId, Span};
use crate::model::{Action, DefaultAction, ForwardDefault, LogPolicy, RuleDirection, User};
use crate::types::{AddrRange, HostName, InterfacePattern, PortMatch, PortRange, Protocol, RuleName, Suffix};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A value and the place where it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Spanned<T> {
    pub value: T,
    pub span: Span,
}

/// A layer's rank: a later one replaces entries of an earlier one. 0 is the vendor's, 1 the site's, 2 the runtime's;
/// with `--policy` each argument is a layer of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Layer(pub u32);

/// All files, lowest layer first.
#[derive(Clone, Debug, Default)]
pub struct ParsedPolicy {
    pub files: Vec<ParsedFile>,
}

#[derive(Clone, Debug)]
pub struct ParsedFile {
    pub file: FileId,
    pub layer: Layer,
    pub default: DefaultEntry,
    /// `[features]`: name and value.
    pub features: Vec<(Spanned<String>, bool)>,
    /// `[baseline]`: name and switch.
    pub baseline: Vec<(Spanned<String>, bool)>,
    pub hosts: Vec<HostGroup>,
    pub services: Vec<ServiceEntry>,
    pub zones: Vec<ZoneEntry>,
    pub rules: Vec<RuleEntry>,
    pub overrides: Vec<OverrideEntry>,
}

/// `[default]`.
#[derive(Clone, Debug, Default)]
pub struct DefaultEntry {
    pub input: Option<Spanned<DefaultAction>>,
    pub output: Option<Spanned<DefaultAction>>,
    pub forward: Option<Spanned<ForwardDefault>>,
}

/// An entry of `[hosts]`, or of `peers`.
#[derive(Clone, Debug, PartialEq)]
pub enum Peer {
    /// `"any"`
    Any,
    /// `"broadcast"`; in `peers` of a rule only.
    Broadcast,
    /// `"@group"`
    Group(String),
    /// An address, a prefix or a range.
    Range(AddrRange),
    Name(HostName),
}

#[derive(Clone, Debug, Default)]
pub struct HostGroup {
    pub name: Option<Spanned<String>>,
    /// The members that this entry defines: a list, or `members = […]`. `None` if it only adds or only names a source.
    pub members: Option<Vec<Spanned<Peer>>>,
    /// `add = […]`
    pub add: Vec<Spanned<Peer>>,
    /// `file = "…"`
    pub file: Option<Spanned<PathBuf>>,
    /// `resolv-conf = true`
    pub resolv_conf: bool,
    /// `except = […]`: what the group does not hold, whatever else is said.
    pub except: Option<Spanned<Vec<Spanned<Peer>>>>,
    /// `allow-net = […]`: private networks that its names may stand for.
    pub allow_net: Option<Spanned<Vec<Spanned<AddrRange>>>>,
    pub ttl_floor: Option<Duration>,
    pub ttl_cap: Option<Duration>,
    pub grace: Option<Duration>,
    /// Of `file`: fewer entries are not taken.
    pub min_entries: Option<Spanned<u64>>,
    /// Of `file`, in percent: a list that has shrunk by more is not taken.
    pub max_shrink: Option<Spanned<u8>>,
}

#[derive(Clone, Debug)]
pub struct ServiceEntry {
    pub name: Spanned<String>,
    pub ports: Vec<Spanned<PortMatch>>,
    /// `helper = "ftp"`
    pub helper: Option<Spanned<String>>,
    /// `passive = "tcp/50000-50100"`: TCP ports of data connections.
    pub passive: Option<Spanned<PortRange>>,
}

#[derive(Clone, Debug)]
pub struct ZoneEntry {
    pub name: Spanned<String>,
    pub interfaces: Vec<Spanned<InterfacePattern>>,
}

/// An entry of `from-ports`.
pub type FromPorts = (Protocol, PortRange);

/// What a rule says of ports.
#[derive(Clone, Debug)]
pub enum PortTerm {
    /// At least one.
    Services(Vec<Spanned<String>>),
    Ports(Vec<Spanned<PortMatch>>),
}

/// Switches; `true`: on, `false`: written with `!`.
pub type Switches = Vec<(Spanned<String>, bool)>;

#[derive(Clone, Debug)]
pub struct RuleEntry {
    /// The name's span stands for the rule in findings and refusals.
    pub name: Spanned<RuleName>,
    /// The place of `replaces = true`.
    pub replaces: Option<Span>,
    pub direction: Spanned<RuleDirection>,
    pub ports: PortTerm,
    pub peers: Spanned<Vec<Spanned<Peer>>>,
    /// Its place is that of the name where it is not written.
    pub action: Spanned<Action>,
    /// The place of `mode = "audit"`.
    pub audit: Option<Span>,
    pub purpose: String,
    /// All must hold.
    pub when: Switches,
    pub rows: Vec<String>,
    /// Every port of the peer if there is none; so for `zones`, `local` and `users`.
    pub from_ports: Vec<Spanned<(Protocol, PortRange)>>,
    pub zones: Vec<Spanned<String>>,
    pub local: Vec<Spanned<AddrRange>>,
    pub users: Vec<Spanned<User>>,
    /// `None`: as `[log]` says for its action.
    pub log: Option<bool>,
    pub enabled: bool,
}

/// Keys of a rule, each if it is written; the place is that of the value.
#[derive(Clone, Debug, Default)]
pub struct RuleKeys {
    pub direction: Option<Spanned<RuleDirection>>,
    pub ports: Option<Spanned<PortTerm>>,
    pub peers: Option<Spanned<Vec<Spanned<Peer>>>>,
    pub action: Option<Spanned<Action>>,
    pub audit: Option<Span>,
    pub purpose: Option<Spanned<String>>,
    pub when: Option<Spanned<Switches>>,
    pub rows: Option<Spanned<Vec<String>>>,
    pub from_ports: Option<Spanned<Vec<Spanned<FromPorts>>>>,
    pub zones: Option<Spanned<Vec<Spanned<String>>>>,
    pub local: Option<Spanned<Vec<Spanned<AddrRange>>>>,
    pub users: Option<Spanned<Vec<Spanned<User>>>>,
    pub log: Option<Spanned<bool>>,
    pub enabled: Option<Spanned<bool>>,
}

/// `[override.NAME]`
#[derive(Clone, Debug)]
pub struct OverrideEntry {
    pub rule: Spanned<RuleName>,
    pub keys: RuleKeys,
}

/// `portgrave.toml`, with the defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Vendor policies, by name, with the place where each is written.
    pub policy: Vec<Spanned<String>>,
    pub vendor_dir: PathBuf,
    pub policy_dir: PathBuf,
    pub state_dir: PathBuf,
    pub runtime_dir: PathBuf,
    pub resolver: ResolverSettings,
    pub control: ControlSettings,
    pub log: LogPolicy,
}

impl Settings {
    /// Where the daemon listens.
    pub fn control_socket(&self) -> PathBuf {
        self.runtime_dir.join("control.sock")
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct ResolverSettings {
    /// `None`: the servers of resolv.conf.
    pub servers: Option<Vec<SocketAddr>>,
    pub ttl_floor: Duration,
    pub ttl_cap: Duration,
    pub grace: Duration,
    pub min_interval: Duration,
    pub max_stale: Duration,
    /// In the order in which they are written; each suffix once.
    pub domains: Vec<Domain>,
}

/// `[[resolver.domain]]`: what holds for names under a suffix. Of several suffixes that a name has, the longest that says a
/// thing counts for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    pub suffix: Suffix,
    /// Whom to ask, in this order.
    pub servers: Option<Vec<SocketAddr>>,
    /// `allow-net = […]`: private networks that names under the suffix may stand for; sorted.
    pub allow_net: Option<Vec<AddrRange>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlSettings {
    /// The local group whose members may read over the control socket.
    pub group: String,
}
