//! Expressions as the kernel holds them, in the one form in which they are both sent and read back.

use std::time::Duration;

/// A register of 32 bits, 0 to 15. On the wire a multiple of four is `NFT_REG_1` … `NFT_REG_4`, any other
/// `NFT_REG32_00` + n; the kernel dumps them in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reg(pub u8);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Accept,
    Drop,
    Jump(String),
    Goto(String),
    Return,
}

impl Verdict {
    /// The chain that it leads to.
    pub fn chain(&self) -> Option<&str> {
        match self {
            Self::Jump(chain) | Self::Goto(chain) => Some(chain),
            Self::Accept | Self::Drop | Self::Return => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetaKey {
    NfProto,
    L4Proto,
    IifName,
    OifName,
    SkUid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CtKey {
    State,
    Helper,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadBase {
    Network,
    Transport,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CmpOp {
    Eq,
    Neq,
    Lt,
    Lte,
    Gt,
    Gte,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitUnit {
    Second,
    Minute,
    Hour,
}

/// A token bucket on packets: matches within the rate, with `over` beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub rate: u64,
    pub unit: LimitUnit,
    pub burst: u32,
    pub over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectKind {
    /// `reject with tcp reset`
    TcpReset,
    /// `reject with icmpx port-unreachable`
    PortUnreachable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    Counter,
    CtHelper,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DynsetOp {
    Add,
    Update,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    Meta {
        key: MetaKey,
        dreg: Reg,
    },
    Ct {
        key: CtKey,
        dreg: Reg,
    },
    Payload {
        base: PayloadBase,
        offset: u32,
        len: u32,
        dreg: Reg,
    },
    /// `dreg = (sreg & mask) ^ xor`; both of one length.
    Bitwise {
        sreg: Reg,
        dreg: Reg,
        mask: Vec<u8>,
        xor: Vec<u8>,
    },
    Cmp {
        sreg: Reg,
        op: CmpOp,
        data: Vec<u8>,
    },
    /// A set lookup; with `verdict`, of a verdict map.
    Lookup {
        sreg: Reg,
        set: String,
        invert: bool,
        verdict: bool,
    },
    /// A named object.
    Object {
        kind: ObjectKind,
        name: String,
    },
    /// The object that a map gives for the key at `sreg`; no match if it gives none.
    ObjectMap {
        sreg: Reg,
        map: String,
    },
    Verdict(Verdict),
    Limit(Limit),
    Reject(RejectKind),
    /// Adds the key at `sreg` to a set, with the set's own timeout where `timeout` is `None`. With a limit each element has
    /// a bucket of its own, which decides whether the packet matches.
    Dynset {
        op: DynsetOp,
        sreg: Reg,
        set: String,
        timeout: Option<Duration>,
        limit: Option<Limit>,
    },
    /// Hands the beginning of the packet, `snaplen` octets, to whoever reads the group (NFLOG).
    Log {
        prefix: String,
        group: u16,
        snaplen: u32,
    },
    /// Anything that this program never writes: it makes a rule differ from every wanted one.
    Foreign(String),
}

impl Expr {
    /// The set or map that the expression asks or fills.
    pub fn set(&self) -> Option<&str> {
        match self {
            Self::Lookup { set, .. } | Self::Dynset { set, .. } => Some(set),
            Self::ObjectMap { map, .. } => Some(map),
            Self::Meta { .. }
            | Self::Ct { .. }
            | Self::Payload { .. }
            | Self::Bitwise { .. }
            | Self::Cmp { .. }
            | Self::Object { .. }
            | Self::Verdict(_)
            | Self::Limit { .. }
            | Self::Reject(_)
            | Self::Log { .. }
            | Self::Foreign(_) => None,
        }
    }

    pub fn set_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Lookup { set, .. } | Self::Dynset { set, .. } => Some(set),
            Self::ObjectMap { map, .. } => Some(map),
            Self::Meta { .. }
            | Self::Ct { .. }
            | Self::Payload { .. }
            | Self::Bitwise { .. }
            | Self::Cmp { .. }
            | Self::Object { .. }
            | Self::Verdict(_)
            | Self::Limit { .. }
            | Self::Reject(_)
            | Self::Log { .. }
            | Self::Foreign(_) => None,
        }
    }
}
