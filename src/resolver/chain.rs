//! The walk along aliases, from the name that was asked to its addresses.

use super::outcome::Failure;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A domain name in the wire's form, lower-cased.
pub(super) type Key = Vec<u8>;

pub(super) struct Record {
    pub owner: Key,
    /// In seconds, as the answer has it.
    pub ttl: u32,
    pub data: Data,
}

pub(super) enum Data {
    Alias(Key),
    Address(IpAddr),
}

pub(super) struct Walk {
    /// Sorted, each once, with the lowest TTL along the chain.
    pub addresses: Vec<(IpAddr, u32)>,
    /// Whether the name that was asked is an alias.
    pub aliased: bool,
}

/// The most names on a chain, the asked one included.
const LONGEST: usize = 16;

/// Walks from the asked name, in whatever order the records come. Records of owners off the chain count for nothing.
pub(super) fn walk(asked: &Key, records: &[Record]) -> Result<Walk, Failure> {
    let mut by_owner: BTreeMap<&Key, Vec<&Record>> = BTreeMap::new();
    for record in records {
        by_owner.entry(&record.owner).or_default().push(record);
    }
    let mut addresses: BTreeMap<IpAddr, u32> = BTreeMap::new();
    let mut chain = BTreeSet::from([asked]);
    let (mut owner, mut lowest) = (asked, u32::MAX);
    loop {
        let mut alias = None;
        for record in by_owner.get(owner).into_iter().flatten() {
            let ttl = meant(record.ttl);
            match &record.data {
                Data::Address(address) => {
                    let known = addresses.entry(*address).or_insert(u32::MAX);
                    *known = ttl.min(lowest).min(*known);
                }
                Data::Alias(_) if alias.is_some() => return Err(Failure::TwoAliases),
                Data::Alias(target) => alias = Some((target, ttl)),
            }
        }
        let Some((target, ttl)) = alias else { break };
        if !chain.insert(target) {
            return Err(Failure::ChainLoop);
        }
        if chain.len() > LONGEST {
            return Err(Failure::ChainTooLong);
        }
        (owner, lowest) = (target, lowest.min(ttl));
    }
    Ok(Walk { addresses: addresses.into_iter().collect(), aliased: chain.len() > 1 })
}

/// A TTL with its most significant bit set is 0 (RFC 2181, 8).
pub(super) fn meant(ttl: u32) -> u32 {
    if ttl > i32::MAX as u32 { 0 } else { ttl }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(owner: &str, ttl: u32, target: &str) -> Record {
        Record { owner: owner.into(), ttl, data: Data::Alias(target.into()) }
    }

    fn address(owner: &str, ttl: u32, address: &str) -> Record {
        Record { owner: owner.into(), ttl, data: Data::Address(address.parse().unwrap()) }
    }

    fn addresses(records: &[Record]) -> Result<Vec<(String, u32)>, Failure> {
        let walked = walk(&"a".into(), records)?;
        Ok(walked.addresses.into_iter().map(|(address, ttl)| (address.to_string(), ttl)).collect())
    }

    #[test]
    fn the_order_of_records_does_not_matter_and_the_lowest_ttl_on_the_way_counts() {
        let mut records = vec![
            alias("a", 500, "b"),
            alias("b", 20, "c"),
            address("c", 300, "192.0.2.1"),
            address("c", 10, "192.0.2.2"),
        ];
        let expected = Ok(vec![("192.0.2.1".to_string(), 20), ("192.0.2.2".to_string(), 10)]);
        for _ in 0..records.len() {
            records.rotate_left(1);
            assert_eq!(addresses(&records), expected);
        }
        records.reverse();
        assert_eq!(addresses(&records), expected);
    }

    #[test]
    fn what_is_off_the_chain_counts_for_nothing() {
        let records = [
            address("a", 60, "192.0.2.1"),
            address("other", 60, "192.0.2.66"),
            alias("other", 1, "a"),
            alias("other", 1, "b"),
        ];
        assert_eq!(addresses(&records), Ok(vec![("192.0.2.1".into(), 60)]));
    }

    #[test]
    fn loops_forks_and_long_chains_are_failures() {
        assert_eq!(addresses(&[alias("a", 1, "a")]), Err(Failure::ChainLoop));
        assert_eq!(addresses(&[alias("a", 1, "b"), alias("b", 1, "a")]), Err(Failure::ChainLoop));
        assert_eq!(addresses(&[alias("a", 1, "b"), alias("a", 1, "c")]), Err(Failure::TwoAliases));
        let chain = |names: u8| -> Vec<Record> {
            let name = |n: u8| char::from(b'a' + n).to_string();
            let mut records: Vec<Record> = (1..names).map(|n| alias(&name(n - 1), 60, &name(n))).collect();
            records.push(address(&name(names - 1), 60, "192.0.2.1"));
            records
        };
        assert_eq!(addresses(&chain(16)), Ok(vec![("192.0.2.1".into(), 60)]));
        assert_eq!(addresses(&chain(17)), Err(Failure::ChainTooLong));
    }

    #[test]
    fn a_ttl_with_the_top_bit_set_is_zero() {
        for (ttl, expected) in [(0, 0), (i32::MAX as u32, i32::MAX as u32), (1 << 31, 0), (u32::MAX, 0)] {
            assert_eq!(
                addresses(&[address("a", ttl, "192.0.2.1")]),
                Ok(vec![("192.0.2.1".into(), expected)])
            );
            let aliased = [alias("a", ttl, "b"), address("b", u32::MAX >> 1, "192.0.2.1")];
            assert_eq!(addresses(&aliased), Ok(vec![("192.0.2.1".into(), expected)]));
        }
    }

    #[test]
    fn an_address_that_comes_twice_has_the_lower_ttl() {
        let records = [address("a", 60, "192.0.2.1"), address("a", 30, "192.0.2.1")];
        assert_eq!(addresses(&records), Ok(vec![("192.0.2.1".into(), 30)]));
    }
}
