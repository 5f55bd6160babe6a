//! Host names in a daemon that runs: what its sets hold and for how long, and when it asks.

mod lab;
mod rig;

use lab::agent::{addresses, head, web};
use lab::kernel::generation;
use lab::samples::{NAME, address, both, both_act, resolver};
use lab::wire::{FORMERR, NOTIMP, REFUSED, SERVFAIL};
use lab::{Act, Daemon, Lab, Reached, SERVERS, Seen, Site, Tcp, eventually};
use portgrave::types::Family;
use rig::isolated;
use serde_json::Value;
use std::time::{Duration, Instant};

/// What a way to fail does to the set, by the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The zone said that there is nothing: what is held runs out.
    RunsOut,
    /// The servers failed: what is held is held longer.
    Kept,
    Renewed,
}

/// TTL and grace of names in the table: nothing lives longer by an answer.
const NATURAL: u64 = 31;

fn failures() -> Vec<(&'static str, Act, Fate, &'static str)> {
    use Fate::{Kept, Renewed, RunsOut};
    let good = || both_act(99, 1);
    vec![
        ("servfail", Act::rcode(SERVFAIL), Kept, "SERVFAIL"),
        ("refused", Act::rcode(REFUSED), Kept, "REFUSED"),
        ("formerr", Act::rcode(FORMERR), Kept, "FORMERR"),
        ("notimp", Act::rcode(NOTIMP), Kept, "NOTIMP"),
        ("other-code", Act::rcode(9), Kept, "9"),
        ("lame", Act::lame(), Kept, "lame"),
        ("referral", Act::referral(), Kept, "lame"),
        ("silent", Act::silent(), Kept, "time"),
        ("closed", good().truncated().tcp(Tcp::Closed), Kept, ""),
        ("unreadable", good().truncated().tcp(Tcp::Unreadable), Kept, "read"),
        ("nodata", Act::no_data(Some(90)), RunsOut, "no addresses"),
        ("nodata-without-soa", Act::no_data(None), RunsOut, "no addresses"),
        ("nxdomain", Act::no_such_name(Some(5)), RunsOut, "NXDOMAIN"),
        ("nxdomain-without-soa", Act::no_such_name(None), RunsOut, "NXDOMAIN"),
        ("filtered", Act::addresses(&["10.1.2.3", "fd00::1"], 1), RunsOut, ""),
        ("good", Act::silent(), Renewed, ""),
    ]
}

#[test]
fn every_row_of_the_failure_table_shows_in_the_sets_of_both_families() {
    isolated("every_row_of_the_failure_table_shows_in_the_sets_of_both_families", || {
        let lab = Lab::new();
        let server = lab.serve(&SERVERS[..1])[0];
        let site = Site::new(
            &lab,
            &resolver(&[server], "ttl-floor = \"1s\"\ngrace = \"30s\"\nmin-interval = \"1s\""),
        );
        let table = failures();
        let name = |what: &str| format!("{what}.example.net");
        for (index, (what, ..)) in table.iter().enumerate() {
            lab.dns.set(&name(what), both_act(index, 1));
        }
        lab.dns.set("one-family.example.net", both_act(50, 1));
        let names: Vec<String> = table.iter().map(|(what, ..)| name(what)).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).chain(["one-family.example.net"]).collect();
        site.policy_for(&all);
        let daemon = site.run(&lab.gw);
        let held: Vec<String> = (0..table.len()).chain([50]).flat_map(both).collect();
        daemon.holds(&held.iter().map(String::as_str).collect::<Vec<_>>()).all_end_within(NATURAL);

        for (what, act, ..) in table.iter().filter(|(_, _, fate, _)| *fate != Fate::Renewed) {
            lab.dns.set(&name(what), act.clone());
        }
        let failing = Instant::now();
        lab.dns.set_family("one-family.example.net", Family::V6, Act::no_data(Some(300)));
        for (what, _, _, said) in &table[..table.len() - 1] {
            let wanted = |report: &Value| {
                let error = report["last_error"].as_str().unwrap_or_default();
                report["state"] == "failing" && error.contains(said)
            };
            daemon.name_is(&name(what), &format!("failing with {said:?}"), wanted);
        }
        one_look(&daemon, &table, failing);
        let runs_out = |index: usize| table[index].2 == Fate::RunsOut;
        let gone: Vec<String> = (0..table.len()).filter(|index| runs_out(*index)).flat_map(both).collect();
        daemon.sets_are("have run out of what zones said is nothing", |sets| {
            gone.iter().chain([&both(50)[1]]).all(|text| !sets.holds(text))
        });
        let sets = daemon.sets();
        for (index, (what, _, fate, _)) in table.iter().enumerate() {
            for text in both(index) {
                assert_eq!(sets.holds(&text), *fate != Fate::RunsOut, "{what} {text}: {sets:?}");
            }
        }
        assert!(sets.holds(&both(50)[0]), "the other family is renewed");
        assert!(
            sets.left(&both(table.len() - 1)[0]).is_some_and(|left| left >= 5),
            "what is answered is renewed"
        );
        retries(&lab, failing);
    });
}

