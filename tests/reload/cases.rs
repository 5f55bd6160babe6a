//! Packets whose verdict is the same under two policies that say it in different ways.

use super::traffic::{Family, Kind};
use portgrave::types::Direction;
use std::fmt::Write;
use std::net::IpAddr;

/// One peer, one port, and the rules of the two policies that decide about it.
pub struct Case {
    pub what: &'static str,
    pub allowed: bool,
    /// The peer, as `NET.HOST`.
    peer: &'static str,
    port: u16,
    rules: [&'static [Rule]; 2],
}

/// Name, action, ports, and peers: `NET.HOST`, `NET.HOST/LENGTH`, or a peer of the language.
type Rule = (&'static str, &'static str, &'static str, &'static str);

/// Rules that both policies have. What the deny rules of the cases forbid is allowed by these.
const COMMON: &[Rule] = &[
    ("blocked", "deny", "any", "@blocklist"),
    ("open", "allow", "udp/1300 udp/1400 udp/1900-2300", "any"),
    ("listed", "allow", "udp/1820 udp/1830", "@partners"),
    ("flows", "allow", "udp/5000", "any"),
];

/// List files of each policy.
const LISTS: [[(&str, &[&str]); 2]; 2] = [
    [("blocklist", &["51.64/26", "54.1", "69.0/24"]), ("partners", &["65.1", "66.64/26"])],
    [("blocklist", &["51.0/25", "58.1", "69.0/25", "69.128/25"]), ("partners", &["66.0/25"])],
];

/// Looked-up names, for both.
const NAMES: &[(&str, &str)] = &[("a.example.net", "63.1"), ("b.example.net", "64.1")];

/// An address that only the list of thousands holds, in both of its states.
const IN_THOUSANDS: &str = "90.1";

pub const CASES: &[Case] = &[
    forbidden("no rule names it", "40.1", 9, [&[], &[]]),
    forbidden(
        "a denied address becomes a denied prefix",
        "50.7",
        1300,
        [&[("hostile", "deny", "udp/1300", "50.7")], &[("hostile", "deny", "udp/1300", "50.0/28")]],
    ),
    forbidden(
        "the rule that denies an address is renamed",
        "53.9",
        1300,
        [&[("address-a", "deny", "udp/1300", "53.9")], &[("address-b", "deny", "udp/1300", "53.9")]],
    ),
    forbidden(
        "the rule that denies a prefix is renamed",
        "57.3",
        1300,
        [&[("prefix-a", "deny", "udp/1300", "57.0/24")], &[("prefix-b", "deny", "udp/1300", "57.0/24")]],
    ),
    forbidden(
        "a denied range of ports is cut anew",
        "52.5",
        2060,
        [
            &[("ports-all", "deny", "udp/2000-2100", "52.0/24")],
            &[
                ("ports-low", "deny", "udp/1990-2050", "52.0/24"),
                ("ports-high", "deny", "udp/2051-2200", "52.0/24"),
            ],
        ],
    ),
    forbidden("both lists hold it, in prefixes cut anew", "51.70", 1300, [&[], &[]]),
    forbidden("both lists hold it, in one prefix or in two halves", "69.200", 1300, [&[], &[]]),
    forbidden("listed, then written", "54.1", 1300, [&[], &[("written", "deny", "udp/1300", "54.1")]]),
    forbidden(
        "denied to any, then to a prefix",
        "55.1",
        1400,
        [&[("everybody", "deny", "udp/1400", "any")], &[("somebody", "deny", "udp/1400", "55.0/24")]],
    ),
    forbidden(
        "a denied prefix is narrowed",
        "56.9",
        1300,
        [&[("narrowed", "deny", "udp/1300", "56.0/24")], &[("narrowed", "deny", "udp/1300", "56.8/29")]],
    ),
    forbidden(
        "denied by name of the same rule from a prefix to every port",
        "59.9",
        1300,
        [&[("all-ports", "deny", "udp/1300", "59.0/24")], &[("all-ports", "deny", "any", "59.0/24")]],
    ),
    forbidden(
        "in a list of thousands",
        IN_THOUSANDS,
        1300,
        [&[("thousands", "deny", "any", "@thousands")], &[("thousands", "deny", "any", "@thousands")]],
    ),
    allowed(
        "the rule for any peer is renamed",
        "60.1",
        1500,
        [&[("web-a", "allow", "udp/1500", "any")], &[("web-b", "allow", "udp/1500", "any")]],
    ),
    allowed(
        "a prefix becomes an address",
        "61.7",
        1600,
        [&[("narrow", "allow", "udp/1600", "61.0/24")], &[("narrow", "allow", "udp/1600", "61.7")]],
    ),
    allowed(
        "a range of ports is cut anew",
        "62.5",
        1745,
        [
            &[("range", "allow", "udp/1700-1800", "62.0/24")],
            &[
                ("range-low", "allow", "udp/1650-1740", "62.0/24"),
                ("range-high", "allow", "udp/1741-1850", "62.0/24"),
            ],
        ],
    ),
    allowed(
        "the rule of a name is renamed",
        "63.1",
        1910,
        [
            &[("name-a", "allow", "udp/2910", "a.example.net"), ("also-a", "allow", "udp/1910", "63.1")],
            &[("name-b", "allow", "udp/2910", "a.example.net"), ("also-b", "allow", "udp/1910", "63.0/30")],
        ],
    ),
    allowed(
        "a name in two rules in turn",
        "63.1",
        3910,
        [
            &[("turn-a", "allow", "udp/3910", "a.example.net")],
            &[("turn-b", "allow", "udp/3910", "a.example.net")],
        ],
    ),
    allowed(
        "a name, then a written address",
        "64.1",
        3911,
        [
            &[("looked-up", "allow", "udp/3911", "b.example.net")],
            &[("looked-up", "allow", "udp/3911", "64.1")],
        ],
    ),
    allowed("listed, then any", "65.1", 1820, [&[], &[("any-peer", "allow", "udp/1820", "any")]]),
    allowed("both lists hold it, in prefixes cut anew", "66.70", 1830, [&[], &[]]),
    allowed(
        "nothing about it changes",
        "67.1",
        1840,
        [&[("steady", "allow", "udp/1840", "any")], &[("steady", "allow", "udp/1840", "any")]],
    ),
];

const fn forbidden(what: &'static str, peer: &'static str, port: u16, rules: [&'static [Rule]; 2]) -> Case {
    Case { what, allowed: false, peer, port, rules }
}

const fn allowed(what: &'static str, peer: &'static str, port: u16, rules: [&'static [Rule]; 2]) -> Case {
    Case { what, allowed: true, peer, port, rules }
}

/// The packets of all cases, in both directions and families.
pub fn kinds() -> Vec<Kind> {
    let mut kinds = Vec::new();
    for case in CASES {
        for way in Direction::BOTH {
            for family in Family::BOTH {
                let peer = address(family, case.peer);
                kinds.push(Kind { what: case.what, allowed: case.allowed, way, peer, port: case.port });
            }
        }
    }
    kinds
}

/// A policy, with its list files in `lists`.
pub fn policy(which: usize, lists: &str) -> String {
    let mut text = String::from("language = 1\n\n[hosts]\n");
    for group in ["blocklist", "partners", "thousands"] {
        writeln!(text, "{group} = {{ file = \"{lists}/{group}.txt\" }}").expect("to write into memory");
    }
    let own = CASES.iter().flat_map(|case| case.rules[which]);
    for (name, action, ports, peers) in COMMON.iter().chain(own) {
        let (ports, peers) = (quoted(ports.split(' ').map(str::to_owned)), quoted(written(peers)));
        writeln!(
            text,
            "\n[[rule]]\nname = \"{name}\"\ndirection = \"both\"\naction = \"{action}\"\n\
             ports = {ports}\npeers = {peers}"
        )
        .expect("to write into memory");
    }
    text
}

/// The names and contents of a policy's list files.
pub fn lists(which: usize) -> Vec<(&'static str, String)> {
    let lines = |entries: &[&str]| -> String {
        entries.iter().flat_map(|entry| written(entry)).map(|entry| format!("{entry}\n")).collect()
    };
    let mut lists: Vec<_> = LISTS[which].iter().map(|(name, entries)| (*name, lines(entries))).collect();
    let shift = if which == 0 { 0 } else { 700 };
    let mut thousands = lines(&[IN_THOUSANDS]);
    for n in (0..5000_u32).map(|n| 2 * (n + shift)) {
        writeln!(thousands, "93.185.{}.{}", n >> 8, n & 255).expect("to write into memory");
    }
    lists.push(("thousands", thousands));
    lists
}

/// The text of a file of names.
pub fn names() -> String {
    let line = |(name, token): &(&str, &str)| format!("\"{name}\" = {}\n", quoted(written(token)));
    NAMES.iter().map(line).collect()
}

/// `NET.HOST` and `NET.HOST/LENGTH` in both families; anything else as it is.
fn written(token: &str) -> Vec<String> {
    if !token.starts_with(|first: char| first.is_ascii_digit()) {
        return vec![token.to_owned()];
    }
    match token.split_once('/') {
        None => Family::BOTH.map(|family| address(family, token).to_string()).to_vec(),
        Some((first, length)) => {
            let length: u8 = length.parse().expect("a length");
            let prefix = |family| match family {
                Family::V4 => format!("{}/{length}", address(family, first)),
                Family::V6 => format!("{}/{}", address(family, first), length + 96),
            };
            Family::BOTH.map(prefix).to_vec()
        }
    }
}

/// The address of `NET.HOST`. The host is the last octet, so that prefixes mean the same in both families.
pub fn address(family: Family, token: &str) -> IpAddr {
    let (net, host) = token.split_once('.').expect("NET.HOST");
    let (net, host): (u8, u8) = (net.parse().expect("a number"), host.parse().expect("a number"));
    match family {
        Family::V4 => IpAddr::from([93, 184, net, host]),
        Family::V6 => IpAddr::from([0x2606, 0x2800, net.into(), 0, 0, 0, 0, host.into()]),
    }
}

fn quoted(items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| format!("\"{item}\"")).collect();
    format!("[{}]", items.join(", "))
}
