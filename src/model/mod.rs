//! What the policy means: layers merged, groups and services resolved, defaults filled in.

mod book;
mod resolved;

pub use book::{AddressBook, LearnedAddress};
pub use resolved::{Action, Baseline, BaselineRule, ListRef, NamePolicy, Peers, Policy, Rule, RuleDirection};
