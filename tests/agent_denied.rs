//! Denied packets in a daemon that runs: each is in the journal with what it was, a flood is counted and costs little, and
//! host names do not suffer from either.

mod lab;
mod rig;

#[path = "agent_denied/journal.rs"]
mod journal;
#[path = "common/logged.rs"]
mod logged;
#[path = "common/numbers.rs"]
mod numbers;
#[allow(dead_code)]
#[path = "baseline/packet.rs"]
mod packet;
#[path = "agent_denied/probes.rs"]
mod probes;
#[path = "agent_denied/wire.rs"]
mod wire;

use journal::{Entry, Fields, Journal, of_line};
use lab::samples::{NAME, resolver};
use lab::{Act, Daemon, Lab, SERVERS, Site, eventually};
use numbers::Random;
use packet::Packet;
use portgrave::observe;
use portgrave::types::{Direction, Family};
use probes::{NAMED, OWN, Probe, policy, probes};
use rig::{isolated, say};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use wire::Wire;

const PROBES: usize = 500;
/// As many at once as the journal has room for, also where the limits of the system hold.
const AT_ONCE: usize = 100;

/// The group where the settings name none.
const GROUP: u16 = 100;

/// A laboratory whose gateway has more addresses, a site with the policy of probes, and a name in it.
fn site(log: &str) -> (Lab, Site, Wire) {
    let lab = Lab::new();
    lab.gw.ip("addr add 10.99.0.11/24 dev up0\naddr add 10.99.0.12/24 dev up0\n\
         addr add fd99::11/64 dev up0 nodad\naddr add fd99::12/64 dev up0 nodad\n");
    lab.serve(&SERVERS[..1]);
    lab.dns.set(NAME, Act::addresses(&NAMED, 2));
    let site = Site::new(&lab, &settings(log));
    site.policy("site", &policy());
    let wire = Wire::new(&lab);
    (lab, site, wire)
}

/// Names are asked often; the table [log] holds what is given.
fn settings(log: &str) -> String {
    let server = SERVERS[0].parse().expect("an address and a port");
    format!("{}\n[log]\n{log}\n", resolver(&[server], "ttl-floor = \"1s\"\nmin-interval = \"1s\""))
}

/// Sends the probes, and says when each went out.
fn send(wire: &Wire, probes: &[Probe]) -> Vec<Instant> {
    let one = |probe: &Probe| {
        let at = Instant::now();
        wire.send(probe.direction, &probe.packet);
        at
    };
    probes.iter().map(one).collect()
}

fn sorted(mut lines: Vec<Fields>) -> Vec<Fields> {
    lines.sort();
    lines
}

fn expected(probes: &[Probe]) -> Vec<Fields> {
    sorted(probes.iter().flat_map(|probe| probe.lines.clone()).collect())
}

/// # Panics
/// With the first lines that only one side has.
fn same(seen: Vec<Fields>, expected: &[Fields]) {
    let seen = sorted(seen);
    let not_in = |some: &[Fields], others: &[Fields]| -> Vec<Fields> {
        some.iter().filter(|line| others.binary_search(line).is_err()).take(5).cloned().collect()
    };
    let (more, missing) = (not_in(&seen, expected), not_in(expected, &seen));
    assert!(more.is_empty() && missing.is_empty(), "not expected: {more:#?}\nmissing: {missing:#?}");
    assert_eq!(seen.len(), expected.len(), "some lines more than once");
}

fn packets(journal: &Journal, count: usize) -> Vec<Entry> {
    journal.entries.wait(&format!("{count} packets"), count, Entry::is_packet)
}

/// How long each line took from its packet's going out.
fn times(probes: &[Probe], sent: &[Instant], entries: &[Entry]) -> Vec<Duration> {
    let mut went: BTreeMap<Fields, Vec<Instant>> = BTreeMap::new();
    for (probe, at) in probes.iter().zip(sent) {
        probe.lines.iter().for_each(|line| went.entry(line.clone()).or_default().push(*at));
    }
    let took = |entry: &Entry| {
        let sent = went.get_mut(&entry.packet()).expect("a line of a probe").remove(0);
        entry.at.saturating_duration_since(sent)
    };
    let mut took: Vec<Duration> = entries.iter().map(took).collect();
    took.sort_unstable();
    took
}

