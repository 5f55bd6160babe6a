//! What must hold of looked-up names, whatever a worker or a state file says.

use portgrave::resolver::names::{Caps, Keeping, Names, Wanted};
use portgrave::types::HostName;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// Small enough to be reached by an answer or two.
pub const CAPS: Caps = Caps { answer: 4, name: 6, rule: 9, all: 12 };

const NAMES: [&str; 4] = ["a.example", "b.example", "c.example", "www.example"];

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Some names are kept for longer while servers fail than an answer's life, others shorter.
fn keeping(index: usize) -> Keeping {
    let max_stale = seconds([900, 86_400, 0, 100_000][index % 4]);
    Keeping { floor: seconds(60), cap: seconds(3_600), grace: seconds(300), max_stale }
}

/// A policy of four names and two rules; each reaches three of them.
pub fn wanted() -> Wanted {
    let names: Vec<HostName> = NAMES.iter().map(|name| name.parse().expect("a name")).collect();
    let rule = |name: &str, names: &[HostName]| {
        (name.parse().expect("a rule's name"), names.iter().cloned().collect::<BTreeSet<_>>())
    };
    Wanted {
        rules: vec![rule("one", &names[..3]), rule("two", &names[1..])],
        alone: names[..2].iter().cloned().collect(),
        names: names.into_iter().enumerate().map(|(index, name)| (name, keeping(index))).collect(),
        caps: CAPS,
        ..Wanted::default()
    }
}

/// A filter that is quickly told: what no name may have.
pub fn never(name: &HostName, address: IpAddr) -> Option<&'static str> {
    let private = match address {
        IpAddr::V4(v4) => v4.octets()[0] == 10 || v4.is_loopback() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.segments()[0] & 0xe000 != 0x2000,
    };
    (private && name.as_str() != "b.example").then_some("private")
}

/// Only wanted names, only addresses that they may have, no more than the caps, and none for longer than `longest` says from the
/// keeping of its name.
pub fn sound(names: &Names, wanted: &Wanted, now: Duration, longest: impl Fn(&Keeping) -> Duration) {
    let kept = names.kept(now);
    assert_eq!(kept.keys().collect::<Vec<_>>(), wanted.names.keys().collect::<Vec<_>>());
    for (name, held) in &kept {
        let longest = longest(&wanted.names[name]);
        assert!(held.len() <= CAPS.name, "{name} has {} addresses", held.len());
        for address in held {
            assert_eq!(never(name, address.address), None, "{name} has {}", address.address);
            let age = address.seen.map_or(Duration::ZERO, |seen| seen.last);
            let life = age.saturating_add(address.remaining);
            assert!(!address.remaining.is_zero() && life <= longest, "{name}: {address:?}");
        }
    }
    let distinct = |of: &dyn Fn(&HostName) -> bool| {
        let held = kept.iter().filter(|(name, _)| of(name)).flat_map(|(_, held)| held);
        held.map(|held| held.address).collect::<BTreeSet<_>>().len()
    };
    for (rule, reached) in &wanted.rules {
        assert!(distinct(&|name| reached.contains(name)) <= CAPS.rule, "the rule {rule}");
    }
    assert!(distinct(&|_| true) <= CAPS.all);
    same_everywhere(names, now);
}

/// What is shown, written and kept are the same addresses.
fn same_everywhere(names: &Names, now: Duration) {
    let kept: BTreeMap<String, Vec<IpAddr>> = names
        .kept(now)
        .into_iter()
        .map(|(name, held)| (name.to_string(), held.iter().map(|held| held.address).collect()))
        .collect();
    let book = names.book_now(now).into_iter();
    let book: BTreeMap<String, Vec<IpAddr>> =
        book.map(|(name, held)| (name.to_string(), held.iter().map(|held| held.address).collect())).collect();
    let report = names.report(now).into_iter();
    let report: BTreeMap<String, Vec<IpAddr>> = report
        .map(|report| (report.name, report.addresses.iter().map(|held| held.address).collect()))
        .collect();
    assert_eq!(book, kept);
    assert_eq!(report, kept);
}

/// After the last answer that has it, an address lives for the longest TTL and the grace, or for `max_stale`.
pub fn after_an_answer(keeping: &Keeping) -> Duration {
    (keeping.cap + keeping.grace).max(keeping.max_stale)
}
