//! `[services]`: ports by name.

use super::keys::SERVICE;
use super::reader::{Reader, Table, Value, Wanted};
use super::{ServiceEntry, Spanned, check_name, ports};
use crate::diag::codes;
use crate::types::{PortMatch, PortRange, Protocol};

const FORM: Wanted = Wanted::new("a table", "{ ports = [\"tcp/25\"] }");

pub(super) fn parse(reader: &mut Reader, value: &Value<'_>) -> Vec<ServiceEntry> {
    const WANTED: Wanted =
        Wanted::new("a table of services", "[services], and below it: hkp = { ports = [\"tcp/11371\"] }");
    let Some(table) = reader.table(value, WANTED) else { return Vec::new() };
    let mut services = Vec::new();
    for (key, value) in table.iter() {
        let name = Spanned { value: key.get_ref().to_string(), span: reader.span(key.span()) };
        check_name(reader, &name.value, name.span, "a service");
        if let Some(table) = reader.table(value, FORM) {
            services.extend(service(reader, name, table));
        }
    }
    services
}

fn service(reader: &mut Reader, name: Spanned<String>, table: &Table<'_>) -> Option<ServiceEntry> {
    reader.known_keys(table, &SERVICE);
    let helper = table.get("helper").and_then(|value| helper(reader, value));
    let passive = table.get("passive").and_then(|value| passive(reader, value));
    let Some(value) = table.get("ports") else {
        let message = format!("service \"{}\" has no ports", name.value);
        reader.error(codes::MISSING, name.span, message, "add ports = [\"tcp/25\"]");
        return None;
    };
    Some(ServiceEntry { name, ports: ports::list(reader, value), helper, passive })
}

fn helper(reader: &mut Reader, value: &Value<'_>) -> Option<Spanned<String>> {
    let text = reader.string(value, Wanted::new("the name of a conntrack helper", "\"ftp\""))?;
    let span = reader.of(value);
    if text != "ftp" {
        let message = format!("there is no helper \"{text}\"");
        reader.error(codes::UNKNOWN_HELPER, span, message, "the only helper is \"ftp\"");
        return None;
    }
    Some(Spanned { value: text.to_owned(), span })
}

fn passive(reader: &mut Reader, value: &Value<'_>) -> Option<Spanned<PortRange>> {
    const WANTED: Wanted = Wanted::new("a range of TCP ports", "\"tcp/50000-50100\"");
    let text = Spanned { value: reader.string(value, WANTED)?, span: reader.of(value) };
    let span = text.span;
    match ports::one(reader, text)?.value {
        PortMatch::Ports(Protocol::Tcp, range) => Some(Spanned { value: range, span }),
        PortMatch::Ports(Protocol::Udp | Protocol::Sctp, _)
        | PortMatch::Icmp(..)
        | PortMatch::Protocol(_)
        | PortMatch::Any => {
            let help = format!("write {} as in {}", WANTED.what, WANTED.example);
            reader.error(codes::BAD_PASSIVE, span, "data connections of FTP are TCP", help);
            None
        }
    }
}
