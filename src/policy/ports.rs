//! Entries of `ports`: a protocol with a port or a range, or `"any"`.

use super::Spanned;
use super::reader::{Reader, Value, Wanted};
use crate::diag::{codes, nearest};
use crate::types::{Family, PortError, PortMatch, icmp_type_names};

pub(super) fn list(reader: &mut Reader, value: &Value<'_>) -> Vec<Spanned<PortMatch>> {
    let texts = reader.strings(value, Wanted::new("a list of ports", "[\"tcp/25\"]"));
    if value.get_ref().as_array().is_some_and(|array| array.is_empty()) {
        let help = "write at least one, as in [\"tcp/25\"], or [\"any\"]";
        reader.error(codes::MISSING, reader.of(value), "the list of ports is empty", help);
    }
    texts.into_iter().filter_map(|text| one(reader, text)).collect()
}

pub(super) fn one(reader: &mut Reader, text: Spanned<&str>) -> Option<Spanned<PortMatch>> {
    let error = match text.value.parse::<PortMatch>() {
        Ok(value) => return Some(Spanned { value, span: text.span }),
        Err(error) => error,
    };
    let message = match &error {
        PortError::Inverted(_) => error.to_string(),
        PortError::Syntax
        | PortError::TooLarge(_)
        | PortError::UnknownProtocol(_)
        | PortError::ProtocolTooLarge(_)
        | PortError::ExtensionHeader(_)
        | PortError::UnknownType(..)
        | PortError::NoPorts(_) => {
            format!("\"{}\": {error}", text.value)
        }
    };
    let (code, help) = remedy(text.value, &error);
    reader.error(code, text.span, message, help);
    None
}

fn remedy(text: &str, error: &PortError) -> (&'static str, String) {
    match error {
        PortError::Syntax => (codes::BAD_PORT, form(text)),
        PortError::TooLarge(_) => (codes::BAD_PORT, "ports go from 0 to 65535".into()),
        PortError::Inverted(right) => {
            (codes::INVERTED_PORTS, format!("write the smaller port first: \"{right}\""))
        }
        PortError::UnknownProtocol(protocol) => (codes::BAD_PORT, unknown_protocol(text, protocol)),
        PortError::ProtocolTooLarge(_) => {
            (codes::BAD_PORT, "write a protocol number from 0 to 255: \"proto/41\"".into())
        }
        PortError::ExtensionHeader(_) => {
            (codes::BAD_PORT, "write the protocol that follows the extension headers".into())
        }
        PortError::UnknownType(protocol, kind) => (codes::BAD_PORT, unknown_type(protocol, kind)),
        PortError::NoPorts(protocol) => (codes::BAD_PORT, format!("write \"{protocol}\" alone")),
    }
}

/// What to write for a text whose form is wrong.
fn form(text: &str) -> String {
    if text.starts_with("proto/") {
        return "write the number of a protocol, \"proto/41\", or one by its name: \"esp\", \"gre\"".into();
    }
    let number = |part: &str| part.parse::<u16>().is_ok();
    let bare = if ["tcp", "udp", "sctp"].contains(&text) { (text, "") } else { ("tcp", text) };
    let (protocol, ports) = text.split_once('/').unwrap_or(bare);
    if ports.is_empty() {
        return format!("write the port too: \"{protocol}/25\"");
    }
    if ports == "any" || ports == "*" {
        return format!("write \"{protocol}/0-65535\" for every port");
    }
    if number(ports) {
        return format!("write the protocol too: \"tcp/{ports}\", \"udp/{ports}\"");
    }
    let parts: Vec<&str> = ports.split(',').map(str::trim).collect();
    if parts.len() > 1 && parts.iter().all(|part| number(part)) {
        let entries: Vec<String> = parts.iter().map(|part| format!("\"{protocol}/{part}\"")).collect();
        return format!("write an entry for each: {}", entries.join(", "));
    }
    match ports.split_once(':').or_else(|| ports.split_once("..")) {
        Some((first, last)) if number(first) && number(last) => {
            format!("write a range with a hyphen: \"{protocol}/{first}-{last}\"")
        }
        _ if ports.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-') => {
            format!("ports are numbers; for a service by name write service = \"{ports}\"")
        }
        _ => "write the protocol and the port: \"tcp/25\", \"udp/5000-5100\"".into(),
    }
}

fn unknown_type(protocol: &str, kind: &str) -> String {
    let family = if protocol == "icmp" { Family::V4 } else { Family::V6 };
    let ending = |name: &&str| kind.len() > 3 && name.ends_with(kind);
    let known = match kind {
        "ping" => Some("echo-request"),
        "pong" => Some("echo-reply"),
        _ => icmp_type_names(family).find(ending).or_else(|| nearest(kind, icmp_type_names(family))),
    };
    match known {
        Some(close) => format!("did you mean \"{protocol}/{close}\"?"),
        None => format!(
            "write a type by its name or number, as in \"{protocol}/echo-request\", or \"{protocol}\" for all"
        ),
    }
}

fn unknown_protocol(text: &str, protocol: &str) -> String {
    let known = ["tcp", "udp", "sctp"];
    match text.split_once('/') {
        Some((port, turned)) if port.parse::<u16>().is_ok() && known.contains(&turned) => {
            format!("write the protocol first: \"{turned}/{port}\"")
        }
        Some((_, port)) if nearest(protocol, known).is_some() => {
            format!("did you mean \"{}/{port}\"?", nearest(protocol, known).unwrap_or_default())
        }
        _ => "write tcp or udp before the slash, or \"any\" for every protocol".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_ways_to_write_ports_are_led_to_ours() {
        let help = |text: &str| remedy(text, &text.parse::<PortMatch>().unwrap_err()).1;
        assert_eq!(help("25"), "write the protocol too: \"tcp/25\", \"udp/25\"");
        assert_eq!(help("25/tcp"), "write the protocol first: \"tcp/25\"");
        assert_eq!(help("TCP/25"), "did you mean \"tcp/25\"?");
        assert_eq!(help("tpc/25"), "did you mean \"tcp/25\"?");
        assert_eq!(help("tcp/80,443"), "write an entry for each: \"tcp/80\", \"tcp/443\"");
        assert_eq!(help("tcp/80:90"), "write a range with a hyphen: \"tcp/80-90\"");
        assert_eq!(help("tcp/smtp"), "ports are numbers; for a service by name write service = \"smtp\"");
        assert_eq!(help("smtp"), "ports are numbers; for a service by name write service = \"smtp\"");
        assert_eq!(help("tcp/any"), "write \"tcp/0-65535\" for every port");
        assert_eq!(help("tcp"), "write the port too: \"tcp/25\"");
        assert_eq!(help("tcp/90-80"), "write the smaller port first: \"tcp/80-90\"");
    }
}
