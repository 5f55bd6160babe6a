//! What the fuzzer begins with, `fuzz/seeds/TARGET/`, is what the program writes now. `PORTGRAVE_BLESS=1` writes it anew.
//!
//! The seeds of `dns` are held by a test of `resolver::judge`; those of `policy-text` are the texts of this repository.
#![cfg(all(feature = "kernel", feature = "daemon"))]

#[path = "fuzz_seeds/kernel.rs"]
mod kernel;
#[path = "common/sample.rs"]
mod sample;
#[path = "fuzz_seeds/state.rs"]
mod state;

use portgrave::control::{Handed, PolicyText, Request, Sealed, agreed, refused};
use portgrave::resolver::{Answer, Counters, Failure, Lookup};
use portgrave::ruleset::{Elements, Ruleset};
use portgrave::types::{Family, HostName};
use portgrave::worker::{FromWorker, Landlock, Message, Raised, ToWorker, decode, encode};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// By name.
type Seeds = BTreeMap<&'static str, Vec<u8>>;

fn directory(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target)
}

/// The files of a target's directory are these seeds.
fn held(target: &str, seeds: &Seeds) {
    let directory = directory(target);
    if std::env::var_os("PORTGRAVE_BLESS").is_some() {
        std::fs::create_dir_all(&directory).expect("a directory");
        for (name, seed) in seeds {
            std::fs::write(directory.join(name), seed).expect("a seed is written");
        }
    }
    let entries = std::fs::read_dir(&directory).expect("the seeds' directory");
    let found: BTreeSet<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    assert!(found.iter().eq(seeds.keys()), "{found:?} in {}", directory.display());
    for (name, seed) in seeds {
        let held = std::fs::read(directory.join(name)).expect("a seed");
        let text = String::from_utf8_lossy(seed);
        assert!(
            held == *seed,
            "{target}/{name} is another than the program writes: PORTGRAVE_BLESS=1; now\n{text}"
        );
    }
}

fn joined(lines: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    lines.into_iter().collect::<Vec<_>>().join(&b'\n')
}

fn packet<M: Message>(message: &M) -> Vec<u8> {
    encode(message).expect("a message")
}

fn name(text: &str) -> HostName {
    text.parse().expect("a name")
}

fn ended(of: &str, family: Family, outcome: Result<&[(&str, u32)], Failure>) -> Vec<u8> {
    let address = |(text, ttl): &(&str, u32)| (text.parse().expect("an address"), *ttl);
    let outcome = outcome.map(|list| Answer { addresses: list.iter().map(address).collect(), left_out: 0 });
    let lookup = Lookup { server: Some("192.0.2.53:53".parse().expect("a server")), outcome };
    packet(&FromWorker::Ended { name: name(of), family, lookup })
}

/// An answer over the caps, refused addresses, time that passes, failures, a worker that dies.
fn story() -> Vec<u8> {
    let many = ["1", "2", "3", "4", "5", "6"].map(|last| format!("93.184.216.{last}"));
    let many: Vec<(&str, u32)> = many.iter().map(|text| (text.as_str(), 300)).collect();
    joined([
        ended("a.example", Family::V4, Ok(&many)),
        b"40".to_vec(),
        ended("b.example", Family::V4, Ok(&[("10.0.0.1", 0), ("93.184.216.7", 4_000_000)])),
        ended("c.example", Family::V4, Ok(&[("10.0.0.1", 60), ("93.184.216.9", 60)])),
        ended("www.example", Family::V6, Ok(&[("2606:2800::1", 60), ("2606:2800::2", 3_600)])),
        b"360".to_vec(),
        ended("a.example", Family::V4, Err(Failure::Timeout)),
        b"died".to_vec(),
        ended("www.example", Family::V6, Err(Failure::NxDomain { seconds: Some(60) })),
        ended("b.example", Family::V4, Err(Failure::NoData { seconds: None })),
        b"65535".to_vec(),
        ended("c.example", Family::V4, Err(Failure::ServFail)),
    ])
}

fn failures() -> Vec<u8> {
    let all = [
        Failure::NoData { seconds: Some(300) },
        Failure::Refused,
        Failure::FormErr,
        Failure::NotImp,
        Failure::OtherCode { code: 23 },
        Failure::Lame,
        Failure::ChainTooLong,
        Failure::ChainLoop,
        Failure::TwoAliases,
        Failure::Malformed,
        Failure::Unreachable,
        Failure::NoServers,
        Failure::TooMany,
    ];
    let lines = all.map(|failure| ended("c.example", Family::V6, Err(failure)));
    joined([ended("c.example", Family::V6, Ok(&[("2606:2800::1", 60)]))].into_iter().chain(lines))
}

