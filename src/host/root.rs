//! A directory in place of the root of the file system, `--root DIR`: paths and the targets of symbolic links stay under it.

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A path as it is called from outside of the root.
pub fn shown(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Opens a file to read. Links that are absolute or lead upwards end under the root; the root `/` is the machine itself.
pub fn open(root: &Path, path: &Path, flags: OFlag) -> io::Result<File> {
    if is_machine(root) {
        return File::options().read(true).custom_flags(flags.bits()).open(path);
    }
    let directory = directory(root)?;
    let how = OpenHow::new().flags(flags | OFlag::O_RDONLY).resolve(ResolveFlag::RESOLVE_IN_ROOT);
    Ok(openat2(&directory, path, how)?.into())
}

/// The root itself, to see that it is a directory.
pub fn directory(root: &Path) -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    File::options().read(true).custom_flags(flags.bits()).open(root)
}

/// The directory in which an open file is, whatever links led to it.
pub fn directory_of(file: &File) -> io::Result<PathBuf> {
    let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    Ok(path.parent().unwrap_or(Path::new("/")).to_owned())
}

pub fn is_machine(root: &Path) -> bool {
    root == Path::new("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    fn text(root: &Path, path: &str) -> io::Result<String> {
        let mut text = String::new();
        open(root, Path::new(path), OFlag::O_CLOEXEC)?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn a_path_and_every_link_on_its_way_stay_under_the_root() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = |path: &str| root.path().join(path);
        std::fs::write(outside.path().join("secret"), "outside").unwrap();
        std::fs::create_dir_all(at("etc/lists")).unwrap();
        std::fs::write(at("etc/lists/a"), "inside").unwrap();
        symlink("/etc/lists", at("etc/absolute")).unwrap();
        symlink("../../../../../etc/lists/a", at("etc/upwards")).unwrap();
        symlink(outside.path().join("secret"), at("etc/out")).unwrap();
        for path in ["/etc/lists/a", "/etc/absolute/a", "/etc/upwards", "/../../etc/lists/a"] {
            assert_eq!(text(root.path(), path).unwrap(), "inside", "{path}");
        }
        let error = text(root.path(), "/etc/out").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(shown(root.path(), Path::new("/etc/out")), at("etc/out"));
    }

    #[test]
    fn the_directory_of_a_file_is_the_one_behind_its_links() {
        let root = tempfile::tempdir().unwrap();
        let real = root.path().canonicalize().unwrap();
        std::fs::create_dir(root.path().join("a")).unwrap();
        std::fs::write(root.path().join("a/file"), "").unwrap();
        symlink("/a/file", root.path().join("link")).unwrap();
        let file = open(root.path(), Path::new("/link"), OFlag::O_CLOEXEC).unwrap();
        assert_eq!(directory_of(&file).unwrap(), real.join("a"));
    }
}
