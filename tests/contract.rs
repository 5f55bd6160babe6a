//! Every key of the language as a whole (`tests/contract/`), one by one: what is built is read, what is not is refused with
//! "not yet", and nothing is passed over in silence.

use portgrave::diag::{Findings, SourceMap, render_text};
use portgrave::policy::{Layer, parse, parse_settings};
use std::path::Path;
use toml::{Table, Value};

const BASE: &str =
    "language = 1\n[[rule]]\nname = \"base\"\ndirection = \"in\"\nports = [\"tcp/22\"]\npeers = \"any\"\n";

/// What a domain of the resolver has at least.
const DOMAIN: &str = "suffix = \"example\"\nservers = [\"192.0.2.53\"]\n";

/// What the two examples do not show: the other forms of a key, with the finding that they must have, or none.
const OTHER_FORMS: &[(&str, &str, Option<&str>)] = &[
    ("default.in", "\"reject\"", None),
    ("default.out", "\"audit\"", None),
    ("default.forward", "\"deny\"", None),
    ("rule.0.service", "[\"smtp\", \"ssh\"]", None),
    ("rule.0.ports", "[\"tcp/25\", \"udp/53\", \"tcp/50000-50100\"]", None),
    ("rule.0.ports", "[\"any\"]", None),
    ("rule.0.ports", "[\"sctp/3868\", \"icmp\", \"icmpv6/packet-too-big\", \"icmp/13\"]", None),
    ("rule.0.ports", "[\"icmp/echo-request\"]", None),
    ("rule.0.ports", "[\"esp\", \"ah\", \"gre\", \"ospf\", \"igmp\"]", None),
    ("rule.0.ports", "[\"vrrp\"]", None),
    ("rule.0.ports", "[\"proto/41\"]", None),
    ("rule.0.peers", "\"@admins\"", None),
    ("rule.0.peers", "[\"192.0.2.7\", \"2001:db8::/32\", \"mx.example.net\", \"broadcast\"]", None),
    ("rule.0.peers", "\"0.0.0.0/0\"", None),
    ("rule.0.peers", "[\"*.mailshell.net\"]", Some("PG103")),
    ("rule.0.when", "[\"pmm\", \"!pmm-full\"]", None),
    ("rule.0.action", "\"deny\"", None),
    ("rule.0.action", "\"reject\"", None),
    ("rule.0.direction", "\"both\"", None),
    ("rule.0.from-ports", "[\"udp/68\", \"tcp/1024-65535\", \"sctp/5000\"]", None),
    ("rule.0.zone", "[\"inside\", \"dmz\"]", None),
    ("rule.0.local", "[\"192.0.2.1\", \"2001:db8::/64\", \"192.0.2.10-192.0.2.20\"]", None),
    ("rule.0.user", "38", None),
    ("rule.0.user", "[\"chrony\", 38]", None),
    ("rule.0.log", "false", None),
    ("rule.0.replaces", "true", None),
    ("rule.0.expires", "\"2027-03-31\"", Some("PG103")),
    ("override.x.service", "[\"smtp\", \"ssh\"]", None),
    ("override.x.enabled", "false", None),
    ("override.x.log", "true", None),
    ("override.x.peers", "\"any\"", None),
    ("override.x.zone", "\"inside\"", None),
    ("override.x.limit", "\"20/second\"", Some("PG103")),
    ("zones.outside", "[]", None),
    ("hosts.x.ttl-floor", "\"60s\"", None),
    ("hosts.x.ttl-cap", "\"1h\"", None),
    ("hosts.x.grace", "\"5m\"", None),
    ("hosts.x.except", "[\"192.0.2.0/24\", \"@monitoring\", \"192.0.2.1-192.0.2.9\"]", None),
    ("hosts.x.allow-net", "[\"10.0.0.0/8\", \"fd00::/8\"]", None),
    ("baseline.containers", "true", None),
];

/// One of the two kinds of file.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Settings,
    Policy,
}

impl Kind {
    fn example(self) -> Table {
        let name = if self == Self::Settings { "portgrave.toml" } else { "site.toml" };
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract").join(name);
        let text = std::fs::read_to_string(path).expect("the example");
        text.parse().expect("TOML")
    }

