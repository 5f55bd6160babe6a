//! Runs a ruleset's expressions on the first packet of a connection, by the kernel's rules: registers, sets, verdicts.

use portgrave::model::Packet;
use portgrave::ruleset::{
    CmpOp, CtKey, Element, ElementKey, Elements, Expr, MetaKey, ObjectKind, PayloadBase, Reg, Ruleset, Set,
    Verdict,
};
use portgrave::types::Direction;
use std::net::IpAddr;

const CT_STATE_NEW: u32 = 8;
const SYN: u8 = 2;

/// What became of a packet.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub action: String,
    /// Every counter that counted it, sorted.
    pub counters: Vec<String>,
    /// A helper was assigned to the connection.
    pub helped: bool,
}

pub struct Machine<'a> {
    ruleset: &'a Ruleset,
    registers: [u8; 64],
    counters: Vec<String>,
    helped: bool,
}

/// Where a rule or a chain leads.
enum Next {
    /// The next rule, or the rule after a jump.
    On,
    End(&'static str),
}

impl<'a> Machine<'a> {
    pub fn new(ruleset: &'a Ruleset) -> Self {
        Self { ruleset, registers: [0; 64], counters: Vec::new(), helped: false }
    }

    pub fn run(mut self, packet: &Packet) -> Outcome {
        let bytes = Bytes::of(packet);
        let base = if packet.direction == Direction::In { "input" } else { "output" };
        let action = match self.chain(base, &bytes) {
            Next::End(action) => action.to_owned(),
            Next::On => panic!("the packet fell out of the base chain"),
        };
        self.counters.sort_unstable();
        Outcome { action, counters: self.counters, helped: self.helped }
    }

    fn chain(&mut self, name: &str, bytes: &Bytes<'_>) -> Next {
        let chain = self.ruleset.chains.get(name).unwrap_or_else(|| panic!("chain {name}"));
        for rule in &chain.rules {
            match self.rule(&rule.exprs, bytes) {
                None => {}
                Some(Verdict::Accept) => return Next::End("allow"),
                Some(Verdict::Drop) => return Next::End("deny"),
                Some(Verdict::Return) => return Next::On,
                Some(Verdict::Goto(target)) if target == REJECTED => return Next::End("reject"),
                Some(Verdict::Goto(target)) => return self.chain(&target, bytes),
                Some(Verdict::Jump(target)) => {
                    if let Next::End(action) = self.chain(&target, bytes) {
                        return Next::End(action);
                    }
                }
            }
        }
        Next::On
    }

    /// The verdict of a rule that matches and has one.
    fn rule(&mut self, exprs: &[Expr], bytes: &Bytes<'_>) -> Option<Verdict> {
        for expr in exprs {
            if let Expr::Verdict(verdict) = expr {
                return Some(verdict.clone());
            }
            if matches!(expr, Expr::Reject(_)) {
                return Some(Verdict::Goto(REJECTED.into()));
            }
            if let Expr::Lookup { sreg, set, verdict: true, .. } = expr {
                return self.find(self.set(set), *sreg)?.1.verdict;
            }
            if !self.matches(expr, bytes) {
                return None;
            }
        }
        None
    }

    fn matches(&mut self, expr: &Expr, bytes: &Bytes<'_>) -> bool {
        match expr {
            Expr::Meta { key, dreg } => self.load(*dreg, &bytes.meta(*key)),
            Expr::Ct { key: CtKey::State, dreg } => self.load(*dreg, &CT_STATE_NEW.to_ne_bytes()),
            Expr::Ct { key: CtKey::Helper, .. } => return false,
            Expr::Payload { base, offset, len, dreg } => {
                let header = match base {
                    PayloadBase::Network => &bytes.network,
                    PayloadBase::Transport => &bytes.transport,
                };
                let (from, to) = (*offset as usize, (*offset + *len) as usize);
                let Some(value) = header.get(from..to) else { return false };
                self.load(*dreg, value);
            }
            Expr::Bitwise { sreg, dreg, mask, xor } => {
                let value: Vec<u8> = self
                    .read(*sreg, mask.len())
                    .iter()
                    .zip(mask.iter().zip(xor))
                    .map(|(v, (m, x))| v & m ^ x)
                    .collect();
                self.load(*dreg, &value);
            }
            Expr::Cmp { sreg, op, data } => return compare(self.read(*sreg, data.len()), *op, data),
            Expr::Lookup { sreg, set, invert, verdict: _ } => {
                return self.find(self.set(set), *sreg).is_some() != *invert;
            }
            Expr::ObjectMap { sreg, map } => {
                let Some((_, value)) = self.find(self.set(map), *sreg) else { return false };
                self.counters.push(value.object.clone().expect("a counter"));
            }
            Expr::Object { kind: ObjectKind::Counter, name } => self.counters.push(name.clone()),
            Expr::Object { kind: ObjectKind::CtHelper, .. } => self.helped = true,
            Expr::Limit(limit) | Expr::Dynset { limit: Some(limit), .. } => return !limit.over,
            Expr::Dynset { limit: None, .. } | Expr::Log { .. } => {}
            Expr::Verdict(_) | Expr::Reject(_) | Expr::Foreign(_) => panic!("{expr:?}"),
        }
        true
    }

