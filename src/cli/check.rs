//! `check`: is the policy sound?

use super::{Inputs, report};
use crate::apply::{self, explain};
use crate::compile::Features;
use crate::diag::{Finding, Findings, SourceMap, codes, render_junit};
use crate::host::forwarding;
use crate::model::{ForwardDefault, Policy};
use crate::netlink::NfTables;
use crate::site::{Context, Unsound};
use clap::Args;
use serde_json::json;
use std::path::Path;
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
    /// How to report: text, json (as with --json) or junit (one XML document for CI systems)
    #[arg(long, value_parser = format)]
    format: Option<Format>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Json,
    Junit,
}

fn format(text: &str) -> Result<Format, &'static str> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        "junit" => Ok(Format::Junit),
        "sarif" => Err("not built yet; text, json and junit are"),
        _ => Err("write text, json or junit"),
    }
}

pub(super) fn run(args: &CheckArgs) -> ExitCode {
    let format = args.format.unwrap_or(if args.inputs.json { Format::Json } else { Format::Text });
    match checked(args) {
        Ok(context) => {
            say_sound(format, args, &context);
            ExitCode::SUCCESS
        }
        Err(unsound) => {
            print(format, report::nothing_done(), &unsound.findings, &unsound.sources);
            ExitCode::FAILURE
        }
    }
}

fn checked(args: &CheckArgs) -> Result<Context, Unsound> {
    let mut context = Context::load(&args.inputs.site())?;
    if args.inputs.site().are_this_machines() {
        context.findings.extend(unguarded_forwarding(&context.policy));
    }
    let compiled = context.compile(&Features::ALL);
    match compiled.and_then(|want| if args.kernel { load_aside(&want) } else { Ok(()) }) {
        Ok(()) => Ok(context),
        Err(more) => Err(context.unsound(more)),
    }
}

/// A policy that leaves forwarded packets alone on a machine that forwards them.
fn unguarded_forwarding(policy: &Policy) -> Findings {
    let on = match policy.default.forward {
        ForwardDefault::Untouched => forwarding::families(Path::new(forwarding::SYSCTL)).unwrap_or_default(),
        ForwardDefault::Deny => Vec::new(),
    };
    if on.is_empty() {
        return Findings::default();
    }
    let message =
        format!("this machine forwards {}, and no chain looks at forwarded packets", on.join(" and "));
    let help = "write `forward = \"deny\"` under [default] in the site's policy, to let only replies through; if it is not meant to \
                forward, switch net.ipv4.ip_forward and net.ipv6.conf.all.forwarding off";
    Finding::warning(codes::FORWARDS, message).help(help).into()
}

fn say_sound(format: Format, args: &CheckArgs, context: &Context) {
    let rules = context.policy.rules.len();
    print(format, json!({ "rules": rules, "kernel": args.kernel }), &context.findings, &context.sources);
    if format == Format::Text {
        let warnings = context.findings.iter().count();
        let kernel = if args.kernel { ", and the kernel takes them" } else { "" };
        report::say(&format!("the policy is sound: {rules} rules in force{kernel}, {warnings} warnings\n"));
    }
}

fn print(format: Format, fields: serde_json::Value, findings: &Findings, sources: &SourceMap) {
    match format {
        Format::Text => report::findings(findings, sources),
        Format::Json => report::object(fields, findings, sources),
        Format::Junit => report::say(&render_junit(findings, sources)),
    }
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