    fn base(self) -> Table {
        let text = if self == Self::Settings { "" } else { BASE };
        text.parse().expect("TOML")
    }

    /// The findings of a file, as codes with their texts.
    fn findings(self, table: &Table) -> Vec<(&'static str, String)> {
        let mut sources = SourceMap::default();
        let file = sources.add("file.toml", written(table));
        let findings = match self {
            Self::Settings => parse_settings(&sources, Some(file)).err(),
            Self::Policy => parse(&sources, &[(file, Layer(1))]).err(),
        };
        let one = |finding: &portgrave::diag::Finding| (finding.code, finding.message.clone());
        findings.iter().flat_map(Findings::iter).map(one).collect()
    }
}

/// A table as text, `language` first: the serializer sorts.
fn written(table: &Table) -> String {
    let mut table = table.clone();
    let language = table.remove("language").map(|value| format!("language = {value}\n")).unwrap_or_default();
    language + &toml::to_string(&table).expect("a text")
}

/// Every key of a table and of those in it: the way to it, segment by segment, and its value.
fn keys(value: &Value, way: &[String], found: &mut Vec<(Vec<String>, Value)>) {
    let mut inner: Vec<(String, &Value)> = Vec::new();
    if let Some(table) = value.as_table() {
        inner.extend(table.iter().map(|(key, value)| (key.clone(), value)));
    }
    if let Some(array) = value.as_array().filter(|array| array.iter().all(Value::is_table)) {
        inner.extend(array.iter().enumerate().map(|(index, value)| (index.to_string(), value)));
    }
    for (key, value) in inner {
        let way = [way, &[key]].concat();
        if way.last().is_some_and(|last| last.parse::<usize>().is_err()) {
            found.push((way.clone(), value.clone()));
        }
        keys(value, &way, found);
    }
}

/// Puts a value at the end of a way, with what the tables on the way need beside it.
fn put(table: &mut Table, way: &[String], value: Value) {
    let way: Vec<&str> = way.iter().map(String::as_str).collect();
    match way.as_slice() {
        [key] => drop(table.insert((*key).to_owned(), value)),
        [key, "0", rest @ ..] => {
            let needed = if *key == "domain" { DOMAIN.parse().expect("TOML") } else { Table::new() };
            let entry = table.entry(*key).or_insert_with(|| Value::Array(vec![Value::Table(needed)]));
            let first = entry.as_array_mut().and_then(|array| array[0].as_table_mut()).expect("a table");
            if rest == ["service"] {
                first.remove("ports");
            }
            put(first, &owned(rest), value);
        }
        ["hosts", name, key] => nest(table, "hosts", name, key, value, ("members", "[\"192.0.2.1\"]")),
        ["services", name, key] => nest(table, "services", name, key, value, ("ports", "[\"tcp/1\"]")),
        [key, rest @ ..] => {
            let entry = table.entry(*key).or_insert_with(|| Value::Table(Table::new()));
            put(entry.as_table_mut().expect("a table"), &owned(rest), value);
        }
        [] => unreachable!("a way has a segment"),
    }
}

fn nest(
    table: &mut Table,
    section: &str,
    name: &str,
    key: &str,
    value: Value,
    (needed, as_toml): (&str, &str),
) {
    let mut entry = Table::new();
    entry.insert(needed.to_owned(), parsed(as_toml));
    entry.insert(key.to_owned(), value);
    let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    section.as_table_mut().expect("a table").insert(name.to_owned(), Value::Table(entry));
}

fn owned(way: &[&str]) -> Vec<String> {
    way.iter().map(|segment| (*segment).to_owned()).collect()
}

fn parsed(text: &str) -> Value {
    let mut table: Table = format!("value = {text}").parse().expect("TOML");
    table.remove("value").expect("a value")
}

fn with(kind: Kind, way: &[String], value: Value) -> Vec<(&'static str, String)> {
    let mut table = kind.base();
    put(&mut table, way, value);
    kind.findings(&table)
}

