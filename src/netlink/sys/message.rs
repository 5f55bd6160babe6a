//! One message at a time, from a value of libnftnl's to bytes.

use crate::netlink::elements::{Mistake, check_name};
use crate::ruleset::{BaseChain, ChainPolicy, Hook, TABLE};
use nftnl::{Chain, ChainType, MsgType, NlMsg, Policy, ProtoFamily, Rule, Table};
use std::ffi::CString;

use super::Expression;

/// What a message may take of the buffer; libnftnl itself never looks at its end.
const MESSAGE_MAX: usize = 60 * 1024;
/// Headers, and the names of table and chain with their attributes.
const FRAME_MAX: usize = 2048;

/// A buffer that one message after the other is built in.
pub struct Builder {
    /// Words, so that `struct nlmsghdr` is aligned.
    words: Vec<u64>,
    bytes: Vec<u8>,
}

impl Default for Builder {
    fn default() -> Self {
        let octets = nftnl::nft_nlmsg_maxsize() as usize;
        Self { words: vec![0; octets.div_ceil(8)], bytes: Vec::new() }
    }
}

impl Builder {
    /// The message that `value` writes, with our flags instead of its own.
    pub fn build(&mut self, value: &impl NlMsg, kind: MsgType, flags: u16, seq: u32) -> &[u8] {
        let base = self.words.as_mut_ptr();
        // SAFETY: the buffer has the `nft_nlmsg_maxsize()` octets that `write` asks for, and is aligned to 8. No
        // value writes more: names are at most 255 octets, and a rule at most `MESSAGE_MAX` (see `rule`).
        unsafe { value.write(base.cast(), seq, kind) };
        let octets = self.words.len() * 8;
        // SAFETY: the words are initialised, and any octet is a valid u8.
        let written: &[u8] = unsafe { std::slice::from_raw_parts(base.cast(), octets) };
        let len = u32::from_ne_bytes([written[0], written[1], written[2], written[3]]) as usize;
        self.bytes.clear();
        self.bytes.extend_from_slice(&written[..len]);
        let flags = flags | crate::netlink::wire::flag::REQUEST;
        self.bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        &self.bytes
    }
}

/// A name that both C and nf_tables can take.
pub fn name(text: &str) -> Result<CString, Mistake> {
    check_name(text)?;
    CString::new(text).map_err(|_| "a name with a zero octet")
}

pub fn table() -> Table {
    Table::new(table_name(), ProtoFamily::Inet)
}

pub(super) fn table_name() -> CString {
    CString::new(TABLE).expect("the table's name has no zero")
}

pub fn chain<'a>(table: &'a Table, chain_name: &str, base: Option<BaseChain>) -> Result<Chain<'a>, Mistake> {
    let mut chain = Chain::new(name(chain_name)?, table);
    if let Some(base) = base {
        let hook = match base.hook {
            Hook::Prerouting => nftnl::Hook::PreRouting,
            Hook::Input => nftnl::Hook::In,
            Hook::Forward => nftnl::Hook::Forward,
            Hook::Output => nftnl::Hook::Out,
        };
        chain.set_type(ChainType::Filter);
        chain.set_hook(hook, base.priority);
        chain.set_policy(match base.policy {
            ChainPolicy::Accept => Policy::Accept,
            ChainPolicy::Drop => Policy::Drop,
        });
    }
    Ok(chain)
}

pub fn rule<'a>(chain: &'a Chain<'a>, exprs: &[Expression]) -> Result<Rule<'a>, Mistake> {
    let octets: usize = exprs.iter().map(Expression::max_size).sum();
    if octets + FRAME_MAX > MESSAGE_MAX {
        return Err("a rule that does not fit into one message");
    }
    let mut rule = Rule::new(chain);
    for expr in exprs {
        rule.add_expr(expr);
    }
    Ok(rule)
}
