//! Caps on how much is learnt: the choice is the same every time, and keeps what was there before.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The caps of looked-up names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    pub answer: usize,
    pub name: usize,
    pub rule: usize,
    pub all: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self { answer: 64, name: 256, rule: 4_096, all: 65_536 }
    }
}

/// Of an answer's addresses those that were there before, then the others, each by address. Says how many are left out.
pub(in crate::resolver) fn of_answer(
    addresses: &mut Vec<(IpAddr, u32)>,
    cap: usize,
    before: impl Fn(IpAddr) -> bool,
) -> usize {
    addresses.sort_by_key(|(address, _)| (!before(*address), *address));
    let dropped = addresses.len().saturating_sub(cap);
    addresses.truncate(cap);
    dropped
}

/// What several names are to let go so that the cap holds. Each name's addresses come with the dearest first; the first of
/// each name stays, then the second of each: no name takes the room of another. An address that several names have
/// counts once.
pub(super) fn of_names(names: &[Vec<IpAddr>], cap: usize) -> BTreeSet<IpAddr> {
    let mut ranks: BTreeMap<IpAddr, (usize, usize)> = BTreeMap::new();
    for (name, addresses) in names.iter().enumerate() {
        for (index, address) in addresses.iter().enumerate() {
            let best = ranks.entry(*address).or_insert((index, name));
            *best = (index, name).min(*best);
        }
    }
    let mut order: Vec<_> = ranks.into_iter().map(|(address, rank)| (rank, address)).collect();
    order.sort_unstable();
    order.into_iter().skip(cap).map(|(_, address)| address).collect()
}

/// Whether so many are so far below the cap that reaching it again is news.
pub(in crate::resolver) fn is_well_below(count: usize, cap: usize) -> bool {
    count <= cap - cap.div_ceil(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_keeps_what_was_there_before_whatever_its_order() {
        let address = |last| (IpAddr::from([192, 0, 2, last]), 60);
        for order in [[1, 2, 3, 4], [4, 3, 2, 1], [3, 1, 4, 2]] {
            let mut addresses: Vec<_> = order.into_iter().map(address).collect();
            assert_eq!(of_answer(&mut addresses, 2, |a| a == address(4).0), 2);
            assert_eq!(addresses, [address(4), address(1)]);
        }
    }

    #[test]
    fn names_share_the_room_of_a_rule_and_a_shared_address_counts_once() {
        let addresses = |lasts: &[u8]| -> Vec<IpAddr> {
            lasts.iter().map(|last| IpAddr::from([192, 0, 2, *last])).collect()
        };
        let names = [addresses(&[1, 2, 3, 4]), addresses(&[1, 11])];
        assert!(of_names(&names, 5).is_empty());
        assert_eq!(of_names(&names, 3), addresses(&[3, 4]).into_iter().collect());
        assert_eq!(of_names(&names, 1), addresses(&[2, 3, 4, 11]).into_iter().collect());
    }

    #[test]
    fn a_cap_is_left_behind_a_tenth_below_it() {
        assert_eq!([231, 230, 0].map(|count| is_well_below(count, 256)), [false, true, true]);
        assert!(is_well_below(0, 1) && !is_well_below(1, 1) && is_well_below(0, 0));
    }
}
