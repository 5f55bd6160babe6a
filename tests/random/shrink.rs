//! The smallest policy that still shows a difference.

use portgrave::model::{Defaults, PeerPart, Policy, Rule};

/// Takes away rules, then parts of rules, as long as the difference stays.
pub fn smallest(policy: &Policy, mut differs: impl FnMut(&Policy) -> bool) -> Policy {
    let mut smallest = policy.clone();
    while let Some(smaller) = smaller(&smallest).into_iter().find(|smaller| differs(smaller)) {
        smallest = smaller;
    }
    smallest
}

/// Every policy with one thing less.
fn smaller(policy: &Policy) -> Vec<Policy> {
    let mut all: Vec<Policy> =
        without_one(&policy.rules, 0).into_iter().map(|rules| Policy { rules, ..policy.clone() }).collect();
    for (index, rule) in policy.rules.iter().enumerate() {
        all.extend(smaller_rules(rule).into_iter().map(|rule| {
            let mut policy = policy.clone();
            policy.rules[index] = rule;
            policy
        }));
    }
    for name in policy.names.keys().filter(|name| !policy.names[*name].allow_net.is_empty()) {
        let mut policy = policy.clone();
        policy.names.insert(name.clone(), Default::default());
        all.push(policy);
    }
    if policy.default != Defaults::default() {
        all.push(Policy { default: Defaults::default(), ..policy.clone() });
    }
    all
}

fn smaller_rules(rule: &Rule) -> Vec<Rule> {
    let mut all = Vec::new();
    for parts in without_one(&rule.peers.parts, 1) {
        let mut rule = rule.clone();
        rule.peers.parts = parts;
        all.push(rule);
    }
    for (index, part) in rule.peers.parts.iter().enumerate() {
        all.extend(smaller_parts(part).into_iter().map(|part| {
            let mut rule = rule.clone();
            rule.peers.parts[index] = part;
            rule
        }));
    }
    let with = |change: &dyn Fn(&mut Rule)| {
        let mut rule = rule.clone();
        change(&mut rule);
        rule
    };
    all.extend(
        without_one(&rule.ports, 1).into_iter().map(|ports| with(&|rule| rule.ports.clone_from(&ports))),
    );
    all.extend([
        with(&|rule| rule.from_ports.clear()),
        with(&|rule| rule.interfaces = None),
        with(&|rule| rule.local.clear()),
        with(&|rule| rule.users.clear()),
        with(&|rule| rule.helper = None),
    ]);
    all.retain(|smaller| smaller != rule);
    all
}

/// An exception goes as a whole: what a group excepts is the same wherever the group stands.
fn smaller_parts(part: &PeerPart) -> Vec<PeerPart> {
    without_one(&part.except, 0).into_iter().map(|except| PeerPart { except, ..part.clone() }).collect()
}

/// Every list with one value less, if at least so many are left.
fn without_one<T: Clone>(values: &[T], least: usize) -> Vec<Vec<T>> {
    if values.len() <= least {
        return Vec::new();
    }
    let without = |index: usize| {
        let mut rest = values.to_vec();
        rest.remove(index);
        rest
    };
    (0..values.len()).map(without).collect()
}
