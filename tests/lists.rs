//! List files through the built program: a million addresses in little memory, wrong lines by their numbers, and files that were
//! cut short. Each test that applies runs in a network namespace of its own.
#![cfg(all(feature = "kernel", feature = "daemon"))]

#[path = "common/ns.rs"]
mod ns;
#[path = "common/site.rs"]
mod site;

use nix::sys::resource::{UsageWho, getrusage};
use ns::{Namespace, ran_inside};
use portgrave::netlink::{Kernel, NfTables};
use portgrave::ruleset::{ElementKey, Elements};
use serde_json::Value;
use site::{Site, nft};
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::process::Command;

const MOST_MEMORY: i64 = 128 << 20;
const MILLION: u32 = 1_000_000;

/// A deny rule for the list `list.txt` and an allow rule, with more keys for the group of the list.
fn site(keys: &str) -> Site {
    let site = Site::new();
    write_policy(&site, keys, "10.0.0.0/8");
    site
}

fn write_policy(site: &Site, keys: &str, admins: &str) {
    let list = site.path("list.txt");
    site.write(
        "site.toml",
        &format!(
            "language = 1\n[hosts]\nblocklist = {{ file = \"{}\"{keys} }}\n\n[[rule]]\nname = \"blocked\"\ndirection = \"in\"\n\
             action = \"deny\"\nports = [\"any\"]\npeers = \"@blocklist\"\n\n[[rule]]\nname = \"ssh-in\"\ndirection = \"in\"\n\
             service = \"ssh\"\npeers = [\"{admins}\"]\n",
            list.display()
        ),
    );
}

fn entries(count: u32) -> String {
    (0..count).map(|n| format!("203.0.113.{}\n", 2 * n)).collect()
}

/// An address that no other number below a million has, and none that is next to one; in no order.
fn address(n: u32) -> Ipv4Addr {
    let shuffled = u64::from(n) * 7919 % u64::from(MILLION);
    Ipv4Addr::from(0x0b00_0000 + 3 * shuffled as u32)
}

/// A million addresses, a tenth of them twice, and a thousand prefixes of two addresses.
fn million() -> String {
    let mut text = String::with_capacity(16 << 20);
    for n in 0..MILLION {
        let _ = writeln!(text, "{}", address(n));
        if n % 10 == 0 {
            let _ = writeln!(text, "{} ; seen again", address(n));
        }
        if n % 1000 == 0 {
            let _ = writeln!(text, "{}/31", Ipv4Addr::from(0x6400_0000 + n / 1000 * 8));
        }
    }
    text
}

/// Runs a verb and gives what it printed with the most memory that it had, in octets.
fn measured(site: &Site, verb: &str) -> (Value, i64) {
    // A shell stands between: the memory of a process that is just started counts that of the one that started it.
    let inner = site.command(&[verb]);
    let mut command = Command::new("sh");
    command
        .args(["-c", "\"$@\"; exit $?", "sh"])
        .arg(inner.get_program())
        .args(inner.get_args())
        .arg("--json");
    let output = command.output().expect("sh starts");
    let value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}\n{output:?}"));
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("getrusage");
    (value, usage.max_rss() * 1024)
}

/// The kernel's count of a set that is too large to be dumped; `None` before Linux 6.16.
fn count(set: &str) -> Option<u32> {
    let held = NfTables.read(0).unwrap().expect("a table");
    let Elements::Unread(count) = held.sets[set].elements else { panic!("{set} was read") };
    count
}

fn is_held(set: &str, address: Ipv4Addr) -> bool {
    let head = NfTables.read(0).unwrap().expect("a table").sets[set].head();
    let key = ElementKey { first: address.octets().into(), last: None };
    NfTables.lookup(set, &head, &key).unwrap().is_some()
}