    fn load(&mut self, register: Reg, value: &[u8]) {
        let start = usize::from(register.0) * 4;
        let end = start + value.len().next_multiple_of(4);
        self.registers[start..end].fill(0);
        self.registers[start..start + value.len()].copy_from_slice(value);
    }

    fn read(&self, register: Reg, length: usize) -> &[u8] {
        &self.registers[usize::from(register.0) * 4..][..length]
    }

    fn set(&self, name: &str) -> &'a Set {
        self.ruleset.sets.get(name).unwrap_or_else(|| panic!("set {name}"))
    }

    fn find(&self, set: &'a Set, register: Reg) -> Option<Element> {
        assert!(!matches!(set.elements, Elements::Unread(_)), "a compiled set is known");
        let key = self.read(register, set.key.iter().map(|field| field.padded_len()).sum());
        let mut found = set.elements.iter().filter(|(element, _)| holds(set, element, key));
        let first = found.next().map(|(key, value)| (key.into_owned(), value.clone()));
        if let Some(second) = found.next() {
            panic!("{first:?} and {second:?} overlap in {:?}", set.key);
        }
        first
    }
}

const REJECTED: &str = "(rejected)";

/// Each field of the key lies between the element's.
fn holds(set: &Set, element: &ElementKey, key: &[u8]) -> bool {
    let last = element.last.as_ref().unwrap_or(&element.first);
    let mut at = 0;
    set.key.iter().all(|field| {
        let range = at..at + field.padded_len();
        at = range.end;
        element.first[range.clone()] <= key[range.clone()] && key[range.clone()] <= last[range]
    })
}

fn compare(value: &[u8], op: CmpOp, data: &[u8]) -> bool {
    match op {
        CmpOp::Eq => value == data,
        CmpOp::Neq => value != data,
        CmpOp::Lt => value < data,
        CmpOp::Lte => value <= data,
        CmpOp::Gt => value > data,
        CmpOp::Gte => value >= data,
    }
}

/// A packet's headers, and what is known of its way.
struct Bytes<'p> {
    packet: &'p Packet,
    network: Vec<u8>,
    transport: Vec<u8>,
}

impl<'p> Bytes<'p> {
    fn of(packet: &'p Packet) -> Self {
        let mut network = vec![0; if packet.peer.is_ipv4() { 20 } else { 40 }];
        let (source, destination) = match packet.direction {
            Direction::In => (Some(packet.peer), packet.local),
            Direction::Out => (packet.local, Some(packet.peer)),
        };
        let (from, to) = if packet.peer.is_ipv4() { (12, 16) } else { (8, 24) };
        for (address, at) in [(source, from), (destination, to)] {
            match address {
                Some(IpAddr::V4(address)) => network[at..][..4].copy_from_slice(&address.octets()),
                Some(IpAddr::V6(address)) => network[at..][..16].copy_from_slice(&address.octets()),
                None => {}
            }
        }
        let mut transport = vec![0; 20];
        transport[..2].copy_from_slice(&packet.source_port.unwrap_or(0x1234).to_be_bytes());
        transport[2..4].copy_from_slice(&packet.port.unwrap_or(0x5678).to_be_bytes());
        if let Some(kind) = packet.icmp_type {
            transport[0] = kind;
        }
        if packet.protocol == 6 {
            transport[13] = SYN;
        }
        Self { packet, network, transport }
    }

    fn meta(&self, key: MetaKey) -> Vec<u8> {
        let interface = |own: Direction| {
            let known = self.packet.interface.as_ref().filter(|_| own == self.packet.direction);
            let mut name = known.map(|name| name.as_bytes().to_vec()).unwrap_or_default();
            name.resize(16, 0);
            name
        };
        match key {
            MetaKey::NfProto => vec![if self.network.len() == 20 { 2 } else { 10 }],
            MetaKey::L4Proto => vec![self.packet.protocol],
            MetaKey::IifName => interface(Direction::In),
            MetaKey::OifName => interface(Direction::Out),
            MetaKey::SkUid => self.packet.user.unwrap_or(u32::MAX).to_ne_bytes().to_vec(),
        }
    }
}
