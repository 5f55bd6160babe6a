//! Numbers of the netlink protocol of nf_tables, by the names of `linux/netfilter/nf_tables.h` and its neighbours.

pub use crate::frames::{HEADER, NLMSG_DONE, NLMSG_ERROR};

/// `NFPROTO_INET`: the family of the table.
pub const FAMILY_INET: u8 = 1;
/// `NFNL_SUBSYS_NFTABLES`.
pub const SUBSYS_NFTABLES: u16 = 10;

pub const BATCH_BEGIN: u16 = 0x10;
pub const BATCH_END: u16 = 0x11;

/// Octets of the `struct nfgenmsg` that follows a `struct nlmsghdr`.
pub const GENMSG: usize = 4;

/// Flags of `struct nlmsghdr`.
pub mod flag {
    pub const REQUEST: u16 = 0x1;
    pub const ACK: u16 = 0x4;
    pub const DUMP_INTR: u16 = 0x10;
    pub const DUMP: u16 = 0x300;
    pub const CAPPED: u16 = 0x100;
    pub const ACK_TLVS: u16 = 0x200;
    pub const CREATE: u16 = 0x400;
    pub const APPEND: u16 = 0x800;
}

/// Messages of the subsystem, in the low octet of the type.
pub mod msg {
    pub const GETTABLE: u16 = 1;
    pub const NEWTABLE: u16 = 0;
    pub const NEWCHAIN: u16 = 3;
    pub const GETCHAIN: u16 = 4;
    pub const NEWRULE: u16 = 6;
    pub const GETRULE: u16 = 7;
    pub const NEWSET: u16 = 9;
    pub const GETSET: u16 = 10;
    pub const NEWSETELEM: u16 = 12;
    pub const GETSETELEM: u16 = 13;
    pub const DELSETELEM: u16 = 14;
    pub const NEWGEN: u16 = 15;
    pub const GETGEN: u16 = 16;
    pub const NEWOBJ: u16 = 18;
    pub const GETOBJ: u16 = 19;
}

pub const NFNL_BATCH_GENID: u16 = 1;
pub const NFTA_GEN_ID: u16 = 1;
pub const NFTA_LIST_ELEM: u16 = 1;

/// `enum nlmsgerr_attrs`.
pub mod err {
    pub const MSG: u16 = 1;
    pub const OFFS: u16 = 2;
}

pub mod table {
    pub const NAME: u16 = 1;
    pub const FLAGS: u16 = 2;
    pub const F_DORMANT: u32 = 1;
}

pub mod chain {
    pub const TABLE: u16 = 1;
    pub const NAME: u16 = 3;
    pub const HOOK: u16 = 4;
    pub const POLICY: u16 = 5;
    pub const TYPE: u16 = 7;
    pub const HOOK_HOOKNUM: u16 = 1;
    pub const HOOK_PRIORITY: u16 = 2;
    pub const PRE_ROUTING: u32 = 0;
    pub const LOCAL_IN: u32 = 1;
    pub const FORWARD: u32 = 2;
    pub const LOCAL_OUT: u32 = 3;
}

pub mod rule {
    pub const TABLE: u16 = 1;
    pub const CHAIN: u16 = 2;
    pub const HANDLE: u16 = 3;
    pub const EXPRESSIONS: u16 = 4;
}

pub mod object {
    pub const TABLE: u16 = 1;
    pub const NAME: u16 = 2;
    pub const TYPE: u16 = 3;
    pub const DATA: u16 = 4;
    pub const COUNTER: u32 = 1;
    pub const CT_HELPER: u32 = 3;
    pub const COUNTER_BYTES: u16 = 1;
    pub const COUNTER_PACKETS: u16 = 2;
    pub const HELPER_NAME: u16 = 1;
    pub const HELPER_L3PROTO: u16 = 2;
    pub const HELPER_L4PROTO: u16 = 3;
}

pub mod set {
    pub const TABLE: u16 = 1;
    pub const NAME: u16 = 2;
    pub const FLAGS: u16 = 3;
    pub const KEY_TYPE: u16 = 4;
    pub const KEY_LEN: u16 = 5;
    pub const DATA_TYPE: u16 = 6;
    pub const DESC: u16 = 9;
    pub const TIMEOUT: u16 = 11;
    pub const OBJ_TYPE: u16 = 15;
    pub const EXPR: u16 = 17;
    pub const EXPRESSIONS: u16 = 18;
    /// From Linux 6.16 on.
    pub const COUNT: u16 = 20;
    pub const DESC_SIZE: u16 = 1;

    pub const F_ANONYMOUS: u32 = 0x1;
    pub const F_INTERVAL: u32 = 0x4;
    pub const F_MAP: u32 = 0x8;
    pub const F_TIMEOUT: u32 = 0x10;
    pub const F_EVAL: u32 = 0x20;
    pub const F_OBJECT: u32 = 0x40;
    pub const F_CONCAT: u32 = 0x80;

    /// `NFT_DATA_VERDICT`, the data type of a verdict map.
    pub const DATA_VERDICT: u32 = 0xffff_ff00;
}

pub mod elem {
    pub const LIST_TABLE: u16 = 1;
    pub const LIST_SET: u16 = 2;
    pub const LIST_ELEMENTS: u16 = 3;

