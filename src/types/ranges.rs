//! Many addresses of one family, in as little memory as they need.

use super::{AddrRange, Family};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Ranges of one family, sorted and without overlaps. A copy shares them.
#[derive(Clone, PartialEq, Eq)]
pub enum Ranges {
    V4(Arc<Vec<(u32, u32)>>),
    V6(Arc<Vec<(u128, u128)>>),
}

impl Ranges {
    /// Ranges that are in order already; what touches stays apart. `None` if they are not, or not of the family.
    pub fn in_order(family: Family, ranges: impl Iterator<Item = (u128, u128)>) -> Option<Self> {
        match family {
            Family::V4 => collect(ranges).map(|ranges| Self::V4(Arc::new(ranges))),
            Family::V6 => collect(ranges).map(|ranges| Self::V6(Arc::new(ranges))),
        }
    }

    pub fn family(&self) -> Family {
        match self {
            Self::V4(_) => Family::V4,
            Self::V6(_) => Family::V6,
        }
    }

    /// How many ranges there are.
    pub fn len(&self) -> usize {
        match self {
            Self::V4(ranges) => ranges.len(),
            Self::V6(ranges) => ranges.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many addresses there are; the whole of IPv6 is the greatest number.
    pub fn addresses(&self) -> u128 {
        self.iter().fold(0, |sum: u128, (first, last)| sum.saturating_add((last - first).saturating_add(1)))
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let (wanted, _) = AddrRange::single(address).bits();
        Family::of(address) == self.family()
            && match self {
                Self::V4(ranges) => holds(ranges, u32::narrow(wanted)),
                Self::V6(ranges) => holds(ranges, Some(wanted)),
            }
    }

    /// First and last address of each range.
    pub fn iter(&self) -> Iter<'_> {
        match self {
            Self::V4(ranges) => Iter::V4(ranges.iter()),
            Self::V6(ranges) => Iter::V6(ranges.iter()),
        }
    }
}

/// A million ranges are not for reading.
impl fmt::Debug for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 10;
        let family = self.family();
        let shown = self.iter().take(SHOWN).map(|(first, last)| AddrRange::from_bits(family, first, last));
        f.debug_list().entries(shown.map(|range| range.to_string())).finish()?;
        match self.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// The ranges of [`Ranges`].
#[derive(Clone)]
pub enum Iter<'a> {
    V4(std::slice::Iter<'a, (u32, u32)>),
    V6(std::slice::Iter<'a, (u128, u128)>),
}

impl Iterator for Iter<'_> {
    type Item = (u128, u128);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::V4(ranges) => ranges.next().map(|(first, last)| (u128::from(*first), u128::from(*last))),
            Self::V6(ranges) => ranges.next().copied(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::V4(ranges) => ranges.size_hint(),
            Self::V6(ranges) => ranges.size_hint(),
        }
    }
}

/// Takes ranges in any order, and holds each address about once however often it comes.
#[derive(Default)]
pub(super) struct Gatherer {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Gatherer {
    pub(super) fn push(&mut self, range: AddrRange) {
        let (first, last) = range.bits();
        match range.family() {
            Family::V4 => push(&mut self.v4, u32::narrow(first).zip(u32::narrow(last))),
            Family::V6 => push(&mut self.v6, Some((first, last))),
        }
    }

    pub(super) fn ranges(mut self) -> (Ranges, Ranges) {
        merge(&mut self.v4);
        merge(&mut self.v6);
        self.v4.shrink_to_fit();
        self.v6.shrink_to_fit();
        (Ranges::V4(Arc::new(self.v4)), Ranges::V6(Arc::new(self.v6)))
    }
}

/// An address as the number that its family needs.
trait Bits: Copy + Ord {
    fn narrow(bits: u128) -> Option<Self>;
    /// The next address; the last has none.
    fn next(self) -> Option<Self>;
}

impl Bits for u32 {
    fn narrow(bits: u128) -> Option<Self> {
        Self::try_from(bits).ok()
    }

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl Bits for u128 {
    fn narrow(bits: u128) -> Option<Self> {
        Some(bits)
    }

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

/// Before it grows, what it holds is merged: a list that says the same again and again stays small.
fn push<T: Bits>(ranges: &mut Vec<(T, T)>, range: Option<(T, T)>) {
    const FEW: usize = 4096;
    if ranges.len() == ranges.capacity() && ranges.len() >= FEW {
        merge(ranges);
        if ranges.len() > ranges.capacity() / 2 {
            ranges.reserve_exact(ranges.capacity());
        }
    }
    ranges.extend(range);
}

/// Ranges of one family as numbers, in any order: sorted, without overlaps, neighbours joined.
pub fn merged(mut ranges: Vec<(u128, u128)>) -> Vec<(u128, u128)> {
    merge(&mut ranges);
    ranges
}

/// Sorts, and joins what overlaps or touches.
fn merge<T: Bits>(ranges: &mut Vec<(T, T)>) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let joins = kept.1.next().is_none_or(|after| next.0 <= after);
        if joins {
            kept.1 = kept.1.max(next.1);
        }
        joins
    });
}

