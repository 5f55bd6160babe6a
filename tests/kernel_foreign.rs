//! What others do to the table: it must never look like something that we wanted.
#![cfg(feature = "kernel")]

#[path = "common/nft.rs"]
mod nft;
#[path = "common/ns.rs"]
mod ns;
#[path = "common/sample.rs"]
mod sample;

use portgrave::netlink::{Kernel, NfTables};
use portgrave::plan::{Op, Plan, diff};
use portgrave::ruleset::{Chain, Elements, Expr, Field, Ruleset, SetData};
use sample::{plan_of, ruleset};

const LIMIT: u32 = 4096;

fn held() -> Ruleset {
    NfTables.read(LIMIT).unwrap().unwrap()
}

/// The whole shape, in a namespace of the test's own; `None` outside of it.
fn loaded(name: &str) -> Option<Ruleset> {
    if ns::ran_inside(ns::Namespace::Network, name) {
        return None;
    }
    NfTables.commit(&plan_of(&ruleset()), None).unwrap();
    Some(ruleset())
}

fn load_chain(rules: &str) -> Chain {
    nft::load(&format!("table inet portgrave {{\nchain foreign {{\n{rules}\n}}\n}}\n"));
    held().chains["foreign"].clone()
}

#[test]
fn a_table_that_was_put_to_sleep_is_seen_and_woken() {
    let Some(wanted) = loaded("a_table_that_was_put_to_sleep_is_seen_and_woken") else { return };
    nft::nft(&["add table inet portgrave { flags dormant; }"]);
    assert_eq!(held(), Ruleset { dormant: true, ..wanted.clone() });
    NfTables.commit(&diff(&wanted, Some(&held())), None).unwrap();
    assert_eq!(held(), wanted);
    assert!(!nft::listing().contains("dormant"));
}

#[test]
fn expressions_that_we_never_write_are_foreign() {
    if loaded("expressions_that_we_never_write_are_foreign").is_none() {
        return;
    }
    for (rule, name) in [
        ("log prefix \"x\"", "log"),
        ("counter", "counter"),
        ("meta mark 1", "meta"),
        ("meta mark set 1", "meta"),
        ("meta iif lo", "meta"),
        ("ct mark 1", "ct"),
        ("ct original ip saddr 192.0.2.1", "ct"),
        ("ether saddr 02:00:00:00:00:01", "payload"),
        ("ip ttl set 3", "payload"),
        ("limit rate 5/day", "limit"),
        ("log prefix \"x\" group 1", "log"),
        ("log prefix \"x\" group 1 snaplen 5 queue-threshold 5", "log"),
        ("limit rate over 5 kbytes/second", "limit"),
        ("limit rate 5 kbytes/second", "limit"),
        ("reject with icmpx admin-prohibited", "reject"),
        ("reject with icmp host-unreachable", "reject"),
        ("quota 5 bytes", "quota"),
        ("notrack", "notrack"),
        ("continue", "immediate"),
        ("update @ftp-peers { ip saddr counter }", "dynset"),
        ("update @ftp-peers { ip saddr limit rate 5 kbytes/second }", "dynset"),
        ("tcp dport != 1-5", "range"),
        ("tcp option maxseg size 1", "exthdr"),
    ] {
        let chain = load_chain(rule);
        let foreign = chain.rules[0].exprs.iter().any(|expr| *expr == Expr::Foreign(name.to_owned()));
        assert!(foreign, "{rule}: {:?}", chain.rules[0].exprs);
        nft::nft(&["flush", "chain", "inet", "portgrave", "foreign"]);
    }
}

#[test]
fn an_anonymous_set_is_not_one_of_the_tables_but_its_rule_is_no_rule_of_ours() {
    let name = "an_anonymous_set_is_not_one_of_the_tables_but_its_rule_is_no_rule_of_ours";
    let Some(wanted) = loaded(name) else { return };
    let chain = load_chain("tcp dport { 1, 2 } accept");
    assert_eq!(held().sets, wanted.sets);
    let ours = |expr: &Expr| matches!(expr, Expr::Lookup { set, .. } if wanted.sets.contains_key(set));
    let lookups = chain.rules[0].exprs.iter().filter(|expr| matches!(expr, Expr::Lookup { .. }));
    assert_eq!(lookups.map(ours).collect::<Vec<_>>(), [false]);
    // It goes with its rule.
    let handle = chain.rules[0].handle.unwrap();
    let delete = [
        Op::DeleteRule { chain: "foreign".to_owned(), handle },
        Op::DeleteChain { name: "foreign".to_owned() },
    ];
    NfTables.commit(&Plan { ops: delete.into() }, None).unwrap();
    assert_eq!(held(), wanted);
}

#[test]
fn base_chains_elsewhere_have_no_hook_of_ours_and_can_be_deleted() {
    let Some(wanted) = loaded("base_chains_elsewhere_have_no_hook_of_ours_and_can_be_deleted") else {
        return;
    };
    for head in [
        "type filter hook postrouting priority 0",
        "type nat hook output priority 0",
        "type route hook output priority 0",
    ] {
        let chain = load_chain(&format!("{head}; policy accept; accept"));
        assert_eq!(chain.base, None, "{head}");
        assert_ne!(held(), wanted);
        let name = "foreign".to_owned();
        NfTables.commit(&Plan { ops: vec![Op::DeleteChain { name }] }, None).unwrap();
        assert_eq!(held(), wanted);
    }
}

