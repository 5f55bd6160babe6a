//! Random policies and packets, the same for the same seed, and the machine that they are about. Everything overlaps on
//! purpose and stands close together, so that most packets meet several rules.

// Every test binary has a copy of this module and uses its own part.
#![allow(dead_code, unused_imports)]

#[path = "../common/numbers.rs"]
mod numbers;
mod packets;
mod peers;
mod policies;
mod shrink;

pub use numbers::Random;
pub use packets::{is_at_home, opens_flow, packet};
pub use policies::policy;
pub use shrink::smallest;

use portgrave::model::{AddressBook, LearnedAddress};
use portgrave::types::AddrRange;
use std::net::IpAddr;
use std::time::Duration;

/// This machine's interfaces; some names begin with others.
pub const INTERFACES: [&str; 5] = ["eth0", "eth1", "eth10", "vlan5", "vlan7"];

/// This machine's addresses with the interfaces that have them, and the networks of the first interface.
pub const OWN_V4: [(&str, &str); 3] = [("203.0.113.1", "eth0"), ("9.9.9.9", "eth0"), ("9.9.9.10", "eth1")];
pub const OWN_V6: [(&str, &str); 3] = [("2a00:9::1", "eth0"), ("2a00:9::2", "eth10"), ("2a00:a::1", "vlan5")];
pub const CONNECTED: [&str; 2] = ["203.0.113.0/24", "2a00:9::/64"];
pub const BROADCAST: &str = "203.0.113.255";

/// Those who send packets.
pub const UIDS: [u32; 4] = [0, 1000, 1001, 65534];

const NAMES: [&str; 4] = ["a.example.net", "b.example.net", "c.example.net", "never.example.net"];

/// What the machine knows, the same in every run.
pub fn book() -> AddressBook {
    let learned = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| LearnedAddress { address: address(text), remaining: Duration::from_secs(3600) })
            .collect()
    };
    let ranges = |texts: &[&str]| -> Vec<AddrRange> {
        texts.iter().map(|text| text.parse().expect("a range")).collect()
    };
    let list = |texts: &[&str]| ranges(texts).into_iter().collect();
    AddressBook {
        names: [
            (NAMES[0], learned(&["8.8.4.4", "8.8.4.6", "2a00::4", "10.0.0.4", "9.9.9.9"])),
            (NAMES[1], learned(&["8.8.4.4", "2a00::6", "2001:db8::4", "203.0.113.7"])),
            (NAMES[2], learned(&["8.8.4.0", "8.8.5.5", "10.0.0.4", "2a00:9::7"])),
        ]
        .map(|(name, learned)| (name.parse().expect("a name"), learned))
        .into(),
        lists: [
            ("one".into(), list(&["8.8.4.0-8.8.4.4", "2a00::/127", "2a00::4"])),
            ("two".into(), list(&["8.8.4.4", "8.8.5.0/24"])),
            ("three".into(), list(&["8.8.4.6-8.8.4.7", "10.0.0.0/30", "2a00::4-2a00::6"])),
            ("none".into(), list(&[])),
        ]
        .map(|(path, ranges): (_, Vec<_>)| (path, ranges.into_iter().collect()))
        .into(),
        resolv_conf: vec![address("8.8.4.5"), address("2a00::5")],
        own: OWN_V4.iter().chain(&OWN_V6).map(|(text, _)| address(text)).collect(),
        connected: ranges(&CONNECTED),
        broadcast: vec![address(BROADCAST)],
        users: [("chrony".into(), Some(1001)), ("nobody".into(), Some(65534)), ("ghost".into(), None)].into(),
        ..AddressBook::default()
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error:?}"))
}
