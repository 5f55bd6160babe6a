//! What the kernel says about the table, as values of `ruleset`. Everything here takes any bytes.
//!
//! What this program never writes must not look like something that it does: an expression becomes
//! [`Expr::Foreign`](crate::ruleset::Expr), a set gets a key without fields, a base chain that is not one of ours loses
//! its hook. Attributes with numbers that this program does not know are passed over, so that
//! a later kernel may add some.

mod elements;
mod expr;
mod set;
#[cfg(test)]
mod tests;

pub use elements::{Collected, collect_elements, merge_elements};
pub use expr::{decode as decode_expr, verdict};
pub use set::{SetHead, set, type_of_fields};

use super::GenId;
use super::attr::{Malformed, Nest, required};
use super::message::{Header, inet_attrs};
use super::wire::{
    self, GENMSG, chain as nfta_chain, msg, object as nfta_object, rule as nfta_rule, table as nfta_table,
};
use crate::ruleset::{BaseChain, Chain, ChainPolicy, Hook, Object, ObjectDef, Rule, TABLE};

/// The attributes of a message of this kind about our table; `None` for another table's.
fn ours<'a>(
    header: Header,
    wanted: u16,
    body: &'a [u8],
    table_attr: u16,
) -> Result<Option<Nest<'a>>, Malformed> {
    if header.nf_tables() != Some(wanted) {
        return Err(Malformed("a message of another kind than was asked for"));
    }
    let Some(attrs) = inet_attrs(body)? else { return Ok(None) };
    let held = attrs.string(table_attr)? == Some(TABLE);
    Ok(held.then_some(attrs))
}

/// The generation id in the answer to `NFT_MSG_GETGEN`.
pub fn generation(header: Header, body: &[u8]) -> Result<GenId, Malformed> {
    if header.nf_tables() != Some(msg::NEWGEN) {
        return Err(Malformed("a message of another kind than was asked for"));
    }
    let attrs = Nest::parse(body.get(GENMSG..).unwrap_or(&[]))?;
    Ok(GenId(required(attrs.be32(wire::NFTA_GEN_ID)?, "a generation without an id")?))
}

/// Whether the table is dormant: all its chains are then without effect.
pub fn table(header: Header, body: &[u8]) -> Result<Option<bool>, Malformed> {
    let Some(attrs) = ours(header, msg::NEWTABLE, body, nfta_table::NAME)? else { return Ok(None) };
    Ok(Some(attrs.be32(nfta_table::FLAGS)?.unwrap_or(0) & nfta_table::F_DORMANT != 0))
}

pub fn chain(header: Header, body: &[u8]) -> Result<Option<(String, Chain)>, Malformed> {
    let Some(attrs) = ours(header, msg::NEWCHAIN, body, nfta_chain::TABLE)? else { return Ok(None) };
    let name = required(attrs.string(nfta_chain::NAME)?, "a chain without a name")?;
    Ok(Some((name.to_owned(), Chain { base: base_chain(&attrs)?, rules: Vec::new() })))
}

fn base_chain(attrs: &Nest<'_>) -> Result<Option<BaseChain>, Malformed> {
    if !attrs.has(nfta_chain::HOOK) || attrs.string(nfta_chain::TYPE)? != Some("filter") {
        return Ok(None);
    }
    let hook_attrs = attrs.nest(nfta_chain::HOOK)?;
    let hook = match hook_attrs.be32(nfta_chain::HOOK_HOOKNUM)? {
        Some(nfta_chain::PRE_ROUTING) => Hook::Prerouting,
        Some(nfta_chain::LOCAL_IN) => Hook::Input,
        Some(nfta_chain::FORWARD) => Hook::Forward,
        Some(nfta_chain::LOCAL_OUT) => Hook::Output,
        _ => return Ok(None),
    };
    let priority = required(hook_attrs.be32(nfta_chain::HOOK_PRIORITY)?, "a hook without a priority")?;
    let policy = match attrs.be32(nfta_chain::POLICY)? {
        Some(wire::data::DROP) => ChainPolicy::Drop,
        Some(wire::data::ACCEPT) => ChainPolicy::Accept,
        _ => return Ok(None),
    };
    Ok(Some(BaseChain { hook, priority: i32::from_ne_bytes(priority.to_ne_bytes()), policy }))
}

/// A rule and the chain that it is in.
pub fn rule(header: Header, body: &[u8]) -> Result<Option<(String, Rule)>, Malformed> {
    let Some(attrs) = ours(header, msg::NEWRULE, body, nfta_rule::TABLE)? else { return Ok(None) };
    let chain = required(attrs.string(nfta_rule::CHAIN)?, "a rule without a chain")?;
    let handle = required(attrs.be64(nfta_rule::HANDLE)?, "a rule without a handle")?;
    let list = attrs.bytes(nfta_rule::EXPRESSIONS).unwrap_or(&[]);
    let rule = Rule { exprs: expr::decode_list(list)?, handle: Some(handle), ..Rule::default() };
    Ok(Some((chain.to_owned(), rule)))
}

/// An object, if it is of a kind that this program uses: others have no effect until a rule names them.
pub fn object(header: Header, body: &[u8]) -> Result<Option<(String, Object)>, Malformed> {
    let Some(attrs) = ours(header, msg::NEWOBJ, body, nfta_object::TABLE)? else { return Ok(None) };
    let name = required(attrs.string(nfta_object::NAME)?, "an object without a name")?;
    let content = attrs.nest(nfta_object::DATA)?;
    let kind = match attrs.be32(nfta_object::TYPE)? {
        Some(nfta_object::COUNTER) => ObjectDef::Counter {
            packets: content.be64(nfta_object::COUNTER_PACKETS)?.unwrap_or(0),
            bytes: content.be64(nfta_object::COUNTER_BYTES)?.unwrap_or(0),
        },
        Some(nfta_object::CT_HELPER) => ObjectDef::CtHelper {
            helper: content.string(nfta_object::HELPER_NAME)?.unwrap_or("").to_owned(),
            l3proto: content.be16(nfta_object::HELPER_L3PROTO)?.unwrap_or(0),
            l4proto: content.u8(nfta_object::HELPER_L4PROTO)?.unwrap_or(0),
        },
        _ => return Ok(None),
    };
    Ok(Some((name.to_owned(), Object { kind, origin: None })))
}
