//! From a site's files to its policy in force: read, checked, completed by the facts of the machine, applied, looked up.

mod change;
pub mod committed;
mod context;
pub mod facts;
pub mod lists;
mod load;
pub mod lookups;
pub mod names;
mod report;

pub use change::{Changed, Failure, change, change_unkept};
pub use context::{Context, Unsound};
pub use lists::GivenLists;
pub use load::{Loaded, given, load, settings};
pub use report::{Report, facts_of, is_management};

use std::path::PathBuf;

/// Where a policy comes from.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// Another `portgrave.toml` than the machine's.
    pub config: Option<PathBuf>,
    /// Files or directories in place of all layers, each a layer above the one before.
    pub policy: Vec<PathBuf>,
    /// Under which list files, resolv.conf and passwd are read.
    pub root: PathBuf,
    /// The addresses of host names, in place of DNS.
    pub names: Option<PathBuf>,
}

impl Inputs {
    /// Whether the policy is meant for the machine on which this runs.
    pub fn are_this_machines(&self) -> bool {
        self.policy.is_empty() && crate::host::root::is_machine(&self.root)
    }
}
