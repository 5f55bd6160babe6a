//! The addresses of host names, written down: `"repo.example.net" = ["192.0.2.7"]`.

use super::file::toml;
use super::reader::Reader;
use crate::diag::{FileId, Findings, SourceMap};
use crate::types::HostName;
use std::collections::BTreeMap;
use std::net::IpAddr;

pub fn parse_names(sources: &SourceMap, file: FileId) -> Result<BTreeMap<HostName, Vec<IpAddr>>, Findings> {
    let mut reader = Reader::new(file);
    let table = toml(&mut reader, sources.text(file));
    let mut names = BTreeMap::new();
    for (key, value) in table.iter() {
        let span = reader.span(key.span());
        let mut addresses = Vec::new();
        for text in reader.strings(value, "a list of addresses") {
            match text.value.parse::<IpAddr>() {
                Ok(address) => addresses.push(address),
                Err(_) => {
                    let message = format!("\"{}\" is no address", text.value);
                    reader.error("PG202", text.span, message, "write single addresses here");
                }
            }
        }
        match key.get_ref().parse::<HostName>() {
            Ok(name) => {
                names.insert(name, addresses);
            }
            Err(error) => {
                reader.error("PG205", span, format!("\"{}\": {error}", key.get_ref()), "write a host name")
            }
        }
    }
    if reader.findings.has_errors() { Err(reader.findings) } else { Ok(names) }
}
