//! What answers may and may not bring into the sets of a daemon that runs: forged, broken and foreign ones, and lives.

mod lab;
mod rig;

use lab::agent::addresses;
use lab::kernel::Sets;
use lab::samples::{address, both, both_act, resolver};
use lab::wire::{CHAOS, CNAME, IN, Message, Record};
use lab::{Act, Forgery, Lab, Reached, Site, Tcp, eventually};
use portgrave::types::Family;
use rig::isolated;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// A name with what servers do for it, and the addresses that are right.
struct Case {
    name: String,
    act: Act,
    right: Vec<String>,
}

fn parsed<'a>(texts: impl IntoIterator<Item = &'a String>) -> BTreeSet<IpAddr> {
    texts.into_iter().map(|text| address(text)).collect()
}

/// A server in each family.
fn settings(lab: &Lab, more: &str) -> String {
    let servers = lab.serve(&[lab::SERVERS[0], lab::SERVERS[2]]);
    resolver(&servers, more)
}

/// Runs a daemon for all cases, waits until each question has an outcome, and compares the sets.
fn right_sets(lab: &Lab, site: &Site, cases: &[Case]) -> serde_json::Value {
    let names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    for case in cases {
        lab.dns.set(&case.name, case.act.clone());
    }
    site.policy_for(&names);
    let daemon = site.run(&lab.gw);
    eventually("a worker runs", || if daemon.children().len() == 1 { Ok(()) } else { Err("none".into()) });
    let worker = daemon.children();
    let right = parsed(cases.iter().flat_map(|case| &case.right));
    for case in cases {
        let all = parsed(&case.right);
        let state = if all.is_empty() { "failing" } else { "ok" };
        daemon.name_is(&case.name, &format!("{state} with {all:?}"), |report| {
            report["state"] == state && addresses(report) == all
        });
    }
    let sets = daemon.sets_are("hold what is right", |sets| sets.addresses() == right);
    assert!(sets.0.iter().all(|element| element.expires.is_some()), "{sets:?}");
    for (index, case) in cases.iter().enumerate() {
        for [text, _] in [both(index)].iter().filter(|_| !case.right.is_empty()) {
            assert_eq!(lab.connect(address(text)), Reached::Yes, "{}", case.name);
        }
    }
    for family in Family::BOTH {
        assert_eq!(lab.connect(Forgery::address(family)), Reached::Refused);
    }
    assert_eq!(daemon.children(), worker, "the worker that was there at the start");
    daemon.names()
}

