//! Policy to [`Ruleset`]: a pure function of the policy, the addresses and the kernel's features.
//!
//! What a packet costs does not grow with the policy: each stage of the order in which rules are named is one lookup,
//! for ten rules and for ten thousand. `docs/architecture.md` has the shape.

mod audit;
mod base;
mod baseline;
mod cells;
mod chains;
mod collect;
mod containers;
mod emit;
mod forward;
mod key;
mod log;
mod names;
mod peers;
mod prerouting;
mod rule_chain;
mod space;

pub use baseline::ADOPTED_SETS;
pub use names::of_names;

use crate::diag::{Finding, Findings, Span};
use crate::model::{AddressBook, Baseline, BaselineRule, Policy, Rule as PolicyRule};
use crate::ruleset::{Field, Object, ObjectDef, Rule, Ruleset, Set};
use crate::types::{Direction, Family};

/// What the running kernel can do, as far as the shape depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// Concatenations with intervals (`nft_set_pipapo`): Linux 5.6 and later, and older kernels with a backport.
    pub interval_concatenations: bool,
}

impl Features {
    /// Everything that the shape asks for: what is assumed where no kernel is asked.
    pub const ALL: Self = Self { interval_concatenations: true };
}

/// More cells than this in one policy is an error that names the rules.
const MAX_CELLS: usize = 1_000_000;

pub fn compile(policy: &Policy, book: &AddressBook, features: &Features) -> Result<Ruleset, Findings> {
    if !features.interval_concatenations {
        let finding = Finding::error("PG501", "this kernel has no concatenations with intervals in sets")
            .help(
                "run a kernel with nft_set_pipapo: Linux 5.6 or later, or an older one with a backport of it",
            );
        return Err(finding.into());
    }
    let mut build =
        Build { policy, book, ruleset: Ruleset::default(), cells: 0, findings: Findings::default() };
    build.prerouting_chain();
    for direction in Direction::BOTH {
        build.direction(direction);
    }
    build.forward();
    if build.cells > MAX_CELLS {
        build.findings.push(too_many_cells(policy, build.cells));
    }
    if build.findings.has_errors() { Err(build.findings) } else { Ok(build.ruleset) }
}

fn too_many_cells(policy: &Policy, cells: usize) -> Finding {
    let mut wide: Vec<&PolicyRule> = policy.rules.iter().collect();
    wide.sort_by_key(|rule| std::cmp::Reverse(rule.peers.parts.len() * rule.ports.len()));
    let names: Vec<&str> = wide.iter().take(3).map(|rule| rule.name.as_str()).collect();
    Finding::error(
        "PG502",
        format!("the policy comes to {cells} cells of addresses and ports, over {MAX_CELLS}"),
    )
    .at(wide.first().map(|rule| rule.origin))
    .help(format!("put the addresses of the largest rules ({}) into list files", names.join(", ")))
}

/// The direction and the family of one part of the ruleset.
#[derive(Clone, Copy)]
struct Side {
    direction: Direction,
    family: Family,
}

impl Side {
    /// `in4`, `out6`: what the names of its chains and sets begin with.
    fn prefix(self) -> String {
        format!("{}{}", self.direction.as_str(), self.digit())
    }

    fn digit(self) -> u8 {
        match self.family {
            Family::V4 => 4,
            Family::V6 => 6,
        }
    }

    fn icmp_field(self) -> Field {
        match self.family {
            Family::V4 => Field::IcmpType,
            Family::V6 => Field::Icmpv6Type,
        }
    }
}

/// The ruleset under construction.
struct Build<'a> {
    policy: &'a Policy,
    book: &'a AddressBook,
    ruleset: Ruleset,
    cells: usize,
    findings: Findings,
}

impl<'a> Build<'a> {
    fn baseline(&self) -> &'a Baseline {
        &self.policy.baseline
    }

    fn has(&self, rule: BaselineRule) -> bool {
        self.baseline().has(rule)
    }

    /// The rules of a direction, those in audit mode included, with their indexes.
    fn rules_of(&self, direction: Direction) -> impl Iterator<Item = (usize, &'a PolicyRule)> + use<'a> {
        let policy = self.policy;
        policy.rules.iter().enumerate().filter(move |(_, rule)| rule.direction.has(direction))
    }

    fn append(&mut self, chain: &str, rule: Rule) {
        self.ruleset.chains.entry(chain.to_owned()).or_default().rules.push(rule);
    }

    fn add_set(&mut self, name: impl Into<String>, set: Set) {
        self.ruleset.sets.insert(name.into(), set);
    }

    /// A counter's object, made when first asked for: `in.smtp-in`, `out.baseline.echo`.
    fn counter(&mut self, direction: Direction, name: &str, origin: Option<Span>) -> String {
        let object = format!("{}.{name}", direction.as_str());
        let kind = ObjectDef::Counter { packets: 0, bytes: 0 };
        self.ruleset.objects.entry(object.clone()).or_insert(Object { kind, origin });
        object
    }

    fn rule_counter(&mut self, direction: Direction, rule: &PolicyRule) -> String {
        self.counter(direction, rule.name.as_str(), Some(rule.origin))
    }
}

/// The name of the chain that drops what no rule of a side allows.
fn denied_chain(side: Side) -> String {
    format!("{}.denied", side.prefix())
}

/// The name of the chain that answers what a reject rule matches.
fn rejected_chain(direction: Direction) -> String {
    format!("{}.rejected", direction.as_str())
}

#[cfg(test)]
mod tests;
