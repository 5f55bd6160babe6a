//! `show`: the compiled ruleset.

use super::{Inputs, report};
use crate::compile::Features;
use crate::ruleset::{Ruleset, element_words};
use crate::site::Context;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::process::ExitCode;

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Nft,
    Json,
}

#[derive(Args)]
#[command(
    about = "Print the compiled ruleset as text that `nft -f` takes; needs no privilege",
    after_help = "Example:\n  portgrave show --policy policy/clearswift-seg.toml | less\n\nExit status: 0, or 1 if the policy \
                  has errors."
)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    inputs: Inputs,
    /// nft syntax, or one JSON object (as with --json)
    #[arg(long, value_enum, default_value = "nft")]
    format: Format,
}

pub(super) fn run(args: &ShowArgs) -> ExitCode {
    let as_json = args.inputs.json || matches!(args.format, Format::Json);
    let context = match Context::load(&args.inputs.site()) {
        Ok(context) => context,
        Err(unsound) => {
            report::unsound(&unsound, as_json, report::nothing_done());
            return ExitCode::FAILURE;
        }
    };
    match context.compile(&Features::ALL) {
        Ok(ruleset) if as_json => {
            report::object(ruleset_json(&ruleset, &context), &context.findings, &context.sources);
            ExitCode::SUCCESS
        }
        Ok(ruleset) => {
            report::findings(&context.findings, &context.sources);
            report::say(&ruleset.to_string());
            ExitCode::SUCCESS
        }
        Err(more) => {
            report::unsound(&context.unsound(more), as_json, report::nothing_done());
            ExitCode::FAILURE
        }
    }
}

fn ruleset_json(ruleset: &Ruleset, context: &Context) -> Value {
    let chains: Vec<Value> = ruleset
        .chains
        .iter()
        .map(|(name, chain)| {
            let rule = |rule: &crate::ruleset::Rule| {
                json!({ "text": rule.text, "place": rule.origin.map(|span| context.sources.place(span)) })
            };
            json!({ "name": name, "base": chain.base.is_some(), "rules": chain.rules.iter().map(rule).collect::<Vec<_>>() })
        })
        .collect();
    let sets: Vec<Value> = ruleset
        .sets
        .iter()
        .map(|(name, set)| {
            let elements = set.elements.iter();
            let words: Vec<String> = elements.map(|(key, value)| element_words(set, &key, value)).collect();
            let key: Vec<&str> = set.key.iter().map(|field| field.name()).collect();
            json!({ "name": name, "key": key.join(" . "), "size": set.size, "elements": words })
        })
        .collect();
    let objects: Vec<&String> = ruleset.objects.keys().collect();
    json!({ "table": "inet portgrave", "chains": chains, "sets": sets, "objects": objects })
}
