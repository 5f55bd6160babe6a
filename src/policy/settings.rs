//! `portgrave.toml` and its drop-ins: lists append, what else a later file says takes the place of what an earlier one said.

use super::domain::{self, Domains};
use super::hosts::{GRACE, TTL};
use super::keys::{CONTROL, PATHS, RESOLVER, SETTINGS};
use super::reader::{Reader, Table, Value, Wanted};
use super::{ControlSettings, ResolverSettings, Settings, Spanned, check_name, conditions, log, syntax};
use crate::diag::{FileId, Finding, Findings, SourceMap, Span, codes};
use crate::model::LogPolicy;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

const DNS: u16 = 53;

/// Bounds of the resolver's other times.
const MIN_INTERVAL: (&str, &str) = ("1s", "1h");
const MAX_STALE: (&str, &str) = ("0s", "30d");

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Vec::new(),
            vendor_dir: "/usr/share/portgrave/policy".into(),
            policy_dir: "/etc/portgrave/policy.d".into(),
            state_dir: "/var/lib/portgrave".into(),
            runtime_dir: "/run/portgrave".into(),
            resolver: ResolverSettings {
                servers: None,
                ttl_floor: Duration::from_secs(60),
                ttl_cap: Duration::from_secs(24 * 3600),
                grace: Duration::from_secs(300),
                min_interval: Duration::from_secs(10),
                max_stale: Duration::from_secs(24 * 3600),
                domains: Vec::new(),
            },
            control: ControlSettings { group: "portgrave".into() },
            log: LogPolicy::default(),
        }
    }
}

/// The settings of `portgrave.toml` and its drop-ins, in their order; without a file, the defaults.
pub fn parse_settings(
    sources: &SourceMap,
    files: impl IntoIterator<Item = FileId>,
) -> Result<Settings, Findings> {
    let mut merged = Merged::default();
    let mut findings = Findings::default();
    for file in files {
        let mut reader = Reader::new(file);
        if let Some(table) = syntax::read(&mut reader, sources.text(file)) {
            reader.known_keys(&table, &SETTINGS);
            merged.take(&mut reader, &table);
        }
        findings.extend(reader.finish(()).err().unwrap_or_default());
    }
    findings.extend(merged.together());
    findings.sort_by_place();
    merged.settings.resolver.domains = merged.domains.finish();
    if findings.has_errors() { Err(findings) } else { Ok(merged.settings) }
}

/// The settings as far as files were read, and where the last one says what has to fit together.
#[derive(Default)]
struct Merged {
    settings: Settings,
    ttl_floor: Option<Span>,
    ttl_cap: Option<Span>,
    domains: Domains,
}

impl Merged {
    fn take(&mut self, reader: &mut Reader, table: &Table<'_>) {
        if let Some(value) = table.get("policy") {
            let more = vendor_policies(reader, value);
            self.settings.policy.extend(more);
            once_each(&mut self.settings.policy, |name| name.value.clone());
        }
        if let Some(value) = table.get("paths") {
            read_paths(reader, value, &mut self.settings);
        }
        if let Some(value) = table.get("log") {
            log::read(reader, value, &mut self.settings.log);
        }
        if let Some(value) = table.get("resolver") {
            let wanted = Wanted::new("a table", "[resolver], and below it: servers = [\"192.0.2.53\"]");
            if let Some(resolver) = reader.table(value, wanted) {
                self.resolver(reader, resolver);
            }
        }
        if let Some(group) = table.get("control").and_then(|value| control_group(reader, value)) {
            self.settings.control.group = group;
        }
    }

    fn resolver(&mut self, reader: &mut Reader, table: &Table<'_>) {
        reader.known_keys(table, &RESOLVER);
        let resolver = &mut self.settings.resolver;
        if let Some(value) = table.get("servers") {
            let servers = resolver.servers.get_or_insert_default();
            servers.extend(read_servers(reader, value, "those of resolv.conf"));
            once_each(servers, |server| *server);
        }
        for (key, (least, most), target) in [
            ("ttl-floor", TTL, &mut resolver.ttl_floor),
            ("ttl-cap", TTL, &mut resolver.ttl_cap),
            ("grace", GRACE, &mut resolver.grace),
            ("min-interval", MIN_INTERVAL, &mut resolver.min_interval),
            ("max-stale", MAX_STALE, &mut resolver.max_stale),
        ] {
            if let Some(time) = table.get(key).and_then(|value| reader.duration(value, least, most)) {
                *target = time;
            }
        }
        for (key, place) in [("ttl-floor", &mut self.ttl_floor), ("ttl-cap", &mut self.ttl_cap)] {
            if let Some(value) = table.get(key) {
                *place = Some(reader.of(value));
            }
        }
        if let Some(value) = table.get("domain") {
            domain::parse(reader, value).into_iter().for_each(|domain| self.domains.add(reader, domain));
        }
    }

