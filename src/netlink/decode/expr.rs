//! Expressions of rules, in the form in which this program writes them.

use crate::netlink::attr::{Attrs, Malformed, Nest, required};
use crate::netlink::wire::{self, REG_1, REG_VERDICT, REG32_00, data, expr as nfta, object as nfta_object};
use crate::ruleset::{
    CmpOp, CtKey, DynsetOp, Expr, Limit, LimitUnit, MetaKey, ObjectKind, PayloadBase, Reg, RejectKind,
    Verdict,
};
use std::time::Duration;

/// What is in an expression: `None` where this program never writes it so.
type Decoded = Result<Option<Expr>, Malformed>;

pub fn decode_list(list: &[u8]) -> Result<Vec<Expr>, Malformed> {
    let mut exprs = Vec::new();
    for attr in Attrs::new(list) {
        let (number, element) = attr?;
        if number == wire::NFTA_LIST_ELEM {
            exprs.push(decode(element)?);
        }
    }
    Ok(exprs)
}

/// One expression: its name and its attributes.
pub fn decode(element: &[u8]) -> Result<Expr, Malformed> {
    let attrs = Nest::parse(element)?;
    let name = required(attrs.string(nfta::NAME)?, "an expression without a name")?;
    let content = attrs.nest(nfta::DATA)?;
    let known = match name {
        "meta" => meta(&content),
        "ct" => ct(&content),
        "payload" => payload(&content),
        "bitwise" => bitwise(&content),
        "cmp" => cmp(&content),
        "lookup" => lookup(&content),
        "objref" => objref(&content),
        "immediate" => immediate(&content),
        "limit" => limit(&content),
        "log" => log(&content),
        "reject" => reject(&content),
        "dynset" => dynset(&content),
        _ => Ok(None),
    }?;
    Ok(known.unwrap_or_else(|| Expr::Foreign(name.to_owned())))
}

fn meta(attrs: &Nest<'_>) -> Decoded {
    let key = match attrs.be32(nfta::META_KEY)? {
        Some(nfta::META_NFPROTO) => MetaKey::NfProto,
        Some(nfta::META_L4PROTO) => MetaKey::L4Proto,
        Some(nfta::META_IIFNAME) => MetaKey::IifName,
        Some(nfta::META_OIFNAME) => MetaKey::OifName,
        Some(nfta::META_SKUID) => MetaKey::SkUid,
        _ => return Ok(None),
    };
    Ok(register(attrs, nfta::META_DREG)?.map(|dreg| Expr::Meta { key, dreg }))
}

fn ct(attrs: &Nest<'_>) -> Decoded {
    let key = match attrs.be32(nfta::CT_KEY)? {
        Some(nfta::CT_STATE) => CtKey::State,
        Some(nfta::CT_HELPER) => CtKey::Helper,
        _ => return Ok(None),
    };
    if attrs.has(nfta::CT_DIRECTION) {
        return Ok(None);
    }
    Ok(register(attrs, nfta::CT_DREG)?.map(|dreg| Expr::Ct { key, dreg }))
}

fn payload(attrs: &Nest<'_>) -> Decoded {
    let base = match attrs.be32(nfta::PAYLOAD_BASE)? {
        Some(nfta::PAYLOAD_NETWORK) => PayloadBase::Network,
        Some(nfta::PAYLOAD_TRANSPORT) => PayloadBase::Transport,
        _ => return Ok(None),
    };
    let offset = required(attrs.be32(nfta::PAYLOAD_OFFSET)?, "a payload without an offset")?;
    let len = required(attrs.be32(nfta::PAYLOAD_LEN)?, "a payload without a length")?;
    Ok(register(attrs, nfta::PAYLOAD_DREG)?.map(|dreg| Expr::Payload { base, offset, len, dreg }))
}