/// Whether all findings say "not yet" of a segment of the way.
fn not_yet(findings: &[(&str, String)], way: &[String]) -> bool {
    let named = |text: &str| way.iter().any(|key| text.contains(&format!("`{key}`")));
    let yes = |(code, text): &(&str, String)| *code == "PG103" && text.contains("yet") && named(text);
    !findings.is_empty() && findings.iter().all(yes)
}

#[test]
fn every_key_is_read_or_refused_with_not_yet() {
    let (mut read, mut refused) = (Vec::new(), Vec::new());
    for kind in [Kind::Settings, Kind::Policy] {
        let mut all = Vec::new();
        keys(&Value::Table(kind.example()), &[], &mut all);
        for (way, value) in all {
            let path = way.join(".");
            // An entry of `[hosts]` and the like stands for the keys in it, which come one by one.
            let value = if value.is_table() || value.as_array().is_some_and(|a| a.iter().any(Value::is_table))
            {
                None
            } else {
                Some(value)
            };
            let wrong = with(kind, &way, Value::Float(1.5));
            if not_yet(&wrong, &way) {
                refused.push(path);
                continue;
            }
            assert!(
                wrong.iter().any(|(code, _)| ["PG201", "PG106"].contains(code)),
                "{path} = 1.5 is passed over: {wrong:?}"
            );
            if let Some(value) = value {
                let right = with(kind, &way, value);
                assert!(right.is_empty(), "{path}: {right:?}");
            }
            read.push(path);
        }
    }
    for path in
        ["policy", "resolver.grace", "resolver.domain.0.suffix", "rule.0.rows", "hosts.blocklist.file"]
    {
        assert!(read.iter().any(|read| read == path), "{path} is read");
    }
    for path in ["guard.ssh", "rule.0.limit", "protect.0.hosts", "expect"] {
        assert!(refused.iter().any(|refused| refused == path), "{path} is not built yet");
    }
    assert!(read.len() >= 71 && refused.len() >= 29, "{} read, {} refused", read.len(), refused.len());
}

#[test]
fn every_other_form_of_a_value_is_taken_or_refused_with_not_yet() {
    for (path, text, wanted) in OTHER_FORMS.iter().copied() {
        let way = owned(&path.split('.').collect::<Vec<_>>());
        let findings = with(Kind::Policy, &way, parsed(text));
        let codes: Vec<_> = findings.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, Vec::from_iter(wanted), "{path} = {text}: {findings:?}");
        assert!(findings.iter().all(|(_, message)| message.contains("yet")), "{path} = {text}: {findings:?}");
    }
}

#[test]
fn a_key_that_the_language_has_not_is_unknown_in_every_table() {
    let tables = [
        (Kind::Settings, vec!["", "paths.", "resolver.", "resolver.domain.0.", "control.", "log."]),
        (Kind::Policy, vec!["", "default.", "rule.0.", "override.x.", "hosts.x.", "services.x."]),
    ];
    for (kind, tables) in tables {
        for table in tables {
            let way = owned(&format!("{table}xyzzy").split('.').collect::<Vec<_>>());
            let findings = with(kind, &way, Value::Boolean(true));
            assert_eq!(findings.iter().map(|(code, _)| *code).collect::<Vec<_>>(), ["PG102"], "{table}");
        }
    }
}

#[test]
fn the_example_of_the_form_of_errors_is_word_for_word() {
    let text = format!(
        "{BASE}\n\n\n[[rule]]\nname = \"web\"\ndirection = \"in\"\npeers = \"any\"\nports = [\"tcp/90-80\"]\n"
    );
    let mut sources = SourceMap::default();
    let file = sources.add("/etc/portgrave/policy.d/50-site.toml", text);
    let findings = parse(&sources, &[(file, Layer(1))]).expect_err("an inverted range");
    let wanted = "error[PG204]: port range ends before it starts
  --> /etc/portgrave/policy.d/50-site.toml:14:10
   |
14 | ports = [\"tcp/90-80\"]
   |          ^^^^^^^^^^^
   = help: write the smaller port first: \"tcp/80-90\"
";
    assert_eq!(render_text(&findings, &sources, false), wanted);
}
