//! The probes that prove a row: the allowed peer passes; another peer, port, protocol and direction do not.

use super::ftp::{FtpCase, FtpMode, ftp_case};
use super::policy::Fill;
use super::rows_table::{Part, Peers, Port, Row, VENDOR_ADDRESSES, Way};
use super::world::{LAN_BROADCAST, address, group_address, group_members, lan_address, name_address};
use super::{Family, Flow, Host, Proto};
use std::net::{IpAddr, Ipv4Addr};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    Allowed,
    OtherPeer,
    OtherPort,
    OtherProtocol,
    WrongDirection,
    /// A data connection of FTP that the helper must not let through.
    OtherData,
}

impl Class {
    pub const ALL: [Self; 6] = [
        Self::Allowed,
        Self::OtherPeer,
        Self::OtherPort,
        Self::OtherProtocol,
        Self::WrongDirection,
        Self::OtherData,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::OtherPeer => "other peer",
            Self::OtherPort => "other port",
            Self::OtherProtocol => "other protocol",
            Self::WrongDirection => "wrong direction",
            Self::OtherData => "other data",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Probe {
    Flow(Flow),
    Ftp(FtpCase),
}

#[derive(Clone, Debug)]
pub struct Check {
    pub class: Class,
    pub probe: Probe,
    /// Whether it should pass when its row alone is on.
    pub passes: bool,
}

type Far = (Host, IpAddr);

/// The checks of a row alone, and which kinds of check do not exist for it, with the reason.
pub fn checks(row: &Row) -> (Vec<Check>, Vec<&'static str>) {
    let mut checks: Vec<Check> = row.parts.iter().flat_map(|part| checks_of_part(row, part)).collect();
    if row.helper {
        checks.extend(ftp_checks());
    }
    if row.id == "R39" {
        checks.extend(incoming_broadcasts());
    }
    checks.sort_by(|a, b| (a.class, &a.probe).cmp(&(b.class, &b.probe)));
    checks.dedup_by(|a, b| a.probe == b.probe);
    let mut missing = Vec::new();
    if row.parts.iter().any(|part| part.way == Way::Both) {
        missing.push("no wrong direction: In/Out");
    }
    if row.parts.iter().any(|part| part.peers == Peers::Any) {
        missing.push("no other peer: any");
    }
    if row.parts.iter().any(|part| matches!(part.peers, Peers::Addresses(_))) {
        missing.push("no IPv6: IPv4 addresses");
    }
    if row
        .parts
        .iter()
        .any(|part| part.ports.iter().any(|port| port.has(Proto::Tcp, 53)) && part.ports.len() > 1)
    {
        missing.push("no other protocol: UDP and TCP");
    }
    (checks, missing)
}

/// Whether a flow is allowed by any of these parts.
pub fn allowed_by<'a>(
    rows: &'a [Row],
    on: impl Fn(&Part) -> bool,
    fill: Fill,
    flow: &Flow,
) -> Option<&'a str> {
    let far = if flow.is_in() { flow.from.1 } else { flow.to.1 };
    let way = |part: &Part| match part.way {
        Way::Both => true,
        Way::In => flow.is_in(),
        Way::Out => !flow.is_in(),
    };
    let holds = |part: &Part| {
        on(part)
            && way(part)
            && part.ports.iter().any(|port| port.has(flow.proto, flow.port))
            && is_peer(part.peers, fill, far)
    };
    rows.iter().find(|row| row.parts.iter().any(holds)).map(|row| row.id)
}

fn is_peer(peers: Peers, fill: Fill, far: IpAddr) -> bool {
    let family = Family::of(far);
    match peers {
        Peers::Any => true,
        Peers::Group("admins" | "ksn-servers") if fill == Fill::Shipped => true,
        Peers::Group(group) => group_members(group).contains(&far),
        Peers::Names(names) => names.iter().any(|name| name_address(name, family) == far),
        Peers::Addresses(all) => all.iter().any(|address| IpAddr::V4(*address) == far),
        Peers::Broadcast => broadcasts().contains(&far),
    }
}

fn broadcasts() -> [IpAddr; 2] {
    [LAN_BROADCAST, IpAddr::V4(Ipv4Addr::BROADCAST)]
}