/// Right after the failures: nothing was emptied, what servers fail for is held longer than an answer would, and questions wait.
fn one_look(daemon: &Daemon<'_>, table: &[(&str, Act, Fate, &str)], failing: Instant) {
    let report = daemon.names();
    let passed = failing.elapsed().as_secs() + 1;
    let next = |what: &str| {
        let mut entries = report["names"].as_array().into_iter().flatten();
        let found = entries.find(|entry| entry["name"] == format!("{what}.example.net"));
        found.unwrap_or_else(|| panic!("{what}: {report:#}"))["next_query_seconds"].as_u64()
    };
    for (what, at_least, at_most) in [
        // Each wait is twice the last, so that it is about as long as all before it.
        ("servfail", 0, 24.max(6 + passed * 3 / 2)),
        ("nxdomain", 57, 63),
        ("nxdomain-without-soa", 57, 63),
        ("nodata", 85, 95),
        ("nodata-without-soa", 57, 63),
        ("filtered", 57, 63),
        ("good", 0, 1),
    ] {
        let next = next(what);
        assert!(next.is_none_or(|next| next + passed >= at_least && next <= at_most), "{what}: {next:?}");
    }
    daemon.sets_are("hold what servers fail for longer than an answer would", |sets| {
        let kept = table.iter().enumerate().filter(|(_, (_, _, fate, _))| *fate == Fate::Kept);
        kept.flat_map(|(index, _)| both(index))
            .all(|text| sets.left(&text).is_some_and(|left| left > NATURAL))
    });
}

/// 5 s × 2ⁿ, a fifth more or less, between failures.
fn retries(lab: &Lab, failing: Instant) {
    let seen = lab.dns.seen();
    let of: Vec<&Seen> = seen
        .iter()
        .filter(|seen| {
            seen.at > failing && seen.name == "servfail.example.net" && seen.family == Some(Family::V4)
        })
        .collect();
    let waits: Vec<f64> = of.windows(2).map(|two| two[1].after(two[0]).as_secs_f64()).collect();
    assert!(waits.len() >= 2, "{waits:?}");
    // The second shows that the wait grows; how late a question comes on a busy machine is not judged.
    assert!(
        waits[0] < 20.0 && waits.iter().zip([3.9, 7.9, 15.9]).all(|(wait, least)| *wait >= least),
        "{waits:?}"
    );
}

#[test]
fn while_servers_cannot_be_reached_addresses_are_kept_and_afterwards_renewed() {
    isolated("while_servers_cannot_be_reached_addresses_are_kept_and_afterwards_renewed", || {
        let lab = Lab::new();
        let server = lab.serve(&SERVERS[..1])[0];
        let site = Site::new(
            &lab,
            &resolver(&[server], "ttl-floor = \"1s\"\ngrace = \"10s\"\nmin-interval = \"1s\""),
        );
        lab.dns.set(NAME, both_act(1, 1));
        site.policy_for(&[NAME]);
        let daemon = site.run(&lab.gw);
        let [v4, v6] = both(1);
        daemon.holds(&[&v4, &v6]);
        lab.dns.stop(server);
        let stopped = Instant::now();
        daemon.name_is(NAME, "failing", |report| report["state"] == "failing");
        while stopped.elapsed() < Duration::from_secs(15) {
            let sets = daemon.sets();
            assert!(sets.holds(&v4) && sets.holds(&v6), "after {:?}: {sets:?}", stopped.elapsed());
            std::thread::sleep(Duration::from_millis(100));
        }
        lab.dns.serve(&lab.far, server);
        daemon.name_is(NAME, "ok", |report| report["state"] == "ok" && addresses(report).len() == 2);
        assert_eq!(lab.connect(address(&v4)), Reached::Yes);
    });
}

