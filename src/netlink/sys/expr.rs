//! Expressions through libnftnl: any of them, by name and attributes.

use crate::netlink::elements::{Mistake, milliseconds, verdict_code};
use crate::netlink::wire::{REG_1, REG_VERDICT, REG32_00, expr as nfta, object};
use crate::ruleset::{
    CmpOp, CtKey, DynsetOp, Expr, Limit, LimitUnit, MetaKey, ObjectKind, PayloadBase, Reg, RejectKind,
    Verdict,
};
use nftnl::{Rule, nftnl_sys as sys};
use std::ffi::{CStr, CString};
use std::ptr::NonNull;

use super::name;

/// `struct nft_data`: what a comparison or a mask can hold.
const DATA_MAX: usize = 16;
/// `NF_LOG_PREFIXLEN` less the closing zero.
const LOG_PREFIX_MAX: usize = 127;
/// Header, name and two nests of an expression, and the header of an attribute with its nests.
const EXPRESSION_MAX: usize = 64;
const ATTRIBUTE_MAX: usize = 24;

/// An expression: its name and what is to be set. Only [`Expression::new`] makes one, so that each attribute has the
/// type that libnftnl reads it with.
pub struct Expression {
    name: &'static CStr,
    attributes: Vec<(u32, Value)>,
}

enum Value {
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    Text(CString),
    /// At most `DATA_MAX` octets.
    Data(Vec<u8>),
    Nested(Box<Expression>),
}

impl Expression {
    pub fn new(expr: &Expr) -> Result<Self, Mistake> {
        match expr {
            Expr::Meta { key, dreg } => Ok(meta(*key, *dreg)),
            Expr::Ct { key, dreg } => Ok(ct(*key, *dreg)),
            Expr::Payload { base, offset, len, dreg } => Ok(payload(*base, *offset, *len, *dreg)),
            Expr::Bitwise { sreg, dreg, mask, xor } => bitwise(*sreg, *dreg, mask, xor),
            Expr::Cmp { sreg, op, data } => cmp(*sreg, *op, data),
            Expr::Lookup { sreg, set, invert, verdict } => lookup(*sreg, set, *invert, *verdict),
            Expr::Object { kind, name } => object_reference(*kind, name),
            Expr::ObjectMap { sreg, map } => object_map(*sreg, map),
            Expr::Verdict(verdict) => immediate(verdict),
            Expr::Limit(bucket) => Ok(limit(*bucket)),
            Expr::Reject(kind) => Ok(reject(*kind)),
            Expr::Dynset { op, sreg, set, timeout, limit } => {
                dynset(*op, *sreg, set, timeout.map(milliseconds), *limit)
            }
            Expr::Log { prefix, group, snaplen } => log(prefix, *group, *snaplen),
            Expr::Foreign(_) => Err("an expression that was only read"),
        }
    }

    fn with(name: &'static CStr, attributes: Vec<(u32, Value)>) -> Self {
        Self { name, attributes }
    }

    /// What the expression takes in a message at most.
    pub fn max_size(&self) -> usize {
        let values = self.attributes.iter().map(|(_, value)| ATTRIBUTE_MAX + value.len());
        EXPRESSION_MAX + values.sum::<usize>()
    }
}

impl Value {
    fn len(&self) -> usize {
        match self {
            Self::U8(_) | Self::U16(_) | Self::U32(_) | Self::U64(_) => 8,
            Self::Text(text) => text.as_bytes_with_nul().len(),
            Self::Data(data) => data.len(),
            Self::Nested(expression) => expression.max_size(),
        }
    }

    fn text(text: &str) -> Result<Self, Mistake> {
        name(text).map(Self::Text)
    }

    fn data(data: &[u8]) -> Result<Self, Mistake> {
        if data.is_empty() || data.len() > DATA_MAX {
            return Err("a value of no octets or of more than 16");
        }
        Ok(Self::Data(data.to_vec()))
    }
}

impl nftnl::expr::Expression for Expression {
    fn to_expr(&self, _rule: &Rule) -> NonNull<sys::nftnl_expr> {
        self.allocate()
    }
}

impl Expression {
    /// The expression in libnftnl's form, which whoever asks for it owns.
    fn allocate(&self) -> NonNull<sys::nftnl_expr> {
        // SAFETY: the name is a C string.
        let Some(expr) = NonNull::new(unsafe { sys::nftnl_expr_alloc(self.name.as_ptr()) }) else {
            out_of_memory()
        };
        for (attribute, value) in &self.attributes {
            set(expr, u16::try_from(*attribute).expect("attributes of libnftnl are small"), value);
        }
        expr
    }
}

