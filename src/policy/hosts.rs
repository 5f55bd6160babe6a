//! `[hosts]`: groups of peers by name.

use super::keys::HOST_GROUP;
use super::peer::{self, AddressKey, Place};
use super::reader::{Reader, Table, Value, Wanted};
use super::{HostGroup, Spanned, check_name};
use crate::diag::codes;
use crate::types::AddrRange;
use std::path::PathBuf;

/// Bounds of the times of looked-up names, here and in the settings.
pub(super) const TTL: (&str, &str) = ("1s", "30d");
pub(super) const GRACE: (&str, &str) = ("0s", "30d");

/// For the settings' domains too.
const ALLOW_NET: AddressKey = AddressKey {
    name: "allow-net",
    for_all: "write the private networks that names may stand for, such as \"10.40.0.0/16\"; public addresses need nothing",
};

/// More lines than a list file may have bytes.
const MOST_ENTRIES: i64 = 67_108_864;

pub(super) fn parse(reader: &mut Reader, value: &Value<'_>) -> Vec<HostGroup> {
    const WANTED: Wanted =
        Wanted::new("a table of host groups", "[hosts], and below it: admins = [\"192.0.2.0/24\"]");
    let Some(table) = reader.table(value, WANTED) else { return Vec::new() };
    let mut groups = Vec::new();
    for (key, value) in table.iter() {
        let name = Spanned { value: key.get_ref().to_string(), span: reader.span(key.span()) };
        check_name(reader, &name.value, name.span, "a group");
        let group = match value.get_ref().as_table() {
            Some(long) => long_form(reader, &name, long),
            None => {
                HostGroup { members: Some(peer::list(reader, value, Place::Group)), ..HostGroup::default() }
            }
        };
        groups.push(HostGroup { name: Some(name), ..group });
    }
    groups
}

fn long_form(reader: &mut Reader, name: &Spanned<String>, table: &Table<'_>) -> HostGroup {
    reader.known_keys(table, &HOST_GROUP);
    if table.is_empty() {
        let message = format!("group \"{}\" says nothing", name.value);
        reader.error(codes::MISSING, name.span, message, "write [] for a group without members");
    }
    let mut peers = |key| table.get(key).map(|value| peer::list(reader, value, Place::Group));
    let (members, add) = (peers("members"), peers("add").unwrap_or_default());
    let mut time = |key, (least, most)| table.get(key).and_then(|value| reader.duration(value, least, most));
    let (ttl_floor, ttl_cap, grace) = (time("ttl-floor", TTL), time("ttl-cap", TTL), time("grace", GRACE));
    HostGroup {
        name: None,
        members,
        add,
        file: table.get("file").and_then(|value| file(reader, value)),
        except: table
            .get("except")
            .map(|value| Spanned { value: peer::list(reader, value, Place::Except), span: reader.of(value) }),
        allow_net: table.get("allow-net").map(|value| allow_net(reader, value)),
        resolv_conf: table.get("resolv-conf").and_then(|value| reader.boolean(value)).unwrap_or(false),
        ttl_floor,
        ttl_cap,
        grace,
        min_entries: table.get("min-entries").and_then(|value| min_entries(reader, value)),
        max_shrink: table.get("max-shrink").and_then(|value| max_shrink(reader, value)),
    }
}

pub(super) fn allow_net(reader: &mut Reader, value: &Value<'_>) -> Spanned<Vec<Spanned<AddrRange>>> {
    let texts = reader.strings(value, Wanted::new("a list of prefixes", "[\"10.40.0.0/16\"]"));
    let mut networks = Vec::new();
    for text in texts {
        let written = text.value;
        let Some(range) = peer::addresses(reader, text, ALLOW_NET) else { continue };
        if written.contains('-') {
            let help = "write the prefixes that it is made of, such as \"10.40.0.0/16\"";
            let message = format!("\"{written}\" is a range: `allow-net` takes prefixes");
            reader.error(codes::BAD_ADDRESS, range.span, message, help);
        }
        networks.push(range);
    }
    Spanned { value: networks, span: reader.of(value) }
}

fn min_entries(reader: &mut Reader, value: &Value<'_>) -> Option<Spanned<u64>> {
    const WANTED: Wanted = Wanted::new("a number of entries", "the number without quotes, as in 1000");
    let span = reader.of(value);
    let number = reader.integer(value, WANTED)?;
    if !(1..=MOST_ENTRIES).contains(&number) {
        let message = format!("{number} is out of bounds");
        reader.error(codes::BAD_NUMBER, span, message, format!("write 1 to {MOST_ENTRIES}"));
        return None;
    }
    Some(Spanned { value: number.unsigned_abs(), span })
}

fn max_shrink(reader: &mut Reader, value: &Value<'_>) -> Option<Spanned<u8>> {
    const WANTED: Wanted = Wanted::new("a percentage in quotes", "\"40%\"");
    let span = reader.of(value);
    let text = reader.string(value, WANTED)?;
    let percent = text.strip_suffix('%').and_then(|number| number.parse::<u8>().ok());
    let Some(percent) = percent.filter(|percent| (1..=100).contains(percent)) else {
        let message = format!("\"{text}\" is no percentage from 1 to 100");
        reader.error(codes::BAD_NUMBER, span, message, "write a whole number and %, as in \"40%\"");
        return None;
    };
    Some(Spanned { value: percent, span })
}

fn file(reader: &mut Reader, value: &Value<'_>) -> Option<Spanned<PathBuf>> {
    const WANTED: Wanted = Wanted::new("the path of a list file", "\"/etc/portgrave/lists/partners.txt\"");
    let text = reader.string(value, WANTED)?;
    let span = reader.of(value);
    if !text.starts_with('/') {
        let name = text.rsplit('/').next().unwrap_or(text);
        let help = format!("write the path from the root: \"/etc/portgrave/lists/{name}\"");
        reader.error(codes::BAD_PATH, span, "the path of a list file is relative", help);
        return None;
    }
    Some(Spanned { value: text.into(), span })
}
