//! `[[rule]]`.

use super::keys::RULE;
use super::peer::{self, Place};
use super::reader::{Reader, Table, Value};
use super::{PortTerm, RuleEntry, Spanned, check_name, services};
use crate::diag::{Span, nearest};
use crate::model::{Action, RuleDirection};
use crate::types::RuleName;

pub(super) fn parse(reader: &mut Reader, value: &Value<'_>) -> Vec<RuleEntry> {
    let Some(array) = value.get_ref().as_array() else {
        reader.wrong_type(value, "[[rule]] with two brackets");
        return Vec::new();
    };
    let mut rules = Vec::new();
    for item in array.iter() {
        if let Some(table) = reader.table(item, "a table") {
            rules.extend(rule(reader, table, reader.of(item)));
        }
    }
    rules
}

/// All that is wrong with a rule is said, also where one thing alone makes it useless.
fn rule(reader: &mut Reader, table: &Table<'_>, whole: Span) -> Option<RuleEntry> {
    reader.known_keys(table, &RULE);
    let name =
        required(reader, table, whole, "name", "name = \"smtp-in\"").and_then(|value| name(reader, value));
    let direction = required(reader, table, whole, "direction", "direction = \"in\", \"out\" or \"both\"")
        .and_then(|value| direction(reader, value));
    let ports = port_term(reader, table, whole);
    let peers =
        required(reader, table, whole, "peers", "peers = \"any\", or \"@group\", addresses or host names")
            .map(|value| peer::list(reader, value, Place::Rule));
    let action = table.get("action").map_or(Some(Action::Allow), |value| action(reader, value));
    let purpose =
        table.get("purpose").and_then(|value| reader.string(value, "a text")).unwrap_or_default().to_owned();
    let when = table.get("when").map(|value| when(reader, value)).unwrap_or_default();
    let rows = table.get("rows").map(|value| reader.strings(value, "a list of row ids")).unwrap_or_default();
    let rows = rows.into_iter().map(|row| row.value.to_owned()).collect();
    let enabled = table.get("enabled").and_then(|value| reader.boolean(value)).unwrap_or(true);
    Some(RuleEntry {
        name: name?,
        direction: direction?,
        ports: ports?,
        peers: peers?,
        action: action?,
        purpose,
        when,
        rows,
        enabled,
    })
}

fn required<'v, 't>(
    reader: &mut Reader,
    table: &'v Table<'t>,
    whole: Span,
    key: &str,
    example: &str,
) -> Option<&'v Value<'t>> {
    let value = table.get(key);
    if value.is_none() {
        let place = table.get("name").map_or(whole, |name| reader.of(name));
        reader.error("PG108", place, format!("the rule has no `{key}`"), format!("add {example}"));
    }
    value
}

fn name(reader: &mut Reader, value: &Value<'_>) -> Option<Spanned<RuleName>> {
    let text = reader.string(value, "a name")?;
    let span = reader.of(value);
    match text.parse() {
        Ok(value) => Some(Spanned { value, span }),
        Err(error) => {
            let help = "write 1 to 64 lower-case letters, digits, '-', '_' or '.', as in \"smtp-in\"";
            reader.error("PG206", span, format!("\"{text}\" cannot name a rule: {error}"), help);
            None
        }
    }
}

fn direction(reader: &mut Reader, value: &Value<'_>) -> Option<Spanned<RuleDirection>> {
    let all = [RuleDirection::In, RuleDirection::Out, RuleDirection::Both];
    let value_of = |text: &str| all.into_iter().find(|direction| direction.as_str() == text);
    let text = reader.string(value, "\"in\", \"out\" or \"both\"")?;
    let span = reader.of(value);
    let found = value_of(text);
    if found.is_none() {
        let help = "\"in\": a peer opens the connection; \"out\": this machine; \"both\": either";
        reader.error("PG212", span, format!("\"{text}\" is no direction"), help);
    }
    found.map(|value| Spanned { value, span })
}

fn action(reader: &mut Reader, value: &Value<'_>) -> Option<Action> {
    let text = reader.string(value, "\"allow\", \"deny\" or \"reject\"")?;
    let found = Action::ALL.into_iter().find(|action| action.as_str() == text);
    if found.is_none() {
        let names = Action::ALL.map(Action::as_str);
        let help = match nearest(text, names.into_iter()) {
            Some(close) => format!("did you mean \"{close}\"?"),
            None => "write \"allow\", \"deny\" (drops) or \"reject\" (answers)".into(),
        };
        reader.error("PG212", reader.of(value), format!("\"{text}\" is no action"), help);
    }
    found
}

fn port_term(reader: &mut Reader, table: &Table<'_>, whole: Span) -> Option<PortTerm> {
    match (table.get("service"), table.get("ports")) {
        (Some(service), Some(_)) => {
            let help = "keep one of them: a rule with both is written as two rules";
            reader.error("PG109", reader.of(service), "the rule has both `service` and `ports`", help);
            None
        }
        (None, None) => {
            required(reader, table, whole, "ports", "ports = [\"tcp/25\"], or service = \"smtp\"");
            None
        }
        (None, Some(ports)) => Some(PortTerm::Ports(services::ports(reader, ports))),
        (Some(value), None) if value.get_ref().as_array().is_some() => {
            let help = "write a rule for each service, or list their ports in `ports`";
            reader.error("PG103", reader.of(value), "a list in `service` is not built yet", help);
            None
        }
        (Some(value), None) => {
            let text = reader.string(value, "the name of a service")?.to_owned();
            Some(PortTerm::Service(Spanned { value: text, span: reader.of(value) }))
        }
    }
}

fn when(reader: &mut Reader, value: &Value<'_>) -> Vec<(Spanned<String>, bool)> {
    let texts = reader.string_or_list(value, "a switch, or a list of switches");
    let mut switches = Vec::new();
    for text in texts {
        let name = text.value.strip_prefix('!').unwrap_or(text.value);
        check_name(reader, name, text.span, "a switch");
        let on = !text.value.starts_with('!');
        switches.push((Spanned { value: name.to_owned(), span: text.span }, on));
    }
    switches
}
