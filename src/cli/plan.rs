//! `plan`: what `apply` would change.

use super::{Inputs, report};
use crate::apply;
use crate::netlink::NfTables;
use crate::plan::diff;
use crate::ruleset::Ruleset;
use crate::site::{Context, committed, lookups};
use crate::store::Store;
use clap::Args;
use serde_json::json;
use std::process::ExitCode;

#[derive(Args)]
#[command(
    about = "Print what `apply` would change: rules, sets and elements",
    after_help = "Example:\n  portgrave plan\n\nExit status: 0 nothing would change, 2 something would, 1 errors."
)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    inputs: Inputs,
}

const CHANGES: u8 = 2;

pub(super) fn run(args: &PlanArgs) -> ExitCode {
    let as_json = args.inputs.json;
    let mut context = match Context::load(&args.inputs.site()) {
        Ok(context) => context,
        Err(unsound) => {
            report::unsound(&unsound, as_json, report::nothing_done());
            return ExitCode::FAILURE;
        }
    };
    let store = Store::read_only(&context.settings.state_dir);
    if args.inputs.names.is_none() {
        lookups::recall(&mut context, &store);
    }
    let in_force = store.in_force().map_err(|error| error.to_string());
    let committed = in_force.map(|generation| committed::of(&generation?, &store, &context.lists.parsed));
    let held = match committed.and_then(|committed| held(&committed)) {
        Ok(held) => held,
        Err(message) => {
            report::failure(as_json, &message);
            return ExitCode::FAILURE;
        }
    };
    let want = match context.compile(&crate::compile::Features::ALL) {
        Ok(want) => want,
        Err(more) => {
            report::unsound(&context.unsound(more), as_json, report::nothing_done());
            return ExitCode::FAILURE;
        }
    };
    let plan = diff(&want, held.as_ref());
    let summary = plan.summary(held.as_ref());
    let changes = plan.describe(held.as_ref());
    if as_json {
        let fields = json!({ "changes": changes, "summary": summary });
        report::object(fields, &context.findings, &context.sources);
    } else {
        report::findings(&context.findings, &context.sources);
        for change in &changes {
            report::say(&format!("{change}\n"));
        }
        report::say(&format!("{}\n", summary));
    }
    if summary.changes() { ExitCode::from(CHANGES) } else { ExitCode::SUCCESS }
}

/// What the kernel holds, with the texts of what was committed last.
fn held(committed: &Option<Ruleset>) -> Result<Option<Ruleset>, String> {
    let mut kernel = NfTables;
    let mut held = apply::held(&mut kernel, &mut || committed.clone()).map_err(|error| error.to_string())?;
    if let (Some(held), Some(committed)) = (&mut held, committed) {
        held.take_texts(committed);
    }
    Ok(held)
}