fn set(expr: NonNull<sys::nftnl_expr>, attribute: u16, value: &Value) {
    let expr = expr.as_ptr();
    // SAFETY: `expr` is alive and ours; the functions below pair each attribute with the type that libnftnl stores
    // it in; text ends with a zero, and both text and data are copied; data fits into libnftnl's 64 octets.
    let status = unsafe {
        match value {
            Value::U8(value) => {
                sys::nftnl_expr_set_u8(expr, attribute, *value);
                0
            }
            Value::U16(value) => {
                sys::nftnl_expr_set_u16(expr, attribute, *value);
                0
            }
            Value::U32(value) => {
                sys::nftnl_expr_set_u32(expr, attribute, *value);
                0
            }
            Value::U64(value) => {
                sys::nftnl_expr_set_u64(expr, attribute, *value);
                0
            }
            Value::Text(text) => sys::nftnl_expr_set_str(expr, attribute, text.as_ptr()),
            Value::Data(data) => {
                let len = u32::try_from(data.len()).expect("at most 16 octets");
                sys::nftnl_expr_set(expr, attribute, data.as_ptr().cast(), len)
            }
            // It becomes the outer expression's, which frees it.
            Value::Nested(nested) => {
                sys::nftnl_expr_set(expr, attribute, nested.allocate().as_ptr().cast(), 0)
            }
        }
    };
    if status < 0 {
        out_of_memory();
    }
}

/// As the standard library does: libnftnl fails here for no other reason.
pub(super) fn out_of_memory() -> ! {
    std::process::abort()
}

fn register(Reg(number): Reg) -> Value {
    let number = u32::from(number);
    Value::U32(if number % 4 == 0 { REG_1 + number / 4 } else { REG32_00 + number })
}

fn meta(key: MetaKey, dreg: Reg) -> Expression {
    let key = match key {
        MetaKey::NfProto => nfta::META_NFPROTO,
        MetaKey::L4Proto => nfta::META_L4PROTO,
        MetaKey::IifName => nfta::META_IIFNAME,
        MetaKey::OifName => nfta::META_OIFNAME,
        MetaKey::SkUid => nfta::META_SKUID,
    };
    let attributes =
        vec![(sys::NFTNL_EXPR_META_KEY, Value::U32(key)), (sys::NFTNL_EXPR_META_DREG, register(dreg))];
    Expression::with(c"meta", attributes)
}

fn ct(key: CtKey, dreg: Reg) -> Expression {
    let key = match key {
        CtKey::State => nfta::CT_STATE,
        CtKey::Helper => nfta::CT_HELPER,
    };
    Expression::with(
        c"ct",
        vec![(sys::NFTNL_EXPR_CT_KEY, Value::U32(key)), (sys::NFTNL_EXPR_CT_DREG, register(dreg))],
    )
}

fn payload(base: PayloadBase, offset: u32, len: u32, dreg: Reg) -> Expression {
    let base = match base {
        PayloadBase::Network => nfta::PAYLOAD_NETWORK,
        PayloadBase::Transport => nfta::PAYLOAD_TRANSPORT,
    };
    let attributes = vec![
        (sys::NFTNL_EXPR_PAYLOAD_DREG, register(dreg)),
        (sys::NFTNL_EXPR_PAYLOAD_BASE, Value::U32(base)),
        (sys::NFTNL_EXPR_PAYLOAD_OFFSET, Value::U32(offset)),
        (sys::NFTNL_EXPR_PAYLOAD_LEN, Value::U32(len)),
    ];
    Expression::with(c"payload", attributes)
}

fn bitwise(sreg: Reg, dreg: Reg, mask: &[u8], xor: &[u8]) -> Result<Expression, Mistake> {
    if mask.len() != xor.len() {
        return Err("a mask and a value of different lengths");
    }
    let len = u32::try_from(mask.len()).map_err(|_| "a mask of more than 16 octets")?;
    let attributes = vec![
        (sys::NFTNL_EXPR_BITWISE_SREG, register(sreg)),
        (sys::NFTNL_EXPR_BITWISE_DREG, register(dreg)),
        (sys::NFTNL_EXPR_BITWISE_LEN, Value::U32(len)),
        (sys::NFTNL_EXPR_BITWISE_MASK, Value::data(mask)?),
        (sys::NFTNL_EXPR_BITWISE_XOR, Value::data(xor)?),
    ];
    Ok(Expression::with(c"bitwise", attributes))
}

fn cmp(sreg: Reg, op: CmpOp, data: &[u8]) -> Result<Expression, Mistake> {
    let op = match op {
        CmpOp::Eq => 0,
        CmpOp::Neq => 1,
        CmpOp::Lt => 2,
        CmpOp::Lte => 3,
        CmpOp::Gt => 4,
        CmpOp::Gte => 5,
    };
    let attributes = vec![
        (sys::NFTNL_EXPR_CMP_SREG, register(sreg)),
        (sys::NFTNL_EXPR_CMP_OP, Value::U32(op)),
        (sys::NFTNL_EXPR_CMP_DATA, Value::data(data)?),
    ];
    Ok(Expression::with(c"cmp", attributes))
}

fn lookup(sreg: Reg, set: &str, invert: bool, verdict: bool) -> Result<Expression, Mistake> {
    let mut attributes =
        vec![(sys::NFTNL_EXPR_LOOKUP_SREG, register(sreg)), (sys::NFTNL_EXPR_LOOKUP_SET, Value::text(set)?)];
    if verdict {
        attributes.push((sys::NFTNL_EXPR_LOOKUP_DREG, Value::U32(REG_VERDICT)));
    }
    if invert {
        attributes.push((sys::NFTNL_EXPR_LOOKUP_FLAGS, Value::U32(nfta::LOOKUP_F_INV)));
    }
    Ok(Expression::with(c"lookup", attributes))
}

