//! Files of the state directory: written by rename, read with a bound.

use super::StoreError;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// No file of ours is larger.
const MAX_SIZE: u64 = 256 << 20;

/// Writes the content of a new file.
pub(super) type Fill<'a> = &'a mut dyn FnMut(&mut File) -> io::Result<()>;

pub(super) struct Dir(PathBuf);

impl Dir {
    pub(super) fn create(path: &Path) -> Result<Self, StoreError> {
        make(path)?;
        Ok(Self(path.to_owned()))
    }

    pub(super) fn existing(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(super) fn open_lock(&self) -> Result<File, StoreError> {
        let path = self.0.join("lock");
        OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(at(&path))
    }

    /// `None` if there is no such file.
    pub(super) fn open(&self, name: &str) -> Result<Option<File>, StoreError> {
        let path = self.0.join(name);
        // Whoever put a FIFO there would be waited for.
        let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
        let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.raw_os_error() == Some(Errno::ELOOP as i32) => {
                return Err(self.corrupt(name, "a symbolic link"));
            }
            opened => opened.map_err(at(&path))?,
        };
        let is_file = file.metadata().map_err(at(&path))?.is_file();
        if is_file { Ok(Some(file)) } else { Err(self.corrupt(name, "no regular file")) }
    }

    /// `None` if there is no such file.
    pub(super) fn read(&self, name: &str) -> Result<Option<String>, StoreError> {
        let Some(file) = self.open(name)? else { return Ok(None) };
        let expected = file.metadata().map_or(0, |metadata| metadata.len().min(MAX_SIZE));
        let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0) + 1);
        file.take(MAX_SIZE).read_to_end(&mut bytes).map_err(|error| self.failed(name, error))?;
        String::from_utf8(bytes).map(Some).map_err(|_| self.corrupt(name, "not UTF-8"))
    }

    /// The whole of the new content or the whole of the old.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<(), StoreError> {
        self.write_with(name, &mut |file| file.write_all(content))
    }

    /// As [`Dir::write`]; the content is written by `fill`.
    pub(super) fn write_with(&self, name: &str, fill: Fill<'_>) -> Result<(), StoreError> {
        if let Some((directory, _)) = name.split_once('/') {
            make(&self.0.join(directory))?;
        }
        let beside = format!("{name}.new");
        self.fill_beside(&beside, fill)?;
        self.rename(&beside, name)
    }

    /// The content is on the disk, or the file is gone.
    pub(super) fn write_beside(&self, name: &str, content: &[u8]) -> Result<(), StoreError> {
        self.fill_beside(name, &mut |file| file.write_all(content))
    }

    fn fill_beside(&self, name: &str, fill: Fill<'_>) -> Result<(), StoreError> {
        let path = self.0.join(name);
        let written = write_synced(&path, fill);
        if written.is_err() {
            let _ = fs::remove_file(&path);
        }
        written.map_err(at(&path))
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), StoreError> {
        let path = self.0.join(to);
        fs::rename(self.0.join(from), &path).map_err(at(&path))?;
        let parent = path.parent().unwrap_or(&self.0);
        File::open(parent).and_then(|dir| dir.sync_all()).map_err(at(parent))
    }

    /// Renames a file to the first of `NAME.corrupt-1`, `NAME.corrupt-2` … that is free; of very many the last is overwritten.
    pub(super) fn set_aside(&self, path: &Path) -> Result<PathBuf, StoreError> {
        const MOST: u32 = 100;
        let numbered = |number: u32| {
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".corrupt-{number}"));
            PathBuf::from(name)
        };
        let aside = (1..MOST).map(numbered).find(|path| !path.exists()).unwrap_or_else(|| numbered(MOST));
        fs::rename(path, &aside).map_err(at(path))?;
        Ok(aside)
    }

    pub(super) fn exists(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }

    /// Removing what is not there is no error.
    pub(super) fn remove(&self, name: &str) -> Result<(), StoreError> {
        let path = self.0.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(at(&path)),
        }
    }

    /// The names in a directory below, sorted; no directory is no name.
    pub(super) fn list(&self, name: &str) -> Result<Vec<String>, StoreError> {
        let path = self.0.join(name);
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.map_err(at(&path))?,
        };
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort();
        Ok(names)
    }

    pub(super) fn failed(&self, name: &str, source: io::Error) -> StoreError {
        StoreError::Io { path: self.0.join(name), source }
    }

    pub(super) fn corrupt(&self, name: &str, reason: impl Into<String>) -> StoreError {
        StoreError::Corrupt { path: self.0.join(name), reason: reason.into() }
    }
}

fn make(path: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at(path))
}

fn write_synced(path: &Path, fill: Fill<'_>) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?;
    fill(&mut file)?;
    file.sync_all()
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { path, source }
}
