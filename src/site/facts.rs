//! What the policy asks of this machine: servers, interfaces, local users, list files.

use super::load::unreadable;
use crate::diag::{Finding, Findings, codes};
use crate::host::files::{self, Owner};
use crate::host::{interfaces, resolvconf, root, users};
use crate::model::{AddressBook, LearnedAddress, Policy, Rule, Source, User, advice, all_servers, never};
use crate::policy::{Settings, parse_names};
use crate::store;
use crate::types::{AddrRange, HostName};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

const DNS: u16 = 53;

/// Addresses that `--names` gives have no TTL: they live for a day.
const GIVEN_LIFE: Duration = Duration::from_secs(86_400);

/// What the machine is, and what is wrong with that.
#[derive(Default)]
pub struct Machine {
    pub book: AddressBook,
    /// Those of the settings, else those of resolv.conf; without those of domains.
    pub servers: Vec<SocketAddr>,
    pub findings: Findings,
}

/// resolv.conf and passwd are those under `root`; the interfaces are this machine's.
pub fn machine(settings: &Settings, policy: &Policy, root: &Path) -> Machine {
    let mut machine = Machine::default();
    machine.servers(settings, policy, root);
    machine.book.dns_servers = all_servers(&settings.resolver.domains, &machine.servers);
    machine.interfaces();
    machine.users(policy, root);
    machine
}

impl Machine {
    /// The servers to ask, and what a group with `resolv-conf` holds: those of the settings, else those of resolv.conf.
    fn servers(&mut self, settings: &Settings, policy: &Policy, root: &Path) {
        let in_use = policy.rules.iter().find(|rule| rule.peers.has(&Source::ResolvConf));
        if let Some(servers) = &settings.resolver.servers {
            self.servers.clone_from(servers);
            self.book.resolv_conf = servers.iter().map(SocketAddr::ip).collect();
            if let (true, Some(rule)) = (self.book.resolv_conf.iter().all(IpAddr::is_loopback), in_use) {
                self.no_server("`servers` under [resolver] names only this machine itself", rule);
            }
            return;
        }
        match resolvconf::servers(root) {
            Ok(servers) => {
                if let (true, Some(rule)) = (servers.behind.is_empty(), in_use) {
                    self.no_server("resolv.conf names no server", rule);
                }
                if let (true, Some(rule)) = (servers.only_loopback(), in_use) {
                    let message =
                        "resolv.conf names only this machine itself: a group of its servers would hold none";
                    let help =
                        "name the servers behind it in portgrave.toml: [resolver] servers = [\"192.0.2.53\"]";
                    self.findings.push(Finding::error(codes::NO_SERVERS, message).at(rule.origin).help(help));
                }
                let asked = |address: &IpAddr| SocketAddr::new(*address, DNS);
                self.servers = servers.asked.iter().map(asked).collect();
                self.book.resolv_conf = servers.behind;
            }
            Err(error) => {
                let message =
                    format!("{}: {error}", root::shown(root, Path::new(resolvconf::PATH)).display());
                let help = "make it readable, or name the servers in portgrave.toml: [resolver] servers = [\"192.0.2.53\"]";
                self.findings.push(Finding::error(codes::NO_SERVERS, message).help(help));
            }
        }
    }

    /// What `resolv-conf = true` stands for is nobody outside.
    fn no_server(&mut self, why: &str, rule: &Rule) {
        let message = format!("{why}, so the group of the DNS servers lets this machine reach none outside");
        let help =
            "write the servers that are asked in the end into the group: `dns-servers = [\"192.0.2.53\"]`";
        self.findings.push(Finding::warning(codes::NO_SERVER_OUTSIDE, message).at(rule.origin).help(help));
    }

    fn interfaces(&mut self) {
        match interfaces::read() {
            Ok(found) => {
                let prefix = |(address, length): &(IpAddr, u32)| AddrRange::prefix(*address, *length).ok();
                self.book.own = found.own;
                self.book.connected = found.connected.iter().filter_map(prefix).collect();
                self.book.broadcast = found.broadcast;
            }
            Err(error) => {
                let message = format!("this machine's interfaces cannot be read: {error}");
                let help = "run `ip address` as the same user: it must list them";
                self.findings.push(Finding::error(codes::NO_INTERFACES, message).help(help));
            }
        }
    }

