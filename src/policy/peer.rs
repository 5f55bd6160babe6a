//! Peers: `"any"`, `"broadcast"`, `"@group"`, an address, a prefix, a range or a host name.

use super::reader::{Reader, Value};
use super::{Peer, Spanned};
use crate::diag::Span;
use crate::types::{AddrRange, AddressError, HostName, HostNameError};

/// Where the peers stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Rule,
    Group,
}

pub(super) fn list(reader: &mut Reader, value: &Value<'_>, place: Place) -> Vec<Spanned<Peer>> {
    let texts = match place {
        Place::Rule => reader.string_or_list(value, "a peer, or a list of peers"),
        Place::Group => reader.strings(value, "a list of peers"),
    };
    texts.into_iter().filter_map(|text| one(reader, text.value, text.span, place)).collect()
}

fn one(reader: &mut Reader, text: &str, span: Span, place: Place) -> Option<Spanned<Peer>> {
    let value = match text {
        "any" => Peer::Any,
        "broadcast" if place == Place::Rule => Peer::Broadcast,
        "broadcast" => {
            let message = "\"broadcast\" stands in the peers of a rule only";
            reader.error("PG208", span, message, "write it in the rule: peers = [\"@group\", \"broadcast\"]");
            return None;
        }
        _ => match text.strip_prefix('@') {
            Some(group) => {
                super::check_name(reader, group, span, "a group");
                Peer::Group(group.to_owned())
            }
            None => far_end(reader, text, span)?,
        },
    };
    Some(Spanned { value, span })
}

/// An address if it has the letters of one, else a host name.
fn far_end(reader: &mut Reader, text: &str, span: Span) -> Option<Peer> {
    match text.parse::<AddrRange>() {
        Ok(range) => return Some(Peer::Range(range)),
        Err(AddressError::Syntax) if looks_like_a_name(text) => {}
        Err(error) => {
            address_error(reader, text, span, &error);
            return None;
        }
    }
    match text.parse::<HostName>() {
        Ok(name) => Some(Peer::Name(name)),
        Err(error) => {
            name_error(reader, text, span, &error);
            None
        }
    }
}

fn looks_like_a_name(text: &str) -> bool {
    !text.contains(['/', ':']) && !text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-'))
        || text.contains('.') && !text.contains(['/', ':', '-'])
}

fn address_error(reader: &mut Reader, text: &str, span: Span, error: &AddressError) {
    let help = match error {
        AddressError::HostBits(prefix) => format!("write the prefix \"{prefix}\", or the single address without a length"),
        AddressError::PrefixLength(_, most) => format!("write a length from 0 to {most}"),
        AddressError::Inverted => "write the smaller address first".into(),
        AddressError::MixedFamilies => "write both ends in one family".into(),
        AddressError::Syntax => {
            "write an address, a prefix (192.0.2.0/24), a range (192.0.2.10-192.0.2.20), \"@group\" or a host name".into()
        }
    };
    reader.error("PG202", span, format!("\"{text}\": {error}"), help);
}

fn name_error(reader: &mut Reader, text: &str, span: Span, error: &HostNameError) {
    let (code, help) = match error {
        HostNameError::ReadsAsAddress => {
            ("PG205", "write all four numbers of an IPv4 address, as in 127.0.0.1".to_owned())
        }
        HostNameError::OneLabel => {
            ("PG205", format!("write the full name, or \"@{text}\" for a group of that name"))
        }
        HostNameError::SpecialUse(_) => ("PG205", "write the address itself".into()),
        HostNameError::Wildcard => ("PG103", "write each name out".into()),
        HostNameError::Length | HostNameError::Characters => {
            ("PG205", "write a host name as DNS has it, as in repo.example.net".into())
        }
    };
    reader.error(code, span, format!("\"{text}\": {error}"), help);
}