    /// What only all files together can show.
    fn together(&self) -> Findings {
        let mut findings = Findings::default();
        if self.settings.resolver.ttl_floor > self.settings.resolver.ttl_cap {
            let mut finding = Finding::error(codes::FLOOR_ABOVE_CAP, "`ttl-floor` is above `ttl-cap`")
                .at(self.ttl_floor.or(self.ttl_cap))
                .help("make ttl-floor (60s if it is left out) the smaller of the two");
            if let (Some(floor), Some(cap)) = (self.ttl_floor, self.ttl_cap) {
                if floor.file != cap.file {
                    finding = finding.also(cap, "`ttl-cap` is set here");
                }
            }
            findings.push(finding);
        }
        findings
    }
}

/// Two files may name the same: it counts once, where it is named first.
fn once_each<T, K: Ord>(list: &mut Vec<T>, key: impl Fn(&T) -> K) {
    let mut known = BTreeSet::new();
    list.retain(|entry| known.insert(key(entry)));
}

fn vendor_policies(reader: &mut Reader, value: &Value<'_>) -> Vec<Spanned<String>> {
    let wanted = Wanted::new("a list of vendor policies", "[\"clearswift-seg\"]");
    let mut names: Vec<Spanned<String>> = Vec::new();
    for text in reader.strings(value, wanted) {
        if text.value.contains('/') || text.value.ends_with(".toml") {
            let name = text.value.rsplit('/').next().unwrap_or_default().trim_end_matches(".toml");
            let message = format!("\"{}\" is a file, not the name of a vendor policy", text.value);
            let help = format!("write \"{name}\"; vendor-dir in [paths] is where it is looked for");
            reader.error(codes::BAD_NAME, text.span, message, help);
            continue;
        }
        if let Some(first) = names.iter().find(|name| name.value == text.value) {
            let message = format!("vendor policy \"{}\" is named twice", text.value);
            let finding = Finding::error(codes::NAMED_TWICE, message).at(text.span);
            reader.findings.push(finding.also(first.span, "first named here").help("leave one of them out"));
            continue;
        }
        if check_name(reader, text.value, text.span, "a vendor policy").is_some() {
            names.push(Spanned { value: text.value.to_owned(), span: text.span });
        }
    }
    names
}

fn read_paths(reader: &mut Reader, value: &Value<'_>, settings: &mut Settings) {
    let wanted = Wanted::new("a table", "[paths], and below it: state-dir = \"/var/lib/portgrave\"");
    let Some(paths) = reader.table(value, wanted) else { return };
    reader.known_keys(paths, &PATHS);
    for (key, target) in [
        ("vendor-dir", &mut settings.vendor_dir),
        ("policy-dir", &mut settings.policy_dir),
        ("state-dir", &mut settings.state_dir),
        ("runtime-dir", &mut settings.runtime_dir),
    ] {
        if let Some(path) = paths.get(key).and_then(|value| path(reader, value)) {
            *target = path;
        }
    }
}

fn path(reader: &mut Reader, value: &Value<'_>) -> Option<PathBuf> {
    let text = reader
        .string(value, Wanted::new("the path of a directory", "a path such as \"/var/lib/portgrave\""))?;
    if !text.starts_with('/') {
        let help = "write the path from the root: \"/…\"";
        reader.error(codes::BAD_PATH, reader.of(value), "the path is relative", help);
        return None;
    }
    Some(text.into())
}

