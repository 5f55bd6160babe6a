//! `portgrave worker`: what the agent starts to ask DNS and to read the kernel's log. Nobody else does.

use clap::Args;
use std::process::ExitCode;

/// Asks DNS and reads the kernel's log for the agent, which starts it
#[derive(Args)]
#[command(hide = true)]
pub(super) struct WorkerArgs {}

pub(super) fn run(_: &WorkerArgs) -> ExitCode {
    crate::worker::run()
}
