//! Builds a rule: each step adds the expressions that the kernel runs and the words that nft prints for them.

use super::{
    CmpOp, CtKey, DynsetOp, Expr, Limit, LimitUnit, MetaKey, ObjectKind, PayloadBase, Reg, RejectKind, Rule,
    Verdict,
};
use crate::diag::Span;
use crate::types::{AddrRange, Direction, Family, PortRange, Protocol};

/// A value of the packet, as one field of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The far end's address: the source of an incoming packet, the destination of an outgoing one.
    Peer(Direction, Family),
    /// The far end's address as far as one host has it: whole of IPv4, the first 64 bits of IPv6.
    PeerHost(Direction, Family),
    /// This machine's address.
    Local(Direction, Family),
    L4Proto,
    NfProto,
    CtState,
    /// The destination port, of any transport protocol.
    DestinationPort,
    /// The far end's port of a TCP packet.
    PeerTcpPort(Direction),
    LocalTcpPort(Direction),
    IcmpType(Family),
    /// The source port, of any transport protocol.
    SourcePort,
}

const PROTO_ICMP: u8 = 1;
const PROTO_TCP: u8 = 6;
const PROTO_ICMPV6: u8 = 58;
const IFNAMSIZ: usize = 16;
/// Of an IPv6 address: below it a host chooses what it likes.
const HOST_BITS: u32 = 64;

/// What the rule has already made sure of: nft writes each of these once a rule.
#[derive(Default)]
struct Known {
    family: Option<Family>,
    protocol: Option<u8>,
}

#[derive(Default)]
pub struct RuleBuilder {
    exprs: Vec<Expr>,
    words: Vec<String>,
    known: Known,
    origin: Option<Span>,
}

impl RuleBuilder {
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn origin(mut self, origin: Option<Span>) -> Self {
        self.origin = origin;
        self
    }

    /// `KEY vmap @map`
    #[must_use]
    pub fn verdict_map(mut self, key: &[Part], map: &str) -> Self {
        let words = self.load_key(key);
        self.exprs.push(Expr::Lookup { sreg: Reg(0), set: map.into(), invert: false, verdict: true });
        self.say(format!("{words} vmap @{map}"))
    }

    /// `counter name KEY map @map`: goes on only if the map has the key, and counts for what it names.
    #[must_use]
    pub fn counter_map(mut self, key: &[Part], map: &str) -> Self {
        let words = self.load_key(key);
        self.exprs.push(Expr::ObjectMap { sreg: Reg(0), map: map.into() });
        self.say(format!("counter name {words} map @{map}"))
    }

    /// `KEY @set`, or `KEY != @set`
    #[must_use]
    pub fn lookup(mut self, key: &[Part], set: &str, invert: bool) -> Self {
        let words = self.load_key(key);
        self.exprs.push(Expr::Lookup { sreg: Reg(0), set: set.into(), invert, verdict: false });
        self.say(format!("{words} {}@{set}", if invert { "!= " } else { "" }))
    }

    /// `update @set { KEY }`: the packet's key enters the set, or lives anew, for the set's own timeout.
    #[must_use]
    pub fn update(self, key: &[Part], set: &str) -> Self {
        self.dynset(DynsetOp::Update, key, set, None)
    }

    /// `add @set { KEY }`: the packet's key enters the set, if it is not there.
    #[must_use]
    pub fn add(self, key: &[Part], set: &str) -> Self {
        self.dynset(DynsetOp::Add, key, set, None)
    }

    /// `update @set { KEY limit … }`: goes on if the packet is within (or beyond) the rate of its key.
    #[must_use]
    pub fn meter(self, key: &[Part], set: &str, limit: Limit) -> Self {
        self.dynset(DynsetOp::Update, key, set, Some(limit))
    }

    fn dynset(mut self, op: DynsetOp, key: &[Part], set: &str, limit: Option<Limit>) -> Self {
        let words = self.load_key(key);
        self.exprs.push(Expr::Dynset { op, sreg: Reg(0), set: set.into(), timeout: None, limit });
        let verb = match op {
            DynsetOp::Add => "add",
            DynsetOp::Update => "update",
        };
        let limit = limit.map(|limit| format!(" {limit}")).unwrap_or_default();
        self.say(format!("{verb} @{set} {{ {words}{limit} }}"))
    }

