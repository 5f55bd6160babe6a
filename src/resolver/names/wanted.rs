//! What a policy wants to know of names, and what is to be sent for it.

use crate::resolver::book::{Caps, Change, Keeping};
use crate::types::{Family, HostName, RuleName};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// What a policy and the settings want to know.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub names: BTreeMap<HostName, Keeping>,
    /// Which names each rule reaches.
    pub rules: Vec<(RuleName, BTreeSet<HostName>)>,
    pub caps: Caps,
    /// An answer that showed nothing new is not asked for again earlier.
    pub min_interval: Duration,
    /// Names that one server only is asked for: its word is enough.
    pub alone: BTreeSet<HostName>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            names: BTreeMap::new(),
            rules: Vec::new(),
            caps: Caps::default(),
            min_interval: Duration::from_secs(10),
            alone: BTreeSet::new(),
        }
    }
}

/// Why a name may not have this address, if so.
pub type Never<'a> = &'a dyn Fn(&HostName, IpAddr) -> Option<&'static str>;

/// A question to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    pub name: HostName,
    pub family: Family,
    /// This server said that there is no such name: ask the others before it.
    pub not_first: Option<IpAddr>,
}

/// What is to be done at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// They count as in flight until they are answered.
    pub questions: Vec<Ask>,
    /// Of questions that nobody has answered in time.
    pub change: Change,
}
