//! Policy and list files: opened once, judged by their descriptor, and read from it; policies whole, lists in pieces.

use super::root;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::geteuid;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
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
    #[error("there is no such file or directory")]
    Missing,
    #[error("{0}")]
    Io(io::Error),
    #[error("it is not a regular file")]
    NotRegular,
    #[error("it is a symbolic link")]
    Link,
    #[error("it belongs to user {0}")]
    Owner(u32),
    #[error("others than its owner may write it (mode {0:04o})")]
    Writable(u32),
    #[error("its directory may be written by others than its owner (mode {0:04o})")]
    DirectoryWritable(u32),
    #[error("it has {0} octets, over 64 MiB")]
    TooLarge(u64),
    /// Line and column of the first octet that is no UTF-8.
    #[error("it is not UTF-8 (line {line}, column {column})")]
    NotText { line: usize, column: usize },
}

impl FileError {
    /// What to do about it, as a command to type where there is one.
    pub fn remedy(&self, path: &Path) -> String {
        let shown = quoted(path);
        match self {
            Self::Missing => "create it, or take its name out".into(),
            Self::Io(_) => format!("see that it can be read: ls -l {shown}"),
            Self::NotRegular => "put a regular file in its place".into(),
            Self::Link => {
                format!(
                    "put the file itself there: cp --remove-destination \"$(readlink -f {shown})\" {shown}"
                )
            }
            Self::Owner(_) => format!("chown root {shown}"),
            Self::Writable(_) => format!("chmod go-w {shown}"),
            Self::DirectoryWritable(_) => {
                let directory = path.canonicalize().ok().and_then(|path| Some(path.parent()?.to_owned()));
                let directory =
                    directory.unwrap_or_else(|| path.parent().unwrap_or(Path::new("/")).to_owned());
                format!("chmod go-w {}", quoted(&directory))
            }
            Self::TooLarge(_) => "split it".into(),
            Self::NotText { .. } => "save it as UTF-8".into(),
        }
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+:@%,".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The text of a file that nobody but its owner can have written. A symbolic link is followed.
pub fn read(path: &Path, owner: Owner) -> Result<String, FileError> {
    contents(open(Path::new("/"), path, owner)?.into_file())
}

/// A file under a root that nobody but its owner can have written, open to be read piece by piece. Symbolic links are followed,
/// and stay under the root.
pub fn open(root: &Path, path: &Path, owner: Owner) -> Result<Judged, FileError> {
    let file = root::open(root, path, flags()).map_err(opening)?;
    judge(&file.metadata().map_err(FileError::Io)?, owner)?;
    let directory = root::directory_of(&file).map_err(FileError::Io)?;
    judge_neighbours(&std::fs::metadata(directory).map_err(FileError::Io)?)?;
    Ok(Judged(file))
}

/// A file that was judged by its descriptor, and is read by no other.
#[derive(Debug)]
pub struct Judged(File);

impl Judged {
    /// A file that came without a path from somebody who was judged.
    pub fn handed_over(file: &File) -> Result<Self, FileError> {
        file.try_clone().map(Self).map_err(FileError::Io)
    }

    /// The octets from the beginning, in pieces, so that they are never in memory as a whole.
    pub fn pieces(&self, each: &mut dyn FnMut(&[u8]) -> Result<(), FileError>) -> Result<(), FileError> {
        const PIECE: usize = 64 * 1024;
        let (mut piece, mut size) = (vec![0; PIECE], 0);
        loop {
            match self.0.read_at(&mut piece, size) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    size += count as u64;
                    if size > MAX_SIZE {
                        return Err(FileError::TooLarge(size));
                    }
                    each(&piece[..count])?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(FileError::Io(error)),
            }
        }
    }

    pub fn into_file(self) -> File {
        self.0
    }
}

/// Without O_NONBLOCK, opening a FIFO waits for a writer.
fn flags() -> OFlag {
    OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC
}

fn contents(file: File) -> Result<String, FileError> {
    let size = file.metadata().map_err(FileError::Io)?.len();
    let mut bytes = Vec::with_capacity(usize::try_from(size.min(MAX_SIZE)).unwrap_or(0) + 1);
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(FileError::Io)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(FileError::TooLarge(bytes.len() as u64));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let good = String::from_utf8_lossy(good);
        let last = good.rsplit('\n').next().unwrap_or("");
        FileError::NotText { line: good.matches('\n').count() + 1, column: last.chars().count() + 1 }
    })
}

