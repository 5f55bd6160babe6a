//! `portgrave.toml`.

use super::file::toml;
use super::keys::{PATHS, RESOLVER, SETTINGS};
use super::reader::{Reader, Table, Value};
use super::{ResolverSettings, Settings, Spanned, check_name};
use crate::diag::{FileId, Findings, SourceMap};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

const DNS: u16 = 53;

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
    let table = toml(&mut reader, sources.text(file));
    if !reader.findings.has_errors() {
        reader.known_keys(&table, &SETTINGS);
        read(&mut reader, &table, &mut settings);
    }
    if reader.findings.has_errors() { Err(reader.findings) } else { Ok(settings) }
}

fn read(reader: &mut Reader, table: &Table<'_>, settings: &mut Settings) {
    if let Some(value) = table.get("policy") {
        let names = reader.strings(value, "a list of vendor policies, such as [\"clearswift-seg\"]");
        for name in names {
            check_name(reader, name.value, name.span, "a vendor policy");
            settings.policy.push(Spanned { value: name.value.to_owned(), span: name.span });
        }
    }
    if let Some(paths) = table.get("paths").and_then(|value| reader.table(value, "a table")) {
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
    if let Some(resolver) = table.get("resolver").and_then(|value| reader.table(value, "a table")) {
        read_resolver(reader, resolver, &mut settings.resolver);
    }
}

fn path(reader: &mut Reader, value: &Value<'_>) -> Option<PathBuf> {
    let path = PathBuf::from(reader.string(value, "the path of a directory")?);
    if !path.is_absolute() {
        reader.error(
            "PG209",
            reader.of(value),
            "the path is relative",
            "write the path from the root: \"/…\"",
        );
        return None;
    }
    Some(path)
}

fn read_resolver(reader: &mut Reader, table: &Table<'_>, resolver: &mut ResolverSettings) {
    reader.known_keys(table, &RESOLVER);
    if let Some(value) = table.get("servers") {
        let texts = reader.strings(value, "a list of addresses, such as [\"192.0.2.53\"]");
        if texts.is_empty() {
            let help = "write at least one address, or leave `servers` out for those of resolv.conf";
            reader.error("PG213", reader.of(value), "there is no server in `servers`", help);
        }
        let servers = texts.into_iter().filter_map(|text| server(reader, text)).collect();
        resolver.servers = Some(servers);
    }
    for (key, target) in [
        ("ttl-floor", &mut resolver.ttl_floor),
        ("ttl-cap", &mut resolver.ttl_cap),
        ("grace", &mut resolver.grace),
        ("min-interval", &mut resolver.min_interval),
        ("max-stale", &mut resolver.max_stale),
    ] {
        if let Some(time) = table.get(key).and_then(|value| reader.duration(value)) {
            *target = time;
        }
    }
    if resolver.ttl_floor > resolver.ttl_cap {
        if let Some(value) = table.get("ttl-floor").or(table.get("ttl-cap")) {
            let help = "make ttl-floor the smaller of the two";
            reader.error("PG214", reader.of(value), "`ttl-floor` is above `ttl-cap`", help);
        }
    }
}

/// A literal address, with or without a port.
fn server(reader: &mut Reader, text: Spanned<&str>) -> Option<SocketAddr> {
    let address = text.value.parse::<IpAddr>().map(|address| SocketAddr::new(address, DNS));
    let found =
        address.or_else(|_| text.value.parse::<SocketAddr>()).ok().filter(|server| server.port() != 0);
    if found.is_none() {
        let help = "write an address, with a port if it is not 53: \"192.0.2.53\", \"192.0.2.53:5353\", \"[2001:db8::53]:5353\"";
        reader.error("PG213", text.span, format!("\"{}\" is no address of a server", text.value), help);
    }
    found
}
