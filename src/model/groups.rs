//! Groups: references that exist, no group within itself, and what a list of peers comes to, exceptions aside.

use super::NamePolicy;
use super::merge::{Group, Merged, values};
use crate::diag::{Finding, Findings, Span, did_you_mean};
use crate::policy::{HostGroup, Peer, Spanned};
use crate::types::{AddrRange, HostName};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a list of peers holds, groups within groups included.
#[derive(Default)]
pub(super) struct Holds<'a> {
    pub(super) any: bool,
    pub(super) broadcast: bool,
    pub(super) resolv_conf: bool,
    pub(super) ranges: BTreeSet<AddrRange>,
    /// Each with a place where it is written.
    pub(super) names: BTreeMap<&'a HostName, Span>,
    /// A list file is among the groups.
    pub(super) lists: bool,
    /// Every group on the way.
    pub(super) groups: BTreeSet<&'a str>,
    /// Every group that an exception of these names, and those in it.
    pub(super) excepted: BTreeSet<&'a str>,
}

impl Holds<'_> {
    /// Somebody who may open a connection to this machine: broadcast addresses send nothing.
    pub(super) fn has_senders(&self) -> bool {
        let sources = self.any || self.resolv_conf;
        sources || !self.ranges.is_empty() || !self.names.is_empty() || self.lists
    }

    /// Somebody to whom this machine may open a connection.
    pub(super) fn has_targets(&self) -> bool {
        self.has_senders() || self.broadcast
    }
}

/// Findings about what groups refer to.
pub(super) fn check(merged: &Merged, findings: &mut Findings) {
    for group in merged.groups.values() {
        for member in group.members().chain(group.except()) {
            check_reference(merged, member, findings);
        }
    }
    check_cycles(merged, findings);
}

pub(super) fn check_reference(merged: &Merged, peer: &Spanned<Peer>, findings: &mut Findings) {
    let Peer::Group(name) = &peer.value else { return };
    if !merged.groups.contains_key(name.as_str()) {
        let known = merged.groups.keys().copied();
        findings.push(
            Finding::error("PG303", format!("unknown group \"@{name}\"")).at(peer.span).help(did_you_mean(
                "group under [hosts]",
                name,
                known,
            )),
        );
    }
}

/// Everything that peers hold, as if no group had an exception. It ends also where a group includes itself.
pub(super) fn expand<'a>(merged: &Merged<'a>, peers: impl Iterator<Item = &'a Spanned<Peer>>) -> Holds<'a> {
    let mut holds = Holds::default();
    let (mut waiting, mut exceptions) = (Vec::new(), Vec::new());
    holds.take(peers, &mut waiting);
    while let Some(name) = waiting.pop() {
        let Some(group) = merged.groups.get(name) else { continue };
        if holds.groups.insert(name) {
            holds.take_sources(group);
            holds.take(group.members(), &mut waiting);
            exceptions.extend(group.except().filter_map(group_name));
        }
    }
    holds.excepted = reached(merged, exceptions);
    holds
}

/// These groups and all that they name, exceptions included.
fn reached<'a>(merged: &Merged<'a>, mut waiting: Vec<&'a str>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        let Some(group) = merged.groups.get(name) else { continue };
        if reached.insert(name) {
            waiting.extend(references(group).into_iter().filter_map(group_name));
        }
    }
    reached
}

/// How long the addresses of names are kept, for all names that these groups hold.
pub(super) fn name_policies<'a>(
    merged: &Merged<'a>,
    groups: &BTreeSet<&'a str>,
) -> BTreeMap<&'a HostName, NamePolicy> {
    let mut policies: BTreeMap<&HostName, NamePolicy> = BTreeMap::new();
    for group in groups.iter().filter_map(|name| merged.groups.get(name)) {
        let Some(definition) = group.definition else { continue };
        let says = NamePolicy {
            ttl_floor: definition.ttl_floor,
            ttl_cap: definition.ttl_cap,
            grace: definition.grace,
            allow_net: networks(definition),
        };
        if says == NamePolicy::default() {
            continue;
        }
        for name in expand(merged, group.members()).names.into_keys() {
            let policy = policies.entry(name).or_default();
            *policy = longest(policy, &says);
        }
    }
    for policy in policies.values_mut() {
        policy.allow_net.sort_unstable();
        policy.allow_net.dedup();
    }
    policies
}

fn networks(definition: &HostGroup) -> Vec<AddrRange> {
    definition.allow_net.iter().flat_map(|networks| values(&networks.value)).collect()
}

