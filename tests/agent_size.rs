//! Many names at once: all are asked in time, a change is soon in the kernel, and it costs little. Without work the
//! daemon sleeps.
//!
//! PORTGRAVE_TEST_NAME_SECONDS=600 watches 2,000 names for ten minutes and holds the release build, which PORTGRAVE_BIN names,
//! to the figures of docs/performance.md. Without it there are 300 names, and bounds that a busy machine and a debug
//! build keep.

mod lab;
mod rig;

use lab::agent::head;
use lab::kernel::Finder;
use lab::samples::resolver;
use lab::wire::{Message, QUESTION, Record};
use lab::{Act, Daemon, Lab, PATIENCE, SERVERS, Site, eventually_within};
use portgrave::netlink::OpenNfTables;
use portgrave::types::Family;
use rig::{all_on, isolated, say, shipped_path};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Every tenth is asked in vain.
const SILENT: usize = 10;
/// In each family.
const ADDRESSES: usize = 8;
/// No rule may have more than 4,096 addresses.
const NAMES_A_RULE: usize = 200;
/// Names that have another address with each answer.
const CHANGING: usize = 20;
const CHANGES: usize = 60;

/// How much there is, and what it may cost.
struct Scale {
    names: usize,
    watch: Duration,
    /// How much later than due a name may be asked.
    late: Duration,
    /// Half of the changes are in the kernel after this time.
    soon: Duration,
    /// MiB of both processes, with all names and with the shipped policy.
    memory: [f64; 2],
    /// How long nothing happens, and the share of a core that may be used meanwhile.
    idle: (Duration, f64),
}

impl Scale {
    fn get() -> Self {
        let small = Self {
            names: 300,
            watch: Duration::from_secs(20),
            late: Duration::from_secs(5),
            soon: Duration::from_millis(250),
            memory: [64.0, 64.0],
            idle: (Duration::from_secs(10), 0.05),
        };
        match std::env::var("PORTGRAVE_TEST_NAME_SECONDS") {
            Err(_) => small,
            Ok(text) => Self {
                names: 2_000,
                watch: Duration::from_secs(text.parse().expect("PORTGRAVE_TEST_NAME_SECONDS is in seconds")),
                late: Duration::from_secs(1),
                soon: Duration::from_millis(25),
                memory: [32.0, 16.0],
                idle: (Duration::from_secs(60), 0.001),
            },
        }
    }

    fn healthy(&self) -> impl Iterator<Item = usize> {
        (0..self.names).filter(|index| !is_silent(*index))
    }
}

fn name(index: usize) -> String {
    format!("name-{index}.example.net")
}

fn changing(index: usize) -> String {
    format!("changing-{index}.example.net")
}

/// 5 to 300 seconds, each as often as any other.
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
        let family = asked.query.family()?;
        let address = |which| numbered(family, index * ADDRESSES + (which + asked.before) % ADDRESSES);
        let record = |which| Record::address("", ttl(index), address(which)).owned_by(&QUESTION);
        let answer = (0..ADDRESSES).map(record).collect();
        Some(Message { answer, ..Message::to(asked.query) })
    })
}

/// An address that no answer had before, and when it was sent.
type Sent = (IpAddr, Instant);

fn of_changing(index: usize, sent: Sender<Sent>) -> Act {
    Act::of(move |asked| {
        let family = asked.query.family()?;
        let address = numbered(family, 40_000 + index * 1_000 + asked.before % 1_000);
        let answer = vec![Record::address("", 1, address).owned_by(&QUESTION)];
        if family == Family::V4 && asked.before < 1_000 {
            // Nobody may be waiting any more.
            let _ = sent.send((address, Instant::now()));
        }
        Some(Message { answer, ..Message::to(asked.query) })
    })
}

/// A policy with all names, in rules of so many.
fn policy(count: usize) -> String {
    let names: Vec<String> = (0..count).map(name).collect();
    let rule = |rule: String, names: &[String]| {
        format!(
            "\n[[rule]]\nname = \"{rule}\"\ndirection = \"out\"\nports = [\"tcp/443\"]\npeers = {names:?}\n"
        )
    };
    let rules =
        names.chunks(NAMES_A_RULE).enumerate().map(|(number, names)| rule(format!("rule-{number}"), names));
    let all: String = rules.collect();
    let changing: Vec<String> = (0..CHANGING).map(changing).collect();
    format!("{}{all}{}", head(), rule("changing".into(), &changing))
}

