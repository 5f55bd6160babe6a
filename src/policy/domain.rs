//! `[[resolver.domain]]`: servers and private networks for names under a suffix.

use super::hosts::allow_net;
use super::keys::DOMAIN;
use super::reader::{Reader, Table, Value, Wanted};
use super::settings::read_servers;
use super::{Domain, Spanned};
use crate::diag::{Finding, Span, codes};
use crate::model::never;
use crate::types::{AddrRange, HostNameError, Suffix};

pub(super) fn parse(reader: &mut Reader, value: &Value<'_>) -> Vec<Spanned<Domain>> {
    const WANTED: Wanted =
        Wanted::new("a list of domains", "[[resolver.domain]], with two brackets, before each domain");
    let Some(array) = value.get_ref().as_array() else {
        reader.wrong_type(value, WANTED);
        return Vec::new();
    };
    let mut domains = Vec::new();
    for item in array.iter() {
        if let Some(table) = reader.table(item, WANTED) {
            domains.extend(domain(reader, table, reader.of(item)));
        }
    }
    domains
}

/// The domains of all files. One suffix may be said twice, in two files say, if the same is said of it.
#[derive(Default)]
pub(super) struct Domains(Vec<Spanned<Domain>>);

impl Domains {
    pub(super) fn add(&mut self, reader: &mut Reader, domain: Spanned<Domain>) {
        let Some(first) = self.0.iter().find(|first| first.value.suffix == domain.value.suffix) else {
            self.0.push(domain);
            return;
        };
        if first.value != domain.value {
            let message = format!("the suffix \"{}\" has another domain, which differs", domain.value.suffix);
            let finding = Finding::error(codes::DOMAIN_TWICE, message).at(domain.span);
            let help = "put its `servers` and its `allow-net` into one of the two, and take the other out";
            reader.findings.push(finding.also(first.span, "first defined here").help(help));
        }
    }

    pub(super) fn finish(self) -> Vec<Domain> {
        self.0.into_iter().map(|domain| domain.value).collect()
    }
}

/// The place of a domain is that of its suffix.
fn domain(reader: &mut Reader, table: &Table<'_>, whole: Span) -> Option<Spanned<Domain>> {
    reader.known_keys(table, &DOMAIN);
    let place = table.get("suffix").map_or(whole, |value| reader.of(value));
    if table.get("suffix").is_none() {
        let help = "add suffix = \"int.example\": the names that it is about end so";
        reader.error(codes::MISSING, place, "the domain has no `suffix`", help);
    }
    if table.get("servers").is_none() && table.get("allow-net").is_none() {
        let help = "add servers = [\"10.20.0.53\"], allow-net = [\"10.0.0.0/8\"], or both";
        reader.error(codes::MISSING, place, "the domain has neither `servers` nor `allow-net`", help);
    }
    let suffix = table.get("suffix").and_then(|value| suffix(reader, value));
    let servers = table.get("servers").map(|value| read_servers(reader, value, "the usual ones"));
    let allow_net = table.get("allow-net").map(|value| networks(reader, value));
    Some(Spanned { value: Domain { suffix: suffix?, servers, allow_net }, span: place })
}

fn suffix(reader: &mut Reader, value: &Value<'_>) -> Option<Suffix> {
    let text = reader.string(value, Wanted::new("the end of host names in quotes", "\"int.example\""))?;
    let error = match text.parse::<Suffix>() {
        Ok(suffix) => return Some(suffix),
        Err(error) => error,
    };
    let plain = text.trim_start_matches(['~', '*', '.']);
    let message = if error == HostNameError::Wildcard {
        format!("\"{text}\": a suffix has no wildcard")
    } else {
        format!("\"{text}\": {error}")
    };
    let help = if plain != text && plain.parse::<Suffix>().is_ok() {
        format!("write \"{plain}\": it stands for itself and for all names below it")
    } else {
        "write the end of host names, such as \"int.example\" or \"internal\"".into()
    };
    reader.error(codes::BAD_HOST_NAME, reader.of(value), message, help);
    None
}

fn networks(reader: &mut Reader, value: &Value<'_>) -> Vec<AddrRange> {
    let written = allow_net(reader, value).value;
    for network in written.iter().filter(|network| never::is_no_network_of_hosts(&network.value)) {
        reader.findings.push(never::opens_nothing(&network.value).at(network.span));
    }
    let mut networks: Vec<AddrRange> = written.into_iter().map(|network| network.value).collect();
    networks.sort_unstable();
    networks.dedup();
    networks
}
