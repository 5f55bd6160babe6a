//! Many addresses as the elements of a set, without a key and a value of each in memory.

use super::{ElementKey, ElementValue, Field};
use crate::types::{AddrRange, Family, Ranges};
use std::collections::BTreeMap;

/// Addresses of one family, less those of another value: what is added to a set, or goes from it. A copy shares them.
#[derive(Clone, Debug)]
pub struct Addresses {
    of: Ranges,
    less: Option<Ranges>,
    /// Elements are ranges; else each address is one.
    interval: bool,
}

impl Addresses {
    /// For a set whose elements are ranges.
    pub fn as_ranges(ranges: Ranges) -> Self {
        Self { of: ranges, less: None, interval: true }
    }

    /// For a set whose elements are single addresses.
    pub fn one_by_one(ranges: Ranges) -> Self {
        Self { of: ranges, less: None, interval: false }
    }

    /// The elements of a set that was read; `None` if it has more than addresses in it.
    pub fn read(field: Field, interval: bool, known: &BTreeMap<ElementKey, ElementValue>) -> Option<Self> {
        let family = match field {
            Field::Ipv4Addr => Family::V4,
            Field::Ipv6Addr => Family::V6,
            Field::InetProto
            | Field::InetService
            | Field::NfProto
            | Field::CtState
            | Field::IcmpType
            | Field::Icmpv6Type => return None,
        };
        if known.values().any(|value| *value != ElementValue::NOTHING) {
            return None;
        }
        let ranges: Option<Vec<(u128, u128)>> = known
            .keys()
            .map(|key| {
                Some((bits(family, &key.first)?, bits(family, key.last.as_ref().unwrap_or(&key.first))?))
            })
            .collect();
        Some(Self { of: Ranges::in_order(family, ranges?.into_iter())?, less: None, interval })
    }

    /// The elements that the other has not.
    pub fn less(&self, other: &Self) -> Self {
        debug_assert!(self.less.is_none() && other.less.is_none() && self.interval == other.interval);
        Self { less: Some(other.of.clone()), ..self.clone() }
    }

    /// Whether an element of these is one of the other's.
    pub fn shares_with(&self, other: &Self) -> bool {
        let mut others = other.iter().peekable();
        self.iter().any(|element| {
            while others.next_if(|other| *other < element).is_some() {}
            others.peek() == Some(&element)
        })
    }

    /// First and last address of each element, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u128, u128)> + '_ {
        let mut less = self.less.iter().flat_map(|ranges| elements(ranges, self.interval)).peekable();
        elements(&self.of, self.interval).filter(move |element| {
            while less.next_if(|other| other < element).is_some() {}
            less.peek() != Some(element)
        })
    }

    pub fn len(&self) -> usize {
        match &self.less {
            Some(_) => self.iter().count(),
            None if self.interval => self.of.len(),
            None => usize::try_from(self.of.addresses()).unwrap_or(usize::MAX),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.less.as_ref() == Some(&self.of) || self.iter().next().is_none()
    }

    /// Each element's key.
    pub fn keys(&self) -> impl Iterator<Item = ElementKey> + '_ {
        self.iter().map(|(first, last)| ElementKey {
            first: self.octets(first),
            last: self.interval.then(|| self.octets(last)),
        })
    }

    /// Whether the greatest address of the family is one of them.
    pub fn reaches_the_last(&self) -> bool {
        let (_, greatest) = AddrRange::all(self.family()).bits();
        self.iter().last().is_some_and(|(_, last)| last == greatest)
    }

    pub fn family(&self) -> Family {
        self.of.family()
    }

    pub fn interval(&self) -> bool {
        self.interval
    }

    /// Whether these are exactly the elements of a map.
    pub(super) fn are(&self, known: &BTreeMap<ElementKey, ElementValue>) -> bool {
        known.values().all(|value| *value == ElementValue::NOTHING) && self.keys().eq(known.keys().cloned())
    }

    fn octets(&self, address: u128) -> Box<[u8]> {
        let octets = address.to_be_bytes();
        match self.family() {
            Family::V4 => octets[12..].into(),
            Family::V6 => octets.into(),
        }
    }
}

