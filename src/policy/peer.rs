//! Peers: `"any"`, `"broadcast"`, `"@group"`, an address, a prefix, a range or a host name.

use super::reader::{Reader, Value, Wanted};
use super::{Peer, Spanned, check_name};
use crate::diag::codes;
use crate::types::{AddrRange, AddressError, HostName, HostNameError};
use std::net::{IpAddr, Ipv4Addr};

/// Where the peers stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Rule,
    Group,
    Except,
}

/// What is wrong with a peer, and what to write instead.
struct Fault {
    code: &'static str,
    message: String,
    help: String,
}

const FORMS: &str =
    "write an address, a prefix (192.0.2.0/24), a range (192.0.2.10-192.0.2.20), a host name or \"@group\"";

pub(super) fn list(reader: &mut Reader, value: &Value<'_>, place: Place) -> Vec<Spanned<Peer>> {
    let texts = match place {
        Place::Rule => {
            let wanted = Wanted::new(
                "a peer or a list of peers",
                "\"any\", or a list such as [\"@admins\", \"192.0.2.7\"]",
            );
            reader.string_or_list(value, wanted)
        }
        Place::Group | Place::Except => {
            reader.strings(value, Wanted::new("a list of peers", "[\"192.0.2.7\"]"))
        }
    };
    texts.into_iter().filter_map(|text| one(reader, text, place)).collect()
}

fn one(reader: &mut Reader, text: Spanned<&str>, place: Place) -> Option<Spanned<Peer>> {
    let span = text.span;
    if let Some(group) = text.value.strip_prefix('@') {
        let name = check_name(reader, group, span, "a group")?;
        return Some(Spanned { value: Peer::Group(name.to_string()), span });
    }
    let found = match text.value {
        "" => Err(Fault {
            code: codes::BAD_ADDRESS,
            message: "an empty string is nobody".into(),
            help: FORMS.into(),
        }),
        "any" => Ok(Peer::Any),
        "broadcast" if place == Place::Rule => Ok(Peer::Broadcast),
        "broadcast" if place == Place::Except => Err(Fault {
            code: codes::MISPLACED_BROADCAST,
            message: "\"broadcast\" stands in the peers of a rule only".into(),
            help: "leave it out: a group holds no broadcast addresses but those that are written".into(),
        }),
        "broadcast" => Err(Fault {
            code: codes::MISPLACED_BROADCAST,
            message: "\"broadcast\" stands in the peers of a rule only".into(),
            help: "write it in the rule: peers = [\"@group\", \"broadcast\"]".into(),
        }),
        other => far_end(other),
    };
    match found {
        Ok(value) => Some(Spanned { value, span }),
        Err(fault) => {
            reader.error(fault.code, span, fault.message, fault.help);
            None
        }
    }
}

/// A key that takes addresses, prefixes and ranges, and nothing else.
#[derive(Clone, Copy)]
pub(super) struct AddressKey {
    pub(super) name: &'static str,
    /// What to write for all of them.
    pub(super) for_all: &'static str,
}

pub(super) fn addresses(
    reader: &mut Reader,
    text: Spanned<&str>,
    key: AddressKey,
) -> Option<Spanned<AddrRange>> {
    let (span, name) = (text.span, key.name);
    let no_address = |what: &str, help: &str| Fault {
        code: codes::BAD_ADDRESS,
        message: format!("\"{}\" is {what}: `{name}` takes addresses alone", text.value),
        help: help.to_owned(),
    };
    let fault = match (text.value, far_end(text.value)) {
        ("any" | "broadcast" | "self" | "0.0.0.0" | "::", _) => {
            no_address("no address of a host", key.for_all)
        }
        (other, _) if other.starts_with('@') => no_address("a group", "write its addresses"),
        (_, Ok(Peer::Range(value))) => return Some(Spanned { value, span }),
        (_, Ok(Peer::Any | Peer::Broadcast | Peer::Group(_) | Peer::Name(_))) => {
            no_address("a host name", "write its addresses")
        }
        (_, Err(fault)) => fault,
    };
    reader.error(fault.code, span, fault.message, fault.help);
    None
}

/// An address, a prefix, a range, or else a host name.
fn far_end(text: &str) -> Result<Peer, Fault> {
    match text.parse::<AddrRange>() {
        Ok(range) => written(text, range),
        Err(AddressError::Syntax) => match mistake(text) {
            Some(help) => Err(bad_address(text, &AddressError::Syntax, help)),
            None => text.parse().map(Peer::Name).map_err(|error| name_fault(text, &error)),
        },
        Err(error) => Err(bad_address(text, &error, address_help(text, &error))),
    }
}

