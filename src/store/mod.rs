//! What survives a restart: the generation in force, with its texts as they were read, and the learned addresses of names.
//!
//! Files, all 0600 in a directory 0700: `lock`; `generation.json`, the generation in force; `prepared.json`, one that is about
//! to be; `lists/SHA256`, the contents of list files; `held-back.json`; `names.json`. Each is written beside its place, synced and renamed, so
//! that a full disk or a crash leaves the one before.

mod files;
mod generation;
mod held_back;
mod lists;
mod names;

pub use generation::{Facts, Files, Generation, Input};
pub use held_back::HeldBack;
pub use lists::{ContentHash, ListFile, ListSource};
pub use names::{Moment, Names, remaining};

use crate::types::ListContents;
use files::Dir;
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// The file cannot be what was written: it is never trusted.
    #[error("{} is not what portgrave wrote ({reason}); move it away, and the next `portgrave apply` starts anew", path.display())]
    Corrupt { path: PathBuf, reason: String },
    #[error("{} changed while it was read; apply again", path.display())]
    Changed { path: PathBuf },
}

/// The state directory. With the lock held, nobody else changes what is in it or in the kernel.
pub struct Store {
    dir: Dir,
    lock: Option<Flock<File>>,
}

impl Store {
    /// Makes the directory if there is none, and waits for the lock: two applies at once are one after the other.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let dir = Dir::create(path)?;
        let file = dir.open_lock()?;
        let failed = |source: io::Error| StoreError::Io { path: path.join("lock"), source };
        let lock = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| failed(errno.into()))?;
        Ok(Self { dir, lock: Some(lock) })
    }

    /// Only to read, without the lock.
    pub fn read_only(path: &Path) -> Self {
        Self { dir: Dir::existing(path), lock: None }
    }

    /// The generation in force; `None` before the first.
    pub fn in_force(&self) -> Result<Option<Generation>, StoreError> {
        generation::load(&self.dir)
    }

    /// Writes a generation that is not yet in force: whatever can fail for want of space fails here.
    /// `sources` are its list files; a content that is kept already is not copied.
    pub fn prepare(&self, generation: &Generation, sources: &[ListSource]) -> Result<(), StoreError> {
        self.assert_locked();
        generation::prepare(&self.dir, generation, sources)
    }

    /// Puts the prepared generation in force.
    pub fn keep(&self) -> Result<(), StoreError> {
        self.assert_locked();
        generation::keep(&self.dir)
    }

    /// Takes back what [`Store::prepare`] wrote.
    pub fn discard(&self) -> Result<(), StoreError> {
        self.assert_locked();
        generation::discard(&self.dir)
    }

    /// What is in a list of the generation in force.
    pub fn list(&self, list: &ListFile) -> Result<ListContents, StoreError> {
        lists::contents(&self.dir, list)
    }

    /// A list of the generation in force, to be kept for the next.
    pub fn list_source(&self, list: &ListFile) -> Result<ListSource, StoreError> {
        lists::open(&self.dir, list).map(|content| ListSource { list: list.clone(), content })
    }

    /// Moves a file that cannot be what was written out of the way, and says where it is now.
    /// Who has not the lock leaves it.
    pub fn set_aside(&self, error: &StoreError) -> Result<Option<PathBuf>, StoreError> {
        match error {
            StoreError::Corrupt { path, .. } if self.lock.is_some() => self.dir.set_aside(path).map(Some),
            StoreError::Corrupt { .. } | StoreError::Io { .. } | StoreError::Changed { .. } => Ok(None),
        }
    }

    /// The list files that the last apply did not take.
    pub fn held_back(&self) -> Result<Vec<HeldBack>, StoreError> {
        held_back::load(&self.dir)
    }

    pub fn keep_held_back(&self, lists: &[HeldBack]) -> Result<(), StoreError> {
        self.assert_locked();
        held_back::save(&self.dir, lists)
    }

    pub fn names(&self) -> Result<Names, StoreError> {
        names::load(&self.dir)
    }

    pub fn keep_names(&self, names: &Names) -> Result<(), StoreError> {
        self.assert_locked();
        names::save(&self.dir, names)
    }

    fn assert_locked(&self) {
        assert!(self.lock.is_some(), "only the holder of the lock writes");
    }
}

#[cfg(test)]
mod tests;
