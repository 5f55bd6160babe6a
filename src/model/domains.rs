//! What `[[resolver.domain]]` means for a name: whom to ask, and which private networks it may stand for.

use super::{AddressBook, Policy, never};
use crate::policy::Domain;
use crate::types::{AddrRange, HostName};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// The servers of the longest suffix that has some, else the default ones.
pub fn servers_of<'a>(domains: &'a [Domain], default: &'a [SocketAddr], name: &HostName) -> &'a [SocketAddr] {
    longest(domains, name, |domain| domain.servers.as_deref()).unwrap_or(default)
}

/// Every server that some name may be asked at, the default ones first, each once.
pub fn all_servers(domains: &[Domain], default: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut known = BTreeSet::new();
    let of_domains = domains.iter().filter_map(|domain| domain.servers.as_ref()).flatten();
    default.iter().chain(of_domains).copied().filter(|server| known.insert(*server)).collect()
}

/// The default servers among all, where these are known no more: those that no domain has. Where that is none, a domain
/// has them too.
pub fn default_servers(domains: &[Domain], all: &[SocketAddr]) -> Vec<SocketAddr> {
    let of_domain = |server: &SocketAddr| {
        domains.iter().any(|domain| domain.servers.iter().flatten().any(|of| of == server))
    };
    let others: Vec<SocketAddr> = all.iter().copied().filter(|server| !of_domain(server)).collect();
    if others.is_empty() { all.to_vec() } else { others }
}

/// Opens for each name of a policy what the longest suffix opens that says something of it, beside what its groups open.
pub fn open_networks(policy: &mut Policy, domains: &[Domain]) {
    for (name, of_name) in &mut policy.names {
        let opened = longest(domains, name, |domain| domain.allow_net.as_deref()).unwrap_or_default();
        of_name.allow_net.extend(opened);
        of_name.allow_net.sort_unstable();
        of_name.allow_net.dedup();
    }
}

fn longest<'a, T: ?Sized>(
    domains: &'a [Domain],
    name: &HostName,
    said: impl Fn(&'a Domain) -> Option<&'a T>,
) -> Option<&'a T> {
    let covering = domains.iter().filter(|domain| domain.suffix.covers(name));
    let said = covering.filter_map(|domain| Some((domain.suffix.as_str().len(), said(domain)?)));
    said.max_by_key(|(length, _)| *length).map(|(_, said)| said)
}

/// Private and shared space (RFC 1918, RFC 6598, RFC 4193), each as much as a site would open at most.
const BLOCKS: [&str; 5] = ["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8"];

/// The lines to write where a name is meant to have these addresses, which were refused; `None` where nothing opens them.
pub fn advice(book: &AddressBook, name: &HostName, refused: &[IpAddr]) -> Option<String> {
    let networks: BTreeSet<AddrRange> =
        refused.iter().filter_map(|address| opening(book, *address)).collect();
    if networks.is_empty() {
        return None;
    }
    let networks: Vec<String> = networks.iter().map(|network| format!("\"{network}\"")).collect();
    let allow_net = format!("allow-net = [{}]", networks.join(", "));
    Some(format!(
        "if that is meant, write into portgrave.toml, for this name or a domain that it is in,\n\
         \x20   [[resolver.domain]]\n\
         \x20   suffix = \"{name}\"\n\
         \x20   {allow_net}\n\
         or into the group that holds the name: {allow_net}"
    ))
}

