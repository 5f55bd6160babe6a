//! Under which conditions a rule matches: `from-ports`, `zone`, `local`, `user`.

use super::peer::AddressKey;
use super::reader::{Reader, Value, Wanted};
use super::{Spanned, check_name, peer, ports};
use crate::diag::codes;
use crate::model::User;
use crate::types::{AddrRange, PortMatch, PortRange, Protocol};
use toml::de::DeValue;

const LOCAL: AddressKey = AddressKey {
    name: "local",
    for_all: "leave `local` out: the rule holds for every address of this machine",
};

/// The kernel's "no user".
const NO_UID: i64 = 0xffff_ffff;

pub(super) fn from_ports(reader: &mut Reader, value: &Value<'_>) -> Vec<Spanned<(Protocol, PortRange)>> {
    not_empty(reader, value, "from-ports", "every port of the peer");
    let texts = reader.strings(value, Wanted::new("a list of ports", "[\"udp/68\"]"));
    texts.into_iter().filter_map(|text| from_port(reader, text)).collect()
}

fn from_port(reader: &mut Reader, text: Spanned<&str>) -> Option<Spanned<(Protocol, PortRange)>> {
    let written = text.value;
    let entry = ports::one(reader, text)?;
    let help = match entry.value {
        PortMatch::Ports(protocol, range) => {
            return Some(Spanned { value: (protocol, range), span: entry.span });
        }
        PortMatch::Any => "leave `from-ports` out: the rule holds for every port of the peer",
        PortMatch::Icmp(..) | PortMatch::Protocol(_) => {
            "write it in `ports`: only TCP, UDP and SCTP have ports"
        }
    };
    reader.error(codes::BAD_PORT, entry.span, format!("\"{written}\" is no port of the peer"), help);
    None
}

pub(super) fn zones(reader: &mut Reader, value: &Value<'_>) -> Vec<Spanned<String>> {
    not_empty(reader, value, "zone", "every interface");
    let texts = reader.string_or_list(value, Wanted::new("a zone or a list of zones", "\"inside\""));
    let named = |text: Spanned<&str>| {
        check_name(reader, text.value, text.span, "a zone")?;
        Some(Spanned { value: text.value.to_owned(), span: text.span })
    };
    texts.into_iter().filter_map(named).collect()
}

pub(super) fn local(reader: &mut Reader, value: &Value<'_>) -> Vec<Spanned<AddrRange>> {
    not_empty(reader, value, "local", "every address of this machine");
    let texts = reader.strings(value, Wanted::new("a list of addresses", "[\"192.0.2.1\"]"));
    texts.into_iter().filter_map(|text| peer::addresses(reader, text, LOCAL)).collect()
}

pub(super) fn users(reader: &mut Reader, value: &Value<'_>) -> Vec<Spanned<User>> {
    const WANTED: Wanted = Wanted::new("a user or a list of users", "\"chrony\", 38, or [\"chrony\", 38]");
    not_empty(reader, value, "user", "every local user");
    match value.get_ref() {
        DeValue::Array(array) => array.iter().filter_map(|item| user(reader, item, WANTED)).collect(),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Table(_) => user(reader, value, WANTED).into_iter().collect(),
    }
}

fn user(reader: &mut Reader, value: &Value<'_>, wanted: Wanted) -> Option<Spanned<User>> {
    let span = reader.of(value);
    let user = if value.get_ref().is_integer() {
        let uid = reader.integer(value, wanted)?;
        u32::try_from(uid).ok().filter(|_| uid != NO_UID).map(User::Uid).ok_or_else(|| {
            (format!("{uid} is no user id"), format!("write a number from 0 to {}", NO_UID - 1))
        })
    } else {
        let text = reader.string(value, wanted)?;
        account_name(text)
            .map(|()| User::Name(text.to_owned()))
            .map_err(|help| (format!("\"{text}\" is no user name"), help))
    };
    match user {
        Ok(value) => Some(Spanned { value, span }),
        Err((message, help)) => {
            reader.error(codes::BAD_USER, span, message, help);
            None
        }
    }
}

/// What `getent passwd` can find, and `getent group`; else what to write for a user.
pub(super) fn account_name(text: &str) -> Result<(), String> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("write a user id without quotes: {text}"));
    }
    if text == "*" || text == "any" {
        return Err("leave `user` out: the rule holds for every local user".into());
    }
    let allowed = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, ':' | ',' | '/' | '!');
    if text.is_empty() || text.len() > 255 || text.starts_with(['-', '@', '%']) || !text.chars().all(allowed)
    {
        return Err("write a name as `getent passwd` shows it, such as \"chrony\", or a user id".into());
    }
    Ok(())
}

/// An empty list would hold for nobody or for everybody: which one is not to be guessed.
fn not_empty(reader: &mut Reader, value: &Value<'_>, key: &str, all: &str) {
    if value.get_ref().as_array().is_some_and(|array| array.is_empty()) {
        let help = format!("leave `{key}` out for {all}");
        reader.error(codes::MISSING, reader.of(value), format!("the list of `{key}` is empty"), help);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_are_those_of_the_system() {
        for name in ["chrony", "_apt", "www-data", "svc.mail", "machine$", "DOM\\svc", "svc@ad.example"] {
            assert_eq!(account_name(name), Ok(()), "{name}");
        }
        for name in ["", "-x", "a b", "a:b", "@wheel", "!root", "a,b", "38", "any"] {
            assert!(account_name(name).is_err(), "{name}");
        }
        assert_eq!(account_name("38").unwrap_err(), "write a user id without quotes: 38");
    }
}
