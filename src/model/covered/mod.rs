//! Rules that can never be the named one, because for each packet that they match another rule goes before. Only what is
//! certain from the text is said: a single rule covers, and looked-up names, list files and the like are the same or not.

mod candidates;
mod fills;
mod rank;
mod stab;

pub(super) use fills::covers;

use super::{Action, Policy, Rule};
use crate::types::{AddrRange, Direction, InterfacePattern, PortRange, Protocol};
use candidates::Candidates;
use fills::fills;
use rank::{Rank, peers, ports};

/// Each covered rule of a policy, with one that always goes before it.
pub fn covered(policy: &Policy) -> Vec<(&Rule, &Rule)> {
    let deciding: Vec<&Rule> = policy.rules.iter().filter(|rule| rule.decides()).collect();
    let (stronger, allowing): (Vec<&Rule>, Vec<&Rule>) =
        deciding.iter().partition(|rule| rule.action < Action::Allow);
    let (stronger, allowing) = (Candidates::of(stronger), Candidates::of(allowing));
    let mut covered = Vec::new();
    for rule in deciding {
        let nowhere = rule.interfaces.as_ref().is_some_and(Vec::is_empty);
        if nowhere || rule.ports.is_empty() || rule.peers.parts.is_empty() {
            continue;
        }
        let mut others = stronger.for_rule(rule).chain(allowing.for_rule(rule));
        covered.extend(others.find(|other| goes_before(other, rule)).map(|before| (rule, before)));
    }
    covered
}

/// Whether `other` decides each packet that `rule` matches, in place of `rule`.
fn goes_before(other: &Rule, rule: &Rule) -> bool {
    let directions = Direction::BOTH.into_iter().all(|d| other.direction.has(d) || !rule.direction.has(d));
    if other.name == rule.name || other.action > rule.action || !directions || !conditions_imply(rule, other)
    {
        return false;
    }
    let (Some(peers), Some(ports)) = (peers(other, rule), ports(other, rule)) else { return false };
    if other.action < rule.action {
        return true;
    }
    match (peers, ports) {
        (Rank::Before, _) | (Rank::Level, Rank::Before) => true,
        (Rank::Level, Rank::Level) => other.name < rule.name,
        (Rank::Level, Rank::Somehow) | (Rank::Somehow, _) => false,
    }
}

/// Whether a packet that meets the conditions of `rule` meets those of `other`.
fn conditions_imply(rule: &Rule, other: &Rule) -> bool {
    from_ports_imply(rule, other)
        && interfaces_imply(rule, other)
        && local_implies(rule, other)
        && users_imply(rule, other)
}

fn from_ports_imply(rule: &Rule, other: &Rule) -> bool {
    let number = |port: u16| u128::from(port);
    let within = |(protocol, range): &(Protocol, PortRange)| {
        let pieces = other.from_ports.iter().filter(|(of, _)| of == protocol);
        fills(
            pieces.map(|(_, piece)| (number(piece.first()), number(piece.last()))),
            (number(range.first()), number(range.last())),
        )
    };
    other.from_ports.is_empty() || !rule.from_ports.is_empty() && rule.from_ports.iter().all(within)
}

fn interfaces_imply(rule: &Rule, other: &Rule) -> bool {
    let Some(wider) = &other.interfaces else { return true };
    let within = |narrow: &InterfacePattern| {
        wider.iter().any(|wide| match (wide.prefix(), narrow.prefix()) {
            (Some(wide), Some(narrow)) => narrow.starts_with(wide),
            (_, None) => wide.matches(narrow.as_str()),
            (None, Some(_)) => false,
        })
    };
    rule.interfaces.as_ref().is_some_and(|interfaces| interfaces.iter().all(within))
}

fn local_implies(rule: &Rule, other: &Rule) -> bool {
    let within = |range: &AddrRange| covers(other.local.iter(), range);
    other.local.is_empty() || !rule.local.is_empty() && rule.local.iter().all(within)
}

fn users_imply(rule: &Rule, other: &Rule) -> bool {
    other.users.is_empty()
        || !rule.users.is_empty() && rule.users.iter().all(|user| other.users.contains(user))
}
