//! The addresses of host names, written down: `"repo.example.net" = ["192.0.2.7"]`.

use super::reader::{Reader, Wanted};
use super::syntax;
use crate::diag::{FileId, Findings, SourceMap, codes};
use crate::types::HostName;
use std::collections::BTreeMap;
use std::net::IpAddr;

pub fn parse_names(sources: &SourceMap, file: FileId) -> Result<BTreeMap<HostName, Vec<IpAddr>>, Findings> {
    let mut reader = Reader::new(file);
    let mut names = BTreeMap::new();
    let table = syntax::read(&mut reader, sources.text(file)).unwrap_or_default();
    for (key, value) in table.iter() {
        let span = reader.span(key.span());
        if value.get_ref().as_table().is_some() {
            let message = format!("`{}` is a table: a dot outside quotes makes one", key.get_ref());
            let help = "put the whole name in quotes: \"repo.example.net\" = [\"192.0.2.7\"]";
            reader.error(codes::WRONG_TYPE, span, message, help);
            continue;
        }
        let mut addresses = Vec::new();
        for text in reader.strings(value, Wanted::new("a list of addresses", "[\"192.0.2.7\"]")) {
            match text.value.parse::<IpAddr>() {
                Ok(address) => addresses.push(address),
                Err(_) => {
                    let message = format!("\"{}\" is no address", text.value);
                    reader.error(codes::BAD_ADDRESS, text.span, message, "write single addresses here");
                }
            }
        }
        match key.get_ref().parse::<HostName>() {
            Ok(name) => names.entry(name).or_insert_with(Vec::new).extend(addresses),
            Err(error) => reader.error(
                codes::BAD_HOST_NAME,
                span,
                format!("\"{}\": {error}", key.get_ref()),
                "write a host name",
            ),
        }
    }
    reader.finish(names)
}
