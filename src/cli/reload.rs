//! `reload`: what SIGHUP does, and its outcome.

use super::{Inputs, ask};
use crate::control::Request;
use crate::site;
use clap::Args;
use std::process::ExitCode;

#[derive(Args)]
#[command(
    about = "Let the daemon read the files again; wait for the outcome and print it",
    after_help = "Example:\n  portgrave reload --json\n\nExit status: 0 applied or unchanged, 1 refused (what was in force stays), or no \
                  daemon runs.\nThe JSON object has `outcome`: applied, unchanged, refused, rolled-back or unknown."
)]
pub(super) struct ReloadArgs {
    #[command(flatten)]
    inputs: Inputs,
}

pub(super) fn run(args: &ReloadArgs) -> ExitCode {
    let as_json = args.inputs.json;
    match ask::connect(&site::settings(&args.inputs.site())) {
        Ok(Some(client)) => ask::change(client, &Request::Reload {}, &[], as_json),
        Ok(None) => {
            ask::no_daemon(as_json, "`portgrave apply` puts the files in force without one");
            ExitCode::FAILURE
        }
        Err(error) => {
            ask::failed(&error, as_json);
            ExitCode::FAILURE
        }
    }
}
