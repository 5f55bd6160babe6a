//! What has become of the addresses.

use super::Warning;
use std::collections::BTreeSet;
use std::net::IpAddr;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Their elements in the kernel are to be added or renewed; `Names::addresses` says for every name that has them how long
    /// they live.
    pub addresses: BTreeSet<IpAddr>,
    /// A name has them no longer, or the kernel holds them longer than it should. Another name may have them still.
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
