//! Names, addresses, settings and a daemon with them that many tests use.

use super::{Act, Daemon, Lab, Site};
use std::net::{IpAddr, SocketAddr};

pub const NAME: &str = "a.example.net";

/// A day: what a server gives is not asked for again while a test runs.
pub const LONG: u32 = 86_400;

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

/// A daemon of a site whose server gives `both_act(1, ..)` for [`NAME`]: it holds the addresses, and asks from behind its walls.
pub fn learnt<'a>(lab: &'a Lab, site: &'a Site) -> Daemon<'a> {
    let daemon = site.run(&lab.gw);
    let [v4, v6] = both(1);
    daemon.holds(&[&v4, &v6]);
    daemon.line(&["names are asked by a process"], 1);
    daemon
}
