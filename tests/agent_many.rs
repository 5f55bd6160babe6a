//! Very many names at once: all are asked in time, a change is soon in the kernel, and it costs little.
//!
//! PORTGRAVE_BIN=target/release/portgrave judges what is shipped; without it the debug build is judged, by looser bounds.
//! PORTGRAVE_TEST_WATCH=600 PORTGRAVE_TEST_SECONDS=900 watches for ten minutes.

mod lab;
mod rig;

use lab::agent::head;
use lab::kernel::Finder;
use lab::samples::resolver;
use lab::wire::{Message, QUESTION, Record};
use lab::{Act, Daemon, Lab, SERVERS, Site, eventually_within};
use portgrave::types::Family;
use rig::{isolated, say};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

const NAMES: usize = 2_000;
/// Every tenth is asked in vain.
const SILENT: usize = 10;
/// In each family.
const ADDRESSES: usize = 8;
/// No rule may have more than 4,096 addresses.
const NAMES_A_RULE: usize = 200;
/// Names that have another address with each answer.
const CHANGING: usize = 20;

/// What may be late, in seconds, what an answer may take to the kernel, in milliseconds, and MiB of memory.
fn bounds() -> (f64, f64, f64) {
    if std::env::var_os("PORTGRAVE_BIN").is_some() { (1.0, 25.0, 32.0) } else { (5.0, 250.0, 64.0) }
}

fn watch() -> Duration {
    let seconds = std::env::var("PORTGRAVE_TEST_WATCH").ok();
    Duration::from_secs(seconds.map_or(45, |text| text.parse().expect("PORTGRAVE_TEST_WATCH is in seconds")))
}

fn name(index: usize) -> String {
    format!("name-{index}.example.net")
}

fn changing(index: usize) -> String {
    format!("changing-{index}.example.net")
}

/// 5 to 300 seconds, each as often as any other: about 60 questions a second.
fn ttl(index: usize) -> u32 {
    5 + u32::try_from(index * 37 % 296).expect("a small number")
}

fn is_silent(index: usize) -> bool {
    index % SILENT == 3
}

/// Public addresses that no two numbers share.
fn numbered(family: Family, number: usize) -> IpAddr {
    let number = u32::try_from(number).expect("a small number");
    match family {
        Family::V4 => Ipv4Addr::from_bits(0x5db8_0000 + number).into(),
        Family::V6 => Ipv6Addr::from_bits((0x2606_2800_u128 << 96) + u128::from(number)).into(),
    }
}

fn of_name(index: usize) -> Act {
    Act::of(move |asked| {
        let mut message = Message::to(asked.query);
        let family = asked.query.family()?;
        let record = |which| {
            let address = numbered(family, index * ADDRESSES + which);
            Record::address("", ttl(index), address).owned_by(&QUESTION)
        };
        message.answer = (0..ADDRESSES).map(record).collect();
        Some(message)
    })
}

/// The address of the `times`-th answer.
fn changed(index: usize, family: Family, times: usize) -> IpAddr {
    numbered(family, 40_000 + index * 200 + times % 200)
}

fn of_changing(index: usize) -> Act {
    Act::of(move |asked| {
        let address = changed(index, asked.query.family()?, asked.before);
        let answer = vec![Record::address("", 1, address).owned_by(&QUESTION)];
        Some(Message { answer, ..Message::to(asked.query) })
    })
}

/// A policy with all names, in rules of so many.
fn policy() -> String {
    let names: Vec<String> = (0..NAMES).map(name).collect();
    let mut text = head().to_owned();
    let mut rule = |rule: &str, names: &[String]| {
        text.push_str(&format!(
            "\n[[rule]]\nname = \"{rule}\"\ndirection = \"out\"\nports = [\"tcp/443\"]\npeers = {names:?}\n"
        ));
    };
    for (number, names) in names.chunks(NAMES_A_RULE).enumerate() {
        rule(&format!("rule-{number}"), names);
    }
    rule("changing", &(0..CHANGING).map(changing).collect::<Vec<_>>());
    text
}

