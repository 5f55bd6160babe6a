//! Cuts overlapping boxes of (addresses × ports) into disjoint cells, each with the rule that is named there, and merges
//! equal neighbours: the kernel takes no overlapping intervals.

use std::collections::{BTreeMap, BTreeSet};

/// How narrowly a rule matches, the smallest first: addresses less one, ports less one, then the rule's place in the
/// order of names.
pub(super) type Rank = (u128, u32, usize);

/// A range of addresses with a range of ports of one protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) addresses: (u128, u128),
    pub(super) protocol: u8,
    pub(super) ports: (u16, u16),
}

/// Disjoint cells with the index of the rule that the smallest rank names.
pub(super) fn cut(areas: &[(Area, Rank)]) -> Vec<(Area, usize)> {
    let protocols: BTreeSet<u8> = areas.iter().map(|(area, _)| area.protocol).collect();
    let mut cells = Vec::new();
    for protocol in protocols {
        let of_protocol: Vec<&(Area, Rank)> = areas.iter().filter(|(a, _)| a.protocol == protocol).collect();
        Sweep::default().run(&of_protocol, protocol, &mut cells);
    }
    cells
}

type Strip = (u16, u16, usize);

/// Goes along the addresses and keeps the strips of ports that are open, with the address where each began.
#[derive(Default)]
struct Sweep {
    open: BTreeMap<Strip, u128>,
}

impl Sweep {
    fn run(mut self, areas: &[&(Area, Rank)], protocol: u8, cells: &mut Vec<(Area, usize)>) {
        let mut starts: BTreeMap<u128, Vec<usize>> = BTreeMap::new();
        let mut ends: BTreeMap<u128, Vec<usize>> = BTreeMap::new();
        let mut borders = BTreeSet::new();
        for (index, (area, _)) in areas.iter().enumerate() {
            let (first, last) = area.addresses;
            starts.entry(first).or_default().push(index);
            borders.insert(first);
            if let Some(next) = last.checked_add(1) {
                ends.entry(next).or_default().push(index);
                borders.insert(next);
            }
        }
        let mut active: BTreeSet<(Rank, usize)> = BTreeSet::new();
        for border in borders {
            for index in ends.get(&border).into_iter().flatten() {
                active.remove(&(areas[*index].1, *index));
            }
            for index in starts.get(&border).into_iter().flatten() {
                active.insert((areas[*index].1, *index));
            }
            let ranked: Vec<(Rank, (u16, u16))> =
                active.iter().map(|(rank, index)| (*rank, areas[*index].0.ports)).collect();
            self.step(border, &strips(&ranked), protocol, cells);
        }
        self.close_all_at(u128::MAX, protocol, cells);
    }

    /// From `border` on these strips hold.
    fn step(&mut self, border: u128, now: &[Strip], protocol: u8, cells: &mut Vec<(Area, usize)>) {
        let kept: BTreeSet<Strip> = now.iter().copied().collect();
        let gone: Vec<(Strip, u128)> =
            self.open.iter().filter(|(strip, _)| !kept.contains(strip)).map(|(s, a)| (*s, *a)).collect();
        for (strip, first) in gone {
            self.open.remove(&strip);
            cells.push(cell(strip, (first, border - 1), protocol));
        }
        for strip in now {
            self.open.entry(*strip).or_insert(border);
        }
    }

    fn close_all_at(&mut self, last: u128, protocol: u8, cells: &mut Vec<(Area, usize)>) {
        for (strip, first) in std::mem::take(&mut self.open) {
            cells.push(cell(strip, (first, last), protocol));
        }
    }
}

fn cell((first, last, rule): Strip, addresses: (u128, u128), protocol: u8) -> (Area, usize) {
    (Area { addresses, protocol, ports: (first, last) }, rule)
}

/// The ports of one run of addresses, cut where the named rule changes; `ranked` is in the order of ranks.
fn strips(ranked: &[(Rank, (u16, u16))]) -> Vec<Strip> {
    let mut strips: Vec<Strip> = Vec::new();
    for ((_, _, rule), (first, last)) in ranked {
        let mut left = vec![(*first, *last)];
        for (taken_first, taken_last, _) in &strips {
            left = left.into_iter().flat_map(|part| without(part, (*taken_first, *taken_last))).collect();
        }
        strips.extend(left.into_iter().map(|(first, last)| (first, last, *rule)));
    }
    strips.sort_unstable();
    let mut merged: Vec<Strip> = Vec::new();
    for (first, last, rule) in strips {
        match merged.last_mut() {
            Some(before) if before.2 == rule && before.1.checked_add(1) == Some(first) => before.1 = last,
            _ => merged.push((first, last, rule)),
        }
    }
    merged
}

/// What of a range is left when another is taken out.
fn without((first, last): (u16, u16), (taken_first, taken_last): (u16, u16)) -> Vec<(u16, u16)> {
    if taken_last < first || taken_first > last {
        return vec![(first, last)];
    }
    let mut left = Vec::new();
    if taken_first > first {
        left.push((first, taken_first - 1));
    }
    if taken_last < last {
        left.push((taken_last + 1, last));
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(addresses: (u128, u128), ports: (u16, u16)) -> Area {
        Area { addresses, protocol: 6, ports }
    }

    fn ranked(addresses: (u128, u128), ports: (u16, u16), rule: usize) -> (Area, Rank) {
        (area(addresses, ports), (addresses.1 - addresses.0, u32::from(ports.1 - ports.0), rule))
    }

    #[test]
    fn every_point_belongs_to_the_narrowest_area_and_no_two_cells_overlap() {
        let areas = [
            ranked((10, 50), (20, 40), 0),
            ranked((20, 30), (10, 30), 1),
            ranked((25, 60), (25, 25), 2),
            ranked((0, 63), (0, 63), 3),
            ranked((20, 30), (10, 30), 4),
        ];
        let cells = cut(&areas);
        for address in 0..70_u128 {
            for port in 0..70_u16 {
                let inside = |a: &Area| {
                    (a.addresses.0..=a.addresses.1).contains(&address)
                        && (a.ports.0..=a.ports.1).contains(&port)
                };
                let wanted =
                    areas.iter().filter(|(a, _)| inside(a)).min_by_key(|(_, rank)| *rank).map(|(_, r)| r.2);
                let found: Vec<usize> =
                    cells.iter().filter(|(a, _)| inside(a)).map(|(_, rule)| *rule).collect();
                assert_eq!(found, wanted.into_iter().collect::<Vec<_>>(), "address {address}, port {port}");
            }
        }
    }

    #[test]
    fn neighbours_of_one_rule_are_one_cell() {
        let areas = [ranked((0, 9), (25, 25), 0), ranked((10, 19), (25, 25), 0)];
        assert_eq!(cut(&areas), [(area((0, 19), (25, 25)), 0)]);
    }

    #[test]
    fn an_area_up_to_the_last_address_ends_there() {
        let areas = [ranked((5, u128::MAX), (1, 2), 0)];
        assert_eq!(cut(&areas), [(area((5, u128::MAX), (1, 2)), 0)]);
    }
}
