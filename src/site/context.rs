//! What most verbs begin with: the files read, parsed and resolved, and the facts that the policy asks for.

use super::lists::Lists;
use super::{Inputs, facts, load};
use crate::compile::{Features, compile};
use crate::diag::{Findings, SourceMap};
use crate::model::{AddressBook, Policy, management, never, open_networks, resolve, servers_of};
use crate::policy::{Layer, Settings, parse};
use crate::ruleset::Ruleset;
use crate::types::HostName;
use std::net::{IpAddr, SocketAddr};

/// A policy that has no error.
pub struct Context {
    pub sources: SourceMap,
    pub files: Vec<(crate::diag::FileId, Layer)>,
    pub settings: Settings,
    pub policy: Policy,
    pub book: AddressBook,
    pub lists: Lists,
    /// Whom names are asked at that no domain says otherwise of; [`AddressBook::dns_servers`] has those of domains too.
    pub servers: Vec<SocketAddr>,
    /// Warnings only.
    pub findings: Findings,
}

/// A policy with errors, and the texts that they point into.
pub struct Unsound {
    pub sources: SourceMap,
    pub findings: Findings,
}

impl Context {
    pub fn load(inputs: &Inputs) -> Result<Self, Unsound> {
        let loaded = load::load(inputs);
        let (mut sources, settings, mut files, mut findings) =
            (loaded.sources, loaded.settings, loaded.files, loaded.findings);
        let mut parsed = match parse(&sources, &files) {
            Ok(parsed) if !findings.has_errors() => parsed,
            // What a file says that was not read would be missing in what is resolved.
            Ok(_) => return Err(Unsound { sources, findings }),
            Err(more) => {
                findings.extend(more);
                return Err(Unsound { sources, findings });
            }
        };
        findings.extend(management::fall_back(&mut sources, &mut files, &mut parsed));
        let (mut policy, more) = resolve(&parsed);
        findings.extend(more);
        open_networks(&mut policy, &settings.resolver.domains);
        let facts = facts::gather(&settings, &policy, inputs);
        findings.extend(facts.findings);
        if findings.has_errors() {
            return Err(Unsound { sources, findings });
        }
        let (book, lists, servers) = (facts.book, facts.lists, facts.servers);
        Ok(Self { sources, files, settings, policy, book, lists, servers, findings })
    }

    /// Whom a name is asked at.
    pub fn servers_of(&self, name: &HostName) -> &[SocketAddr] {
        servers_of(&self.settings.resolver.domains, &self.servers, name)
    }

    /// Why a name may not stand for an address, if so.
    pub fn never(&self, name: &HostName, address: IpAddr) -> Option<&'static str> {
        let opened = self.policy.names.get(name).map_or(&[][..], |of_name| &of_name.allow_net);
        let may = never::may_stand(&self.book, opened, address);
        (!may).then_some("private, special, or this machine's own network")
    }

    pub fn compile(&self, features: &Features) -> Result<Ruleset, Findings> {
        compile(&self.policy, &self.book, features)
    }

    pub fn unsound(self, more: Findings) -> Unsound {
        let mut findings = self.findings;
        findings.extend(more);
        Unsound { sources: self.sources, findings }
    }
}
