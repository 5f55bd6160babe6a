//! Policy and list files: opened once, judged by their descriptor, read whole.

use nix::fcntl::OFlag;
use nix::unistd::geteuid;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// No file is larger.
const MAX_SIZE: u64 = 64 << 20;

/// Who may own a file beside root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    Root,
    /// Root, or the user who runs this program.
    Caller,
}

/// Why a file or a directory is not read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("there is no such file")]
    Missing,
    #[error("{0}")]
    Io(io::Error),
    #[error("it is not a regular file")]
    NotRegular,
    #[error("it belongs to user {0}")]
    Owner(u32),
    #[error("others than its owner may write it (mode {0:04o})")]
    Writable(u32),
    #[error("its directory may be written by others than its owner (mode {0:04o})")]
    DirectoryWritable(u32),
    #[error("it has {0} octets, over 64 MiB")]
    TooLarge(u64),
    #[error("it is not UTF-8 (at octet {0})")]
    NotText(usize),
}

impl FileError {
    /// What to do about it.
    pub fn remedy(&self, path: &Path) -> String {
        let shown = path.display();
        match self {
            Self::Missing => "create it, or take its name out".into(),
            Self::Io(_) => format!("see that it can be read: ls -l {shown}"),
            Self::NotRegular => "put a regular file in its place".into(),
            Self::Owner(_) => format!("chown root {shown}"),
            Self::Writable(_) => format!("chmod go-w {shown}"),
            Self::DirectoryWritable(_) => {
                format!("chmod go-w {}", path.parent().unwrap_or(Path::new("/")).display())
            }
            Self::TooLarge(_) => "split it".into(),
            Self::NotText(_) => "save it as UTF-8".into(),
        }
    }
}

/// The text of a file that nobody but its owner can have written.
pub fn read(path: &Path, owner: Owner) -> Result<String, FileError> {
    let mut options = File::options();
    // Without O_NONBLOCK, opening a FIFO waits for a writer.
    options.read(true).custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits());
    let file = options.open(path).map_err(opening)?;
    let metadata = file.metadata().map_err(FileError::Io)?;
    judge(&metadata, owner)?;
    if let Some(directory) = path.canonicalize().ok().as_deref().and_then(Path::parent) {
        judge_directory(&std::fs::metadata(directory).map_err(FileError::Io)?)?;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(FileError::Io)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(FileError::TooLarge(bytes.len() as u64));
    }
    String::from_utf8(bytes).map_err(|error| FileError::NotText(error.utf8_error().valid_up_to()))
}

fn opening(error: io::Error) -> FileError {
    if error.kind() == io::ErrorKind::NotFound { FileError::Missing } else { FileError::Io(error) }
}

fn judge(file: &Metadata, owner: Owner) -> Result<(), FileError> {
    if !file.is_file() {
        return Err(FileError::NotRegular);
    }
    if file.uid() != 0 && !(owner == Owner::Caller && file.uid() == geteuid().as_raw()) {
        return Err(FileError::Owner(file.uid()));
    }
    if file.mode() & 0o022 != 0 {
        return Err(FileError::Writable(file.mode() & 0o7777));
    }
    if file.size() > MAX_SIZE { Err(FileError::TooLarge(file.size())) } else { Ok(()) }
}

/// In a sticky directory such as /tmp others can add files, but not replace this one.
fn judge_directory(directory: &Metadata) -> Result<(), FileError> {
    let mode = directory.mode();
    let writable = mode & 0o022 != 0 && mode & 0o1000 == 0;
    if writable { Err(FileError::DirectoryWritable(mode & 0o7777)) } else { Ok(()) }
}

/// The `*.toml` files of a directory that do not begin with a dot, in byte order. No directory is no file.
pub fn policy_files(directory: &Path) -> Result<Vec<PathBuf>, FileError> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(FileError::Io)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = entry.map_err(FileError::Io)?.file_name();
        let text = name.as_encoded_bytes();
        if text.ends_with(b".toml") && !text.starts_with(b".") {
            files.push(directory.join(name));
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file(dir: &Path, name: &str, mode: u32) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, "language = 1\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_file_that_others_may_write_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(&file(dir.path(), "a.toml", 0o644), Owner::Caller).is_ok());
        assert!(matches!(
            read(&file(dir.path(), "b.toml", 0o664), Owner::Caller),
            Err(FileError::Writable(0o664))
        ));
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let error = read(&dir.path().join("a.toml"), Owner::Caller);
        assert!(matches!(error, Err(FileError::DirectoryWritable(0o777))));
    }

    #[test]
    fn a_fifo_a_directory_and_a_device_are_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo.toml");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        for path in [fifo.as_path(), dir.path(), Path::new("/dev/zero")] {
            assert!(matches!(read(path, Owner::Caller), Err(FileError::NotRegular)), "{}", path.display());
        }
    }

    #[test]
    fn only_toml_files_without_a_leading_dot_are_taken_in_byte_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.toml", "a.toml", ".c.toml", "d.toml.rpmsave", "e.txt"] {
            file(dir.path(), name, 0o644);
        }
        let names: Vec<_> =
            policy_files(dir.path()).unwrap().iter().map(|p| p.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["a.toml", "b.toml"]);
        assert!(policy_files(&dir.path().join("none")).unwrap().is_empty());
    }
}
