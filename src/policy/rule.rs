//! `[[rule]]`.

use super::keys::RULE;
use super::peer::{self, Place};
use super::reader::{Reader, Table, Value, Wanted};
use super::{PortTerm, RuleEntry, Spanned, check_name, ports};
use crate::diag::{Span, codes, nearest};
use crate::model::{Action, RuleDirection};

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
    const PURPOSE: Wanted = Wanted::new("a text", "it in quotes, as in \"Inbound SMTP\"");
    const ROWS: Wanted = Wanted::new("a list of row ids", "[\"R06\"]");
    reader.known_keys(table, &RULE);
    let mut fields = Fields { reader, table, place: whole };
    fields.place = table.get("name").map_or(whole, |name| fields.reader.of(name));
    let name = fields.required("name", "name = \"smtp-in\"").and_then(|value| {
        let text = fields.reader.string(value, Wanted::new("a name", "\"smtp-in\""))?;
        let span = fields.reader.of(value);
        check_name(fields.reader, text, span, "a rule").map(|value| Spanned { value, span })
    });
    let direction = fields
        .required("direction", "direction = \"in\", \"out\" or \"both\"")
        .and_then(|value| direction(fields.reader, value));
    let ports = fields.port_term();
    let peers = fields
        .required("peers", "peers = \"any\", or \"@group\", addresses or host names")
        .map(|value| peer::list(fields.reader, value, Place::Rule));
    let action = table.get("action").map_or(Some(Action::Allow), |value| action(reader, value));
    let purpose = table.get("purpose").and_then(|value| reader.string(value, PURPOSE)).unwrap_or_default();
    let when = table.get("when").map(|value| when(reader, value)).unwrap_or_default();
    let rows = table.get("rows").map(|value| reader.strings(value, ROWS)).unwrap_or_default();
    let enabled = table.get("enabled").and_then(|value| reader.boolean(value)).unwrap_or(true);
    Some(RuleEntry {
        name: name?,
        direction: direction?,
        ports: ports?,
        peers: peers?,
        action: action?,
        purpose: purpose.to_owned(),
        when,
        rows: rows.into_iter().map(|row| row.value.to_owned()).collect(),
        enabled,
    })
}

/// The keys of one rule.
struct Fields<'r, 'v, 't> {
    reader: &'r mut Reader,
    table: &'v Table<'t>,
    /// Stands for the rule: its name, else its header.
    place: Span,
}

impl<'v, 't> Fields<'_, 'v, 't> {
    fn required(&mut self, key: &str, example: &str) -> Option<&'v Value<'t>> {
        let value = self.table.get(key);
        if value.is_none() {
            let message = format!("the rule has no `{key}`");
            self.reader.error(codes::MISSING, self.place, message, format!("add {example}"));
        }
        value
    }

    fn port_term(&mut self) -> Option<PortTerm> {
        const WANTED: Wanted = Wanted::new("the name of a service", "\"smtp\"");
        match (self.table.get("service"), self.table.get("ports")) {
            (Some(service), Some(ports)) => {
                let both = "the rule has both `service` and `ports`";
                let help = "keep one of them, or write two rules";
                let (first, second) = (self.reader.of(service), self.reader.of(ports));
                self.reader.error(codes::EXCLUSIVE, first.max(second), both, help);
                None
            }
            (None, None) => {
                let message = "the rule has neither `service` nor `ports`";
                let help = "add service = \"smtp\", or ports = [\"tcp/25\"]";
                self.reader.error(codes::MISSING, self.place, message, help);
                None
            }
            (None, Some(value)) => Some(PortTerm::Ports(ports::list(self.reader, value))),
            (Some(value), None) if value.get_ref().is_array() => {
                let help = "write a rule for each service, or list their ports in `ports`";
                let message = "a list in `service` is not built yet";
                self.reader.error(codes::NOT_YET, self.reader.of(value), message, help);
                None
            }
            (Some(value), None) => {
                let value =
                    Spanned { value: self.reader.string(value, WANTED)?, span: self.reader.of(value) };
                check_name(self.reader, value.value, value.span, "a service")?;
                Some(PortTerm::Service(Spanned { value: value.value.to_owned(), span: value.span }))
            }
        }
    }
}

fn direction(reader: &mut Reader, value: &Value<'_>) -> Option<Spanned<RuleDirection>> {
    const ALL: [RuleDirection; 3] = [RuleDirection::In, RuleDirection::Out, RuleDirection::Both];
    const MEANING: &str =
        "write \"in\" (a peer opens the connection), \"out\" (this machine) or \"both\" (either)";
    let text = reader.string(value, Wanted::new("a direction", "\"in\", \"out\" or \"both\""))?;
    let span = reader.of(value);
    let found = ALL.into_iter().find(|direction| direction.as_str() == text);
    if found.is_none() {
        let help = match text.to_lowercase().as_str() {
            "input" | "incoming" | "inbound" | "ingress" => "write \"in\"".to_owned(),
            "output" | "outgoing" | "outbound" | "egress" => "write \"out\"".into(),
            "in/out" | "inout" | "any" | "all" => "write \"both\"".into(),
            "fwd" | "forward" => "only traffic of this machine itself is filtered".into(),
            _ => MEANING.into(),
        };
        reader.error(codes::UNKNOWN_WORD, span, format!("\"{text}\" is no direction"), help);
    }
    found.map(|value| Spanned { value, span })
}

fn action(reader: &mut Reader, value: &Value<'_>) -> Option<Action> {
    let text = reader.string(value, Wanted::new("an action", "\"allow\", \"deny\" or \"reject\""))?;
    let found = Action::ALL.into_iter().find(|action| action.as_str() == text);
    if found.is_none() {
        let help = match text.to_lowercase().as_str() {
            "accept" | "permit" | "pass" => "did you mean \"allow\"?".into(),
            "drop" | "block" | "discard" => "did you mean \"deny\"? It drops; \"reject\" answers".into(),
            _ => match nearest(text, Action::ALL.map(Action::as_str)) {
                Some(close) => format!("did you mean \"{close}\"?"),
                None => "write \"allow\", \"deny\" (drops) or \"reject\" (answers)".into(),
            },
        };
        reader.error(codes::UNKNOWN_WORD, reader.of(value), format!("\"{text}\" is no action"), help);
    }
    found
}

fn when(reader: &mut Reader, value: &Value<'_>) -> Vec<(Spanned<String>, bool)> {
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
