//! One directory a case: `policy.toml` and, where it matters, `addresses.toml` give `resolved.txt`, `ruleset.nft` and
//! `plan.txt`. `PORTGRAVE_BLESS=1` writes them anew. The module `oracle` shows nft and the kernel the same rulesets.

#[path = "common/golden.rs"]
mod cases;
#[cfg(feature = "kernel")]
#[path = "common/ns.rs"]
mod ns;
#[cfg(feature = "kernel")]
#[path = "common/oracle.rs"]
mod oracle;

use cases::{Case, cases};

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

fn printed(case: &Case) -> [(&'static str, String); 3] {
    let ruleset = case.ruleset();
    let plan = portgrave::plan::diff(&ruleset, None);
    let changes: Vec<String> = plan.describe(None).iter().map(|change| format!("{change}\n")).collect();
    [
        ("resolved.txt", case.policy.to_string()),
        ("ruleset.nft", ruleset.to_string()),
        ("plan.txt", changes.concat()),
    ]
}