    /// The interface by name, or with a closing `*` by the beginning of its name: `iifname` of an incoming packet, `oifname`
    /// of an outgoing one.
    #[must_use]
    pub fn interface(mut self, direction: Direction, name: &str) -> Self {
        let (key, word) = match direction {
            Direction::In => (MetaKey::IifName, "iifname"),
            Direction::Out => (MetaKey::OifName, "oifname"),
        };
        let mut data = name.trim_end_matches('*').as_bytes().to_vec();
        if !name.ends_with('*') {
            data.resize(IFNAMSIZ, 0);
        }
        self.exprs.push(Expr::Meta { key, dreg: Reg(0) });
        self.compare(CmpOp::Eq, data);
        self.say(format!("{word} \"{name}\""))
    }

    /// `iifname != NAME`
    #[must_use]
    pub fn from_interface_other_than(mut self, name: &str) -> Self {
        let mut data = name.as_bytes().to_vec();
        data.resize(IFNAMSIZ, 0);
        self.exprs.push(Expr::Meta { key: MetaKey::IifName, dreg: Reg(0) });
        self.compare(CmpOp::Neq, data);
        self.say(format!("iifname != \"{name}\""))
    }

    #[must_use]
    pub fn socket_uid(mut self, uid: u32) -> Self {
        self.exprs.push(Expr::Meta { key: MetaKey::SkUid, dreg: Reg(0) });
        self.compare(CmpOp::Eq, uid.to_ne_bytes().to_vec());
        self.say(format!("meta skuid {uid}"))
    }

    #[must_use]
    pub fn family(mut self, family: Family) -> Self {
        self.need_family(family);
        let word = match family {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        };
        self.say(format!("meta nfproto {word}"))
    }

    /// `meta l4proto N`
    #[must_use]
    pub fn protocol(mut self, number: u8) -> Self {
        self.need_protocol(number);
        self.say(format!("meta l4proto {number}"))
    }

    /// The peer's, or with `local` this machine's, address lies in a prefix.
    #[must_use]
    pub fn address_in(mut self, part: Part, prefix: AddrRange, invert: bool) -> Self {
        let length = prefix.prefix_length().expect("a prefix");
        let word = self.load(part, Reg(0));
        let bytes = address_bytes(prefix);
        if length != prefix.family().bits() {
            let mask = mask_bytes(prefix.family(), length);
            let xor = vec![0; mask.len()];
            self.exprs.push(Expr::Bitwise { sreg: Reg(0), dreg: Reg(0), mask, xor });
        }
        self.compare(if invert { CmpOp::Neq } else { CmpOp::Eq }, bytes);
        self.say(format!("{word} {}{prefix}", if invert { "!= " } else { "" }))
    }

    /// The destination port of a protocol.
    #[must_use]
    pub fn destination_port(self, protocol: Protocol, ports: PortRange) -> Self {
        self.port(protocol, "dport", 2, ports)
    }

    #[must_use]
    pub fn source_port(self, protocol: Protocol, ports: PortRange) -> Self {
        self.port(protocol, "sport", 0, ports)
    }

    fn port(mut self, protocol: Protocol, word: &str, offset: u32, ports: PortRange) -> Self {
        self.need_protocol(protocol.number());
        self.exprs.push(Expr::Payload { base: PayloadBase::Transport, offset, len: 2, dreg: Reg(0) });
        if ports.is_single() {
            self.compare(CmpOp::Eq, ports.first().to_be_bytes().to_vec());
        } else {
            self.compare(CmpOp::Gte, ports.first().to_be_bytes().to_vec());
            self.compare(CmpOp::Lte, ports.last().to_be_bytes().to_vec());
        }
        self.say(format!("{} {word} {ports}", protocol.as_str()))
    }

    /// A TCP packet that is anything but a bare SYN.
    #[must_use]
    pub fn not_bare_syn(self) -> Self {
        const MASK: u8 = 0x17; // FIN, SYN, RST, ACK
        self.tcp_flags(MASK, CmpOp::Neq, 0x02).say("tcp flags & (fin|syn|rst|ack) != syn".into())
    }

    #[must_use]
    pub fn tcp_reset(self) -> Self {
        const RST: u8 = 0x04;
        self.tcp_flags(RST, CmpOp::Eq, RST).say("tcp flags & rst == rst".into())
    }

    fn tcp_flags(mut self, mask: u8, op: CmpOp, flags: u8) -> Self {
        self.need_protocol(PROTO_TCP);
        self.exprs.push(Expr::Payload { base: PayloadBase::Transport, offset: 13, len: 1, dreg: Reg(0) });
        self.exprs.push(Expr::Bitwise { sreg: Reg(0), dreg: Reg(0), mask: vec![mask], xor: vec![0] });
        self.compare(op, vec![flags]);
        self
    }