impl PartialEq for Addresses {
    fn eq(&self, other: &Self) -> bool {
        let same = self.family() == other.family() && self.interval == other.interval;
        same && (self.of == other.of && self.less == other.less || self.iter().eq(other.iter()))
    }
}

fn elements(ranges: &Ranges, interval: bool) -> impl Iterator<Item = (u128, u128)> + '_ {
    ranges.iter().flat_map(move |(first, last)| {
        let starts = first..=if interval { first } else { last };
        starts.map(move |start| (start, if interval { last } else { start }))
    })
}

/// The address that the octets of a key are.
fn bits(family: Family, octets: &[u8]) -> Option<u128> {
    match family {
        Family::V4 => octets.try_into().ok().map(|octets| u128::from(u32::from_be_bytes(octets))),
        Family::V6 => octets.try_into().ok().map(u128::from_be_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::AddressList;

    fn ranges(texts: &[&str]) -> Ranges {
        let list: AddressList = texts.iter().map(|text| text.parse().unwrap()).collect();
        list.of(Family::V4).clone()
    }

    fn words(addresses: &Addresses) -> Vec<String> {
        addresses.keys().map(|key| super::super::key_words(&[Field::Ipv4Addr], &key)).collect()
    }

    const HELD: &[&str] = &["192.0.2.0/30", "198.51.100.1", "203.0.113.9"];
    const WANTED: &[&str] = &["192.0.2.2/31", "198.51.100.1", "203.0.113.8/31", "255.255.255.255"];

    #[test]
    fn ranges_come_and_go_whole() {
        let (held, wanted) = (Addresses::as_ranges(ranges(HELD)), Addresses::as_ranges(ranges(WANTED)));
        assert_eq!(words(&held.less(&wanted)), ["192.0.2.0/30", "203.0.113.9"]);
        assert_eq!(words(&wanted.less(&held)), ["192.0.2.2/31", "203.0.113.8/31", "255.255.255.255"]);
        assert_eq!((wanted.len(), wanted.less(&held).len()), (4, 3));
    }

    #[test]
    fn single_addresses_come_and_go_one_by_one() {
        let (held, wanted) = (Addresses::one_by_one(ranges(HELD)), Addresses::one_by_one(ranges(WANTED)));
        assert_eq!(words(&held.less(&wanted)), ["192.0.2.0", "192.0.2.1"]);
        assert_eq!(words(&wanted.less(&held)), ["203.0.113.8", "255.255.255.255"]);
        assert_eq!((wanted.len(), wanted.less(&held).len()), (6, 2));
        assert!(held.less(&held).is_empty() && !held.less(&wanted).is_empty());
    }

    #[test]
    fn what_is_read_back_is_the_same_in_either_form() {
        for addresses in [Addresses::as_ranges(ranges(WANTED)), Addresses::one_by_one(ranges(WANTED))] {
            let map: BTreeMap<_, _> = addresses.keys().map(|key| (key, ElementValue::NOTHING)).collect();
            let read = Addresses::read(Field::Ipv4Addr, addresses.interval(), &map).unwrap();
            assert!(read == addresses && addresses.are(&map) && read.less(&addresses).is_empty());
            let mut more = map.clone();
            more.pop_first();
            assert!(!addresses.are(&more));
            assert_ne!(Addresses::read(Field::Ipv4Addr, addresses.interval(), &more), Some(addresses));
        }
    }

    #[test]
    fn what_is_no_plain_address_is_not_read_as_one() {
        let key = ElementKey { first: [10, 0, 0, 1].into(), last: None };
        let map = |key: &ElementKey, value| BTreeMap::from([(key.clone(), value)]);
        let read = |field, map| Addresses::read(field, false, &map);
        assert!(read(Field::Ipv4Addr, map(&key, ElementValue::NOTHING)).is_some());
        assert!(read(Field::Ipv6Addr, map(&key, ElementValue::NOTHING)).is_none());
        assert!(read(Field::CtState, map(&key, ElementValue::NOTHING)).is_none());
        let counter = ElementValue { object: Some("c".into()), ..ElementValue::NOTHING };
        assert!(read(Field::Ipv4Addr, map(&key, counter)).is_none());
        let catchall = ElementKey { first: [].into(), last: None };
        assert!(read(Field::Ipv4Addr, map(&catchall, ElementValue::NOTHING)).is_none());
    }
}
