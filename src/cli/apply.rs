//! `apply`: the whole change. The rules are in force first, the look-ups of names follow.

use super::context::{Context, Unsound};
use super::{Inputs, committed, facts, lookups, report};
use crate::apply::{ApplyError, Connection, Gate, Settled, adoption, explain, features, settle};
use crate::compile::Features;
use crate::diag::{Finding, Findings};
use crate::host::{clock, sockets};
use crate::netlink::{Kernel, KernelError, NfTables};
use crate::plan::Summary;
use crate::resolver::book::Book;
use crate::ruleset::Ruleset;
use crate::store::{Generation, Input, Names, Store, StoreError};
use clap::Args;
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Args)]
#[command(
    about = "Check the policy, apply it in one atomic batch, and read it back; then look its host names up",
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
    match run.change() {
        Ok(()) => {
            run.report();
            ExitCode::SUCCESS
        }
        Err(failure) => {
            run.report_failure(failure);
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Outcome {
    changed: bool,
    generation: Option<u64>,
    summary: Summary,
    /// Lives that the look-ups renewed.
    renewed: usize,
    adopted: usize,
    names: Vec<String>,
    lapse: Option<String>,
}

/// Why nothing changed, or that it was taken back.
enum Failure {
    Findings(Findings),
    Store(StoreError),
    Apply(ApplyError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<KernelError> for Failure {
    fn from(error: KernelError) -> Self {
        Self::Apply(error.into())
    }
}

struct Run<'a> {
    context: Context,
    args: &'a ApplyArgs,
    outcome: Outcome,
}

impl Run<'_> {
    fn change(&mut self) -> Result<(), Failure> {
        let store = Store::open(&self.context.settings.state_dir)?;
        let known = self.known_names(&store)?;
        let before = store.in_force()?;
        let number = before.as_ref().map_or(1, |before| before.number + 1);
        let generation = self.generation(number);
        let fresh = before.as_ref().is_none_or(|before| !before.same_content(&generation));
        let settled = match self.commit(&store, fresh.then_some(&generation), before.as_ref()) {
            Ok(settled) => settled,
            Err(failure) => {
                if fresh {
                    store.discard()?;
                }
                return Err(failure);
            }
        };
        if fresh {
            store.keep()?;
        }
        self.outcome.changed = settled.summary.changes() || fresh;
        self.outcome.summary = settled.summary;
        self.outcome.generation = Some(if fresh {
            generation.number
        } else {
            before.map_or(generation.number, |before| before.number)
        });
        self.look_up(&store, &known)
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
        generation: Option<&Generation>,
        before: Option<&Generation>,
    ) -> Result<Settled, Failure> {
        std::thread::scope(|scope| {
            let writing = scope.spawn(|| generation.map_or(Ok(()), |generation| store.prepare(generation)));
            let want = self.compiled()?;
            let mut kernel = NfTables;
            let mut gate = Gate::new(&mut kernel, || writing.join().expect("writing a file does not panic"));
            let settled = self.settle(&mut gate, &want, before);
            gate.pass()?;
            settled.map_err(|error| self.explained(error, &want))
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
        Generation::new(number, now, inputs, context.lists.clone(), facts::stored(&context.book))
    }

    fn settle(
        &mut self,
        kernel: &mut dyn Kernel,
        want: &Ruleset,
        before: Option<&Generation>,
    ) -> Result<Settled, ApplyError> {
        settle(kernel, want, &mut || before.and_then(committed::of), &mut || self.adoption(want))
    }

    /// Connections that were open before the table was: those that the policy permits live on.
    fn adoption(&mut self, want: &Ruleset) -> Vec<crate::plan::Op> {
        let open = match sockets::read() {
            Ok(sockets) => sockets.connections,
            Err(error) => {
                let message =
                    format!("open connections cannot be listed ({error}): the first change may cut them off");
                self.context.findings.push(Finding::warning("PG603", message));
                Vec::new()
            }
        };
        let connections: Vec<Connection> =
            open.iter().map(|(local, peer)| Connection { local: *local, peer: *peer }).collect();
        let ops = adoption(&self.context.policy, &self.context.book, want, &connections);
        let count = |op: &crate::plan::Op| match op {
            crate::plan::Op::AddElements { elements, .. } => elements.len(),
            _ => 0,
        };
        self.outcome.adopted = ops.iter().map(count).sum();
        ops
    }

    fn look_up(&mut self, store: &Store, known: &Book) -> Result<(), Failure> {
        let asks = self.args.inputs.names.is_none() && !self.args.names_wait.is_zero();
        if !asks || self.context.policy.names.is_empty() {
            return Ok(());
        }
        let looked_up = match lookups::look_up(&self.context, known, self.args.names_wait) {
            Ok(looked_up) => looked_up,
            Err(error) => {
                self.outcome.names.push(format!("names cannot be looked up: {error}"));
                return Ok(());
            }
        };
        self.context.book.names = looked_up.book.remaining(looked_up.now);
        let want = self.compiled()?;
        let mut committed =
            || store.in_force().ok().flatten().and_then(|generation| committed::of(&generation));
        let settled = settle(&mut NfTables, &want, &mut committed, &mut Vec::new)
            .map_err(|error| self.explained(error, &want))?;
        self.outcome.changed |= settled.summary.changes();
        self.outcome.renewed = settled.summary.lifetimes_renewed;
        self.outcome.summary.elements_added += settled.summary.elements_added;
        self.outcome.summary.elements_deleted += settled.summary.elements_deleted;
        self.outcome.names.extend(looked_up.warnings.iter().cloned());
        self.outcome.lapse = looked_up.first_lapse().map(|(name, left)| {
            format!(
                "{name} lapses in {} s if nobody asks again: run `portgrave apply` before",
                left.as_secs()
            )
        });
        let names = Names { written: lookups::moment().ok(), names: self.context.book.names.clone() };
        Ok(store.keep_names(&names)?)
    }

    /// A refusal in the policy's words. What the kernel lacks is asked only now: a batch that it validates and aborts costs
    /// more than the whole change.
    fn explained(&self, error: ApplyError, want: &Ruleset) -> Failure {
        match error {
            ApplyError::Refused { plan, refusals } => {
                let lacks = features(&mut NfTables).map(|features| self.context.compile(&features).err());
                Failure::Findings(lacks.ok().flatten().unwrap_or_else(|| explain(&plan, &refusals, want)))
            }
            other => Failure::Apply(other),
        }
    }

    fn report(self) {
        let Outcome { changed, generation, summary, renewed, adopted, names, lapse } = self.outcome;
        let outcome = if changed { "applied" } else { "unchanged" };
        if self.args.inputs.json {
            let fields = json!({
                "changed": changed, "generation": generation, "outcome": outcome, "summary": summary,
                "lifetimes_renewed": renewed, "adopted": adopted, "names": names, "lapse": lapse,
            });
            report::object(fields, &self.context.findings, &self.context.sources);
            return;
        }
        self.context.warn(false);
        for warning in &names {
            report::complain(&format!("warning: {warning}\n"));
        }
        let number = generation.unwrap_or_default();
        let rules = self.context.policy.rules.len();
        report::say(&format!(
            "{outcome}: generation {number}, {rules} rules in force and verified; {summary}\n"
        ));
        if renewed > 0 {
            report::say(&format!("lifetimes renewed: {renewed}\n"));
        }
        if adopted > 0 {
            report::say(&format!("open connections adopted: {adopted}\n"));
        }
        if let Some(lapse) = lapse {
            report::say(&format!("{lapse}\n"));
        }
    }

    fn report_failure(self, failure: Failure) {
        let as_json = self.args.inputs.json;
        let (outcome, findings) = match failure {
            Failure::Findings(findings) => ("refused", findings),
            Failure::Store(error) => (
                "refused",
                Findings::from(Finding::error("PG604", error.to_string()).help("nothing was changed")),
            ),
            Failure::Apply(error) => apply_failure(&error),
        };
        let mut all = self.context.findings;
        all.extend(findings);
        let unsound = Unsound { sources: self.context.sources, findings: all };
        unsound.report(
            as_json,
            json!({ "changed": false, "outcome": outcome, "generation": self.outcome.generation }),
        );
    }
}

fn apply_failure(error: &ApplyError) -> (&'static str, Findings) {
    let (outcome, help) = match error {
        ApplyError::Mismatch { undone: true, .. } => {
            ("rolled-back", "what was in force before is in force again")
        }
        ApplyError::Mismatch { undone: false, .. } => {
            ("unknown", "see what is in force: `nft list table inet portgrave`, then apply again")
        }
        ApplyError::Kernel(KernelError::Unknown) => {
            ("unknown", "apply again: it changes only what is missing")
        }
        ApplyError::Refused { .. } | ApplyError::Kernel(_) => ("refused", "nothing was changed"),
    };
    (outcome, Finding::error("PG605", error.to_string()).help(help).into())
}
