//! A kernel in memory, as atomic as the real one: a batch works on a copy, every refusal is gathered, and only a
//! batch without refusals is committed.

mod apply;
mod elements;
mod refs;
#[cfg(test)]
mod tests;

use super::{GenId, Kernel, KernelError, Refusal, kernel_count};
use crate::plan::Plan;
use crate::ruleset::{Chain, ElementKey, ElementValue, Elements, ObjectDef, Ruleset, Set};
use apply::{Transaction, may_jump};
use nix::libc::EMLINK;
use std::collections::BTreeMap;

/// nf_tables as one table in memory. Time stands still: an element lives until a test removes it.
#[derive(Clone, Debug, Default)]
pub struct FakeKernel {
    table: Option<Ruleset>,
    generation: u32,
    handles: u64,
    busy: bool,
    refusals: BTreeMap<usize, i32>,
    lost: Option<Lost>,
    commits: usize,
    ops: usize,
}

/// What becomes of a batch whose answer is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    Applied,
    NotApplied,
}

impl FakeKernel {
    pub fn new() -> Self {
        Self::default()
    }

    /// A kernel that holds this table already.
    pub fn holding(table: Ruleset) -> Self {
        let mut kernel = Self::default();
        kernel.foreign_edit(|held| *held = table);
        kernel
    }

    /// The table as it is, with every element; `None` if there is none.
    pub fn table(&self) -> Option<&Ruleset> {
        self.table.as_ref()
    }

    /// How many batches were committed.
    pub fn commits(&self) -> usize {
        self.commits
    }

    /// How many operations the committed batches had.
    pub fn ops(&self) -> usize {
        self.ops
    }

    /// Somebody else changes the table, which is made if there is none. The generation moves on.
    pub fn foreign_edit(&mut self, edit: impl FnOnce(&mut Ruleset)) {
        let table = self.table.get_or_insert_with(Ruleset::default);
        edit(table);
        for set in table.sets.values_mut() {
            if let Elements::Addresses(_) = set.elements {
                set.elements = Elements::Known(set.elements.to_map());
            }
        }
        for chain in table.chains.values_mut() {
            give_handles(chain, &mut self.handles);
        }
        self.move_on();
    }

    /// Somebody else deletes the table.
    pub fn foreign_flush(&mut self) {
        self.table = None;
        self.move_on();
    }

    /// Packets pass through a counter; the generation stays.
    pub fn count(&mut self, counter: &str, more_packets: u64, more_bytes: u64) {
        let object = self.table.as_mut().and_then(|table| table.objects.get_mut(counter));
        if let Some(ObjectDef::Counter { packets, bytes }) = object.map(|object| &mut object.kind) {
            *packets += more_packets;
            *bytes += more_bytes;
        }
    }

    /// Somebody else commits to another table all the time: every generation id is stale as soon as it is given.
    pub fn bump(&mut self, busy: bool) {
        self.busy = busy;
    }

    /// The next commit, and every dry run before it, refuses this operation too.
    pub fn refuse_op(&mut self, op: usize, errno: i32) {
        self.refusals.insert(op, errno);
    }

    /// The answer to the next commit is lost.
    pub fn lose_answer(&mut self, what: Lost) {
        self.lost = Some(what);
    }

    fn move_on(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }

    fn current(&mut self) -> GenId {
        let current = GenId(self.generation);
        if self.busy {
            self.move_on();
        }
        current
    }

    fn validate(&self, plan: &Plan) -> Result<Transaction, KernelError> {
        let transaction = self.attempt(plan, false)?;
        // As in the kernel: where the outcome has a loop, a second pass tells which operations made it.
        if transaction.is_too_deep() { self.attempt(plan, true) } else { Ok(transaction) }
    }

    fn attempt(&self, plan: &Plan, follow_jumps: bool) -> Result<Transaction, KernelError> {
        let mut transaction = Transaction::new(self.table.clone(), self.handles);
        let mut refusals = Vec::new();
        for (index, op) in plan.ops.iter().enumerate() {
            let wanted = self.refusals.get(&index).copied();
            let mut result = wanted.map_or_else(|| transaction.apply(op), Err);
            if follow_jumps && may_jump(op) && transaction.is_too_deep() {
                result = result.and(Err(EMLINK));
            }
            if let Err(errno) = result {
                refusals.push(Refusal { op: Some(index), errno, detail: None });
            }
        }
        if refusals.is_empty() { Ok(transaction) } else { Err(KernelError::Refused(refusals)) }
    }
}

impl Kernel for FakeKernel {
    fn generation(&mut self) -> Result<GenId, KernelError> {
        Ok(self.current())
    }

    fn read(&mut self, dump_limit: u32) -> Result<Option<Ruleset>, KernelError> {
        self.current();
        Ok(self.table.clone().map(|table| as_read(table, dump_limit)))
    }

    fn lookup(
        &mut self,
        set: &str,
        _head: &Set,
        key: &ElementKey,
    ) -> Result<Option<ElementValue>, KernelError> {
        let held = self.table.as_ref().and_then(|table| table.sets.get(set));
        let known = held.and_then(|set| set.elements.known());
        let key = elements::canonical_key(held, key);
        Ok(known.and_then(|map| map.get(&key).cloned()))
    }

    fn commit(&mut self, plan: &Plan, generation: Option<GenId>) -> Result<(), KernelError> {
        if generation.is_some_and(|GenId(id)| id != self.generation) {
            return Err(KernelError::Stale);
        }
        let validated = self.validate(plan);
        self.refusals.clear();
        let transaction = validated?;
        let lost = self.lost.take();
        if lost != Some(Lost::NotApplied) {
            (self.table, self.handles) = transaction.finish();
            self.move_on();
            self.commits += 1;
            self.ops += plan.ops.len();
        }
        lost.map_or(Ok(()), |_| Err(KernelError::Unknown))
    }

    fn dry_run(&mut self, plan: &Plan) -> Result<(), KernelError> {
        self.validate(plan).map(|_| ())
    }
}

/// What a readback shows: no texts, no places in a policy, no element of a large set or of the packet path.
fn as_read(mut table: Ruleset, dump_limit: u32) -> Ruleset {
    for object in table.objects.values_mut() {
        object.origin = None;
    }
    for set in table.sets.values_mut() {
        set.origin = None;
        let count = kernel_count(set);
        if set.dynamic {
            set.elements = Elements::default();
        } else if count > dump_limit {
            set.elements = Elements::Unread(Some(count));
        }
    }
    for rule in table.chains.values_mut().flat_map(|chain| &mut chain.rules) {
        rule.text.clear();
        rule.origin = None;
    }
    table
}

fn give_handles(chain: &mut Chain, handles: &mut u64) {
    for rule in &mut chain.rules {
        rule.handle.get_or_insert_with(|| {
            *handles += 1;
            *handles
        });
    }
}
