//! What others do to the table is found, told and undone.

#[path = "agent_drift/edits.rs"]
mod edits;
mod lab;
mod rig;
#[path = "agent_drift/wire.rs"]
mod wire;

use edits::Edit;
use lab::samples::{LONG, both, learnt, resolver};
use lab::table::{self, Table};
use lab::{Act, Daemon, Lab, SERVERS, Site};
use rig::{Process, isolated};
use std::process::Command;
use std::time::Instant;
use wire::Wire;

/// Addresses of a list that is read whole, and of one that is not.
const FEW: u32 = 100;
const LARGE: u32 = 20_000;

const CHANGED: &str = "others have changed the table inet portgrave";
/// Questions of the worker, which every test asks.
const COUNTED: &str = "out.baseline.dns";

const MENDED: &str = "the table is as it was again";

/// What is left of the lives of the name's addresses.
fn lives(daemon: &Daemon<'_>) -> Vec<Option<u64>> {
    let sets = daemon.sets();
    both(1).iter().map(|address| sets.left(address)).collect()
}

/// Makes one edit, and waits until it was told and undone.
fn undone(daemon: &Daemon<'_>, edit: &Edit) {
    let mended = daemon.lines.count(|line| line.contains(MENDED));
    let (before, lives_before, start) = (Table::read(daemon.ns), lives(daemon), Instant::now());
    daemon.ns.nft(&(edit.text)(&before));
    daemon.line(&[&[CHANGED], edit.told].concat(), 1);
    daemon.line(&[MENDED], mended + 1);
    let (after, lives_after) = (Table::read(daemon.ns), lives(daemon));
    let passed = start.elapsed().as_secs() + 2;
    assert_eq!(before.differences(&after), Vec::<String>::new(), "{}", edit.what);
    let (counted, still) = (before.packets(COUNTED), after.packets(COUNTED));
    assert!(!edit.keeps_counters || still >= counted, "{}: {counted}, then {still}", edit.what);
    for (before, after) in lives_before.iter().zip(&lives_after) {
        let (before, after) = (before.expect("it was learnt"), after.expect("it is there again"));
        assert!(after <= before && after + passed >= before, "{}: {before} s, then {after} s", edit.what);
    }
}

/// Each edit of a group; a daemon mends five in a minute at once.
fn all_undone(many: u32, edits: &[Edit]) {
    let lab = Lab::new();
    let site = table::site(&lab, LONG, many);
    let daemon = learnt(&lab, &site);
    assert!(edits.len() <= 5);
    assert!(Table::read(&lab.gw).packets(COUNTED) > 0, "there is something to lose");
    edits.iter().for_each(|edit| undone(&daemon, edit));
    let status = daemon.status();
    assert_eq!(status["drift"]["seen"], edits.len(), "{status:#}");
    assert_eq!(status["health"], "healthy", "{status:#}");
}

#[test]
fn a_table_that_is_deleted_or_put_to_sleep_is_there_again() {
    isolated("a_table_that_is_deleted_or_put_to_sleep_is_there_again", || all_undone(FEW, edits::TABLES));
}

#[test]
fn rules_and_chains_are_as_they_were() {
    isolated("rules_and_chains_are_as_they_were", || all_undone(FEW, edits::CHAINS));
}

#[test]
fn chains_counters_and_sets_of_others_go_and_ours_come_back() {
    isolated("chains_counters_and_sets_of_others_go_and_ours_come_back", || {
        all_undone(FEW, edits::MORE_CHAINS)
    });
}

#[test]
fn sets_that_are_flushed_are_filled_again() {
    isolated("sets_that_are_flushed_are_filled_again", || all_undone(FEW, edits::FLUSHES));
}

#[test]
fn elements_that_are_added_go() {
    isolated("elements_that_are_added_go", || all_undone(FEW, edits::ADDED));
}

#[test]
fn elements_that_match_all_else_go() {
    isolated("elements_that_match_all_else_go", || all_undone(FEW, edits::CATCHALLS));
}

