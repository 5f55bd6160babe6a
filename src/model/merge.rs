//! Layers merged: which definition of each name is in force.

use super::{DefaultAction, ForwardDefault};
use crate::diag::{Finding, Findings, Span};
use crate::policy::{HostGroup, Layer, ParsedFile, ParsedPolicy, Peer, ServiceEntry, Spanned, ZoneEntry};
use std::collections::BTreeMap;

/// What is in force of all layers, by name.
#[derive(Default)]
pub(super) struct Merged<'a> {
    /// `in` and `out` of `[default]`.
    pub(super) default: BTreeMap<&'a str, Entry<DefaultAction>>,
    pub(super) forward: BTreeMap<&'a str, Entry<ForwardDefault>>,
    pub(super) features: BTreeMap<&'a str, Entry<bool>>,
    pub(super) baseline: BTreeMap<&'a str, Entry<bool>>,
    pub(super) services: BTreeMap<&'a str, Entry<&'a ServiceEntry>>,
    pub(super) groups: BTreeMap<&'a str, Group<'a>>,
    pub(super) zones: BTreeMap<&'a str, Entry<&'a ZoneEntry>>,
}

pub(super) struct Entry<T> {
    layer: Layer,
    pub(super) place: Span,
    pub(super) value: T,
}

/// A host group: the definition of the highest layer, and what any layer adds.
pub(super) struct Group<'a> {
    /// Of the definition, or of the first addition.
    pub(super) place: Span,
    pub(super) definition: Option<&'a HostGroup>,
    pub(super) added: Vec<&'a Spanned<Peer>>,
}

impl<'a> Group<'a> {
    pub(super) fn members(&self) -> impl Iterator<Item = &'a Spanned<Peer>> {
        let defined = self.definition.and_then(|definition| definition.members.as_ref());
        defined.into_iter().flatten().chain(self.added.iter().copied())
    }

    pub(super) fn except(&self) -> impl Iterator<Item = &'a Spanned<Peer>> {
        let except = self.definition.and_then(|definition| definition.except.as_ref());
        except.into_iter().flat_map(|except| &except.value)
    }

    /// Nothing at all: no member, no file, not even a source of addresses.
    pub(super) fn is_empty(&self) -> bool {
        let source = |definition: &HostGroup| definition.file.is_some() || definition.resolv_conf;
        self.members().next().is_none() && !self.definition.is_some_and(source)
    }
}

pub(super) fn merge<'a>(parsed: &'a ParsedPolicy, findings: &mut Findings) -> Merged<'a> {
    let mut merged = Merged::default();
    for file in &parsed.files {
        let layer = file.layer;
        defaults(file, &mut merged, findings);
        for (name, value) in &file.features {
            let new = Entry { layer, place: name.span, value: *value };
            insert(&mut merged.features, "switch", &name.value, new, |a, b| a == b, findings);
        }
        for (name, value) in &file.baseline {
            let new = Entry { layer, place: name.span, value: *value };
            insert(&mut merged.baseline, "baseline rule", &name.value, new, |a, b| a == b, findings);
        }
        for service in &file.services {
            let new = Entry { layer, place: service.name.span, value: service };
            insert(&mut merged.services, "service", &service.name.value, new, same_service, findings);
        }
        for zone in &file.zones {
            let new = Entry { layer, place: zone.name.span, value: zone };
            insert(&mut merged.zones, "zone", &zone.name.value, new, same_zone, findings);
        }
    }
    merged.groups = groups(parsed, findings);
    merged
}

fn defaults(file: &ParsedFile, merged: &mut Merged, findings: &mut Findings) {
    let (layer, says) = (file.layer, &file.default);
    for (name, value) in [("in", &says.input), ("out", &says.output)] {
        if let Some(value) = value {
            let new = Entry { layer, place: value.span, value: value.value };
            insert(&mut merged.default, "default", name, new, |a, b| a == b, findings);
        }
    }
    if let Some(value) = &says.forward {
        let new = Entry { layer, place: value.span, value: value.value };
        insert(&mut merged.forward, "default", "forward", new, |a, b| a == b, findings);
    }
}