fn checks_of_part(row: &Row, part: &Part) -> Vec<Check> {
    let ways: &[Way] = match part.way {
        Way::Both => &[Way::In, Way::Out],
        Way::In => &[Way::In],
        Way::Out => &[Way::Out],
    };
    let mut checks = Vec::new();
    for family in Family::BOTH {
        let fars = allowed_fars(part.peers, family);
        let Some(first) = fars.first().copied() else { continue };
        for way in ways {
            let mut add = |class, far, proto, port| {
                let probe = Probe::Flow(flow(*way, far, proto, port));
                checks.push(Check { class, probe, passes: class == Class::Allowed });
            };
            for port in part.ports {
                for far in &fars {
                    add(Class::Allowed, *far, port.proto, port.first);
                    add(Class::Allowed, *far, port.proto, port.last);
                }
                if let Some(stranger) = stranger(part.peers, family) {
                    add(Class::OtherPeer, stranger, port.proto, port.first);
                }
                for near in [port.first - 1, port.last + 1] {
                    if !row_has(row, port.proto, near) {
                        add(Class::OtherPort, first, port.proto, near);
                    }
                }
                // There is no broadcast but of datagrams.
                if part.peers != Peers::Broadcast && !row_has(row, port.proto.other(), port.first) {
                    add(Class::OtherProtocol, first, port.proto.other(), port.first);
                }
            }
        }
        let reverse = match part.way {
            Way::Both => continue,
            Way::In => Way::Out,
            Way::Out => Way::In,
        };
        if part.peers == Peers::Broadcast {
            continue;
        }
        for port in part.ports {
            let probe = Probe::Flow(flow(reverse, first, port.proto, port.first));
            checks.push(Check { class: Class::WrongDirection, probe, passes: false });
        }
    }
    checks
}

fn row_has(row: &Row, proto: Proto, port: u16) -> bool {
    row.parts.iter().flat_map(|part| part.ports).any(|range: &Port| range.has(proto, port))
}

fn flow(way: Way, far: Far, proto: Proto, port: u16) -> Flow {
    let on_lan = broadcasts().contains(&far.1)
        || far.1 == lan_address(Host::Peer)
        || far.1 == lan_address(Host::Other);
    let near = if on_lan { lan_address(Host::Gw) } else { address(Host::Gw, Family::of(far.1)) };
    let near = (Host::Gw, near);
    let broadcast = broadcasts().contains(&far.1);
    match way {
        Way::In => Flow { from: far, to: near, proto, port, broadcast },
        Way::Out | Way::Both => Flow { from: near, to: far, proto, port, broadcast },
    }
}

/// Far ends that a row lets through.
fn allowed_fars(peers: Peers, family: Family) -> Vec<Far> {
    let at_peer = |address: IpAddr| (Host::Peer, address);
    match peers {
        Peers::Any => vec![at_peer(address(Host::Peer, family)), (Host::Other, address(Host::Other, family))],
        Peers::Group(group) => vec![at_peer(group_address(group, family))],
        Peers::Names(names) => names.iter().map(|name| at_peer(name_address(name, family))).collect(),
        Peers::Addresses(_) if family == Family::V6 => Vec::new(),
        Peers::Addresses(_) => VENDOR_ADDRESSES.iter().map(|v4| at_peer(IpAddr::V4(*v4))).collect(),
        Peers::Broadcast if family == Family::V6 => Vec::new(),
        Peers::Broadcast => broadcasts().into_iter().map(at_peer).collect(),
    }
}

/// A far end that the row must not let through, on the same network as those that it does.
fn stranger(peers: Peers, family: Family) -> Option<Far> {
    match peers {
        Peers::Any | Peers::Broadcast => None,
        Peers::Group("peer-gateways") if family == Family::V4 => {
            Some((Host::Other, lan_address(Host::Other)))
        }
        Peers::Group(_) | Peers::Names(_) | Peers::Addresses(_) => {
            Some((Host::Other, address(Host::Other, family)))
        }
    }
}

/// Broadcasts that come in pass from a peer gateway, and from nobody else.
fn incoming_broadcasts() -> Vec<Check> {
    let from = |host: Host, to: IpAddr, port: u16, class: Class| {
        let flow = Flow {
            from: (host, lan_address(host)),
            to: (Host::Gw, to),
            proto: Proto::Udp,
            port,
            broadcast: true,
        };
        Check { class, probe: Probe::Flow(flow), passes: class == Class::Allowed }
    };
    let mut checks = Vec::new();
    for to in broadcasts() {
        checks.push(from(Host::Peer, to, 19200, Class::Allowed));
        checks.push(from(Host::Other, to, 19200, Class::OtherPeer));
        checks.push(from(Host::Peer, to, 19201, Class::OtherPort));
    }
    checks
}

/// The data connections of FTP through the helper, and those that it must not let through.
fn ftp_checks() -> Vec<Check> {
    let mut checks = Vec::new();
    let mut port = 41000;
    for family in Family::BOTH {
        for gateway_is_client in [true, false] {
            let mut add = |class, mode: fn(u16) -> FtpMode, announced| {
                port += 1;
                let case = FtpCase { announced, ..ftp_case(gateway_is_client, family, mode(port)) };
                checks.push(Check { class, probe: Probe::Ftp(case), passes: class == Class::Allowed });
            };
            add(Class::Allowed, |to| FtpMode::Active { from: Some(20), to }, true);
            add(Class::Allowed, |to| FtpMode::Passive { to }, true);
            add(Class::OtherData, |to| FtpMode::Active { from: None, to }, true);
            add(Class::OtherData, |to| FtpMode::Active { from: Some(20), to: to - 40200 }, true);
            add(Class::OtherData, |to| FtpMode::Active { from: Some(20), to }, false);
            add(Class::OtherData, |to| FtpMode::Passive { to }, false);
        }
    }
    checks
}
