//! Heads of sets.

use super::ours;
use crate::netlink::attr::{Malformed, Nest, required};
use crate::netlink::message::Header;
use crate::netlink::wire::{msg, object as nfta_object, set as nfta};
use crate::ruleset::{Elements, Field, ObjectKind, Set, SetData};
use std::time::Duration;

/// What a set is, and what the kernel says about the number of its elements.
#[derive(Clone, Debug)]
pub struct SetHead {
    pub name: String,
    /// Without elements. The key has no fields if this program never writes such a set.
    pub set: Set,
    /// Linux 6.16 and later.
    pub count: Option<u32>,
}

/// The head of a named set. The anonymous ones belong to a rule, which they make foreign.
pub fn set(header: Header, body: &[u8]) -> Result<Option<SetHead>, Malformed> {
    let Some(attrs) = ours(header, msg::NEWSET, body, nfta::TABLE)? else { return Ok(None) };
    let flags = attrs.be32(nfta::FLAGS)?.unwrap_or(0);
    if flags & nfta::F_ANONYMOUS != 0 {
        return Ok(None);
    }
    let name = required(attrs.string(nfta::NAME)?, "a set without a name")?.to_owned();
    let timeout = attrs.be64(nfta::TIMEOUT)?.map(Duration::from_millis);
    let set = Set {
        key: key_fields(&attrs, flags)?.unwrap_or_default(),
        data: data_kind(&attrs, flags)?.unwrap_or(SetData::None),
        interval: flags & nfta::F_INTERVAL != 0,
        // A set that lets its elements expire, but not by default.
        timeout: timeout.or((flags & nfta::F_TIMEOUT != 0).then_some(Duration::ZERO)),
        dynamic: flags & nfta::F_EVAL != 0,
        size: attrs.nest(nfta::DESC)?.be32(nfta::DESC_SIZE)?,
        elements: Elements::default(),
        origin: None,
    };
    Ok(Some(SetHead { name, set, count: attrs.be32(nfta::COUNT)? }))
}

/// The fields of the key; `None` if the set is not one that this program writes.
fn key_fields(attrs: &Nest<'_>, flags: u32) -> Result<Option<Vec<Field>>, Malformed> {
    let known =
        nfta::F_INTERVAL | nfta::F_MAP | nfta::F_TIMEOUT | nfta::F_EVAL | nfta::F_OBJECT | nfta::F_CONCAT;
    let foreign = flags & !known != 0 || attrs.has(nfta::EXPR) || attrs.has(nfta::EXPRESSIONS);
    if foreign || data_kind(attrs, flags)?.is_none() {
        return Ok(None);
    }
    let Some(fields) = fields_of_type(attrs.be32(nfta::KEY_TYPE)?.unwrap_or(0)) else { return Ok(None) };
    let len = match fields.as_slice() {
        [field] => field.octets(),
        many => many.iter().map(|field| field.padded_len()).sum(),
    };
    let same = attrs.be32(nfta::KEY_LEN)? == u32::try_from(len).ok();
    Ok(same.then_some(fields))
}

/// The types of a concatenation, six bits each, the last in the low bits.
fn fields_of_type(mut code: u32) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while code != 0 {
        fields.push(field_of_type(code & 0x3f)?);
        code >>= 6;
    }
    fields.reverse();
    (!fields.is_empty()).then_some(fields)
}

/// The inverse of [`Field::nft_type`].
fn field_of_type(code: u32) -> Option<Field> {
    Some(match code {
        2 => Field::NfProto,
        7 => Field::Ipv4Addr,
        8 => Field::Ipv6Addr,
        12 => Field::InetProto,
        13 => Field::InetService,
        14 => Field::IcmpType,
        26 => Field::CtState,
        29 => Field::Icmpv6Type,
        _ => return None,
    })
}

/// The number under which the kernel keeps the type of a key.
pub fn type_of_fields(fields: &[Field]) -> u32 {
    fields.iter().fold(0, |code, field| code << 6 | field.nft_type())
}

fn data_kind(attrs: &Nest<'_>, flags: u32) -> Result<Option<SetData>, Malformed> {
    if flags & nfta::F_OBJECT != 0 {
        return Ok(match attrs.be32(nfta::OBJ_TYPE)? {
            Some(nfta_object::COUNTER) => Some(SetData::Object(ObjectKind::Counter)),
            Some(nfta_object::CT_HELPER) => Some(SetData::Object(ObjectKind::CtHelper)),
            _ => None,
        });
    }
    if flags & nfta::F_MAP == 0 {
        return Ok(Some(SetData::None));
    }
    let verdict = attrs.be32(nfta::DATA_TYPE)? == Some(nfta::DATA_VERDICT);
    Ok(verdict.then_some(SetData::Verdict))
}
