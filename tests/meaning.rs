//! The compiled ruleset means what the policy means: random policies and packets, judged by `model::verdict` and by
//! running the ruleset's expressions as the kernel does.

mod machine;
mod random;

use machine::{Machine, Outcome};
use portgrave::compile::{Features, compile, of_names};
use portgrave::model::{AddressBook, Decision, Packet, Policy, Verdict, verdict};
use portgrave::ruleset::{ElementKey, ElementValue, Ruleset, Set};
use random::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

const PACKETS: usize = 60;

/// PORTGRAVE_TEST_POLICIES asks for more.
fn policies() -> u64 {
    std::env::var("PORTGRAVE_TEST_POLICIES").ok().and_then(|text| text.parse().ok()).unwrap_or(400)
}

#[test]
fn a_random_policy_is_compiled_to_what_it_means() {
    let mut named = 0;
    let book = random::book();
    for seed in 0..policies() {
        let mut random = Random::new(seed);
        let policy = random::policy(&mut random);
        let ruleset = compiled(&policy, &book);
        for _ in 0..PACKETS {
            let packet = random::packet(&mut random, &policy);
            let wanted = verdict(&policy, &book, &packet);
            let seen = Machine::new(&ruleset).run(&packet);
            named += usize::from(wanted.rule.is_some());
            if seen != expected(&policy, &packet, &wanted) {
                let smallest = random::smallest(&policy, |policy| {
                    let wanted = verdict(policy, &book, &packet);
                    Machine::new(&compiled(policy, &book)).run(&packet) != expected(policy, &packet, &wanted)
                });
                let wanted = verdict(&smallest, &book, &packet);
                let seen = Machine::new(&compiled(&smallest, &book)).run(&packet);
                panic!("seed {seed}, {packet:?}: {wanted:?}, but {seen:?}\n{smallest}");
            }
        }
    }
    let share = named * 100 / (policies() as usize * PACKETS);
    assert!((20..95).contains(&share), "rules decide {share} % of the packets");
}

#[test]
fn a_few_looked_up_addresses_alone_come_to_the_elements_that_the_whole_policy_has_of_them() {
    let mut elements = 0;
    let book = random::book();
    let all: BTreeSet<IpAddr> = book.names.values().flatten().map(|learned| learned.address).collect();
    for seed in 0..policies() {
        let mut random = Random::new(seed);
        let policy = random::policy(&mut random);
        let few: BTreeSet<IpAddr> = all.iter().copied().filter(|_| random.one_in(3)).collect();
        let mut part = book.clone();
        part.names.values_mut().for_each(|held| held.retain(|learned| few.contains(&learned.address)));
        part.names.retain(|_, held| !held.is_empty());
        let alone =
            of_names(&policy, &part, &Features::ALL).unwrap_or_else(|findings| panic!("{findings:?}"));
        let whole = compiled(&policy, &book);
        let wanted = of_addresses(&whole, &few);
        elements += wanted.len();
        assert_eq!(of_addresses(&alone, &few), wanted, "seed {seed}, {few:?}\n{policy}");
    }
    assert!(elements > 100, "{elements} elements of names");
}

/// The elements of looked-up addresses, by set and key.
fn of_addresses<'a>(
    ruleset: &'a Ruleset,
    few: &BTreeSet<IpAddr>,
) -> BTreeMap<(&'a str, &'a ElementKey), &'a ElementValue> {
    let address = |name: &str, key: &ElementKey| {
        let v4 = key.first.first_chunk::<4>().map(|octets| IpAddr::from(*octets));
        let v6 = key.first.first_chunk::<16>().map(|octets| IpAddr::from(*octets));
        if name[..4].contains('4') { v4 } else { v6 }
    };
    let of_names = ruleset.sets.iter().filter(|(_, set)| set.timeout.is_some() && !set.dynamic);
    let elements = |(name, set): (&'a String, &'a Set)| {
        let known = set.elements.known().into_iter().flatten();
        known.map(move |(key, value)| ((name.as_str(), key), value))
    };
    let all = of_names.flat_map(elements);
    all.filter(|((name, key), _)| address(name, key).is_some_and(|address| few.contains(&address))).collect()
}

fn compiled(policy: &Policy, book: &AddressBook) -> Ruleset {
    compile(policy, book, &Features::ALL).unwrap_or_else(|findings| panic!("{findings:?}"))
}

/// What a packet does to a ruleset that means this.
fn expected(policy: &Policy, packet: &Packet, wanted: &Verdict) -> Outcome {
    let direction = packet.direction.as_str();
    let action = match wanted.action {
        Decision::Allow | Decision::DefaultAudit => "allow",
        Decision::Unfiltered => panic!("{packet} is not forwarded"),
        Decision::Deny | Decision::DefaultDeny => "deny",
        Decision::Reject | Decision::DefaultReject => "reject",
    };
    let named = wanted.rule.as_ref().map_or("default".into(), ToString::to_string);
    let audit = wanted.audit.iter().map(ToString::to_string);
    let mut counters: Vec<String> = audit.chain([named]).map(|name| format!("{direction}.{name}")).collect();
    counters.sort_unstable();
    let rule = wanted.rule.as_ref().and_then(|name| policy.rules.iter().find(|rule| rule.name == *name));
    let helped = rule.is_some_and(|rule| rule.helper.is_some());
    Outcome { action: action.into(), counters, helped }
}
