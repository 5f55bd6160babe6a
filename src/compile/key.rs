//! Keys and heads of sets.

use crate::diag::Span;
use crate::ruleset::{
    Addresses, ElementKey, ElementValue, Elements, Field, ObjectKind, Set, SetData, Verdict,
};
use crate::types::{Family, Ranges};
use std::collections::BTreeMap;
use std::time::Duration;

/// The octets of a key, field by field.
#[derive(Default)]
pub(super) struct KeyBytes(Vec<u8>);

impl KeyBytes {
    pub(super) fn address(mut self, family: Family, bits: u128) -> Self {
        match family {
            Family::V4 => self.0.extend(u32::try_from(bits).unwrap_or(u32::MAX).to_be_bytes()),
            Family::V6 => self.0.extend(bits.to_be_bytes()),
        }
        self
    }

    pub(super) fn octet(mut self, value: u8) -> Self {
        self.0.extend([value, 0, 0, 0]);
        self
    }

    pub(super) fn port(mut self, port: u16) -> Self {
        let [high, low] = port.to_be_bytes();
        self.0.extend([high, low, 0, 0]);
        self
    }

    pub(super) fn native(mut self, value: u32) -> Self {
        self.0.extend(value.to_ne_bytes());
        self
    }

    pub(super) fn key(self) -> ElementKey {
        ElementKey { first: self.0.into(), last: None }
    }

    pub(super) fn to(self, last: Self) -> ElementKey {
        ElementKey { first: self.0.into(), last: Some(last.0.into()) }
    }
}

pub(super) fn address_field(family: Family) -> Field {
    match family {
        Family::V4 => Field::Ipv4Addr,
        Family::V6 => Field::Ipv6Addr,
    }
}

pub(super) fn set(key: Vec<Field>, data: SetData) -> Set {
    Set {
        key,
        data,
        interval: false,
        timeout: None,
        dynamic: false,
        size: None,
        elements: Elements::default(),
        origin: None,
    }
}

/// A hash of fixed elements: it carries its size, with a quarter of head-room, in powers of two so that small changes
/// of the policy keep the set.
pub(super) fn hash(key: Vec<Field>, data: SetData, elements: BTreeMap<ElementKey, ElementValue>) -> Set {
    Set { size: Some(size_for(elements.len())), elements: Elements::Known(elements), ..set(key, data) }
}

pub(super) fn intervals(key: Vec<Field>, data: SetData, elements: BTreeMap<ElementKey, ElementValue>) -> Set {
    Set { interval: true, elements: Elements::Known(elements), ..set(key, data) }
}

/// The addresses of a list: a hash of single addresses unless it would have many more elements than there are ranges.
pub(super) fn addresses(ranges: &Ranges, origin: Span) -> Set {
    const MOST_PER_RANGE: u128 = 2;
    let ranged = ranges.addresses() > MOST_PER_RANGE * ranges.len() as u128;
    let make = if ranged { Addresses::as_ranges } else { Addresses::one_by_one };
    let addresses = make(ranges.clone());
    Set {
        interval: ranged,
        size: (!ranged).then(|| size_for(addresses.len())),
        elements: Elements::Addresses(addresses),
        origin: Some(origin),
        ..set(vec![address_field(ranges.family())], SetData::None)
    }
}

/// A hash whose elements expire. `timeout` is the default of the set; every element carries its own.
pub(super) fn expiring(key: Vec<Field>, data: SetData, size: u32, timeout: Duration) -> Set {
    Set { timeout: Some(timeout), size: Some(size), ..set(key, data) }
}

pub(super) fn size_for(count: usize) -> u32 {
    let wanted = count.saturating_add(count / 4).max(16).next_power_of_two();
    u32::try_from(wanted).unwrap_or(u32::MAX)
}

pub(super) const COUNTERS: SetData = SetData::Object(ObjectKind::Counter);

pub(super) fn to_counter(name: String) -> ElementValue {
    ElementValue { object: Some(name), ..ElementValue::default() }
}

pub(super) fn to_verdict(verdict: Verdict) -> ElementValue {
    ElementValue { verdict: Some(verdict), ..ElementValue::default() }
}

pub(super) fn nothing() -> ElementValue {
    ElementValue::default()
}