#[test]
fn two_thousand_names_are_asked_in_time_while_a_tenth_is_asked_in_vain() {
    isolated("two_thousand_names_are_asked_in_time_while_a_tenth_is_asked_in_vain", || {
        let lab = Lab::new();
        let server = lab.serve(&SERVERS[..1])[0];
        for index in 0..NAMES {
            lab.dns.set(&name(index), if is_silent(index) { Act::silent() } else { of_name(index) });
        }
        for index in 0..CHANGING {
            lab.dns.set(&changing(index), of_changing(index));
        }
        let site = Site::new(&lab, &resolver(&[server], "min-interval = \"1s\""));
        site.policy("site", &policy());
        let begun = Instant::now();
        let daemon = site.run(&lab.gw);
        let healthy = NAMES - (0..NAMES).filter(|index| is_silent(*index)).count() + CHANGING;
        eventually_within(Duration::from_secs(300), "every name that is answered has addresses", || {
            let all = daemon.status()["names"]["with_addresses"].as_u64().unwrap_or_default();
            if all >= healthy as u64 { Ok(()) } else { Err(format!("{all} of {healthy}")) }
        });
        say(format!("{healthy} names were learnt within {:.1} s", begun.elapsed().as_secs_f64()));
        settled(&lab);
        say(format!("and asked once more within {:.1} s", begun.elapsed().as_secs_f64()));
        let (from, computed) = (Instant::now(), daemon.computed());
        let latencies = latencies(&lab, &daemon);
        std::thread::sleep(watch().saturating_sub(from.elapsed()));
        let share = (daemon.computed() - computed).as_secs_f64() / from.elapsed().as_secs_f64();
        in_time(&lab, from);
        let median = latencies[latencies.len() / 2].as_secs_f64() * 1000.0;
        let last = latencies[latencies.len() - 1].as_secs_f64() * 1000.0;
        let memory = daemon.memory() as f64 / 1024.0;
        say(format!(
            "from an answer to the kernel: median {median:.1} ms, at most {last:.1} ms, of {}; {memory:.1} MiB of memory, {:.1} % of a core",
            latencies.len(),
            share * 100.0
        ));
        let (_, soon, small) = bounds();
        assert!(median <= soon, "{latencies:?}");
        assert!(memory <= small, "{memory} MiB");
        assert_eq!(daemon.status()["worker"]["restarts"], 0);
    });
}

/// Waits until the rush of the start is over: what shows new addresses is asked once more soon, and 200 questions a second are the most.
fn settled(lab: &Lab) {
    eventually_within(Duration::from_secs(300), "each name that is answered was asked twice", || {
        let mut counts: BTreeMap<(String, Option<Family>), usize> = BTreeMap::new();
        for seen in lab.dns.seen() {
            *counts.entry((seen.name, seen.family)).or_default() += 1;
        }
        let few = |index: &usize| {
            let count = |family| counts.get(&(name(*index), Some(family))).copied().unwrap_or_default();
            !is_silent(*index) && Family::BOTH.into_iter().any(|family| count(family) < 2)
        };
        let left = (0..NAMES).filter(few).count();
        std::thread::sleep(Duration::from_millis(500));
        if left == 0 { Ok(()) } else { Err(format!("{left} names")) }
    });
}

/// How long an address takes from the question whose answer has it first to the kernel, sorted.
fn latencies(lab: &Lab, daemon: &Daemon<'_>) -> Vec<Duration> {
    let mut all = Vec::new();
    let mut finder = Finder::new(daemon.ns, Family::V4);
    for turn in 0..60 {
        let index = turn % CHANGING;
        let count = lab.dns.count_of(&changing(index), Family::V4);
        let seen = lab.dns.asked_for(&changing(index), Family::V4, count + 1);
        let (address, at) = (changed(index, Family::V4, count), seen[count].at);
        loop {
            match finder.holds(daemon.ns, address, 443) {
                Some(true) => break,
                Some(false) => assert!(at.elapsed() < lab::PATIENCE, "{address} does not come"),
                None => finder = Finder::new(daemon.ns, Family::V4),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        all.push(at.elapsed());
    }
    all.sort_unstable();
    all
}

/// No question for a name that is answered came much later than it was due.
fn in_time(lab: &Lab, from: Instant) {
    let (late, ..) = bounds();
    let mut by_question: BTreeMap<(String, Option<Family>), Vec<Instant>> = BTreeMap::new();
    for seen in lab.dns.seen() {
        by_question.entry((seen.name, seen.family)).or_default().push(seen.at);
    }
    let (mut worst, mut judged, mut missing) = (0.0_f64, 0, Vec::new());
    let now = Instant::now();
    for index in (0..NAMES).filter(|index| !is_silent(*index)) {
        for family in Family::BOTH {
            let times = &by_question[&(name(index), Some(family))];
            // A twentieth of the TTL later, as long as the grace covers it.
            let wait = (f64::from(ttl(index)) + 0.1) * 1.05;
            for two in times.windows(2).filter(|two| two[1] > from) {
                worst = worst.max((two[1] - two[0]).as_secs_f64() - wait);
                judged += 1;
            }
            let since = times.last().map_or(f64::MAX, |last| (now - *last).as_secs_f64());
            if since > wait + late {
                missing.push(format!("{} {family:?}: {since:.1} s", name(index)));
            }
        }
    }
    say(format!("{judged} questions, the latest {:.0} ms after it was due", worst * 1000.0));
    assert!(missing.is_empty(), "overdue: {missing:?}");
    assert!(judged > 1_000 && worst <= late, "{worst} s late, of {judged}");
}
