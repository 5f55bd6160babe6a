//! What most verbs begin with: the files read, parsed and resolved, and the facts that the policy asks for.

use super::lists::Lists;
use super::{Inputs, facts, load};
use crate::compile::{Features, compile};
use crate::diag::{Findings, SourceMap};
use crate::model::{AddressBook, Policy, management, resolve};
use crate::policy::{Layer, Settings, parse};
use crate::ruleset::Ruleset;

/// A policy that has no error.
pub struct Context {
    pub sources: SourceMap,
    pub files: Vec<(crate::diag::FileId, Layer)>,
    pub settings: Settings,
    pub policy: Policy,
    pub book: AddressBook,
    pub lists: Lists,
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
        let (policy, more) = resolve(&parsed);
        findings.extend(more);
        let facts = facts::gather(&settings, &policy, inputs);
        findings.extend(facts.findings);
        if findings.has_errors() {
            return Err(Unsound { sources, findings });
        }
        Ok(Self { sources, files, settings, policy, book: facts.book, lists: facts.lists, findings })
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
