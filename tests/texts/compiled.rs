//! A text as `check` takes it: parsed, resolved, compiled.

use portgrave::compile::{Features, compile};
use portgrave::diag::{Findings, Severity, SourceMap, render_json, render_text};
use portgrave::model::{AddressBook, LearnedAddress, Policy, resolve};
use portgrave::policy::{Layer, parse};
use portgrave::ruleset::Ruleset;
use portgrave::types::{AddrRange, HostName};
use std::net::IpAddr;
use std::time::Duration;

/// The layer below every text: what it replaces and overrides.
const VENDOR: &str = "language = 1\n\n[features]\nvendor-switch = true\n\n[hosts]\nvendor-group = [\"192.0.2.77\"]\n\n\
                          [[rule]]\nname = \"vendor-rule\"\ndirection = \"both\"\nports = [\"tcp/4444\"]\n\
                          peers = \"@vendor-group\"\n";

#[derive(Debug)]
pub struct Found {
    pub codes: Vec<&'static str>,
    pub shown: String,
}

pub fn compiled_text(text: &str) -> Result<Ruleset, Found> {
    let mut sources = SourceMap::default();
    let vendor = sources.add("vendor.toml", VENDOR);
    let site = sources.add("site.toml", text);
    let parsed = match parse(&sources, &[(vendor, Layer(0)), (site, Layer(1))]) {
        Ok(parsed) => parsed,
        Err(findings) => return Err(found(&findings, &sources)),
    };
    let (policy, findings) = resolve(&parsed);
    // What is shown of a sound text as well.
    let shown = found(&findings, &sources);
    assert!(policy.to_string().len() + shown.shown.len() < usize::MAX);
    if findings.has_errors() {
        return Err(shown);
    }
    let compiled = compile(&policy, &book(&policy), &Features::ALL);
    let ruleset = compiled.map_err(|findings| found(&findings, &sources))?;
    assert!(ruleset.to_string().contains("table inet portgrave"), "what `show` prints");
    Ok(ruleset)
}

pub fn found(findings: &Findings, sources: &SourceMap) -> Found {
    let _ = render_json(findings, sources);
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    Found {
        codes: errors.map(|finding| finding.code).collect(),
        shown: render_text(findings, sources, false),
    }
}

/// Addresses for every name and contents for every list.
fn book(policy: &Policy) -> AddressBook {
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    let range = |text: &str| text.parse::<AddrRange>().expect("a range");
    let learned =
        |text: &str| LearnedAddress { address: address(text), remaining: Duration::from_secs(3600) };
    let of_name = |(n, name): (usize, &HostName)| {
        let all = [
            learned("93.184.216.34"),
            learned("93.184.216.35"),
            learned("2606:2800::1"),
            learned("10.40.0.9"),
        ];
        (name.clone(), all[..n % 5].to_vec())
    };
    let lists = policy.rules.iter().flat_map(|rule| rule.peers.lists());
    let contents = || vec![range("198.51.100.0/26"), range("203.0.113.9"), range("2001:db8:9::/48")];
    AddressBook {
        names: policy.names.keys().enumerate().map(of_name).collect(),
        lists: lists.map(|list| (list.path.clone(), contents().into_iter().collect())).collect(),
        resolv_conf: vec![address("192.0.2.53"), address("2001:db8::53")],
        dns_servers: vec![(address("192.0.2.53"), 53).into()],
        own: vec![address("192.0.2.1"), address("2001:db8::1")],
        connected: vec![range("192.0.2.0/24")],
        broadcast: vec![address("192.0.2.255")],
        users: [("root", Some(0))].map(|(name, uid)| (name.to_owned(), uid)).into(),
        ..AddressBook::default()
    }
}
