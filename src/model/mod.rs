//! What the policy means: layers merged, groups and services resolved, defaults filled in.

mod answer;
mod baseline;
mod book;
pub mod catalogue;
mod checks;
mod covered;
mod domains;
mod draft;
mod groups;
pub mod management;
mod matching;
mod merge;
pub mod never;
mod packet;
mod parts;
mod print;
mod question;
mod resolve;
mod resolved;
mod rule_form;
mod rules;
mod services;
mod subjects;
mod verdict;

pub use answer::{Answer, Undecided, answer};
pub use book::{AddressBook, BROADCAST, Kept, LearnedAddress, Seen};
pub use covered::covered;
pub use domains::{advice, all_servers, default_servers, open_networks, servers_of};
pub use matching::Missing;
pub use packet::Packet;
pub use question::{End, Host, Question, QuestionError, Way, protocol_name};
pub use resolve::resolve;
pub use resolved::{
    Action, Baseline, BaselineRule, DefaultAction, Defaults, Exception, ForwardDefault, Group, ListRef,
    LogPolicy, Member, NamePolicy, PeerPart, Peers, Policy, Rule, RuleDirection, Source, User,
};
pub use verdict::{Decision, Verdict, verdict};

#[cfg(test)]
mod language_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
