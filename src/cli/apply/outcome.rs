//! What `apply` says of its outcome.

use super::Run;
use crate::cli::report;
use crate::plan::Summary;
use crate::site::{Failure, Unsound};
use serde_json::json;

#[derive(Default)]
pub(super) struct Outcome {
    pub(super) changed: bool,
    pub(super) generation: Option<u64>,
    pub(super) summary: Summary,
    /// Lives that the look-ups renewed.
    pub(super) renewed: usize,
    pub(super) adopted: usize,
    /// What an administrator should know of the look-ups.
    pub(super) names: Vec<String>,
    pub(super) lapse: Option<String>,
}

impl Run<'_> {
    pub(super) fn report(&self) {
        let Outcome { changed, generation, summary, renewed, adopted, names, lapse } = &self.outcome;
        let outcome = if *changed { "applied" } else { "unchanged" };
        if self.args.inputs.json {
            let fields = json!({
                "changed": changed, "generation": generation, "outcome": outcome, "summary": summary,
                "lifetimes_renewed": renewed, "adopted": adopted, "names": names, "lapse": lapse,
            });
            report::object(fields, &self.context.findings, &self.context.sources);
            return;
        }
        report::findings(&self.context.findings, &self.context.sources);
        for warning in names {
            report::complain(&format!("warning: {warning}\n"));
        }
        let number = generation.unwrap_or_default();
        let rules = self.context.policy.rules.len();
        report::say(&format!(
            "{outcome}: generation {number}, {rules} rules in force and verified; {summary}\n"
        ));
        if *renewed > 0 {
            report::say(&format!("lifetimes renewed: {renewed}\n"));
        }
        if *adopted > 0 {
            report::say(&format!("open connections adopted: {adopted}\n"));
        }
        if let Some(lapse) = lapse {
            report::say(&format!("{lapse}\n"));
        }
    }

    pub(super) fn report_failure(&mut self, failure: Failure) {
        let as_json = self.args.inputs.json;
        let (outcome, findings) = failure.told();
        let mut all = std::mem::take(&mut self.context.findings);
        all.extend(findings);
        let unsound = Unsound { sources: std::mem::take(&mut self.context.sources), findings: all };
        report::unsound(
            &unsound,
            as_json,
            json!({ "changed": (outcome != "unknown").then_some(false), "outcome": outcome, "generation": self.outcome.generation }),
        );
    }
}
