//! What a daemon keeps of names over its end, kill -9 and another boot.

mod lab;
mod rig;

use lab::agent::addresses;
use lab::kernel::Sets;
use lab::samples::{NAME, both, both_act, resolver};
use lab::{Act, Daemon, Lab, SERVERS, Site, eventually};
use rig::isolated;
use serde_json::Value;
use std::ops::RangeInclusive;
use std::time::Instant;

/// A daemon that has learnt NAME for a day, and was ended.
fn learnt(lab: &Lab, how: impl FnOnce(Daemon<'_>)) -> Site {
    let server = lab.serve(&SERVERS[..1])[0];
    let site = Site::new(lab, &resolver(&[server], ""));
    lab.dns.set(NAME, both_act(1, 86_400));
    site.policy_for(&[NAME]);
    {
        let daemon = site.run(&lab.gw);
        let [v4, v6] = both(1);
        daemon.holds(&[&v4, &v6]);
        eventually("the state file has both", || {
            let kept = std::fs::read_to_string(site.path("state/names.json")).unwrap_or_default();
            if kept.contains(&v4) && kept.contains(&v6) { Ok(()) } else { Err(kept) }
        });
        how(daemon);
    }
    let sets = Sets::read(&lab.gw);
    assert!(both(1).iter().all(|text| sets.holds(text)), "the sets stay when the daemon ends: {sets:?}");
    lab.dns.set_at(server, Act::silent());
    site
}

/// Judges what is left of the lives of NAME's addresses as soon as a daemon is ready that can ask nobody: it was so much when
/// the daemon put them in force.
fn left_after_start(lab: &Lab, site: &Site, what: &str, wanted: &RangeInclusive<u64>) {
    let start = Instant::now();
    lab.gw.nft("delete table inet portgrave\n");
    let daemon = site.run(&lab.gw);
    let sets = daemon.sets();
    sets.all_end_within(90_000);
    // Whole seconds are listed.
    let passed = start.elapsed().as_secs() + 1;
    for text in both(1) {
        let left = sets.left(&text).unwrap_or_else(|| panic!("{what}: {text} is in force again: {sets:?}"));
        let is = left <= *wanted.end() && left + passed >= *wanted.start();
        assert!(is, "{what}: {left} s are left of {wanted:?}, after {passed} s");
    }
}

fn is_in_force_again(lab: &Lab, site: &Site) {
    left_after_start(lab, site, "the same boot", &(86_400..=86_700));
    let daemon = site.run(&lab.gw);
    let report = daemon.name(NAME);
    assert_eq!(addresses(&report).len(), 2, "{report:#}");
    assert!(report["addresses"][0]["first_seen_seconds_ago"].as_u64().is_some(), "{report:#}");
}

#[test]
fn what_was_learnt_is_in_force_again_after_a_stop_before_anybody_answers() {
    isolated("what_was_learnt_is_in_force_again_after_a_stop_before_anybody_answers", || {
        let lab = Lab::new();
        let site = learnt(&lab, |daemon| assert!(daemon.stop().success()));
        is_in_force_again(&lab, &site);
    });
}

#[test]
fn what_was_learnt_is_in_force_again_after_kill_9_before_anybody_answers() {
    isolated("what_was_learnt_is_in_force_again_after_kill_9_before_anybody_answers", || {
        let lab = Lab::new();
        let site = learnt(&lab, |daemon| daemon.kill());
        is_in_force_again(&lab, &site);
    });
}

#[test]
fn after_another_boot_lives_go_by_the_wall_clock_where_it_is_sane_and_last_an_hour_at_most_where_not() {
    isolated(
        "after_another_boot_lives_go_by_the_wall_clock_where_it_is_sane_and_last_an_hour_at_most_where_not",
        || {
            let lab = Lab::new();
            let site = learnt(&lab, |daemon| assert!(daemon.stop().success()));
            let kept: Value = serde_json::from_str(&site.kept_names()).expect("JSON");
            let wall = kept["written"]["wall"].as_u64().expect("the wall clock's seconds");
            let year = 365 * 86_400;
            let cases: [(&str, u64, RangeInclusive<u64>); 6] = [
                ("a thousand seconds before", wall - 1_000, 85_000..=85_700),
                ("longer before than they live", wall - 100_000, 60..=60),
                ("set for the first time in 2024", 1_704_067_200, 60..=60),
                ("ten years later: the clock went back", wall + 10 * year, 3_600..=3_600),
                ("just before 2024: never set", 1_704_067_199, 3_600..=3_600),
                ("the end of time", u64::MAX, 3_600..=3_600),
            ];
            for (what, written, wanted) in cases {
                let mut changed = kept.clone();
                changed["written"]["wall"] = written.into();
                changed["written"]["boot_id"] = "00000000-0000-4000-8000-000000000000".into();
                site.keep_names(&changed.to_string());
                left_after_start(&lab, &site, what, &wanted);
            }
            // On the same boot the wall clock does not matter, and the clock of the boot does.
            let mut changed = kept.clone();
            changed["written"]["wall"] = (wall - 10 * year).into();
            site.keep_names(&changed.to_string());
            left_after_start(&lab, &site, "the same boot", &(86_000..=86_700));
        },
    );
}

#[test]
fn a_state_file_that_cannot_be_trusted_is_set_aside_with_a_warning_and_names_are_learnt_anew() {
    isolated(
        "a_state_file_that_cannot_be_trusted_is_set_aside_with_a_warning_and_names_are_learnt_anew",
        || {
            let lab = Lab::new();
            let site = learnt(&lab, |daemon| assert!(daemon.stop().success()));
            let kept = site.kept_names();
            lab.dns.clear_at(SERVERS[0].parse().expect("an address"));
            let broken = [
                ("half of it", kept[..kept.len() / 2].to_owned()),
                ("nothing", String::new()),
                ("no JSON", "\u{0}\u{1}garbage".to_owned()),
                ("another format", kept.replacen("\"format\":", "\"format\":9", 1)),
                ("no name", kept.replace(NAME, "not a name")),
                ("no address", kept.replace(&both(1)[0], "93.184.10.1/24")),
                ("very deep", "[".repeat(1_000_000)),
            ];
            for (what, text) in broken {
                assert_ne!(text, kept, "{what}");
                site.keep_names(&text);
                lab.gw.nft("delete table inet portgrave\n");
                let daemon = site.run(&lab.gw);
                daemon.line(&["WARN", "names.json"], 1);
                daemon.holds(&[&both(1)[0], &both(1)[1]]);
                assert!(daemon.stop().success(), "{what}");
            }
        },
    );
}