#[test]
fn each_of_500_random_packets_is_in_the_journal_with_its_fields() {
    isolated("each_of_500_random_packets_is_in_the_journal_with_its_fields", || {
        let (lab, site, wire) = site("");
        let journal = Journal::start();
        let daemon = site.run_under_journal(&lab.gw);
        daemon.holds(&NAMED);
        let probes = probes(&mut Random::new(5), PROBES);
        let expected = expected(&probes);
        let (mut sent, mut lines) = (Vec::new(), 0);
        for part in probes.chunks(AT_ONCE) {
            sent.extend(send(&wire, part));
            lines += part.iter().map(|probe| probe.lines.len()).sum::<usize>();
            packets(&journal, lines);
        }
        let entries = packets(&journal, expected.len());
        same(entries.iter().map(Entry::packet).collect(), &expected);
        for entry in &entries {
            let fixed = ["PRIORITY", "SYSLOG_IDENTIFIER"].map(|name| entry.fields[name].as_str());
            assert_eq!(fixed, ["6", "portgrave"]);
            assert_eq!(of_line(&format!(": {}", entry.fields["MESSAGE"])), Some(entry.packet()));
        }
        assert_eq!(journal.entries.all().iter().map(Entry::lost).sum::<u64>(), 0, "the journal took all");
        let took = times(&probes, &sent, &entries);
        let [half, last] = [took.len() / 2, took.len() - 1].map(|at| took[at]);
        say(format!(
            "{PROBES} packets, {} lines: half of them within {half:?}, all within {last:?}",
            took.len()
        ));
        assert!(last < lab::PATIENCE);
        assert_eq!(daemon.status()["health"], "healthy");
    });
}

#[test]
fn each_of_500_random_packets_is_a_line_of_standard_error_where_there_is_no_journal() {
    isolated("each_of_500_random_packets_is_a_line_of_standard_error_where_there_is_no_journal", || {
        let (lab, site, wire) = site("");
        let daemon = site.run(&lab.gw);
        daemon.holds(&NAMED);
        let probes = probes(&mut Random::new(6), PROBES);
        let expected = expected(&probes);
        send(&wire, &probes);
        let lines = daemon.line(&[": packet "], expected.len());
        same(lines.iter().filter_map(|line| of_line(line)).collect(), &expected);
    });
}

/// A datagram from a peer to a port that nobody opened.
fn closed(from: impl Into<IpAddr>, port: u16) -> Packet {
    let own = OWN[0].parse().expect("an address");
    packet::udp(SocketAddr::new(from.into(), 4000), SocketAddr::new(own, port))
}

/// Waits until a packet to this port, of which one more is sent now and then, is a line of standard error.
fn is_logged(daemon: &Daemon<'_>, wire: &Wire, port: u16) {
    let mut host = 0;
    eventually(&format!("a packet to {port} in the log"), || {
        host += 1;
        wire.send(Direction::In, &closed(Ipv4Addr::from(0x3d01_0000 + host), port));
        let word = format!(" dport={port}");
        let logged = daemon.lines.count(|line| line.contains(": packet ") && line.contains(&word));
        if logged > 0 { Ok(()) } else { Err("not there".into()) }
    });
}

#[test]
fn with_denied_off_only_rules_that_ask_for_it_are_in_the_log() {
    isolated("with_denied_off_only_rules_that_ask_for_it_are_in_the_log", || {
        let (lab, site, wire) = site("denied = \"off\"");
        let daemon = site.run(&lab.gw);
        daemon.holds(&NAMED);
        let probes = probes(&mut Random::new(7), PROBES);
        let mut expected = expected(&probes);
        expected.retain(|line| line["rule"] == "web");
        send(&wire, &probes);
        let lines = daemon.line(&[": packet "], expected.len());
        same(lines.iter().filter_map(|line| of_line(line)).collect(), &expected);
        assert_eq!(daemon.status()["health"], "healthy");
    });
}

