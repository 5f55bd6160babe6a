//! One logged packet.

use crate::types::{Decider, Direction, Outcome};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Record {
    pub what: Outcome,
    pub rule: Decider,
    pub direction: Direction,
    /// The index of the interface that the packet came from or was to leave by; 0 if the kernel named none.
    pub interface: u32,
    /// The IP protocol number, behind IPv6's extension headers.
    pub protocol: u8,
    pub source: IpAddr,
    pub destination: IpAddr,
    /// Only of a protocol with ports, and not of a fragment but the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_port: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_port: Option<u16>,
    /// Only of ICMP and ICMPv6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp_type: Option<u8>,
    /// Octets of the whole packet, its IP header among them.
    pub length: u32,
}