fn bitwise(attrs: &Nest<'_>) -> Decoded {
    let registers = (register(attrs, nfta::BITWISE_SREG)?, register(attrs, nfta::BITWISE_DREG)?);
    let operands = (value(attrs, nfta::BITWISE_MASK)?, value(attrs, nfta::BITWISE_XOR)?);
    let (Some(sreg), Some(dreg)) = registers else { return Ok(None) };
    let (Some(mask), Some(xor)) = operands else { return Ok(None) };
    let len = attrs.be32(nfta::BITWISE_LEN)?;
    let whole = len == u32::try_from(mask.len()).ok() && mask.len() == xor.len();
    let boolean = attrs.be32(nfta::BITWISE_OP)?.unwrap_or(0) == 0;
    Ok((whole && boolean).then_some(Expr::Bitwise { sreg, dreg, mask, xor }))
}

fn cmp(attrs: &Nest<'_>) -> Decoded {
    let op = match attrs.be32(nfta::CMP_OP)? {
        Some(0) => CmpOp::Eq,
        Some(1) => CmpOp::Neq,
        Some(2) => CmpOp::Lt,
        Some(3) => CmpOp::Lte,
        Some(4) => CmpOp::Gt,
        Some(5) => CmpOp::Gte,
        _ => return Ok(None),
    };
    match (register(attrs, nfta::CMP_SREG)?, value(attrs, nfta::CMP_DATA)?) {
        (Some(sreg), Some(data)) => Ok(Some(Expr::Cmp { sreg, op, data })),
        _ => Ok(None),
    }
}

fn lookup(attrs: &Nest<'_>) -> Decoded {
    let set = required(attrs.string(nfta::LOOKUP_SET)?, "a lookup without a set")?.to_owned();
    let invert = match attrs.be32(nfta::LOOKUP_FLAGS)?.unwrap_or(0) {
        0 => false,
        nfta::LOOKUP_F_INV => true,
        _ => return Ok(None),
    };
    let verdict = match attrs.be32(nfta::LOOKUP_DREG)? {
        None => false,
        Some(REG_VERDICT) => true,
        Some(_) => return Ok(None),
    };
    Ok(register(attrs, nfta::LOOKUP_SREG)?.map(|sreg| Expr::Lookup { sreg, set, invert, verdict }))
}

fn objref(attrs: &Nest<'_>) -> Decoded {
    if let Some(map) = attrs.string(nfta::OBJREF_SET)? {
        let map = map.to_owned();
        return Ok(register(attrs, nfta::OBJREF_SREG)?.map(|sreg| Expr::ObjectMap { sreg, map }));
    }
    let kind = match attrs.be32(nfta::OBJREF_TYPE)? {
        Some(nfta_object::COUNTER) => ObjectKind::Counter,
        Some(nfta_object::CT_HELPER) => ObjectKind::CtHelper,
        _ => return Ok(None),
    };
    let name = required(attrs.string(nfta::OBJREF_NAME)?, "an object reference without a name")?;
    Ok(Some(Expr::Object { kind, name: name.to_owned() }))
}

fn immediate(attrs: &Nest<'_>) -> Decoded {
    if attrs.be32(nfta::IMMEDIATE_DREG)? != Some(REG_VERDICT) {
        return Ok(None);
    }
    Ok(verdict(&attrs.nest(nfta::IMMEDIATE_DATA)?)?.map(Expr::Verdict))
}

/// The verdict in an attribute of data; `None` if it is one that this program never gives, or a plain value.
pub fn verdict(content: &Nest<'_>) -> Result<Option<Verdict>, Malformed> {
    let attrs = content.nest(data::VERDICT)?;
    let chain = attrs.string(data::VERDICT_CHAIN)?;
    let target = || required(chain, "a jump to nowhere").map(str::to_owned);
    Ok(Some(match attrs.be32(data::VERDICT_CODE)? {
        Some(data::ACCEPT) => Verdict::Accept,
        Some(data::DROP) => Verdict::Drop,
        Some(data::RETURN) => Verdict::Return,
        Some(data::JUMP) => Verdict::Jump(target()?),
        Some(data::GOTO) => Verdict::Goto(target()?),
        _ => return Ok(None),
    }))
}

