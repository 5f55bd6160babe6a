//! Services resolved: the ports and the helper behind a name.

use super::catalogue;
use super::merge::Merged;
use crate::diag::{Finding, Findings, nearest};
use crate::policy::{PortTerm, ServiceEntry, Spanned};
use crate::types::{PortMatch, Protocol};

/// What a rule's `service` or `ports` stands for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Opens {
    /// Sorted and without duplicates; if one is `any`, it stands alone.
    pub(super) ports: Vec<PortMatch>,
    pub(super) helper: Option<String>,
}

impl Opens {
    /// Whether a packet of that protocol may match.
    pub(super) fn has(&self, protocol: Protocol) -> bool {
        self.ports.iter().any(|entry| match entry {
            PortMatch::Ports(of, _) => *of == protocol,
            PortMatch::Any => true,
            PortMatch::Icmp(..) | PortMatch::Protocol(_) => false,
        })
    }
}

/// Findings about the policy's own services.
pub(super) fn check(merged: &Merged, findings: &mut Findings) {
    for service in merged.services.values().map(|entry| entry.value) {
        check_helper(service, findings);
    }
}

pub(super) fn resolve(merged: &Merged, ports: &PortTerm, findings: &mut Findings) -> Opens {
    match ports {
        PortTerm::Ports(ports) => {
            Opens { ports: sorted(ports.iter().map(|entry| entry.value)), helper: None }
        }
        PortTerm::Services(names) => {
            let all: Vec<Opens> = names.iter().map(|name| named(merged, name, findings)).collect();
            check_mixture(names, &all, findings);
            let ports = sorted(all.iter().flat_map(|opens| opens.ports.iter().copied()));
            Opens { ports, helper: all.into_iter().find_map(|opens| opens.helper) }
        }
    }
}

/// A helper follows all connections of a rule, so it would read those of the other services too.
fn check_mixture(names: &[Spanned<String>], all: &[Opens], findings: &mut Findings) {
    let other = all.iter().position(|opens| opens.helper.is_none() && !opens.ports.is_empty());
    let helped = names.iter().zip(all).find_map(|(name, opens)| Some((name, opens.helper.as_ref()?)));
    if let (Some((name, helper)), Some(other)) = (helped, other.and_then(|index| names.get(index))) {
        let message = format!("the helper \"{helper}\" of \"{}\" beside \"{}\"", name.value, other.value);
        findings.push(
            Finding::error("PG308", message)
                .at(name.span)
                .also(other.span, "the helper would follow this one's connections too")
                .help("give the service with the helper a rule of its own"),
        );
    }
}

fn named(merged: &Merged, name: &Spanned<String>, findings: &mut Findings) -> Opens {
    if let Some(entry) = merged.services.get(name.value.as_str()) {
        let service = entry.value;
        let passive = service.passive.iter().map(|range| PortMatch::Ports(Protocol::Tcp, range.value));
        let ports = service.ports.iter().map(|entry| entry.value).chain(passive);
        let helper = service.helper.as_ref().map(|helper| helper.value.clone());
        return Opens { ports: sorted(ports), helper };
    }
    if let Some(service) = catalogue::find(&name.value) {
        let helper = service.helper.map(String::from);
        return Opens { ports: sorted(service.ports().into_iter()), helper };
    }
    let known = merged.services.keys().copied().chain(catalogue::names().map(|name| -> &str { name }));
    let help = match nearest(&name.value, known) {
        Some(meant) => format!("did you mean \"{meant}\"?"),
        None => "define it in [services], or write `ports = [\"tcp/25\"]` in its place".into(),
    };
    findings.push(
        Finding::error("PG305", format!("unknown service \"{}\"", name.value)).at(name.span).help(help),
    );
    Opens::default()
}

fn sorted(ports: impl Iterator<Item = PortMatch>) -> Vec<PortMatch> {
    let mut ports: Vec<PortMatch> = ports.collect();
    if ports.contains(&PortMatch::Any) {
        return vec![PortMatch::Any];
    }
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn check_helper(service: &ServiceEntry, findings: &mut Findings) {
    let Some(helper) = &service.helper else { return };
    let tcp = |entry: &Spanned<PortMatch>| matches!(entry.value, PortMatch::Ports(Protocol::Tcp, _));
    for entry in service.ports.iter().filter(|entry| !tcp(entry)) {
        findings.push(
            Finding::error("PG308", format!("the helper \"ftp\" cannot read \"{}\"", entry.value))
                .at(entry.span)
                .help("FTP is controlled over TCP: give the other ports a service of their own"),
        );
    }
    if let Some(passive) = &service.passive {
        findings.push(
            Finding::error("PG308", "`helper` and `passive` in one service")
                .at(passive.span)
                .also(helper.span, "the helper opens each data connection as it is announced")
                .help(
                    "for FTP in the clear leave `passive` out; for FTPS, which the helper cannot read, leave \
                     `helper` out; a server that speaks both takes two rules",
                ),
        );
    }
}
