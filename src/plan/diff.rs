//! Compares what is wanted with what is held.
//!
//! The order of a batch: rules that go, elements that go, then sets, chains and objects that go; then objects, sets, chains,
//! elements and rules that come. The kernel makes all of it visible at once.

use super::{Op, Plan};
use crate::ruleset::{
    Addresses, Chain, Element, ElementKey, ElementValue, Elements, Expr, Rule, Ruleset, Set, SetData, Verdict,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A wanted life that is longer than what is left by more than this is renewed.
const RENEW_ABOVE: Duration = Duration::from_secs(1);

type Held = BTreeMap<ElementKey, ElementValue>;

/// The operations that make `want` of `have`; `None` is a kernel without the table.
pub fn diff(want: &Ruleset, have: Option<&Ruleset>) -> Plan {
    let empty = Ruleset::default();
    let mut ops = Vec::new();
    // Adding a table that is there wakes it if somebody has put it to sleep.
    if have.is_none_or(|have| have.dormant && !want.dormant) {
        ops.push(Op::AddTable);
    }
    Diff::new(want, have.unwrap_or(&empty)).all(&mut ops);
    Plan { ops }
}

/// The same, with these sets made anew whether or not their heads differ.
pub(super) fn diff_anew<'a>(want: &'a Ruleset, have: &'a Ruleset, sets: &BTreeSet<&'a str>) -> Plan {
    let mut ops = Vec::new();
    let mut diff = Diff::new(want, have);
    diff.anew_sets.extend(sets);
    diff.all(&mut ops);
    Plan { ops }
}

/// Names that must be made anew because their head differs, and everything that refers to one of them.
struct Diff<'a> {
    want: &'a Ruleset,
    have: &'a Ruleset,
    anew_sets: BTreeSet<&'a str>,
    anew_objects: BTreeSet<&'a str>,
    anew_chains: BTreeSet<&'a str>,
}

impl<'a> Diff<'a> {
    fn new(want: &'a Ruleset, have: &'a Ruleset) -> Self {
        let anew_objects: BTreeSet<&str> = differing(&want.objects, &have.objects, |a, b| a != b);
        let anew_chains = differing(&want.chains, &have.chains, |a, b| a.base != b.base);
        let anew_sets = differing(&want.sets, &have.sets, |a, b| !a.same_head(b));
        Self { want, have, anew_sets, anew_objects, anew_chains }
    }

    fn all(&self, ops: &mut Vec<Op>) {
        self.removals(ops);
        self.additions(ops);
    }

    fn removals(&self, ops: &mut Vec<Op>) {
        for (name, held) in &self.have.chains {
            let handles = self.rules_that_go(name, held).into_iter().filter_map(|rule| rule.handle);
            ops.extend(handles.map(|handle| Op::DeleteRule { chain: name.clone(), handle }));
        }
        for (name, held) in &self.have.sets {
            if self.set_goes(name) {
                ops.push(Op::DeleteSet { name: name.clone() });
            } else {
                self.elements_that_go(name, held, ops);
            }
        }
        for name in self.have.chains.keys() {
            if !self.want.chains.contains_key(name) || self.anew_chains.contains(name.as_str()) {
                ops.push(Op::DeleteChain { name: name.clone() });
            }
        }
        for (name, held) in &self.have.objects {
            if !self.want.objects.contains_key(name) || self.anew_objects.contains(name.as_str()) {
                ops.push(Op::DeleteObject { name: name.clone(), kind: held.kind.kind() });
            }
        }
    }

    fn additions(&self, ops: &mut Vec<Op>) {
        for (name, object) in &self.want.objects {
            if !self.have.objects.contains_key(name) || self.anew_objects.contains(name.as_str()) {
                ops.push(Op::AddObject { name: name.clone(), object: object.clone() });
            }
        }
        for (name, chain) in &self.want.chains {
            if !self.have.chains.contains_key(name) || self.anew_chains.contains(name.as_str()) {
                ops.push(Op::AddChain { name: name.clone(), base: chain.base });
            }
        }
        for (name, set) in &self.want.sets {
            if !self.have.sets.contains_key(name) || self.set_goes(name) {
                ops.push(Op::AddSet { name: name.clone(), head: set.head() });
            }
        }
        for (name, set) in &self.want.sets {
            self.elements_that_come(name, set, ops);
        }
        for (name, chain) in &self.want.chains {
            self.rules_that_come(name, chain, ops);
        }
    }

