//! `[default]`: what becomes of packets that no rule matches, and of forwarded ones.

use super::keys::DEFAULT;
use super::reader::{Reader, Value, Wanted};
use super::{DefaultEntry, Spanned};
use crate::diag::{codes, nearest};
use crate::model::{DefaultAction, ForwardDefault};

pub(super) fn parse(reader: &mut Reader, value: &Value<'_>) -> DefaultEntry {
    const WANTED: Wanted = Wanted::new("a table of defaults", "[default], and below it: out = \"audit\"");
    let Some(table) = reader.table(value, WANTED) else { return DefaultEntry::default() };
    reader.known_keys(table, &DEFAULT);
    let mut action = |key| table.get(key).and_then(|value| action(reader, value));
    let (input, output) = (action("in"), action("out"));
    DefaultEntry { input, output, forward: table.get("forward").and_then(|value| forward(reader, value)) }
}

fn action(reader: &mut Reader, value: &Value<'_>) -> Option<Spanned<DefaultAction>> {
    let words = DefaultAction::ALL.map(DefaultAction::as_str);
    let text = reader.string(value, Wanted::new("a default", "\"deny\", \"reject\" or \"audit\""))?;
    let found = DefaultAction::ALL.into_iter().find(|action| action.as_str() == text);
    if found.is_none() {
        let help = match text.to_lowercase().as_str() {
            "drop" | "block" | "discard" => "did you mean \"deny\"? It drops; \"reject\" answers".into(),
            "accept" | "allow" | "permit" | "pass" => {
                "a default never allows: with \"audit\" everything passes, and is counted as what would be denied".into()
            }
            "log" => "write \"audit\": everything passes, and is counted as what would be denied".into(),
            _ => one_of(text, &words, "write \"deny\" (drops), \"reject\" (answers) or \"audit\" (passes, counted)"),
        };
        reader.error(codes::UNKNOWN_WORD, reader.of(value), format!("\"{text}\" is no default"), help);
    }
    found.map(|action| Spanned { value: action, span: reader.of(value) })
}

fn forward(reader: &mut Reader, value: &Value<'_>) -> Option<Spanned<ForwardDefault>> {
    let words = ForwardDefault::ALL.map(ForwardDefault::as_str);
    let text = reader.string(value, Wanted::new("a default", "\"untouched\" or \"deny\""))?;
    let found = ForwardDefault::ALL.into_iter().find(|action| action.as_str() == text);
    if found.is_none() {
        let help = match text.to_lowercase().as_str() {
            "drop" | "block" | "reject" => "write \"deny\": replies pass, the rest is dropped".into(),
            "accept" | "allow" | "permit" | "pass" | "audit" | "none" => {
                "write \"untouched\": no chain looks at forwarded packets".into()
            }
            _ => one_of(text, &words, "write \"untouched\" or \"deny\""),
        };
        let message = format!("\"{text}\" is no default of forwarded packets");
        reader.error(codes::UNKNOWN_WORD, reader.of(value), message, help);
    }
    found.map(|action| Spanned { value: action, span: reader.of(value) })
}

fn one_of(text: &str, words: &[&str], else_say: &str) -> String {
    match nearest(text, words.iter().copied()) {
        Some(close) => format!("did you mean \"{close}\"?"),
        None => else_say.to_owned(),
    }
}