/// Why a file or directory could not be opened.
pub fn opening(error: io::Error) -> FileError {
    if error.kind() == io::ErrorKind::NotFound { FileError::Missing } else { FileError::Io(error) }
}

fn judge(file: &Metadata, owner: Owner) -> Result<(), FileError> {
    if !file.is_file() {
        return Err(FileError::NotRegular);
    }
    judge_owner(file, owner)?;
    if file.mode() & 0o022 != 0 {
        return Err(FileError::Writable(file.mode() & 0o7777));
    }
    if file.size() > MAX_SIZE { Err(FileError::TooLarge(file.size())) } else { Ok(()) }
}

fn judge_owner(of: &Metadata, owner: Owner) -> Result<(), FileError> {
    let allowed = of.uid() == 0 || owner == Owner::Caller && of.uid() == geteuid().as_raw();
    if allowed { Ok(()) } else { Err(FileError::Owner(of.uid())) }
}

/// The directory of a file that was named by itself. In a sticky one such as /tmp others can add files, but not replace it.
fn judge_neighbours(directory: &Metadata) -> Result<(), FileError> {
    let mode = directory.mode();
    let writable = mode & 0o022 != 0 && mode & 0o1000 == 0;
    if writable { Err(FileError::DirectoryWritable(mode & 0o7777)) } else { Ok(()) }
}

/// A directory whose files are the policy: nobody but its owner can add one, or take one away.
pub struct Directory {
    path: PathBuf,
    descriptor: File,
    owner: Owner,
}

impl Directory {
    pub fn open(path: &Path, owner: Owner) -> Result<Self, FileError> {
        let flags = (OFlag::O_DIRECTORY | OFlag::O_CLOEXEC).bits();
        let descriptor = File::options().read(true).custom_flags(flags).open(path).map_err(opening)?;
        let metadata = descriptor.metadata().map_err(FileError::Io)?;
        judge_owner(&metadata, owner)?;
        if metadata.mode() & 0o022 != 0 {
            return Err(FileError::Writable(metadata.mode() & 0o7777));
        }
        Ok(Self { path: path.to_owned(), descriptor, owner })
    }

    /// The names of the `*.toml` files that do not begin with a dot, in byte order.
    pub fn policies(&self) -> Result<Vec<OsString>, FileError> {
        toml_names(&self.path)
    }

    /// The text of one of its files. A symbolic link is refused: it would lead out of the directory that was judged.
    pub fn read(&self, name: &OsStr) -> Result<String, FileError> {
        let opened = openat(&self.descriptor, name, flags() | OFlag::O_NOFOLLOW, Mode::empty());
        let file = File::from(opened.map_err(refusal)?);
        judge(&file.metadata().map_err(FileError::Io)?, self.owner)?;
        contents(file)
    }
}

fn refusal(errno: Errno) -> FileError {
    const A_SOCKET: Errno = Errno::ENXIO;
    if errno == Errno::ELOOP {
        FileError::Link
    } else if errno == A_SOCKET {
        FileError::NotRegular
    } else {
        opening(errno.into())
    }
}

