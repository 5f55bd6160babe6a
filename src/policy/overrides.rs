//! `[override.NAME]`: single keys of a rule of a lower layer.

use super::keys::OVERRIDE;
use super::reader::{Reader, Value, Wanted};
use super::{OverrideEntry, Spanned, check_name, rule_keys};
use crate::diag::codes;

pub(super) fn parse(reader: &mut Reader, value: &Value<'_>) -> Vec<OverrideEntry> {
    const WANTED: Wanted =
        Wanted::new("a table of keys", "[override.smtp-out], and below it: enabled = false");
    let Some(rules) = reader.table(value, WANTED) else { return Vec::new() };
    let mut overrides = Vec::new();
    for (key, value) in rules.iter() {
        let span = reader.span(key.span());
        let name = check_name(reader, key.get_ref(), span, "a rule");
        let Some(table) = reader.table(value, WANTED) else { continue };
        reader.known_keys(table, &OVERRIDE);
        if table.is_empty() {
            let message = format!("the override of \"{}\" says nothing", key.get_ref());
            reader.error(codes::MISSING, span, message, "write the keys that are other, or take it out");
        }
        let keys = rule_keys::parse(reader, table);
        overrides.extend(name.map(|value| OverrideEntry { rule: Spanned { value, span }, keys }));
    }
    overrides
}
