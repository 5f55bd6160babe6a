//! Changes of the few files that the agent follows, by inotify(7): no file is read in vain, and nothing wakes up on a clock.
//!
//! A path is walked from the root as the kernel does it, link by link, and every directory on the way is watched for the one
//! name that is looked up in it, so that a file is seen wherever along its path it comes, goes or is replaced.
//!
//! What inotify does not tell: a mount over something on the way (its end is told), writes by mmap(2), writes on another
//! host of a network file system, and on an overlay writes to the lower layer, or through a file that was opened before
//! its copy came up. A file that is bind-mounted over `/etc/resolv.conf`, as containers have it, is followed as the file
//! that it is; what takes its place outside of the container is not seen there by anybody.

use super::resolvconf;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Component, Path, PathBuf};

/// What is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Watched {
    /// resolv.conf, or the one behind systemd's stub.
    ResolvConf,
    Passwd,
}

/// The files under a root, followed by their paths.
#[derive(Debug)]
pub struct Watch {
    inotify: Inotify,
    root: PathBuf,
    files: Vec<File>,
    armed: Armed,
}

#[derive(Debug)]
struct File {
    means: Watched,
    path: &'static str,
    is_there: bool,
}

/// By watch descriptor: names in a directory, or no name for a watched file itself, with the files that they lead to.
type Armed = BTreeMap<WatchDescriptor, BTreeMap<Option<OsString>, BTreeSet<usize>>>;

const FILES: [(Watched, &str); 3] = [
    (Watched::ResolvConf, resolvconf::PATH),
    (Watched::ResolvConf, resolvconf::BEHIND_STUB),
    (Watched::Passwd, "/etc/passwd"),
];

/// Of a directory: that the name in it begins or ceases to stand for something.
const ON_THE_WAY: AddWatchFlags = AddWatchFlags::IN_CREATE
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVE)
    .union(AddWatchFlags::IN_ONLYDIR)
    .union(AddWatchFlags::IN_DONT_FOLLOW);
/// Of the file itself, so that other files in its directory wake nobody, and by whichever of its names it is written.
const IN_PLACE: AddWatchFlags = AddWatchFlags::IN_CLOSE_WRITE.union(AddWatchFlags::IN_DONT_FOLLOW);

/// As many links as the kernel follows in a path (path_resolution(7)).
const MOST_LINKS: usize = 40;
/// Reads of events at a time; what is left keeps the descriptor ready.
const MOST_READS: usize = 64;

impl Watch {
    pub fn new(root: &Path) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let files = FILES.into_iter().map(|(means, path)| File { means, path, is_there: false }).collect();
        let mut watch = Self { inotify, root: root.to_owned(), files, armed: Armed::new() };
        watch.arm()?;
        Ok(watch)
    }

    /// Ready to read when something has happened near the files.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    /// What has changed since the last call, or may have: a file that was opened to write and closed, that another took the
    /// place of, that came or went. Does not wait. Whoever makes a file anew in place is seen twice, when it is there and
    /// when it is written.
    pub fn changed(&mut self) -> io::Result<BTreeSet<Watched>> {
        let mut touched = BTreeSet::new();
        for _ in 0..MOST_READS {
            match self.inotify.read_events() {
                Ok(events) => events.iter().for_each(|event| touched.extend(self.files_of(event))),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        if touched.is_empty() {
            return Ok(BTreeSet::new());
        }
        let before: Vec<bool> = self.files.iter().map(|file| file.is_there).collect();
        self.arm()?;
        // A directory on the way to a file that was not there, and is not, is no news.
        touched.retain(|file| before[*file] || self.files[*file].is_there);
        Ok(touched.into_iter().map(|file| self.files[file].means).collect())
    }

    fn files_of(&self, event: &InotifyEvent) -> BTreeSet<usize> {
        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            return (0..self.files.len()).collect();
        }
        let Some(names) = self.armed.get(&event.wd) else { return BTreeSet::new() };
        // Without a watch (its directory was removed or unmounted) nothing is known of any name in it.
        if event.mask.intersects(AddWatchFlags::IN_IGNORED | AddWatchFlags::IN_UNMOUNT) {
            return names.values().flatten().copied().collect();
        }
        names.get(&event.name).cloned().unwrap_or_default()
    }

    /// Watches what is on the way to each file now, and nothing else.
    fn arm(&mut self) -> io::Result<()> {
        let mut walk = Walk { inotify: &self.inotify, root: &self.root, armed: Armed::new() };
        for (index, file) in self.files.iter_mut().enumerate() {
            file.is_there = walk.file(index, Path::new(file.path))?;
        }
        let before = std::mem::replace(&mut self.armed, walk.armed);
        for watch in before.into_keys().filter(|watch| !self.armed.contains_key(watch)) {
            // Fails where the directory is gone: the kernel has dropped the watch with it.
            let _ = self.inotify.rm_watch(watch);
        }
        Ok(())
    }
}

struct Walk<'a> {
    inotify: &'a Inotify,
    root: &'a Path,
    armed: Armed,
}

impl Walk<'_> {
    /// Walks to a file, each directory watched before its name is looked up in it, so that nothing is missed between the
    /// two. False if there is no such file.
    fn file(&mut self, file: usize, path: &Path) -> io::Result<bool> {
        let mut here = self.root.to_owned();
        let mut way: VecDeque<OsString> = VecDeque::new();
        self.turn(&mut here, &mut way, path);
        let mut links = 0;
        while let Some(name) = way.pop_front() {
            if name == ".." {
                if here != self.root {
                    here.pop();
                }
                continue;
            }
            if !self.watch(&here, ON_THE_WAY, Some(&name), file)? {
                return Ok(false);
            }
            let next = here.join(&name);
            let Ok(found) = next.symlink_metadata() else { return Ok(false) };
            if found.is_symlink() {
                links += 1;
                let Ok(target) = next.read_link() else { return Ok(false) };
                if links > MOST_LINKS {
                    return Ok(false);
                }
                self.turn(&mut here, &mut way, &target);
            } else {
                here = next;
            }
        }
        self.watch(&here, IN_PLACE, None, file)
    }

    /// Goes on by a path: a link's target comes before what is left of the way.
    fn turn(&self, here: &mut PathBuf, way: &mut VecDeque<OsString>, path: &Path) {
        for part in path.components().rev() {
            match part {
                Component::Normal(name) => way.push_front(name.to_owned()),
                Component::ParentDir => way.push_front("..".into()),
                Component::RootDir => self.root.clone_into(here),
                Component::CurDir | Component::Prefix(_) => {}
            }
        }
    }

    /// False if what should be watched is not there any more. A directory that may not be read is passed over: what
    /// happens in it is not seen.
    fn watch(
        &mut self,
        at: &Path,
        mask: AddWatchFlags,
        name: Option<&OsString>,
        file: usize,
    ) -> io::Result<bool> {
        let watch = match self.inotify.add_watch(at, mask) {
            Ok(watch) => watch,
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => return Ok(false),
            Err(Errno::EACCES) => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        self.armed.entry(watch).or_default().entry(name.cloned()).or_default().insert(file);
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
