//! Cuts overlapping boxes of (addresses × ports) into disjoint cells, each with the rules that are asked there, and merges
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

/// The rules of a cell in the order in which they are asked: all but the last have conditions.
pub(super) type Stack = Vec<usize>;

/// Disjoint cells, each with the rules that are asked there. `conditional` says of a rule that it may not match, so that
/// the next one is asked.
pub(super) fn cut(areas: &[(Area, Rank)], conditional: &dyn Fn(usize) -> bool) -> Vec<(Area, Stack)> {
    let protocols: BTreeSet<u8> = areas.iter().map(|(area, _)| area.protocol).collect();
    let mut cells = Vec::new();
    for protocol in protocols {
        let of_protocol: Vec<&(Area, Rank)> = areas.iter().filter(|(a, _)| a.protocol == protocol).collect();
        let sweep = Sweep { open: BTreeMap::new(), conditional, protocol };
        sweep.run(&of_protocol, &mut cells);
    }
    cells
}

type Strip = (u16, u16, Stack);

/// Goes along the addresses and keeps the strips of ports that are open, with the address where each began.
struct Sweep<'a> {
    open: BTreeMap<Strip, u128>,
    conditional: &'a dyn Fn(usize) -> bool,
    protocol: u8,
}

impl Sweep<'_> {
    fn run(mut self, areas: &[&(Area, Rank)], cells: &mut Vec<(Area, Stack)>) {
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
            let now = strips(&ranked, self.conditional);
            self.step(border, now, cells);
        }
        self.close_all_at(u128::MAX, cells);
    }

    /// From `border` on these strips hold.
    fn step(&mut self, border: u128, now: Vec<Strip>, cells: &mut Vec<(Area, Stack)>) {
        let now: BTreeSet<Strip> = now.into_iter().collect();
        let before = std::mem::take(&mut self.open);
        for (strip, first) in before {
            if now.contains(&strip) {
                self.open.insert(strip, first);
            } else {
                cells.push(cell(strip, (first, border - 1), self.protocol));
            }
        }
        for strip in now {
            self.open.entry(strip).or_insert(border);
        }
    }

    fn close_all_at(&mut self, last: u128, cells: &mut Vec<(Area, Stack)>) {
        for (strip, first) in std::mem::take(&mut self.open) {
            cells.push(cell(strip, (first, last), self.protocol));
        }
    }
}

fn cell((first, last, rules): Strip, addresses: (u128, u128), protocol: u8) -> (Area, Stack) {
    (Area { addresses, protocol, ports: (first, last) }, rules)
}

/// The ports of one run of addresses, cut where the rules that are asked change; `ranked` is in the order of ranks.
fn strips(ranked: &[(Rank, (u16, u16))], conditional: &dyn Fn(usize) -> bool) -> Vec<Strip> {
    let mut starts: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    let mut ends: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (place, (_, (first, last))) in ranked.iter().enumerate() {
        starts.entry(u32::from(*first)).or_default().push(place);
        ends.entry(u32::from(*last) + 1).or_default().push(place);
    }
    let borders: BTreeSet<u32> = starts.keys().chain(ends.keys()).copied().collect();
    let mut active: BTreeSet<usize> = BTreeSet::new();
    let mut strips: Vec<Strip> = Vec::new();
    for (border, next) in borders.iter().zip(borders.iter().skip(1)) {
        for place in ends.get(border).into_iter().flatten() {
            active.remove(place);
        }
        active.extend(starts.get(border).into_iter().flatten());
        let stack = asked(active.iter().map(|place| ranked[*place].0.2), conditional);
        let (Ok(first), Ok(last)) = (u16::try_from(*border), u16::try_from(next - 1)) else { continue };
        match strips.last_mut() {
            _ if stack.is_empty() => {}
            Some(before) if before.2 == stack && before.1.checked_add(1) == Some(first) => before.1 = last,
            _ => strips.push((first, last, stack)),
        }
    }
    strips
}

/// Each rule once, up to the first that always matches.
fn asked(rules: impl Iterator<Item = usize>, conditional: &dyn Fn(usize) -> bool) -> Stack {
    let mut stack = Stack::new();
    for rule in rules {
        if !stack.contains(&rule) {
            stack.push(rule);
        }
        if !conditional(rule) {
            break;
        }
    }
    stack
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
    fn every_point_asks_the_narrowest_rules_up_to_one_without_conditions_and_no_two_cells_overlap() {
        let areas = [
            ranked((10, 50), (20, 40), 0),
            ranked((20, 30), (10, 30), 1),
            ranked((25, 60), (25, 25), 2),
            ranked((0, 63), (0, 63), 3),
            ranked((20, 30), (10, 30), 4),
            ranked((5, 5), (5, 5), 4),
        ];
        for conditions in 0..32_usize {
            let conditional = |rule: usize| conditions >> rule & 1 == 1;
            let cells = cut(&areas, &conditional);
            for address in 0..70_u128 {
                for port in 0..70_u16 {
                    let inside = |a: &Area| {
                        (a.addresses.0..=a.addresses.1).contains(&address)
                            && (a.ports.0..=a.ports.1).contains(&port)
                    };
                    let mut ranks: Vec<Rank> =
                        areas.iter().filter(|(a, _)| inside(a)).map(|(_, rank)| *rank).collect();
                    ranks.sort_unstable();
                    let mut wanted: Stack = Vec::new();
                    for (_, _, rule) in ranks {
                        let decided = wanted.last().is_some_and(|last| !conditional(*last));
                        if !decided && !wanted.contains(&rule) {
                            wanted.push(rule);
                        }
                    }
                    let found: Vec<&Stack> =
                        cells.iter().filter(|(a, _)| inside(a)).map(|(_, stack)| stack).collect();
                    let wanted: Vec<Stack> =
                        Some(wanted).filter(|stack| !stack.is_empty()).into_iter().collect();
                    assert_eq!(found, wanted.iter().collect::<Vec<_>>(), "address {address}, port {port}");
                }
            }
        }
    }

    #[test]
    fn neighbours_of_one_rule_are_one_cell() {
        let areas = [ranked((0, 9), (25, 25), 0), ranked((10, 19), (25, 25), 0)];
        assert_eq!(cut(&areas, &|_| false), [(area((0, 19), (25, 25)), vec![0])]);
    }

    #[test]
    fn an_area_up_to_the_last_address_ends_there() {
        let areas = [ranked((5, u128::MAX), (1, 2), 0)];
        assert_eq!(cut(&areas, &|_| false), [(area((5, u128::MAX), (1, 2)), vec![0])]);
    }
}