fn control_group(reader: &mut Reader, value: &Value<'_>) -> Option<String> {
    let wanted = Wanted::new("a table", "[control], and below it: group = \"portgrave\"");
    let control = reader.table(value, wanted)?;
    reader.known_keys(control, &CONTROL);
    let value = control.get("group")?;
    let text = reader.string(value, Wanted::new("the name of a local group", "\"portgrave\""))?;
    if conditions::account_name(text).is_err() {
        let help = "write a name as `getent group` shows it, such as \"portgrave\"";
        let message = format!("\"{text}\" is no name of a group");
        reader.error(codes::BAD_GROUP, reader.of(value), message, help);
        return None;
    }
    Some(text.to_owned())
}

/// `otherwise` are the servers that are asked where none are written.
pub(super) fn read_servers(reader: &mut Reader, value: &Value<'_>, otherwise: &str) -> Vec<SocketAddr> {
    let texts = reader.strings(value, Wanted::new("a list of addresses", "[\"192.0.2.53\"]"));
    if value.get_ref().as_array().is_some_and(|array| array.is_empty()) {
        let help = format!("write at least one address, or leave `servers` out for {otherwise}");
        reader.error(codes::BAD_SERVER, reader.of(value), "there is no server in `servers`", help);
    }
    texts.into_iter().filter_map(|text| server(reader, text)).collect()
}

/// A literal address, with or without a port.
fn server(reader: &mut Reader, text: Spanned<&str>) -> Option<SocketAddr> {
    const FORMS: &str = "write an address, with a port if it is not 53: \"192.0.2.53\", \"192.0.2.53:5353\", \"[2001:db8::53]:5353\"";
    let address = text.value.parse::<IpAddr>().map(|address| SocketAddr::new(address, DNS));
    let found = address.or_else(|_| text.value.parse::<SocketAddr>()).ok();
    let (message, help) = match found {
        Some(server) if server.port() == 0 => ("port 0 is no port", "leave the port out for 53"),
        Some(server) if !may_answer(server.ip()) => {
            ("no server answers there", "write the address of a server")
        }
        Some(server) => return Some(server),
        None if text.value.contains('%') => ("an address with an interface is not taken", FORMS),
        None => ("this is no address", FORMS),
    };
    reader.error(codes::BAD_SERVER, text.span, format!("\"{}\": {message}", text.value), help);
    None
}