/// No packet comes from, or goes to, the unspecified address: it is meant as "all".
fn written(text: &str, range: AddrRange) -> Result<Peer, Fault> {
    if range.is_single() && range.first().is_unspecified() {
        return Err(Fault {
            code: codes::BAD_ADDRESS,
            message: format!("\"{text}\" is the address of nobody"),
            help: format!("write \"{text}/0\" for all of that family, or \"any\" for everybody"),
        });
    }
    Ok(Peer::Range(range))
}

fn bad_address(text: &str, error: &AddressError, help: String) -> Fault {
    Fault { code: codes::BAD_ADDRESS, message: format!("\"{text}\": {error}"), help }
}

fn address_help(text: &str, error: &AddressError) -> String {
    match error {
        AddressError::HostBits(prefix) => {
            let address = text.split('/').next().unwrap_or(text);
            format!("write \"{prefix}\" for the network, or \"{address}\" for the one address")
        }
        AddressError::PrefixLength(_, most) => format!("write a length from 0 to {most}"),
        AddressError::Inverted => {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            format!("write the smaller address first: \"{last}-{first}\"")
        }
        AddressError::MixedFamilies => "write a range for each family".into(),
        AddressError::Syntax => FORMS.into(),
    }
}

/// What to write in place of a text that was meant to be an address; `None` if it may be a host name.
fn mistake(text: &str) -> Option<String> {
    let is_address = |part: &str| part.parse::<IpAddr>().is_ok();
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split(['/', ':']).next().unwrap_or(rest);
        return Some(format!("write the host alone, \"{host}\", and its port in `ports`"));
    }
    if text.trim() != text || text.contains([',', ' ', ';']) {
        let parts: Vec<String> = text
            .split([',', ' ', ';'])
            .filter(|part| !part.is_empty())
            .map(|part| format!("\"{part}\""))
            .collect();
        return (!parts.is_empty()).then(|| format!("write a list of strings: [{}]", parts.join(", ")));
    }
    if let Some((base, length)) = text.split_once('/') {
        return Some(prefix_help(base, length));
    }
    if let Some((first, last)) = text.split_once('-') {
        if is_address(first) || is_address(last) {
            return Some(range_help(first, last));
        }
    }
    if let Some((address, _)) = text.split_once('%') {
        return is_address(address).then(|| format!("write it without the interface: \"{address}\""));
    }
    if text.starts_with('!') {
        return Some("say exceptions in the group: { members = [\"…\"], except = [\"…\"] }".into());
    }
    let bare = text.trim_matches(['[', ']']);
    if bare != text && is_address(bare) {
        return Some(format!("write it without brackets: \"{bare}\""));
    }
    if let Some((host, port)) = text.rsplit_once(':') {
        let host = host.trim_matches(['[', ']']);
        let with_port = port.parse::<u16>().is_ok() && (is_address(host) || host.parse::<HostName>().is_ok());
        return Some(if with_port {
            format!("write \"{host}\" here, and the port in `ports`: \"tcp/{port}\"")
        } else {
            FORMS.into()
        });
    }
    None
}

fn prefix_help(base: &str, length: &str) -> String {
    let ones = length.parse::<Ipv4Addr>().map(|mask| u32::from(mask).leading_ones());
    match (base.parse::<IpAddr>(), ones) {
        (Ok(IpAddr::V4(_)), Ok(ones)) => format!("write the length of the prefix: \"{base}/{ones}\""),
        (Ok(_), _) => {
            "write the length of the prefix as a number: \"192.0.2.0/24\", \"2001:db8::/32\"".into()
        }
        (Err(_), _) if base.parse::<HostName>().is_ok() => {
            format!("a host name has no length: write \"{base}\"")
        }
        (Err(_), _) => "write the whole address before the slash: \"10.0.0.0/8\"".into(),
    }
}

fn range_help(first: &str, last: &str) -> String {
    let whole = |last: &str| {
        let (network, _) = first.rsplit_once('.')?;
        let last = format!("{network}.{last}").parse::<Ipv4Addr>().ok()?;
        Some(format!("write both ends in full: \"{first}-{last}\""))
    };
    whole(last).unwrap_or_else(|| "write both ends in full: \"192.0.2.10-192.0.2.20\"".into())
}

