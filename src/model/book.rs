//! What the pure rooms may not look up, as a value.

use crate::types::{AddrRange, AddressList, HostName};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The limited broadcast address (RFC 919).
pub const BROADCAST: IpAddr = IpAddr::V4(Ipv4Addr::BROADCAST);

/// An address that a name has, and how long it may still be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LearnedAddress {
    pub address: IpAddr,
    /// From now, grace included.
    pub remaining: Duration,
}

/// An address that a name has as it outlives the process: a life and ages, counted from the moment of reading or writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    pub address: IpAddr,
    pub remaining: Duration,
    /// `None`: not known; then failing servers do not prolong its life.
    pub seen: Option<Seen>,
    /// The server whose answer had it last.
    pub server: Option<IpAddr>,
}

/// How long ago an answer had an address, the first time and the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub first: Duration,
    pub last: Duration,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct AddressBook {
    /// Looked-up names.
    pub names: BTreeMap<HostName, Vec<LearnedAddress>>,
    /// Contents of list files, by path.
    pub lists: BTreeMap<PathBuf, AddressList>,
    /// What a group with `resolv-conf = true` holds.
    pub resolv_conf: Vec<IpAddr>,
    /// The servers that the agent asks.
    pub dns_servers: Vec<SocketAddr>,
    /// This machine's own addresses, its connected networks and their IPv4 broadcast addresses.
    pub own: Vec<IpAddr>,
    pub connected: Vec<AddrRange>,
    pub broadcast: Vec<IpAddr>,
    /// The user that the agent asks DNS as.
    pub agent_uid: u32,
    /// Local users that rules name; `None`: there is no such user now.
    pub users: BTreeMap<String, Option<u32>>,
}