/// The smallest of the well-known blocks, or of the networks that this machine is connected to, that opens an address.
fn opening(book: &AddressBook, address: IpAddr) -> Option<AddrRange> {
    let blocks = BLOCKS.iter().filter_map(|block| block.parse::<AddrRange>().ok());
    let opens = |network: &AddrRange| never::is_opened(book, std::slice::from_ref(network), address);
    let block = blocks.into_iter().find(opens);
    block.or_else(|| book.connected.iter().copied().filter(opens).min_by_key(AddrRange::span))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NamePolicy;

    fn domain(suffix: &str, servers: Option<&[&str]>, allow_net: Option<&[&str]>) -> Domain {
        Domain {
            suffix: suffix.parse().unwrap(),
            servers: servers.map(|list| list.iter().map(|text| text.parse().unwrap()).collect()),
            allow_net: allow_net.map(|list| list.iter().map(|text| text.parse().unwrap()).collect()),
        }
    }

    fn name(text: &str) -> HostName {
        text.parse().unwrap()
    }

    fn domains() -> Vec<Domain> {
        vec![
            domain("example", Some(&["10.0.0.53:53"]), Some(&["10.0.0.0/8"])),
            domain("lab.int.example", None, Some(&[])),
            domain("int.example", Some(&["10.20.0.53:5353", "10.20.0.54:53"]), None),
            domain("db.int.example", None, Some(&["192.168.0.0/16", "fd00::/8"])),
        ]
    }

    #[test]
    fn a_name_is_asked_at_the_servers_of_the_longest_suffix_that_has_some() {
        let (domains, default) = (domains(), ["192.0.2.53:53".parse().unwrap()]);
        let servers = |text: &str| {
            let servers = servers_of(&domains, &default, &name(text));
            servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(servers("repo.example.net"), "192.0.2.53:53");
        assert_eq!(servers("www.example"), "10.0.0.53:53");
        assert_eq!(servers("www.print.example"), "10.0.0.53:53");
        for below in ["int.example", "www.int.example", "db.int.example", "a.lab.int.example"] {
            assert_eq!(servers(below), "10.20.0.53:5353 10.20.0.54:53", "{below}");
        }
        assert_eq!(servers_of(&[], &default, &name("www.example")), &default);
    }

    #[test]
    fn every_server_that_may_be_asked_is_counted_once() {
        let default = ["192.0.2.53:53", "10.0.0.53:53"].map(|text| text.parse().unwrap());
        let all: Vec<String> = all_servers(&domains(), &default).iter().map(ToString::to_string).collect();
        assert_eq!(all, ["192.0.2.53:53", "10.0.0.53:53", "10.20.0.53:5353", "10.20.0.54:53"]);
    }

    #[test]
    fn the_default_servers_are_found_among_all_without_those_of_domains() {
        let default = ["192.0.2.53:53".parse().unwrap()];
        assert_eq!(default_servers(&domains(), &all_servers(&domains(), &default)), default);
        let shared = ["10.0.0.53:53".parse().unwrap()];
        assert_eq!(default_servers(&domains()[..1], &shared), shared);
        assert_eq!(default_servers(&[], &default), default);
    }

    #[test]
    fn a_domain_opens_networks_beside_those_of_groups_and_a_longer_suffix_takes_its_place() {
        let mut policy = Policy::default();
        for text in
            ["repo.example.net", "www.example", "www.int.example", "a.db.int.example", "lab.int.example"]
        {
            policy.names.insert(name(text), NamePolicy::default());
        }
        let of_group = vec!["100.64.0.0/10".parse().unwrap(), "192.168.0.0/16".parse().unwrap()];
        policy
            .names
            .insert(name("db.int.example"), NamePolicy { allow_net: of_group, ..NamePolicy::default() });
        open_networks(&mut policy, &domains());
        let shown = policy.to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(
            lines,
            [
                "name a.db.int.example may stand for 192.168.0.0/16 fd00::/8",
                "name db.int.example may stand for 100.64.0.0/10 192.168.0.0/16 fd00::/8",
                "name www.example may stand for 10.0.0.0/8",
                "name www.int.example may stand for 10.0.0.0/8",
            ]
        );
    }

    fn book() -> AddressBook {
        AddressBook {
            own: vec!["10.1.1.1".parse().unwrap()],
            connected: vec!["9.9.0.0/16".parse().unwrap(), "9.9.9.0/24".parse().unwrap()],
            broadcast: vec!["9.9.9.255".parse().unwrap()],
            ..AddressBook::default()
        }
    }

    fn networks(refused: &[&str]) -> Option<String> {
        let refused: Vec<IpAddr> = refused.iter().map(|text| text.parse().unwrap()).collect();
        let advice = advice(&book(), &name("db.int.example"), &refused)?;
        let line = advice.lines().find_map(|line| line.strip_prefix("    allow-net = ["));
        line.and_then(|line| line.strip_suffix(']')).map(str::to_owned)
    }

    #[test]
    fn the_advice_is_the_smallest_block_of_each_address_that_can_be_opened() {
        for (refused, wanted) in [
            (&["10.20.0.5", "10.200.0.5"][..], "\"10.0.0.0/8\""),
            (
                &["172.31.0.1", "192.168.7.7", "100.127.0.1"],
                "\"100.64.0.0/10\", \"172.16.0.0/12\", \"192.168.0.0/16\"",
            ),
            (&["fd12::7", "10.0.0.1"], "\"10.0.0.0/8\", \"fd00::/8\""),
            (&["9.9.9.7"], "\"9.9.9.0/24\""),
            (&["127.0.0.1", "10.0.0.1"], "\"10.0.0.0/8\""),
        ] {
            assert_eq!(networks(refused).as_deref(), Some(wanted), "{refused:?}");
        }
    }

    #[test]
    fn there_is_no_advice_for_what_nothing_opens() {
        for address in [
            "127.0.0.1",
            "169.254.169.254",
            "10.1.1.1",
            "9.9.9.255",
            "192.0.2.1",
            "fc00::1",
            "fe80::1",
            "::1",
        ] {
            assert_eq!(networks(&[address]), None, "{address}");
        }
        assert_eq!(networks(&[]), None);
    }

    #[test]
    fn the_lines_of_the_advice_are_settings_that_open_the_address() {
        let address: IpAddr = "10.20.0.5".parse().unwrap();
        let advice = advice(&book(), &name("db.int.example"), &[address]).unwrap();
        let lines: Vec<&str> = advice.lines().filter_map(|line| line.strip_prefix("    ")).collect();
        let mut sources = crate::diag::SourceMap::default();
        let file = sources.add("portgrave.toml", lines.join("\n"));
        let settings = crate::policy::parse_settings(&sources, Some(file)).unwrap();
        let mut policy = Policy::default();
        policy.names.insert(name("db.int.example"), NamePolicy::default());
        open_networks(&mut policy, &settings.resolver.domains);
        assert!(never::may_stand(&book(), &policy.names[&name("db.int.example")].allow_net, address));
    }
}
