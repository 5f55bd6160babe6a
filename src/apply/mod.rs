//! The only caller of [`Kernel::commit`]: read, compare, commit, read back, verify; undo what is not what was wanted.

mod adopt;
mod gate;
mod probe;
mod refusal;

pub use adopt::{Connection, adoption};
pub use gate::Gate;
pub use probe::features;
pub use refusal::explain;

use crate::netlink::{GenId, Kernel, KernelError, Refusal, kernel_count};
use crate::plan::{Op, Plan, Summary, diff};
use crate::ruleset::{Elements, Ruleset};
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
    for attempt in 0..TRIES {
        let generation = kernel.generation()?;
        let before = held(kernel, committed)?;
        let mut plan = diff(want, before.as_ref());
        let summary = plan.summary(before.as_ref());
        if plan.is_empty() {
            return Ok(Settled { summary, overtaken: attempt, before, plan });
        }
        if before.is_none() {
            plan.ops.extend(first());
        }
        tracing::debug!(operations = plan.ops.len(), attempt, "committing");
        match commit(kernel, &plan, (attempt < TRIES_WITH_ID).then_some(generation)) {
            Err(ApplyError::Kernel(KernelError::Stale)) => continue,
            Err(ApplyError::Kernel(KernelError::Unknown)) | Ok(()) => {}
            Err(other) => return Err(other),
        }
        verify(kernel, want, before.as_ref())?;
        tracing::debug!("committed and verified");
        return Ok(Settled { summary, overtaken: attempt, before, plan });
    }
    Err(KernelError::Stale.into())
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
    let Some(mut held) = kernel.read(DUMP_LIMIT)? else { return Ok(None) };
    if held.sets.values().any(|set| matches!(set.elements, Elements::Unread(_))) {
        if let Some(committed) = committed() {
            fill_unread(&mut held, &committed);
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
    let now = held(kernel, &mut || before.cloned());
    now.is_ok_and(|now| undo(kernel, before, now.as_ref()))
}

fn undo(kernel: &mut dyn Kernel, before: Option<&Ruleset>, now: Option<&Ruleset>) -> bool {
    let undo = match before {
        Some(before) => diff(before, now),
        None => Plan { ops: now.iter().map(|_| Op::DeleteTable).collect() },
    };
    undo.is_empty() || kernel.commit(&undo, None).is_ok()
}

/// Reads back and compares; what differs is undone.
fn verify(kernel: &mut dyn Kernel, want: &Ruleset, before: Option<&Ruleset>) -> Result<(), ApplyError> {
    let now = held(kernel, &mut || Some(want.clone()))?;
    let Some(difference) = difference(want, now.as_ref()) else { return Ok(()) };
    let undone = undo(kernel, before, now.as_ref());
    Err(ApplyError::Mismatch { difference, undone })
}

/// The first way in which the held ruleset is not the wanted one. Elements that may have expired meanwhile are not missed.
fn difference(want: &Ruleset, held: Option<&Ruleset>) -> Option<String> {
    let mut plan = diff(want, held);
    for op in &mut plan.ops {
        if let Op::AddElements { elements, .. } = op {
            elements.retain(|(_, value)| value.timeout.is_none_or(|timeout| timeout >= SHORT_LIFE));
        }
    }
    plan.ops.retain(|op| !matches!(op, Op::AddElements { elements, .. } if elements.is_empty()));
    let changes = plan.summary(held).changes();
    changes.then(|| plan.describe(held).first().map(ToString::to_string).unwrap_or_default())
}