    #[must_use]
    pub fn icmp_type(mut self, family: Family, number: u8) -> Self {
        let word = self.load(Part::IcmpType(family), Reg(0));
        self.compare(CmpOp::Eq, vec![number]);
        self.say(format!("{word} {number}"))
    }

    #[must_use]
    pub fn hop_limit(mut self, limit: u8) -> Self {
        self.need_family(Family::V6);
        self.exprs.push(Expr::Payload { base: PayloadBase::Network, offset: 7, len: 1, dreg: Reg(0) });
        self.compare(CmpOp::Eq, vec![limit]);
        self.say(format!("ip6 hoplimit {limit}"))
    }

    /// The connection that this one is related to has this helper.
    #[must_use]
    pub fn ct_helper(mut self, helper: &str) -> Self {
        let mut data = helper.as_bytes().to_vec();
        data.resize(16, 0);
        self.exprs.push(Expr::Ct { key: CtKey::Helper, dreg: Reg(0) });
        self.compare(CmpOp::Eq, data);
        self.say(format!("ct helper \"{helper}\""))
    }

    #[must_use]
    pub fn set_ct_helper(mut self, object: &str) -> Self {
        self.exprs.push(Expr::Object { kind: ObjectKind::CtHelper, name: object.into() });
        self.say(format!("ct helper set \"{object}\""))
    }

    #[must_use]
    pub fn limit(mut self, limit: Limit) -> Self {
        self.exprs.push(Expr::Limit(limit));
        self.say(limit.to_string())
    }

    /// `log prefix … group … snaplen …`
    #[must_use]
    pub fn log(mut self, prefix: &str, group: u16, snaplen: u32) -> Self {
        self.exprs.push(Expr::Log { prefix: prefix.into(), group, snaplen });
        self.say(format!("log prefix \"{prefix}\" group {group} snaplen {snaplen}"))
    }

    #[must_use]
    pub fn counter(mut self, name: &str) -> Self {
        self.exprs.push(Expr::Object { kind: ObjectKind::Counter, name: name.into() });
        self.say(format!("counter name \"{name}\""))
    }

    pub fn reject_tcp_reset(mut self) -> Rule {
        self.need_protocol(PROTO_TCP);
        self.exprs.push(Expr::Reject(RejectKind::TcpReset));
        self.say("meta l4proto tcp reject with tcp reset".into()).rule()
    }

    pub fn reject_port_unreachable(mut self) -> Rule {
        self.exprs.push(Expr::Reject(RejectKind::PortUnreachable));
        self.say("reject with icmpx port-unreachable".into()).rule()
    }

    pub fn verdict(mut self, verdict: Verdict) -> Rule {
        let word = verdict.to_string();
        self.exprs.push(Expr::Verdict(verdict));
        self.say(word).rule()
    }

    /// The rule without a verdict: it does what it does, and the next one is asked.
    pub fn rule(self) -> Rule {
        Rule { exprs: self.exprs, text: self.words.join(" "), origin: self.origin, handle: None }
    }

    fn say(mut self, words: String) -> Self {
        self.words.push(words);
        self
    }

    fn compare(&mut self, op: CmpOp, data: Vec<u8>) {
        self.exprs.push(Expr::Cmp { sreg: Reg(0), op, data });
    }

    fn need_family(&mut self, family: Family) {
        if self.known.family != Some(family) {
            let number = match family {
                Family::V4 => 2,
                Family::V6 => 10,
            };
            self.known.family = Some(family);
            self.exprs.push(Expr::Meta { key: MetaKey::NfProto, dreg: Reg(0) });
            self.compare(CmpOp::Eq, vec![number]);
        }
    }

    fn need_protocol(&mut self, number: u8) {
        if self.known.protocol != Some(number) {
            self.known.protocol = Some(number);
            self.exprs.push(Expr::Meta { key: MetaKey::L4Proto, dreg: Reg(0) });
            self.compare(CmpOp::Eq, vec![number]);
        }
    }

    /// Loads the fields one after the other, each in registers of its own, and says them in nft's words.
    fn load_key(&mut self, key: &[Part]) -> String {
        for part in key {
            self.depend(*part);
        }
        let mut register = 0;
        let mut words = Vec::new();
        for part in key {
            words.push(self.load(*part, Reg(register)));
            register += part.registers();
        }
        words.join(" . ")
    }

