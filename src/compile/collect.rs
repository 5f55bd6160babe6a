//! Sorts what the rules of one action say into the stages in which packets are judged: written addresses (exact, then
//! areas), looked-up names, list files, any peer. The order of stages is the order in which rules are named.

use super::cells::{Area, Rank};
use super::peers::LookedUp;
use super::space::{Run, Space};
use super::{Build, Side};
use crate::model::{Action, Exception, ListRef, Rule, Source};
use crate::types::PortMatch;
use std::collections::BTreeMap;
use std::time::Duration;

/// An index into the policy's rules, which are sorted by name.
pub(super) type RuleIndex = usize;

/// A key of one address, of one protocol and one value of its space.
pub(super) type Exact = (u128, u8, u16);

/// What the rules of one action and side say of a space.
#[derive(Default)]
pub(super) struct Stages {
    /// One written address and one port.
    pub(super) exact: BTreeMap<Exact, Vec<RuleIndex>>,
    /// Written prefixes, ranges and port ranges.
    pub(super) areas: Vec<(Area, Rank)>,
    pub(super) names: Named,
    /// Addresses that only `allow-net` lets a name stand for, and one port.
    pub(super) opened_names: Named,
    /// Looked-up names with port ranges or with every port.
    pub(super) wide_names: Vec<Linear>,
    pub(super) lists: Vec<Linear>,
    /// Any peer. Without exceptions the addresses of all these areas are zero.
    pub(super) any: Vec<(Area, Rank)>,
    pub(super) any_has_exceptions: bool,
}

/// A looked-up address and one port, with the longest life that any of the names gives it.
pub(super) type Named = BTreeMap<Exact, (Vec<RuleIndex>, Duration)>;

/// A rule that takes a line of its own: a set of addresses and the ports of one width.
#[derive(Clone, Debug)]
pub(super) struct Linear {
    /// Ports less one, of each of `ports`.
    pub(super) width: u32,
    pub(super) rule: RuleIndex,
    pub(super) list: Option<(ListRef, Vec<Exception>)>,
    pub(super) ports: Vec<PortMatch>,
}

impl Build<'_> {
    /// The deciding rules of an action that can match a packet of a side, with their indexes.
    pub(super) fn rules(&self, side: Side, action: Action) -> impl Iterator<Item = (RuleIndex, &Rule)> {
        let wanted = move |rule: &Rule| rule.action == action && rule.decides();
        self.rules_of(side.direction).filter(move |(_, rule)| wanted(rule) && self.applies(side, rule))
    }

    pub(super) fn collect(&self, side: Side, space: Space, action: Action) -> Stages {
        let mut stages = Stages::default();
        let rules: Vec<(RuleIndex, &Rule)> = self
            .rules(side, action)
            .filter(|(_, rule)| space == Space::Ports || rule.from_ports.is_empty())
            .collect();
        let excepted = |rule: &Rule| {
            rule.peers.parts.iter().any(|part| part.source == Source::Any && !part.except.is_empty())
        };
        stages.any_has_exceptions = rules.iter().any(|(_, rule)| excepted(rule));
        for (index, rule) in rules {
            let ports: Vec<(PortMatch, Vec<Run>)> = rule
                .ports
                .iter()
                .map(|entry| (*entry, self.runs(side, space, *entry)))
                .filter(|(_, runs)| !runs.is_empty())
                .collect();
            self.collect_rule(side, space, (index, rule), &ports, &mut stages);
        }
        let order = |line: &Linear| (line.width, line.rule, line.list.clone());
        stages.lists.sort_by_key(order);
        stages.wide_names.sort_by_key(order);
        stages
    }

    fn collect_rule(
        &self,
        side: Side,
        space: Space,
        (index, rule): (RuleIndex, &Rule),
        ports: &[(PortMatch, Vec<Run>)],
        stages: &mut Stages,
    ) {
        let runs =
            || ports.iter().flat_map(|(entry, runs)| runs.iter().map(move |run| (entry.width(), *run)));
        for written in self.written(side, rule) {
            for (width, run) in runs() {
                stages.add_written(space, written, width, run, index);
            }
        }
        for entry in self.looked_up(side, rule) {
            for (_, run) in runs().filter(|(width, _)| *width == 0) {
                stages.add_name(entry, run, index);
            }
        }
        let entries = || ports.iter().map(|(entry, _)| *entry);
        if rule.peers.names().next().is_some() {
            stages.wide_names.extend(linear(entries().filter(|entry| entry.width() > 0), index, None));
        }
        for part in &rule.peers.parts {
            match &part.source {
                Source::List(list) => {
                    let list = Some((list.clone(), part.except.clone()));
                    stages.lists.extend(linear(entries(), index, list));
                }
                Source::Any => {
                    let all = stages.any_has_exceptions;
                    let ranges = if all { self.any_ranges(side, &part.except) } else { vec![(0, 0)] };
                    for (width, run) in runs() {
                        let area = |addresses| (area(addresses, run), (0, width, index));
                        stages.any.extend(ranges.iter().copied().map(area));
                    }
                }
                Source::Range(_) | Source::ResolvConf | Source::Broadcast | Source::Name(_) => {}
            }
        }
    }
}

impl Stages {
    fn add_written(
        &mut self,
        space: Space,
        written: super::peers::Written,
        width: u32,
        run: Run,
        rule: RuleIndex,
    ) {
        let narrowest = width == 0 || space == Space::Whole;
        if written.span == 0 && narrowest && run.is_single() {
            let rules = self.exact.entry((written.addresses.0, run.protocol, run.values.0)).or_default();
            insert(rules, rule);
        } else {
            self.areas.push((area(written.addresses, run), (written.span, width, rule)));
        }
    }

    fn add_name(&mut self, entry: LookedUp, run: Run, rule: RuleIndex) {
        let names = if entry.opened { &mut self.opened_names } else { &mut self.names };
        let (rules, life) = names.entry((entry.address, run.protocol, run.values.0)).or_default();
        insert(rules, rule);
        *life = entry.life.max(*life);
    }
}

fn insert(rules: &mut Vec<RuleIndex>, rule: RuleIndex) {
    if let Err(place) = rules.binary_search(&rule) {
        rules.insert(place, rule);
    }
}

fn area(addresses: (u128, u128), run: Run) -> Area {
    Area { addresses, protocol: run.protocol, ports: run.values }
}

/// A line for each width of port ranges, so that the fewer ports stand first.
pub(super) fn linear(
    ports: impl Iterator<Item = PortMatch>,
    rule: RuleIndex,
    list: Option<(ListRef, Vec<Exception>)>,
) -> impl Iterator<Item = Linear> {
    let mut by_width: BTreeMap<u32, Vec<PortMatch>> = BTreeMap::new();
    for ports in ports {
        by_width.entry(ports.width()).or_default().push(ports);
    }
    by_width.into_iter().map(move |(width, ports)| Linear { width, rule, list: list.clone(), ports })
}