fn name_fault(text: &str, error: &HostNameError) -> Fault {
    let (code, help) = match error {
        HostNameError::ReadsAsAddress => (
            codes::BAD_HOST_NAME,
            "write all four numbers of an IPv4 address, each 0 to 255 without leading zeros".into(),
        ),
        HostNameError::OneLabel => (codes::BAD_HOST_NAME, one_word(text)),
        HostNameError::SpecialUse(_) => (codes::BAD_HOST_NAME, "write the address itself".into()),
        HostNameError::Wildcard => (codes::NOT_YET, wildcard(text)),
        HostNameError::Length | HostNameError::Characters => {
            (codes::BAD_HOST_NAME, "write a host name as DNS has it, such as \"repo.example.net\"".into())
        }
    };
    Fault { code, message: format!("\"{text}\": {error}"), help }
}

fn one_word(text: &str) -> String {
    match text.to_lowercase().as_str() {
        word @ ("any" | "broadcast") => format!("write \"{word}\" in lower case"),
        "all" | "*" | "anywhere" | "everyone" | "world" => "write \"any\" for everybody".into(),
        "self" | "me" => "`peers` are the far end: this machine's own addresses stand in no rule".into(),
        word => format!("write \"@{word}\" for the group of that name, or the full host name"),
    }
}

fn wildcard(text: &str) -> String {
    let labels: Vec<&str> = text.split('.').collect();
    let numbers = labels.iter().take_while(|label| label.parse::<u8>().is_ok()).count();
    if text == "*" {
        "write \"any\" for everybody".into()
    } else if labels.len() == 4 && numbers > 0 && labels[numbers..].iter().all(|label| *label == "*") {
        let network = format!("{}{}", labels[..numbers].join("."), ".0".repeat(4 - numbers));
        format!("write the prefix: \"{network}/{}\"", numbers * 8)
    } else {
        "write each name out, or the prefix of the network that they are in".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help(text: &str) -> String {
        match far_end(text) {
            Err(fault) => fault.help,
            Ok(peer) => panic!("{text} is {peer:?}"),
        }
    }

    #[test]
    fn what_was_meant_as_an_address_is_never_taken_for_a_name() {
        assert_eq!(help("192.0.2.10-20"), "write both ends in full: \"192.0.2.10-192.0.2.20\"");
        assert_eq!(help("192.0.2.10-192.0.2.x").split(':').next(), Some("write both ends in full"));
        assert_eq!(help("192.0.2.0/255.255.255.0"), "write the length of the prefix: \"192.0.2.0/24\"");
        assert_eq!(help("10/8"), "write the whole address before the slash: \"10.0.0.0/8\"");
        assert_eq!(help("mx.example.net/24"), "a host name has no length: write \"mx.example.net\"");
        assert_eq!(help("10.1.*.*"), "write the prefix: \"10.1.0.0/16\"");
        assert_eq!(help("fe80::1%eth0"), "write it without the interface: \"fe80::1\"");
        assert_eq!(help("[2001:db8::1]"), "write it without brackets: \"2001:db8::1\"");
        assert_eq!(help("192.0.2.1, 192.0.2.2"), "write a list of strings: [\"192.0.2.1\", \"192.0.2.2\"]");
        assert!(help("010.0.0.1").starts_with("write all four numbers"));
        assert!(help("0.0.0.0").starts_with("write \"0.0.0.0/0\""));
    }

    #[test]
    fn a_port_or_a_scheme_is_taken_off() {
        let port = "write \"192.0.2.1\" here, and the port in `ports`: \"tcp/25\"";
        assert_eq!(help("192.0.2.1:25"), port);
        assert_eq!(help("[2001:db8::1]:25"), port.replace("192.0.2.1", "2001:db8::1"));
        assert_eq!(help("mx.example.net:25"), port.replace("192.0.2.1", "mx.example.net"));
        assert!(help("https://repo.example.net/x").starts_with("write the host alone, \"repo.example.net\""));
    }

    #[test]
    fn one_word_is_a_group_or_everybody() {
        assert_eq!(help("ANY"), "write \"any\" in lower case");
        assert_eq!(help("*"), "write \"any\" for everybody");
        assert!(help("admins").starts_with("write \"@admins\""));
    }

    #[test]
    fn names_with_hyphens_and_digits_are_names() {
        for name in ["kav-update-8-1.example.net", "0.rhel.pool.ntp.org", "db11.example.net"] {
            assert!(matches!(far_end(name), Ok(Peer::Name(_))), "{name}");
        }
    }
}