fn asks() -> Vec<u8> {
    let ask = |family, servers: &[&str]| {
        let servers = servers.iter().map(|server| server.parse().expect("a server")).collect();
        packet(&ToWorker::Ask { name: name("www.example"), family, servers })
    };
    joined([ask(Family::V4, &["192.0.2.53:53", "[fe80::53%2]:5353"]), ask(Family::V6, &[])])
}

fn others() -> Vec<u8> {
    joined([
        packet(&FromWorker::Ready(Raised { uid: 65534, landlock: Landlock::Full })),
        packet(&FromWorker::Refused { reason: "seccomp: not there".into() }),
        packet(&FromWorker::Counters(Counters { udp_asked: 7, tcp_asked: 1, timeouts: 2, spoof_suspect: 3 })),
        packet(&FromWorker::Denied { records: kernel::records(), lost: 3 }),
    ])
}

#[test]
fn seeds_of_worker_messages_are_what_agent_and_worker_write() {
    let seeds: Seeds =
        [("story", story()), ("failures", failures()), ("asks", asks()), ("others", others())].into();
    held("worker-messages", &seeds);
    for line in seeds.values().flat_map(|seed| seed.split(|octet| *octet == b'\n')) {
        let is_time = line.iter().all(u8::is_ascii_digit) || line == b"died";
        let is_message = decode::<FromWorker>(line).is_ok() || decode::<ToWorker>(line).is_ok();
        assert!(is_time || is_message, "{}", String::from_utf8_lossy(line));
    }
}

fn document(lists: &[(&str, &str)]) -> Vec<u8> {
    let policy = [("50-site.toml", 1), ("60-more.toml", 2)].map(|(name, layer)| PolicyText {
        name: name.into(),
        layer,
        text: "language = 1\n".into(),
    });
    let lists = lists.iter().map(|(path, content)| ((*path).to_owned(), content.as_bytes()));
    let files = Handed::seal(&policy, lists).expect("it is sealed");
    Sealed::check(0, &files[0]).expect("it is sealed").read().expect("it is read")
}

#[test]
fn seeds_of_control_messages_are_what_commands_and_the_daemon_write() {
    let line = |request: Request| request.to_line().into_bytes();
    let names = serde_json::json!({ "names": [{ "name": "a.example", "addresses": ["93.184.216.34"] }] });
    let seeds: Seeds = [
        ("ping", line(Request::Ping {})),
        ("status", line(Request::Status {})),
        ("names", line(Request::Names {})),
        ("reload", line(Request::Reload {})),
        ("apply", line(Request::Apply {})),
        ("document", document(&[])),
        ("document-with-lists", document(&[("/lists/a.txt", "192.0.2.1\n"), ("/lists/b.txt", "")])),
        ("agreed", agreed(names).to_string().into_bytes()),
        ("refused", refused("it is not so", "write it otherwise").to_string().into_bytes()),
    ]
    .into();
    held("control-messages", &seeds);
}

#[test]
fn seeds_of_state_files_are_what_the_store_writes() {
    held("state-files", &state::files());
}

#[test]
fn seeds_of_nflog_are_datagrams_that_are_read_whole() {
    let seeds = kernel::datagrams();
    held("nflog", &seeds);
    assert_eq!(kernel::records().len(), 4);
}

#[test]
fn the_seed_of_netlink_is_a_table_that_is_read_whole() {
    let path = directory("netlink").join("table");
    let now = kernel::dump(&sample::ruleset());
    if std::env::var_os("PORTGRAVE_BLESS").is_some() {
        std::fs::create_dir_all(directory("netlink")).expect("a directory");
        std::fs::write(&path, &now).expect("a seed is written");
    }
    // Versions of libnftnl write the same in other octets.
    let read = |octets: &[u8]| kernel::read(octets).expect("a dump");
    assert_eq!(read(&std::fs::read(path).expect("the seed")), read(&now));
    let (table, sample) = (read(&now), sample::ruleset());
    assert!(table.chains.keys().eq(sample.chains.keys()));
    let rules = |of: &Ruleset| of.chains.values().map(|chain| chain.rules.len()).sum::<usize>();
    assert_eq!(rules(&table), rules(&sample));
    let elements = |of: &Ruleset| -> BTreeMap<String, Elements> {
        of.sets.iter().map(|(name, set)| (name.clone(), set.elements.clone())).collect()
    };
    assert_eq!(elements(&table), elements(&sample));
}
