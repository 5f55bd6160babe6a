//! The whole change: the generation prepared, the kernel settled, the generation kept.

use super::{Context, committed, facts};
use crate::apply::{
    ApplyError, Carried, Change, ChangeError, Connection, InForce, explain, features, restore,
};
use crate::compile::Features;
use crate::diag::{FileId, Finding, Findings};
use crate::host::{clock, interfaces, sockets};
use crate::netlink::{KernelError, NfTables};
use crate::plan::Summary;
use crate::policy::Layer;
use crate::ruleset::Ruleset;
use crate::store::{Files, Generation, Input, Store, StoreError};
use std::collections::BTreeMap;
use std::io;

/// What was changed.
pub struct Changed {
    /// Whether the kernel or the store was written to.
    pub changed: bool,
    /// The one in force now.
    pub generation: Generation,
    pub summary: Summary,
    pub adopted: usize,
    /// What the kernel holds.
    pub in_force: InForce,
    /// Why the store does not have the generation.
    pub unkept: Option<StoreError>,
}

/// Why nothing changed, or that it was taken back.
pub enum Failure {
    Findings(Findings),
    Store(StoreError),
    Apply(ApplyError),
    /// The kernel took the change, but the disk did not take the generation; `undone` tells whether the kernel holds again what
    /// it held.
    NotKept {
        error: StoreError,
        undone: bool,
    },
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Puts the policy of a context in force. Its addresses of names are those that the kernel is to hold; warnings are added to its
/// findings.
pub fn change(context: &mut Context, store: &Store) -> Result<Changed, Failure> {
    store.keep_held_back(&context.lists.held_back)?;
    let before = store.in_force()?;
    put_in_force(context, store, before, None)
}

/// The same where the store takes nothing, for a reason that is given: what it keeps stays as it is.
pub fn change_unkept(context: &mut Context, error: StoreError) -> Result<Changed, Failure> {
    let store = Store::read_only(&context.settings.state_dir);
    let before = store.in_force().ok().flatten();
    put_in_force(context, &store, before, Some(error))
}

/// `before` is what the store has; with `unkept` nothing is written to it.
fn put_in_force(
    context: &mut Context,
    store: &Store,
    before: Option<Generation>,
    unkept: Option<StoreError>,
) -> Result<Changed, Failure> {
    let now = clock::since_boot();
    let generation = next(context, before.as_ref());
    let differs = before.as_ref().is_none_or(|before| !before.same_content(&generation));
    let kept_anew = differs && unkept.is_none();
    let carried = match carry_out(context, store, kept_anew.then_some(&generation), before.as_ref()) {
        Ok(carried) => carried,
        Err(error) => {
            if kept_anew {
                store.discard()?;
            }
            return Err(explained(context, error));
        }
    };
    if kept_anew {
        keep(store, carried.settled.before.as_ref())?;
    }
    warn_of_adoption(context, &carried);
    let Carried { settled, want, adopted, .. } = carried;
    let in_force = InForce::of(want, &settled, now);
    let changed = settled.summary.changes() || kept_anew;
    let generation = if differs { generation } else { before.unwrap_or(generation) };
    Ok(Changed { changed, generation, summary: settled.summary, adopted, in_force, unkept })
}

/// The generation that the context comes to: a new number where a policy or list file differs, the same where only the machine
/// does.
fn next(context: &Context, before: Option<&Generation>) -> Generation {
    let input = |file: FileId, layer: Layer| Input {
        name: context.sources.name(file).to_owned(),
        layer: layer.0,
        text: context.sources.text(file).to_owned(),
    };
    let files = Files {
        inputs: context.files.iter().map(|(file, layer)| input(*file, *layer)).collect(),
        settings: context.settings_files.iter().map(|file| input(*file, Layer(0))).collect(),
        lists: context.lists.sources.iter().map(|source| source.list.clone()).collect(),
    };
    let facts = facts::stored(&context.book);
    let (number, applied) = match before {
        Some(before) if before.is_of(&files) => (before.number, before.applied),
        Some(before) => (before.number + 1, clock::wall().as_secs()),
        None => (1, clock::wall().as_secs()),
    };
    Generation::new(number, applied, files, facts)
}

fn carry_out(
    context: &Context,
    store: &Store,
    generation: Option<&Generation>,
    before: Option<&Generation>,
) -> Result<Carried, ChangeError> {
    let sources = context.lists.sources.as_slice();
    let committed = || before.and_then(|before| committed::of(before, store, &context.lists.parsed));
    let change = Change {
        policy: &context.policy,
        book: &context.book,
        store,
        generation: generation.map(|generation| (generation, sources)),
        committed: &committed,
        connections: &open_connections,
    };
    change.carry_out(&mut NfTables, || context.compile(&Features::ALL))
}

/// The TCP connections of this machine.
fn open_connections() -> io::Result<Vec<Connection>> {
    let open = sockets::read()?.connections;
    let names = if open.is_empty() { Ok(BTreeMap::new()) } else { interfaces::by_address() };
    let names = names.unwrap_or_default();
    let connection = |open: &sockets::Connection| Connection {
        local: open.local,
        peer: open.peer,
        interface: names.get(&open.local.ip()).cloned(),
        user: open.user,
    };
    Ok(open.iter().map(connection).collect())
}

fn warn_of_adoption(context: &mut Context, carried: &Carried) {
    let unlisted = carried.unlisted.as_ref().map(ToString::to_string);
    let errors = unlisted.into_iter().chain(carried.unadopted.as_ref().map(ToString::to_string));
    for error in errors {
        let message =
            format!("open connections cannot be adopted ({error}): the first change may cut them off");
        let help = "apply as root, outside peak hours, or open the connections again";
        context.findings.push(Finding::warning("PG603", message).help(help));
    }
}

/// A refusal in the policy's words. What the kernel lacks is asked only now: a batch that it validates and aborts costs
/// more than the whole change.
fn explained(context: &Context, error: ChangeError) -> Failure {
    match error {
        ChangeError::Findings(findings) => Failure::Findings(findings),
        ChangeError::Store(error) => Failure::Store(error),
        ChangeError::Apply { error: ApplyError::Refused { plan, refusals }, want } => {
            let lacks = features(&mut NfTables).map(|features| context.compile(&features).err());
            Failure::Findings(lacks.ok().flatten().unwrap_or_else(|| explain(&plan, &refusals, &want)))
        }
        ChangeError::Apply { error, .. } => Failure::Apply(error),
    }
}

/// Puts the prepared generation in force on disk, as it is in the kernel; if the disk does not take it, the kernel gives it back.
fn keep(store: &Store, before: Option<&Ruleset>) -> Result<(), Failure> {
    store.keep().map_err(|error| {
        let undone = restore(&mut NfTables, before);
        Failure::NotKept { error, undone }
    })
}

impl From<KernelError> for Failure {
    fn from(error: KernelError) -> Self {
        Self::Apply(error.into())
    }
}
