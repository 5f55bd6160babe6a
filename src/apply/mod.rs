//! The only caller of [`Kernel::commit`]: read, compare, commit, read back, verify; undo what is not what was wanted.

mod adopt;
mod change;
mod drift;
mod gate;
mod in_force;
mod lives;
mod probe;
mod refusal;

pub use adopt::Connection;
use adopt::adoption;
pub use change::{Carried, Change, ChangeError};
use gate::Gate;
pub use in_force::{Added, InForce, Look};
pub use probe::features;
pub use refusal::explain;

use crate::netlink::{GenId, Kernel, KernelError, Refusal, kernel_count};
use crate::plan::{Exchanged, Held, Op, Plan, Summary, diff, steps};
use crate::ruleset::{Element, Elements, Ruleset};
use std::time::Duration;

/// Sets with more elements are not dumped (a dump is quadratic): what was committed last is known.
pub const DUMP_LIMIT: u32 = 4096;

/// After so many commits that somebody else's overtook, the next goes without the generation id; the readback decides.
const TRIES_WITH_ID: usize = 5;
const TRIES: usize = 20;

/// An element with less life than this may be gone when the ruleset is read back.
const SHORT_LIFE: Duration = Duration::from_secs(5);

/// What was done.
#[derive(Debug)]
pub struct Settled {
    pub summary: Summary,
    /// Commits that somebody else's overtook.
    pub overtaken: usize,
    /// What the kernel held before.
    pub before: Option<Ruleset>,
    pub plan: Plan,
    /// The id under which it was read back: nobody has committed while that id holds.
    pub generation: GenId,
    pub exchanged: Exchanged,
}

#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Nothing changed.
    #[error("the kernel refused the change")]
    Refused { plan: Plan, refusals: Vec<Refusal> },
    /// The kernel did not hold what was wanted; `undone` tells whether it holds again what it held before.
    #[error("what the kernel holds is not what was wanted: {difference}")]
    Mismatch { difference: String, undone: bool },
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

/// Makes the kernel hold `want`. `committed` gives what was committed last, asked only where a set is too large to be read;
/// `first` gives further operations, asked only for a kernel without the table.
pub fn settle(
    kernel: &mut dyn Kernel,
    want: &Ruleset,
    committed: &mut dyn FnMut() -> Option<Ruleset>,
    first: &mut dyn FnMut() -> Vec<Op>,
) -> Result<Settled, ApplyError> {
    let mut begun: Option<Settled> = None;
    for attempt in 0..TRIES {
        let generation = kernel.generation()?;
        let before = read(kernel, committed)?;
        let mut plan = diff(want, before.as_ref().map(|before| &before.ruleset));
        let batches = match &before {
            None if !plan.is_empty() => {
                plan.ops.extend(first());
                vec![plan.clone()]
            }
            _ => steps(&plan, want, before.as_ref()),
        };
        let exchanged = before.as_ref().map(|before| before.exchanged.clone()).unwrap_or_default();
        let settled = begun.get_or_insert_with(|| Settled::begin(plan, before, generation));
        settled.overtaken = attempt;
        (settled.generation, settled.exchanged) = (generation, exchanged);
        if batches.iter().all(Plan::is_empty) {
            return Ok(begun.expect("it was begun"));
        }
        let id = (attempt < TRIES_WITH_ID).then_some(generation);
        match carry_out(kernel, &batches, id) {
            Ok(Outcome::Unsettled) => continue,
            Ok(Outcome::Settled) => {}
            Err((taken, error)) => {
                if taken > 0 {
                    restore(kernel, settled.before.as_ref());
                }
                return Err(error);
            }
        }
        settled.generation = kernel.generation()?;
        settled.exchanged = verify(kernel, want, settled.before.as_ref())?;
        tracing::debug!("committed and verified");
        return Ok(begun.expect("it was begun"));
    }
    Err(KernelError::Stale.into())
}

impl Settled {
    fn begin(plan: Plan, before: Option<Held>, generation: GenId) -> Self {
        let before = before.map(|before| before.ruleset);
        let (summary, exchanged) = (plan.summary(before.as_ref()), Exchanged::default());
        Self { summary, overtaken: 0, before, plan, generation, exchanged }
    }
}

enum Outcome {
    /// To be verified.
    Settled,
    /// Somebody else's commit came first, or an answer was lost on the way: what is held must be read again.
    Unsettled,
}

/// Commits batches one after the other. With an error comes how many the kernel had taken.
fn carry_out(
    kernel: &mut dyn Kernel,
    batches: &[Plan],
    mut id: Option<GenId>,
) -> Result<Outcome, (usize, ApplyError)> {
    for (taken, batch) in batches.iter().enumerate() {
        let is_last = taken + 1 == batches.len();
        if taken > 0 && is_last {
            let _ = await_packets(kernel);
        }
        tracing::debug!(operations = batch.ops.len(), batch = taken + 1, of = batches.len(), "committing");
        match commit(kernel, batch, id) {
            Err(ApplyError::Kernel(KernelError::Stale)) => return Ok(Outcome::Unsettled),
            Err(ApplyError::Kernel(KernelError::Unknown)) if !is_last => return Ok(Outcome::Unsettled),
            Err(ApplyError::Kernel(KernelError::Unknown)) | Ok(()) => {}
            Err(error) => return Err((taken, error)),
        }
        if id.is_some() && !is_last {
            id = Some(kernel.generation().map_err(|error| (taken + 1, error.into()))?);
        }
    }
    Ok(Outcome::Settled)
}