/// Cases with numbers as their names.
fn cases(all: impl IntoIterator<Item = (&'static str, Act, bool)>) -> Vec<Case> {
    let case = |(index, (what, act, comes)): (usize, (&str, Act, bool))| {
        let right = if comes { both(index).to_vec() } else { Vec::new() };
        Case { name: format!("{what}.example.net"), act, right }
    };
    all.into_iter().enumerate().map(case).collect()
}

#[test]
fn forged_and_broken_datagrams_change_nothing_and_the_true_answer_comes_in() {
    isolated("forged_and_broken_datagrams_change_nothing_and_the_true_answer_comes_in", || {
        let lab = Lab::new();
        let site = Site::new(&lab, &settings(&lab, ""));
        let forgeries = [
            (Forgery::WrongId, "wrong-id"),
            (Forgery::OtherPort, "other-port"),
            (Forgery::WrongQuestion, "wrong-question"),
            (Forgery::WrongType, "wrong-type"),
            (Forgery::WrongClass, "wrong-class"),
            (Forgery::OtherCase, "other-case"),
            (Forgery::NoQuestion, "no-question"),
            (Forgery::NotAnAnswer, "not-an-answer"),
            (Forgery::OtherOpcode, "other-opcode"),
            (Forgery::Unreadable, "unreadable"),
            (Forgery::Short, "short"),
        ];
        let mut all: Vec<(&str, Act, bool)> = Vec::new();
        for (forgery, what) in forgeries {
            all.push((what, both_act(all.len(), 300).forged(&[forgery]), true));
        }
        // Nothing but forgeries comes by UDP: after the wait TCP is asked, which no stranger can answer.
        let alone = [
            (Forgery::WrongId, "only-wrong-id"),
            (Forgery::OtherCase, "only-other-case"),
            (Forgery::Unreadable, "only-unreadable"),
        ];
        for (forgery, what) in alone {
            all.push((what, both_act(all.len(), 300).forged(&[forgery]).only_forged(), true));
        }
        let many = [Forgery::FROM_THE_SERVER; 20].concat();
        all.push(("storm", both_act(all.len(), 300).forged(&many), true));
        all.push(("lower-case", both_act(all.len(), 300).lower_cased(), true));
        all.push(("changed-case", both_act(all.len(), 300).other_case(), true));
        let cut = |octets: &mut Vec<u8>| octets.truncate(octets.len() - 1);
        all.push(("cut", both_act(all.len(), 300).mangled(cut), true));
        all.push(("cut-and-no-tcp", both_act(all.len(), 300).mangled(cut).tcp(Tcp::Unreadable), false));
        let report = right_sets(&lab, &site, &cases(all));
        let suspects = report["counters"]["spoof_suspect"].as_u64().unwrap_or_default();
        // Datagrams from other addresses and ports never come to the client.
        assert!(suspects >= 2 * (10 + 3 + 3), "{suspects} suspects: {report:#}");
        let from = |family| lab.dns.count(|seen| seen.family == Some(family));
        assert!(Family::BOTH.iter().all(|family| from(*family) > 0));
    });
}

#[test]
fn a_datagram_from_another_address_is_no_answer() {
    isolated("a_datagram_from_another_address_is_no_answer", || {
        let lab = Lab::new();
        let site = Site::new(&lab, &settings(&lab, ""));
        // Each server is forged from an address of its own family.
        for (server, other) in [(lab::SERVERS[0], "10.99.0.2"), (lab::SERVERS[2], "fd99::2")] {
            let forged = Act::addresses(&["93.184.10.0", "2606:2800:10::0"], 300);
            let forged = forged.forged(&[Forgery::OtherAddress(address(other))]);
            lab.dns.set_at(server.parse().expect("an address"), forged);
        }
        site.policy_for(&["a.example.net"]);
        let daemon = site.run(&lab.gw);
        daemon.sets_are("hold the true addresses alone", |sets| sets.addresses() == parsed(&both(0)));
    });
}

#[test]
fn truncated_and_oversized_answers_are_asked_for_by_tcp_and_their_content_is_ignored() {
    isolated("truncated_and_oversized_answers_are_asked_for_by_tcp_and_their_content_is_ignored", || {
        let lab = Lab::new();
        let site = Site::new(&lab, &settings(&lab, ""));
        let mut all: Vec<(&str, Act, bool)> = Vec::new();
        for (what, tcp, comes) in [
            ("whole", Tcp::Whole, true),
            ("unreadable", Tcp::Unreadable, false),
            ("closed", Tcp::Closed, false),
            ("cut", Tcp::Cut, false),
            ("silent", Tcp::Silent, false),
        ] {
            all.push((what, both_act(all.len(), 300).truncated().tcp(tcp), comes));
        }
        all.push(("oversized", both_act(all.len(), 300).padded(3000), true));
        let report = right_sets(&lab, &site, &cases(all));
        for (name, family) in
            ["whole", "oversized"].into_iter().flat_map(|name| Family::BOTH.map(|family| (name, family)))
        {
            let by_tcp = |seen: &lab::Seen| {
                seen.name == format!("{name}.example.net") && seen.transport == lab::Transport::Tcp
            };
            assert!(lab.dns.count(|seen| by_tcp(seen) && seen.family == Some(family)) >= 1, "{name}");
        }
        assert_eq!(report["counters"]["spoof_suspect"], 0, "a truncated answer is no forgery: {report:#}");
    });
}

#[test]
fn a_server_without_tcp_leaves_a_truncated_answer_without_addresses() {
    isolated("a_server_without_tcp_leaves_a_truncated_answer_without_addresses", || {
        let lab = Lab::new();
        let server = lab.dns.serve_udp_alone(&lab.far, lab::SERVERS[0].parse().expect("an address"));
        let site = Site::new(&lab, &format!("[resolver]\nservers = [\"{server}\"]\n"));
        let all = [("truncated", both_act(0, 300).truncated(), false), ("plain", both_act(1, 300), true)];
        right_sets(&lab, &site, &cases(all));
    });
}

/// An answer of these records, those with the addresses of the asked family.
fn of_records(index: usize, records: impl Fn(IpAddr) -> Vec<Record> + Send + Sync + 'static) -> Act {
    let [v4, v6] = both(index).map(|text| address(&text));
    Act::of(move |asked| {
        let address = if asked.query.family() == Some(Family::V4) { v4 } else { v6 };
        Some(Message { answer: records(address), ..Message::to(asked.query) })
    })
}

/// `NAME` → 1 → 2 → … → the last, which has the address.
fn chain(name: &'static str, links: usize, address: IpAddr) -> Vec<Record> {
    let link = |number: usize| match number {
        0 => format!("{name}.example.net"),
        number => format!("{name}-{number}.example.org"),
    };
    let mut records: Vec<Record> =
        (0..links).map(|number| Record::alias(&link(number), 300, &link(number + 1))).collect();
    records.push(Record::address(&link(links), 300, address));
    records
}

fn reversed(mut records: Vec<Record>) -> Vec<Record> {
    records.reverse();
    records
}

#[test]
fn chains_of_aliases_are_walked_in_any_order_and_loops_forks_and_long_ones_bring_nothing() {
    isolated("chains_of_aliases_are_walked_in_any_order_and_loops_forks_and_long_ones_bring_nothing", || {
        let lab = Lab::new();
        let site = Site::new(&lab, &settings(&lab, ""));
        let all = [
            ("ordered", of_records(0, |address| chain("ordered", 3, address)), true),
            ("reordered", of_records(1, |address| reversed(chain("reordered", 3, address))), true),
            ("longest", of_records(2, |address| chain("longest", 15, address)), true),
            ("too-long", of_records(3, |address| chain("too-long", 17, address)), false),
            (
                "loop",
                of_records(4, |address| {
                    let mut records = chain("loop", 2, address);
                    records.pop();
                    records.push(Record::alias("loop-2.example.org", 300, "loop.example.net"));
                    records.push(Record::address("elsewhere.example.org", 300, address));
                    records
                }),
                false,
            ),
            (
                "itself",
                of_records(5, |_| vec![Record::alias("itself.example.net", 300, "itself.example.net")]),
                false,
            ),
            (
                "fork",
                of_records(6, |address| {
                    let mut records = chain("fork", 1, address);
                    records.push(Record::alias("fork.example.net", 300, "other.example.org"));
                    records
                }),
                false,
            ),
        ];
        right_sets(&lab, &site, &cases(all));
    });
}

#[test]
fn records_beside_the_chain_never_give_addresses() {
    isolated("records_beside_the_chain_never_give_addresses", || {
        let lab = Lab::new();
        let site = Site::new(&lab, &settings(&lab, ""));
        let forged =
            |owner: &str, like: IpAddr| Record::address(owner, 300, Forgery::address(Family::of(like)));
        let all = [
            (
                "unrelated",
                of_records(0, move |address| {
                    vec![
                        forged("bank.example.org", address),
                        Record::address("unrelated.example.net", 300, address),
                        Record::text("unrelated.example.net", 300),
                        forged("xunrelated.example.net", address),
                    ]
                }),
                true,
            ),
            (
                "other-class",
                of_records(1, move |address| {
                    let chaos = forged("other-class.example.net", address).class(CHAOS);
                    vec![chaos, Record::address("other-class.example.net", 300, address)]
                }),
                true,
            ),
            (
                "only-beside",
                Act::no_data(None).changed(|message| {
                    for family in Family::BOTH {
                        let record =
                            Record::address("only-beside.example.net", 300, Forgery::address(family));
                        message.authority.push(record.clone());
                        message.additional.push(record);
                    }
                }),
                false,
            ),
            (
                "other-family",
                Act::of(|asked| {
                    let other =
                        if asked.query.family() == Some(Family::V4) { Family::V6 } else { Family::V4 };
                    let record = Record::address("other-family.example.net", 300, Forgery::address(other));
                    Some(Message { answer: vec![record], ..Message::to(asked.query) })
                }),
                false,
            ),
        ];
        right_sets(&lab, &site, &cases(all));
    });
}

#[test]
fn names_that_point_at_themselves_in_a_message_are_unreadable() {
    isolated("names_that_point_at_themselves_in_a_message_are_unreadable", || {
        let lab = Lab::new();
        let site = Site::new(&lab, &settings(&lab, ""));
        /// A pointer to the first octet after the question, where the first record of the answer begins.
        fn to_the_answer(asked: &lab::Asked<'_>) -> [u8; 2] {
            let offset = 12 + asked.query.name.len() + 4;
            (0xc000 | u16::try_from(offset).expect("a short message")).to_be_bytes()
        }
        let owner = |index| {
            let [v4, v6] = both(index).map(|text| address(&text));
            move |asked: &lab::Asked<'_>| {
                let address = if asked.query.family() == Some(Family::V4) { v4 } else { v6 };
                let looped = Record::address("", 300, address).owned_by(&to_the_answer(asked));
                let good = Record::address(&asked.name, 300, address);
                Some(Message { answer: vec![looped, good], ..Message::to(asked.query) })
            }
        };
        let target = |asked: &lab::Asked<'_>| {
            let mut alias = Record {
                owner: asked.query.name.clone(),
                rtype: CNAME,
                class: IN,
                ttl: 300,
                data: Vec::new(),
            };
            let start = 12 + asked.query.name.len() + 4;
            let data = start + alias.owner.len() + 10;
            alias.data = (0xc000 | u16::try_from(data).expect("a short message")).to_be_bytes().to_vec();
            Some(Message { answer: vec![alias], ..Message::to(asked.query) })
        };
        let all = [
            ("owner", Act::of(owner(0)), false),
            ("target", Act::of(target), false),
            ("good", both_act(2, 300), true),
        ];
        right_sets(&lab, &site, &cases(all));
    });
}

