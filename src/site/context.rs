//! What most verbs begin with: the files read, parsed and resolved, and the facts that the policy asks for.

use super::lists::{self, GivenLists, Lists, Parsed};
use super::{Inputs, Loaded, facts, load};
use crate::compile::{Features, compile};
use crate::diag::{FileId, Findings, SourceMap};
use crate::model::{
    AddressBook, Policy, default_servers, management, never, open_networks, resolve, servers_of,
};
use crate::policy::{Layer, Settings, parse};
use crate::ruleset::Ruleset;
use crate::store::{Generation, Store};
use crate::types::HostName;
use std::net::SocketAddr;
use std::path::Path;

/// A policy that has no error.
pub struct Context {
    pub sources: SourceMap,
    pub files: Vec<(FileId, Layer)>,
    pub settings: Settings,
    pub settings_files: Vec<FileId>,
    pub policy: Policy,
    pub book: AddressBook,
    /// Those of the settings, else those of resolv.conf; without those of domains.
    pub servers: Vec<SocketAddr>,
    pub lists: Lists,
    /// Warnings only.
    pub findings: Findings,
}

/// A policy with errors, and the texts that they point into.
#[derive(Debug, Default)]
pub struct Unsound {
    pub sources: SourceMap,
    pub findings: Findings,
}

impl Context {
    pub fn load(inputs: &Inputs) -> Result<Self, Unsound> {
        Self::of(load::load(inputs), inputs, None)
    }

    /// Of files that were read already, and of list files that were handed over in place of those under the root.
    pub fn of(loaded: Loaded, inputs: &Inputs, lists: Option<&GivenLists>) -> Result<Self, Unsound> {
        let mut context = Self::resolved(loaded)?;
        context.learn_machine(&inputs.root);
        let store = Store::read_only(&context.settings.state_dir);
        context.lists = lists::read(
            &context.policy,
            (&inputs.root, lists),
            store,
            &mut context.book,
            &mut context.findings,
        );
        if let Some(path) = &inputs.names {
            facts::give_names(&mut context.book, &context.policy, path, &mut context.findings);
        }
        context.sound()
    }

    /// Of a generation that the store keeps, and of the machine as it was then. `paths` are settings whose paths hold now; `known` has
    /// lists that are in memory already.
    pub fn stored(generation: &Generation, store: &Store, paths: &Settings, known: &Parsed) -> Option<Self> {
        let loaded = load::stored(generation, paths)?;
        let mut context = Self::resolved(loaded).ok()?;
        let facts = facts::book_of(&generation.facts)?;
        let resolver = &context.settings.resolver;
        let found = || default_servers(&resolver.domains, &facts.dns_servers);
        context.servers = resolver.servers.clone().unwrap_or_else(found);
        context.lists = lists::stored(generation, store, known)?;
        context.book = AddressBook { lists: context.lists.by_path(), ..facts };
        context.sound().ok()
    }

    /// Asks the machine again for servers, interfaces and users; names and lists stay. Findings are those of the machine.
    pub fn learn_machine(&mut self, root: &Path) {
        let machine = facts::machine(&self.settings, &self.policy, root);
        let (names, lists) = (std::mem::take(&mut self.book.names), std::mem::take(&mut self.book.lists));
        self.book = AddressBook { names, lists, ..machine.book };
        self.servers = machine.servers;
        self.findings.extend(machine.findings);
    }

    /// Whom a name is asked at.
    pub fn servers_of(&self, name: &HostName) -> &[SocketAddr] {
        servers_of(&self.settings.resolver.domains, &self.servers, name)
    }

    /// What names may not stand for.
    pub fn filter(&self) -> never::Filter {
        never::Filter::new(&self.policy, &self.book)
    }

    pub fn compile(&self, features: &Features) -> Result<Ruleset, Findings> {
        compile(&self.policy, &self.book, features)
    }

    pub fn unsound(self, more: Findings) -> Unsound {
        let mut findings = self.findings;
        findings.extend(more);
        Unsound { sources: self.sources, findings }
    }

    fn resolved(loaded: Loaded) -> Result<Self, Unsound> {
        let Loaded { mut sources, settings, settings_files, mut files, mut findings } = loaded;
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
        policy.log = settings.log;
        let (book, lists, servers) = (AddressBook::default(), Lists::default(), Vec::new());
        Ok(Self { sources, files, settings, settings_files, policy, book, servers, lists, findings })
    }

    fn sound(self) -> Result<Self, Unsound> {
        if self.findings.has_errors() {
            return Err(Unsound { sources: self.sources, findings: self.findings });
        }
        Ok(self)
    }
}