#[test]
fn after_max_stale_what_servers_no_longer_answer_for_is_gone() {
    isolated("after_max_stale_what_servers_no_longer_answer_for_is_gone", || {
        let lab = Lab::new();
        let server = lab.serve(&SERVERS[..1])[0];
        let times = "ttl-floor = \"1s\"\ngrace = \"10s\"\nmin-interval = \"1s\"\nmax-stale = \"30s\"";
        let site = Site::new(&lab, &resolver(&[server], times));
        lab.dns.set(NAME, both_act(1, 1));
        site.policy_for(&[NAME]);
        let daemon = site.run(&lab.gw);
        let [v4, v6] = both(1);
        daemon.holds(&[&v4, &v6]);
        let before = lab.dns.seen().len();
        lab.dns.set(NAME, Act::rcode(SERVFAIL));
        // The last good answer was no later than the first failure.
        let failing = lab.dns.wait("a question in vain", before + 1, |_| true)[before].at;
        let mut held_for = Duration::ZERO;
        eventually("the addresses are gone", || {
            let before = Instant::now();
            let sets = daemon.sets();
            if sets.holds(&v4) || sets.holds(&v6) {
                held_for = before.saturating_duration_since(failing);
                return Err(format!("{sets:?}"));
            }
            Ok(())
        });
        let held_for = held_for.as_secs_f64();
        assert!(held_for > 20.0, "held for {held_for} s, which is no longer than after an answer");
        assert!(held_for < 32.0, "held for {held_for} s after the last good answer");
        assert_eq!(lab.connect(address(&v4)), Reached::Refused);
    });
}

#[test]
fn a_name_in_ten_rules_is_one_question_and_its_addresses_open_all_ten() {
    isolated("a_name_in_ten_rules_is_one_question_and_its_addresses_open_all_ten", || {
        let lab = Lab::new();
        let server = lab.serve(&SERVERS[..1])[0];
        let site = Site::new(&lab, &resolver(&[server], "min-interval = \"1s\""));
        lab.dns.set(NAME, both_act(1, 3000));
        lab.dns.set("busy.example.net", both_act(2, 1));
        let mut text = format!("{}\n[hosts]\nshared = [\"{NAME}\"]\n", head());
        for number in 0..10 {
            let peers = if number % 2 == 0 { NAME } else { "@shared" };
            text.push_str(&format!(
                "\n[[rule]]\nname = \"rule-{number}\"\ndirection = \"out\"\nports = [\"tcp/{}\"]\npeers = \"{peers}\"\n",
                1000 + number
            ));
        }
        text.push_str(&web("busy", &["busy.example.net"]));
        site.policy("site", &text);
        let daemon = site.run(&lab.gw);
        let [v4, v6] = both(1);
        daemon.sets_are("hold ten elements of the name in each family", |sets| {
            [&v4, &v6].iter().all(|text| sets.of(address(text)).len() == 10)
        });
        let before: usize = Family::BOTH.iter().map(|family| lab.dns.count_of(NAME, *family)).sum();
        // What shows new addresses is asked once more soon.
        assert!((2..=4).contains(&before), "{before} questions");
        lab.dns.asked_again("busy.example.net", Family::V4, 8);
        let all: usize = Family::BOTH.iter().map(|family| lab.dns.count_of(NAME, *family)).sum();
        assert!(all <= 4, "{all} questions for one name");
        daemon.reload();
        lab.dns.asked_again("busy.example.net", Family::V4, 2);
        let after: usize = Family::BOTH.iter().map(|family| lab.dns.count_of(NAME, *family)).sum();
        assert_eq!(after, all, "a reload that changes nothing asks nothing");
    });
}

