//! The keys that a rule and an override have in common.

use super::reader::{Reader, Table, Value, Wanted};
use super::{PortTerm, RuleKeys, Spanned, Switches, check_name, conditions, peer, ports};
use crate::diag::{Span, codes, nearest};
use crate::model::{Action, RuleDirection};

pub(super) fn parse(reader: &mut Reader, table: &Table<'_>) -> RuleKeys {
    const PURPOSE: Wanted = Wanted::new("a text", "it in quotes, as in \"Inbound SMTP\"");
    let mut keys = RuleKeys { ports: port_term(reader, table), ..RuleKeys::default() };
    for (key, value) in table.iter() {
        let span = reader.of(value);
        match key.get_ref().as_ref() {
            "direction" => keys.direction = at(span, direction(reader, value)),
            "peers" => keys.peers = at(span, Some(peer::list(reader, value, peer::Place::Rule))),
            "action" => keys.action = at(span, action(reader, value)),
            "mode" => keys.audit = is_audit(reader, value).then_some(span),
            "purpose" => keys.purpose = at(span, reader.string(value, PURPOSE).map(str::to_owned)),
            "when" => keys.when = at(span, Some(when(reader, value))),
            "rows" => keys.rows = at(span, Some(rows(reader, value))),
            "from-ports" => keys.from_ports = at(span, Some(conditions::from_ports(reader, value))),
            "zone" => keys.zones = at(span, Some(conditions::zones(reader, value))),
            "local" => keys.local = at(span, Some(conditions::local(reader, value))),
            "user" => keys.users = at(span, Some(conditions::users(reader, value))),
            "log" => keys.log = at(span, reader.boolean(value)),
            "enabled" => keys.enabled = at(span, reader.boolean(value)),
            _ => {}
        }
    }
    keys
}

fn at<T>(span: Span, value: Option<T>) -> Option<Spanned<T>> {
    value.map(|value| Spanned { value, span })
}

fn port_term(reader: &mut Reader, table: &Table<'_>) -> Option<Spanned<PortTerm>> {
    match (table.get("service"), table.get("ports")) {
        (Some(service), Some(ports)) => {
            let help = "keep one of them, or write two rules";
            let (first, second) = (reader.of(service), reader.of(ports));
            let place = first.max(second);
            reader.error(codes::EXCLUSIVE, place, "the rule has both `service` and `ports`", help);
            None
        }
        (None, None) => None,
        (None, Some(value)) => at(reader.of(value), Some(PortTerm::Ports(ports::list(reader, value)))),
        (Some(value), None) => at(reader.of(value), services(reader, value).map(PortTerm::Services)),
    }
}

fn services(reader: &mut Reader, value: &Value<'_>) -> Option<Vec<Spanned<String>>> {
    const WANTED: Wanted = Wanted::new("the name of a service or a list of them", "\"smtp\"");
    if value.get_ref().as_array().is_some_and(|array| array.is_empty()) {
        let help = "write at least one, as in [\"smtp\"]";
        reader.error(codes::MISSING, reader.of(value), "the list of services is empty", help);
    }
    let mut names = Vec::new();
    for text in reader.string_or_list(value, WANTED) {
        let known = check_name(reader, text.value, text.span, "a service");
        names.extend(known.map(|_| Spanned { value: text.value.to_owned(), span: text.span }));
    }
    (!names.is_empty()).then_some(names)
}

fn direction(reader: &mut Reader, value: &Value<'_>) -> Option<RuleDirection> {
    const ALL: [RuleDirection; 3] = [RuleDirection::In, RuleDirection::Out, RuleDirection::Both];
    const MEANING: &str =
        "write \"in\" (a peer opens the connection), \"out\" (this machine) or \"both\" (either)";
    let text = reader.string(value, Wanted::new("a direction", "\"in\", \"out\" or \"both\""))?;
    let found = ALL.into_iter().find(|direction| direction.as_str() == text);
    if found.is_none() {
        let help = match text.to_lowercase().as_str() {
            "input" | "incoming" | "inbound" | "ingress" => "write \"in\"".to_owned(),
            "output" | "outgoing" | "outbound" | "egress" => "write \"out\"".into(),
            "in/out" | "inout" | "any" | "all" => "write \"both\"".into(),
            "fwd" | "forward" => "only traffic of this machine itself is filtered".into(),
            _ => MEANING.into(),
        };
        reader.error(codes::UNKNOWN_WORD, reader.of(value), format!("\"{text}\" is no direction"), help);
    }
    found
}

fn action(reader: &mut Reader, value: &Value<'_>) -> Option<Action> {
    let text = reader.string(value, Wanted::new("an action", "\"allow\", \"deny\" or \"reject\""))?;
    let found = Action::ALL.into_iter().find(|action| action.as_str() == text);
    if found.is_none() {
        let help = match text.to_lowercase().as_str() {
            "accept" | "permit" | "pass" => "did you mean \"allow\"?".into(),
            "drop" | "block" | "discard" => "did you mean \"deny\"? It drops; \"reject\" answers".into(),
            "audit" | "log" => {
                "write action = \"deny\" and mode = \"audit\": it is counted, and decides nothing".into()
            }
            _ => match nearest(text, Action::ALL.map(Action::as_str)) {
                Some(close) => format!("did you mean \"{close}\"?"),
                None => "write \"allow\", \"deny\" (drops) or \"reject\" (answers)".into(),
            },
        };
        reader.error(codes::UNKNOWN_WORD, reader.of(value), format!("\"{text}\" is no action"), help);
    }
    found
}

fn is_audit(reader: &mut Reader, value: &Value<'_>) -> bool {
    let Some(text) = reader.string(value, Wanted::new("a mode", "\"audit\"")) else { return false };
    let known = text == "audit";
    if !known {
        let help = match text.to_lowercase().as_str() {
            "enforce" | "enforcing" | "normal" | "on" => {
                "leave `mode` out: a rule decides unless it says \"audit\""
            }
            "off" | "disabled" => "write `enabled = false`",
            _ => "the only mode is \"audit\": the rule decides nothing, and is counted",
        };
        reader.error(codes::UNKNOWN_WORD, reader.of(value), format!("\"{text}\" is no mode"), help);
    }
    known
}

fn when(reader: &mut Reader, value: &Value<'_>) -> Switches {
    let wanted = Wanted::new("a switch or a list of switches", "\"pmm\" or [\"pmm\", \"!pmm-full\"]");
    let texts = reader.string_or_list(value, wanted);
    let mut switches = Vec::new();
    for text in texts {
        let name = text.value.strip_prefix('!').unwrap_or(text.value);
        check_name(reader, name, text.span, "a switch");
        let on = !text.value.starts_with('!');
        switches.push((Spanned { value: name.to_owned(), span: text.span }, on));
    }
    switches
}

fn rows(reader: &mut Reader, value: &Value<'_>) -> Vec<String> {
    let texts = reader.strings(value, Wanted::new("a list of row ids", "[\"R06\"]"));
    texts.into_iter().map(|row| row.value.to_owned()).collect()
}
