//! The operations that turn what the kernel holds into what is wanted: minimal, ordered, printable.

mod describe;
mod diff;
mod steps;
mod versions;

pub use describe::{Change, Summary};
pub use diff::diff;
pub use steps::steps;
pub use versions::{Exchanged, Held};

use crate::diag::Span;
use crate::ruleset::{Addresses, BaseChain, Element, ElementKey, Object, ObjectKind, Rule, Set};

/// Operations in the order in which one batch carries them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub ops: Vec<Op>,
}

/// One operation on the table `inet portgrave`.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Adding what exists is no error and changes nothing: no `NLM_F_EXCL`.
    AddTable,
    DeleteTable,
    AddObject {
        name: String,
        object: Object,
    },
    DeleteObject {
        name: String,
        kind: ObjectKind,
    },
    /// `head` has no elements; those follow as `AddElements`.
    AddSet {
        name: String,
        head: Set,
    },
    DeleteSet {
        name: String,
    },
    /// Removes every element.
    FlushSet {
        name: String,
    },
    AddChain {
        name: String,
        base: Option<BaseChain>,
    },
    DeleteChain {
        name: String,
    },
    /// `head` tells how the elements are written.
    AddElements {
        set: String,
        head: Set,
        elements: Vec<Element>,
    },
    DeleteElements {
        set: String,
        head: Set,
        keys: Vec<ElementKey>,
    },
    AddAddresses {
        set: String,
        head: Set,
        addresses: Addresses,
    },
    DeleteAddresses {
        set: String,
        head: Set,
        addresses: Addresses,
    },
    /// Gives elements of a set with timeouts a new life, whether or not they have just expired:
    /// add, delete, add (works on every kernel).
    RenewElements {
        set: String,
        head: Set,
        elements: Vec<Element>,
    },
    /// Before the rule of that handle, or at the chain's end.
    AddRule {
        chain: String,
        before: Option<u64>,
        rule: Rule,
    },
    DeleteRule {
        chain: String,
        handle: u64,
    },
}

impl Op {
    /// The place in the policy to name if the kernel refuses the operation.
    pub fn origin(&self) -> Option<Span> {
        match self {
            Self::AddObject { object, .. } => object.origin,
            Self::AddSet { head, .. }
            | Self::AddElements { head, .. }
            | Self::DeleteElements { head, .. }
            | Self::AddAddresses { head, .. }
            | Self::DeleteAddresses { head, .. }
            | Self::RenewElements { head, .. } => head.origin,
            Self::AddRule { rule, .. } => rule.origin,
            Self::AddTable
            | Self::DeleteTable
            | Self::DeleteObject { .. }
            | Self::DeleteSet { .. }
            | Self::FlushSet { .. }
            | Self::AddChain { .. }
            | Self::DeleteChain { .. }
            | Self::DeleteRule { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
