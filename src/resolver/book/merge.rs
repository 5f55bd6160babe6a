//! Answers into the book.

use super::caps::{self, Candidate, Candidates, Caps};
use super::{Book, Keeping, Learned, LearnedName, Warning};
use crate::resolver::outcome::{Failure, Lookup, Lookups};
use crate::types::{Family, HostName, RuleName};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// What a policy wants to know.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub names: BTreeMap<HostName, Keeping>,
    /// Which names each rule reaches.
    pub rules: Vec<(RuleName, BTreeSet<HostName>)>,
    pub caps: Caps,
}

/// Why a name may not have this address, if so.
pub type Never<'a> = &'a dyn Fn(&HostName, IpAddr) -> Option<&'static str>;

/// Adds answers to what was known before. What a policy no longer names, has expired or is refused by `never` goes;
/// nothing that stays expires earlier than before. Names that were not asked keep what they have.
pub fn merge(
    previous: &Book,
    lookups: &Lookups,
    now: Duration,
    wanted: &Wanted,
    never: Never<'_>,
) -> (Book, Vec<Warning>) {
    let mut warnings = Vec::new();
    let mut candidates = Candidates::new();
    let mut failures = BTreeMap::new();
    for (name, keeping) in &wanted.names {
        let known = previous.names.get(name);
        let mut merging = Merging::new(name, known, now, *keeping, never);
        for family in Family::BOTH {
            if let Some(lookup) = lookups.get(name, family) {
                merging.take(family, lookup, &wanted.caps);
            }
        }
        let failure = merging.failure(known);
        failures.insert(name, failure);
        candidates.insert(name.clone(), merging.finish(&wanted.caps, failure, &mut warnings));
    }
    cap_together(&mut candidates, wanted, &mut warnings);
    let names = candidates.into_iter().map(|(name, held)| {
        let mut addresses: Vec<Learned> = held.into_iter().map(|candidate| candidate.learned).collect();
        addresses.sort_by_key(|learned| learned.address);
        let last_failure = failures.get(&name).copied().flatten();
        (name, LearnedName { addresses, last_failure })
    });
    (Book { names: names.collect() }, warnings)
}

fn cap_together(candidates: &mut Candidates, wanted: &Wanted, warnings: &mut Vec<Warning>) {
    for (rule, names) in &wanted.rules {
        let cap = wanted.caps.rule;
        let dropped = caps::of_names(candidates, names, cap);
        if dropped > 0 {
            warnings.push(Warning::RuleCap { rule: rule.clone(), dropped, cap });
        }
    }
    let (all, cap) = (candidates.keys().cloned().collect(), wanted.caps.all);
    let dropped = caps::of_names(candidates, &all, cap);
    if dropped > 0 {
        warnings.push(Warning::Cap { dropped, cap });
    }
}

/// One name under way.
struct Merging<'a> {
    name: &'a HostName,
    now: Duration,
    keeping: Keeping,
    never: Never<'a>,
    held: BTreeMap<IpAddr, Candidate>,
    refused: Vec<(IpAddr, &'static str)>,
    outcomes: Vec<Result<(), Failure>>,
    warnings: Vec<Warning>,
}

impl<'a> Merging<'a> {
    fn new(
        name: &'a HostName,
        known: Option<&LearnedName>,
        now: Duration,
        keeping: Keeping,
        never: Never<'a>,
    ) -> Self {
        let known = known.into_iter().flat_map(|known| &known.addresses);
        let stays = known.filter(|learned| learned.expires > now && never(name, learned.address).is_none());
        let held = stays.map(|learned| (learned.address, Candidate { learned: *learned, before: true }));
        let (refused, outcomes, warnings) = (Vec::new(), Vec::new(), Vec::new());
        Self { name, now, keeping, never, held: held.collect(), refused, outcomes, warnings }
    }

    fn take(&mut self, family: Family, lookup: &Lookup, caps: &Caps) {
        let outcome = match &lookup.outcome {
            Ok(answer) => self.answer(family, &answer.addresses, caps.answer),
            Err(failure) => Err(*failure),
        };
        if outcome.is_err_and(|failure| !failure.is_of_the_name()) {
            self.extend(family);
        }
        self.outcomes.push(outcome);
    }

    /// An answer of which everything is refused is none.
    fn answer(&mut self, family: Family, addresses: &[(IpAddr, u32)], cap: usize) -> Result<(), Failure> {
        let mut taken = Vec::new();
        for (address, ttl) in addresses {
            match (self.never)(self.name, *address) {
                Some(reason) => self.refused.push((*address, reason)),
                None => taken.push((*address, *ttl)),
            }
        }
        let dropped = caps::of_answer(&mut taken, cap, |address| self.held.contains_key(&address));
        if dropped > 0 {
            self.warnings.push(Warning::AnswerCap { name: self.name.clone(), family, dropped, cap });
        }
        for (address, ttl) in &taken {
            self.renew(*address, self.keeping.answered(self.now, *ttl));
        }
        if taken.is_empty() { Err(Failure::NoData { seconds: None }) } else { Ok(()) }
    }

    fn renew(&mut self, address: IpAddr, expires: Duration) {
        let learned = Learned { address, expires, last_seen: Some(self.now) };
        let held = self.held.entry(address).or_insert(Candidate { learned, before: false });
        held.learned.expires = held.learned.expires.max(expires);
        held.learned.last_seen = Some(self.now);
    }

    fn extend(&mut self, family: Family) {
        for learned in self.held.values_mut().map(|candidate| &mut candidate.learned) {
            if let (true, Some(last_seen)) = (Family::of(learned.address) == family, learned.last_seen) {
                learned.expires = learned.expires.max(self.keeping.failed(self.now, last_seen));
            }
        }
    }

    /// What servers failed at counts before what they said of the name, and that only if no family has an address.
    fn failure(&self, known: Option<&LearnedName>) -> Option<Failure> {
        if self.outcomes.is_empty() {
            return known.and_then(|known| known.last_failure);
        }
        let failures: Vec<Failure> = self.outcomes.iter().filter_map(|outcome| outcome.err()).collect();
        let of_servers = failures.iter().find(|failure| !failure.is_of_the_name());
        let of_the_name = failures.iter().max().filter(|_| failures.len() == self.outcomes.len());
        of_servers.or(of_the_name).copied()
    }

    fn finish(
        mut self,
        caps: &Caps,
        failure: Option<Failure>,
        warnings: &mut Vec<Warning>,
    ) -> Vec<Candidate> {
        let mut candidates: Vec<Candidate> = self.held.into_values().collect();
        let (name, cap) = (self.name.clone(), caps.name);
        let dropped = caps::of_name(&mut candidates, cap);
        if dropped > 0 {
            self.warnings.push(Warning::NameCap { name: name.clone(), dropped, cap });
        }
        let (asked, held, all) = (!self.outcomes.is_empty(), candidates.len(), candidates.is_empty());
        if let Some(failure) = failure.filter(|_| asked && self.refused.is_empty()) {
            self.warnings.push(Warning::Unanswered { name: name.clone(), failure, held });
        }
        if !self.refused.is_empty() {
            self.warnings.push(Warning::Refused { name, addresses: self.refused, all });
        }
        warnings.append(&mut self.warnings);
        candidates
    }
}
