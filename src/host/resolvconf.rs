//! The servers of resolv.conf, and those behind systemd's stub.

use super::root;
use nix::fcntl::OFlag;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

/// The file that names the servers.
pub const PATH: &str = "/etc/resolv.conf";
/// What systemd-resolved asks itself.
pub const BEHIND_STUB: &str = "/run/systemd/resolve/resolv.conf";
/// Where systemd-resolved listens, with and without its own additions.
const STUBS: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 53), Ipv4Addr::new(127, 0, 0, 54)];

/// The servers of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Servers {
    /// In the order of resolv.conf, each once: whom programs ask, and the agent too.
    pub asked: Vec<IpAddr>,
    /// The same with systemd's stub replaced by the servers behind it: who answers from outside.
    pub behind: Vec<IpAddr>,
}

impl Servers {
    /// Servers are named, and all of them are this machine: nobody knows whom they ask, so `resolver.servers` must say it.
    pub fn only_loopback(&self) -> bool {
        !self.behind.is_empty() && self.behind.iter().all(IpAddr::is_loopback)
    }
}

/// Reads resolv.conf under a root, and follows systemd's stub. A file that is missing names nobody.
pub fn servers(root: &Path) -> io::Result<Servers> {
    let asked = read_if_there(root, PATH)?;
    let is_stub = |address: &IpAddr| STUBS.iter().any(|stub| *address == IpAddr::from(*stub));
    let mut behind = Vec::new();
    for address in &asked {
        let replaced = if is_stub(address) { read_if_there(root, BEHIND_STUB)? } else { Vec::new() };
        let meant = if replaced.is_empty() { vec![*address] } else { replaced };
        behind.extend(meant);
    }
    Ok(Servers { asked, behind: distinct(behind) })
}

/// The addresses of `nameserver` lines in their order, each once. As in the C library the keyword stands at the start of
/// its line; what does not read as an address is passed over; the scope of an IPv6 address is left out.
pub fn parse(text: &str) -> Vec<IpAddr> {
    let server = |line: &str| {
        let rest = line.strip_prefix("nameserver")?;
        let word = rest.starts_with([' ', '\t']).then(|| rest.split_ascii_whitespace().next())??;
        word.split('%').next()?.parse().ok()
    };
    distinct(text.lines().filter_map(server).collect())
}

fn read_if_there(root: &Path, path: &str) -> io::Result<Vec<IpAddr>> {
    let mut octets = Vec::new();
    match root::open(root, Path::new(path), OFlag::O_CLOEXEC | OFlag::O_NONBLOCK) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?.read_to_end(&mut octets)?,
    };
    Ok(parse(&String::from_utf8_lossy(&octets)))
}

fn distinct(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let mut distinct = Vec::new();
    for address in addresses {
        if !distinct.contains(&address) {
            distinct.push(address);
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn texts(addresses: &[IpAddr]) -> Vec<String> {
        addresses.iter().map(IpAddr::to_string).collect()
    }

    #[test]
    fn servers_are_read_in_order_each_once() {
        let text = "# nameserver 192.0.2.1\nsearch example.net\nnameserver 192.0.2.53\nnameserver\t2001:db8::53 # x\r\n\
                    nameserver fe80::1%eth0\nnameserver 192.0.2.53\n nameserver 192.0.2.2\nnameservers 192.0.2.3\n\
                    nameserver dns.example\nnameserver\n;nameserver 192.0.2.4\r\nnameserver 192.0.2.5\r\n";
        assert_eq!(texts(&parse(text)), ["192.0.2.53", "2001:db8::53", "fe80::1", "192.0.2.5"]);
    }

    fn root(resolv_conf: &str, behind: Option<&str>) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc")).unwrap();
        fs::create_dir_all(root.path().join("run/systemd/resolve")).unwrap();
        fs::write(root.path().join("etc/resolv.conf"), resolv_conf).unwrap();
        if let Some(text) = behind {
            fs::write(root.path().join("run/systemd/resolve/resolv.conf"), text).unwrap();
        }
        root
    }

    #[test]
    fn systemds_stub_is_replaced_by_the_servers_behind_it() {
        let root = root("nameserver 127.0.0.53\n", Some("nameserver 192.0.2.53\nnameserver 2001:db8::53\n"));
        let servers = servers(root.path()).unwrap();
        assert_eq!(texts(&servers.asked), ["127.0.0.53"]);
        assert_eq!(texts(&servers.behind), ["192.0.2.53", "2001:db8::53"]);
        assert!(!servers.only_loopback());
    }

    #[test]
    fn a_stub_with_nobody_behind_it_and_a_local_server_are_reported() {
        for (text, behind) in [
            ("nameserver 127.0.0.53\n", None),
            ("nameserver 127.0.0.53\n", Some("# none\n")),
            ("nameserver 127.0.0.1\nnameserver ::1\n", Some("nameserver 192.0.2.53\n")),
        ] {
            let root = root(text, behind);
            assert!(servers(root.path()).unwrap().only_loopback(), "{text:?} {behind:?}");
        }
        let root = root("nameserver 127.0.0.1\nnameserver 192.0.2.53\n", None);
        assert!(!servers(root.path()).unwrap().only_loopback());
    }

    #[test]
    fn a_missing_file_names_nobody_and_an_absolute_link_stays_under_the_root() {
        let empty = tempfile::tempdir().unwrap();
        let found = servers(empty.path()).unwrap();
        assert_eq!((&found, found.only_loopback()), (&Servers::default(), false));
        let root = root("", Some("nameserver 192.0.2.53\n"));
        let link = root.path().join("etc/resolv.conf");
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(BEHIND_STUB, &link).unwrap();
        assert_eq!(texts(&servers(root.path()).unwrap().asked), ["192.0.2.53"]);
    }
}
