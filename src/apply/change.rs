//! A change from a policy to the verified kernel: its generation is written meanwhile, open connections are adopted.

use super::{ApplyError, Connection, Gate, Settled, adoption, amend, settle};
use crate::diag::Findings;
use crate::model::{AddressBook, Policy};
use crate::netlink::Kernel;
use crate::plan::{Op, Plan};
use crate::ruleset::Ruleset;
use crate::store::{Generation, ListSource, Store, StoreError};
use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is changed, and what is asked on the way.
pub struct Change<'a> {
    pub policy: &'a Policy,
    pub book: &'a AddressBook,
    pub store: &'a Store,
    /// One that is not in force yet, with its list files: it is written, and nothing is committed before it stands on the disk.
    pub generation: Option<(&'a Generation, &'a [ListSource])>,
    /// What was committed last; asked only where a set is too large to be read.
    pub committed: &'a (dyn Fn() -> Option<Ruleset> + Sync),
    /// The open connections of this machine; asked only for a kernel without the table.
    pub connections: &'a (dyn Fn() -> io::Result<Vec<Connection>> + Sync),
}

/// What was carried out.
pub struct Carried {
    pub settled: Settled,
    pub want: Ruleset,
    /// Open connections that live on.
    pub adopted: usize,
    /// Why open connections could not be listed.
    pub unlisted: Option<io::Error>,
    pub unadopted: Option<ApplyError>,
}

pub enum ChangeError {
    Findings(Findings),
    Store(StoreError),
    Apply { error: ApplyError, want: Box<Ruleset> },
}

impl From<StoreError> for ChangeError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Change<'_> {
    pub fn carry_out(
        &self,
        kernel: &mut dyn Kernel,
        compile: impl FnOnce() -> Result<Ruleset, Findings>,
    ) -> Result<Carried, ChangeError> {
        let adopts = &AtomicBool::new(false);
        let (taken, told) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let writing = scope.spawn(move || self.write());
            // While the kernel is read back: what was opened between the listing and the commit.
            let late = scope.spawn(move || told.recv().ok().map(|()| (self.connections)()));
            let want = compile().map_err(ChangeError::Findings)?;
            let adoption = Adoption::new(self, &want);
            let mut gate = Gate::new(
                kernel,
                || writing.join().expect("writing a file does not panic"),
                move || {
                    if adopts.load(Ordering::Relaxed) {
                        let _ = taken.send(());
                    }
                },
            );
            let compiled = OnceCell::new();
            let mut committed = || compiled.get_or_init(self.committed).clone();
            let settled = settle(&mut gate, &want, &mut committed, &mut || {
                adopts.store(true, Ordering::Relaxed);
                adoption.of((self.connections)())
            });
            gate.pass()?;
            drop(gate);
            let settled = match settled {
                Ok(settled) => settled,
                Err(error) => return Err(ChangeError::Apply { error, want: Box::new(want) }),
            };
            let late = late.join().expect("listing sockets does not panic");
            let unadopted = late.and_then(|open| adoption.late(kernel, open, &settled.plan));
            let Adoption { adopted, unlisted, .. } = adoption;
            let (adopted, unlisted) = (adopted.get(), unlisted.into_inner());
            Ok(Carried { settled, want, adopted, unlisted, unadopted })
        })
    }

    fn write(&self) -> Result<(), StoreError> {
        self.generation.map_or(Ok(()), |(generation, sources)| self.store.prepare(generation, sources))
    }
}

/// Connections that were open before the table was: those that the policy permits live on.
struct Adoption<'a> {
    change: &'a Change<'a>,
    want: &'a Ruleset,
    adopted: Cell<usize>,
    unlisted: RefCell<Option<io::Error>>,
}

impl<'a> Adoption<'a> {
    fn new(change: &'a Change<'a>, want: &'a Ruleset) -> Self {
        Self { change, want, adopted: Cell::new(0), unlisted: RefCell::new(None) }
    }

    fn of(&self, open: io::Result<Vec<Connection>>) -> Vec<Op> {
        let open = open.unwrap_or_else(|error| {
            self.unlisted.replace(Some(error));
            Vec::new()
        });
        let ops = adoption(self.change.policy, self.change.book, self.want, &open);
        let count = |op: &Op| if let Op::AddElements { elements, .. } = op { elements.len() } else { 0 };
        self.adopted.set(self.adopted.get().max(ops.iter().map(count).sum()));
        ops
    }

    fn late(
        &self,
        kernel: &mut dyn Kernel,
        open: io::Result<Vec<Connection>>,
        done: &Plan,
    ) -> Option<ApplyError> {
        let more = self.of(open).into_iter().filter_map(|op| beyond(op, &done.ops)).collect();
        amend(kernel, more).err()
    }
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
