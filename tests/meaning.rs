//! The compiled ruleset means what the policy means: random policies and packets, judged by `model::verdict` and by
//! running the ruleset's expressions as the kernel does.

mod machine;
mod random;

use machine::{Machine, Outcome};
use portgrave::compile::{Features, compile};
use portgrave::model::{AddressBook, Decision, Packet, Policy, Verdict, verdict};
use portgrave::ruleset::Ruleset;
use random::Random;

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