#[test]
fn many_names_are_asked_in_time_while_a_tenth_is_asked_in_vain() {
    isolated("many_names_are_asked_in_time_while_a_tenth_is_asked_in_vain", || {
        let (scale, lab) = (Scale::get(), Lab::new());
        let server = lab.serve(&SERVERS[..1])[0];
        for index in 0..scale.names {
            lab.dns.set(&name(index), if is_silent(index) { Act::silent() } else { of_name(index) });
        }
        let (sender, sent) = channel();
        for index in 0..CHANGING {
            lab.dns.set(&changing(index), of_changing(index, sender.clone()));
        }
        let site = Site::new(&lab, &resolver(&[server], "min-interval = \"1s\""));
        site.policy("site", &policy(scale.names));
        let daemon = site.run(&lab.gw);
        learnt(&scale, &daemon);
        settled(&scale, &lab);
        let (from, computed) = (Instant::now(), daemon.computed());
        soon_in_the_kernel(&scale, &daemon, sent);
        std::thread::sleep(scale.watch.saturating_sub(from.elapsed()));
        let share = (daemon.computed() - computed).as_secs_f64() / from.elapsed().as_secs_f64();
        in_time(&scale, &lab, &daemon, from);
        let memory = daemon.memory() as f64 / 1024.0;
        say(format!("{} names: {memory:.1} MiB, {:.1} % of a core", scale.names, share * 100.0));
        assert!(memory <= scale.memory[0], "{memory} MiB");
        reloaded(&scale, &daemon);
        assert_eq!(daemon.status()["worker"]["restarts"], 0);
    });
}

#[test]
fn with_the_shipped_policy_and_nothing_to_do_the_daemon_is_small_and_sleeps() {
    isolated("with_the_shipped_policy_and_nothing_to_do_the_daemon_is_small_and_sleeps", || {
        let (scale, lab) = (Scale::get(), Lab::new());
        let server = lab.serve(&SERVERS[..1])[0];
        lab.dns.set_at(
            server,
            Act::of(|asked| {
                let address = numbered(asked.query.family()?, 1);
                let answer = vec![Record::address("", 86_400, address).owned_by(&QUESTION)];
                Some(Message { answer, ..Message::to(asked.query) })
            }),
        );
        let site = Site::new(&lab, &resolver(&[server], ""));
        let settings = std::fs::read_to_string(site.config()).expect("the settings");
        std::fs::write(site.config(), format!("policy = [\"clearswift-seg\"]\n{settings}"))
            .expect("settings");
        let shipped = std::fs::read_to_string(shipped_path()).expect("the shipped policy");
        std::fs::write(site.path("vendor/clearswift-seg.toml"), shipped).expect("a policy file");
        site.policy("site", &all_on());
        let daemon = site.run(&lab.gw);
        eventually_within(PATIENCE, "every name has an address", || {
            let names = daemon.status()["names"].clone();
            let all = names["all"] == names["with_addresses"] && names["all"] != 0;
            if all { Ok(()) } else { Err(names.to_string()) }
        });
        quiet(&daemon);
        sleeps(&scale, &daemon);
        let memory = daemon.memory() as f64 / 1024.0;
        say(format!("the shipped policy: {memory:.1} MiB"));
        assert!(memory <= scale.memory[1], "{memory} MiB");
    });
}

/// Waits until the rest of the start is over: files that are saved, a look at what was written.
fn quiet(daemon: &Daemon<'_>) {
    let count = || daemon.sleeps().iter().sum::<u64>();
    eventually_within(PATIENCE, "five seconds with little to do", || {
        let before = count();
        std::thread::sleep(Duration::from_secs(5));
        let woken = count() - before;
        if woken <= 6 { Ok(()) } else { Err(format!("woken {woken} times")) }
    });
}

/// One look at the generation id a second is all.
fn sleeps(scale: &Scale, daemon: &Daemon<'_>) {
    let (idle, most) = scale.idle;
    let (from, before, computed) = (Instant::now(), daemon.sleeps(), daemon.computed());
    std::thread::sleep(idle);
    let (after, share) = (daemon.sleeps(), (daemon.computed() - computed).as_secs_f64());
    let seconds = from.elapsed().as_secs_f64();
    let woken: Vec<f64> = after.iter().zip(&before).map(|(after, before)| (after - before) as f64).collect();
    let share = share / seconds;
    say(format!("idle for {seconds:.0} s: woken {woken:?} times, {:.3} % of a core", share * 100.0));
    assert_eq!((before.len(), after.len()), (2, 2), "the daemon and its worker");
    assert!(woken[0] <= seconds.mul_add(1.0, 2.0), "the daemon was woken {} times in {seconds} s", woken[0]);
    assert_eq!(woken[1], 0.0, "the worker was woken");
    assert!(share <= most, "{share} of a core");
}

/// Waits until every name that is answered has addresses.
fn learnt(scale: &Scale, daemon: &Daemon<'_>) {
    let (begun, healthy) = (Instant::now(), scale.healthy().count() + CHANGING);
    eventually_within(Duration::from_secs(300), "every name that is answered has addresses", || {
        let all = daemon.status()["names"]["with_addresses"].as_u64().unwrap_or_default();
        std::thread::sleep(Duration::from_millis(100));
        if all >= healthy as u64 { Ok(()) } else { Err(format!("{all} of {healthy}")) }
    });
    say(format!("{healthy} names were learnt within {:.1} s", begun.elapsed().as_secs_f64()));
}