#[test]
fn a_group_that_another_program_has_is_said_in_status_and_taken_when_it_is_free() {
    isolated("a_group_that_another_program_has_is_said_in_status_and_taken_when_it_is_free", || {
        let (lab, site, wire) = site("");
        let other = lab.gw.enter(|| observe::open(GROUP)).expect("a free group");
        let daemon = site.run(&lab.gw);
        daemon.holds(&NAMED);
        let text = "packets are not logged: another program reads group 100 of the kernel's packet log; set `nflog-group`";
        daemon.line(&[" ERROR ", text], 1);
        let status = daemon.status();
        assert_eq!(status["health"], "degraded", "{status:#}");
        let why: Vec<&str> =
            status["degraded"].as_array().into_iter().flatten().filter_map(|why| why.as_str()).collect();
        assert!(why.len() == 1 && why[0].starts_with(text), "{why:?}");

        // Names are asked on, and a reload makes nothing worse, and says nothing twice.
        daemon.reload();
        lab.dns.asked_again(NAME, Family::V4, 2);
        assert_eq!(daemon.lines.count(|line| line.contains("packets are not logged")), 1);

        // Another group by another file, the other program being as it was.
        site.settings(&group(101));
        daemon.reload();
        daemon.line(&["packets are logged again"], 1);
        is_logged(&daemon, &wire, 9001);
        assert_eq!(daemon.status()["health"], "healthy");

        // Back to the first, which is free after a while.
        site.settings(&group(GROUP));
        daemon.reload();
        daemon.line(&[text], 2);
        drop(other);
        daemon.line(&["packets are logged again"], 2);
        is_logged(&daemon, &wire, 9002);
        eventually("it is healthy", || {
            let status = daemon.status();
            if status["health"] == "healthy" { Ok(()) } else { Err(format!("{status:#}")) }
        });
    });
}

fn group(number: u16) -> String {
    settings(&format!("nflog-group = {number}"))
}

#[test]
fn another_group_takes_another_process_and_loses_no_name() {
    isolated("another_group_takes_another_process_and_loses_no_name", || {
        let (lab, site, wire) = site("");
        // A question is on its way all the time.
        lab.dns.set(NAME, Act::addresses(&NAMED, 2).after(Duration::from_millis(800)));
        let daemon = site.run(&lab.gw);
        daemon.holds(&NAMED);
        is_logged(&daemon, &wire, 9000);
        for round in 1..=5_u16 {
            let worker = daemon.children();
            site.settings(&group(GROUP + round));
            daemon.reload();
            assert_ne!(daemon.children(), worker, "another process");
            is_logged(&daemon, &wire, 9000 + round);
            lab.dns.asked_again(NAME, Family::V4, 2);
            daemon.holds(&NAMED);
        }
        let status = daemon.status();
        assert_eq!(
            (&status["health"], &status["worker"]["restarts"]),
            (&"healthy".into(), &0.into()),
            "{status:#}"
        );
    });
}

/// What the kernel has counted of what came in and was denied by default.
fn counted(site: &Site, lab: &Lab) -> u64 {
    let read = site.json(&lab.gw, &["counters"]).expect("the counters");
    let of_default =
        read["counters"].as_array().into_iter().flatten().find(|one| one["name"] == "default.in");
    of_default.and_then(|one| one["packets"].as_u64()).unwrap_or_else(|| panic!("no default.in: {read:#}"))
}

