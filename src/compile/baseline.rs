//! The rules under `baseline.*`: what the agent does by itself, before the site's rules.

use super::base::loopback_rule;
use super::chains::never_set;
use super::key::{self, KeyBytes};
use super::rule_chain::has_helper;
use super::{Build, Side};
use crate::model::{BaselineRule, never};
use crate::ruleset::{Field, Limit, Part, RuleBuilder, Set, SetData, Verdict};
use crate::types::{AddrRange, Direction, Family, PortRange, Protocol};
use std::collections::BTreeMap;
use std::time::Duration;

/// Connections that were open before the first apply: how long the policy has to see each of them once.
const ADOPTION: Duration = Duration::from_secs(600);
const ADOPTED_SIZE: u32 = 16_384;

/// How long after its last control or data connection a peer may open passive data connections. Servers end idle sessions
/// much sooner.
const FTP_PEER_TIMEOUT: Duration = Duration::from_secs(3600);
const FTP_PEERS: u32 = 4096;

/// Echo requests a second, and how many at once, in each direction and family.
const ECHO_RATE: Limit = Limit::per_second(50, 100);

const ICMP_ERRORS: [u8; 3] = [3, 11, 12]; // destination unreachable, time exceeded, parameter problem (RFC 792)
const ICMPV6_ERRORS: [u8; 4] = [1, 2, 3, 4]; // these, and packet too big (RFC 4443)
const ICMP_ECHO_REQUEST: u8 = 8;
const ICMPV6_ECHO_REQUEST: u8 = 128;
const NEIGHBOUR_DISCOVERY: [u8; 2] = [135, 136]; // solicitation, advertisement (RFC 4861)
const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const MLD: [u8; 4] = [130, 131, 132, 143]; // query, report, done, version 2 report (RFC 2710, RFC 3810)
const PROTO_IGMP: u8 = 2;

/// Sets of connections by (peer, its port, own address, own port): what `apply` fills before the first apply.
pub const ADOPTED_SETS: [&str; 2] = ["adopted4", "adopted6"];

