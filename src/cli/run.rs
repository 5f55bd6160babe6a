//! `run`: the daemon.

use super::{Inputs, report};
use crate::daemon;
use clap::Args;
use std::process::ExitCode;

#[derive(Args)]
#[command(
    about = "Run as the daemon: apply the policy, keep host names' addresses true, repair what others change",
    after_help = "Example:\n  portgrave run\n\nSIGHUP reloads the files, SIGTERM and SIGINT stop; the rules stay in force. \
                  It logs to the journal, or to standard error; PORTGRAVE_LOG=debug says more.\n\
                  Exit status: 0 stopped, 1 it cannot run (another daemon runs, say)."
)]
pub(super) struct RunArgs {
    #[command(flatten)]
    inputs: Inputs,
}

pub(super) fn run(args: &RunArgs) -> ExitCode {
    match daemon::run(args.inputs.site()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::failure(args.inputs.json, &error.to_string());
            ExitCode::FAILURE
        }
    }
}
