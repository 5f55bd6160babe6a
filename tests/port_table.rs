//! The shipped policy against the port table, which stands here as data of its own.

use portgrave::diag::{Findings, Severity, SourceMap};
use portgrave::model::{Policy, Rule, resolve};
use portgrave::policy::{Layer, ParsedPolicy, RuleEntry, parse};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Row, direction, ports, switch (empty: always on), peers as the policy writes them.
type Row = (&'static str, &'static str, &'static [&'static str], &'static str, &'static [&'static str]);

const FTPS: &[&str] = &["tcp/990", "tcp/50000-50100"];

/// Every row once, but R14, which has a rule for each product.
const TABLE: [Row; 40] = [
    ("R01", "both", &["tcp/21"], "backup-ftp", &["@ftp-servers"]),
    ("R02", "both", &["tcp/21"], "backup-ftp", &["@ftp-servers"]),
    ("R03", "both", &["tcp/21", "tcp/50000-50100"], "backup-ftps", &["@ftp-servers"]),
    ("R04", "in", &["tcp/22"], "", &["@admins"]),
    ("R05", "both", &["tcp/22"], "backup-sftp", &["@sftp-servers"]),
    ("R06", "in", &["tcp/25"], "", &["any"]),
    ("R07", "out", &["tcp/25"], "", &["any"]),
    ("R08", "both", &["tcp/53", "udp/53"], "trustmanager", &["@livefeed-servers"]),
    ("R09", "out", &["tcp/53"], "external-dns", &["@dns-servers"]),
    ("R10", "out", &["udp/53"], "external-dns", &["@dns-servers"]),
    ("R11", "in", &["tcp/80"], "pmm", &["any"]),
    ("R12", "out", &["tcp/80"], "", &["clearswifthelp.clearswift.com"]),
    ("R13", "out", &["tcp/80"], "", &["@update-servers"]),
    ("R14", "out", &["tcp/80"], "kaspersky", &["@kaspersky-update-servers"]),
    ("R14", "out", &["tcp/80"], "sophos", &["@sophos-update-servers"]),
    ("R15", "out", &["tcp/80"], "", &["repo.clearswift.net"]),
    ("R16", "out", &["tcp/80"], "", &["@bulkmail-servers"]),
    ("R17", "out", &["tcp/80"], "", &["@spam-rule-servers"]),
    ("R18", "out", &["tcp/80"], "", &["clearswiftstat.mailshell.net"]),
    ("R19", "out", &["tcp/80"], "", &["www.clearswift.com"]),
    ("R20", "out", &["tcp/80"], "", &["@service-list-servers"]),
    ("R21", "out", &["udp/123"], "ntp", &["@ntp-servers"]),
    ("R22", "out", &["tcp/135"], "pmm-full", &["@domain-controllers"]),
    ("R23", "out", &["udp/137"], "pmm-full", &["@domain-controllers"]),
    ("R24", "out", &["tcp/139"], "pmm-full", &["@domain-controllers"]),
    ("R25", "in", &["udp/162"], "snmp", &["@snmp-peers"]),
    ("R26", "both", &["tcp/389"], "ldap", &["@ldap-servers"]),
    ("R27", "both", &["tcp/389"], "key-servers", &["@key-servers"]),
    ("R28", "both", &["tcp/443"], "kaspersky", &["@ksn-servers"]),
    ("R29", "in", &["tcp/443"], "", &["any"]),
    ("R30", "out", &["tcp/443"], "", &["@vendor-servers"]),
    ("R31", "both", &["tcp/443"], "key-servers", &["@key-servers"]),
    ("R32", "out", &["tcp/445"], "pmm-full", &["@domain-controllers"]),
    ("R33", "out", &["tcp/514"], "syslog", &["@syslog-servers"]),
    ("R34", "both", &["tcp/636"], "ldap", &["@ldap-servers"]),
    ("R35", "both", FTPS, "backup-ftps", &["@ftp-servers"]),
    ("R36", "both", &["tcp/11371"], "key-servers", &["@key-servers"]),
    ("R37", "out", &["tcp/3268"], "ldap", &["@domain-controllers"]),
    ("R38", "both", &["tcp/3269"], "ldap", &["@domain-controllers"]),
    ("R39", "both", &["udp/19200"], "peers", &["@peer-gateways", "broadcast"]),
];

/// Groups for the site to fill in, and what they ship with.
const GROUPS: [(&str, &str); 12] = [
    ("admins", "any"),
    ("dns-servers", "resolv.conf"),
    ("domain-controllers", ""),
    ("ftp-servers", ""),
    ("key-servers", ""),
    ("ksn-servers", "any"),
    ("ldap-servers", ""),
    ("livefeed-servers", ""),
    ("peer-gateways", ""),
    ("sftp-servers", ""),
    ("snmp-peers", ""),
    ("syslog-servers", ""),
];

/// Hosts that the table names: a row's and all their names.
fn hosts() -> BTreeMap<&'static str, Vec<String>> {
    let numbered = |before: &str, numbers: std::ops::RangeInclusive<u8>, after: &str| {
        numbers.map(|number| format!("{before}{number}{after}")).collect::<Vec<_>>()
    };
    let clearswift = |before: &str, last| numbered(before, 1..=last, ".clearswift.net");
    let updates = ["repo.clearswift.net", "rh.repo.clearswift.net"].map(String::from).to_vec();
    let spam = "db11.spamcatcher.net db11spamcatcher.net ruledownloads.com rules-mailshell.co.uk \
                rulesdownload.mailshell.net sn12.mailshell.net sn60.mailshell.net spamcatcher.net \
                tisdk.mailshell.net verio.mailshell.net";
    [
        ("@update-servers", updates),
        ("@kaspersky-update-servers", clearswift("kav-update-8-", 6)),
        ("@sophos-update-servers", clearswift("sav-update-", 6)),
        ("@bulkmail-servers", clearswift("bulkmail", 5)),
        ("@spam-rule-servers", spam.split(' ').map(String::from).collect()),
        ("@service-list-servers", clearswift("services", 3)),
        ("@ntp-servers", numbered("", 0..=3, ".rhel.pool.ntp.org")),
    ]
    .into()
}

