//! The cases under `tests/golden/`.

use portgrave::compile::{Features, compile};
use portgrave::diag::{Findings, SourceMap, render_text};
use portgrave::model::{AddressBook, LearnedAddress, LogPolicy, Policy, resolve};
use portgrave::policy::{Layer, parse, parse_settings};
use portgrave::ruleset::Ruleset;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What every learned address of a case has left to live.
const LIFE: Duration = Duration::from_secs(300);

pub struct Case {
    pub name: String,
    pub dir: PathBuf,
    pub policy: Policy,
    pub book: AddressBook,
}

impl Case {
    pub fn ruleset(&self) -> Ruleset {
        compile(&self.policy, &self.book, &Features::ALL)
            .unwrap_or_else(|findings| panic!("{}: {findings:?}", self.name))
    }
}

pub fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut dirs: Vec<PathBuf> =
        std::fs::read_dir(root).expect("tests/golden").map(|entry| entry.expect("an entry").path()).collect();
    dirs.sort();
    dirs.into_iter().map(case).collect()
}

fn case(dir: PathBuf) -> Case {
    let text = std::fs::read_to_string(dir.join("policy.toml")).expect("policy.toml");
    let name = dir.file_name().expect("a name").to_string_lossy().into_owned();
    let mut policy = resolved(&name, &text);
    if let Ok(text) = std::fs::read_to_string(dir.join("portgrave.toml")) {
        policy.log = log_policy(&text);
    }
    let book = match std::fs::read_to_string(dir.join("addresses.toml")) {
        Ok(text) => address_book(&text),
        Err(_) => AddressBook::default(),
    };
    Case { name, dir, policy, book }
}

/// The policy of a text, which must have no error.
fn resolved(name: &str, text: &str) -> Policy {
    let mut sources = SourceMap::default();
    let file = sources.add(name, text);
    let shown = |findings: &Findings| render_text(findings, &sources, false);
    let parsed =
        parse(&sources, &[(file, Layer(0))]).unwrap_or_else(|findings| panic!("{}", shown(&findings)));
    let (policy, findings) = resolve(&parsed);
    assert!(!findings.has_errors(), "{}", shown(&findings));
    policy
}

/// `[log]` of a settings file.
fn log_policy(text: &str) -> LogPolicy {
    let mut sources = SourceMap::default();
    let file = sources.add("portgrave.toml", text);
    parse_settings(&sources, Some(file)).unwrap_or_else(|findings| panic!("{findings:?}")).log
}

fn address_book(text: &str) -> AddressBook {
    let table: toml::Table = text.parse().expect("addresses.toml");
    let names = pairs(&table, "names").map(|(name, addresses)| {
        let learned = |address: String| LearnedAddress { address: parsed(&address), remaining: LIFE };
        (parsed(&name), addresses.into_iter().map(learned).collect())
    });
    let lists = pairs(&table, "lists")
        .map(|(path, ranges)| (PathBuf::from(path), ranges.iter().map(|range| parsed(range)).collect()));
    AddressBook {
        names: names.collect(),
        lists: lists.collect(),
        resolv_conf: values(&table, "resolv-conf"),
        dns_servers: values(&table, "dns-servers"),
        own: values(&table, "own"),
        connected: values(&table, "connected"),
        broadcast: values(&table, "broadcast"),
        agent_uid: 0,
        users: users(&table),
    }
}

/// `[users]`: uids by name; `false` for a user that is not there.
fn users(table: &toml::Table) -> std::collections::BTreeMap<String, Option<u32>> {
    let inner =
        table.get("users").map(|value| value.as_table().expect("a table").clone()).unwrap_or_default();
    let uid = |value: toml::Value| value.as_integer().map(|uid| u32::try_from(uid).expect("a uid"));
    inner.into_iter().map(|(name, value)| (name, uid(value))).collect()
}

fn pairs<'a>(table: &'a toml::Table, key: &str) -> impl Iterator<Item = (String, Vec<String>)> + 'a {
    let inner = table.get(key).map(|value| value.as_table().expect("a table").clone()).unwrap_or_default();
    inner.into_iter().map(|(key, value)| (key, strings(&value)))
}

fn values<T: std::str::FromStr<Err: std::fmt::Debug>>(table: &toml::Table, key: &str) -> Vec<T> {
    table.get(key).map(strings).unwrap_or_default().iter().map(|text| parsed(text)).collect()
}

fn strings(value: &toml::Value) -> Vec<String> {
    let array = value.as_array().expect("an array");
    array.iter().map(|item| item.as_str().expect("a string").to_owned()).collect()
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a value of addresses.toml")
}