/// The names of a directory's `*.toml` files that do not begin with a dot, in byte order; the directory is not judged.
pub fn toml_names(directory: &Path) -> Result<Vec<OsString>, FileError> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(opening)? {
        let name = entry.map_err(FileError::Io)?.file_name();
        let text = name.as_encoded_bytes();
        if text.ends_with(b".toml") && !text.starts_with(b".") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn file(dir: &Path, name: &str, mode: u32) -> PathBuf {
        let path = dir.join(name);
        write(&path, "language = 1\n").unwrap();
        set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    fn mode(path: &Path, mode: u32) {
        set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn from_directory(dir: &Path, name: &str) -> Result<String, FileError> {
        Directory::open(dir, Owner::Caller)?.read(OsStr::new(name))
    }

    #[test]
    fn a_file_that_others_may_write_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(&file(dir.path(), "a.toml", 0o644), Owner::Caller).is_ok());
        assert!(from_directory(dir.path(), "a.toml").is_ok());
        for (name, mode) in [("b.toml", 0o664), ("c.toml", 0o646)] {
            let path = file(dir.path(), name, mode);
            assert!(matches!(read(&path, Owner::Caller), Err(FileError::Writable(found)) if found == mode));
            let error = from_directory(dir.path(), name).unwrap_err();
            assert!(matches!(error, FileError::Writable(found) if found == mode));
            assert_eq!(error.remedy(&path), format!("chmod go-w {}", path.display()));
        }
    }

    #[test]
    fn a_file_in_a_directory_that_others_may_write_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), "a.toml", 0o644);
        for open in [0o777, 0o775] {
            mode(dir.path(), open);
            let error = read(&path, Owner::Caller).unwrap_err();
            assert!(matches!(error, FileError::DirectoryWritable(found) if found == open));
            assert!(error.remedy(&path).starts_with("chmod go-w /"));
            let error = Directory::open(dir.path(), Owner::Caller).err().unwrap();
            assert!(matches!(error, FileError::Writable(found) if found == open));
        }
        mode(dir.path(), 0o1777);
        assert!(read(&path, Owner::Caller).is_ok());
        assert!(Directory::open(dir.path(), Owner::Caller).is_err());
    }

    #[test]
    fn a_fifo_a_directory_and_a_device_are_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo.toml");
        nix::unistd::mkfifo(&fifo, Mode::from_bits_truncate(0o600)).unwrap();
        std::fs::create_dir(dir.path().join("dir.toml")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket.toml")).unwrap();
        for path in [fifo.as_path(), dir.path(), Path::new("/dev/zero")] {
            assert!(matches!(read(path, Owner::Caller), Err(FileError::NotRegular)), "{}", path.display());
        }
        for name in ["fifo.toml", "dir.toml", "socket.toml"] {
            assert!(matches!(from_directory(dir.path(), name), Err(FileError::NotRegular)), "{name}");
        }
    }

    #[test]
    fn a_link_is_followed_where_it_is_named_and_refused_in_a_directory() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let target = file(other.path(), "a.toml", 0o644);
        symlink(&target, dir.path().join("a.toml")).unwrap();
        assert!(read(&dir.path().join("a.toml"), Owner::Caller).is_ok());
        assert!(matches!(from_directory(dir.path(), "a.toml"), Err(FileError::Link)));
        mode(other.path(), 0o777);
        let error = read(&dir.path().join("a.toml"), Owner::Caller);
        assert!(
            matches!(error, Err(FileError::DirectoryWritable(0o777))),
            "the directory of the target counts"
        );
    }

    #[test]
    fn the_first_octet_that_is_no_utf8_is_named() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path().join("a.toml"), b"language = 1\nx = \"\xc3\xb6\xff\"\n").unwrap();
        let error = from_directory(dir.path(), "a.toml").unwrap_err();
        assert_eq!(error.to_string(), "it is not UTF-8 (line 2, column 7)");
    }

    #[test]
    fn a_file_over_64_mib_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), "a.toml", 0o644);
        File::options().write(true).open(&path).unwrap().set_len(MAX_SIZE + 1).unwrap();
        assert!(matches!(read(&path, Owner::Caller), Err(FileError::TooLarge(size)) if size == MAX_SIZE + 1));
    }

    #[test]
    fn only_toml_files_without_a_leading_dot_are_taken_in_byte_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.toml", "a.toml", "B.toml", ".c.toml", "d.toml.rpmsave", "e.txt"] {
            file(dir.path(), name, 0o644);
        }
        let names = Directory::open(dir.path(), Owner::Caller).unwrap().policies().unwrap();
        assert_eq!(names, ["B.toml", "a.toml", "b.toml"]);
        assert!(matches!(Directory::open(&dir.path().join("none"), Owner::Caller), Err(FileError::Missing)));
        assert!(matches!(from_directory(dir.path(), "none.toml"), Err(FileError::Missing)));
    }

    #[test]
    fn commands_to_type_are_quoted_for_the_shell() {
        assert_eq!(
            quoted(Path::new("/etc/portgrave/policy.d/50-site.toml")),
            "/etc/portgrave/policy.d/50-site.toml"
        );
        assert_eq!(quoted(Path::new("/tmp/my file's.toml")), r"'/tmp/my file'\''s.toml'");
    }
}
