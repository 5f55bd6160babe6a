//! The tool nft, as the independent witness of what the kernel holds.

// Every test binary has a copy of this file and uses its own part.
#![allow(dead_code)]

use super::ns;
use std::io::Write;
use std::process::{Command, Output, Stdio};

pub fn nft(args: &[&str]) -> String {
    stdout(Command::new("nft").args(args).output().expect("nft is installed"))
}

/// Loads a text.
pub fn load(text: &str) {
    stdout(feed(Command::new("nft").args(["-f", "-"]), text));
}

/// What nft lists of the whole ruleset, less what is left of each element's life.
pub fn listing() -> String {
    without_remaining_life(&nft(&["list", "ruleset"]))
}

/// What nft lists after it has loaded a text into a namespace of its own.
pub fn listing_of_text(text: &str) -> String {
    let mut command = Command::new("unshare");
    command.args(["-n", "sh", "-ec", "nft -f -; nft list ruleset"]);
    without_remaining_life(&stdout(feed(&mut command, text)))
}

fn feed(command: &mut Command, text: &str) -> Output {
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().expect("the program is installed");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("the program reads");
    child.wait_with_output().expect("the program ends")
}

fn stdout(output: Output) -> String {
    assert!(output.status.success(), "{}", ns::text(&output));
    String::from_utf8(output.stdout).expect("nft prints UTF-8")
}

fn without_remaining_life(listing: &str) -> String {
    let mut parts = listing.split(" expires ");
    let mut text = parts.next().unwrap_or("").to_owned();
    for part in parts {
        text.push_str(part.trim_start_matches(|c: char| c.is_ascii_alphanumeric()));
    }
    text
}
