//! The addresses that a looked-up name may never stand for.

use super::{AddressBook, Policy};
use crate::diag::{Finding, codes};
use crate::types::{AddrRange, Family, HostName, merged};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::LazyLock;

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

/// What no name may stand for on any machine, of one family.
pub fn special(family: Family) -> &'static [AddrRange] {
    static RANGES: LazyLock<[Vec<AddrRange>; 2]> = LazyLock::new(|| {
        [&IPV4[..], &IPV6[..]].map(|texts| texts.iter().filter_map(|text| text.parse().ok()).collect())
    });
    match family {
        Family::V4 => &RANGES[0],
        Family::V6 => &RANGES[1],
    }
}

/// The ranges of one family, sorted and merged: the special ones, this machine's own addresses and its networks.
pub fn ranges(book: &AddressBook, family: Family) -> Vec<AddrRange> {
    let of_machine = book.own.iter().chain(&book.broadcast).map(|address| AddrRange::single(*address));
    let of_machine = of_machine.chain(book.connected.iter().copied());
    let mut all = special(family).to_vec();
    all.extend(of_machine.filter(|range| range.family() == family));
    let merged = merged(all.into_iter().map(|range| range.bits()).collect());
    merged.into_iter().map(|(first, last)| AddrRange::from_bits(family, first, last)).collect()
}

/// Whether a name may not stand for this address.
pub fn refuses(book: &AddressBook, address: IpAddr) -> bool {
    let within = |ranges: &[AddrRange]| ranges.iter().any(|range| range.contains(address));
    within(special(Family::of(address)))
        || within(&book.connected)
        || book.own.contains(&address)
        || book.broadcast.contains(&address)
}

/// Whether a name may stand for an address, where its groups open these networks.
pub fn may_stand(book: &AddressBook, opened: &[AddrRange], address: IpAddr) -> bool {
    !refuses(book, address) || is_opened(book, opened, address)
}

/// Whether an address that no name may have is one that these networks open. Nothing opens what is no host elsewhere.
pub fn is_opened(book: &AddressBook, opened: &[AddrRange], address: IpAddr) -> bool {
    let of_machine = book.own.contains(&address) || book.broadcast.contains(&address);
    opened.iter().any(|range| range.contains(address)) && !of_machine && !is_no_host(address)
}

/// What names may not stand for on this machine, under a policy.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    machine: AddressBook,
    opened: BTreeMap<HostName, Vec<AddrRange>>,
}

impl Filter {
    pub fn new(policy: &Policy, book: &AddressBook) -> Self {
        let machine = AddressBook {
            own: book.own.clone(),
            connected: book.connected.clone(),
            broadcast: book.broadcast.clone(),
            ..AddressBook::default()
        };
        let opens = policy.names.iter().filter(|(_, names)| !names.allow_net.is_empty());
        let opened = opens.map(|(name, names)| (name.clone(), names.allow_net.clone())).collect();
        Self { machine, opened }
    }

    /// Why a name may not have an address, if so.
    pub fn why_not(&self, name: &HostName, address: IpAddr) -> Option<&'static str> {
        let opened = self.opened.get(name).map_or(&[][..], Vec::as_slice);
        if may_stand(&self.machine, opened, address) {
            return None;
        }
        let machine = &self.machine;
        let of_machine = machine.own.contains(&address)
            || machine.broadcast.contains(&address)
            || machine.connected.iter().any(|network| network.contains(address));
        Some(if of_machine { "this machine's own network" } else { "private or special" })
    }

    /// The lines to write where a name is meant to have these addresses, which were refused; `None` where nothing opens them.
    pub fn advice(&self, name: &HostName, refused: &[IpAddr]) -> Option<String> {
        super::advice(&self.machine, name, refused)
    }
}

/// Unspecified, loopback, link-local, multicast, class E and mapped addresses.
const NO_HOSTS: [&str; 7] =
    ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/80", "fe80::/10", "ff00::/8"];

fn no_hosts() -> &'static [AddrRange] {
    static RANGES: LazyLock<Vec<AddrRange>> =
        LazyLock::new(|| NO_HOSTS.iter().filter_map(|text| text.parse().ok()).collect());
    &RANGES
}

fn is_no_host(address: IpAddr) -> bool {
    no_hosts().iter().any(|range| range.contains(address))
}

/// Whether nothing can be opened by opening this network.
pub fn is_no_network_of_hosts(network: &AddrRange) -> bool {
    no_hosts().iter().any(|range| range.contains(network.first()) && range.contains(network.last()))
}

/// The finding of a network in `allow-net` that opens nothing.
pub fn opens_nothing(network: &AddrRange) -> Finding {
    let message = format!("no name may stand for an address of {network}");
    let help = "unspecified, loopback, link-local and multicast addresses are opened by nothing: take it out";
    Finding::error(codes::OPENS_NO_HOSTS, message).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> AddressBook {
        AddressBook {
            own: vec!["8.8.1.1".parse().unwrap(), "2a00::1".parse().unwrap()],
            connected: vec!["9.9.9.0/24".parse().unwrap(), "2a00:1::/64".parse().unwrap()],
            broadcast: vec!["9.9.10.255".parse().unwrap()],
            ..AddressBook::default()
        }
    }

    fn refused(text: &str) -> bool {
        let address = text.parse().unwrap();
        let by_ranges = ranges(&book(), Family::of(address)).iter().any(|range| range.contains(address));
        assert_eq!(by_ranges, refuses(&book(), address), "{text}");
        by_ranges
    }

    #[test]
    fn every_special_range_is_read() {
        assert_eq!((special(Family::V4).len(), special(Family::V6).len()), (IPV4.len(), IPV6.len()));
    }

    #[test]
    fn special_addresses_are_refused() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.168.0.1",
            "192.0.2.1",
            "198.19.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "fc00::1",
            "fe80::1",
            "ff02::1",
            "2001::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002::1",
            "3fff::1",
        ] {
            assert!(refused(text), "{text}");
        }
    }

    #[test]
    fn addresses_and_networks_of_this_machine_are_refused() {
        for text in ["8.8.1.1", "2a00::1", "9.9.9.200", "2a00:1::7", "9.9.10.255"] {
            assert!(refused(text), "{text}");
        }
    }

    #[test]
    fn public_addresses_are_not_refused() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.128.0.1",
            "172.32.0.1",
            "9.9.10.254",
            "2a00::2",
            "2001:500::1",
            "2600::1",
        ] {
            assert!(!refused(text), "{text}");
        }
    }

    #[test]
    fn ranges_are_sorted_and_apart() {
        for family in Family::BOTH {
            let ranges = ranges(&book(), family);
            assert!(ranges.windows(2).all(|two| two[0].bits().1 + 1 < two[1].bits().0));
        }
    }
}
