//! How a change ended, in the words that every way to it has: `apply`, `reload`, and the daemon's own.

use super::{Changed, Failure, Unsound};
use crate::apply::ApplyError;
use crate::diag::{Finding, Findings, Severity, SourceMap, render_json, render_one};
use crate::host::clock;
use crate::model::management;
use crate::netlink::KernelError;
use crate::store::Generation;
use serde_json::{Value, json};

/// The end of a change.
#[derive(Clone, Debug)]
pub struct Report {
    /// applied, unchanged, refused, rolled-back or unknown.
    pub outcome: &'static str,
    /// `None`: nobody knows.
    pub changed: Option<bool>,
    /// The one in force, where the change got that far.
    pub generation: Option<u64>,
    /// The findings, each as text for people, with its places.
    pub told: Vec<(Severity, String)>,
    /// The object that `--json` prints.
    pub json: Value,
}

impl Report {
    pub fn of_change(changed: &Changed, findings: &Findings, sources: &SourceMap) -> Self {
        let outcome = if changed.changed { "applied" } else { "unchanged" };
        let fields = json!({ "summary": changed.summary, "adopted": changed.adopted });
        let generation = Some(changed.generation.number);
        Self::new(outcome, Some(changed.changed), generation, fields, (findings, sources))
    }

    pub fn of_unsound(unsound: &Unsound, generation: Option<u64>) -> Self {
        let told = (&unsound.findings, &unsound.sources);
        Self::new("refused", Some(false), generation, json!({}), told)
    }

    pub fn of_failure(
        failure: Failure,
        mut findings: Findings,
        sources: &SourceMap,
        generation: Option<u64>,
    ) -> Self {
        let (outcome, more) = failure.told();
        findings.extend(more);
        let changed = (outcome != "unknown").then_some(false);
        Self::new(outcome, changed, generation, json!({}), (&findings, sources))
    }

    /// All findings, an empty line between them.
    pub fn text(&self) -> String {
        let texts: Vec<&str> = self.told.iter().map(|(_, text)| text.as_str()).collect();
        texts.join("\n")
    }

    /// Whether what was asked for is in force.
    pub fn is_good(&self) -> bool {
        matches!(self.outcome, "applied" | "unchanged")
    }

    fn new(
        outcome: &'static str,
        changed: Option<bool>,
        generation: Option<u64>,
        mut json: Value,
        (findings, sources): (&Findings, &SourceMap),
    ) -> Self {
        json["outcome"] = json!(outcome);
        json["changed"] = json!(changed);
        json["generation"] = json!(generation);
        json["findings"] = render_json(findings, sources);
        let told = findings.iter().map(|finding| (finding.severity, render_one(finding, sources))).collect();
        Self { outcome, changed, generation, told, json }
    }
}

/// The fields of a generation.
pub fn facts_of(generation: &Generation) -> Value {
    let files: Vec<&String> = generation.inputs.iter().map(|input| &input.name).collect();
    json!({
        "generation": generation.number,
        "applied": clock::utc(generation.applied),
        "fingerprint": generation.fingerprint,
        "management": is_management(generation),
        "files": files,
    })
}

/// Whether the policy is the one for a machine without rules.
pub fn is_management(generation: &Generation) -> bool {
    generation.inputs.iter().any(|input| input.name == management::NAME)
}

const UNDONE: &str = "what was in force before is in force again";
const UNKNOWN: &str = "see what is in force: `nft list table inet portgrave`, then apply again";

impl Failure {
    /// The outcome in a word, and what is said of it.
    pub fn told(self) -> (&'static str, Findings) {
        match self {
            Self::Findings(findings) => ("refused", findings),
            Self::Store(error) => {
                let help =
                    "nothing was changed; make room, or see who owns the state directory and may write it";
                ("refused", Finding::error("PG604", error.to_string()).help(help).into())
            }
            Self::Apply(error) => told_of_kernel(&error),
            Self::NotKept { error, undone } => {
                let help = if undone { UNDONE } else { UNKNOWN };
                let finding = Finding::error("PG604", error.to_string()).help(help);
                (if undone { "rolled-back" } else { "unknown" }, finding.into())
            }
        }
    }
}

fn told_of_kernel(error: &ApplyError) -> (&'static str, Findings) {
    let (outcome, help) = match error {
        ApplyError::Mismatch { undone: true, .. } => ("rolled-back", UNDONE),
        ApplyError::Mismatch { undone: false, .. } => ("unknown", UNKNOWN),
        ApplyError::Kernel(KernelError::Unknown) => {
            ("unknown", "apply again: it changes only what is missing")
        }
        ApplyError::Refused { .. } | ApplyError::Kernel(_) => ("refused", "nothing was changed"),
    };
    (outcome, Finding::error("PG605", error.to_string()).help(help).into())
}
