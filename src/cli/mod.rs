//! The command line: one file a verb.

mod apply;
mod ask;
mod check;
mod counters;
mod flush;
mod names;
mod plan;
mod reload;
mod report;
mod run;
mod services;
mod show;
mod status;
mod worker;

use crate::site;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Exit status of a usage error, in every verb (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;

#[derive(Parser)]
#[command(
    name = "portgrave",
    version,
    about = "An nftables-native firewall agent",
    long_about = "Reads a port policy in TOML, checks it, compiles it to nftables, applies it atomically, and reads it \
                  back. Only the table `inet portgrave` is ever written.",
    after_help = "Example:\n  portgrave check --policy policy/clearswift-seg.toml\n\nExit status: 64 for a usage error; \
                  otherwise as each command says."
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Run(run::RunArgs),
    Check(check::CheckArgs),
    Show(show::ShowArgs),
    Plan(plan::PlanArgs),
    Apply(apply::ApplyArgs),
    Reload(reload::ReloadArgs),
    Counters(counters::CountersArgs),
    Status(status::StatusArgs),
    Names(names::NamesArgs),
    Services(services::ServicesArgs),
    Flush(flush::FlushArgs),
    Worker(worker::WorkerArgs),
}

/// Where the policy comes from.
#[derive(Args, Clone, Debug)]
struct Inputs {
    /// Another portgrave.toml than /etc/portgrave/portgrave.toml; its drop-ins are FILE.d/*.toml (without its `.toml`)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A policy file or a directory of them, in place of all layers; repeated: each a layer above the one before
    #[arg(long, value_name = "FILE-or-DIR")]
    policy: Vec<PathBuf>,
    /// Read list files, resolv.conf and passwd under DIR (not portgrave.toml, nor what --policy names)
    #[arg(long, value_name = "DIR", default_value = "/", hide_default_value = true)]
    root: PathBuf,
    /// The addresses of host names, in place of DNS (TOML: "repo.example.net" = ["192.0.2.7"])
    #[arg(long, value_name = "FILE")]
    names: Option<PathBuf>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

impl Inputs {
    fn site(&self) -> site::Inputs {
        site::Inputs {
            config: self.config.clone(),
            policy: self.policy.clone(),
            root: self.root.clone(),
            names: self.names.clone(),
        }
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    crate::host::log::start(None);
    match cli.verb {
        Verb::Run(args) => run::run(&args),
        Verb::Check(args) => check::run(&args),
        Verb::Show(args) => show::run(&args),
        Verb::Plan(args) => plan::run(&args),
        Verb::Apply(args) => apply::run(&args),
        Verb::Reload(args) => reload::run(&args),
        Verb::Counters(args) => counters::run(&args),
        Verb::Status(args) => status::run(&args),
        Verb::Names(args) => names::run(&args),
        Verb::Services(args) => services::run(&args),
        Verb::Flush(args) => flush::run(&args),
        Verb::Worker(args) => worker::run(&args),
    }
}
