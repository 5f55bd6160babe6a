//! Addresses that no name may stand for: from answers, from the state file, and forced into the set by hand.

mod lab;
mod rig;

use lab::agent::{addresses, rejected};
use lab::kernel::{Sets, name_maps};
use lab::samples::{address, both, resolver};
use lab::{Act, Lab, Reached, Site};
use portgrave::types::Family;
use rig::isolated;
use std::collections::BTreeSet;
use std::net::IpAddr;

fn parsed<'a>(texts: impl IntoIterator<Item = &'a String>) -> BTreeSet<IpAddr> {
    texts.into_iter().map(|text| address(text)).collect()
}

/// A server in each family.
fn settings(lab: &Lab, more: &str) -> String {
    let servers = lab.serve(&[lab::SERVERS[0], lab::SERVERS[2]]);
    resolver(&servers, more)
}

/// First and last address of every range that no name may stand for, with the addresses just outside.
const SPECIAL: [(&str, &str); 15] = [
    ("0.0.0.0", "0.255.255.255"),
    ("10.0.0.0", "10.255.255.255"),
    ("100.64.0.0", "100.127.255.255"),
    ("127.0.0.0", "127.255.255.255"),
    ("169.254.0.0", "169.254.255.255"),
    ("172.16.0.0", "172.31.255.255"),
    ("192.0.0.0", "192.0.0.255"),
    ("192.0.2.0", "192.0.2.255"),
    ("192.88.99.0", "192.88.99.255"),
    ("192.168.0.0", "192.168.255.255"),
    ("198.18.0.0", "198.19.255.255"),
    ("198.51.100.0", "198.51.100.255"),
    ("203.0.113.0", "203.0.113.255"),
    ("224.0.0.0", "239.255.255.255"),
    ("240.0.0.0", "255.255.255.255"),
];

const SPECIAL6: [(&str, &str); 9] = [
    ("::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff"),
    ("2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
];

/// Within the ranges, and this machine's own.
const MORE_SPECIAL: [&str; 21] = [
    "127.0.0.1",
    "127.0.0.53",
    "169.254.169.254",
    "192.168.1.1",
    "255.255.255.254",
    "::1",
    "::ffff:93.184.10.1",
    "::93.184.10.1",
    "64:ff9b::5db8:1401",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    // The gateway's address, its network, and the network's broadcast address.
    "93.184.200.1",
    "93.184.200.77",
    "93.184.200.255",
    "10.99.0.1",
    "2606:2800:200::1",
    "2606:2800:200::77",
    "fd99::1",
];

/// Just outside of a range, and nobody's own.
const JUST_OUTSIDE: [&str; 22] = [
    "1.0.0.0",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.0.3.0",
    "192.88.98.255",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "93.184.201.0",
    "2001:1::",
    "2001:db9::",
    "2003::",
    "2606:2800:201::",
];

/// The gateway has an address and a network that look public.
fn give_the_gateway_networks(lab: &Lab) {
    lab.gw.ip("addr add 93.184.200.1/24 brd + dev up0\n\
         addr add 2606:2800:200::1/64 dev up0 nodad\n");
    lab.far.ip("route add 93.184.200.0/24 via 10.99.0.1\n\
         route add 2606:2800:200::/64 via fd99::1\n");
}

fn all_special() -> Vec<&'static str> {
    let borders = SPECIAL.iter().chain(&SPECIAL6).flat_map(|(first, last)| [*first, *last]);
    borders.chain(MORE_SPECIAL).collect()
}

#[test]
fn no_special_address_comes_from_an_answer_into_a_set_and_each_is_reported_with_the_reason() {
    isolated(
        "no_special_address_comes_from_an_answer_into_a_set_and_each_is_reported_with_the_reason",
        || {
            let lab = Lab::new();
            give_the_gateway_networks(&lab);
            let site = Site::new(&lab, &settings(&lab, ""));
            let special = all_special();
            let mut names: Vec<String> = Vec::new();
            let mut right: Vec<String> = JUST_OUTSIDE.map(str::to_owned).to_vec();
            for (index, text) in special.iter().enumerate() {
                let good = if address(text).is_ipv4() { &both(index)[0] } else { &both(index)[1] };
                let name = format!("special-{index}.example.net");
                lab.dns.set(&name, Act::addresses(&[text, good], 300));
                right.push(good.clone());
                names.push(name);
            }
            lab.dns.set("outside.example.net", Act::addresses(&JUST_OUTSIDE, 300));
            let all: Vec<&str> = names.iter().map(String::as_str).chain(["outside.example.net"]).collect();
            site.policy_for(&all);
            let daemon = site.run(&lab.gw);
            daemon.sets_are("hold all that is not special, and nothing else", |sets| {
                sets.addresses() == parsed(&right)
            });
            let report = daemon.names();
            let of = |name: &str| {
                let mut entries = report["names"].as_array().into_iter().flatten();
                entries
                    .find(|entry| entry["name"] == name)
                    .unwrap_or_else(|| panic!("{name}: {report:#}"))
                    .clone()
            };
            for (text, name) in special.iter().zip(&names) {
                let refused = rejected(&of(name));
                assert!(refused.len() == 1 && refused[0].0 == address(text), "{text}: {refused:?}");
                assert!(!refused[0].1.is_empty(), "{text} is refused without a reason");
            }
            assert_eq!(rejected(&of("outside.example.net")), []);
        },
    );
}

