//! Whether this machine forwards packets between its interfaces.

use std::io;
use std::path::Path;

/// What Linux shows of the network namespace of whoever reads.
pub const SYSCTL: &str = "/proc/sys/net";

/// The families that are forwarded, by their names; one that the kernel lacks is not.
pub fn families(sysctl: &Path) -> io::Result<Vec<&'static str>> {
    let mut on = Vec::new();
    for (family, file) in [("IPv4", "ipv4/ip_forward"), ("IPv6", "ipv6/conf/all/forwarding")] {
        match std::fs::read_to_string(sysctl.join(file)) {
            Ok(text) if text.trim() != "0" => on.push(family),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(on)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_forwarded_where_its_sysctl_is_not_zero() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("ipv4")).unwrap();
        assert_eq!(families(dir.path()).unwrap(), [""; 0]);
        std::fs::write(dir.path().join("ipv4/ip_forward"), "1\n").unwrap();
        assert_eq!(families(dir.path()).unwrap(), ["IPv4"]);
        std::fs::create_dir_all(dir.path().join("ipv6/conf/all")).unwrap();
        std::fs::write(dir.path().join("ipv6/conf/all/forwarding"), "2\n").unwrap();
        assert_eq!(families(dir.path()).unwrap(), ["IPv4", "IPv6"]);
        std::fs::write(dir.path().join("ipv4/ip_forward"), "0\n").unwrap();
        assert_eq!(families(dir.path()).unwrap(), ["IPv6"]);
    }
}