#[test]
fn of_very_many_addresses_a_fixed_number_is_taken_and_they_stay() {
    isolated("of_very_many_addresses_a_fixed_number_is_taken_and_they_stay", || {
        let lab = Lab::new();
        let site = Site::new(&lab, &settings(&lab, "min-interval = \"1s\""));
        let many = |net: u8, count: usize| -> Vec<String> {
            (0..count).map(|number| format!("93.{net}.{}.{}", number / 250, number % 250 + 1)).collect()
        };
        for (name, net, count) in [("all", 184, 64), ("over", 185, 65), ("crowd", 186, 1000)] {
            let addresses = many(net, count);
            let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
            // The same addresses in another order each time.
            let turned: Vec<&str> = addresses.iter().rev().copied().collect();
            lab.dns.set(&format!("{name}.example.net"), Act::rotating(&[&addresses, &turned], 1));
        }
        site.policy_for(&["all.example.net", "over.example.net", "crowd.example.net"]);
        let daemon = site.run(&lab.gw);
        let of = |sets: &Sets, net: u8| -> BTreeSet<IpAddr> {
            sets.addresses()
                .into_iter()
                .filter(|a| a.to_string().starts_with(&format!("93.{net}.")))
                .collect()
        };
        let counts = |sets: &Sets| [184, 185, 186].map(|net| of(sets, net).len());
        let first = daemon.sets_are("hold 64 of each", |sets| counts(sets) == [64, 64, 64]);
        for name in ["over.example.net", "crowd.example.net"] {
            lab.dns.asked_again(name, Family::V4, 4);
        }
        let later = daemon.sets();
        assert_eq!(later.addresses(), first.addresses(), "the choice does not change with the order");
        let warned = |name: &str| daemon.line(&[name, "64"], 1).len();
        assert_eq!([warned("over.example.net"), warned("crowd.example.net")], [1, 1], "each is told once");
        assert!(
            !daemon.lines.all().iter().any(|line| line.contains("all.example.net") && line.contains("WARN"))
        );
    });
}

