//! A plan as bytes, the kernel's answers, and what the kernel holds.
//!
//! Reading and the elements of sets are plain safe code; the other messages are written through libnftnl (feature
//! `kernel`). [`fake`] is a kernel in memory that is as atomic as the real one.

pub mod attr;
pub mod batch;
#[cfg(feature = "kernel")]
mod connection;
pub mod decode;
pub mod elements;
#[cfg(feature = "kernel")]
pub mod encode;
pub mod fake;
pub mod message;
#[cfg(feature = "kernel")]
mod nf_tables;
#[cfg(feature = "kernel")]
mod query;
#[cfg(feature = "kernel")]
mod read;
#[cfg(feature = "kernel")]
mod sys;
pub mod wire;

pub use elements::kernel_count;
#[cfg(feature = "kernel")]
pub use nf_tables::{NfTables, OpenNfTables};

use crate::plan::Plan;
use crate::ruleset::{ElementKey, ElementValue, Ruleset, Set};

/// The generation id of nf_tables in this network namespace: it moves on with anybody's commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenId(pub u32);

impl GenId {
    /// The id after one more commit; the kernel never gives 0.
    pub fn next(self) -> Self {
        Self(self.0.checked_add(1).unwrap_or(1))
    }
}

/// The kernel's refusal of one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Index in [`Plan::ops`]; `None` for the batch as a whole.
    pub op: Option<usize>,
    pub errno: i32,
    /// The kernel's extended acknowledgement, where it sent one.
    pub detail: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// Somebody committed since the generation id was read (ERESTART). Nothing was applied.
    #[error("nf_tables changed meanwhile")]
    Stale,
    /// Nothing was applied. All refusals, in the order of the batch.
    #[error("the kernel refused {} operations", .0.len())]
    Refused(Vec<Refusal>),
    /// The batch was sent, but its answer was lost (ENOBUFS): only a readback tells.
    #[error("the kernel's answer was lost")]
    Unknown,
    /// Nothing was applied: it does not fit into one netlink message here.
    #[error(
        "a batch of {bytes} octets is too large for the socket; set net.core.wmem_max to {} or more, or run as root \
         outside a user namespace",
        wmem_for(*.bytes)
    )]
    TooLarge { bytes: usize },
    /// Nothing was sent: a mistake of this program, which made an operation that no kernel could take.
    #[error("operation {op} of the plan cannot be written: {what}")]
    Unwritable { op: usize, what: &'static str },
    /// Nothing was sent: what must come before the commit failed.
    #[error("the change was withheld")]
    Withheld,
    #[error("no permission to use nf_tables: CAP_NET_ADMIN is needed")]
    Permission,
    #[error("{0}: {1}")]
    Io(&'static str, std::io::Error),
    /// The kernel sent what it never sends.
    #[error("unreadable answer from the kernel: {0}")]
    Malformed(&'static str),
}

/// The least `net.core.wmem_max` with which a batch can be sent: the kernel doubles it and keeps 32 octets.
pub fn wmem_for(bytes: usize) -> usize {
    (bytes + 32).div_ceil(2)
}

/// nf_tables, as far as this program uses it.
pub trait Kernel {
    fn generation(&mut self) -> Result<GenId, KernelError>;

    /// The table as it is; `None` if there is none. Elements of sets whose head says that they hold more than
    /// `dump_limit` are left [`crate::ruleset::Elements::Unread`].
    fn read(&mut self, dump_limit: u32) -> Result<Option<Ruleset>, KernelError>;

    /// What a set holds for exactly this key, which is how the elements of a set too large for a dump are checked.
    fn lookup(
        &mut self,
        set: &str,
        head: &Set,
        key: &ElementKey,
    ) -> Result<Option<ElementValue>, KernelError>;

    /// Applies all operations or none. With a generation id: only if it is still current.
    fn commit(&mut self, plan: &Plan, generation: Option<GenId>) -> Result<(), KernelError>;

    /// Lets the kernel validate the operations and abort them.
    fn dry_run(&mut self, plan: &Plan) -> Result<(), KernelError>;
}