/// Waits until the rush of the start is over: what shows new addresses is asked once more soon, and 200 questions a second are the most.
fn settled(scale: &Scale, lab: &Lab) {
    eventually_within(Duration::from_secs(300), "each name that is answered was asked twice", || {
        let times = times(lab);
        let few = |index: &usize| {
            let count = |family| times.get(&(name(*index), Some(family))).map_or(0, Vec::len);
            Family::BOTH.into_iter().any(|family| count(family) < 2)
        };
        let left = scale.healthy().filter(few).count();
        std::thread::sleep(Duration::from_millis(500));
        if left == 0 { Ok(()) } else { Err(format!("{left} names")) }
    });
}

/// Judges how long a new address takes from the server to the kernel.
fn soon_in_the_kernel(scale: &Scale, daemon: &Daemon<'_>, sent: Receiver<Sent>) {
    let mut all: Vec<Duration> = daemon.ns.enter(move || {
        // To close a socket would take as long as the kernel has to free something.
        let mut kernel = OpenNfTables::default();
        (0..CHANGES).map(|_| latency(daemon, &mut kernel, &sent)).collect()
    });
    all.sort_unstable();
    let (median, last) = (all[all.len() / 2], all[all.len() - 1]);
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    say(format!(
        "from an answer to the kernel: median {:.1} ms, at most {:.1} ms, of {}",
        milliseconds(median),
        milliseconds(last),
        all.len()
    ));
    assert!(median <= scale.soon, "{all:?}");
}

/// The address that is sent next, since those of earlier answers may be there already.
fn latency(daemon: &Daemon<'_>, kernel: &mut OpenNfTables, sent: &Receiver<Sent>) -> Duration {
    while sent.try_recv().is_ok() {}
    let mut finder = Finder::new(daemon.ns, Family::V4);
    let (address, at) = sent.recv_timeout(PATIENCE).expect("a name that changes is asked again and again");
    loop {
        match finder.holds(kernel, address, 443) {
            Some(true) => return at.elapsed(),
            Some(false) => assert!(at.elapsed() < PATIENCE, "{address} does not come"),
            None => finder = Finder::new(daemon.ns, Family::V4),
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// When each question came.
fn times(lab: &Lab) -> BTreeMap<(String, Option<Family>), Vec<Instant>> {
    let mut times: BTreeMap<_, Vec<Instant>> = BTreeMap::new();
    for seen in lab.dns.seen() {
        times.entry((seen.name, seen.family)).or_default().push(seen.at);
    }
    times
}

/// No question for a name that is answered came much later than it was due: so says the daemon, and so it was at the server.
fn in_time(scale: &Scale, lab: &Lab, daemon: &Daemon<'_>, from: Instant) {
    let late = &daemon.names()["counters"]["late_ms_max"];
    let late = Duration::from_millis(late.as_u64().expect("a number"));
    let (times, now) = (times(lab), Instant::now());
    let (mut worst, mut judged, mut missing) = (0.0_f64, 0, Vec::new());
    for index in scale.healthy() {
        // A twentieth of the TTL later, as long as the grace covers it.
        let wait = (f64::from(ttl(index)) + 0.1) * 1.05;
        for family in Family::BOTH {
            let times = &times[&(name(index), Some(family))];
            for two in times.windows(2).filter(|two| two[1] > from) {
                worst = worst.max((two[1] - two[0]).as_secs_f64() - wait);
                judged += 1;
            }
            let since = times.last().map_or(f64::MAX, |last| (now - *last).as_secs_f64());
            if since > wait + scale.late.as_secs_f64() {
                missing.push(format!("{} {family:?}: {since:.1} s", name(index)));
            }
        }
    }
    say(format!(
        "{judged} questions, the latest {:.0} ms after it was due; {late:?} says the daemon",
        worst * 1000.0
    ));
    assert!(missing.is_empty(), "overdue: {missing:?}");
    assert!(judged > scale.names / 10 && worst <= scale.late.as_secs_f64(), "{worst} s late, of {judged}");
    assert!(late <= scale.late, "{late:?} late");
}

/// A change of everything needs memory for a while, and gives it back.
fn reloaded(scale: &Scale, daemon: &Daemon<'_>) {
    let (before, begun) = (daemon.peak(), Instant::now());
    daemon.reload();
    let took = begun.elapsed().as_secs_f64();
    let mib = |kib: u64| kib as f64 / 1024.0;
    eventually_within(PATIENCE, "little memory after a reload", || {
        let left = mib(daemon.memory());
        if left <= scale.memory[0] { Ok(()) } else { Err(format!("{left:.1} MiB")) }
    });
    std::thread::sleep(Duration::from_secs(2));
    let (before, peak, left) = (mib(before), mib(daemon.peak()), mib(daemon.memory()));
    say(format!(
        "a reload took {took:.1} s; the daemon's most memory before {before:.1} MiB, then {peak:.1}; left {left:.1} MiB"
    ));
}
