//! `counters`: packets and octets of every rule.

use super::{Inputs, report};
use crate::netlink::{Kernel, NfTables};
use crate::ruleset::{Expr, ObjectDef, Ruleset, Verdict};
use clap::Args;
use serde::Serialize;
use serde_json::json;
use std::process::ExitCode;

#[derive(Args)]
#[command(
    about = "Print packets and octets of every rule, the baseline and the default",
    after_help = "Example:\n  portgrave counters --json\n\nExit status: 0, or 1 if nothing is in force."
)]
pub(super) struct CountersArgs {
    #[command(flatten)]
    inputs: Inputs,
}

/// A rule's counter in one direction. The first packet of each connection counts for its rule, every later one for
/// `baseline.established`.
#[derive(Serialize)]
pub(super) struct Counter {
    pub(super) name: String,
    pub(super) direction: String,
    /// Its packets pass, and would be denied: a rule or a default in audit mode.
    pub(super) audit: bool,
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

pub(super) fn run(args: &CountersArgs) -> ExitCode {
    match NfTables.read(0) {
        Ok(Some(held)) => {
            print(&counters(&held), args.inputs.json);
            ExitCode::SUCCESS
        }
        Ok(None) => {
            report::failure(
                args.inputs.json,
                "there is no table inet portgrave: nothing is in force; `portgrave apply` loads it",
            );
            ExitCode::FAILURE
        }
        Err(error) => {
            report::failure(args.inputs.json, &error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn counters(held: &Ruleset) -> Vec<Counter> {
    let counter = |(object, value): (&String, &crate::ruleset::Object)| match value.kind {
        ObjectDef::Counter { packets, bytes } => {
            let (direction, name) = object.split_once('.')?;
            let audit = is_audit(held, direction, name);
            let name = if name == "default" { format!("default.{direction}") } else { name.to_owned() };
            Some(Counter { name, direction: direction.to_owned(), audit, packets, bytes })
        }
        ObjectDef::CtHelper { .. } => None,
    };
    held.objects.iter().filter_map(counter).collect()
}

fn is_audit(held: &Ruleset, direction: &str, name: &str) -> bool {
    let ends_in = |chain: String, verdict: Verdict| {
        let rules = held.chains.get(&chain).map_or(&[][..], |chain| &chain.rules);
        rules.iter().any(|rule| rule.exprs.last() == Some(&Expr::Verdict(verdict.clone())))
    };
    if name == "default" {
        return ends_in(format!("{direction}4.denied"), Verdict::Accept);
    }
    let chains =
        ["4", "6"].map(|family| ["rule", "log"].map(|of| format!("{direction}{family}.{of}.{name}")));
    chains.into_iter().flatten().any(|chain| ends_in(chain, Verdict::Return))
}

fn print(counters: &[Counter], as_json: bool) {
    if as_json {
        report::say(&format!("{:#}\n", json!({ "counters": counters })));
        return;
    }
    let width = counters.iter().map(|counter| counter.name.len()).max().unwrap_or(0);
    for Counter { name, direction, audit, packets, bytes } in counters {
        let audit = if *audit { "  (audit: they pass, and would be denied)" } else { "" };
        report::say(&format!(
            "{direction:<3} {name:<width$} {packets:>12} packets {bytes:>15} octets{audit}\n"
        ));
    }
}
