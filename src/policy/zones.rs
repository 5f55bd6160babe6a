//! `[zones]`: interfaces by name.

use super::reader::{Reader, Value, Wanted};
use super::{Spanned, ZoneEntry, check_name};
use crate::diag::codes;
use crate::types::{InterfaceError, InterfacePattern};

pub(super) fn parse(reader: &mut Reader, value: &Value<'_>) -> Vec<ZoneEntry> {
    const WANTED: Wanted =
        Wanted::new("a table of zones", "[zones], and below it: inside = [\"eth1\", \"vlan*\"]");
    const INTERFACES: Wanted = Wanted::new("a list of interfaces", "[\"eth1\"]");
    let Some(table) = reader.table(value, WANTED) else { return Vec::new() };
    let mut zones = Vec::new();
    for (key, value) in table.iter() {
        let name = Spanned { value: key.get_ref().to_string(), span: reader.span(key.span()) };
        check_name(reader, &name.value, name.span, "a zone");
        let texts = reader.strings(value, INTERFACES);
        let interfaces = texts.into_iter().filter_map(|text| interface(reader, text)).collect();
        zones.push(ZoneEntry { name, interfaces });
    }
    zones
}

fn interface(reader: &mut Reader, text: Spanned<&str>) -> Option<Spanned<InterfacePattern>> {
    match text.value.parse() {
        Ok(value) => Some(Spanned { value, span: text.span }),
        Err(error) => {
            let message = format!("\"{}\": {error}", text.value);
            reader.error(codes::BAD_INTERFACE, text.span, message, remedy(text.value, &error));
            None
        }
    }
}

fn remedy(text: &str, error: &InterfaceError) -> String {
    match (error, text.split_once(':')) {
        (InterfaceError::Every, _) => "leave `zone` out of the rule: it holds on every interface".into(),
        (InterfaceError::Star, _) => {
            let before = text.split('*').next().unwrap_or_default();
            format!("write the beginning of the names: \"{before}*\"")
        }
        (InterfaceError::Characters, Some((interface, _))) if !interface.is_empty() => {
            format!(
                "an alias is an address: write \"{interface}\" here, and the address in `local` of the rule"
            )
        }
        (InterfaceError::Length | InterfaceError::Characters, _) => {
            "write the name as `ip link` shows it, such as \"eth1\"".into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_interface_is_led_to_what_is_meant() {
        let help = |text: &str| remedy(text, &text.parse::<InterfacePattern>().unwrap_err());
        assert_eq!(help("*"), "leave `zone` out of the rule: it holds on every interface");
        assert_eq!(help("eth*.7"), "write the beginning of the names: \"eth*\"");
        assert!(help("eth0:1").starts_with("an alias is an address: write \"eth0\" here"));
        assert!(help("eth 0").starts_with("write the name as"));
    }
}
