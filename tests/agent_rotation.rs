//! Names behind real caches, and those whose answers rotate: clients of the same cache are not refused.

mod lab;
mod rig;

use lab::agent::{head, web};
use lab::client::ask;
use lab::real::{Source, dnsmasq, unbound};
use lab::samples::{NAME, address, resolver};
use lab::{Act, Lab, Reached, SERVERS, Site};
use portgrave::types::Family;
use rig::{Counters, isolated, say};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The TTL of rotating answers.
const ROTATION_TTL: u32 = 2;

/// What clients of the same cache meet while a name's answers rotate. The grace must last from one time that an address is
/// seen to the next.
fn rotation(lab: &Lab, cache: SocketAddr, grace: u64, upstream: impl FnOnce(&[&[&str]])) {
    let all: Vec<String> = (1..=40).map(|number| format!("93.184.30.{number}")).collect();
    let sets: Vec<Vec<&str>> = all.chunks(4).map(|four| four.iter().map(String::as_str).collect()).collect();
    upstream(&sets.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let times = format!("min-interval = \"1s\"\nttl-floor = \"2s\"\ngrace = \"{grace}s\"");
    let life = grace + u64::from(ROTATION_TTL);
    let site = Site::new(lab, &resolver(&[cache], &times));
    let dns = format!(
        "\n[[rule]]\nname = \"dns\"\ndirection = \"out\"\nservice = \"dns\"\npeers = \"{}\"\n",
        cache.ip()
    );
    site.policy("site", &format!("{}{dns}{}", head(), web("web", &[NAME])));
    let daemon = site.run(&lab.gw);
    let denied = || Counters::read(&lab.gw).get("portgrave", "out.default");
    assert_eq!(denied(), 0);
    let union: BTreeSet<IpAddr> = all.iter().map(|text| address(text)).collect();
    let (whole, over, begun) = (AtomicBool::new(false), AtomicBool::new(false), Instant::now());
    // No address lives so long without being renewed.
    let until = begun + Duration::from_secs(life + 1);
    let (before, after) = std::thread::scope(|scope| {
        let client = scope.spawn(|| client(lab, cache, until, &whole, &over));
        let failing = EndOnPanic(&over);
        let sets = daemon.sets_are("hold the union", |sets| sets.addresses() == union);
        sets.all_end_within(life);
        drop(failing);
        whole.store(true, Ordering::SeqCst);
        say(format!("the union of 40 addresses was held after {:.1} s", begun.elapsed().as_secs_f64()));
        client.join().expect("the client")
    });
    say(format!(
        "until then {} of {} connections were refused, afterwards {} of {} in {:.1} s",
        before.0,
        before.1,
        after.0,
        after.1,
        begun.elapsed().as_secs_f64()
    ));
    assert!(after.0 == 0 && after.1 >= 1000, "{after:?}");
    assert_eq!(denied(), before.0 as u64, "every refusal is counted");
    assert_eq!(daemon.sets().addresses(), union, "what was not seen for a while is still there");
}

/// Ends the client of a test that fails.
struct EndOnPanic<'a>(&'a AtomicBool);

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        self.0.store(std::thread::panicking(), Ordering::SeqCst);
    }
}

/// Looks the name up as every program does, and connects to one of the addresses, until the sets are whole and then 1000
/// times and until the moment given. Says how many were refused of how many, before and after.
fn client(
    lab: &Lab,
    cache: SocketAddr,
    until: Instant,
    whole: &AtomicBool,
    over: &AtomicBool,
) -> ((usize, usize), (usize, usize)) {
    let (mut before, mut after) = ((0, 0), (0, 0));
    for turn in 0.. {
        let is_whole = whole.load(Ordering::SeqCst);
        let answer = ask(&lab.gw, cache, NAME, Family::V4);
        let (address, ttl) = answer.addresses[turn % answer.addresses.len()];
        assert!(ttl <= ROTATION_TTL, "{answer:?}");
        let refused = lab.connect(address) == Reached::Refused;
        let count = if is_whole { &mut after } else { &mut before };
        *count = (count.0 + usize::from(refused), count.1 + 1);
        if (after.1 >= 1000 && Instant::now() > until) || over.load(Ordering::SeqCst) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    (before, after)
}

#[test]
fn clients_of_a_cache_with_rotating_answers_are_not_refused_once_all_were_seen() {
    isolated("clients_of_a_cache_with_rotating_answers_are_not_refused_once_all_were_seen", || {
        let lab = Lab::new();
        let cache = lab.serve(&SERVERS[..1])[0];
        rotation(&lab, cache, 30, |sets| lab.dns.set(NAME, Act::cached(sets, ROTATION_TTL)));
    });
}

#[test]
fn clients_of_unbound_with_rotating_answers_are_not_refused_once_all_were_seen() {
    isolated("clients_of_unbound_with_rotating_answers_are_not_refused_once_all_were_seen", || {
        let lab = Lab::new();
        let upstream = lab.serve(&SERVERS[..1])[0];
        let _unbound = unbound(&lab, address("10.99.0.54"), &Source::Upstream(upstream));
        let cache = (address("10.99.0.54"), 53).into();
        // What is left of a TTL is 0 for the last second that unbound answers from its cache.
        rotation(&lab, cache, 45, |sets| lab.dns.set(NAME, Act::rotating(sets, ROTATION_TTL)));
    });
}

#[test]
fn clients_of_dnsmasq_with_rotating_answers_are_not_refused_once_all_were_seen() {
    isolated("clients_of_dnsmasq_with_rotating_answers_are_not_refused_once_all_were_seen", || {
        let lab = Lab::new();
        let upstream = lab.serve(&SERVERS[..1])[0];
        let _dnsmasq = dnsmasq(&lab, address("10.99.0.54"), &Source::Upstream(upstream));
        let cache = (address("10.99.0.54"), 53).into();
        rotation(&lab, cache, 30, |sets| lab.dns.set(NAME, Act::rotating(sets, ROTATION_TTL)));
    });
}

#[test]
fn real_servers_with_records_of_their_own_fill_the_sets() {
    isolated("real_servers_with_records_of_their_own_fill_the_sets", || {
        let lab = Lab::new();
        let records: &[(&str, &[&str])] = &[(NAME, &["93.184.10.1", "93.184.10.2", "2606:2800:10::1"])];
        let source = Source::Records { ttl: 90, records };
        for (text, start) in [
            ("10.99.0.53", unbound as fn(&Lab, IpAddr, &Source<'_>) -> rig::Process),
            ("10.99.0.54", dnsmasq),
        ] {
            let _server = start(&lab, address(text), &source);
            let site = Site::named(&lab, text, &resolver(&[(address(text), 53).into()], "grace = \"30s\""));
            site.policy_for(&[NAME]);
            let daemon = site.run(&lab.gw);
            let sets = daemon.holds(records[0].1);
            sets.all_end_within(120);
            assert!(sets.left("93.184.10.1").is_some_and(|left| left > 60), "{sets:?}");
            let report = daemon.name(NAME);
            let server = report["addresses"][0]["server"].as_str().expect("the server that said it");
            assert!(server.starts_with(text), "{report:#}");
            daemon.stop();
            lab.gw.nft("delete table inet portgrave\n");
        }
    });
}