impl Build<'_> {
    pub(super) fn baseline_chains(&mut self, direction: Direction) {
        self.established_chain(direction);
        if self.has(BaselineRule::Loopback) {
            let counter = self.counter(direction, "baseline.loopback", None);
            let chain = format!("{}.loopback", direction.as_str());
            self.append(&chain, RuleBuilder::new().counter(&counter).verdict(Verdict::Accept));
        }
        self.type_sets();
        self.related_chain(direction);
        self.invalid_chain(direction);
        self.untracked_chain(direction);
        if self.has(BaselineRule::TcpNewIsSyn) {
            self.not_syn_chain(direction);
        }
        self.container_chain(direction);
    }

    fn established_chain(&mut self, direction: Direction) {
        let counter = self.counter(direction, "baseline.established", None);
        let chain = format!("{}.established", direction.as_str());
        self.append(&chain, RuleBuilder::new().counter(&counter).verdict(Verdict::Accept));
    }

    fn type_sets(&mut self) {
        self.add_set("icmp4.errors", types(Field::IcmpType, &ICMP_ERRORS));
        self.add_set("icmp6.errors", types(Field::Icmpv6Type, &ICMPV6_ERRORS));
        self.add_set("icmp6.neighbour-discovery", types(Field::Icmpv6Type, &NEIGHBOUR_DISCOVERY));
        if self.has(BaselineRule::MulticastMembership) {
            self.add_set("icmp6.mld", types(Field::Icmpv6Type, &MLD));
        }
    }

    /// What cites a tracked flow: ICMP errors, the FTP helper's data and this machine's own resets, nothing else.
    fn related_chain(&mut self, direction: Direction) {
        let chain = format!("{}.related", direction.as_str());
        self.loopback_line(direction, &chain);
        if self.has(BaselineRule::Related) {
            let counter = self.counter(direction, "baseline.related", None);
            self.icmp_error_lines(&chain, &counter);
            self.ftp_data_lines(direction, &chain, &counter);
            self.reset_line(direction, &chain, &counter);
        }
        let dropped = self.counter(direction, "baseline.related.dropped", None);
        self.append(&chain, RuleBuilder::new().counter(&dropped).verdict(Verdict::Drop));
    }

    fn icmp_error_lines(&mut self, chain: &str, counter: &str) {
        for (family, set) in [(Family::V4, "icmp4.errors"), (Family::V6, "icmp6.errors")] {
            let rule = RuleBuilder::new().lookup(&[Part::IcmpType(family)], set, false);
            self.append(chain, rule.counter(counter).verdict(Verdict::Accept));
        }
    }

    /// The kernel takes the reset by which this machine rejects a packet as related to it.
    fn reset_line(&mut self, direction: Direction, chain: &str, counter: &str) {
        if direction == Direction::Out && self.rejects(Direction::In) {
            let reset = RuleBuilder::new().tcp_reset();
            self.append(chain, reset.counter(counter).verdict(Verdict::Accept));
        }
    }

    /// Active data come from port 20 of the server, against the control connection; passive data go with it, so from a peer
    /// that has opened one this way.
    fn ftp_data_lines(&mut self, direction: Direction, chain: &str, counter: &str) {
        let data = PortRange::new(1024, u16::MAX).expect("in order");
        let helped = |direction, family| {
            let side = Side { direction, family };
            self.rules_of(direction).any(|(_, rule)| has_helper(rule) && self.applies(side, rule))
        };
        let with_control = Family::BOTH.map(|family| helped(direction, family));
        if Family::BOTH.into_iter().any(|family| helped(opposite(direction), family)) {
            let active =
                RuleBuilder::new().ct_helper("ftp").source_port(Protocol::Tcp, PortRange::single(20));
            let active = active.destination_port(Protocol::Tcp, data);
            self.append(chain, active.counter(counter).verdict(Verdict::Accept));
        }
        for (family, with_control) in Family::BOTH.into_iter().zip(with_control) {
            if with_control {
                let side = Side { direction, family };
                let passive = RuleBuilder::new().ct_helper("ftp");
                let passive = passive.lookup(&[Part::Peer(direction, family)], &ftp_peers(side), false);
                let passive = passive
                    .destination_port(Protocol::Tcp, data)
                    .update(&[Part::Peer(direction, family)], &ftp_peers(side));
                self.append(chain, passive.counter(counter).verdict(Verdict::Accept));
            }
        }
    }

    fn invalid_chain(&mut self, direction: Direction) {
        let chain = format!("{}.invalid", direction.as_str());
        self.ruleset.chains.entry(chain.clone()).or_default();
        self.loopback_line(direction, &chain);
        if self.has(BaselineRule::IcmpErrors) {
            let counter = self.counter(direction, "baseline.icmp-errors", None);
            self.icmp_error_lines(&chain, &counter);
        }
        if self.has(BaselineRule::Invalid) {
            let counter = self.counter(direction, "baseline.invalid", None);
            self.append(&chain, RuleBuilder::new().counter(&counter).verdict(Verdict::Drop));
        }
    }

    fn loopback_line(&mut self, direction: Direction, chain: &str) {
        if self.has(BaselineRule::Loopback) {
            self.append(chain, loopback_rule(direction));
        }
    }

    /// Neighbour discovery, router advertisements and MLD are never tracked. Whatever else is untracked goes on as new.
    fn untracked_chain(&mut self, direction: Direction) {
        let chain = format!("{}.untracked", direction.as_str());
        self.loopback_line(direction, &chain);
        let types = |set: &str| RuleBuilder::new().lookup(&[Part::IcmpType(Family::V6)], set, false);
        let counter = self.counter(direction, "baseline.neighbour-discovery", None);
        let dropped = self.counter(direction, "baseline.neighbour-discovery.dropped", None);
        let discovery = || types("icmp6.neighbour-discovery");
        self.append(&chain, discovery().hop_limit(255).counter(&counter).verdict(Verdict::Accept));
        self.append(&chain, discovery().counter(&dropped).verdict(Verdict::Drop));
        if self.has(BaselineRule::RouterAdvertisement) {
            self.router_lines(direction, &chain);
        }
        if self.has(BaselineRule::MulticastMembership) {
            let counter = self.counter(direction, "baseline.multicast-membership", None);
            self.append(&chain, types("icmp6.mld").hop_limit(1).counter(&counter).verdict(Verdict::Accept));
        }
    }

    fn router_lines(&mut self, direction: Direction, chain: &str) {
        let kind = if direction == Direction::In { ROUTER_ADVERTISEMENT } else { ROUTER_SOLICITATION };
        let message = || RuleBuilder::new().icmp_type(Family::V6, kind);
        let counter = self.counter(direction, "baseline.router-advertisement", None);
        let good = message().hop_limit(255);
        let good = match direction {
            Direction::In => good.address_in(Part::Peer(direction, Family::V6), link_local(), false),
            Direction::Out => good,
        };
        self.append(chain, good.counter(&counter).verdict(Verdict::Accept));
        let dropped = self.counter(direction, "baseline.router-advertisement.dropped", None);
        self.append(chain, message().counter(&dropped).verdict(Verdict::Drop));
    }

    fn not_syn_chain(&mut self, direction: Direction) {
        let chain = format!("{}.not-syn", direction.as_str());
        let adopted = self.counter(direction, "baseline.tcp-new-is-syn.adopted", None);
        for (family, name) in Family::BOTH.into_iter().zip(ADOPTED_SETS) {
            self.add_set(name, adopted_set(family));
            let key = [
                Part::Peer(direction, family),
                Part::PeerTcpPort(direction),
                Part::Local(direction, family),
                Part::LocalTcpPort(direction),
            ];
            let rule = RuleBuilder::new().lookup(&key, name, false);
            self.append(&chain, rule.counter(&adopted).verdict(Verdict::Accept));
        }
        let counter = self.counter(direction, "baseline.tcp-new-is-syn", None);
        self.append(&chain, RuleBuilder::new().counter(&counter).verdict(Verdict::Drop));
    }

    pub(super) fn syn_line(&mut self, side: Side, protocol: Protocol, chain: &str) {
        if protocol == Protocol::Tcp && self.has(BaselineRule::TcpNewIsSyn) {
            let target = format!("{}.not-syn", side.direction.as_str());
            self.append(chain, RuleBuilder::new().not_bare_syn().verdict(Verdict::Goto(target)));
        }
    }

    /// The ports of a side that a baseline rule is about.
    pub(super) fn baseline_ports(&self, side: Side, protocol: Protocol) -> Vec<PortRange> {
        let mut ports: Vec<PortRange> = self.container_ports(side, protocol).collect();
        if protocol == Protocol::Udp && self.has(BaselineRule::Dhcp) {
            ports.push(PortRange::single(dhcp_ports(side).1));
        }
        if side.direction == Direction::Out && self.has(BaselineRule::Dns) {
            let servers =
                self.book.dns_servers.iter().filter(|server| Family::of(server.ip()) == side.family);
            ports.extend(servers.map(|server| PortRange::single(server.port())));
        }
        ports
    }

    /// The baseline rules among the special ports of a side: the agent's own DNS, DHCP, and both for containers.
    pub(super) fn baseline_port_lines(&mut self, side: Side, protocol: Protocol, chain: &str) {
        if side.direction == Direction::Out && self.has(BaselineRule::Dns) {
            self.dns_line(side, chain);
        }
        if protocol == Protocol::Udp && self.has(BaselineRule::Dhcp) {
            let (from, to) = dhcp_ports(side);
            let counter = self.counter(side.direction, "baseline.dhcp", None);
            let rule = RuleBuilder::new().family(side.family);
            let rule = match (side.family, side.direction) {
                (Family::V6, Direction::In) => {
                    rule.address_in(Part::Peer(side.direction, side.family), link_local(), false)
                }
                (Family::V6, Direction::Out) | (Family::V4, _) => rule,
            };
            let rule = rule.source_port(Protocol::Udp, PortRange::single(from));
            let rule = rule.destination_port(Protocol::Udp, PortRange::single(to));
            self.append(chain, rule.counter(&counter).verdict(Verdict::Accept));
        }
        self.container_lines(side, protocol, chain);
    }

    fn dns_line(&mut self, side: Side, chain: &str) {
        let mut elements = BTreeMap::new();
        for server in self.book.dns_servers.iter().filter(|server| Family::of(server.ip()) == side.family) {
            let (address, _) = AddrRange::single(server.ip()).bits();
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                let bytes = KeyBytes::default().address(side.family, address);
                elements.insert(bytes.octet(protocol.number()).port(server.port()).key(), key::nothing());
            }
        }
        if elements.is_empty() {
            return;
        }
        let name = format!("{}.dns-servers", side.prefix());
        let fields = vec![key::address_field(side.family), Field::InetProto, Field::InetService];
        self.add_set(&name, key::hash(fields, SetData::None, elements));
        let counter = self.counter(side.direction, "baseline.dns", None);
        let key = [Part::Peer(side.direction, side.family), Part::L4Proto, Part::DestinationPort];
        let rule = RuleBuilder::new().socket_uid(self.book.agent_uid).lookup(&key, &name, false);
        self.append(chain, rule.counter(&counter).verdict(Verdict::Accept));
    }

    /// Baseline rules of protocols without ports.
    pub(super) fn baseline_other_lines(&mut self, side: Side, chain: &str) {
        if self.has(BaselineRule::Echo) {
            let kind = if side.family == Family::V4 { ICMP_ECHO_REQUEST } else { ICMPV6_ECHO_REQUEST };
            let counter = self.counter(side.direction, "baseline.echo", None);
            let rule = RuleBuilder::new().icmp_type(side.family, kind).limit(ECHO_RATE);
            self.append(chain, rule.counter(&counter).verdict(Verdict::Accept));
        }
        if side.family == Family::V4 && self.has(BaselineRule::MulticastMembership) {
            let counter = self.counter(side.direction, "baseline.multicast-membership", None);
            let rule = RuleBuilder::new().family(Family::V4).protocol(PROTO_IGMP);
            self.append(chain, rule.counter(&counter).verdict(Verdict::Accept));
        }
    }

    pub(super) fn never_set(&mut self, family: Family) {
        let named = self.policy.rules.iter().any(|rule| rule.peers.names().next().is_some());
        if named {
            let ranges = never::ranges(self.book, family);
            let ranges: Vec<(u128, u128)> = ranges.iter().map(|range| range.bits()).collect();
            let set = super::emit::address_set(family, &ranges);
            self.add_set(never_set(family), set);
        }
    }

    /// The peer opens an FTP control connection: data connections by the kernel's helper.
    pub(super) fn helped(&mut self, side: Side, rule: RuleBuilder) -> RuleBuilder {
        let peers = ftp_peers(side);
        let helper = self.helper_object(side.family);
        self.add_set(&peers, ftp_peers_set(side.family));
        rule.update(&[Part::Peer(side.direction, side.family)], &peers).set_ct_helper(&helper)
    }

    fn helper_object(&mut self, family: Family) -> String {
        use crate::ruleset::{Object, ObjectDef};
        let (name, l3proto) = match family {
            Family::V4 => ("helper4.ftp", 2),
            Family::V6 => ("helper6.ftp", 10),
        };
        let kind = ObjectDef::CtHelper { helper: "ftp".into(), l3proto, l4proto: Protocol::Tcp.number() };
        self.ruleset.objects.entry(name.into()).or_insert(Object { kind, origin: None });
        name.into()
    }
}

