//! What most verbs begin with: the files read, parsed and resolved, and the facts that the policy asks for.

use super::lists::Lists;
use super::{Inputs, facts, load, report};
use crate::compile::{Features, compile};
use crate::diag::{Findings, SourceMap};
use crate::model::{AddressBook, Policy, management, resolve};
use crate::policy::{Layer, Settings, parse};
use crate::ruleset::Ruleset;
use serde_json::json;

/// A policy that has no error.
pub(super) struct Context {
    pub(super) sources: SourceMap,
    pub(super) files: Vec<(crate::diag::FileId, Layer)>,
    pub(super) settings: Settings,
    pub(super) policy: Policy,
    pub(super) book: AddressBook,
    pub(super) lists: Lists,
    /// Warnings only.
    pub(super) findings: Findings,
}

/// A policy with errors, and the texts that they point into.
pub(super) struct Unsound {
    pub(super) sources: SourceMap,
    pub(super) findings: Findings,
}

impl Unsound {
    /// Prints the findings; the verb's own fields say that nothing was done.
    pub(super) fn report(&self, as_json: bool, fields: serde_json::Value) {
        if as_json {
            report::object(fields, &self.findings, &self.sources);
        } else {
            report::findings(&self.findings, &self.sources);
        }
    }
}

impl Context {
    pub(super) fn load(inputs: &Inputs) -> Result<Self, Unsound> {
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
        policy.log = settings.log;
        findings.extend(more);
        let facts = facts::gather(&settings, &policy, inputs);
        findings.extend(facts.findings);
        if findings.has_errors() {
            return Err(Unsound { sources, findings });
        }
        Ok(Self { sources, files, settings, policy, book: facts.book, lists: facts.lists, findings })
    }

    pub(super) fn compile(&self, features: &Features) -> Result<Ruleset, Findings> {
        compile(&self.policy, &self.book, features)
    }

    /// Prints the warnings of a policy that is sound.
    pub(super) fn warn(&self, as_json: bool) {
        if !as_json {
            report::findings(&self.findings, &self.sources);
        }
    }

    pub(super) fn unsound(self, more: Findings) -> Unsound {
        let mut findings = self.findings;
        findings.extend(more);
        Unsound { sources: self.sources, findings }
    }
}

/// The fields of a verb that did nothing.
pub(super) fn nothing_done() -> serde_json::Value {
    json!({})
}
