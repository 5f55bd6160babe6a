//! What goes in and what comes out: a policy's wishes, the questions to send, the changes that answers make.

use crate::resolver::book::{Caps, Keeping, Warning};
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
    /// No answer is asked for again earlier, unless it showed new addresses or servers failed.
    pub min_interval: Duration,
    /// How many servers are asked: the word of one is enough only where there is no second.
    pub servers: usize,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            names: BTreeMap::new(),
            rules: Vec::new(),
            caps: Caps::default(),
            min_interval: Duration::from_secs(10),
            servers: 1,
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

/// What has become of the addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Their elements in the kernel are to be added or renewed: what every holder of them has is in
    /// [`super::Names::addresses`].
    pub addresses: BTreeSet<IpAddr>,
    /// A name holds them no longer although their time has not come, or the kernel holds them longer than it should. Another
    /// name may hold them still.
    pub removed: BTreeSet<IpAddr>,
    /// Each comes once until what it says has ended.
    pub warnings: Vec<Warning>,
}

impl Change {
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.removed.is_empty() && self.warnings.is_empty()
    }

    /// Takes in a later change.
    pub fn extend(&mut self, later: Self) {
        self.addresses.extend(later.addresses);
        self.removed.extend(later.removed);
        self.warnings.extend(later.warnings);
    }
}