#[test]
fn every_ttl_gives_a_life_between_floor_and_cap_and_the_shortest_of_a_chain_counts() {
    isolated("every_ttl_gives_a_life_between_floor_and_cap_and_the_shortest_of_a_chain_counts", || {
        let lab = Lab::new();
        let more = "ttl-floor = \"40s\"\nttl-cap = \"10m\"\ngrace = \"20s\"\nmin-interval = \"1h\"";
        let site = Site::new(&lab, &settings(&lab, more));
        let plain = [
            ("zero", 0, 60),
            ("one", 1, 60),
            ("floor", 40, 60),
            ("middle", 100, 120),
            ("cap", 600, 620),
            ("over", 86_400, 620),
            ("greatest", (1 << 31) - 1, 620),
            ("top-bit", 1 << 31, 60),
            ("all-bits", u32::MAX, 60),
        ];
        let mut lives: Vec<(String, u64)> = Vec::new();
        let mut names: Vec<String> = Vec::new();
        for (index, (name, ttl, life)) in plain.into_iter().enumerate() {
            let name = format!("{name}.example.net");
            lab.dns.set(&name, both_act(index, ttl));
            lives.extend(both(index).map(|address| (address, life)));
            names.push(name);
        }
        let aliased = |name: &'static str, first: u32, second: u32, index: usize| {
            let name = format!("{name}.example.net");
            let owner = name.clone();
            let act = of_records(index, move |address| {
                vec![
                    Record::alias(&owner, first, "end.example.org"),
                    Record::address("end.example.org", second, address),
                ]
            });
            (name, act)
        };
        for (index, (name, first, second, life)) in
            [("alias-shorter", 100, 500, 120), ("alias-longer", 500, 100, 120), ("alias-zero", 0, 500, 60)]
                .into_iter()
                .enumerate()
        {
            let (name, act) = aliased(name, first, second, 50 + index);
            lab.dns.set(&name, act);
            lives.extend(both(50 + index).map(|address| (address, life)));
            names.push(name);
        }
        let mixed = of_records(60, |address| {
            let other = if address.is_ipv4() { &both(61)[0] } else { &both(61)[1] };
            let of = |ttl, address| Record::address("mixed.example.net", ttl, address);
            vec![of(100, address), of(500, other.parse().expect("an address"))]
        });
        lab.dns.set("mixed.example.net", mixed);
        names.push("mixed.example.net".into());
        lives.extend(both(60).map(|address| (address, 120)));
        lives.extend(both(61).map(|address| (address, 520)));

        site.policy_for(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let daemon = site.run(&lab.gw);
        let all: Vec<&str> = lives.iter().map(|(address, _)| address.as_str()).collect();
        let sets = daemon.holds(&all);
        for (text, life) in &lives {
            for element in sets.of(address(text)) {
                // Lives are written in whole seconds, at most one less; a rewrite gives the whole life again.
                let timeout = element.timeout.unwrap_or_else(|| panic!("no timeout of its own: {element:?}"));
                assert!((life - 2..=*life).contains(&timeout), "{life} s wanted: {element:?}");
                assert!(element.expires.is_some_and(|left| left <= *life), "{element:?}");
            }
        }
        assert_eq!(sets.addresses(), parsed(lives.iter().map(|(address, _)| address)));
    });
}
