//! `[features]` and `[baseline]`: names that are on or off.

use super::reader::{Reader, Value, Wanted};
use super::{Spanned, check_name};
use crate::diag::codes;

type Named = Vec<(Spanned<String>, bool)>;

pub(super) fn features(reader: &mut Reader, value: &Value<'_>) -> Named {
    let all =
        switches(reader, value, Wanted::new("a table of switches", "[features], and below it: pmm = true"));
    for (name, _) in &all {
        check_name(reader, &name.value, name.span, "a switch");
    }
    all
}

pub(super) fn baseline(reader: &mut Reader, value: &Value<'_>) -> Named {
    const CONTAINERS: &str = "containers";
    let wanted = Wanted::new("a table of switches", "[baseline], and below it: dhcp = false");
    let mut all = switches(reader, value, wanted);
    for (name, _) in all.iter().filter(|(name, _)| name.value == CONTAINERS) {
        let help = "leave it out, and write rules for DNS and DHCP from the containers' networks";
        reader.error(codes::NOT_YET, name.span, "`containers` in [baseline] is not built yet", help);
    }
    all.retain(|(name, _)| name.value != CONTAINERS);
    all
}

fn switches(reader: &mut Reader, value: &Value<'_>, wanted: Wanted) -> Named {
    let Some(table) = reader.table(value, wanted) else { return Vec::new() };
    let mut switches = Vec::new();
    for (key, value) in table.iter() {
        if let Some(on) = reader.boolean(value) {
            let name = Spanned { value: key.get_ref().to_string(), span: reader.span(key.span()) };
            switches.push((name, on));
        }
    }
    switches
}
