//! `flush`: the only command that opens the host.

use super::{Inputs, ask, report};
use crate::apply;
use crate::netlink::NfTables;
use crate::site;
use clap::Args;
use serde_json::json;
use std::process::ExitCode;

#[derive(Args)]
#[command(
    about = "Remove the table `inet portgrave` and nothing else: the host is open afterwards",
    after_help = "Example:\n  portgrave flush\n\nExit status: 0, or 1 if the kernel refuses, or while a daemon runs, which would put the table back."
)]
pub(super) struct FlushArgs {
    #[command(flatten)]
    inputs: Inputs,
}

pub(super) fn run(args: &FlushArgs) -> ExitCode {
    match ask::connect(&site::settings(&args.inputs.site())) {
        Ok(None) => {}
        Ok(Some(_)) | Err(_) => {
            let message =
                "a daemon runs, and would put the table back; stop it first: `systemctl stop portgrave`";
            report::failure(args.inputs.json, message);
            return ExitCode::FAILURE;
        }
    }
    let flushed = apply::flush(&mut NfTables);
    match flushed {
        Ok(changed) if args.inputs.json => report::say(&format!("{:#}\n", json!({ "changed": changed }))),
        Ok(true) => {
            report::say("the table inet portgrave is removed; nothing of portgrave filters any more\n")
        }
        Ok(false) => report::say("there is no table inet portgrave; nothing changed\n"),
        Err(error) => {
            report::failure(args.inputs.json, &error.to_string());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
