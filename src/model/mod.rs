//! What the policy means: layers merged, groups and services resolved, defaults filled in.

mod baseline;
mod book;
pub mod catalogue;
mod checks;
mod covered;
mod draft;
mod groups;
pub mod management;
mod merge;
pub mod never;
mod packet;
mod parts;
mod print;
mod resolve;
mod resolved;
mod rule_form;
mod rules;
mod services;
mod verdict;

pub use book::{AddressBook, BROADCAST, LearnedAddress};
pub use covered::covered;
pub use packet::Packet;
pub use resolve::resolve;
pub use resolved::{
    Action, Baseline, BaselineRule, DefaultAction, Defaults, Exception, ForwardDefault, ListRef, NamePolicy,
    PeerPart, Peers, Policy, Rule, RuleDirection, Source, User,
};
pub use verdict::{Decision, Verdict, verdict};

#[cfg(test)]
mod language_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
