//! Local users by name.

use super::root;
use nix::fcntl::OFlag;
use nix::unistd::User;
use std::io::{self, Read};
use std::path::Path;

/// The number of a local user; `None`, if there is none of that name. Under `/` the system is asked (nsswitch.conf), under
/// another root its /etc/passwd.
pub fn uid(root: &Path, name: &str) -> Result<Option<u32>, io::Error> {
    if root::is_machine(root) {
        return Ok(User::from_name(name)?.map(|user| user.uid.as_raw()));
    }
    let mut octets = Vec::new();
    let flags = OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    root::open(root, Path::new("/etc/passwd"), flags)?.read_to_end(&mut octets)?;
    Ok(in_passwd(&String::from_utf8_lossy(&octets), name))
}

/// The numbers of a user and of its group in this machine's /etc/passwd, without asking anything else; `None` if there is
/// no such line, or no such file.
pub fn listed(name: &str) -> io::Result<Option<(u32, u32)>> {
    match std::fs::read("/etc/passwd") {
        Ok(octets) => Ok(entry(&String::from_utf8_lossy(&octets), name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn in_passwd(text: &str, name: &str) -> Option<u32> {
    entry(text, name).map(|(uid, _)| uid)
}

/// The first line of that name counts, as in the C library.
fn entry(text: &str, name: &str) -> Option<(u32, u32)> {
    let user = |line: &str| {
        let mut fields = line.split(':');
        let (found, _password, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        if found == name { uid.parse().ok().zip(gid.parse().ok()) } else { None }
    };
    text.lines().find_map(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn under_a_root_users_are_those_of_its_passwd() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(uid(root.path(), "chrony").unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::create_dir(root.path().join("etc")).unwrap();
        let text = "root:x:0:0::/root:/bin/sh\n# chrony:x:1:1\nbroken:x\nchrony:x:992:989::/:/sbin/nologin\nchrony:x:5:5::/:/\n";
        std::fs::write(root.path().join("etc/passwd"), text).unwrap();
        let of = |name| uid(root.path(), name).unwrap();
        assert_eq!(
            [of("root"), of("chrony"), of("broken"), of("nobody"), of("")],
            [Some(0), Some(992), None, None, None]
        );
    }

    #[test]
    fn users_of_the_machine_are_known_by_the_system() {
        assert_eq!(uid(Path::new("/"), "root").unwrap(), Some(0));
        assert_eq!(uid(Path::new("/"), "no-such-user-of-portgrave").unwrap(), None);
        assert_eq!(listed("root").unwrap(), Some((0, 0)));
        assert_eq!(listed("no-such-user-of-portgrave").unwrap(), None);
    }
}