/// Waits until lines, and what is said to be missing, are as many as the kernel has counted; gives both.
fn accounted(journal: &Journal, total: u64) -> (u64, u64) {
    eventually("every packet is logged or counted", || {
        let all = journal.entries.all();
        let lines = all.iter().filter(|entry| entry.is_packet()).count() as u64
            + all.iter().map(Entry::lost).sum::<u64>();
        let more: u64 = all.iter().map(Entry::not_logged).sum();
        assert!(lines + more <= total, "{lines} lines and {more} not logged, of {total}");
        if lines + more == total {
            Ok((lines, more))
        } else {
            Err(format!("{lines} lines, {more} not logged"))
        }
    })
}

#[test]
fn of_5000_packets_of_one_peer_lines_and_those_not_logged_are_what_the_kernel_counted() {
    isolated("of_5000_packets_of_one_peer_lines_and_those_not_logged_are_what_the_kernel_counted", || {
        let (lab, site, wire) = site("");
        let journal = Journal::start();
        let daemon = site.run_under_journal(&lab.gw);
        daemon.holds(&NAMED);
        let own = Ipv4Addr::new(10, 99, 0, 1);
        let like = wire::datagram(own, (4000, 9999));
        let (noisy, other) = (Ipv4Addr::new(62, 0, 0, 1), Ipv4Addr::new(62, 0, 0, 2));
        wire.flood(&like, |_| noisy, 1, 2500);
        wire.send(Direction::In, &closed(other, 9998));
        wire.flood(&like, |_| noisy, 1, 2500);
        let total = eventually("the kernel has counted them", || {
            let now = counted(&site, &lab);
            if now == 5001 { Ok(now) } else { Err(now.to_string()) }
        });
        journal
            .entries
            .wait("the other peer", 1, |entry| entry.fields.get("src") == Some(&other.to_string()));
        let (lines, more) = accounted(&journal, total);
        assert!((51..2500).contains(&lines), "{lines}");
        say(format!("5,001 packets: {lines} lines, {more} not logged"));

        // What is not said yet is said at the end; and what an earlier daemon has said is not said again.
        wire.flood(&like, |_| noisy, 1, 1000);
        // Behind all of them: what the kernel was still to hand over when the daemon ends would be missing.
        wire.send(Direction::In, &closed(other, 9997));
        journal
            .entries
            .wait("the other peer", 2, |entry| entry.fields.get("src") == Some(&other.to_string()));
        assert!(daemon.stop().success());
        accounted(&journal, 6002);
        let again = site.run_under_journal(&lab.gw);
        again.holds(&NAMED);
        wire.flood(&like, |_| noisy, 1, 200);
        accounted(&journal, 6202);
    });
}

/// How many packets the flood has: `make soak` has a million.
fn flood_size() -> usize {
    let packets = std::env::var("PORTGRAVE_TEST_FLOOD").ok();
    packets.map_or(50_000, |text| text.parse().expect("PORTGRAVE_TEST_FLOOD is a number of packets"))
}

/// Names that are asked each second or two while the flood comes.
const NAMES: usize = 20;

/// Their addresses, of both families.
fn of_name(index: usize) -> [String; 2] {
    [format!("93.185.0.{index}"), format!("2606:2801::{index}")]
}

/// The longest time that a name was not asked for, of all that reach into these moments. Each is asked again after them.
fn longest_wait(lab: &Lab, names: &[String], from: Instant, to: Instant) -> Duration {
    let mut longest = Duration::ZERO;
    for name in names {
        for family in Family::BOTH {
            lab.dns.wait(&format!("{name} asked again"), 1, |seen| {
                seen.at > to && seen.name == *name && seen.family == Some(family)
            });
            let own = |seen: &lab::Seen| seen.name == *name && seen.family == Some(family);
            let at: Vec<Instant> =
                lab.dns.seen().iter().filter(|seen| own(seen)).map(|seen| seen.at).collect();
            let waits = at.windows(2).filter(|pair| pair[1] > from && pair[0] < to);
            longest = waits.map(|pair| pair[1] - pair[0]).fold(longest, Duration::max);
        }
    }
    longest
}