    fn set_goes(&self, name: &str) -> bool {
        !self.want.sets.contains_key(name) || self.anew_sets.contains(name)
    }

    /// Whether a rule refers to something that is made anew: it must go first, and come again.
    fn refers_to_anew(&self, rule: &Rule) -> bool {
        rule.exprs.iter().any(|expr| match expr {
            Expr::Lookup { .. } | Expr::Dynset { .. } | Expr::ObjectMap { .. } => {
                expr.set().is_some_and(|set| self.anew_sets.contains(set))
            }
            Expr::Object { name, .. } => self.anew_objects.contains(name.as_str()),
            Expr::Verdict(Verdict::Jump(chain) | Verdict::Goto(chain)) => {
                self.anew_chains.contains(chain.as_str())
            }
            Expr::Verdict(Verdict::Accept | Verdict::Drop | Verdict::Return)
            | Expr::Meta { .. }
            | Expr::Ct { .. }
            | Expr::Payload { .. }
            | Expr::Bitwise { .. }
            | Expr::Cmp { .. }
            | Expr::Limit { .. }
            | Expr::Reject(_)
            | Expr::Log { .. }
            | Expr::Foreign(_) => false,
        })
    }

    /// How many rules at the head and at the tail of a chain stay as they are.
    fn kept(&self, name: &str, want: &Chain, have: &Chain) -> (usize, usize) {
        if self.anew_chains.contains(name) {
            return (0, 0);
        }
        let same = |(a, b): &(&Rule, &Rule)| a == b && !self.refers_to_anew(a);
        let head = want.rules.iter().zip(&have.rules).take_while(same).count();
        let tail_limit = want.rules.len().min(have.rules.len()) - head;
        let tail =
            want.rules.iter().rev().zip(have.rules.iter().rev()).take(tail_limit).take_while(same).count();
        (head, tail)
    }

