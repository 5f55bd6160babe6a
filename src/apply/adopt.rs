//! Connections that were open before the first apply: conntrack has not seen them, so each of their segments is new without
//! being a SYN. Those that the policy permits get in, whichever side speaks first.

use crate::compile::ADOPTED_SETS;
use crate::model::{AddressBook, Packet, Policy, verdict};
use crate::plan::Op;
use crate::ruleset::{Element, ElementKey, ElementValue, Ruleset};
use crate::types::{Direction, Family};
use std::net::{IpAddr, SocketAddr};

/// A TCP connection as the kernel's socket tables show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    pub local: SocketAddr,
    pub peer: SocketAddr,
    /// The one that has the local address.
    pub interface: Option<String>,
    /// Whose the socket is.
    pub user: u32,
}

const TCP: u8 = 6;

/// The operations that let permitted connections in, for the first batch.
pub fn adoption(policy: &Policy, book: &AddressBook, want: &Ruleset, open: &[Connection]) -> Vec<Op> {
    let mut ops = Vec::new();
    for (family, name) in Family::BOTH.into_iter().zip(ADOPTED_SETS) {
        let Some(set) = want.sets.get(name) else { continue };
        let Some(timeout) = set.timeout else { continue };
        let of_family = open.iter().filter(|connection| Family::of(connection.peer.ip()) == family);
        let permitted = of_family.filter(|connection| is_permitted(policy, book, connection));
        let limit = set.size.unwrap_or(u32::MAX) as usize;
        let value = || ElementValue { timeout: Some(timeout), ..ElementValue::default() };
        let mut elements: Vec<Element> = permitted.take(limit).map(|c| (key(c), value())).collect();
        elements.sort_by(|(a, _), (b, _)| a.cmp(b));
        elements.dedup_by(|(a, _), (b, _)| a == b);
        if !elements.is_empty() {
            ops.push(Op::AddElements { set: name.into(), head: set.head(), elements });
        }
    }
    ops
}

/// Whether the policy would let either side open this connection.
fn is_permitted(policy: &Policy, book: &AddressBook, connection: &Connection) -> bool {
    Direction::BOTH.into_iter().any(|direction| {
        let (to, from) = match direction {
            Direction::In => (connection.local.port(), connection.peer.port()),
            Direction::Out => (connection.peer.port(), connection.local.port()),
        };
        let packet = Packet {
            direction,
            protocol: TCP,
            peer: connection.peer.ip(),
            local: Some(connection.local.ip()),
            port: Some(to),
            source_port: Some(from),
            icmp_type: None,
            interface: connection.interface.clone(),
            user: (direction == Direction::Out).then_some(connection.user),
        };
        verdict(policy, book, &packet).action.passes()
    })
}

/// The key of the sets of adopted connections: peer, its port, own address, own port.
fn key(connection: &Connection) -> ElementKey {
    let mut bytes = Vec::new();
    for end in [connection.peer, connection.local] {
        match end.ip() {
            IpAddr::V4(v4) => bytes.extend(v4.octets()),
            IpAddr::V6(v6) => bytes.extend(v6.octets()),
        }
        bytes.extend(end.port().to_be_bytes());
        bytes.extend([0, 0]);
    }
    ElementKey { first: bytes.into(), last: None }
}