/// The longest wait of a while without a flood.
fn calm_wait(lab: &Lab, names: &[String]) -> Duration {
    let last = names.last().expect("a name");
    lab.dns.asked_again(last, Family::V4, 2);
    let from = Instant::now();
    lab.dns.asked_again(last, Family::V4, 2);
    longest_wait(lab, names, from, Instant::now())
}

/// Waits until the journal has a packet that is sent behind all others: what came before it has been read. Says how many were
/// sent.
fn all_is_read(journal: &Journal, wire: &Wire) -> u64 {
    const LAST: u16 = 9996;
    let mut host = 0;
    eventually("a packet behind all others", || {
        host += 1;
        wire.send(Direction::In, &closed(Ipv4Addr::from(0x3b01_0000 + host), LAST));
        let last = LAST.to_string();
        let there = journal.entries.count(|entry| entry.fields.get("dport") == Some(&last)) > 0;
        if there { Ok(host.into()) } else { Err("not there".into()) }
    })
}

#[test]
fn a_flood_from_many_addresses_costs_little_and_no_name_its_refresh() {
    isolated("a_flood_from_many_addresses_costs_little_and_no_name_its_refresh", || {
        let (lab, site, wire) = site("");
        let names: Vec<String> = (1..=NAMES).map(|index| format!("n{index}.example.net")).collect();
        for (index, name) in names.iter().enumerate() {
            let [v4, v6] = of_name(index);
            lab.dns.set(name, Act::addresses(&[&v4, &v6], if index % 2 == 0 { 1 } else { 2 }));
        }
        let texts: Vec<&str> = names.iter().map(String::as_str).collect();
        site.policy("names", &format!("language = 1\n{}", lab::agent::web("names", &texts)));
        let journal = Journal::start();
        let daemon = site.run_under_journal(&lab.gw);
        (0..NAMES).for_each(|index| drop(daemon.holds(&of_name(index).each_ref().map(String::as_str))));
        let calm = calm_wait(&lab, &names);

        let packets = flood_size();
        let like = wire::datagram(Ipv4Addr::new(10, 99, 0, 1), (4000, 9999));
        let source =
            |index: usize| Ipv4Addr::from(0x3c00_0000 + 77 * u32::try_from(index).expect("an address"));
        let (cpu, start) = (daemon.cpu_time(), Instant::now());
        wire.flood(&like, source, packets / 5, packets);
        let end = Instant::now();
        let behind = all_is_read(&journal, &wire);
        let used = (daemon.cpu_time() - cpu).as_secs_f64();
        let (wall, share) = ((end - start).as_secs_f64(), used / (end - start).as_secs_f64());
        let sent = u64::try_from(packets).expect("a number") + behind;
        let total = eventually("the kernel has counted them", || {
            let now = counted(&site, &lab);
            if now >= sent { Ok(now) } else { Err(format!("{now} of {sent}")) }
        });
        let (lines, more) = accounted(&journal, total);
        let wait = longest_wait(&lab, &names, start, end);
        say(format!(
            "{packets} packets from {} addresses in {wall:.2} s: {lines} lines, {more} not logged; agent and worker used \
             {used:.2} s of CPU time meanwhile, {:.1} % of a core, {:.0} µs a line; names were asked after {:.2} s at the most, \
             {:.2} s without the flood",
            packets / 5,
            share * 100.0,
            used * 1e6 / lines as f64,
            wait.as_secs_f64(),
            calm.as_secs_f64(),
        ));
        assert!(lines as f64 <= 2000.0 + 1000.0 * (wall + 2.0), "{lines} lines in {wall} s");
        assert!(used / (lines as f64) < 0.005, "{used} s for {lines} lines");
        (0..NAMES).for_each(|index| drop(daemon.holds(&of_name(index).each_ref().map(String::as_str))));
        if packets >= A_MILLION {
            assert!(share <= 0.15, "{share} of a core");
            assert!(wait <= calm + Duration::from_secs(1), "{wait:?} between two questions");
        }
    });
}

/// From so many packets on, shares of a core and moments are judged: for who measures, on a machine of his own.
const A_MILLION: usize = 1_000_000;
