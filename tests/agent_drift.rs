//! What others do to the table is found, told and undone.

#[path = "agent_drift/edits.rs"]
mod edits;
mod lab;
mod rig;
#[path = "agent_drift/table.rs"]
mod table;

use edits::Edit;
use lab::samples::both;
use lab::{Daemon, Lab, Site};
use rig::isolated;
use std::time::Instant;
use table::Table;

/// A day: what a server gives is not asked for again while a test runs.
const LONG: u32 = 86_400;

const CHANGED: &str = "others have changed the table inet portgrave";
const MENDED: &str = "the table is as it was again";

/// A daemon that has learnt what its server says of a name.
fn learnt<'a>(lab: &'a Lab, site: &'a Site) -> Daemon<'a> {
    let daemon = site.run(&lab.gw);
    let [v4, v6] = both(1);
    daemon.holds(&[&v4, &v6]);
    daemon.line(&["applied: the user that names are asked as"], 1);
    daemon
}

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
    for (before, after) in lives_before.iter().zip(&lives_after) {
        let (before, after) = (before.expect("it was learnt"), after.expect("it is there again"));
        assert!(after <= before && after + passed >= before, "{}: {before} s, then {after} s", edit.what);
    }
}

/// Each edit of a group; a daemon mends five in a minute at once.
fn all_undone(edits: &[Edit]) {
    let lab = Lab::new();
    let site = table::site(&lab, LONG);
    let daemon = learnt(&lab, &site);
    assert!(edits.len() <= 5);
    edits.iter().for_each(|edit| undone(&daemon, edit));
    let status = daemon.status();
    assert_eq!(status["drift"]["seen"], edits.len(), "{status:#}");
    assert_eq!(status["health"], "healthy", "{status:#}");
}

#[test]
fn a_table_that_is_deleted_or_put_to_sleep_is_there_again() {
    isolated("a_table_that_is_deleted_or_put_to_sleep_is_there_again", || all_undone(edits::TABLES));
}

#[test]
fn rules_and_chains_are_as_they_were() {
    isolated("rules_and_chains_are_as_they_were", || all_undone(edits::CHAINS));
}

#[test]
fn chains_counters_and_sets_of_others_go_and_ours_come_back() {
    isolated("chains_counters_and_sets_of_others_go_and_ours_come_back", || all_undone(edits::MORE_CHAINS));
}

#[test]
fn sets_that_are_flushed_are_filled_again() {
    isolated("sets_that_are_flushed_are_filled_again", || all_undone(edits::FLUSHES));
}

#[test]
fn elements_that_are_added_go() {
    isolated("elements_that_are_added_go", || all_undone(edits::ADDED));
}

#[test]
fn elements_that_are_deleted_come_back() {
    isolated("elements_that_are_deleted_come_back", || all_undone(edits::DELETED));
}
