//! A site whose table has every kind of set, and that table without what moves by itself.

use super::agent::{head, web};
use super::samples::{NAME, both_act, resolver};
use super::{Lab, SERVERS, Site};
use crate::rig::Ns;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// A server that gives addresses for so many seconds, and rules by a name, by addresses, by a list of 5 and by one of `many`.
pub fn site(lab: &Lab, ttl: u32, many: u32) -> Site {
    let server = lab.serve(&SERVERS[..1])[0];
    let site = Site::new(lab, &resolver(&[server], ""));
    lab.dns.set(NAME, both_act(1, ttl));
    let few: String = (1..=5).map(|n| format!("93.184.20.{}\n", 2 * n)).collect();
    // Every other one, so that no two are one prefix.
    let many = (0..many).map(|n| 2 * n).fold(String::new(), |mut text, n| {
        writeln!(text, "93.185.{}.{}", n >> 8, n & 255).expect("to write into memory");
        text
    });
    std::fs::write(site.path("few.txt"), few).expect("a list file");
    std::fs::write(site.path("many.txt"), many).expect("a list file");
    let lists = site.path("").display().to_string();
    let hosts = format!(
        "\n[hosts]\nfew = {{ file = \"{lists}few.txt\" }}\nmany = {{ file = \"{lists}many.txt\" }}\n"
    );
    let rules = [
        web("web", &[NAME]),
        rule("exact", "out", "allow", "tcp/8443", &["93.184.30.1", "2606:2800:30::1"]),
        rule("listed", "out", "allow", "tcp/9443", &["@few"]),
        rule("blocked", "in", "deny", "any", &["@many"]),
    ];
    site.policy("site", &format!("{}{hosts}{}", head(), rules.concat()));
    site
}

fn rule(name: &str, direction: &str, action: &str, ports: &str, peers: &[&str]) -> String {
    format!(
        "\n[[rule]]\nname = \"{name}\"\ndirection = \"{direction}\"\naction = \"{action}\"\nports = [\"{ports}\"]\n\
         peers = {peers:?}\n"
    )
}

/// The table as nft lists it.
pub struct Table {
    /// By what and name: attributes, sorted elements; the rules of a chain in their order. Lives, counts and handles are left out,
    /// and sets of two names have their first.
    pub parts: BTreeMap<String, Value>,
    raw: Vec<Value>,
}

impl Table {
    pub fn read(ns: &Ns) -> Self {
        let text = ns.nft_list(&["-j", "list", "table", "inet", "portgrave"]);
        let mut listing: Value = serde_json::from_str(&text).expect("nft prints JSON");
        let raw = listing["nftables"].as_array_mut().map(std::mem::take).expect("a list of objects");
        let mut parts = BTreeMap::new();
        for object in raw.iter().filter_map(Value::as_object) {
            for (kind, fields) in object.iter().filter(|(kind, _)| *kind != "metainfo") {
                take(&mut parts, kind, fields);
            }
        }
        // JSON does not tell it.
        let head = ns.nft_list(&["-t", "list", "table", "inet", "portgrave"]);
        parts.insert("dormant".into(), head.contains("flags dormant").into());
        Self { parts, raw }
    }

    /// The name in the kernel of a set with two names.
    pub fn set(&self, first: &str) -> String {
        let second = format!("{first}/b");
        let is = |name: &str| self.all("map").chain(self.all("set")).any(|set| set["name"] == name);
        if is(&second) { second } else { first.to_owned() }
    }

    /// The handle of the first rule of a chain that has all these words.
    pub fn handle(&self, chain: &str, words: &[&str]) -> u64 {
        let has = |rule: &&Value| {
            let text = rule.to_string();
            rule["chain"] == chain && words.iter().all(|word| text.contains(word))
        };
        let found = self.all("rule").find(has);
        found.and_then(|rule| rule["handle"].as_u64()).unwrap_or_else(|| panic!("no such rule in {chain}"))
    }

    pub fn packets(&self, counter: &str) -> u64 {
        let found = self.all("counter").find(|object| object["name"] == counter);
        found
            .and_then(|counter| counter["packets"].as_u64())
            .unwrap_or_else(|| panic!("no counter {counter}"))
    }

    /// The parts that another has otherwise.
    pub fn changed(&self, other: &Self) -> Vec<String> {
        let names: BTreeSet<&String> = self.parts.keys().chain(other.parts.keys()).collect();
        let different = names.into_iter().filter(|name| self.parts.get(*name) != other.parts.get(*name));
        different.cloned().collect()
    }

    /// How another differs from this one.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let short = |value: Option<&Value>| {
            value.map_or("nothing".into(), Value::to_string).chars().take(2_000).collect::<String>()
        };
        let one = |name: &String| {
            format!("{name}: {}\n    now {}", short(self.parts.get(name)), short(other.parts.get(name)))
        };
        self.changed(other).iter().map(one).collect()
    }

    fn all<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> + 'a {
        self.raw.iter().filter_map(move |object| object.get(kind))
    }
}

fn take(parts: &mut BTreeMap<String, Value>, kind: &str, fields: &Value) {
    let mut fields = fields.clone();
    settle(&mut fields);
    if kind == "rule" {
        let chain = format!("rules of {}", fields["chain"].as_str().expect("a rule has a chain"));
        let rules = parts.entry(chain).or_insert_with(|| Value::Array(Vec::new()));
        rules.as_array_mut().expect("a list of rules").push(fields["expr"].take());
        return;
    }
    let name = fields["name"].as_str().expect("it has a name").to_owned();
    // Packets fill these; nft 1.0.6 does not print the flag `dynamic`.
    let dynamic = fields["flags"].as_array().is_some_and(|flags| flags.iter().any(|flag| flag == "dynamic"));
    if dynamic || name.contains(".log.") {
        fields["elem"] = Value::Null;
    }
    if let Some(elements) = fields["elem"].as_array_mut() {
        elements.sort_by_key(ToString::to_string);
    }
    parts.insert(format!("{kind} {name}"), fields);
}

/// Leaves out what moves, and gives sets their first names.
fn settle(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for moving in ["handle", "expires", "packets", "bytes"] {
                fields.remove(moving);
            }
            // The life of an element; that of a set has no `val` beside it.
            if fields.contains_key("val") {
                fields.remove("timeout");
            }
            fields.values_mut().for_each(settle);
        }
        Value::Array(items) => items.iter_mut().for_each(settle),
        Value::String(text) => {
            if let Some(first) = text.strip_suffix("/b") {
                *text = first.to_owned();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