fn limit(attrs: &Nest<'_>) -> Decoded {
    let unit = match attrs.be64(nfta::LIMIT_UNIT)? {
        Some(1) => LimitUnit::Second,
        Some(60) => LimitUnit::Minute,
        Some(3600) => LimitUnit::Hour,
        _ => return Ok(None),
    };
    let over = match attrs.be32(nfta::LIMIT_FLAGS)?.unwrap_or(0) {
        0 => false,
        nfta::LIMIT_F_INV => true,
        _ => return Ok(None),
    };
    let of_packets = attrs.be32(nfta::LIMIT_TYPE)?.unwrap_or(0) == 0;
    let rate = required(attrs.be64(nfta::LIMIT_RATE)?, "a limit without a rate")?;
    let burst = attrs.be32(nfta::LIMIT_BURST)?.unwrap_or(0);
    Ok(of_packets.then_some(Expr::Limit(Limit { rate, unit, burst, over })))
}

fn log(attrs: &Nest<'_>) -> Decoded {
    let own = [nfta::LOG_LEVEL, nfta::LOG_FLAGS].into_iter().all(|attr| !attrs.has(attr))
        && attrs.be16(nfta::LOG_QTHRESHOLD)?.unwrap_or(0) == 0;
    let (group, snaplen) = (attrs.be16(nfta::LOG_GROUP)?, attrs.be32(nfta::LOG_SNAPLEN)?);
    let (Some(group), Some(snaplen), true) = (group, snaplen, own) else { return Ok(None) };
    let prefix = attrs.string(nfta::LOG_PREFIX)?.unwrap_or("").to_owned();
    Ok(Some(Expr::Log { prefix, group, snaplen }))
}

fn reject(attrs: &Nest<'_>) -> Decoded {
    Ok(match (attrs.be32(nfta::REJECT_TYPE)?, attrs.u8(nfta::REJECT_CODE)?) {
        (Some(nfta::REJECT_TCP_RST), _) => Some(Expr::Reject(RejectKind::TcpReset)),
        (Some(nfta::REJECT_ICMPX), Some(nfta::REJECT_ICMPX_PORT)) => {
            Some(Expr::Reject(RejectKind::PortUnreachable))
        }
        _ => None,
    })
}

fn dynset(attrs: &Nest<'_>) -> Decoded {
    let op = match attrs.be32(nfta::DYNSET_OP)? {
        Some(nfta::DYNSET_ADD) => DynsetOp::Add,
        Some(nfta::DYNSET_UPDATE) => DynsetOp::Update,
        _ => return Ok(None),
    };
    let extra = [nfta::DYNSET_SREG_DATA, nfta::DYNSET_EXPRESSIONS];
    if extra.into_iter().any(|attr| attrs.has(attr)) || attrs.be32(nfta::DYNSET_FLAGS)?.unwrap_or(0) != 0 {
        return Ok(None);
    }
    let limit = match attrs.bytes(nfta::DYNSET_EXPR).map(decode).transpose()? {
        None => None,
        Some(Expr::Limit(limit)) => Some(limit),
        Some(_) => return Ok(None),
    };
    let set = required(attrs.string(nfta::DYNSET_SET)?, "an update without a set")?.to_owned();
    let timeout = attrs.be64(nfta::DYNSET_TIMEOUT)?.filter(|ms| *ms != 0).map(Duration::from_millis);
    Ok(register(attrs, nfta::DYNSET_SREG_KEY)?.map(|sreg| Expr::Dynset { op, sreg, set, timeout, limit }))
}

/// The register in an attribute; `None` if there is none (the expression writes instead of reads, say).
fn register(attrs: &Nest<'_>, attr: u16) -> Result<Option<Reg>, Malformed> {
    let Some(number) = attrs.be32(attr)? else { return Ok(None) };
    let reg = match number {
        REG_1..=4 => (number - REG_1) * 4,
        REG32_00..=23 => number - REG32_00,
        _ => return Ok(None),
    };
    Ok(u8::try_from(reg).ok().map(Reg))
}

/// A plain value in an attribute of data.
fn value(attrs: &Nest<'_>, attr: u16) -> Result<Option<Vec<u8>>, Malformed> {
    Ok(attrs.nest(attr)?.bytes(data::VALUE).map(<[u8]>::to_vec))
}