#[test]
fn an_answer_that_changes_nothing_writes_nothing_to_the_kernel() {
    isolated("an_answer_that_changes_nothing_writes_nothing_to_the_kernel", || {
        let lab = Lab::new();
        let server = lab.serve(&SERVERS[..1])[0];
        let site = Site::new(&lab, &resolver(&[server], "min-interval = \"1s\""));
        let names: Vec<String> = (0..20).map(|index| format!("name-{index}.example.net")).collect();
        for (index, name) in names.iter().enumerate() {
            lab.dns.set(name, both_act(index, 1));
        }
        site.policy_for(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let daemon = site.run(&lab.gw);
        let all: Vec<String> = (0..names.len()).flat_map(both).collect();
        daemon.holds(&all.iter().map(String::as_str).collect::<Vec<_>>());
        let before = generation(&lab.gw);
        let asked: Vec<usize> = names.iter().map(|name| lab.dns.count_of(name, Family::V4)).collect();
        for (name, asked) in names.iter().zip(asked) {
            lab.dns.asked_for(name, Family::V4, asked + 10);
        }
        assert_eq!(generation(&lab.gw), before, "{:?}", daemon.lines.all());
        // The counter counts: one new address is one commit, or two where something else is done with it.
        lab.dns.set(&names[0], both_act(200, 1));
        daemon.holds(&[&both(200)[0], &both(200)[1]]);
        let commits = generation(&lab.gw).0.wrapping_sub(before.0);
        assert!((1..=2).contains(&commits), "{commits} commits for one name in two families");
    });
}

#[test]
fn a_life_is_never_shortened_and_always_has_an_end() {
    isolated("a_life_is_never_shortened_and_always_has_an_end", || {
        let lab = Lab::new();
        let server = lab.serve(&SERVERS[..1])[0];
        let times = "ttl-floor = \"1s\"\ngrace = \"30s\"\nmin-interval = \"1s\"";
        let site = Site::new(&lab, &resolver(&[server], times));
        let (long, short) = ("93.184.10.1", "93.184.10.2");
        // The first answer gives it a long life, the next ones a short one, and then none has it any more.
        let falling = Act::of(move |asked| {
            let ttl = if asked.before == 0 { 600 } else { 1 };
            let both = [(long, ttl), (short, 1)];
            let record = |(text, ttl): (&str, u32)| lab::wire::Record::address(NAME, ttl, address(text));
            let answer = both.into_iter().filter(|(text, _)| asked.before < 4 || *text != long);
            let answer = answer.map(record).collect();
            Some(lab::wire::Message { answer, ..lab::wire::Message::to(asked.query) })
        });
        lab.dns.set_family(NAME, Family::V4, falling);
        lab.dns.set_family(NAME, Family::V6, both_act(1, 1));
        site.policy_for(&[NAME]);
        let daemon = site.run(&lab.gw);
        daemon.holds(&[long, short]);
        let begun = Instant::now();
        let seconds = |left: u64| f64::from(u32::try_from(left).expect("a short life"));
        // The listing has whole seconds, of a moment between before and after.
        let mut latest = 0.0_f64;
        while lab.dns.count_of(NAME, Family::V4) < 20 {
            let before = begun.elapsed().as_secs_f64();
            let sets = daemon.sets();
            let after = begun.elapsed().as_secs_f64();
            sets.all_end_within(630);
            let left = seconds(sets.left(long).expect("the long life goes on"));
            assert!(
                left + 1.0 + after >= latest,
                "it ended at {latest}, now at {} at most",
                left + 1.0 + after
            );
            latest = latest.max(left + before);
            assert!(latest <= 631.0, "{latest}");
            assert!(sets.left(short).is_some_and(|left| left <= 31), "{sets:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
        assert!(latest > 610.0, "{latest}");
        daemon.reload();
        let left = daemon.sets().left(long).map_or(0.0, seconds);
        assert!(left + 1.0 + begun.elapsed().as_secs_f64() >= latest, "a reload has shortened it to {left}");
    });
}

#[test]
fn an_address_of_two_names_stays_while_one_of_them_has_it() {
    isolated("an_address_of_two_names_stays_while_one_of_them_has_it", || {
        let lab = Lab::new();
        let server = lab.serve(&SERVERS[..1])[0];
        let times = "ttl-floor = \"1s\"\ngrace = \"12s\"\nmin-interval = \"1s\"";
        let site = Site::new(&lab, &resolver(&[server], times));
        lab.dns.set("one.example.net", both_act(1, 1));
        lab.dns.set("two.example.net", both_act(1, 1));
        site.policy_for(&["one.example.net", "two.example.net"]);
        let daemon = site.run(&lab.gw);
        let [v4, v6] = both(1);
        daemon.holds(&[&v4, &v6]);
        lab.dns.set("one.example.net", both_act(2, 1));
        daemon.name_is("one.example.net", "without the shared address", |report| {
            addresses(report) == both(2).iter().map(|text| address(text)).collect()
        });
        let sets = daemon.sets();
        assert!(sets.holds(&v4) && sets.holds(&v6), "{sets:?}");
        lab.dns.set("two.example.net", both_act(3, 1));
        daemon.sets_are("have let it go with its last name", |sets| !sets.holds(&v4) && !sets.holds(&v6));
        assert!(daemon.sets().holds(&both(2)[0]) && daemon.sets().holds(&both(3)[1]));
    });
}

#[test]
fn a_name_that_a_reload_brings_is_asked_at_once_and_one_that_goes_closes_at_once() {
    isolated("a_name_that_a_reload_brings_is_asked_at_once_and_one_that_goes_closes_at_once", || {
        let lab = Lab::new();
        let server = lab.serve(&SERVERS[..1])[0];
        let site = Site::new(&lab, &resolver(&[server], ""));
        lab.dns.set("old.example.net", both_act(1, 3000));
        lab.dns.set("new.example.net", both_act(2, 3000));
        lab.dns.set("kept.example.net", both_act(3, 3000));
        site.policy_for(&["old.example.net", "kept.example.net"]);
        let daemon = site.run(&lab.gw);
        daemon.holds(&[&both(1)[0], &both(3)[0]]);
        site.policy_for(&["new.example.net", "kept.example.net"]);
        daemon.reload();
        let sets = daemon.sets();
        assert!(!sets.holds(&both(1)[0]) && !sets.holds(&both(1)[1]), "{sets:?}");
        assert!(sets.holds(&both(3)[0]), "what was learnt stays: {sets:?}");
        assert_eq!(lab.connect(address(&both(1)[0])), Reached::Refused);
        daemon.holds(&[&both(2)[0], &both(2)[1]]);
    });
}