#[test]
fn elements_that_are_deleted_come_back() {
    isolated("elements_that_are_deleted_come_back", || all_undone(FEW, edits::DELETED));
}

#[test]
fn a_list_of_20000_is_as_it_was() {
    isolated("a_list_of_20000_is_as_it_was", || all_undone(LARGE, edits::LARGE));
}

/// strace tells of every request to the kernel and of every octet that it sends.
#[test]
fn a_list_of_20000_is_never_dumped() {
    isolated("a_list_of_20000_is_never_dumped", || {
        let lab = Lab::new();
        let site = table::site(&lab, LONG, LARGE);
        let daemon = learnt(&lab, &site);
        let wire = Wire::of(&daemon);
        lab.gw.nft("add table inet theirs\n");
        wire.until("a look at no change", |wire| wire.looks() > 0);
        // A list that was flushed is not large.
        edits::LARGE[1..].iter().chain(&edits::CHAINS[..2]).for_each(|edit| undone(&daemon, edit));
        daemon.reload();
        assert!(wire.batches() >= 4, "{} batches", wire.batches());
        assert!(wire.dumps("list4.few") >= 5, "dumps are seen: {}", wire.dumps("list4.few"));
        assert_eq!(wire.dumps("list4.many"), 0);
        // A dump of it has more than a million octets.
        let (octets, looks) = (wire.octets(), wire.looks());
        assert!(octets / looks < 250_000, "{octets} octets in {looks} looks");
    });
}

#[test]
fn an_edit_is_found_with_the_first_poll_after_it() {
    isolated("an_edit_is_found_with_the_first_poll_after_it", || {
        let lab = Lab::new();
        let site = table::site(&lab, LONG, FEW);
        let daemon = learnt(&lab, &site);
        let wire = Wire::of(&daemon);
        for turn in 1..=5 {
            let mark = wire.mark();
            lab.gw.nft("insert rule inet portgrave output accept\n");
            let polls = wire.polls();
            daemon.line(&[MENDED], turn);
            let found = wire.polls_before_look(mark);
            assert!(found <= polls + 1, "after {polls} polls an edit was made, which poll {found} found");
        }
    });
}

/// Readings of the table in one look.
const MOST_READS: usize = 5;

/// What somebody else commits all the time to a table of his own.
fn busy(lab: &Lab) -> Process {
    let script = "while :; do nft add table inet theirs; nft delete table inet theirs; done";
    lab.gw.start(Command::new("sh").args(["-c", script]))
}

#[test]
fn others_that_commit_all_the_time_cost_a_look_a_second_and_no_change() {
    isolated("others_that_commit_all_the_time_cost_a_look_a_second_and_no_change", || {
        let lab = Lab::new();
        let site = table::site(&lab, LONG, FEW);
        let daemon = learnt(&lab, &site);
        let (before, start) = (Table::read(&lab.gw), Instant::now());
        let wire = Wire::of(&daemon);
        let _busy = busy(&lab);
        wire.until("five looks", |wire| wire.looks() >= 5);
        // What is read while somebody commits is read again, a few times: a look is what follows one poll.
        let (looks, polls, reads) = (wire.polls_with_look(), wire.polls(), wire.looks());
        let seconds = usize::try_from(start.elapsed().as_secs()).expect("few");
        assert!(polls <= seconds + 1, "{polls} polls in {seconds} s");
        assert!(looks >= 2 && reads <= MOST_READS * looks, "{reads} readings in {looks} looks");
        assert_eq!(wire.batches(), 0);
        assert_eq!(daemon.status()["drift"]["seen"], 0);
        assert_eq!(before.differences(&Table::read(&lab.gw)), Vec::<String>::new());
    });
}