    /// A user that is not there now matches nobody.
    fn users(&mut self, policy: &Policy, root: &Path) {
        for rule in &policy.rules {
            for user in &rule.users {
                let User::Name(name) = user else { continue };
                let uid = users::uid(root, name);
                match &uid {
                    Ok(Some(_)) => {}
                    Ok(None) => {
                        let message = format!("there is no local user \"{name}\" now: it matches nobody");
                        let help = "it is looked up again with each change and when passwd changes; see `getent passwd`, or write its number";
                        let finding = Finding::warning(codes::NO_USER, message).at(rule.origin);
                        self.findings.push(finding.help(help));
                    }
                    Err(error) => {
                        let message = format!("the local user \"{name}\" cannot be looked up: {error}");
                        let help = "write its number in place of its name, or see that passwd can be read";
                        self.findings.push(
                            Finding::error(codes::USERS_UNREADABLE, message).at(rule.origin).help(help),
                        );
                    }
                }
                self.book.users.insert(name.clone(), uid.unwrap_or(None));
            }
        }
    }
}

/// The addresses of names that a file gives. Those that no name may have are left out of the ruleset, as those of any answer of DNS
/// are.
pub fn give_names(book: &mut AddressBook, policy: &Policy, path: &Path, findings: &mut Findings) {
    match given_names(path) {
        Ok(names) => {
            let learned = |address: IpAddr| LearnedAddress { address, remaining: GIVEN_LIFE };
            book.names = names
                .into_iter()
                .map(|(name, list)| (name, list.into_iter().map(learned).collect()))
                .collect();
            refused_addresses(book, policy).into_iter().for_each(|warning| findings.push(warning));
        }
        Err(more) => findings.extend(more),
    }
}

fn given_names(path: &Path) -> Result<BTreeMap<HostName, Vec<IpAddr>>, Findings> {
    let text = files::read(path, Owner::Caller).map_err(|error| Findings::from(unreadable(path, &error)))?;
    let mut sources = crate::diag::SourceMap::default();
    let file = sources.add(path.display().to_string(), text);
    parse_names(&sources, file).map_err(|findings| {
        let mut moved = Findings::default();
        for finding in findings.iter() {
            let place = finding.place.map(|span| sources.place(span)).unwrap_or_default();
            let message = format!("{place}: {}", finding.message);
            moved.push(crate::diag::Finding { message, place: None, ..finding.clone() });
        }
        moved
    })
}

fn refused_addresses(book: &AddressBook, policy: &Policy) -> Vec<Finding> {
    let given = book.names.iter().filter(|(name, _)| policy.names.contains_key(*name));
    let addresses = given.flat_map(|(name, list)| list.iter().map(move |learned| (name, learned.address)));
    let opened = |name: &HostName| policy.names.get(name).map_or(&[][..], |names| &names.allow_net);
    let left_out = addresses.filter(|(name, address)| !never::may_stand(book, opened(name), *address));
    left_out.map(|(name, address)| left_out_of(book, name, address)).collect()
}

fn left_out_of(book: &AddressBook, name: &HostName, address: IpAddr) -> Finding {
    let message = format!("{name}: {address} is left out: private, special, or this machine's own network");
    let itself = || "write the address itself into the rule or the group, where it is meant".to_owned();
    let help = advice(book, name, &[address]).unwrap_or_else(itself);
    Finding::warning(codes::ADDRESS_LEFT_OUT, message).help(help)
}

/// The facts as the store keeps them.
pub fn stored(book: &AddressBook) -> store::Facts {
    store::Facts {
        resolv_conf: book.resolv_conf.clone(),
        dns_servers: book.dns_servers.clone(),
        own: book.own.clone(),
        connected: book.connected.iter().map(ToString::to_string).collect(),
        broadcast: book.broadcast.clone(),
        agent_uid: book.agent_uid,
        users: book.users.clone(),
    }
}

pub fn book_of(facts: &store::Facts) -> Option<AddressBook> {
    Some(AddressBook {
        resolv_conf: facts.resolv_conf.clone(),
        dns_servers: facts.dns_servers.clone(),
        own: facts.own.clone(),
        connected: facts.connected.iter().map(|text| text.parse().ok()).collect::<Option<_>>()?,
        broadcast: facts.broadcast.clone(),
        agent_uid: facts.agent_uid,
        users: facts.users.clone(),
        ..AddressBook::default()
    })
}