    fn depend(&mut self, part: Part) {
        match part {
            Part::Peer(_, family) | Part::PeerHost(_, family) | Part::Local(_, family) => {
                self.need_family(family);
            }
            Part::PeerTcpPort(_) | Part::LocalTcpPort(_) => self.need_protocol(PROTO_TCP),
            Part::IcmpType(family) => {
                self.need_family(family);
                self.need_protocol(if family == Family::V4 { PROTO_ICMP } else { PROTO_ICMPV6 });
            }
            Part::L4Proto | Part::NfProto | Part::CtState | Part::DestinationPort | Part::SourcePort => {}
        }
    }

    fn load(&mut self, part: Part, dreg: Reg) -> String {
        self.depend(part);
        let transport = |offset, len| Expr::Payload { base: PayloadBase::Transport, offset, len, dreg };
        let (expr, word) = match part {
            Part::Peer(direction, family) | Part::PeerHost(direction, family) => {
                address(direction == Direction::In, family, dreg)
            }
            Part::Local(direction, family) => address(direction == Direction::Out, family, dreg),
            Part::L4Proto => (Expr::Meta { key: MetaKey::L4Proto, dreg }, "meta l4proto"),
            Part::NfProto => (Expr::Meta { key: MetaKey::NfProto, dreg }, "meta nfproto"),
            Part::CtState => (Expr::Ct { key: CtKey::State, dreg }, "ct state"),
            Part::DestinationPort => (transport(2, 2), "th dport"),
            Part::SourcePort => (transport(0, 2), "th sport"),
            Part::PeerTcpPort(Direction::In) | Part::LocalTcpPort(Direction::Out) => {
                (transport(0, 2), "tcp sport")
            }
            Part::PeerTcpPort(Direction::Out) | Part::LocalTcpPort(Direction::In) => {
                (transport(2, 2), "tcp dport")
            }
            Part::IcmpType(Family::V4) => (transport(0, 1), "icmp type"),
            Part::IcmpType(Family::V6) => (transport(0, 1), "icmpv6 type"),
        };
        self.exprs.push(expr);
        if matches!(part, Part::PeerHost(_, Family::V6)) {
            let mask = mask_bytes(Family::V6, HOST_BITS);
            let xor = vec![0; mask.len()];
            self.exprs.push(Expr::Bitwise { sreg: dreg, dreg, mask, xor });
            return format!("{word} & ffff:ffff:ffff:ffff::");
        }
        word.to_owned()
    }
}

impl Limit {
    pub const fn per_second(rate: u64, burst: u32) -> Self {
        Self { rate, unit: LimitUnit::Second, burst, over: false }
    }

    /// Beyond the rate instead of within it.
    #[must_use]
    pub const fn over(self) -> Self {
        Self { over: true, ..self }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let over = if self.over { "over " } else { "" };
        let unit = match self.unit {
            LimitUnit::Second => "second",
            LimitUnit::Minute => "minute",
            LimitUnit::Hour => "hour",
        };
        write!(f, "limit rate {over}{}/{unit} burst {} packets", self.rate, self.burst)
    }
}

impl Part {
    /// How many registers of 32 bits the value takes.
    fn registers(self) -> u8 {
        match self {
            Self::Peer(_, Family::V6) | Self::PeerHost(_, Family::V6) | Self::Local(_, Family::V6) => 4,
            Self::Peer(_, Family::V4)
            | Self::PeerHost(_, Family::V4)
            | Self::Local(_, Family::V4)
            | Self::L4Proto
            | Self::NfProto
            | Self::CtState
            | Self::DestinationPort
            | Self::SourcePort
            | Self::PeerTcpPort(_)
            | Self::LocalTcpPort(_)
            | Self::IcmpType(_) => 1,
        }
    }
}

fn address(source: bool, family: Family, dreg: Reg) -> (Expr, &'static str) {
    let (offset, len, word) = match (family, source) {
        (Family::V4, true) => (12, 4, "ip saddr"),
        (Family::V4, false) => (16, 4, "ip daddr"),
        (Family::V6, true) => (8, 16, "ip6 saddr"),
        (Family::V6, false) => (24, 16, "ip6 daddr"),
    };
    (Expr::Payload { base: PayloadBase::Network, offset, len, dreg }, word)
}

fn address_bytes(prefix: AddrRange) -> Vec<u8> {
    match prefix.first() {
        std::net::IpAddr::V4(v4) => v4.octets().to_vec(),
        std::net::IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn mask_bytes(family: Family, length: u32) -> Vec<u8> {
    let bits = family.bits();
    let ones = if length == 0 { 0 } else { u128::MAX << (128 - length) };
    ones.to_be_bytes()[..bits as usize / 8].to_vec()
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
            Self::Return => f.write_str("return"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Goto(chain) => write!(f, "goto {chain}"),
        }
    }
}
