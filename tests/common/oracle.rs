//! An independent judge of what we send: in a fresh network namespace, `nft -f` of the printed text and our own batch must be
//! listed identically by nft, and what is read back must be what was wanted.

use super::cases::{Case, cases};
use super::ns::{Namespace, ran_inside};
use portgrave::netlink::{Kernel, NfTables};
use portgrave::plan::{Held, diff};
use std::process::{Command, Stdio};

#[test]
fn nft_lists_the_printed_text_and_our_batch_identically() {
    if ran_inside(Namespace::Network, "oracle::nft_lists_the_printed_text_and_our_batch_identically") {
        return;
    }
    let mut wrong = Vec::new();
    let cases = cases();
    assert!(cases.len() >= 20, "{} cases", cases.len());
    for case in &cases {
        let by_nft = by_nft(case);
        let by_us = by_us(case);
        if by_nft != by_us {
            wrong.push(format!("{}:\n--- nft -f\n{by_nft}\n--- our batch\n{by_us}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn by_nft(case: &Case) -> String {
    flush();
    let mut nft = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().expect("nft");
    let mut input = nft.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut input, case.ruleset().to_string().as_bytes()).expect("nft reads");
    drop(input);
    assert!(nft.wait().expect("nft ends").success(), "{}: nft refuses the printed text", case.name);
    list()
}

fn by_us(case: &Case) -> String {
    flush();
    let want = case.ruleset();
    let mut kernel = NfTables;
    kernel.commit(&diff(&want, None), None).unwrap_or_else(|error| panic!("{}: {error:?}", case.name));
    let held = kernel.read(u32::MAX).expect("the table is readable");
    let left = diff(&want, held.as_ref());
    assert!(
        !left.summary(held.as_ref()).changes(),
        "{}: read back {:#?}",
        case.name,
        left.describe(held.as_ref())
    );
    list()
}

fn flush() {
    assert!(Command::new("nft").args(["flush", "ruleset"]).status().expect("nft").success());
}

/// The listing, less what time changes.
fn list() -> String {
    let output = Command::new("nft").args(["list", "ruleset"]).output().expect("nft");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("text");
    let words = text.split(' ').collect::<Vec<_>>();
    let mut kept = Vec::new();
    let mut skip = false;
    for word in words {
        if skip {
            skip = false;
        } else if word == "expires" {
            skip = true;
        } else {
            kept.push(word);
        }
    }
    kept.join(" ")
}

#[test]
fn every_case_becomes_the_next_in_the_real_kernel_and_back() {
    if ran_inside(Namespace::Network, "oracle::every_case_becomes_the_next_in_the_real_kernel_and_back") {
        return;
    }
    let cases = cases();
    let settle = |case: &Case| {
        let want = case.ruleset();
        let done = portgrave::apply::settle(&mut NfTables, &want, &mut || None, &mut Vec::new);
        done.unwrap_or_else(|error| panic!("{}: {error:?}", case.name));
        let held = NfTables.read(u32::MAX).expect("the table is readable");
        let held = held.map(|held| Held::new(held).ruleset);
        let left = diff(&want, held.as_ref());
        assert!(!left.summary(held.as_ref()).changes(), "{}: {:?}", case.name, left.describe(held.as_ref()));
    };
    cases.iter().chain(cases.iter().rev()).for_each(settle);
}