    pub const KEY: u16 = 1;
    pub const DATA: u16 = 2;
    pub const FLAGS: u16 = 3;
    pub const TIMEOUT: u16 = 4;
    pub const EXPIRATION: u16 = 5;
    pub const EXPR: u16 = 7;
    pub const OBJREF: u16 = 9;
    pub const KEY_END: u16 = 10;
    pub const EXPRESSIONS: u16 = 11;

    pub const F_INTERVAL_END: u32 = 1;
    pub const F_CATCHALL: u32 = 2;
}

pub mod data {
    pub const VALUE: u16 = 1;
    pub const VERDICT: u16 = 2;
    pub const VERDICT_CODE: u16 = 1;
    pub const VERDICT_CHAIN: u16 = 2;

    /// Codes of verdicts: `NF_DROP`, `NF_ACCEPT`, and nf_tables' own, which are negative.
    pub const DROP: u32 = 0;
    pub const ACCEPT: u32 = 1;
    pub const JUMP: u32 = -3_i32 as u32;
    pub const GOTO: u32 = -4_i32 as u32;
    pub const RETURN: u32 = -5_i32 as u32;
}

/// Registers: `NFT_REG_VERDICT`, `NFT_REG_1` and `NFT_REG32_00`.
pub const REG_VERDICT: u32 = 0;
pub const REG_1: u32 = 1;
pub const REG32_00: u32 = 8;

/// Attributes and values of expressions.
pub mod expr {
    pub const NAME: u16 = 1;
    pub const DATA: u16 = 2;

    pub const META_DREG: u16 = 1;
    pub const META_KEY: u16 = 2;
    pub const META_IIFNAME: u32 = 6;
    pub const META_OIFNAME: u32 = 7;
    pub const META_SKUID: u32 = 10;
    pub const META_NFPROTO: u32 = 15;
    pub const META_L4PROTO: u32 = 16;

    pub const CT_DREG: u16 = 1;
    pub const CT_KEY: u16 = 2;
    pub const CT_DIRECTION: u16 = 3;
    pub const CT_STATE: u32 = 0;
    pub const CT_HELPER: u32 = 6;

    pub const PAYLOAD_DREG: u16 = 1;
    pub const PAYLOAD_BASE: u16 = 2;
    pub const PAYLOAD_OFFSET: u16 = 3;
    pub const PAYLOAD_LEN: u16 = 4;
    pub const PAYLOAD_NETWORK: u32 = 1;
    pub const PAYLOAD_TRANSPORT: u32 = 2;

    pub const BITWISE_SREG: u16 = 1;
    pub const BITWISE_DREG: u16 = 2;
    pub const BITWISE_LEN: u16 = 3;
    pub const BITWISE_MASK: u16 = 4;
    pub const BITWISE_XOR: u16 = 5;
    pub const BITWISE_OP: u16 = 6;

    pub const CMP_SREG: u16 = 1;
    pub const CMP_OP: u16 = 2;
    pub const CMP_DATA: u16 = 3;

    pub const LOOKUP_SET: u16 = 1;
    pub const LOOKUP_SREG: u16 = 2;
    pub const LOOKUP_DREG: u16 = 3;
    pub const LOOKUP_FLAGS: u16 = 5;
    pub const LOOKUP_F_INV: u32 = 1;

    pub const OBJREF_TYPE: u16 = 1;
    pub const OBJREF_NAME: u16 = 2;
    pub const OBJREF_SREG: u16 = 3;
    pub const OBJREF_SET: u16 = 4;

    pub const IMMEDIATE_DREG: u16 = 1;
    pub const IMMEDIATE_DATA: u16 = 2;

    pub const LIMIT_RATE: u16 = 1;
    pub const LIMIT_UNIT: u16 = 2;
    pub const LIMIT_BURST: u16 = 3;
    pub const LIMIT_TYPE: u16 = 4;
    pub const LIMIT_FLAGS: u16 = 5;
    pub const LIMIT_F_INV: u32 = 1;

    pub const LOG_GROUP: u16 = 1;
    pub const LOG_PREFIX: u16 = 2;
    pub const LOG_SNAPLEN: u16 = 3;
    pub const LOG_QTHRESHOLD: u16 = 4;
    pub const LOG_LEVEL: u16 = 5;
    pub const LOG_FLAGS: u16 = 6;

    pub const REJECT_TYPE: u16 = 1;
    pub const REJECT_CODE: u16 = 2;
    pub const REJECT_TCP_RST: u32 = 1;
    pub const REJECT_ICMPX: u32 = 2;
    pub const REJECT_ICMPX_PORT: u8 = 1;

    pub const DYNSET_SET: u16 = 1;
    pub const DYNSET_OP: u16 = 3;
    pub const DYNSET_SREG_KEY: u16 = 4;
    pub const DYNSET_SREG_DATA: u16 = 5;
    pub const DYNSET_TIMEOUT: u16 = 6;
    pub const DYNSET_EXPR: u16 = 7;
    pub const DYNSET_FLAGS: u16 = 9;
    pub const DYNSET_EXPRESSIONS: u16 = 10;
    pub const DYNSET_ADD: u32 = 0;
    pub const DYNSET_UPDATE: u32 = 1;
}
