//! Our batches against nft's, and against the kernel's own account of what it holds.
#![cfg(feature = "kernel")]

#[path = "common/ns.rs"]
mod ns;
#[path = "common/sample.rs"]
mod sample;

use ns::{Namespace, ran_inside};
use portgrave::netlink::{Kernel, NfTables};
use sample::{plan_of, ruleset};
use std::io::Write;
use std::process::{Command, Stdio};

const LIMIT: u32 = 4096;

fn nft(args: &[&str]) -> String {
    let output = Command::new("nft").args(args).output().expect("nft is installed");
    assert!(output.status.success(), "nft {args:?}: {}", ns::text(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// What nft lists of the whole ruleset. What is left of an element's life differs from run to run.
fn listing() -> String {
    without_remaining_life(&nft(&["list", "ruleset"]))
}

fn without_remaining_life(listing: &str) -> String {
    let mut parts = listing.split(" expires ");
    let mut text = parts.next().unwrap_or("").to_owned();
    for part in parts {
        text.push_str(part.trim_start_matches(|c: char| c.is_ascii_alphanumeric()));
    }
    text
}

/// What nft lists after it has loaded a text into a namespace of its own.
fn listing_of_text(text: &str) -> String {
    let mut child = Command::new("unshare")
        .args(["-n", "sh", "-ec", "nft -f -; nft list ruleset"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("unshare starts");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", ns::text(&output));
    without_remaining_life(&String::from_utf8(output.stdout).unwrap())
}

#[test]
fn our_batch_lists_like_nfts() {
    if ran_inside(Namespace::Network, "our_batch_lists_like_nfts") {
        return;
    }
    NfTables.commit(&plan_of(&ruleset()), None).unwrap();
    let (ours, nfts) = (listing(), listing_of_text(sample::NFT));
    assert!(ours.lines().count() > 150, "{ours}");
    for (our, nft) in ours.lines().zip(nfts.lines()) {
        assert_eq!(our, nft);
    }
    assert_eq!(ours, nfts);
}

#[test]
fn what_is_read_is_what_was_committed() {
    if ran_inside(Namespace::Network, "what_is_read_is_what_was_committed") {
        return;
    }
    assert_eq!(NfTables.read(LIMIT).unwrap(), None);
    let wanted = ruleset();
    NfTables.commit(&plan_of(&wanted), None).unwrap();
    let held = NfTables.read(LIMIT).unwrap().unwrap();
    assert_eq!(held.objects, wanted.objects);
    for (name, set) in &wanted.sets {
        assert_eq!(&held.sets[name], set, "{name}");
    }
    for (name, chain) in &wanted.chains {
        assert_eq!(&held.chains[name], chain, "{name}");
    }
    assert_eq!(held, wanted);
}
