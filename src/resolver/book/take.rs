//! What changes the book: a policy, answers, failures, what an earlier run left, addresses that no name may have any more.

use super::caps::of_names;
use super::room::Room;
use super::{Book, Caps, Change, Held, Holding, Keeping, Ms, NameId, Reach, Warning};
use crate::model::Kept;
use crate::types::{Family, HostName, RuleName};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Names that a policy brings, and those that it no longer has.
#[derive(Default)]
pub(in crate::resolver) struct Turnover {
    pub come: Vec<NameId>,
    pub gone: Vec<NameId>,
    pub change: Change,
}

impl Book {
    /// What was learnt of names that stay stays.
    pub(in crate::resolver) fn want(
        &mut self,
        names: &BTreeMap<HostName, Keeping>,
        rules: Vec<(RuleName, BTreeSet<HostName>)>,
        caps: Caps,
    ) -> Turnover {
        let mut turnover = Turnover::default();
        let unwanted = self.ids.iter().filter(|(name, _)| !names.contains_key(*name));
        turnover.gone = unwanted.map(|(_, id)| *id).collect();
        turnover.gone.iter().for_each(|id| self.forget(*id, &mut turnover.change));
        for (name, keeping) in names {
            match self.id(name) {
                Some(id) => self.of_mut(id).keeping = *keeping,
                None => turnover.come.push(self.add(name, *keeping)),
            }
        }
        self.set_rules(rules);
        self.caps = caps;
        self.enforce_caps(&mut turnover.change);
        turnover
    }

    /// An answer, already filtered. Says how many addresses are new.
    pub(in crate::resolver) fn take(
        &mut self,
        id: NameId,
        answer: &[(IpAddr, u32)],
        server: Option<IpAddr>,
        now: Ms,
        change: &mut Change,
    ) -> usize {
        let (keeping, mut room, mut fresh) = (self.keeping(id), Room::default(), 0);
        for &(address, ttl) in answer {
            let expires = keeping.answered(now, ttl);
            if !self.has(id, address) {
                if !self.takes_room(id, address, &mut room) {
                    continue;
                }
                fresh += 1;
                self.insert(id, Held::new(address, expires));
            }
            self.renew(id, address, now, change, |held| held.renew(expires, server, now));
        }
        self.warn_of_caps(id, &room, change);
        fresh
    }

    /// Servers failed; they are asked `again` from now.
    pub(in crate::resolver) fn extend(
        &mut self,
        id: NameId,
        family: Family,
        again: Ms,
        now: Ms,
        change: &mut Change,
    ) {
        let keeping = self.keeping(id);
        let of_family = self.of(id).held.iter().map(|held| held.address);
        let of_family: Vec<IpAddr> = of_family.filter(|address| Family::of(*address) == family).collect();
        for address in of_family {
            self.renew(id, address, now, change, |held| held.extend(&keeping, again, now));
        }
    }

    /// Only names that are wanted, and only what is left of lives.
    pub(in crate::resolver) fn recall(
        &mut self,
        kept: &BTreeMap<HostName, Vec<Kept>>,
        is_refused: impl Fn(&HostName, IpAddr) -> bool,
        now: Ms,
    ) -> Change {
        let mut change = Change::default();
        for (name, kept) in kept {
            let Some(id) = self.id(name) else { continue };
            for kept in kept.iter().filter(|kept| !is_refused(name, kept.address)) {
                let held = Held::recalled(kept, now);
                if held.learned(now).is_some() && !self.has(id, kept.address) {
                    change.addresses.insert(kept.address);
                    self.insert(id, held);
                }
            }
        }
        self.enforce_caps(&mut change);
        change.addresses.retain(|address| self.is_held(*address));
        change.removed.clear();
        change
    }

    /// Lets go what no name may have any more.
    pub(in crate::resolver) fn refilter(&mut self, is_refused: impl Fn(&HostName, IpAddr) -> bool) -> Change {
        let refused = |(address, id): &&(IpAddr, NameId)| is_refused(self.name(*id), *address);
        let refused: Vec<(IpAddr, NameId)> = self.holders.iter().filter(refused).copied().collect();
        let mut change = Change::default();
        for (address, id) in refused {
            self.let_go(id, address, &mut change);
        }
        change
    }

    fn renew(
        &mut self,
        id: NameId,
        address: IpAddr,
        now: Ms,
        change: &mut Change,
        with: impl FnOnce(&mut Held),
    ) {
        let holding = self.names[id as usize].as_mut().expect("the name is wanted");
        let keeping = holding.keeping;
        let Some(held) = holding.get_mut(address) else { return };
        with(held);
        self.is_dirty |= held.is_worth_saving(&keeping);
        if held.lags(&keeping, now) {
            change.addresses.insert(address);
        }
    }

