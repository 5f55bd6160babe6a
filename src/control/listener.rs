//! The listening socket in the file system, and the lock that makes its owner the only one.

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Gid, chown};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("a daemon runs already: it holds {}", lock.display())]
    Running { lock: PathBuf },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is in the way: it is not a socket", path.display())]
    NotASocket { path: PathBuf },
}

pub(super) struct Listener {
    socket: OwnedFd,
    path: PathBuf,
    /// Held as long as the socket is there.
    _lock: Flock<File>,
}

/// A command that looks whether a daemon runs holds the lock for an instant.
const GLANCE: Duration = Duration::from_millis(10);
const GLANCES: usize = 20;

/// Clients that the kernel keeps waiting until they are accepted.
const BACKLOG: i32 = 128;

impl Listener {
    pub(super) fn bind(path: &Path, group: Option<u32>) -> Result<Self, BindError> {
        if let Some(directory) = path.parent() {
            make_directory(directory).map_err(|source| failed(directory, source))?;
        }
        let lock = lock(&path.with_extension("lock"))?;
        remove_stale(path)?;
        let socket = open(path, group).map_err(|source| failed(path, source))?;
        Ok(Self { socket, path: path.to_owned(), _lock: lock })
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn failed(path: &Path, source: io::Error) -> BindError {
    BindError::Io { path: path.to_owned(), source }
}

/// A new directory is one that the group can pass, whatever the umask is.
fn make_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o755).create(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o755))
}

/// The lock tells a daemon that runs from a socket that a dead one left. Its file stays: whoever removed it could take away the
/// lock of the next.
fn lock(path: &Path) -> Result<Flock<File>, BindError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)
        .map_err(|source| failed(path, source))?;
    for _ in 0..GLANCES {
        file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((file, Errno::EWOULDBLOCK)) => file,
            Err((_, errno)) => return Err(failed(path, errno.into())),
        };
        std::thread::sleep(GLANCE);
    }
    Err(BindError::Running { lock: path.to_owned() })
}

/// Whether a daemon runs, although nobody listens at the path: its socket was removed. Who may not open the lock is told that none
/// does.
pub(super) fn is_held(path: &Path) -> bool {
    let lock = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path.with_extension("lock"));
    lock.is_ok_and(|lock| {
        matches!(Flock::lock(lock, FlockArg::LockSharedNonblock), Err((_, Errno::EWOULDBLOCK)))
    })
}

fn remove_stale(path: &Path) -> Result<(), BindError> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(path, error)),
        Ok(found) if !found.file_type().is_socket() => Err(BindError::NotASocket { path: path.to_owned() }),
        Ok(_) => std::fs::remove_file(path).map_err(|source| failed(path, source)),
    }
}

/// Nobody connects before the mode is right: the kernel refuses until the socket listens, and it begins with the mode that it
/// had before it was bound.
fn open(path: &Path, group: Option<u32>) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    if let Some(group) = group {
        chown(path, None, Some(Gid::from_raw(group)))?;
        std::fs::set_permissions(path, Permissions::from_mode(0o660))?;
    }
    listen(&socket, BACKLOG)?;
    Ok(socket)
}