fn collect<T: Bits>(ranges: impl Iterator<Item = (u128, u128)>) -> Option<Vec<(T, T)>> {
    let mut all: Vec<(T, T)> = Vec::with_capacity(ranges.size_hint().0);
    for (first, last) in ranges {
        let range = (T::narrow(first)?, T::narrow(last)?);
        if range.0 > range.1 || all.last().is_some_and(|before| before.1 >= range.0) {
            return None;
        }
        all.push(range);
    }
    Some(all)
}

fn holds<T: Bits>(ranges: &[(T, T)], address: Option<T>) -> bool {
    address.is_some_and(|address| {
        let after = ranges.partition_point(|(first, _)| *first <= address);
        after.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|(_, last)| address <= *last)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::AddressList;

    fn list(texts: &[&str]) -> AddressList {
        texts.iter().map(|text| text.parse::<AddrRange>().unwrap()).collect()
    }

    #[test]
    fn an_address_is_found_in_the_range_that_holds_it_and_in_no_other() {
        let list = list(&["192.0.2.4/30", "198.51.100.9", "2001:db8::/127", "::", "255.255.255.255"]);
        let held = ["192.0.2.4", "192.0.2.7", "198.51.100.9", "2001:db8::1", "::", "255.255.255.255"];
        let not_held = ["192.0.2.3", "192.0.2.8", "0.0.0.0", "198.51.100.8", "2001:db8::2", "::1", "ffff::"];
        assert!(held.iter().all(|text| list.contains(text.parse().unwrap())));
        assert!(!not_held.iter().any(|text| list.contains(text.parse().unwrap())));
        assert!(!AddressList::default().contains("::".parse().unwrap()));
    }

    #[test]
    fn the_same_address_again_and_again_takes_no_more_room() {
        let mut gatherer = Gatherer::default();
        for _ in 0..100_000 {
            gatherer.push("192.0.2.7".parse().unwrap());
        }
        assert!(gatherer.v4.capacity() <= 8192, "{}", gatherer.v4.capacity());
        assert_eq!(gatherer.ranges().0.len(), 1);
    }

    #[test]
    fn what_comes_in_any_order_is_merged_as_if_it_came_in_order() {
        let ranges = |step: u32| (0..20_000_u32).map(move |n| n.wrapping_mul(step) % 20_000);
        let address = |n: u32| AddrRange::single(std::net::Ipv4Addr::from(3 * (n / 2) + n % 2).into());
        let (sorted, shuffled): (AddressList, AddressList) =
            (ranges(1).map(address).collect(), ranges(7919).map(address).collect());
        assert_eq!((sorted.ranges(), sorted.of(Family::V4).addresses()), (10_000, 20_000));
        assert_eq!(sorted, shuffled);
    }

    #[test]
    fn ranges_that_are_not_in_order_are_not_taken_as_if_they_were() {
        let taken = |ranges: &[(u128, u128)]| Ranges::in_order(Family::V4, ranges.iter().copied());
        assert_eq!(taken(&[(1, 2), (3, 3)]).map(|ranges| ranges.len()), Some(2));
        for wrong in [&[(1, 2), (2, 3)][..], &[(3, 3), (1, 2)], &[(2, 1)], &[(1, 1 << 40)]] {
            assert_eq!(taken(wrong), None, "{wrong:?}");
        }
    }
}
