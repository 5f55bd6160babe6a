//! `portgrave.toml`.

use super::hosts::{GRACE, TTL};
use super::keys::{PATHS, RESOLVER, SETTINGS};
use super::reader::{Reader, Table, Value, Wanted};
use super::{ResolverSettings, Settings, Spanned, check_name, syntax};
use crate::diag::{FileId, Finding, Findings, SourceMap, codes};
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
            },
        }
    }
}

/// The settings of a file; without one, the defaults.
pub fn parse_settings(sources: &SourceMap, file: Option<FileId>) -> Result<Settings, Findings> {
    let mut settings = Settings::default();
    let Some(file) = file else { return Ok(settings) };
    let mut reader = Reader::new(file);
    if let Some(table) = syntax::read(&mut reader, sources.text(file)) {
        reader.known_keys(&table, &SETTINGS);
        read(&mut reader, &table, &mut settings);
    }
    reader.finish(settings)
}

fn read(reader: &mut Reader, table: &Table<'_>, settings: &mut Settings) {
    if let Some(value) = table.get("policy") {
        settings.policy = vendor_policies(reader, value);
    }
    if let Some(value) = table.get("paths") {
        read_paths(reader, value, settings);
    }
    if let Some(value) = table.get("resolver") {
        let wanted = Wanted::new("a table", "[resolver], and below it: servers = [\"192.0.2.53\"]");
        if let Some(resolver) = reader.table(value, wanted) {
            read_resolver(reader, resolver, &mut settings.resolver);
        }
    }
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

fn read_resolver(reader: &mut Reader, table: &Table<'_>, resolver: &mut ResolverSettings) {
    reader.known_keys(table, &RESOLVER);
    if let Some(value) = table.get("servers") {
        let texts = reader.strings(value, Wanted::new("a list of addresses", "[\"192.0.2.53\"]"));
        if value.get_ref().as_array().is_some_and(|array| array.is_empty()) {
            let help = "write at least one address, or leave `servers` out for those of resolv.conf";
            reader.error(codes::BAD_SERVER, reader.of(value), "there is no server in `servers`", help);
        }
        resolver.servers = Some(texts.into_iter().filter_map(|text| server(reader, text)).collect());
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
    if resolver.ttl_floor > resolver.ttl_cap {
        if let Some(value) = table.get("ttl-floor").or(table.get("ttl-cap")) {
            let message = "`ttl-floor` is above `ttl-cap`";
            let help = "make ttl-floor (60s if it is left out) the smaller of the two";
            reader.error(codes::FLOOR_ABOVE_CAP, reader.of(value), message, help);
        }
    }
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
        assert_eq!(parse_settings(&SourceMap::default(), None).unwrap(), Settings::default());
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
}
