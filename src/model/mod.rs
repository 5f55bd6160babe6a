//! What the policy means: layers merged, groups and services resolved, defaults filled in.

mod baseline;
mod book;
pub mod catalogue;
mod checks;
mod draft;
mod groups;
pub mod management;
mod merge;
pub mod never;
mod print;
mod resolve;
mod resolved;
mod services;
mod verdict;

pub use book::{AddressBook, BROADCAST, LearnedAddress};
pub use resolve::resolve;
pub use resolved::{Action, Baseline, BaselineRule, ListRef, NamePolicy, Peers, Policy, Rule, RuleDirection};
pub use verdict::{Decision, Packet, Verdict, verdict};

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
