//! What nftables will hold, as plain data: one table `inet portgrave` with chains, sets, maps and objects.
//!
//! The same types describe what is wanted (made by `compile`) and what is held (decoded by `netlink`), so that the
//! two can be compared. `text` prints a ruleset as `nft -f` takes it.

mod addresses;
mod build;
mod element;
mod expr;
mod text;

pub use addresses::Addresses;
pub use build::{Part, RuleBuilder};
pub use element::{Element, ElementKey, ElementValue, Elements, Field};
pub use expr::{
    CmpOp, CtKey, DynsetOp, Expr, Limit, LimitUnit, MetaKey, ObjectKind, PayloadBase, Reg, RejectKind,
    Verdict,
};
pub use text::{element_words, key_words};

use crate::diag::Span;
use std::collections::BTreeMap;
use std::time::Duration;

/// The agent's only table, of family `inet`.
pub const TABLE: &str = "portgrave";

/// The content of the table. A ruleset that was read has no texts and no origins; comparing ignores both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ruleset {
    pub objects: BTreeMap<String, Object>,
    pub sets: BTreeMap<String, Set>,
    pub chains: BTreeMap<String, Chain>,
    /// Only read, never wanted: the table is switched off as a whole (`flags dormant`). Adding it again wakes it.
    pub dormant: bool,
}

impl Ruleset {
    /// Gives rules that were read the texts of equal rules of the same chain.
    pub fn take_texts(&mut self, known: &Self) {
        for (name, chain) in &mut self.chains {
            let Some(known) = known.chains.get(name) else { continue };
            for rule in &mut chain.rules {
                if let Some(same) = known.rules.iter().find(|candidate| *candidate == rule) {
                    rule.text.clone_from(&same.text);
                }
            }
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chain {
    pub base: Option<BaseChain>,
    pub rules: Vec<Rule>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseChain {
    pub hook: Hook,
    pub priority: i32,
    pub policy: ChainPolicy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    Prerouting,
    Input,
    Forward,
    Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainPolicy {
    Accept,
    Drop,
}

/// One rule of a chain. Two rules are equal when their expressions are.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    pub exprs: Vec<Expr>,
    /// The rule in nft syntax; empty when it was read from the kernel.
    pub text: String,
    /// The place in the policy that it comes from, where one does.
    pub origin: Option<Span>,
    /// The kernel's handle; only of a rule that was read.
    pub handle: Option<u64>,
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.exprs == other.exprs
    }
}

/// A set or a map: its head and its elements.
#[derive(Clone, Debug)]
pub struct Set {
    /// The fields of the key, more than one for a concatenation.
    pub key: Vec<Field>,
    pub data: SetData,
    /// Keys are ranges (`flags interval`).
    pub interval: bool,
    /// Elements expire (`flags timeout`), by default after this time.
    pub timeout: Option<Duration>,
    /// The packet path adds elements (`flags dynamic`); they are the kernel's own and never compared.
    pub dynamic: bool,
    pub size: Option<u32>,
    pub elements: Elements,
    pub origin: Option<Span>,
}

impl PartialEq for Set {
    fn eq(&self, other: &Self) -> bool {
        self.same_head(other) && (self.dynamic || self.elements == other.elements)
    }
}

impl Set {
    /// Whether the heads are equal: what cannot be changed without making the set anew.
    pub fn same_head(&self, other: &Self) -> bool {
        self.key == other.key
            && self.data == other.data
            && self.interval == other.interval
            && self.timeout == other.timeout
            && self.dynamic == other.dynamic
            && self.size == other.size
    }

    /// The head without elements.
    pub fn head(&self) -> Self {
        Self {
            key: self.key.clone(),
            data: self.data,
            interval: self.interval,
            timeout: self.timeout,
            dynamic: self.dynamic,
            size: self.size,
            elements: Elements::default(),
            origin: self.origin,
        }
    }
}

/// What an element leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetData {
    /// A set, not a map.
    None,
    Verdict,
    /// A named object.
    Object(ObjectKind),
}

/// A named stateful object. A counter's values are only read, and never compared.
#[derive(Clone, Debug)]
pub struct Object {
    pub kind: ObjectDef,
    pub origin: Option<Span>,
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

#[derive(Clone, Debug)]
pub enum ObjectDef {
    Counter {
        packets: u64,
        bytes: u64,
    },
    /// A conntrack helper: its name in the kernel, the layer 3 protocol (2 IPv4, 10 IPv6) and the layer 4 protocol.
    CtHelper {
        helper: String,
        l3proto: u16,
        l4proto: u8,
    },
}

impl PartialEq for ObjectDef {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Counter { .. }, Self::Counter { .. }) => true,
            (
                Self::CtHelper { helper: a, l3proto: b, l4proto: c },
                Self::CtHelper { helper: d, l3proto: e, l4proto: f },
            ) => (a, b, c) == (d, e, f),
            (Self::Counter { .. }, Self::CtHelper { .. }) | (Self::CtHelper { .. }, Self::Counter { .. }) => {
                false
            }
        }
    }
}

impl ObjectDef {
    pub fn kind(&self) -> ObjectKind {
        match self {
            Self::Counter { .. } => ObjectKind::Counter,
            Self::CtHelper { .. } => ObjectKind::CtHelper,
        }
    }
}
