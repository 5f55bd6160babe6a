//! The addresses that a looked-up name may never stand for.

use super::AddressBook;
use crate::types::{AddrRange, Family};
use std::net::IpAddr;

/// Special-purpose IPv4 space (RFC 6890 and the IANA registry): this network, private, shared, loopback, link-local with the
/// metadata address, protocol assignments, documentation, 6to4 relays, benchmarking, multicast, class E, broadcast.
const IPV4: [&str; 15] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
];

/// All but 2000::/3, and within it Teredo, ORCHID (both versions), documentation (both ranges) and 6to4.
const IPV6: [&str; 9] = [
    "::-1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001::/32",
    "2001:2::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "4000::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
];

/// The ranges of one family, sorted and merged: the special ones, this machine's own addresses and its networks.
pub fn ranges(book: &AddressBook, family: Family) -> Vec<AddrRange> {
    let special: &[&str] = match family {
        Family::V4 => &IPV4,
        Family::V6 => &IPV6,
    };
    let mut all: Vec<AddrRange> = special.iter().filter_map(|text| text.parse().ok()).collect();
    all.extend(book.own.iter().chain(&book.broadcast).map(|address| AddrRange::single(*address)));
    all.extend(&book.connected);
    all.retain(|range| range.family() == family);
    merge(family, all)
}

pub fn refuses(book: &AddressBook, address: IpAddr) -> bool {
    ranges(book, Family::of(address)).iter().any(|range| range.contains(address))
}

fn merge(family: Family, mut ranges: Vec<AddrRange>) -> Vec<AddrRange> {
    ranges.sort_unstable();
    let mut merged: Vec<(u128, u128)> = Vec::new();
    for (first, last) in ranges.into_iter().map(|range| range.bits()) {
        match merged.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    merged.into_iter().map(|(first, last)| AddrRange::from_bits(family, first, last)).collect()
}
