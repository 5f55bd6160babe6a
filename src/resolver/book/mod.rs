//! What was learnt of each name: accumulated, never replaced by an answer, never shortened by one.

mod caps;
mod change;
mod held;
mod lifetime;
mod moment;
mod room;
mod take;
mod warning;

pub use caps::Caps;
pub use change::Change;
pub use lifetime::{Keeping, lifetime};
pub use warning::Warning;

pub(super) use caps::{is_well_below, of_answer};
pub(super) use held::Held;
pub(super) use lifetime::LONGEST_QUESTION;
pub(super) use moment::{Ms, between, ms};

use crate::model::{Kept, LearnedAddress};
use crate::types::{HostName, RuleName};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// A name while a policy wants it. Numbers are given again.
pub(super) type NameId = u32;

/// What is known of the names of a policy.
#[derive(Default)]
pub(super) struct Book {
    ids: BTreeMap<HostName, NameId>,
    names: Vec<Option<Holding>>,
    free: Vec<NameId>,
    reaches: Vec<Reach>,
    caps: Caps,
    /// Who has an address.
    holders: BTreeSet<(IpAddr, NameId)>,
    /// How many addresses there are.
    distinct: usize,
    /// For each name with addresses a moment before which none of them expires.
    ends: BTreeSet<(Ms, NameId)>,
    /// The cap on all was reached.
    is_full: bool,
    is_dirty: bool,
}

/// One name.
struct Holding {
    name: HostName,
    keeping: Keeping,
    /// Sorted by address.
    held: Vec<Held>,
    /// Indexes of reaches.
    reaches: Vec<u32>,
    /// Its place among the ends.
    ends: Option<Ms>,
    is_full: bool,
}

/// The names that rules reach; rules that reach the same names share it.
struct Reach {
    rules: Vec<RuleName>,
    names: Vec<NameId>,
    /// Addresses of its names; one that several have counts more than once.
    sum: usize,
    is_full: bool,
}

impl Book {
    pub(super) fn id(&self, name: &HostName) -> Option<NameId> {
        self.ids.get(name).copied()
    }

    /// Every name, in order.
    pub(super) fn ids(&self) -> impl Iterator<Item = NameId> {
        self.ids.values().copied()
    }

    pub(super) fn name(&self, id: NameId) -> &HostName {
        &self.of(id).name
    }

    pub(super) fn keeping(&self, id: NameId) -> Keeping {
        self.of(id).keeping
    }

    pub(super) fn caps(&self) -> Caps {
        self.caps
    }

    pub(super) fn rules(&self, id: NameId) -> impl Iterator<Item = &RuleName> {
        self.of(id).reaches.iter().flat_map(|reach| &self.reaches[*reach as usize].rules)
    }

    pub(super) fn has(&self, id: NameId, address: IpAddr) -> bool {
        self.holders.contains(&(address, id))
    }

    pub(super) fn count(&self, id: NameId) -> usize {
        self.of(id).held.len()
    }

    pub(super) fn kept_of(&self, id: NameId, now: Ms) -> impl Iterator<Item = Kept> {
        self.of(id).held.iter().filter_map(move |held| held.kept(now))
    }

    /// Every name that has one of these addresses, with the lives of these.
    pub(super) fn lives_of(
        &self,
        only: &BTreeSet<IpAddr>,
        now: Ms,
    ) -> BTreeMap<HostName, Vec<LearnedAddress>> {
        let mut lives: BTreeMap<HostName, Vec<LearnedAddress>> = BTreeMap::new();
        for (address, id) in only.iter().flat_map(|address| self.holders_of(*address)) {
            let holding = self.of(id);
            if let Some(learned) = holding.get(address).and_then(|held| held.learned(now)) {
                lives.entry(holding.name.clone()).or_default().push(learned);
            }
        }
        lives
    }

    pub(super) fn lives(&self, now: Ms) -> BTreeMap<HostName, Vec<LearnedAddress>> {
        let of = |id: NameId| self.of(id).held.iter().filter_map(|held| held.learned(now)).collect();
        self.ids.iter().map(|(name, id)| (name.clone(), of(*id))).collect()
    }

    pub(super) fn kept(&self, now: Ms) -> BTreeMap<HostName, Vec<Kept>> {
        self.ids.iter().map(|(name, id)| (name.clone(), self.kept_of(*id, now).collect())).collect()
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.is_dirty
    }

    pub(super) fn saved(&mut self) {
        self.holdings_mut().flat_map(|holding| &mut holding.held).for_each(Held::saved);
        self.is_dirty = false;
    }

