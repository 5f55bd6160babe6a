//! A plan as bytes, the kernel's answers, and what the kernel holds.

pub mod fake;
#[cfg(feature = "kernel")]
pub mod sys;

use crate::plan::Plan;
use crate::ruleset::Ruleset;

/// The generation id of nf_tables in this network namespace: it moves on with anybody's commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenId(pub u32);

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
        "a batch of {bytes} octets is too large for the socket; raise net.core.wmem_max above it, or run as root outside a user namespace"
    )]
    TooLarge { bytes: usize },
    #[error("no permission to use nf_tables: CAP_NET_ADMIN is needed")]
    Permission,
    #[error("{0}: {1}")]
    Io(&'static str, std::io::Error),
    /// The kernel sent what it never sends.
    #[error("unreadable answer from the kernel: {0}")]
    Malformed(&'static str),
}

/// nf_tables, as far as this program uses it.
pub trait Kernel {
    fn generation(&mut self) -> Result<GenId, KernelError>;

    /// The table as it is; `None` if there is none. Elements of sets whose head says that they hold more than
    /// `dump_limit` are left [`crate::ruleset::Elements::Unread`].
    fn read(&mut self, dump_limit: u32) -> Result<Option<Ruleset>, KernelError>;

    /// Applies all operations or none. With a generation id: only if it is still current.
    fn commit(&mut self, plan: &Plan, generation: Option<GenId>) -> Result<(), KernelError>;

    /// Lets the kernel validate the operations and abort them.
    fn dry_run(&mut self, plan: &Plan) -> Result<(), KernelError>;
}
