//! `[log]` of `portgrave.toml`: what becomes of the record of denied packets.

use super::keys::LOG;
use super::reader::{Reader, Value, Wanted};
use crate::diag::codes;
use crate::model::LogPolicy;

pub(super) fn read(reader: &mut Reader, value: &Value<'_>, log: &mut LogPolicy) {
    let wanted = Wanted::new("a table", "[log], and below it: denied = \"off\"");
    let Some(table) = reader.table(value, wanted) else { return };
    reader.known_keys(table, &LOG);
    if let Some(denied) = table.get("denied").and_then(|value| denied(reader, value)) {
        log.denied = denied;
    }
    if let Some(group) = table.get("nflog-group").and_then(|value| group(reader, value)) {
        log.group = group;
    }
}

/// Whether they are logged.
fn denied(reader: &mut Reader, value: &Value<'_>) -> Option<bool> {
    const WORDS: &str = "write \"nflog\" (denied packets are logged) or \"off\" (they are only counted)";
    let text = reader.string(value, Wanted::new("a way to log", "\"nflog\" or \"off\""))?;
    match text {
        "nflog" => Some(true),
        "off" => Some(false),
        _ => {
            let message = format!("\"{text}\" is no way to log");
            reader.error(codes::UNKNOWN_WORD, reader.of(value), message, WORDS);
            None
        }
    }
}

fn group(reader: &mut Reader, value: &Value<'_>) -> Option<u16> {
    let number =
        reader.integer(value, Wanted::new("the number of a group", "it without quotes, as in 100"))?;
    let group = u16::try_from(number).ok();
    if group.is_none() {
        let message = format!("{number} is out of bounds");
        reader.error(codes::BAD_NUMBER, reader.of(value), message, format!("write 0 to {}", u16::MAX));
    }
    group
}