/// A higher layer takes the place of a lower one; within a layer only an equal definition may stand twice.
fn insert<'a, T>(
    held: &mut BTreeMap<&'a str, Entry<T>>,
    what: &str,
    name: &'a str,
    new: Entry<T>,
    same: fn(&T, &T) -> bool,
    findings: &mut Findings,
) {
    match held.get(name) {
        Some(old) if old.layer == new.layer => {
            if !same(&old.value, &new.value) {
                findings.push(defined_twice(what, name, old.place, new.place));
            }
        }
        Some(old) if old.layer > new.layer => {}
        Some(_) | None => {
            held.insert(name, new);
        }
    }
}

fn defined_twice(what: &str, name: &str, first: Span, second: Span) -> Finding {
    Finding::error("PG301", format!("{what} \"{name}\" is defined twice in one layer, and differently"))
        .at(second)
        .also(first, "first defined here")
        .help("keep one of the two; a higher layer (site over vendor, runtime over site) may define it anew")
}

fn groups<'a>(parsed: &'a ParsedPolicy, findings: &mut Findings) -> BTreeMap<&'a str, Group<'a>> {
    let mut definitions = BTreeMap::new();
    let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
    let named = parsed.files.iter().flat_map(|file| file.hosts.iter().map(move |host| (file.layer, host)));
    for (layer, host) in named {
        let Some(name) = &host.name else { continue };
        let place = name.span;
        let nothing = || Group { place, definition: None, added: Vec::new() };
        groups.entry(&name.value).or_insert_with(nothing).added.extend(&host.add);
        if defines(host) {
            let new = Entry { layer, place, value: host };
            insert(&mut definitions, "group", &name.value, new, same_group, findings);
        } else if host.add.is_empty() || says_how(host) {
            findings.push(defines_nothing(name));
        }
    }
    for (name, entry) in definitions {
        if let Some(group) = groups.get_mut(name) {
            group.place = entry.place;
            group.definition = Some(entry.value);
        }
    }
    groups
}

fn defines(host: &HostGroup) -> bool {
    host.members.is_some() || host.file.is_some() || host.resolv_conf
}

/// Keys that belong to a definition, but define nothing by themselves.
fn says_how(host: &HostGroup) -> bool {
    let of_names = host.ttl_floor.is_some() || host.ttl_cap.is_some() || host.grace.is_some();
    let of_list = host.min_entries.is_some() || host.max_shrink.is_some();
    of_names || of_list || host.allow_net.is_some() || host.except.is_some()
}

fn defines_nothing(name: &Spanned<String>) -> Finding {
    let message = format!("group \"{}\" says how it is kept, but not what it holds", name.value);
    Finding::error("PG315", message)
        .at(name.span)
        .help(
            "every key but `add` stands beside the `members`, `file` or `resolv-conf` that defines the group, in one \
             entry; an empty group is written `[]`",
        )
}

pub(super) fn values<T: Clone>(spanned: &[Spanned<T>]) -> Vec<T> {
    spanned.iter().map(|entry| entry.value.clone()).collect()
}

pub(super) fn value<T: Clone>(spanned: &Option<Spanned<T>>) -> Option<T> {
    spanned.as_ref().map(|entry| entry.value.clone())
}

fn same_service(a: &&ServiceEntry, b: &&ServiceEntry) -> bool {
    values(&a.ports) == values(&b.ports)
        && value(&a.helper) == value(&b.helper)
        && value(&a.passive) == value(&b.passive)
}

fn same_zone(a: &&ZoneEntry, b: &&ZoneEntry) -> bool {
    values(&a.interfaces) == values(&b.interfaces)
}

fn same_group(a: &&HostGroup, b: &&HostGroup) -> bool {
    let members = |group: &HostGroup| group.members.as_deref().map(values);
    let except = |group: &HostGroup| group.except.as_ref().map(|except| values(&except.value));
    let networks = |group: &HostGroup| group.allow_net.as_ref().map(|networks| values(&networks.value));
    let times = |group: &HostGroup| (group.ttl_floor, group.ttl_cap, group.grace);
    members(a) == members(b)
        && except(a) == except(b)
        && networks(a) == networks(b)
        && value(&a.file) == value(&b.file)
        && a.resolv_conf == b.resolv_conf
        && value(&a.min_entries) == value(&b.min_entries)
        && value(&a.max_shrink) == value(&b.max_shrink)
        && times(a) == times(b)
}