fn may_answer(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !(address.is_unspecified() || address.is_multicast() || broadcast)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<Settings, Vec<&'static str>> {
        let mut sources = SourceMap::default();
        let file = sources.add("portgrave.toml", text);
        parse_settings(&sources, Some(file)).map_err(|findings| findings.iter().map(|f| f.code).collect())
    }

    #[test]
    fn what_is_not_said_is_the_default() {
        assert_eq!(parse_settings(&SourceMap::default(), []).unwrap(), Settings::default());
        assert_eq!(settings("").unwrap(), Settings::default());
    }

    #[test]
    fn servers_are_addresses_with_or_without_a_port() {
        let of = |list: &str| settings(&format!("[resolver]\nservers = [{list}]\n"));
        let servers = of(r#""192.0.2.53", "192.0.2.53:5353", "2001:db8::1", "[2001:db8::1]:5353""#)
            .unwrap()
            .resolver
            .servers;
        let shown: Vec<String> = servers.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["192.0.2.53:53", "192.0.2.53:5353", "[2001:db8::1]:53", "[2001:db8::1]:5353"]);
        let wrong =
            r#""dns.example.net", "192.0.2.53:0", "0.0.0.0", "224.0.0.251", "fe80::1%eth0", "192.0.2.53#53""#;
        assert_eq!(of(wrong).unwrap_err(), ["PG213"; 6]);
        assert_eq!(of("").unwrap_err(), ["PG213"]);
    }

    #[test]
    fn all_keys_are_read_and_all_faults_are_found() {
        let text =
            "policy = [\"a\"]\n[paths]\nstate-dir = \"/s\"\n[resolver]\nttl-floor = \"2m\"\ngrace = \"0s\"\n";
        let read = settings(text).unwrap();
        assert_eq!((read.policy[0].value.as_str(), read.state_dir.to_str()), ("a", Some("/s")));
        assert_eq!((read.resolver.ttl_floor.as_secs(), read.resolver.grace.as_secs()), (120, 0));
        let text = "policy = [\"a\", \"a\", \"/b.toml\"]\nrevoke = 1\n[paths]\nstate-dir = \"s\"\n[resolver]\nttl-floor = \"2d\"\n\
                    min-interval = \"0s\"\n[guard]\n";
        let wrong = settings(text).unwrap_err();
        assert_eq!(wrong, ["PG215", "PG206", "PG103", "PG209", "PG214", "PG207", "PG103"]);
    }

    /// The settings of several files, or the code of each finding with the file that it points into.
    fn together(texts: &[&str]) -> Result<Settings, Vec<(&'static str, u32)>> {
        let mut sources = SourceMap::default();
        let files: Vec<FileId> = texts.iter().map(|text| sources.add("x.toml", *text)).collect();
        let at = |finding: &Finding| (finding.code, finding.place.map_or(99, |place| place.file.0));
        parse_settings(&sources, files).map_err(|findings| findings.iter().map(at).collect())
    }

    #[test]
    fn lists_of_drop_ins_append_and_everything_else_is_the_last_files() {
        let first = "policy = [\"a\"]\n[paths]\nstate-dir = \"/1\"\nruntime-dir = \"/r\"\n[resolver]\n\
                     servers = [\"192.0.2.1\"]\ngrace = \"1m\"\n";
        let second = "policy = [\"b\", \"a\"]\n[paths]\nstate-dir = \"/2\"\n[resolver]\n\
                      servers = [\"192.0.2.2\", \"192.0.2.1:53\"]\n";
        let read = together(&[first, second]).unwrap();
        let names: Vec<&str> = read.policy.iter().map(|name| name.value.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!((read.state_dir.to_str(), read.runtime_dir.to_str()), (Some("/2"), Some("/r")));
        let servers: Vec<String> =
            read.resolver.servers.unwrap_or_default().iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["192.0.2.1:53", "192.0.2.2:53"]);
        assert_eq!(read.resolver.grace.as_secs(), 60);
    }

    #[test]
    fn domains_of_drop_ins_append_and_the_same_again_counts_once() {
        let int = "[[resolver.domain]]\nsuffix = \"int.example\"\nservers = [\"10.20.0.53\"]\n";
        let lab = "[[resolver.domain]]\nsuffix = \"lab\"\nallow-net = [\"fd00::/8\", \"10.0.0.0/8\", \"fd00::/8\"]\n";
        let read = together(&[int, &format!("{lab}{int}"), lab]).unwrap().resolver.domains;
        let suffixes: Vec<&str> = read.iter().map(|domain| domain.suffix.as_str()).collect();
        assert_eq!(suffixes, ["int.example", "lab"]);
        let opened = read[1].allow_net.iter().flatten().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!((read[1].servers.as_ref(), opened.join(" ")), (None, "10.0.0.0/8 fd00::/8".into()));
        assert_eq!((read[0].servers.as_ref().unwrap().len(), &read[0].allow_net), (1, &None));
        let other = int.replace("10.20.0.53", "10.20.0.54");
        assert_eq!(together(&[int, lab, &other]).unwrap_err(), [("PG219", 2)]);
    }

    #[test]
    fn the_group_of_the_control_socket_is_the_last_files() {
        let group = |name: &str| format!("[control]\ngroup = \"{name}\"\n");
        assert_eq!(together(&[]).unwrap().control.group, "portgrave");
        assert_eq!(
            together(&[&group("ops"), &group("fw_ops"), "[control]\n"]).unwrap().control.group,
            "fw_ops"
        );
        assert_eq!(together(&[&group("%ops"), &group("")]).unwrap_err(), [("PG220", 0), ("PG220", 1)]);
    }

    #[test]
    fn what_is_wrong_is_said_of_the_file_that_says_it_and_floor_and_cap_are_compared_at_the_end() {
        let (floor, cap) = ("[resolver]\nttl-floor = \"2d\"\n", "[resolver]\nttl-cap = \"3d\"\n");
        assert!(together(&[floor, cap]).is_ok());
        assert_eq!(together(&[floor, ""]).unwrap_err(), [("PG214", 0)]);
        assert_eq!(together(&["", "[resolver]\nttl-cap = \"30s\"\n"]).unwrap_err(), [("PG214", 1)]);
        assert_eq!(together(&["polizy = []\n", "policy = 1\n"]).unwrap_err(), [("PG102", 0), ("PG201", 1)]);
        assert_eq!(together(&["policy = [\"a\"]\n", "policy = ["]).unwrap_err(), [("PG101", 1)]);
    }
}
