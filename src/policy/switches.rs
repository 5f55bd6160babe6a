//! `[features]` and `[baseline]`: names that are on or off.

use super::reader::{Reader, Value, Wanted};
use super::{Spanned, check_name};

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
    switches(reader, value, Wanted::new("a table of switches", "[baseline], and below it: dhcp = false"))
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
