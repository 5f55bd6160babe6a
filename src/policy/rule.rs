//! `[[rule]]`.

use super::keys::RULE;
use super::reader::{Reader, Table, Value, Wanted};
use super::{RuleEntry, RuleKeys, Spanned, check_name, rule_keys};
use crate::diag::{Span, codes};
use crate::model::Action;
use crate::types::RuleName;

pub(super) fn parse(reader: &mut Reader, value: &Value<'_>) -> Vec<RuleEntry> {
    const WANTED: Wanted = Wanted::new("a list of rules", "[[rule]], with two brackets, before each rule");
    let Some(array) = value.get_ref().as_array() else {
        reader.wrong_type(value, WANTED);
        return Vec::new();
    };
    let mut rules = Vec::new();
    for item in array.iter() {
        if let Some(table) = reader.table(item, WANTED) {
            rules.extend(rule(reader, table, reader.of(item)));
        }
    }
    rules
}

/// All that is wrong with a rule is said, also where one thing alone makes it useless.
fn rule(reader: &mut Reader, table: &Table<'_>, whole: Span) -> Option<RuleEntry> {
    reader.known_keys(table, &RULE);
    let place = table.get("name").map_or(whole, |name| reader.of(name));
    required(reader, table, place);
    let name = table.get("name").and_then(|value| name(reader, value));
    let replaces = table.get("replaces").and_then(|value| {
        let says = reader.boolean(value)?;
        says.then(|| reader.of(value))
    });
    let keys = rule_keys::parse(reader, table);
    entry(name?, replaces, keys)
}

fn required(reader: &mut Reader, table: &Table<'_>, place: Span) {
    const PORTS: &str = "service = \"smtp\", or ports = [\"tcp/25\"]";
    let has = |key: &str| table.get(key).is_some();
    for (missing, message, example) in [
        (!has("name"), "the rule has no `name`", "name = \"smtp-in\""),
        (!has("direction"), "the rule has no `direction`", "direction = \"in\", \"out\" or \"both\""),
        (!has("service") && !has("ports"), "the rule has neither `service` nor `ports`", PORTS),
        (!has("peers"), "the rule has no `peers`", "peers = \"any\", or \"@group\", addresses or host names"),
    ] {
        if missing {
            reader.error(codes::MISSING, place, message, format!("add {example}"));
        }
    }
}

fn name(reader: &mut Reader, value: &Value<'_>) -> Option<Spanned<RuleName>> {
    let text = reader.string(value, Wanted::new("a name", "\"smtp-in\""))?;
    let span = reader.of(value);
    check_name(reader, text, span, "a rule").map(|value| Spanned { value, span })
}

/// `None` if a required key is missing or wrong, which has been said.
fn entry(name: Spanned<RuleName>, replaces: Option<Span>, keys: RuleKeys) -> Option<RuleEntry> {
    fn list<T>(written: Option<Spanned<Vec<T>>>) -> Vec<T> {
        written.map(|list| list.value).unwrap_or_default()
    }
    let span = name.span;
    Some(RuleEntry {
        name,
        replaces,
        direction: keys.direction?,
        ports: keys.ports?.value,
        peers: keys.peers?,
        action: keys.action.unwrap_or(Spanned { value: Action::Allow, span }),
        audit: keys.audit,
        purpose: keys.purpose.map(|purpose| purpose.value).unwrap_or_default(),
        when: list(keys.when),
        rows: list(keys.rows),
        from_ports: list(keys.from_ports),
        zones: list(keys.zones),
        local: list(keys.local),
        users: list(keys.users),
        log: keys.log.map(|log| log.value),
        enabled: keys.enabled.is_none_or(|enabled| enabled.value),
    })
}