#[test]
fn sets_that_we_never_make_have_no_key_and_can_be_deleted() {
    let Some(wanted) = loaded("sets_that_we_never_make_have_no_key_and_can_be_deleted") else { return };
    for head in [
        "set foreign { type mark; }",
        "set foreign { type ipv4_addr; flags constant; elements = { 192.0.2.1 }; }",
        "set foreign { type ipv4_addr; counter; }",
        "map foreign { type ipv4_addr : ipv4_addr; }",
        "map foreign { type ipv4_addr : quota; }",
        "set foreign { type ether_addr . ipv4_addr; flags interval; }",
    ] {
        nft::load(&format!("table inet portgrave {{\n{head}\n}}\n"));
        let set = held().sets["foreign"].clone();
        assert!(set.key.is_empty() && matches!(set.elements, Elements::Unread(_)), "{head}: {set:?}");
        let name = "foreign".to_owned();
        NfTables.commit(&Plan { ops: vec![Op::DeleteSet { name }] }, None).unwrap();
        assert_eq!(held(), wanted);
    }
}

#[test]
fn foreign_elements_are_seen_and_can_be_deleted() {
    let Some(wanted) = loaded("foreign_elements_are_seen_and_can_be_deleted") else { return };
    for (set, element) in [
        ("icmp-errors", "9"),
        ("icmp-errors", "*"),
        ("never4", "11.0.0.0/8"),
        ("state", "new : accept"),
        ("state", "* : accept"),
        ("allow.names", "198.51.100.9 . tcp . 80 timeout 0s : \"c.updates\""),
    ] {
        let accepted = std::process::Command::new("nft")
            .args(["add", "element", "inet", "portgrave", set, &format!("{{ {element} }}")])
            .output()
            .unwrap();
        if element.starts_with('*') && !accepted.status.success() && kernel() < (5, 13) {
            assert_eq!(held(), wanted, "{set} {element}");
            continue; // a kernel that has no catch-all elements
        }
        assert!(accepted.status.success(), "{set} {element}: {}", ns::text(&accepted));
        let held_set = held().sets[set].clone();
        assert_ne!(held_set, wanted.sets[set], "{set} {element}");
        let known = held_set.elements.known().unwrap();
        let expected = wanted.sets[set].elements.known().unwrap();
        let keys: Vec<_> = known.keys().filter(|key| !expected.contains_key(*key)).cloned().collect();
        assert_eq!(keys.len(), 1, "{set} {element}");
        let delete = Op::DeleteElements { set: set.to_owned(), head: held_set.head(), keys };
        NfTables.commit(&Plan { ops: vec![delete] }, None).unwrap();
        assert_eq!(held(), wanted, "{set} {element}");
    }
}

/// The first two numbers of the kernel's version.
fn kernel() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

#[test]
fn comments_and_objects_of_other_kinds_change_nothing() {
    let Some(wanted) = loaded("comments_and_objects_of_other_kinds_change_nothing") else { return };
    nft::load("table inet portgrave {\nquota q {\n5 bytes\n}\nlimit l {\nrate 5/second\n}\n}\n");
    nft::nft(&["add", "rule", "inet", "portgrave", "z.empty", "accept", "comment", "\"by hand\""]);
    let held = held();
    assert_eq!(held.objects, wanted.objects);
    assert_eq!(held.chains["z.empty"].rules[0].exprs, sample::then(portgrave::ruleset::Verdict::Accept));
}

#[test]
fn tables_of_the_same_name_in_other_families_are_not_ours() {
    if ns::ran_inside(ns::Namespace::Network, "tables_of_the_same_name_in_other_families_are_not_ours") {
        return;
    }
    let others = "table ip portgrave {\nset s {\ntype ipv4_addr\n}\ncounter c {\n}\nchain input {\naccept\n}\n}\n\
                  table inet portgrave2 {\nchain input {\naccept\n}\n}\n";
    nft::load(others);
    assert_eq!(NfTables.read(LIMIT).unwrap(), None);
    let before = nft::listing();
    NfTables.commit(&plan_of(&ruleset()), None).unwrap();
    assert_eq!(held(), ruleset());
    NfTables.commit(&Plan { ops: vec![Op::DeleteTable] }, None).unwrap();
    assert_eq!(nft::listing(), before);
}

#[test]
fn an_unsized_set_larger_than_the_limit_is_left_unread() {
    if ns::ran_inside(ns::Namespace::Network, "an_unsized_set_larger_than_the_limit_is_left_unread") {
        return;
    }
    let elements = (0..300_u32).map(|i| {
        let first = (i * 10).to_be_bytes();
        let last = (i * 10 + 4).to_be_bytes();
        sample::range(&[&first], &[&last], sample::nothing())
    });
    let set =
        portgrave::ruleset::Set { interval: true, ..sample::head(&[Field::Ipv4Addr], SetData::None, None) };
    let wanted =
        Ruleset { sets: [("s".to_owned(), sample::with(set, elements))].into(), ..Ruleset::default() };
    NfTables.commit(&plan_of(&wanted), None).unwrap();
    assert_eq!(NfTables.read(300).unwrap(), Some(wanted));
    let read = NfTables.read(299).unwrap().unwrap();
    assert!(matches!(read.sets["s"].elements, Elements::Unread(None | Some(300))));
}
