//! Whatever is written in a policy is answered: by findings, or by rules that the kernel takes. Valid texts from a grammar of the
//! whole language, and what damage makes of them.
//!
//! PORTGRAVE_TEST_TEXTS asks for more texts. A text that fails is made shorter and printed; `tests/texts/corpus` holds those
//! that once did. If the process dies of a text, `texts-now.toml` in the target's temporary directory has it.
#![cfg(feature = "kernel")]

#[path = "texts/compiled.rs"]
mod compiled;
#[path = "texts/generate.rs"]
mod generate;
#[path = "texts/judge.rs"]
mod judge;
#[path = "texts/mutate.rs"]
mod mutate;
#[path = "common/ns.rs"]
mod ns;
#[path = "common/numbers.rs"]
mod numbers;

use generate::Breadth;
use judge::{Answer, Judge, shrunk};
use ns::{Namespace, ran_inside};
use numbers::Random;
use std::collections::BTreeMap;
use std::path::Path;

/// Of so many texts one is as the grammar made it.
const VALID: u64 = 3;

fn texts() -> u64 {
    std::env::var("PORTGRAVE_TEST_TEXTS").ok().and_then(|text| text.parse().ok()).unwrap_or(1500)
}

/// The text of a seed, and whether it is as the grammar made it.
fn text(seed: u64) -> (String, bool, Breadth) {
    let mut random = Random::new(seed);
    let breadth = if seed % 2 == 0 { Breadth::Core } else { Breadth::Whole };
    let sound = generate::policy(&mut random, breadth);
    if seed % VALID == 0 {
        return (sound, true, breadth);
    }
    let other = generate::policy(&mut random, breadth);
    let bytes = mutate::mutated(&mut random, &sound, &other);
    (String::from_utf8_lossy(&bytes).into_owned(), false, breadth)
}

#[test]
fn a_text_is_answered_by_findings_or_by_rules_that_the_kernel_takes() {
    if ran_inside(Namespace::Network, "a_text_is_answered_by_findings_or_by_rules_that_the_kernel_takes") {
        return;
    }
    let (mut judge, mut codes, mut taken, mut wrong) = (Judge::new(), BTreeMap::new(), [0, 0], Vec::new());
    for seed in 0..texts() {
        let (text, sound, breadth) = text(seed);
        match judge.answer(&text, seed % 8 == 0) {
            Ok(Answer::Rules) => taken[usize::from(sound)] += 1,
            Ok(Answer::Findings(found)) => {
                // The whole language may have keys that are not built yet.
                let built = breadth == Breadth::Core || found.codes.iter().any(|code| *code != "PG103");
                let fault = sound && built;
                if fault && wrong.len() < 5 {
                    wrong.push(format!("seed {seed}, which is valid:\n{}\n{text}", found.shown));
                }
                for code in found.codes {
                    *codes.entry(code).or_insert(0) += 1;
                }
            }
            Err(failure) => {
                let short = shrunk(&text, &failure, &mut judge);
                panic!("seed {seed}: {failure}\n--- the shortest text that does it:\n{short}\n---");
            }
        }
    }
    println!(
        "{} texts; rules of {} valid and {} damaged ones; findings: {codes:?}",
        texts(),
        taken[1],
        taken[0]
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(taken[1] > 0 && taken[0] > 0, "{taken:?}: rules came of too few texts");
    assert!(codes.len() > 20, "too few kinds of damage: {codes:?}");
}

#[test]
fn texts_that_once_failed_do_not_fail_again() {
    if ran_inside(Namespace::Network, "texts_that_once_failed_do_not_fail_again") {
        return;
    }
    let mut judge = Judge::new();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/texts/corpus");
    let mut read = 0;
    for entry in std::fs::read_dir(corpus).expect("the corpus") {
        let path = entry.expect("an entry").path();
        let text = String::from_utf8_lossy(&std::fs::read(&path).expect("a text")).into_owned();
        judge.answer(&text, true).unwrap_or_else(|failure| panic!("{}: {failure}", path.display()));
        read += 1;
    }
    assert!(read > 0, "the corpus is empty");
}

/// The judge sees what it is there to see.
#[test]
fn a_text_that_fails_is_seen_and_made_shorter() {
    if ran_inside(Namespace::Network, "a_text_that_fails_is_seen_and_made_shorter") {
        return;
    }
    let mut judge = Judge::new();
    judge.plant("rule-3");
    let text = (0..40)
        .map(|seed| generate::policy(&mut Random::new(seed), Breadth::Core))
        .find(|text| text.contains("rule-3"));
    let text = text.expect("a policy of four rules");
    let failure = judge.answer(&text, false).expect_err("planted");
    assert!(failure.to_string().contains("planted"), "{failure}");
    let short = shrunk(&text, &failure, &mut judge);
    assert!(short.contains("rule-3") && short.lines().count() == 1, "{short}");
}