/// A packet may still be on its way through the rules of the generation before, on another processor: the sets that these ask
/// go when it is through. A batch that the kernel aborts makes it wait for that.
fn await_packets(kernel: &mut dyn Kernel) -> Result<(), KernelError> {
    kernel.dry_run(&Plan { ops: vec![Op::AddTable] })
}

/// Further operations on sets that no comparison looks at.
pub fn amend(kernel: &mut dyn Kernel, ops: Vec<Op>) -> Result<(), ApplyError> {
    if ops.is_empty() { Ok(()) } else { commit(kernel, &Plan { ops }, None) }
}

/// Removes the table and nothing else. `false` if there was none.
pub fn flush(kernel: &mut dyn Kernel) -> Result<bool, ApplyError> {
    if kernel.read(0)?.is_none() {
        return Ok(false);
    }
    commit(kernel, &Plan { ops: vec![Op::DeleteTable] }, None)?;
    Ok(true)
}

/// What the kernel holds, large sets filled in from what was committed last where their counts agree.
pub fn held(
    kernel: &mut dyn Kernel,
    committed: &mut dyn FnMut() -> Option<Ruleset>,
) -> Result<Option<Ruleset>, KernelError> {
    Ok(read(kernel, committed)?.map(|held| held.ruleset))
}

fn read(
    kernel: &mut dyn Kernel,
    committed: &mut dyn FnMut() -> Option<Ruleset>,
) -> Result<Option<Held>, KernelError> {
    let Some(read) = kernel.read(DUMP_LIMIT)? else { return Ok(None) };
    let mut held = Held::new(read);
    if held.ruleset.sets.values().any(|set| matches!(set.elements, Elements::Unread(_))) {
        if let Some(committed) = committed() {
            fill_unread(&mut held.ruleset, &committed);
        }
    }
    Ok(Some(held))
}

fn fill_unread(held: &mut Ruleset, known: &Ruleset) {
    for (name, set) in &mut held.sets {
        let Elements::Unread(count) = set.elements else { continue };
        let Some(known) = known.sets.get(name).filter(|known| known.same_head(set)) else { continue };
        if count.is_none_or(|count| count == kernel_count(known)) {
            set.elements = known.elements.clone();
        }
    }
}

fn commit(kernel: &mut dyn Kernel, plan: &Plan, generation: Option<GenId>) -> Result<(), ApplyError> {
    match kernel.commit(plan, generation) {
        Err(KernelError::Refused(refusals)) => Err(ApplyError::Refused { plan: plan.clone(), refusals }),
        other => other.map_err(ApplyError::from),
    }
}

/// Makes the kernel hold again what it held before a change. Whether it does.
pub fn restore(kernel: &mut dyn Kernel, before: Option<&Ruleset>) -> bool {
    let now = read(kernel, &mut || before.cloned());
    now.is_ok_and(|now| undo(kernel, before, now.as_ref()))
}

fn undo(kernel: &mut dyn Kernel, before: Option<&Ruleset>, now: Option<&Held>) -> bool {
    let batches = match before {
        Some(before) => steps(&diff(before, now.map(|now| &now.ruleset)), before, now),
        None => now.iter().map(|_| Plan { ops: vec![Op::DeleteTable] }).collect(),
    };
    let batches: Vec<Plan> = batches.into_iter().filter(|batch| !batch.is_empty()).collect();
    carry_out(kernel, &batches, None).is_ok_and(|outcome| matches!(outcome, Outcome::Settled))
}

/// Reads back and compares; what differs is undone.
fn verify(
    kernel: &mut dyn Kernel,
    want: &Ruleset,
    before: Option<&Ruleset>,
) -> Result<Exchanged, ApplyError> {
    let now = read(kernel, &mut || Some(want.clone()))?;
    let Some(difference) = difference(want, now.as_ref().map(|now| &now.ruleset)) else {
        return Ok(now.map(|now| now.exchanged).unwrap_or_default());
    };
    let undone = undo(kernel, before, now.as_ref());
    Err(ApplyError::Mismatch { difference, undone })
}

/// The first way in which the held ruleset is not the wanted one. Elements that may have expired meanwhile are not missed.
fn difference(want: &Ruleset, held: Option<&Ruleset>) -> Option<String> {
    let mut plan = diff(want, held);
    for op in &mut plan.ops {
        if let Op::AddElements { elements, .. } = op {
            elements.retain(|element| !close_to_its_end(element));
        }
    }
    plan.ops.retain(|op| !matches!(op, Op::AddElements { elements, .. } if elements.is_empty()));
    let changes = plan.summary(held).changes();
    changes.then(|| plan.describe(held).first().map(ToString::to_string).unwrap_or_default())
}

/// Whether an element may end before it is read back.
fn close_to_its_end((_, value): &Element) -> bool {
    value.timeout.is_some_and(|timeout| timeout < SHORT_LIFE)
}
