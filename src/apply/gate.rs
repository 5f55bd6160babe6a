//! A kernel that commits only once something else is done: the generation is written to disk while the kernel is read, and
//! nothing is committed before it stands there.

use crate::netlink::{GenId, Kernel, KernelError};
use crate::plan::Plan;
use crate::ruleset::{ElementKey, ElementValue, Ruleset, Set};
use crate::store::StoreError;

pub struct Gate<'k, W, C> {
    kernel: &'k mut dyn Kernel,
    wait: Option<W>,
    committed: C,
    failed: Option<StoreError>,
}

impl<'k, W: FnOnce() -> Result<(), StoreError>, C: FnMut()> Gate<'k, W, C> {
    /// `wait` returns when the gate may open, or why it stays closed; `committed` is told of each commit that the kernel took.
    pub fn new(kernel: &'k mut dyn Kernel, wait: W, committed: C) -> Self {
        Self { kernel, wait: Some(wait), committed, failed: None }
    }

    /// Waits if nothing has yet. Whether the gate is open, and if not, why.
    pub fn pass(&mut self) -> Result<(), StoreError> {
        self.open();
        self.failed.take().map_or(Ok(()), Err)
    }

    fn open(&mut self) -> bool {
        if let Some(wait) = self.wait.take() {
            self.failed = wait().err();
        }
        self.failed.is_none()
    }
}

impl<W: FnOnce() -> Result<(), StoreError>, C: FnMut()> Kernel for Gate<'_, W, C> {
    fn generation(&mut self) -> Result<GenId, KernelError> {
        self.kernel.generation()
    }

    fn read(&mut self, dump_limit: u32) -> Result<Option<Ruleset>, KernelError> {
        self.kernel.read(dump_limit)
    }

    fn lookup(
        &mut self,
        set: &str,
        head: &Set,
        key: &ElementKey,
    ) -> Result<Option<ElementValue>, KernelError> {
        self.kernel.lookup(set, head, key)
    }

    fn commit(&mut self, plan: &Plan, generation: Option<GenId>) -> Result<(), KernelError> {
        if !self.open() {
            return Err(KernelError::Withheld);
        }
        self.kernel.commit(plan, generation).inspect(|()| (self.committed)())
    }

    fn dry_run(&mut self, plan: &Plan) -> Result<(), KernelError> {
        self.kernel.dry_run(plan)
    }
}