#[test]
fn the_table_has_every_row_and_so_has_the_policy() {
    let wanted: BTreeSet<String> = (1..=39).map(|number| format!("R{number:02}")).collect();
    let in_table: BTreeSet<String> = TABLE.iter().map(|row| row.0.to_string()).collect();
    assert_eq!(in_table, wanted);
    let parsed = parsed(&[SHIPPED]);
    let in_policy: Vec<&String> = rules(&parsed).iter().flat_map(|rule| &rule.rows).collect();
    assert_eq!(in_policy.iter().copied().cloned().collect::<BTreeSet<_>>(), wanted);
    assert_eq!(in_policy.len(), 40, "each row in one rule, but R14, which has two");
}

#[test]
fn every_row_has_its_direction_ports_switch_and_peers() {
    let parsed = parsed(&[SHIPPED, ALL_ON]);
    let policy = sound(&parsed);
    for (row, direction, ports, switch, peers) in TABLE {
        let of_row = |entry: &&&RuleEntry| entry.rows.iter().any(|id| id == row) && when(entry) == switch;
        let entries = rules(&parsed);
        let found: Vec<&&RuleEntry> = entries.iter().filter(of_row).collect();
        let [entry] = found.as_slice() else { panic!("{row} with switch {switch:?}: {} rules", found.len()) };
        let rule = policy.rules.iter().find(|rule| rule.name == entry.name.value);
        let rule = rule.unwrap_or_else(|| panic!("{row} is not in force"));
        assert_eq!(rule.direction.as_str(), direction, "{row}");
        assert_eq!(rule.ports.iter().map(ToString::to_string).collect::<Vec<_>>(), ports, "{row}");
        assert_eq!(rule.peers.written, peers, "{row}");
        assert!(!rule.purpose.is_empty(), "{row}");
        let helper = ["R01", "R02"].contains(&row).then_some("ftp");
        assert_eq!(rule.helper.as_deref(), helper, "{row}");
    }
    assert_eq!(policy.rules.len(), 39);
}

#[test]
fn the_hosts_that_the_table_names_are_there_and_no_others() {
    let policy = sound(&parsed(&[SHIPPED, ALL_ON]));
    let hosts = hosts();
    for rule in &policy.rules {
        let names: Vec<String> = rule.peers.names().map(ToString::to_string).collect();
        let written = rule.peers.written.first().map_or("", String::as_str);
        match hosts.get(written) {
            Some(expected) => assert_eq!(&names, expected, "{}", rule.name),
            None if names.is_empty() => {}
            None => assert_eq!(names, rule.peers.written, "{}", rule.name),
        }
    }
    let vendor = rule_of(&policy, "R30").peers.parts.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(vendor, ["46.236.38.70", "86.188.240.24", "213.106.99.208"]);
}

#[test]
fn groups_ship_empty_but_those_that_we_fill() {
    let parsed = parsed(&[SHIPPED]);
    for (group, content) in GROUPS {
        let named = |name: &str| name == group;
        let mut hosts = parsed.files.iter().flat_map(|file| &file.hosts);
        let host = hosts.find(|host| host.name.as_ref().is_some_and(|name| named(&name.value)));
        let host = host.unwrap_or_else(|| panic!("no group {group}"));
        let members = host.members.iter().flatten().count();
        let any = host.members.iter().flatten().all(|peer| peer.value == portgrave::policy::Peer::Any);
        let holds = match (members, any, host.resolv_conf) {
            (0, _, true) => "resolv.conf",
            (0, _, false) => "",
            (1, true, false) => "any",
            _ => "something else",
        };
        assert_eq!(holds, content, "{group}");
    }
}