#[test]
fn what_is_changed_again_and_again_is_mended_each_ten_seconds_and_that_is_said_once() {
    isolated("what_is_changed_again_and_again_is_mended_each_ten_seconds_and_that_is_said_once", || {
        let lab = Lab::new();
        let site = table::site(&lab, LONG, FEW);
        let daemon = learnt(&lab, &site);
        let edit = || lab.gw.nft("insert rule inet portgrave output accept\n");
        for turn in 1..=5 {
            edit();
            daemon.line(&[MENDED], turn);
        }
        assert_eq!(daemon.status()["health"], "healthy");
        edit();
        let said = daemon.line(&["ERROR", CHANGED, "each 10 s", "find who changes it"], 1);
        assert!(said[0].contains("rule added to output"), "{said:?}");
        let status = daemon.status();
        let why = status["degraded"].to_string();
        assert_eq!(status["health"], "degraded", "{status:#}");
        assert!(why.contains("others keep changing the table inet portgrave"), "{why}");
        daemon.line(&[MENDED], 6);
        edit();
        let mended = daemon.line(&[MENDED], 7);
        let at: Vec<f64> = mended.iter().map(|line| seconds(line)).collect();
        // Another day may have begun.
        let wait = |turn: usize| (at[turn] - at[turn - 1]).rem_euclid(86_400.0);
        assert!(wait(5) > 9.5 && wait(6) > 9.5, "{at:?}");
        assert_eq!(daemon.lines.count(|line| line.contains("ERROR")), 1, "{:#?}", daemon.lines.all());
    });
}

/// The second of the day at which a line was written.
fn seconds(line: &str) -> f64 {
    let time = line.split(['T', 'Z']).nth(1).unwrap_or_else(|| panic!("no time: {line}"));
    time.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().expect("a number"))
}

/// Looks that are to find nothing: PORTGRAVE_TEST_LOOKS asks for more.
fn looks() -> usize {
    std::env::var("PORTGRAVE_TEST_LOOKS").ok().and_then(|text| text.parse().ok()).unwrap_or(8)
}

/// Names whose answers change each second, and whose addresses live for a second or a few.
fn short_lives(lab: &Lab) -> Site {
    let server = lab.serve(&SERVERS[..1])[0];
    let times = "ttl-floor = \"1s\"\nmin-interval = \"1s\"\ngrace = \"0s\"";
    let site = Site::new(lab, &resolver(&[server], times));
    let names: Vec<String> = (0..30).map(|number| format!("n{number}.example.net")).collect();
    for (number, name) in names.iter().enumerate() {
        let all: Vec<Vec<String>> = (0..5).map(|turn| both(number * 5 + turn).to_vec()).collect();
        let sets: Vec<Vec<&str>> = all.iter().map(|set| set.iter().map(String::as_str).collect()).collect();
        let sets: Vec<&[&str]> = sets.iter().map(Vec::as_slice).collect();
        lab.dns.set(name, Act::rotating(&sets, 1 + u32::try_from(number % 4).expect("small")));
    }
    site.policy_for(&names.iter().map(String::as_str).collect::<Vec<_>>());
    site
}

#[test]
fn addresses_that_are_learnt_are_not_taken_for_changes_of_others() {
    isolated("addresses_that_are_learnt_are_not_taken_for_changes_of_others", || {
        let lab = Lab::new();
        let site = short_lives(&lab);
        let daemon = site.run(&lab.gw);
        daemon.line(&["names are asked by a process"], 1);
        let wire = Wire::of(&daemon);
        let looks_before = wire.looks();
        wire.until("many batches of addresses", |wire| wire.batches() >= 10);
        assert_eq!(wire.looks(), looks_before, "nobody else has committed");
        assert_eq!(daemon.status()["drift"]["seen"], 0);
    });
}

#[test]
fn addresses_that_end_while_others_commit_are_not_taken_for_changes() {
    isolated("addresses_that_end_while_others_commit_are_not_taken_for_changes", || {
        let lab = Lab::new();
        let site = short_lives(&lab);
        let daemon = site.run(&lab.gw);
        daemon.line(&["names are asked by a process"], 1);
        let wire = Wire::of(&daemon);
        let _busy = busy(&lab);
        wire.until("looks while addresses come and go", |wire| {
            wire.looks() >= looks() && wire.batches() >= 3
        });
        let status = daemon.status();
        assert_eq!(status["drift"]["seen"], 0, "{:#}\n{:#?}", status["drift"], daemon.lines.all());
    });
}