#[test]
fn a_million_addresses_take_less_than_128_mib_and_are_all_in_the_kernel_once() {
    const NAME: &str = "a_million_addresses_take_less_than_128_mib_and_are_all_in_the_kernel_once";
    if ran_inside(Namespace::Network, NAME) {
        return;
    }
    let site = site("");
    let text = million();
    site.write("list.txt", &text);
    let (first, memory) = measured(&site, "apply");
    assert_eq!(first["outcome"], "applied", "{first}");
    assert!(memory < MOST_MEMORY, "the first apply took {memory} octets");
    let set = "list4.blocklist";
    let held = MILLION + 2 * 1000;
    assert!(count(set).is_none_or(|count| count == held), "{:?} instead of {held}", count(set));
    for n in [0, 1, 4711, MILLION - 1] {
        let next = Ipv4Addr::from(u32::from(address(n)) + 1);
        assert!(is_held(set, address(n)) && !is_held(set, next), "{n}");
    }

    let (again, memory) = measured(&site, "apply");
    assert_eq!((&again["outcome"], &again["generation"]), (&"unchanged".into(), &1.into()), "{again}");
    assert!(memory < MOST_MEMORY, "with the second apply it took {memory} octets");

    let others: String = (0..10).map(|n| format!("198.18.0.{}\n", 7 * n)).collect();
    // The first twelve lines are ten addresses, one of them twice, and a prefix of two.
    site.write("list.txt", &(others + text.splitn(13, '\n').last().expect("the rest")));
    let (changed, memory) = measured(&site, "apply");
    let summary = &changed["summary"];
    assert_eq!((&summary["elements_added"], &summary["elements_deleted"]), (&10.into(), &12.into()));
    assert!(memory < MOST_MEMORY, "with ten other lines it took {memory} octets");
    assert!(count(set).is_none_or(|count| count == held - 2));
    assert!(is_held(set, "198.18.0.63".parse().unwrap()) && !is_held(set, address(3)));
}

#[test]
fn a_wrong_line_of_a_million_is_named_by_its_number_and_nothing_is_applied() {
    const NAME: &str = "a_wrong_line_of_a_million_is_named_by_its_number_and_nothing_is_applied";
    if ran_inside(Namespace::Network, NAME) {
        return;
    }
    let site = site("");
    let line = |n: u32| match n {
        900_000 => "root:secret\n".into(),
        n => format!("{}\n", address(n)),
    };
    site.write("list.txt", &(1..=MILLION).map(line).collect::<String>());
    let (status, text) = site.run(&["apply"]);
    assert_eq!(status, 1, "{text}");
    let shown = format!("error[PG406]: {}:900000: not an address", site.path("list.txt").display());
    assert!(text.contains(&shown) && !text.contains("secret"), "{text}");
    assert_eq!(text.matches("PG406").count(), 1, "{text}");
    assert_eq!(nft(&["list", "tables"]), "");
    assert!(!site.path("state").exists());
}

#[test]
fn ranges_of_both_families_are_counted_as_the_kernel_counts_them() {
    const NAME: &str = "ranges_of_both_families_are_counted_as_the_kernel_counts_them";
    if ran_inside(Namespace::Network, NAME) {
        return;
    }
    let site = site("");
    let prefixes = (0..5000_u32)
        .map(|n| format!("{}/30\n2001:db8:{:x}::/48\n", Ipv4Addr::from(0x0b00_0000 + 8 * n), 2 * n));
    // Each family's last range ends with its greatest address, which has no element after it.
    site.write("list.txt", &(prefixes.collect::<String>() + "240.0.0.0/4\nffff::/16\n"));
    let (status, first) = site.json(&["apply"]);
    assert_eq!((status, &first["outcome"]), (0, &"applied".into()), "{first}");
    let (_, again) = site.json(&["apply"]);
    assert_eq!(again["outcome"], "unchanged", "{again}");
    assert_eq!(site.json(&["status"]).1["kernel"], "holds it");
    nft(&["delete", "element", "inet", "portgrave", "list6.blocklist", "{ 2001:db8:8::/48 }"]);
    if count("list6.blocklist").is_some() {
        let (_, mended) = site.json(&["apply"]);
        assert_eq!(mended["summary"]["elements_added"], 5001, "{mended}");
    }
}

/// The codes of the findings of a verb, with its exit status.
fn codes(site: &Site, verb: &str) -> (i32, Vec<String>) {
    let (status, said) = site.json(&[verb]);
    let code = |finding: &Value| finding["code"].as_str().unwrap_or_default().to_owned();
    (status, said["findings"].as_array().expect("findings").iter().map(code).collect())
}

/// How many addresses of the list are in the kernel.
fn listed() -> usize {
    nft(&["list", "table", "inet", "portgrave"]).matches("203.0.113.").count()
}

const DEGRADED: i32 = 1;
const NO_DAEMON: i32 = 3;

