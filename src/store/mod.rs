//! What survives a restart: the generation in force, with its texts as they were read, and the learned addresses of names.
//!
//! Files, all 0600 in a directory 0700: `lock`; `generations/N.json`; `lists/SHA256`, the contents of list files;
//! `in-force`, the number of the generation in force, written last; `names.json`. Each is written beside its place,
//! synced and renamed, so that a full disk or a crash leaves the one before.

mod files;
mod generation;
mod names;

pub use generation::{Facts, Generation, Input, ListText};
pub use names::{Moment, Names, remaining};

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
        let Some(number) = self.number_in_force()? else { return Ok(None) };
        generation::load(&self.dir, number).map(Some)
    }

    /// The number that the next generation gets.
    pub fn next_number(&self) -> Result<u64, StoreError> {
        Ok(self.number_in_force()?.map_or(1, |number| number + 1))
    }

    fn number_in_force(&self) -> Result<Option<u64>, StoreError> {
        let Some(text) = self.dir.read("in-force")? else { return Ok(None) };
        let number = text.trim().parse().map_err(|_| self.dir.corrupt("in-force", "not a number"))?;
        Ok(Some(number))
    }

    /// Writes a generation that is not yet in force: whatever can fail for want of space fails here.
    pub fn prepare(&self, generation: &Generation) -> Result<(), StoreError> {
        self.assert_locked();
        generation::save(&self.dir, generation)
    }

    /// Puts a prepared generation in force, and removes all but it and the one before.
    pub fn keep(&self, number: u64) -> Result<(), StoreError> {
        self.assert_locked();
        self.dir.write("in-force", format!("{number}\n").as_bytes())?;
        generation::remove_all_but(&self.dir, &[number, number.saturating_sub(1)])
    }

    /// Takes back what [`Store::prepare`] wrote.
    pub fn discard(&self, number: u64) -> Result<(), StoreError> {
        self.assert_locked();
        self.dir.remove(&generation::file(number))
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
