//! A rule that is called covered is never the named one: random policies and packets, judged by `model::verdict`.

mod random;

use portgrave::model::{covered, verdict};
use portgrave::types::RuleName;
use random::Random;

const PACKETS: usize = 200;

/// PORTGRAVE_TEST_POLICIES asks for more.
fn policies() -> u64 {
    std::env::var("PORTGRAVE_TEST_POLICIES").ok().and_then(|text| text.parse().ok()).unwrap_or(1500)
}

#[test]
fn a_covered_rule_is_never_named_and_the_other_one_always_goes_before_it() {
    let (mut covers, mut matched) = (0, 0);
    let book = random::book();
    for seed in 0..policies() {
        let mut random = Random::new(seed);
        let policy = random::policy(&mut random);
        let pairs: Vec<(RuleName, RuleName)> =
            covered(&policy).into_iter().map(|(rule, by)| (rule.name.clone(), by.name.clone())).collect();
        covers += pairs.len();
        for _ in 0..if pairs.is_empty() { 0 } else { PACKETS } {
            let packet = random::packet(&mut random, &policy);
            let found = verdict(&policy, &book, &packet);
            let order: Vec<&RuleName> = found.rule.iter().chain(&found.also).collect();
            for (rule, by) in &pairs {
                let Some(at) = order.iter().position(|name| *name == rule) else { continue };
                matched += 1;
                assert!(
                    order[..at].contains(&by),
                    "seed {seed}, {rule} by {by}, {packet:?}: {found:?}\n{policy}"
                );
            }
        }
    }
    assert!(covers > 50 && matched > 500, "{covers} covered rules, {matched} packets that they match");
}