    pub(super) fn written(&mut self, lives: &BTreeMap<HostName, Vec<LearnedAddress>>, now: Ms) {
        for (name, addresses) in lives {
            let Some(id) = self.id(name) else { continue };
            let holding = self.of_mut(id);
            for LearnedAddress { address, remaining } in addresses {
                if let Some(held) = holding.get_mut(*address) {
                    held.written = now + ms(*remaining);
                }
            }
        }
    }

    /// The kernel's elements have not aged for a while.
    pub(super) fn kernel_stood_still(&mut self, by: Ms) {
        for held in self.holdings_mut().flat_map(|holding| &mut holding.held) {
            held.written = held.written.saturating_add(by);
        }
    }

    /// Of the names that have an address the first by its number.
    pub(super) fn name_of(&self, address: IpAddr) -> Option<&HostName> {
        self.holders_of(address).next().map(|(_, id)| self.name(id))
    }

    /// Every address of every name.
    pub(super) fn all_addresses(&self) -> BTreeSet<IpAddr> {
        self.holders.iter().map(|(address, _)| *address).collect()
    }

    /// The first name to be left without addresses, and when that is, from now.
    pub(super) fn first_lapse(&self, now: Ms) -> Option<(&HostName, Duration)> {
        let last = |id: NameId| self.of(id).held.iter().map(|held| held.expires).max();
        let lapses = self.ids.iter().filter_map(|(name, id)| Some((last(*id)?, name)));
        let (last, name) = lapses.filter(|(last, _)| *last > now).min()?;
        Some((name, between(now, last)))
    }

    /// Lets go what has expired.
    pub(super) fn expire(&mut self, now: Ms) -> BTreeSet<IpAddr> {
        let mut all = BTreeSet::new();
        while let Some((moment, id)) = self.ends.first().copied().filter(|(moment, _)| *moment <= now) {
            self.ends.remove(&(moment, id));
            self.of_mut(id).ends = None;
            let gone = self.of(id).held.iter().filter(|held| held.expires <= now);
            let expired: Vec<IpAddr> = gone.map(|held| held.address).collect();
            expired.iter().for_each(|address| self.remove(id, *address));
            all.extend(expired);
            let first = self.of(id).held.iter().map(|held| held.expires).min();
            first.into_iter().for_each(|first| self.note_end(id, first));
        }
        all
    }

    fn of(&self, id: NameId) -> &Holding {
        self.names[id as usize].as_ref().expect("who has the number of a name asks before the name goes")
    }

    fn of_mut(&mut self, id: NameId) -> &mut Holding {
        self.names[id as usize].as_mut().expect("who has the number of a name asks before the name goes")
    }

    fn holdings_mut(&mut self) -> impl Iterator<Item = &mut Holding> {
        self.names.iter_mut().flatten()
    }

    fn holders_of(&self, address: IpAddr) -> impl Iterator<Item = (IpAddr, NameId)> {
        self.holders.range((address, NameId::MIN)..=(address, NameId::MAX)).copied()
    }

    fn is_held(&self, address: IpAddr) -> bool {
        self.holders_of(address).next().is_some()
    }

    fn insert(&mut self, id: NameId, held: Held) {
        self.distinct += usize::from(!self.is_held(held.address));
        self.holders.insert((held.address, id));
        let holding = self.names[id as usize].as_mut().expect("the name is wanted");
        if let Err(index) = holding.place(held.address) {
            holding.held.insert(index, held);
            holding.reaches.iter().for_each(|reach| self.reaches[*reach as usize].sum += 1);
        }
        self.note_end(id, held.expires);
    }

    fn remove(&mut self, id: NameId, address: IpAddr) {
        let holding = self.names[id as usize].as_mut().expect("the name is wanted");
        if let Ok(index) = holding.place(address) {
            holding.held.remove(index);
            holding.reaches.iter().for_each(|reach| self.reaches[*reach as usize].sum -= 1);
            self.holders.remove(&(address, id));
            self.distinct -= usize::from(!self.is_held(address));
        }
    }

    /// Lives grow only, so that the place of a name among the ends may be too early, but never too late.
    fn note_end(&mut self, id: NameId, moment: Ms) {
        let holding = self.of_mut(id);
        if holding.ends.is_none_or(|ends| moment < ends) {
            let before = holding.ends.replace(moment);
            before.map(|before| self.ends.remove(&(before, id)));
            self.ends.insert((moment, id));
        }
    }
}

impl Holding {
    fn place(&self, address: IpAddr) -> Result<usize, usize> {
        self.held.binary_search_by_key(&address, |held| held.address)
    }

    fn get(&self, address: IpAddr) -> Option<&Held> {
        self.place(address).ok().map(|index| &self.held[index])
    }

    fn get_mut(&mut self, address: IpAddr) -> Option<&mut Held> {
        self.place(address).ok().map(|index| &mut self.held[index])
    }
}