/// The client's DHCP ports, from and to, of packets of a direction.
fn dhcp_ports(side: Side) -> (u16, u16) {
    match (side.family, side.direction) {
        (Family::V4, Direction::In) => (67, 68),
        (Family::V4, Direction::Out) => (68, 67),
        (Family::V6, Direction::In) => (547, 546),
        (Family::V6, Direction::Out) => (546, 547),
    }
}

fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::In => Direction::Out,
        Direction::Out => Direction::In,
    }
}

fn link_local() -> AddrRange {
    "fe80::/10".parse().expect("a prefix")
}

fn ftp_peers(side: Side) -> String {
    format!("{}.ftp-peers", side.prefix())
}

fn ftp_peers_set(family: Family) -> Set {
    let fields = vec![key::address_field(family)];
    Set { dynamic: true, ..key::expiring(fields, SetData::None, FTP_PEERS, FTP_PEER_TIMEOUT) }
}

fn adopted_set(family: Family) -> Set {
    let address = key::address_field(family);
    let fields = vec![address, Field::InetService, address, Field::InetService];
    Set { dynamic: true, ..key::expiring(fields, SetData::None, ADOPTED_SIZE, ADOPTION) }
}

fn types(field: Field, values: &[u8]) -> Set {
    let elements = values.iter().map(|value| (KeyBytes::default().octet(*value).key(), key::nothing()));
    key::hash(vec![field], SetData::None, elements.collect())
}
