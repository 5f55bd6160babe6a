//! Caps on how much is learnt: the choice is the same every time, and keeps what was there before.

use super::Learned;
use crate::types::HostName;
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

/// An address that may be held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub learned: Learned,
    pub before: bool,
}

/// The candidates of each name.
pub(super) type Candidates = BTreeMap<HostName, Vec<Candidate>>;

/// Of an answer's addresses those that were there before, then the others, each by address.
pub(super) fn of_answer(
    addresses: &mut Vec<(IpAddr, u32)>,
    cap: usize,
    before: impl Fn(IpAddr) -> bool,
) -> usize {
    addresses.sort_by_key(|(address, _)| (!before(*address), *address));
    drop_past(addresses, cap)
}

/// Of a name's addresses those that were there before, then the others; in each those seen last, then by address.
pub(super) fn of_name(candidates: &mut Vec<Candidate>, cap: usize) -> usize {
    candidates.sort_by_key(|candidate| {
        let Learned { address, last_seen, .. } = candidate.learned;
        (!candidate.before, std::cmp::Reverse(last_seen), address)
    });
    drop_past(candidates, cap)
}

/// Of the addresses of several names those that were there before, then the first of each name, then the second of each:
/// no name takes the room of another. An address that several names have counts once.
pub(super) fn of_names(candidates: &mut Candidates, names: &BTreeSet<HostName>, cap: usize) -> usize {
    let mut ranks: BTreeMap<IpAddr, (bool, usize, &HostName)> = BTreeMap::new();
    for name in names {
        for (index, candidate) in candidates.get(name).into_iter().flatten().enumerate() {
            let rank = (!candidate.before, index, name);
            let best = ranks.entry(candidate.learned.address).or_insert(rank);
            *best = rank.min(*best);
        }
    }
    let mut order: Vec<_> = ranks.into_iter().map(|(address, rank)| (rank, address)).collect();
    if order.len() <= cap {
        return 0;
    }
    order.sort_unstable();
    let dropped: BTreeSet<IpAddr> = order.drain(cap..).map(|(_, address)| address).collect();
    for name in names {
        if let Some(held) = candidates.get_mut(name) {
            held.retain(|candidate| !dropped.contains(&candidate.learned.address));
        }
    }
    dropped.len()
}

fn drop_past<T>(list: &mut Vec<T>, cap: usize) -> usize {
    let dropped = list.len().saturating_sub(cap);
    list.truncate(cap);
    dropped
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn candidate(last: u8, before: bool) -> Candidate {
        let address = IpAddr::from([192, 0, 2, last]);
        Candidate { learned: Learned { address, expires: Duration::from_secs(9), last_seen: None }, before }
    }

    fn last_octets(candidates: &[Candidate]) -> Vec<u8> {
        let octet = |address: IpAddr| address.to_string().rsplit('.').next().unwrap().parse().unwrap();
        candidates.iter().map(|candidate| octet(candidate.learned.address)).collect()
    }

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
    fn a_name_keeps_what_was_there_before_and_of_that_what_was_seen_last() {
        let mut fresh = candidate(8, true);
        fresh.learned.last_seen = Some(Duration::from_secs(5));
        let mut candidates = vec![candidate(1, false), candidate(9, true), fresh, candidate(2, false)];
        assert_eq!(of_name(&mut candidates, 3), 1);
        assert_eq!(last_octets(&candidates), [8, 9, 1]);
    }

    #[test]
    fn names_share_the_room_of_a_rule_and_a_shared_address_counts_once() {
        let name = |text: &str| text.parse::<HostName>().unwrap();
        let new = |lasts: &[u8]| lasts.iter().map(|last| candidate(*last, false)).collect::<Vec<_>>();
        let full = Candidates::from([
            (name("a.example"), new(&[1, 2, 3, 4])),
            (name("b.example"), new(&[1, 11])),
            (name("c.example"), new(&[31])),
        ]);
        let names: BTreeSet<HostName> = [name("a.example"), name("b.example")].into();
        let mut candidates = full.clone();
        assert_eq!(of_names(&mut candidates, &names, 5), 0);
        assert_eq!(of_names(&mut candidates, &names, 3), 2);
        let held: Vec<_> = candidates.values().map(|held| last_octets(held)).collect();
        assert_eq!(held, [vec![1, 2], vec![1, 11], vec![31]]);
    }
}