#[test]
fn all_switches_ship_off_but_ntp_and_external_dns() {
    let parsed = parsed(&[SHIPPED]);
    let features: Vec<_> = parsed.files.iter().flat_map(|file| &file.features).collect();
    let of_table: BTreeSet<&str> =
        TABLE.iter().map(|row| row.3).filter(|switch| !switch.is_empty()).collect();
    assert_eq!(features.iter().map(|(name, _)| name.value.as_str()).collect::<BTreeSet<_>>(), of_table);
    for (name, on) in features {
        assert_eq!(*on, ["ntp", "external-dns"].contains(&name.value.as_str()), "{}", name.value);
    }
    let in_force: BTreeSet<&str> = rules(&parsed).iter().map(|rule| when(rule)).collect();
    assert_eq!(in_force.len(), of_table.len() + 1, "a switch for each, or none");
}

#[test]
fn as_shipped_it_warns_of_admins_and_of_the_printed_domain() {
    assert_eq!(warnings(&[SHIPPED]), ["PG332", "PG336"]);
}

#[test]
fn with_every_switch_on_each_group_that_is_still_empty_is_a_warning() {
    let empty = GROUPS.iter().filter(|(_, content)| content.is_empty()).count();
    let of = |code: &str| warnings(&[SHIPPED, ALL_ON]).iter().filter(|found| **found == code).count();
    assert_eq!((of("PG330"), of("PG332"), of("PG336")), (empty, 2, 1));
    assert_eq!(warnings(&[SHIPPED, ALL_ON]).len(), empty + 3);
}

#[test]
fn each_example_and_all_together_complete_the_shipped_policy() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/clearswift-seg");
    let mut examples: Vec<String> = std::fs::read_dir(directory)
        .expect("docs/examples/clearswift-seg")
        .map(|entry| std::fs::read_to_string(entry.expect("an entry").path()).expect("an example"))
        .collect();
    examples.sort();
    assert_eq!(examples.len(), 3);
    for example in &examples {
        let found = warnings(&[SHIPPED, example]);
        assert!(found.iter().all(|code| ["PG332", "PG336"].contains(code)), "{found:?}\n{example}");
    }
    let all: Vec<&str> = [SHIPPED].into_iter().chain(examples.iter().map(String::as_str)).collect();
    assert_eq!(warnings(&all), [""; 0]);
}

#[test]
fn a_site_that_relays_to_another_port_says_so_in_one_line() {
    let policy =
        sound(&parsed(&[SHIPPED, "language = 1\n[services]\nsmtp-out = { ports = [\"tcp/587\"] }\n"]));
    assert_eq!(
        rule_of(&policy, "R07").ports.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["tcp/587"]
    );
}

const SHIPPED: &str = include_str!("../policy/clearswift-seg.toml");

const ALL_ON: &str = "language = 1
[features]
backup-ftp = true
backup-ftps = true
backup-sftp = true
trustmanager = true
external-dns = true
pmm = true
pmm-full = true
kaspersky = true
sophos = true
ntp = true
snmp = true
ldap = true
key-servers = true
syslog = true
peers = true
";

/// The first text is the vendor's, the others the site's.
fn parsed(texts: &[&str]) -> ParsedPolicy {
    let mut sources = SourceMap::default();
    let files: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| (sources.add(format!("{index}.toml"), *text), Layer(u32::from(index > 0))))
        .collect();
    parse(&sources, &files).unwrap_or_else(|findings| panic!("{findings:#?}"))
}

fn resolved(parsed: &ParsedPolicy) -> (Policy, Findings) {
    let (policy, findings) = resolve(parsed);
    assert!(!findings.has_errors(), "{findings:#?}");
    (policy, findings)
}

fn sound(parsed: &ParsedPolicy) -> Policy {
    resolved(parsed).0
}

/// The codes of all warnings, sorted.
fn warnings(texts: &[&str]) -> Vec<&'static str> {
    let (_, findings) = resolved(&parsed(texts));
    let warnings = findings.iter().filter(|finding| finding.severity == Severity::Warning);
    let mut codes: Vec<&str> = warnings.map(|finding| finding.code).collect();
    codes.sort_unstable();
    codes
}

fn rules(parsed: &ParsedPolicy) -> Vec<&RuleEntry> {
    parsed.files.iter().flat_map(|file| &file.rules).collect()
}

fn rule_of<'p>(policy: &'p Policy, row: &str) -> &'p Rule {
    policy.rules.iter().find(|rule| rule.rows.iter().any(|id| id == row)).expect("the row is in force")
}

/// The one switch of a rule, empty if it has none.
fn when(rule: &RuleEntry) -> &str {
    match rule.when.as_slice() {
        [] => "",
        [(switch, true)] => &switch.value,
        _ => panic!("{} has one switch at most", rule.name.value),
    }
}
