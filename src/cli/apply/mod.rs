//! `apply`: the whole change. The rules are in force first, the look-ups of names follow.

mod outcome;

use super::{Inputs, ask, report};
use crate::apply::{ApplyError, settle};
use crate::compile::Features;
use crate::control::{Client, Handed, PolicyText, Request};
use crate::netlink::{KernelError, NfTables};
use crate::resolver::names;
use crate::site::lookups::{self, LookedUp};
use crate::site::{Context, Failure, change, committed};
use crate::store::{Names, Store};
use clap::Args;
use outcome::Outcome;
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[derive(Args)]
#[command(
    about = "Check the policy, apply it atomically, and read it back; then look its host names up",
    after_help = "Example:\n  portgrave apply --names-wait 5s\n\nWhere a daemon runs, it puts in force what `apply` has read, and looks names \
                  up by itself.\n\nExit status: 0 applied or unchanged, 1 refused or rolled back \
                  (nothing changed).\nThe JSON object has `outcome`: applied, unchanged, refused, rolled-back or unknown."
)]
pub(super) struct ApplyArgs {
    #[command(flatten)]
    inputs: Inputs,
    /// How long to wait for the answers of all host names together (ms, s or m); 0s asks nobody
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = time)]
    names_wait: Duration,
}

fn time(text: &str) -> Result<Duration, String> {
    crate::policy::duration(text).ok_or_else(|| "write a time such as 500ms, 2s or 1m".into())
}

pub(super) fn run(args: &ApplyArgs) -> ExitCode {
    let as_json = args.inputs.json;
    let context = match Context::load(&args.inputs.site()) {
        Ok(context) => context,
        Err(unsound) => {
            let fields = json!({ "changed": false, "outcome": "refused", "generation": null });
            report::unsound(&unsound, as_json, fields);
            return ExitCode::FAILURE;
        }
    };
    match ask::connect(&context.settings) {
        Ok(None) => {}
        Ok(Some(client)) => return hand_over(client, &context, args),
        Err(error) => {
            ask::failed(&error, as_json);
            return ExitCode::FAILURE;
        }
    }
    let mut run = Run { context, args, outcome: Outcome::default() };
    let Err(failure) = run.change();
    run.report_failure(failure);
    ExitCode::FAILURE
}

/// Where a daemon runs, it puts in force what was read here.
fn hand_over(client: Client, context: &Context, args: &ApplyArgs) -> ExitCode {
    let as_json = args.inputs.json;
    if args.inputs.names.is_some() {
        let message = "a daemon runs, and looks names up by itself: leave --names out, or stop it first";
        report::failure(as_json, message);
        return ExitCode::FAILURE;
    }
    let policy: Vec<PolicyText> = context
        .files
        .iter()
        .map(|(file, layer)| PolicyText {
            name: context.sources.name(*file).to_owned(),
            layer: layer.0,
            text: context.sources.text(*file).to_owned(),
        })
        .collect();
    let sources = context.lists.sources.iter();
    let lists = sources
        .map(|source| (source.list.path.display().to_string(), Content { file: &source.content, read: 0 }));
    match Handed::seal(&policy, lists) {
        Ok(files) => ask::change(client, &Request::Apply {}, &files, as_json),
        Err(error) => {
            report::failure(as_json, &error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Reads a file from its beginning, wherever its descriptor stands.
struct Content<'a> {
    file: &'a File,
    read: u64,
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.read)?;
        self.read += count as u64;
        Ok(count)
    }
}

struct Run<'a> {
    context: Context,
    args: &'a ApplyArgs,
    outcome: Outcome,
}

impl Run<'_> {
    /// The whole change; where it succeeds, the process ends here.
    fn change(&mut self) -> Result<Infallible, Failure> {
        let stop = held_back_signals()?;
        let store = Store::open(&self.context.settings.state_dir)?;
        tracing::debug!(state = %self.context.settings.state_dir.display(), "lock held");
        let known = self.known_names(&store);
        let changed = change(&mut self.context, &store)?;
        self.outcome.changed = changed.changed;
        self.outcome.summary = changed.summary;
        self.outcome.adopted = changed.adopted;
        self.outcome.generation = Some(changed.generation.number);
        if stop.load(Ordering::Relaxed) {
            self.outcome.names.push("interrupted: no name was looked up".into());
        } else {
            self.look_up(&store, known);
        }
        self.report();
        // Everything is written: giving back each value of a large ruleset would only take time.
        std::process::exit(0)
    }

    /// The last known addresses, in force from the first moment; `None` where a file gives them.
    fn known_names(&mut self, store: &Store) -> Option<names::Names> {
        self.args.inputs.names.is_none().then(|| lookups::recall(&mut self.context, store))
    }

    /// Asks for all names. The rules are in force whatever comes of it.
    fn look_up(&mut self, store: &Store, known: Option<names::Names>) {
        let asks = !self.args.names_wait.is_zero() && !self.context.policy.names.is_empty();
        let Some(known) = known.filter(|_| asks) else { return };
        match lookups::look_up(&self.context, known, self.args.names_wait) {
            Ok(looked_up) => {
                if let Err(problem) = self.take_names(store, &looked_up) {
                    self.outcome.names.push(problem);
                }
                self.outcome.names.extend(looked_up.warnings);
            }
            Err(error) => self.outcome.names.push(format!("names cannot be looked up: {error}")),
        }
    }

    /// Puts answers into the kernel's sets and into the store.
    fn take_names(&mut self, store: &Store, looked_up: &LookedUp) -> Result<(), String> {
        let refused = |error: ApplyError| format!("the addresses of names are not in force: {error}");
        self.context.book.names = looked_up.names.book_now(looked_up.now);
        let compiled = self.context.compile(&Features::ALL);
        let want = compiled.map_err(|_| "the addresses of names are too many to be compiled".to_owned())?;
        let mut committed = || {
            let generation = store.in_force().ok().flatten()?;
            committed::of(&generation, store, &self.context.lists.parsed)
        };
        let settled = settle(&mut NfTables, &want, &mut committed, &mut Vec::new).map_err(refused)?;
        self.outcome.changed |= settled.summary.changes();
        self.outcome.renewed = settled.summary.lifetimes_renewed;
        self.outcome.summary.elements_added += settled.summary.elements_added;
        self.outcome.summary.elements_deleted += settled.summary.elements_deleted;
        self.outcome.lapse = looked_up.first_lapse().map(|(name, left)| {
            format!(
                "{name} lapses in {} s if nobody asks again: run `portgrave apply` before",
                left.as_secs()
            )
        });
        let names = Names { written: lookups::moment().ok(), names: looked_up.names.kept(looked_up.now) };
        store
            .keep_names(&names)
            .map_err(|error| format!("learned addresses are not kept for the next start: {error}"))
    }
}

/// A change that has begun is finished: a lost terminal or a Ctrl-C only keeps the look-ups from being waited for.
fn held_back_signals() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))
            .map_err(|error| Failure::Apply(KernelError::Io("signals", error).into()))?;
    }
    Ok(stop)
}
