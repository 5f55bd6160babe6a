//! `check`: is the policy sound?

use super::context::{Context, nothing_done};
use super::{Inputs, report};
use crate::apply::{self, explain};
use crate::compile::Features;
use crate::diag::{Finding, Findings};
use crate::netlink::NfTables;
use clap::Args;
use serde_json::json;
use std::process::ExitCode;

#[derive(Args)]
#[command(
    about = "Parse, resolve and compile the policy, and report every finding",
    after_help = "Example:\n  portgrave check --policy /etc/portgrave/policy.d/50-site.toml\n\nExit status: 0 sound (warnings \
                  too), 1 errors."
)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    inputs: Inputs,
    /// Load the result into a throwaway network namespace of the running kernel as well
    #[arg(long)]
    kernel: bool,
}

pub(super) fn run(args: &CheckArgs) -> ExitCode {
    let as_json = args.inputs.json;
    let context = match Context::load(&args.inputs) {
        Ok(context) => context,
        Err(unsound) => {
            unsound.report(as_json, nothing_done());
            return ExitCode::FAILURE;
        }
    };
    let result =
        context.compile(&Features::ALL).and_then(|want| if args.kernel { load_aside(&want) } else { Ok(()) });
    if let Err(more) = result {
        context.unsound(more).report(as_json, nothing_done());
        return ExitCode::FAILURE;
    }
    let rules = context.policy.rules.len();
    if as_json {
        report::object(json!({ "rules": rules, "kernel": args.kernel }), &context.findings, &context.sources);
    } else {
        context.warn(false);
        let warnings = context.findings.iter().count();
        let kernel = if args.kernel { ", and the kernel takes them" } else { "" };
        report::say(&format!("the policy is sound: {rules} rules in force{kernel}, {warnings} warnings\n"));
    }
    ExitCode::SUCCESS
}

/// Applies a ruleset in a network namespace that ends with this process.
fn load_aside(want: &crate::ruleset::Ruleset) -> Result<(), Findings> {
    let failed = |message: String| {
        let help =
            "run it as root, or where user namespaces are allowed; without --kernel it needs no privilege";
        Findings::from(Finding::error("PG602", message).help(help))
    };
    crate::host::namespace::enter_fresh()
        .map_err(|error| failed(format!("no network namespace for --kernel: {error}")))?;
    let mut kernel = NfTables;
    match apply::settle(&mut kernel, want, &mut || None, &mut Vec::new) {
        Ok(_) => Ok(()),
        Err(apply::ApplyError::Refused { plan, refusals }) => Err(explain(&plan, &refusals, want)),
        Err(other) => Err(failed(other.to_string())),
    }
}
