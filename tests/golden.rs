//! One directory a case: `policy.toml` and, where they matter, `addresses.toml` and the `[log]` of `portgrave.toml` give
//! `resolved.txt`, `ruleset.nft` and `plan.txt`; `packets.txt`, one a line, gives `verdicts.txt`: which rule is named.
//! `PORTGRAVE_BLESS=1` writes them anew. The module `oracle` shows nft and the kernel the same rulesets.

#[path = "common/golden.rs"]
mod cases;
#[cfg(feature = "kernel")]
#[path = "common/ns.rs"]
mod ns;
#[cfg(feature = "kernel")]
#[path = "common/oracle.rs"]
mod oracle;

use cases::{Case, cases};
use portgrave::model::{Question, answer};

#[test]
fn every_case_prints_what_it_printed() {
    let mut wrong = Vec::new();
    let cases = cases();
    assert!(cases.len() >= 20, "{} cases", cases.len());
    for case in &cases {
        for (file, text) in printed(case) {
            let path = case.dir.join(file);
            if std::env::var_os("PORTGRAVE_BLESS").is_some() {
                std::fs::write(&path, &text).expect("the golden file is written");
            } else if std::fs::read_to_string(&path).ok().as_deref() != Some(&text) {
                wrong.push(format!("--- {}: now\n{text}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn printed(case: &Case) -> Vec<(&'static str, String)> {
    let ruleset = case.ruleset();
    let plan = portgrave::plan::diff(&ruleset, None);
    let changes: Vec<String> = plan.describe(None).iter().map(|change| format!("{change}\n")).collect();
    let mut printed = vec![
        ("resolved.txt", case.policy.to_string()),
        ("ruleset.nft", ruleset.to_string()),
        ("plan.txt", changes.concat()),
    ];
    if let Ok(packets) = std::fs::read_to_string(case.dir.join("packets.txt")) {
        printed.push(("verdicts.txt", packets.lines().map(|line| answered(case, line)).collect()));
    }
    printed
}

/// A line for each address that the packet is about and that rules tell apart.
fn answered(case: &Case, packet: &str) -> String {
    let question: Question =
        packet.parse().unwrap_or_else(|error| panic!("{}: {packet}: {error}", case.name));
    match answer(&case.policy, &case.book, &question) {
        Ok(answers) => {
            answers.iter().map(|answer| format!("{} => {}\n", answer.packet, answer.verdict)).collect()
        }
        Err(undecided) => format!("{question} => error: {undecided}; {}\n", undecided.help()),
    }
}

#[test]
fn cases_of_overlaps_say_which_rule_is_named() {
    let with_verdicts = cases().iter().filter(|case| case.dir.join("verdicts.txt").exists()).count();
    assert!(with_verdicts >= 10, "{with_verdicts} cases");
}