#[test]
fn a_list_with_too_few_entries_is_refused_while_nothing_is_in_force() {
    const NAME: &str = "a_list_with_too_few_entries_is_refused_while_nothing_is_in_force";
    if ran_inside(Namespace::Network, NAME) {
        return;
    }
    let site = site(", min-entries = 4");
    site.write("list.txt", &entries(3));
    for verb in ["check", "apply", "plan"] {
        assert_eq!(codes(&site, verb), (1, vec!["PG415".into()]), "{verb}");
    }
    assert_eq!(nft(&["list", "tables"]), "");
    site.write("list.txt", "");
    assert_eq!(codes(&site, "apply"), (1, vec!["PG415".into()]), "an empty list has too few as well");
    write_policy(&site, "", "10.0.0.0/8");
    assert_eq!(codes(&site, "check"), (0, vec!["PG405".into()]), "without `min-entries` it is a warning");
}

#[test]
fn a_list_that_was_cut_short_leaves_what_is_in_force_until_it_is_whole_again() {
    const NAME: &str = "a_list_that_was_cut_short_leaves_what_is_in_force_until_it_is_whole_again";
    if ran_inside(Namespace::Network, NAME) {
        return;
    }
    let site = site(", min-entries = 4");
    site.write("list.txt", &entries(5));
    assert_eq!(codes(&site, "apply"), (0, vec![]));
    assert_eq!((listed(), site.run(&["status"]).0), (5, NO_DAEMON));

    site.write("list.txt", &entries(2));
    assert_eq!(codes(&site, "check"), (0, vec!["PG414".into()]));
    assert_eq!(site.run(&["status"]).0, NO_DAEMON, "no apply has held it back yet");
    let (status, unchanged) = site.json(&["apply"]);
    assert_eq!((status, &unchanged["outcome"]), (0, &"unchanged".into()), "{unchanged}");
    let (status, degraded) = site.json(&["status"]);
    assert_eq!((listed(), status), (5, DEGRADED), "{degraded}");
    let why = "2 entries, fewer than `min-entries = 4`";
    assert_eq!(degraded["held_back"][0]["why"], why, "{degraded}");
    assert!(site.run(&["status"]).1.contains(why));

    // The rest of the policy is not held back, and the next generation keeps the list of the one before.
    write_policy(&site, ", min-entries = 4", "172.16.0.0/12");
    site.write("list.txt", "");
    let (_, applied) = site.json(&["apply"]);
    assert_eq!((&applied["outcome"], &applied["generation"]), (&"applied".into(), &2.into()), "{applied}");
    assert!(nft(&["list", "table", "inet", "portgrave"]).contains("172.16.0.0"));
    assert_eq!((listed(), site.run(&["status"]).0), (5, DEGRADED));
    assert_eq!(site.json(&["apply"]).1["outcome"], "unchanged");

    site.write("list.txt", &entries(4));
    assert_eq!(codes(&site, "apply"), (0, vec![]));
    let (status, healthy) = site.json(&["status"]);
    assert_eq!((listed(), status, healthy["held_back"].as_array().map(Vec::len)), (4, NO_DAEMON, Some(0)));
}

#[test]
fn a_list_that_shrinks_by_more_than_it_may_leaves_what_is_in_force() {
    const NAME: &str = "a_list_that_shrinks_by_more_than_it_may_leaves_what_is_in_force";
    if ran_inside(Namespace::Network, NAME) {
        return;
    }
    let site = site(", max-shrink = \"40%\"");
    site.write("list.txt", &entries(10));
    assert_eq!(codes(&site, "apply"), (0, vec![]), "there is nothing to compare with");
    site.write("list.txt", &entries(6));
    assert_eq!(codes(&site, "apply"), (0, vec![]), "four of ten may go");
    for (left, held_back) in [(3, true), (0, true), (4, false), (100, false)] {
        site.write("list.txt", &entries(left));
        let expected = if held_back { vec!["PG414".to_owned()] } else { vec![] };
        assert_eq!(codes(&site, "apply"), (0, expected), "{left}");
        let held = if held_back { 6 } else { left as usize };
        assert_eq!(listed(), held, "{left}");
        assert_eq!(site.run(&["status"]).0, if held_back { DEGRADED } else { NO_DAEMON }, "{left}");
    }
}