fn longest(a: &NamePolicy, b: &NamePolicy) -> NamePolicy {
    let max = |a: Option<Duration>, b: Option<Duration>| a.max(b);
    NamePolicy {
        ttl_floor: max(a.ttl_floor, b.ttl_floor),
        ttl_cap: max(a.ttl_cap, b.ttl_cap),
        grace: max(a.grace, b.grace),
        allow_net: [a.allow_net.as_slice(), &b.allow_net].concat(),
    }
}

impl<'a> Holds<'a> {
    fn take(&mut self, peers: impl Iterator<Item = &'a Spanned<Peer>>, groups: &mut Vec<&'a str>) {
        for peer in peers {
            match &peer.value {
                Peer::Any => self.any = true,
                Peer::Broadcast => self.broadcast = true,
                Peer::Group(name) => groups.push(name),
                Peer::Range(range) => {
                    self.ranges.insert(*range);
                }
                Peer::Name(name) => {
                    self.names.entry(name).or_insert(peer.span);
                }
            }
        }
    }

    fn take_sources(&mut self, group: &Group) {
        let Some(definition) = group.definition else { return };
        self.resolv_conf |= definition.resolv_conf;
        self.lists |= definition.file.is_some();
    }
}

/// Groups that include themselves: what refers to no group, or only to such groups, is taken away until nothing changes;
/// from each group that is left a way leads round.
fn check_cycles(merged: &Merged, findings: &mut Findings) {
    let mut left: BTreeMap<&str, Vec<&Spanned<Peer>>> =
        merged.groups.iter().map(|(name, group)| (*name, references(group))).collect();
    loop {
        remove_acyclic(&mut left);
        let Some(start) = left.keys().next().copied() else { return };
        let cycle = walk_round(&left, start);
        findings.push(cycle_finding(&cycle));
        for (name, _) in cycle {
            left.remove(name);
        }
    }
}

fn references<'a>(group: &Group<'a>) -> Vec<&'a Spanned<Peer>> {
    group.members().chain(group.except()).filter(|member| group_name(member).is_some()).collect()
}

pub(super) fn group_name(peer: &Spanned<Peer>) -> Option<&str> {
    match &peer.value {
        Peer::Group(name) => Some(name),
        Peer::Any | Peer::Broadcast | Peer::Range(_) | Peer::Name(_) => None,
    }
}

fn remove_acyclic(left: &mut BTreeMap<&str, Vec<&Spanned<Peer>>>) {
    let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut open: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, members) in left.iter() {
        let targets = members.iter().filter_map(|member| group_name(member));
        let targets: Vec<&str> = targets.filter(|target| left.contains_key(target)).collect();
        open.insert(*name, targets.len());
        for target in targets {
            users.entry(target).or_default().push(name);
        }
    }
    let mut ready: Vec<&str> = open.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect();
    while let Some(name) = ready.pop() {
        left.remove(name);
        for user in users.get(name).into_iter().flatten() {
            if let Some(count) = open.get_mut(user) {
                *count -= 1;
                if *count == 0 {
                    ready.push(user);
                }
            }
        }
    }
}

/// The groups of a round trip, each with the place where it names the next. Every group in `left` names another one there.
fn walk_round<'a>(left: &BTreeMap<&'a str, Vec<&'a Spanned<Peer>>>, start: &'a str) -> Vec<(&'a str, Span)> {
    let mut way: Vec<(&str, Span)> = Vec::new();
    let mut at = start;
    loop {
        if let Some(index) = way.iter().position(|(name, _)| *name == at) {
            return way.split_off(index);
        }
        let step = left.get(at).into_iter().flatten().find_map(|member| {
            let next = group_name(member).filter(|name| left.contains_key(name))?;
            Some((next, member.span))
        });
        let Some((next, place)) = step else { return way };
        way.push((at, place));
        at = next;
    }
}

fn cycle_finding(cycle: &[(&str, Span)]) -> Finding {
    let first = cycle.first().map_or("", |(name, _)| name);
    let mut chain: Vec<String> = cycle.iter().map(|(name, _)| format!("@{name}")).collect();
    chain.push(format!("@{first}"));
    let mut finding =
        Finding::error("PG304", format!("group \"{first}\" includes itself: {}", chain.join(" -> ")))
            .at(cycle.last().map(|(_, place)| *place))
            .help("take one of these references out");
    for (name, place) in cycle.iter().take(cycle.len().saturating_sub(1)) {
        finding = finding.also(*place, format!("@{name} includes the next here"));
    }
    finding
}
