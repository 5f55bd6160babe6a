//! This machine's own addresses, the networks that it is connected to, and their IPv4 broadcast addresses.

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// All sorted, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces {
    /// Of every interface, the loopback's too.
    pub own: Vec<IpAddr>,
    /// Network and prefix length.
    pub connected: Vec<(IpAddr, u32)>,
    /// Of interfaces that broadcast; without 255.255.255.255.
    pub broadcast: Vec<IpAddr>,
}

/// Reads the interfaces of this network namespace, also those that are down.
pub fn read() -> io::Result<Interfaces> {
    let (mut own, mut connected, mut broadcast) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for entry in getifaddrs()? {
        let Some(address) = entry.address.as_ref().and_then(ip) else { continue };
        own.insert(address);
        if let Some(length) = entry.netmask.as_ref().and_then(ip).and_then(prefix_length) {
            connected.insert((network(address, length), length));
            broadcast.extend(broadcasts(&entry, address, length));
        }
    }
    let sorted = |set: BTreeSet<IpAddr>| set.into_iter().collect();
    Ok(Interfaces {
        own: sorted(own),
        connected: connected.into_iter().collect(),
        broadcast: sorted(broadcast),
    })
}

/// The interface that has an address, by address; of several the first.
pub fn by_address() -> io::Result<BTreeMap<IpAddr, String>> {
    let mut names = BTreeMap::new();
    for entry in getifaddrs()? {
        if let Some(address) = entry.address.as_ref().and_then(ip) {
            names.entry(address).or_insert(entry.interface_name);
        }
    }
    Ok(names)
}

/// The address that the interface is configured with, and the last one of its network: the kernel takes the latter for a
/// broadcast address even where none is configured, but for networks of one or two addresses.
fn broadcasts(entry: &InterfaceAddress, address: IpAddr, length: u32) -> Vec<IpAddr> {
    let IpAddr::V4(address) = address else { return Vec::new() };
    if !entry.flags.contains(InterfaceFlags::IFF_BROADCAST) {
        return Vec::new();
    }
    let configured = entry.broadcast.as_ref().and_then(ip);
    let last = (length < 31).then(|| IpAddr::from(Ipv4Addr::from(u32::from(address) | (u32::MAX >> length))));
    let meant = |found: &IpAddr| {
        !found.is_unspecified()
            && *found != IpAddr::from(address)
            && *found != IpAddr::from(Ipv4Addr::BROADCAST)
    };
    configured.into_iter().chain(last).filter(meant).collect()
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| v4.ip().into());
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| v6.ip().into()))
}

fn prefix_length(mask: IpAddr) -> Option<u32> {
    let (ones, zeros, bits) = match mask {
        IpAddr::V4(mask) => (u32::from(mask).leading_ones(), u32::from(mask).trailing_zeros(), 32),
        IpAddr::V6(mask) => (u128::from(mask).leading_ones(), u128::from(mask).trailing_zeros(), 128),
    };
    (ones + zeros == bits).then_some(ones)
}

fn network(address: IpAddr, length: u32) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            Ipv4Addr::from(u32::from(v4) & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            Ipv6Addr::from(u128::from(v6) & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_prefix_lengths_are_those_of_the_mask() {
        let length = |mask: &str| prefix_length(mask.parse().unwrap());
        assert_eq!(
            [length("255.255.240.0"), length("255.255.255.255"), length("0.0.0.0")],
            [20, 32, 0].map(Some)
        );
        assert_eq!(length("255.0.255.0"), None);
        assert_eq!([length("ffff:ffff::"), length("::")], [32, 0].map(Some));
        let network = |address: &str, length| network(address.parse().unwrap(), length).to_string();
        assert_eq!(network("192.0.2.77", 26), "192.0.2.64");
        assert_eq!([network("192.0.2.77", 0), network("192.0.2.77", 32)], ["0.0.0.0", "192.0.2.77"]);
        assert_eq!([network("2001:db8::1", 0), network("2001:db8::1", 64)], ["::", "2001:db8::"]);
    }

    const NAMESPACE: &str = "PORTGRAVE_TEST_INTERFACES";

    /// Runs itself again in a network namespace of its own, so that what there is to read is known.
    #[test]
    fn addresses_networks_and_broadcasts_of_a_namespace_are_read() {
        if std::env::var_os(NAMESPACE).is_some() {
            return check_namespace(&read().unwrap());
        }
        let script = "ip link set lo up && ip link add d0 type veth peer name d1 && \
                      ip addr add 192.0.2.5/26 dev d0 && ip addr add 198.51.100.9/31 dev d0 && \
                      ip addr add 203.0.113.5/24 brd 203.0.113.99 dev d1 && ip addr add 203.0.113.77/32 dev d1 && \
                      ip -6 addr add 2001:db8:5::1/64 dev d1 nodad && exec \"$@\"";
        let this = "host::interfaces::tests::addresses_networks_and_broadcasts_of_a_namespace_are_read";
        let test = std::env::current_exe().unwrap();
        let mut command = std::process::Command::new("unshare");
        command.args(["-rn", "sh", "-c", script, "sh"]).arg(test).args(["--exact", this, "--nocapture"]);
        let output = command.env(NAMESPACE, "1").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}{output:?}");
    }

    fn check_namespace(read: &Interfaces) {
        let texts = |list: &[IpAddr]| list.iter().map(IpAddr::to_string).collect::<Vec<_>>();
        assert_eq!(
            texts(&read.own),
            ["127.0.0.1", "192.0.2.5", "198.51.100.9", "203.0.113.5", "203.0.113.77", "::1", "2001:db8:5::1"]
        );
        assert_eq!(texts(&read.broadcast), ["192.0.2.63", "203.0.113.99", "203.0.113.255"]);
        let connected = read.connected.iter().map(|(network, length)| format!("{network}/{length}"));
        assert_eq!(
            connected.collect::<Vec<_>>(),
            [
                "127.0.0.0/8",
                "192.0.2.0/26",
                "198.51.100.8/31",
                "203.0.113.0/24",
                "203.0.113.77/32",
                "::1/128",
                "2001:db8:5::/64"
            ]
        );
    }
}
