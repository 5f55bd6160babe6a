//! `[services]`: ports by name.

use super::keys::SERVICE;
use super::reader::{Reader, Table, Value};
use super::{ServiceEntry, Spanned, check_name};
use crate::types::{PortError, PortMatch, PortRange, Protocol};

pub(super) fn parse(reader: &mut Reader, value: &Value<'_>) -> Vec<ServiceEntry> {
    let Some(table) = reader.table(value, "a table of services") else { return Vec::new() };
    let mut services = Vec::new();
    for (key, value) in table.iter() {
        let name = Spanned { value: key.get_ref().to_string(), span: reader.span(key.span()) };
        check_name(reader, &name.value, name.span, "a service");
        if let Some(table) = reader.table(value, "a table such as { ports = [\"tcp/25\"] }") {
            services.extend(service(reader, name, table));
        }
    }
    services
}

fn service(reader: &mut Reader, name: Spanned<String>, table: &Table<'_>) -> Option<ServiceEntry> {
    reader.known_keys(table, &SERVICE);
    let Some(value) = table.get("ports") else {
        let message = format!("service `{}` has no ports", name.value);
        reader.error("PG108", name.span, message, "add ports = [\"tcp/25\"]");
        return None;
    };
    let ports = ports(reader, value);
    let helper = table.get("helper").and_then(|value| helper(reader, value));
    let passive = table.get("passive").and_then(|value| passive(reader, value));
    Some(ServiceEntry { name, ports, helper, passive })
}

pub(super) fn ports(reader: &mut Reader, value: &Value<'_>) -> Vec<Spanned<PortMatch>> {
    let texts = reader.strings(value, "a list of ports such as [\"tcp/25\"]");
    if texts.is_empty() && value.get_ref().as_array().is_some_and(|array| array.is_empty()) {
        reader.error(
            "PG108",
            reader.of(value),
            "the list of ports is empty",
            "write at least one, or \"any\"",
        );
    }
    texts.into_iter().filter_map(|text| port(reader, text)).collect()
}

fn port(reader: &mut Reader, text: Spanned<&str>) -> Option<Spanned<PortMatch>> {
    match text.value.parse::<PortMatch>() {
        Ok(value) => Some(Spanned { value, span: text.span }),
        Err(error) => {
            let (code, help) = match &error {
                PortError::Syntax => {
                    ("PG203", "write the protocol and the port: \"tcp/25\", \"udp/53\"".to_owned())
                }
                PortError::TooLarge(_) => ("PG203", "ports go from 0 to 65535".into()),
                PortError::Inverted(right) => ("PG204", format!("write the smaller port first: \"{right}\"")),
                PortError::UnknownProtocol(_) => {
                    ("PG203", "write tcp or udp before the slash, or \"any\"".into())
                }
                PortError::NotYet(_) => ("PG103", "this version takes tcp, udp and \"any\"".into()),
            };
            let message = match error {
                PortError::Inverted(_) => error.to_string(),
                _ => format!("\"{}\": {error}", text.value),
            };
            reader.error(code, text.span, message, help);
            None
        }
    }
}

fn helper(reader: &mut Reader, value: &Value<'_>) -> Option<Spanned<String>> {
    let text = reader.string(value, "the name of a conntrack helper")?;
    let span = reader.of(value);
    if text != "ftp" {
        reader.error("PG210", span, format!("there is no helper \"{text}\""), "the only helper is \"ftp\"");
        return None;
    }
    Some(Spanned { value: text.to_owned(), span })
}

fn passive(reader: &mut Reader, value: &Value<'_>) -> Option<Spanned<PortRange>> {
    const WANTED: &str = "a range of TCP ports such as \"tcp/50000-50100\"";
    let text = Spanned { value: reader.string(value, WANTED)?, span: reader.of(value) };
    let span = text.span;
    match port(reader, text)?.value {
        PortMatch::Ports(Protocol::Tcp, range) => Some(Spanned { value: range, span }),
        PortMatch::Ports(Protocol::Udp, _) | PortMatch::Any => {
            reader.error("PG211", span, "data connections of FTP are TCP", format!("write {WANTED}"));
            None
        }
    }
}
