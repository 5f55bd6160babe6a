//! `[hosts]`: groups of peers by name.

use super::keys::HOST_GROUP;
use super::peer::{self, Place};
use super::reader::{Reader, Table, Value, Wanted};
use super::{HostGroup, Spanned, check_name};
use crate::diag::codes;
use std::path::PathBuf;

/// Bounds of the times of looked-up names, here and in the settings.
pub(super) const TTL: (&str, &str) = ("1s", "30d");
pub(super) const GRACE: (&str, &str) = ("0s", "30d");

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
        resolv_conf: table.get("resolv-conf").and_then(|value| reader.boolean(value)).unwrap_or(false),
        ttl_floor,
        ttl_cap,
        grace,
    }
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
