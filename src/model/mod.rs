//! What the policy means: layers merged, groups and services resolved, defaults filled in.

mod book;
pub mod never;
mod resolved;

pub use book::{AddressBook, BROADCAST, LearnedAddress};
pub use resolved::{Action, Baseline, BaselineRule, ListRef, NamePolicy, Peers, Policy, Rule, RuleDirection};