    fn rules_that_go(&self, name: &str, held: &'a Chain) -> Vec<&'a Rule> {
        match self.want.chains.get(name) {
            None => held.rules.iter().collect(),
            Some(want) => {
                let (head, tail) = self.kept(name, want, held);
                held.rules[head..held.rules.len() - tail].iter().collect()
            }
        }
    }

    fn rules_that_come(&self, name: &str, want: &Chain, ops: &mut Vec<Op>) {
        let (head, tail, before) = match self.have.chains.get(name) {
            None => (0, 0, None),
            Some(held) => {
                let (head, tail) = self.kept(name, want, held);
                let next = held.rules.len() - tail;
                (head, tail, held.rules.get(next).and_then(|rule| rule.handle))
            }
        };
        for rule in &want.rules[head..want.rules.len() - tail] {
            ops.push(Op::AddRule { chain: name.to_owned(), before, rule: rule.clone() });
        }
    }

    /// Removes stale elements. An element that may have expired meanwhile cannot be deleted by itself (the kernel says
    /// ENOENT), and holds what it leads to until it is collected: such a map is emptied and filled again.
    fn elements_that_go(&self, name: &str, held: &Set, ops: &mut Vec<Op>) {
        let Some(want) = self.want.sets.get(name) else { return };
        if held.dynamic {
            return;
        }
        if self.is_refilled(name, want, held) {
            ops.push(Op::FlushSet { name: name.to_owned() });
            return;
        }
        if let Elements::Addresses(wanted) = &want.elements {
            let goes = read_addresses(held).map(|known| known.less(wanted)).filter(|goes| !goes.is_empty());
            ops.extend(goes.map(|addresses| Op::DeleteAddresses {
                set: name.to_owned(),
                head: want.head(),
                addresses,
            }));
            return;
        }
        let (Some(wanted), Some(known)) = (want.elements.known(), held.elements.known()) else { return };
        let keys: Vec<ElementKey> = known
            .iter()
            .filter(|(key, value)| wanted.get(*key) != Some(value))
            .map(|(key, _)| key.clone())
            .collect();
        if !keys.is_empty() {
            ops.push(Op::DeleteElements { set: name.to_owned(), head: want.head(), keys });
        }
    }

    fn is_refilled(&self, name: &str, want: &Set, held: &Set) -> bool {
        if let Elements::Addresses(wanted) = &want.elements {
            return read_addresses(held).is_none_or(|known| !known.is_empty() && !known.shares_with(wanted));
        }
        let (Some(wanted), Elements::Known(known)) = (want.elements.known(), &held.elements) else {
            return true;
        };
        let leads_to_stale = |value: &ElementValue| {
            let object = value.object.as_deref().is_some_and(|name| self.object_goes(name));
            let chain = match &value.verdict {
                Some(Verdict::Jump(chain) | Verdict::Goto(chain)) => self.chain_goes(chain),
                Some(Verdict::Accept | Verdict::Drop | Verdict::Return) | None => false,
            };
            object || chain
        };
        if wanted.values().any(leads_to_stale) || known.values().any(leads_to_stale) && held.timeout.is_some()
        {
            return true;
        }
        if held.timeout.is_none() {
            return false;
        }
        let removals = known.iter().any(|(key, value)| wanted.get(key) != Some(value));
        let objects_go = held.data != SetData::None && self.anything_goes();
        debug_assert!(self.have.sets.contains_key(name));
        removals || objects_go
    }

    fn object_goes(&self, name: &str) -> bool {
        !self.want.objects.contains_key(name) || self.anew_objects.contains(name)
    }

    fn chain_goes(&self, name: &str) -> bool {
        !self.want.chains.contains_key(name) || self.anew_chains.contains(name)
    }

    fn anything_goes(&self) -> bool {
        self.have.objects.keys().any(|name| self.object_goes(name))
            || self.have.chains.keys().any(|name| self.chain_goes(name))
    }

    fn elements_that_come(&self, name: &str, want: &Set, ops: &mut Vec<Op>) {
        if want.dynamic {
            return;
        }
        let stays = |held: &&Set| !self.set_goes(name) && !self.is_refilled(name, want, held);
        let held = self.have.sets.get(name).filter(stays);
        if let Elements::Addresses(wanted) = &want.elements {
            ops.extend(addresses_that_come(name, want, wanted, held));
            return;
        }
        let Some(wanted) = want.elements.known() else { return };
        let nothing = Held::new();
        let known = held.and_then(|held| held.elements.known()).unwrap_or(&nothing);
        let mut come: Vec<Element> = Vec::new();
        let mut renew: Vec<Element> = Vec::new();
        for (key, value) in wanted {
            match known.get(key) {
                Some(held) if held == value => {
                    if lives_longer(value, held) {
                        renew.push((key.clone(), value.clone()));
                    }
                }
                _ => come.push((key.clone(), value.clone())),
            }
        }
        let (set, head) = (name.to_owned(), want.head());
        if !come.is_empty() {
            ops.push(Op::AddElements { set: set.clone(), head: head.clone(), elements: come });
        }
        if !renew.is_empty() {
            ops.push(Op::RenewElements { set, head, elements: renew });
        }
    }
}

fn addresses_that_come(name: &str, want: &Set, wanted: &Addresses, held: Option<&Set>) -> Option<Op> {
    let addresses = match held.and_then(read_addresses) {
        Some(known) => wanted.less(&known),
        None => wanted.clone(),
    };
    let op = || Op::AddAddresses { set: name.to_owned(), head: want.head(), addresses: addresses.clone() };
    (!addresses.is_empty()).then(op)
}

/// The elements of a set, if they are addresses and nothing else.
fn read_addresses(held: &Set) -> Option<Addresses> {
    match (&held.elements, held.key.as_slice()) {
        (Elements::Addresses(addresses), _) => Some(addresses.clone()),
        (Elements::Known(known), [field]) => Addresses::read(*field, held.interval, known),
        (Elements::Known(_) | Elements::Unread(_), _) => None,
    }
}

fn lives_longer(want: &ElementValue, held: &ElementValue) -> bool {
    match (want.timeout, held.timeout) {
        (Some(want), Some(left)) => want > left + RENEW_ABOVE,
        _ => false,
    }
}

/// Names in both whose values differ.
fn differing<'a, T>(
    want: &'a BTreeMap<String, T>,
    have: &BTreeMap<String, T>,
    differ: impl Fn(&T, &T) -> bool,
) -> BTreeSet<&'a str> {
    let changed = want.iter().filter(|(name, value)| have.get(*name).is_some_and(|held| differ(value, held)));
    changed.map(|(name, _)| name.as_str()).collect()
}
