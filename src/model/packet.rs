//! The packet that is judged.

use super::Question;
use crate::types::Direction;
use std::fmt;
use std::net::IpAddr;

/// The first packet of a connection of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Who sends it: `In` the peer, `Out` this machine.
    pub direction: Direction,
    /// The IANA protocol number.
    pub protocol: u8,
    /// The far end: the source of an incoming packet, the destination of an outgoing one.
    pub peer: IpAddr,
    /// This machine's end, where it is known.
    pub local: Option<IpAddr>,
    /// The destination port, of a protocol that has ports.
    pub port: Option<u16>,
    pub source_port: Option<u16>,
    /// The type, of ICMP of either family.
    pub icmp_type: Option<u8>,
    /// The interface that it comes or leaves through, where it is known.
    pub interface: Option<String>,
    /// The local user who sends it, where one does.
    pub user: Option<u32>,
}

/// As a question about it is written.
impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Question::from(self).fmt(f)
    }
}