    fn let_go(&mut self, id: NameId, address: IpAddr, change: &mut Change) {
        self.remove(id, address);
        change.removed.insert(address);
    }

    fn add(&mut self, name: &HostName, keeping: Keeping) -> NameId {
        let holding = Holding {
            name: name.clone(),
            keeping,
            held: Vec::new(),
            reaches: Vec::new(),
            ends: None,
            is_full: false,
        };
        let id = self.free.pop().unwrap_or_else(|| {
            self.names.push(None);
            NameId::try_from(self.names.len() - 1).expect("a policy has fewer names")
        });
        self.names[id as usize] = Some(holding);
        self.ids.insert(name.clone(), id);
        id
    }

    fn forget(&mut self, id: NameId, change: &mut Change) {
        let addresses: Vec<IpAddr> = self.of(id).held.iter().map(|held| held.address).collect();
        addresses.into_iter().for_each(|address| self.let_go(id, address, change));
        if let Some(holding) = self.names[id as usize].take() {
            self.ids.remove(&holding.name);
            holding.ends.map(|moment| self.ends.remove(&(moment, id)));
            self.free.push(id);
        }
    }

    /// A rule that was full is still so under its name.
    fn set_rules(&mut self, rules: Vec<(RuleName, BTreeSet<HostName>)>) {
        let full: BTreeSet<RuleName> =
            self.reaches.drain(..).filter(|reach| reach.is_full).flat_map(|reach| reach.rules).collect();
        self.holdings_mut().for_each(|holding| holding.reaches.clear());
        let mut by_names: BTreeMap<BTreeSet<HostName>, Vec<RuleName>> = BTreeMap::new();
        for (rule, names) in rules {
            by_names.entry(names).or_default().push(rule);
        }
        for (index, (names, rules)) in (0..).zip(by_names) {
            let names: Vec<NameId> = names.iter().filter_map(|name| self.id(name)).collect();
            names.iter().for_each(|id| self.of_mut(*id).reaches.push(index));
            let sum = names.iter().map(|id| self.of(*id).held.len()).sum();
            let is_full = rules.iter().any(|rule| full.contains(rule));
            self.reaches.push(Reach { rules, names, sum, is_full });
        }
    }

    /// After changes of more than one name.
    fn enforce_caps(&mut self, change: &mut Change) {
        let caps = self.caps;
        let over_full: Vec<NameId> = self.ids().filter(|id| self.of(*id).held.len() > caps.name).collect();
        for id in over_full {
            let over = of_names(&[self.dearest_first(id)], caps.name);
            if self.drop_all(&[id], &over, change) {
                self.of_mut(id).is_full = true;
                let (name, dropped) = (self.name(id).clone(), over.len());
                change.warnings.push(Warning::NameCap { name, dropped, cap: caps.name });
            }
        }
        for index in 0..self.reaches.len() {
            if self.reaches[index].sum <= caps.rule {
                continue;
            }
            let ids = self.reaches[index].names.clone();
            let over = self.over(&ids, caps.rule);
            if self.drop_all(&ids, &over, change) {
                let reach = &mut self.reaches[index];
                reach.is_full = true;
                let warning = |rule: &RuleName| Warning::RuleCap {
                    rule: rule.clone(),
                    dropped: over.len(),
                    cap: caps.rule,
                };
                change.warnings.extend(reach.rules.iter().map(warning));
            }
        }
        if self.distinct > caps.all {
            let ids: Vec<NameId> = self.ids().collect();
            let over = self.over(&ids, caps.all);
            self.drop_all(&ids, &over, change);
            self.is_full = true;
            change.warnings.push(Warning::Cap { dropped: over.len(), cap: caps.all });
        }
    }

    fn over(&self, ids: &[NameId], cap: usize) -> BTreeSet<IpAddr> {
        of_names(&ids.iter().map(|id| self.dearest_first(*id)).collect::<Vec<_>>(), cap)
    }

    /// Seen last first, then by address.
    fn dearest_first(&self, id: NameId) -> Vec<IpAddr> {
        let mut held: Vec<&Held> = self.of(id).held.iter().collect();
        held.sort_by_key(|held| (std::cmp::Reverse(held.last_seen()), held.address));
        held.into_iter().map(|held| held.address).collect()
    }

    fn drop_all(&mut self, ids: &[NameId], addresses: &BTreeSet<IpAddr>, change: &mut Change) -> bool {
        for id in ids {
            for address in addresses {
                if self.has(*id, *address) {
                    self.let_go(*id, *address, change);
                }
            }
        }
        !addresses.is_empty()
    }
}
