//! What a rule says, key by key and without places, so that two can be compared; and what an override makes of one.

use super::draft::written;
use super::{Action, RuleDirection, User};
use crate::diag::Span;
use crate::policy::{PortTerm, RuleEntry, RuleKeys, Spanned};
use std::collections::BTreeMap;

/// By key, what stands there; lists without their order. `service` stands under `ports`, whose place it takes.
pub(super) type Form = BTreeMap<&'static str, Vec<String>>;

pub(super) fn same(a: &RuleEntry, b: &RuleEntry) -> bool {
    a.replaces.is_some() == b.replaces.is_some() && of_rule(a) == of_rule(b)
}

pub(super) fn of_rule(rule: &RuleEntry) -> Form {
    of_keys(&keys(rule)).into_iter().map(|(key, _, form)| (key, form)).collect()
}

/// Every key that is written, with its place.
pub(super) fn of_keys(keys: &RuleKeys) -> Vec<(&'static str, Span, Vec<String>)> {
    let mut forms = Vec::new();
    let mut say = |key, place, mut form: Vec<String>| {
        form.sort_unstable();
        form.dedup();
        forms.push((key, place, form));
    };
    fn one<T>(value: &Option<Spanned<T>>, form: impl Fn(&T) -> String) -> Option<(Span, Vec<String>)> {
        value.as_ref().map(|value| (value.span, vec![form(&value.value)]))
    }
    fn list<T>(value: &Option<Spanned<Vec<T>>>, form: impl Fn(&T) -> String) -> Option<(Span, Vec<String>)> {
        value.as_ref().map(|list| (list.span, list.value.iter().map(form).collect()))
    }
    let ports = keys.ports.as_ref().map(|ports| (ports.span, of_ports(&ports.value)));
    for (key, form) in [
        ("direction", one(&keys.direction, |direction: &RuleDirection| direction.as_str().into())),
        ("ports", ports),
        ("peers", list(&keys.peers, |peer| written(&peer.value))),
        ("action", one(&keys.action, |action: &Action| action.as_str().into())),
        ("mode", keys.audit.map(|place| (place, vec!["audit".into()]))),
        ("purpose", one(&keys.purpose, String::clone)),
        ("when", list(&keys.when, |(name, on)| format!("{}{}", if *on { "" } else { "!" }, name.value))),
        ("rows", list(&keys.rows, String::clone)),
        ("from-ports", list(&keys.from_ports, |port| format!("{}/{}", port.value.0.as_str(), port.value.1))),
        ("zone", list(&keys.zones, |zone| zone.value.clone())),
        ("local", list(&keys.local, |range| range.value.to_string())),
        ("user", list(&keys.users, |user| of_user(&user.value))),
        ("log", one(&keys.log, bool::to_string)),
        ("enabled", one(&keys.enabled, bool::to_string)),
    ] {
        if let Some((place, form)) = form {
            say(key, place, form);
        }
    }
    forms
}

fn of_ports(ports: &PortTerm) -> Vec<String> {
    match ports {
        PortTerm::Services(names) => names.iter().map(|name| format!("service {}", name.value)).collect(),
        PortTerm::Ports(ports) => ports.iter().map(|entry| entry.value.to_string()).collect(),
    }
}

fn of_user(user: &User) -> String {
    match user {
        User::Uid(uid) => uid.to_string(),
        User::Name(name) => format!("name {name}"),
    }
}

/// A rule as if an override had said all of it; conditions that it has not are not said.
fn keys(rule: &RuleEntry) -> RuleKeys {
    let span = rule.name.span;
    fn at<T>(span: Span, value: T) -> Option<Spanned<T>> {
        Some(Spanned { value, span })
    }
    RuleKeys {
        direction: Some(rule.direction.clone()),
        ports: at(span, rule.ports.clone()),
        peers: Some(rule.peers.clone()),
        action: Some(rule.action.clone()),
        audit: rule.audit,
        purpose: at(span, rule.purpose.clone()),
        when: at(span, rule.when.clone()),
        rows: at(span, rule.rows.clone()),
        from_ports: at(span, rule.from_ports.clone()),
        zones: at(span, rule.zones.clone()),
        local: at(span, rule.local.clone()),
        users: at(span, rule.users.clone()),
        log: rule.log.and_then(|log| at(span, log)),
        enabled: at(span, rule.enabled),
    }
}

/// Each key that is written takes the place of the rule's.
pub(super) fn change(rule: &mut RuleEntry, keys: RuleKeys) {
    fn set<T>(held: &mut T, wanted: Option<Spanned<T>>) {
        if let Some(wanted) = wanted {
            *held = wanted.value;
        }
    }
    rule.direction = keys.direction.unwrap_or_else(|| rule.direction.clone());
    rule.peers = keys.peers.unwrap_or_else(|| rule.peers.clone());
    rule.action = keys.action.unwrap_or_else(|| rule.action.clone());
    rule.audit = keys.audit.or(rule.audit);
    set(&mut rule.ports, keys.ports);
    set(&mut rule.purpose, keys.purpose);
    set(&mut rule.when, keys.when);
    set(&mut rule.rows, keys.rows);
    set(&mut rule.from_ports, keys.from_ports);
    set(&mut rule.zones, keys.zones);
    set(&mut rule.local, keys.local);
    set(&mut rule.users, keys.users);
    rule.log = keys.log.map(|log| log.value).or(rule.log);
    set(&mut rule.enabled, keys.enabled);
}