#[test]
fn a_name_with_nothing_but_special_addresses_is_one_without_addresses_and_is_told_of() {
    isolated("a_name_with_nothing_but_special_addresses_is_one_without_addresses_and_is_told_of", || {
        let lab = Lab::new();
        let site = Site::new(&lab, &settings(&lab, "min-interval = \"1s\""));
        lab.dns.set("inside.example.net", Act::addresses(&["10.1.2.3", "192.168.1.1", "fd00::1"], 5));
        site.policy_for(&["inside.example.net"]);
        let daemon = site.run(&lab.gw);
        let report = daemon.name_is("inside.example.net", "everything refused", |report| {
            rejected(report).len() == 3 && report["state"] == "failing"
        });
        assert_eq!(addresses(&report), BTreeSet::new());
        let next = report["next_query_seconds"].as_u64().unwrap_or_default();
        assert!((50..=64).contains(&next), "asked again in {next} s: {report:#}");
        assert_eq!(daemon.sets().addresses(), BTreeSet::new());
        for text in ["10.1.2.3", "192.168.1.1", "fd00::1"] {
            daemon.line(&["WARN", "inside.example.net", text], 1);
            assert_eq!(lab.connect(address(text)), Reached::Refused);
        }
    });
}

#[test]
fn no_special_address_comes_from_the_state_file_into_a_set() {
    isolated("no_special_address_comes_from_the_state_file_into_a_set", || {
        let lab = Lab::new();
        give_the_gateway_networks(&lab);
        let site = Site::new(&lab, &settings(&lab, ""));
        lab.dns.set("a.example.net", Act::addresses(&["93.184.10.1", "2606:2800:10::1"], 3000));
        site.policy_for(&["a.example.net"]);
        let daemon = site.run(&lab.gw);
        daemon.holds(&["93.184.10.1", "2606:2800:10::1"]);
        daemon.stop();

        let mut kept: serde_json::Value = serde_json::from_str(&site.kept_names()).expect("JSON");
        let special = all_special();
        let grown = add_addresses(&mut kept, &[&special[..], &["93.184.10.2"]].concat());
        assert_eq!(grown, 1, "one list of addresses: {kept:#}");
        site.keep_names(&kept.to_string());
        lab.gw.nft("delete table inet portgrave\n");
        for server in [lab::SERVERS[0], lab::SERVERS[2]] {
            lab.dns.set_at(server.parse().expect("an address"), Act::silent());
        }
        let daemon = site.run(&lab.gw);
        let known = ["93.184.10.1", "2606:2800:10::1", "93.184.10.2"].map(address);
        assert_eq!(daemon.sets().addresses(), known.into());
        assert_eq!(addresses(&daemon.name("a.example.net")), known.into());
    });
}

/// Adds an entry like the first for each address to every list of entries with addresses. Says how many lists there are.
fn add_addresses(value: &mut serde_json::Value, more: &[&str]) -> usize {
    match value {
        serde_json::Value::Array(entries) => {
            let like = entries.first().filter(|entry| entry.get("address").is_some()).cloned();
            if let Some(like) = like {
                for address in more {
                    let mut entry = like.clone();
                    entry["address"] = (*address).into();
                    entries.push(entry);
                }
                return 1;
            }
            entries.iter_mut().map(|entry| add_addresses(entry, more)).sum()
        }
        serde_json::Value::Object(fields) => {
            fields.values_mut().map(|field| add_addresses(field, more)).sum()
        }
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => 0,
    }
}

/// Special addresses to which a socket can send here without naming an interface, and not over loopback.
const SENDABLE: [&str; 22] = [
    "10.1.2.3",
    "10.99.0.77",
    "100.64.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.251",
    "240.0.0.1",
    "255.255.255.255",
    "93.184.200.77",
    "64:ff9b::5db8:1401",
    "2001:db8::1",
    "2002::1",
    "3fff::1",
    "fc00::1",
    "4000::1",
];

#[test]
fn a_special_address_forced_into_the_set_of_names_by_hand_opens_nothing() {
    isolated("a_special_address_forced_into_the_set_of_names_by_hand_opens_nothing", || {
        let lab = Lab::new();
        give_the_gateway_networks(&lab);
        let site = Site::new(&lab, &settings(&lab, ""));
        lab.dns.set("a.example.net", Act::addresses(&["93.184.10.1", "2606:2800:10::1"], 3000));
        site.policy_for(&["a.example.net"]);
        assert!(SENDABLE.iter().all(|text| lab.sends(address(text))), "without rules everything goes");
        let daemon = site.run(&lab.gw);
        daemon.holds(&["93.184.10.1", "2606:2800:10::1"]);
        // The daemon would take out again what is put in.
        daemon.stop();
        let force = |text: &str| {
            let maps = name_maps(&lab.gw, Family::of(address(text)));
            let map = maps.keys().next().unwrap_or_else(|| panic!("a map of names: {maps:?}"));
            for protocol in ["tcp", "udp"] {
                lab.gw.nft(&format!(
                    "add element inet portgrave {map} {{ {text} . {protocol} . 443 timeout 1h : \"out.web\" }}\n"
                ));
            }
        };
        for text in ["93.184.77.77", "2606:2800:77::77"] {
            assert!(!lab.sends(address(text)), "{text} is nobody's");
            force(text);
            assert!(
                lab.sends(address(text)),
                "forcing an address in opens it, were it not for the special ones"
            );
            assert_eq!(lab.connect(address(text)), Reached::Yes);
        }
        for text in SENDABLE {
            force(text);
            assert!(Sets::read(&lab.gw).holds(text), "{text} is in the set");
            assert!(!lab.sends(address(text)), "{text} was let through");
        }
        assert_eq!(lab.connect(address("10.1.2.3")), Reached::Refused);
    });
}
