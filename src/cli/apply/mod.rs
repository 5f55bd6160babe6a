//! `apply`: the whole change. The rules are in force first, the look-ups of names follow.

mod report;

use super::context::Context;
use super::lists::Lists;
use super::lookups::{self, LookedUp};
use super::{Inputs, committed, facts};
use crate::apply::{
    ApplyError, Connection, Gate, Settled, adoption, amend, explain, features, restore, settle,
};
use crate::compile::Features;
use crate::diag::Finding;
use crate::host::clock;
use crate::host::interfaces;
use crate::host::sockets::{self, Sockets};
use crate::netlink::{Kernel, KernelError, NfTables};

use crate::plan::{Op, Plan};
use crate::resolver::book::Book;
use crate::ruleset::Ruleset;
use crate::store::{Generation, Input, Names, Store};
use clap::Args;
use report::{Failure, Outcome};
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[derive(Args)]
#[command(
    about = "Check the policy, apply it atomically, and read it back; then look its host names up",
    after_help = "Example:\n  portgrave apply --names-wait 5s\n\nExit status: 0 applied or unchanged, 1 refused or rolled back \
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
    let context = match Context::load(&args.inputs) {
        Ok(context) => context,
        Err(unsound) => {
            unsound.report(as_json, json!({ "changed": false, "outcome": "refused", "generation": null }));
            return ExitCode::FAILURE;
        }
    };
    let mut run = Run { context, args, outcome: Outcome::default() };
    let Err(failure) = run.change();
    run.report_failure(failure);
    ExitCode::FAILURE
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
        let known = self.known_names(&store)?;
        store.keep_held_back(&self.context.lists.held_back)?;
        let before = store.in_force()?;
        let number = before.as_ref().map_or(1, |before| before.number + 1);
        let generation = self.generation(number);
        let fresh = before.as_ref().is_none_or(|before| !before.same_content(&generation));
        let lists = std::mem::take(&mut self.context.lists);
        let settled = match self.commit(&store, &lists, fresh.then_some(&generation), before.as_ref()) {
            Ok(settled) => settled,
            Err(failure) => {
                if fresh {
                    store.discard()?;
                }
                return Err(failure);
            }
        };
        self.context.lists = lists;
        if fresh {
            keep(&store, settled.before.as_ref())?;
        }
        self.outcome.changed = settled.summary.changes() || fresh;
        self.outcome.summary = settled.summary;
        self.outcome.generation = Some(if fresh {
            generation.number
        } else {
            before.map_or(generation.number, |before| before.number)
        });
        if stop.load(Ordering::Relaxed) {
            self.outcome.names.push("interrupted: no name was looked up".into());
        } else {
            self.look_up(&store, &known);
        }
        self.report();
        // Everything is written: giving back each value of a large ruleset would only take time.
        std::process::exit(0)
    }

    /// The last known addresses, in force from the first moment.
    fn known_names(&mut self, store: &Store) -> Result<Book, Failure> {
        if self.args.inputs.names.is_some() {
            return Ok(Book::from_remaining(&self.context.book.names, clock::since_boot()));
        }
        Ok(lookups::recall(&mut self.context, store))
    }

    /// Commits what the policy comes to. A new generation is written meanwhile, and nothing is committed before it stands on
    /// the disk.
    fn commit(
        &mut self,
        store: &Store,
        lists: &Lists,
        generation: Option<&Generation>,
        before: Option<&Generation>,
    ) -> Result<Settled, Failure> {
        let adopts = &AtomicBool::new(false);
        let (taken, told) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let prepare = |generation| store.prepare(generation, &lists.sources);
            let writing = scope.spawn(move || generation.map_or(Ok(()), prepare));
            // While the kernel is read back: what was opened between the listing and the commit.
            let late = scope.spawn(move || told.recv().ok().map(|()| sockets::read()));
            let want = self.compiled()?;
            let mut kernel = NfTables;
            let mut gate = Gate::new(
                &mut kernel,
                || writing.join().expect("writing a file does not panic"),
                move || {
                    if adopts.load(Ordering::Relaxed) {
                        let _ = taken.send(());
                    }
                },
            );
            let compiled = OnceCell::new();
            let compile = || before.and_then(|before| committed::of(before, store, &lists.parsed));
            let mut committed = || compiled.get_or_init(compile).clone();
            let settled = self.settle(&mut gate, &want, &mut committed, adopts);
            gate.pass()?;
            let settled = settled.map_err(|error| self.explained(error, &want))?;
            drop(gate);
            if let Some(open) = late.join().expect("listing sockets does not panic") {
                self.adopt_late(&want, open, &settled.plan);
            }
            Ok(settled)
        })
    }

    fn compiled(&self) -> Result<Ruleset, Failure> {
        self.context.compile(&Features::ALL).map_err(Failure::Findings)
    }

    fn generation(&self, number: u64) -> Generation {
        let context = &self.context;
        let input = |(file, layer): &(crate::diag::FileId, crate::policy::Layer)| Input {
            name: context.sources.name(*file).to_owned(),
            layer: layer.0,
            text: context.sources.text(*file).to_owned(),
        };
        let inputs = context.files.iter().map(input).collect();
        let now = clock::wall().as_secs();
        let lists = context.lists.sources.iter().map(|source| source.list.clone()).collect();
        Generation::new(number, now, inputs, lists, facts::stored(&context.book))
    }

    fn settle(
        &mut self,
        kernel: &mut dyn Kernel,
        want: &Ruleset,
        committed: &mut dyn FnMut() -> Option<Ruleset>,
        adopts: &AtomicBool,
    ) -> Result<Settled, ApplyError> {
        settle(kernel, want, committed, &mut || {
            adopts.store(true, Ordering::Relaxed);
            self.adoption(want, sockets::read())
        })
    }

    /// Connections that were open before the table was: those that the policy permits live on.
    fn adoption(&mut self, want: &Ruleset, open: io::Result<Sockets>) -> Vec<Op> {
        let open = open.map(|sockets| sockets.connections).unwrap_or_else(|error| {
            self.warn_of_adoption(&error.to_string());
            Vec::new()
        });
        let names = if open.is_empty() { Ok(BTreeMap::new()) } else { interfaces::by_address() };
        let names = names.unwrap_or_default();
        let connection = |open: &sockets::Connection| Connection {
            local: open.local,
            peer: open.peer,
            interface: names.get(&open.local.ip()).cloned(),
            user: open.user,
        };
        let connections: Vec<Connection> = open.iter().map(connection).collect();
        let ops = adoption(&self.context.policy, &self.context.book, want, &connections);
        let count = |op: &Op| if let Op::AddElements { elements, .. } = op { elements.len() } else { 0 };
        self.outcome.adopted = self.outcome.adopted.max(ops.iter().map(count).sum());
        ops
    }

    fn adopt_late(&mut self, want: &Ruleset, open: io::Result<Sockets>, done: &Plan) {
        let more: Vec<Op> =
            self.adoption(want, open).into_iter().filter_map(|op| beyond(op, &done.ops)).collect();
        if let Err(error) = amend(&mut NfTables, more) {
            self.warn_of_adoption(&error.to_string());
        }
    }

    fn warn_of_adoption(&mut self, error: &str) {
        let message =
            format!("open connections cannot be adopted ({error}): the first change may cut them off");
        let help = "apply as root, outside peak hours, or open the connections again";
        self.context.findings.push(Finding::warning("PG603", message).help(help));
    }

    /// Asks for all names. The rules are in force whatever comes of it.
    fn look_up(&mut self, store: &Store, known: &Book) {
        let asks = self.args.inputs.names.is_none() && !self.args.names_wait.is_zero();
        if !asks || self.context.policy.names.is_empty() {
            return;
        }
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
        self.context.book.names = looked_up.book.remaining(looked_up.now);
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
        let names = Names { written: lookups::moment().ok(), names: self.context.book.names.clone() };
        store
            .keep_names(&names)
            .map_err(|error| format!("learned addresses are not kept for the next start: {error}"))
    }

    /// A refusal in the policy's words. What the kernel lacks is asked only now: a batch that it validates and aborts costs
    /// more than the whole change.
    fn explained(&self, error: ApplyError, want: &Ruleset) -> Failure {
        match error {
            ApplyError::Refused { plan, refusals } => {
                let lacks = features(&mut NfTables).map(|features| self.context.compile(&features).err());
                Failure::Findings(lacks.ok().flatten().unwrap_or_else(|| explain(&plan, &refusals, want)))
            }
            other @ (ApplyError::Mismatch { .. } | ApplyError::Kernel(_)) => Failure::Apply(other),
        }
    }
}

/// Puts the prepared generation in force on disk, as it is in the kernel; if the disk does not take it, the kernel gives it back.
fn keep(store: &Store, before: Option<&Ruleset>) -> Result<(), Failure> {
    store.keep().map_err(|error| {
        let undone = restore(&mut NfTables, before);
        Failure::NotKept { error, undone }
    })
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

/// What of an operation that adds elements is not in `done`.
fn beyond(op: Op, done: &[Op]) -> Option<Op> {
    let Op::AddElements { set, head, mut elements } = op else { return None };
    for earlier in done {
        if let Op::AddElements { set: same, elements: known, .. } = earlier {
            elements.retain(|(key, _)| {
                *same != set || known.binary_search_by(|(other, _)| other.cmp(key)).is_err()
            });
        }
    }
    (!elements.is_empty()).then_some(Op::AddElements { set, head, elements })
}