/// The kernel's number of a kind of object.
pub(super) fn object_type(kind: ObjectKind) -> u32 {
    match kind {
        ObjectKind::Counter => object::COUNTER,
        ObjectKind::CtHelper => object::CT_HELPER,
    }
}

fn object_reference(kind: ObjectKind, object_name: &str) -> Result<Expression, Mistake> {
    let attributes = vec![
        (sys::NFTNL_EXPR_OBJREF_IMM_TYPE, Value::U32(object_type(kind))),
        (sys::NFTNL_EXPR_OBJREF_IMM_NAME, Value::text(object_name)?),
    ];
    Ok(Expression::with(c"objref", attributes))
}

fn object_map(sreg: Reg, map: &str) -> Result<Expression, Mistake> {
    let attributes = vec![
        (sys::NFTNL_EXPR_OBJREF_SET_SREG, register(sreg)),
        (sys::NFTNL_EXPR_OBJREF_SET_NAME, Value::text(map)?),
    ];
    Ok(Expression::with(c"objref", attributes))
}

fn immediate(verdict: &Verdict) -> Result<Expression, Mistake> {
    let (code, chain) = verdict_code(verdict);
    let mut attributes = vec![
        (sys::NFTNL_EXPR_IMM_DREG, Value::U32(REG_VERDICT)),
        (sys::NFTNL_EXPR_IMM_VERDICT, Value::U32(code)),
    ];
    if let Some(chain) = chain {
        attributes.push((sys::NFTNL_EXPR_IMM_CHAIN, Value::text(chain)?));
    }
    Ok(Expression::with(c"immediate", attributes))
}

fn limit(bucket: Limit) -> Expression {
    let seconds = match bucket.unit {
        LimitUnit::Second => 1,
        LimitUnit::Minute => 60,
        LimitUnit::Hour => 3600,
    };
    let mut attributes = vec![
        (sys::NFTNL_EXPR_LIMIT_RATE, Value::U64(bucket.rate)),
        (sys::NFTNL_EXPR_LIMIT_UNIT, Value::U64(seconds)),
        (sys::NFTNL_EXPR_LIMIT_BURST, Value::U32(bucket.burst)),
        (sys::NFTNL_EXPR_LIMIT_TYPE, Value::U32(0)),
    ];
    if bucket.over {
        attributes.push((sys::NFTNL_EXPR_LIMIT_FLAGS, Value::U32(nfta::LIMIT_F_INV)));
    }
    Expression::with(c"limit", attributes)
}

fn reject(kind: RejectKind) -> Expression {
    let (kind, code) = match kind {
        RejectKind::TcpReset => (nfta::REJECT_TCP_RST, 0),
        RejectKind::PortUnreachable => (nfta::REJECT_ICMPX, nfta::REJECT_ICMPX_PORT),
    };
    let attributes =
        vec![(sys::NFTNL_EXPR_REJECT_TYPE, Value::U32(kind)), (sys::NFTNL_EXPR_REJECT_CODE, Value::U8(code))];
    Expression::with(c"reject", attributes)
}

fn log(prefix: &str, group: u16, snaplen: u32) -> Result<Expression, Mistake> {
    if prefix.len() > LOG_PREFIX_MAX {
        return Err("a log prefix of more than 127 octets");
    }
    let prefix = CString::new(prefix).map_err(|_| "a log prefix with a zero octet")?;
    let attributes = vec![
        (sys::NFTNL_EXPR_LOG_PREFIX, Value::Text(prefix)),
        (sys::NFTNL_EXPR_LOG_GROUP, Value::U16(group)),
        (sys::NFTNL_EXPR_LOG_SNAPLEN, Value::U32(snaplen)),
    ];
    Ok(Expression::with(c"log", attributes))
}

fn dynset(
    op: DynsetOp,
    sreg: Reg,
    set: &str,
    timeout: Option<u64>,
    bucket: Option<Limit>,
) -> Result<Expression, Mistake> {
    let op = match op {
        DynsetOp::Add => nfta::DYNSET_ADD,
        DynsetOp::Update => nfta::DYNSET_UPDATE,
    };
    let mut attributes = vec![
        (sys::NFTNL_EXPR_DYNSET_SREG_KEY, register(sreg)),
        (sys::NFTNL_EXPR_DYNSET_OP, Value::U32(op)),
        (sys::NFTNL_EXPR_DYNSET_SET_NAME, Value::text(set)?),
    ];
    if let Some(timeout) = timeout {
        if timeout == 0 {
            return Err("a timeout of nothing, which means for ever");
        }
        attributes.push((sys::NFTNL_EXPR_DYNSET_TIMEOUT, Value::U64(timeout)));
    }
    if let Some(bucket) = bucket {
        attributes.push((sys::NFTNL_EXPR_DYNSET_EXPR, Value::Nested(Box::new(limit(bucket)))));
    }
    Ok(Expression::with(c"dynset", attributes))
}
