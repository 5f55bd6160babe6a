//! Whether there is room for one more address.

use super::caps::is_well_below;
use super::{Book, Change, NameId, Warning};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What an answer has found in its way.
#[derive(Default)]
pub(super) struct Room {
    name: usize,
    reaches: BTreeMap<u32, usize>,
    all: usize,
    /// The addresses of reaches that may be full.
    counted: BTreeMap<u32, BTreeSet<IpAddr>>,
}

impl Book {
    /// Whether a name may have this address too; it then takes its place.
    pub(super) fn takes_room(&self, id: NameId, address: IpAddr, room: &mut Room) -> bool {
        let holding = self.of(id);
        if holding.held.len() >= self.caps.name {
            room.name += 1;
            return false;
        }
        for &reach in &holding.reaches {
            if self.reaches[reach as usize].sum >= self.caps.rule {
                let counted = room.counted.entry(reach).or_insert_with(|| self.addresses_of(reach));
                if counted.len() >= self.caps.rule && !counted.contains(&address) {
                    *room.reaches.entry(reach).or_default() += 1;
                    return false;
                }
            }
        }
        if self.distinct >= self.caps.all && !self.is_held(address) {
            room.all += 1;
            return false;
        }
        room.counted.values_mut().for_each(|counted| {
            counted.insert(address);
        });
        true
    }

    /// Each cap once, until it is left behind.
    pub(super) fn warn_of_caps(&mut self, id: NameId, room: &Room, change: &mut Change) {
        let caps = self.caps;
        let holding = self.of_mut(id);
        let count = holding.held.len();
        if is_news(&mut holding.is_full, room.name, || count, caps.name) {
            let name = holding.name.clone();
            change.warnings.push(Warning::NameCap { name, dropped: room.name, cap: caps.name });
        }
        for reach in holding.reaches.clone() {
            let mut is_full = self.reaches[reach as usize].is_full;
            let dropped = room.reaches.get(&reach).copied().unwrap_or(0);
            let count = || self.addresses_of(reach).len();
            let news = is_news(&mut is_full, dropped, count, caps.rule);
            let reach = &mut self.reaches[reach as usize];
            reach.is_full = is_full;
            if news {
                let of_rule =
                    |rule: &_| Warning::RuleCap { rule: Clone::clone(rule), dropped, cap: caps.rule };
                change.warnings.extend(reach.rules.iter().map(of_rule));
            }
        }
        let count = self.distinct;
        if is_news(&mut self.is_full, room.all, || count, caps.all) {
            change.warnings.push(Warning::Cap { dropped: room.all, cap: caps.all });
        }
    }

    pub(super) fn addresses_of(&self, reach: u32) -> BTreeSet<IpAddr> {
        let names = self.reaches[reach as usize].names.iter();
        names.flat_map(|id| &self.of(*id).held).map(|held| held.address).collect()
    }
}

fn is_news(is_full: &mut bool, dropped: usize, count: impl Fn() -> usize, cap: usize) -> bool {
    let news = dropped > 0 && !*is_full;
    *is_full = dropped > 0 || *is_full && !is_well_below(count(), cap);
    news
}
