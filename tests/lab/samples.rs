//! Names, addresses and settings that many tests use.

use super::Act;
use std::net::{IpAddr, SocketAddr};

pub const NAME: &str = "a.example.net";

pub fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Public addresses for a name of a test, one of each family.
pub fn both(index: usize) -> [String; 2] {
    [format!("93.184.10.{index}"), format!("2606:2800:10::{index}")]
}

pub fn both_act(index: usize, ttl: u32) -> Act {
    let [v4, v6] = both(index);
    Act::addresses(&[&v4, &v6], ttl)
}

/// The table `[resolver]` with these servers.
pub fn resolver(servers: &[SocketAddr], more: &str) -> String {
    let servers: Vec<String> = servers.iter().map(SocketAddr::to_string).collect();
    format!("[resolver]\nservers = {servers:?}\n{more}\n")
}
