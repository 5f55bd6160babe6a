//! `[hosts]`: groups of peers by name.

use super::keys::HOST_GROUP;
use super::peer::{self, Place};
use super::reader::{Reader, Table, Value};
use super::{HostGroup, Spanned, check_name};
use std::path::PathBuf;

pub(super) fn parse(reader: &mut Reader, value: &Value<'_>) -> Vec<HostGroup> {
    let Some(table) = reader.table(value, "a table of host groups") else { return Vec::new() };
    let mut groups = Vec::new();
    for (key, value) in table.iter() {
        let name = Spanned { value: key.get_ref().to_string(), span: reader.span(key.span()) };
        check_name(reader, &name.value, name.span, "a group");
        let group = match value.get_ref().as_table() {
            Some(long) => long_form(reader, long),
            None => {
                HostGroup { members: Some(peer::list(reader, value, Place::Group)), ..HostGroup::default() }
            }
        };
        groups.push(HostGroup { name: Some(name), ..group });
    }
    groups
}

fn long_form(reader: &mut Reader, table: &Table<'_>) -> HostGroup {
    reader.known_keys(table, &HOST_GROUP);
    let mut group = HostGroup::default();
    group.members = table.get("members").map(|value| peer::list(reader, value, Place::Group));
    if let Some(value) = table.get("add") {
        group.add = peer::list(reader, value, Place::Group);
    }
    group.file = table.get("file").and_then(|value| file(reader, value));
    group.resolv_conf = table.get("resolv-conf").and_then(|value| reader.boolean(value)).unwrap_or(false);
    let mut time = |key| table.get(key).and_then(|value| reader.duration(value));
    (group.ttl_floor, group.ttl_cap, group.grace) = (time("ttl-floor"), time("ttl-cap"), time("grace"));
    group
}

fn file(reader: &mut Reader, value: &Value<'_>) -> Option<Spanned<PathBuf>> {
    let path = PathBuf::from(reader.string(value, "the path of a list file")?);
    let span = reader.of(value);
    if !path.is_absolute() {
        reader.error(
            "PG209",
            span,
            "the path of a list file is relative",
            "write the path from the root: \"/etc/…\"",
        );
        return None;
    }
    Some(Spanned { value: path, span })
}
