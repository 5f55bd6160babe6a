//! Each test has a root of its own. Events of inotify are queued before the call that causes them returns, so that one look
//! tells what there is to tell, without waiting.

use super::*;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;

/// A root with directories, resolv.conf and passwd, and the watch of it.
struct Site {
    root: tempfile::TempDir,
    watch: Watch,
}

impl Site {
    fn new(make: impl FnOnce(&Path)) -> Self {
        let root = tempfile::tempdir().unwrap();
        make(root.path());
        let watch = Watch::new(root.path()).unwrap();
        Self { root, watch }
    }

    fn usual() -> Self {
        Self::new(|root| {
            fs::create_dir_all(root.join("etc")).unwrap();
            fs::write(root.join("etc/resolv.conf"), "nameserver 192.0.2.1\n").unwrap();
            fs::write(root.join("etc/passwd"), "root:x:0:0::/:/bin/sh\n").unwrap();
        })
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn changed(&mut self) -> Vec<Watched> {
        self.watch.changed().unwrap().into_iter().collect()
    }

    /// Nothing is left to tell, and the descriptor is not ready either once what was dropped has been read.
    fn silent(&mut self) {
        assert_eq!(self.changed(), []);
        let mut ready = [nix::poll::PollFd::new(self.watch.fd(), nix::poll::PollFlags::POLLIN)];
        assert_eq!(nix::poll::poll(&mut ready, 0u8).unwrap(), 0);
    }

    /// Writes beside the file and renames, as systemd-resolved, NetworkManager and most editors do.
    fn replace(&self, path: &str, text: &str) {
        let beside = self.at(&format!("{path}.new"));
        fs::write(&beside, text).unwrap();
        fs::rename(beside, self.at(path)).unwrap();
    }
}

use Watched::{Passwd, ResolvConf};

#[test]
fn a_file_that_is_written_replaced_removed_or_made_anew_is_seen_each_time() {
    let mut site = Site::usual();
    site.silent();
    for round in 0..3 {
        fs::write(site.at("etc/resolv.conf"), "nameserver 192.0.2.2\n").unwrap();
        assert_eq!(site.changed(), [ResolvConf], "written in place, {round}");
        let mut open = fs::File::options().append(true).open(site.at("etc/resolv.conf")).unwrap();
        open.write_all(b"nameserver 192.0.2.3\n").unwrap();
        drop(open);
        assert_eq!(site.changed(), [ResolvConf], "appended to, {round}");
        site.replace("etc/resolv.conf", "nameserver 192.0.2.4\n");
        assert_eq!(site.changed(), [ResolvConf], "replaced by rename, {round}");
        fs::remove_file(site.at("etc/resolv.conf")).unwrap();
        assert_eq!(site.changed(), [ResolvConf], "removed, {round}");
        fs::write(site.at("etc/resolv.conf"), "nameserver 192.0.2.5\n").unwrap();
        assert_eq!(site.changed(), [ResolvConf], "made anew, {round}");
        site.silent();
    }
    site.replace("etc/passwd", "chrony:x:992:989::/:/sbin/nologin\n");
    assert_eq!(site.changed(), [Passwd]);
    fs::rename(site.at("etc/resolv.conf"), site.at("etc/resolv.conf.saved")).unwrap();
    fs::write(site.at("etc/passwd"), "").unwrap();
    assert_eq!(site.changed(), [ResolvConf, Passwd]);
    site.silent();
}

#[test]
fn a_file_that_is_made_in_place_is_seen_once_more_when_it_is_written() {
    let mut site = Site::usual();
    fs::remove_file(site.at("etc/resolv.conf")).unwrap();
    assert_eq!(site.changed(), [ResolvConf]);
    let mut made = fs::File::create(site.at("etc/resolv.conf")).unwrap();
    assert_eq!(site.changed(), [ResolvConf]);
    made.write_all(b"nameserver 192.0.2.2\n").unwrap();
    drop(made);
    assert_eq!(site.changed(), [ResolvConf]);
}

#[test]
fn other_files_beside_the_followed_ones_are_no_news() {
    let mut site = Site::usual();
    for name in ["etc/resolv.conf.d", "etc/group", "etc/.pwd.lock", "etc/passwd-", "run"] {
        fs::write(site.at(name), "x").unwrap();
        assert_eq!(site.changed(), [], "{name}");
        fs::remove_file(site.at(name)).unwrap();
        assert_eq!(site.changed(), [], "{name}");
    }
    fs::write(site.at("etc/group"), "x").unwrap();
    site.changed();
    // In a directory what is written to another file does not even make the descriptor ready.
    fs::write(site.at("etc/group"), "y").unwrap();
    fs::read(site.at("etc/resolv.conf")).unwrap();
    let mut ready = [nix::poll::PollFd::new(site.watch.fd(), nix::poll::PollFlags::POLLIN)];
    assert_eq!(nix::poll::poll(&mut ready, 0u8).unwrap(), 0);
}

/// /etc/resolv.conf is a link to a link, as resolvconf and alternatives have it; relative and absolute.
fn linked() -> Site {
    Site::new(|root| {
        for directory in ["etc/alternatives", "run/resolvconf", "run/NetworkManager", "run/systemd/resolve"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        symlink("alternatives/resolv.conf", root.join("etc/resolv.conf")).unwrap();
        symlink(
            "/etc/alternatives/../../run/resolvconf/resolv.conf",
            root.join("etc/alternatives/resolv.conf"),
        )
        .unwrap();
        fs::write(root.join("run/resolvconf/resolv.conf"), "nameserver 192.0.2.1\n").unwrap();
        fs::write(root.join("run/NetworkManager/resolv.conf"), "nameserver 192.0.2.2\n").unwrap();
        fs::write(root.join("run/systemd/resolve/stub-resolv.conf"), "nameserver 127.0.0.53\n").unwrap();
    })
}

#[test]
fn through_a_chain_of_links_every_link_and_the_target_is_followed() {
    let mut site = linked();
    site.silent();
    fs::write(site.at("run/resolvconf/resolv.conf"), "nameserver 192.0.2.3\n").unwrap();
    assert_eq!(site.changed(), [ResolvConf], "the target written");
    site.replace("run/resolvconf/resolv.conf", "nameserver 192.0.2.4\n");
    assert_eq!(site.changed(), [ResolvConf], "the target replaced");

    symlink("/run/NetworkManager/resolv.conf", site.at("etc/alternatives/new")).unwrap();
    fs::rename(site.at("etc/alternatives/new"), site.at("etc/alternatives/resolv.conf")).unwrap();
    assert_eq!(site.changed(), [ResolvConf], "the second link replaced");
    site.replace("run/resolvconf/resolv.conf", "nameserver 192.0.2.5\n");
    assert_eq!(site.changed(), [], "what it led to before");
    site.replace("run/NetworkManager/resolv.conf", "nameserver 192.0.2.6\n");
    assert_eq!(site.changed(), [ResolvConf], "what it leads to now");

    fs::remove_file(site.at("etc/resolv.conf")).unwrap();
    symlink("../run/systemd/resolve/stub-resolv.conf", site.at("etc/resolv.conf")).unwrap();
    assert_eq!(site.changed(), [ResolvConf], "the first link replaced");
    site.replace("run/NetworkManager/resolv.conf", "nameserver 192.0.2.7\n");
    assert_eq!(site.changed(), []);
    site.replace("run/systemd/resolve/resolv.conf", "nameserver 192.0.2.53\n");
    assert_eq!(site.changed(), [ResolvConf], "the servers behind the stub");

    site.replace("etc/resolv.conf", "nameserver 192.0.2.8\n");
    assert_eq!(site.changed(), [ResolvConf], "a file in place of the link");
    site.silent();
}

#[test]
fn what_is_missing_is_seen_when_it_comes_directories_and_all() {
    let mut site = Site::new(|_| {});
    site.silent();
    fs::create_dir(site.at("etc")).unwrap();
    assert_eq!(site.changed(), [], "a directory is not the file");
    symlink("/run/systemd/resolve/stub-resolv.conf", site.at("etc/resolv.conf")).unwrap();
    assert_eq!(site.changed(), [], "nor is a link to nothing");
    for directory in ["run", "run/systemd", "run/systemd/resolve"] {
        fs::create_dir(site.at(directory)).unwrap();
        assert_eq!(site.changed(), []);
    }
    site.replace("run/systemd/resolve/stub-resolv.conf", "nameserver 127.0.0.53\n");
    assert_eq!(site.changed(), [ResolvConf]);
    fs::remove_dir_all(site.at("run")).unwrap();
    assert_eq!(site.changed(), [ResolvConf]);
    site.silent();
    // All in one: the walk after the first event finds the rest.
    fs::create_dir_all(site.at("run/systemd/resolve")).unwrap();
    fs::write(site.at("run/systemd/resolve/stub-resolv.conf"), "nameserver 127.0.0.53\n").unwrap();
    assert_eq!(site.changed(), [ResolvConf]);
    fs::write(site.at("run/systemd/resolve/stub-resolv.conf"), "nameserver 127.0.0.54\n").unwrap();
    assert_eq!(site.changed(), [ResolvConf]);
}

#[test]
fn a_directory_that_another_takes_the_place_of_is_left_for_that_one() {
    let mut site = linked();
    fs::create_dir(site.at("other")).unwrap();
    fs::write(site.at("other/resolv.conf"), "nameserver 192.0.2.9\n").unwrap();
    fs::rename(site.at("run/resolvconf"), site.at("old")).unwrap();
    fs::rename(site.at("other"), site.at("run/resolvconf")).unwrap();
    assert_eq!(site.changed(), [ResolvConf]);
    fs::write(site.at("old/resolv.conf"), "x").unwrap();
    assert_eq!(site.changed(), [], "the directory that was there before");
    fs::write(site.at("run/resolvconf/resolv.conf"), "x").unwrap();
    assert_eq!(site.changed(), [ResolvConf]);
    site.silent();
}

#[test]
fn links_in_a_circle_are_as_good_as_no_file() {
    let mut site = Site::new(|root| {
        fs::create_dir(root.join("etc")).unwrap();
        symlink("other", root.join("etc/resolv.conf")).unwrap();
        symlink("resolv.conf", root.join("etc/other")).unwrap();
    });
    site.silent();
    site.replace("etc/other", "nameserver 192.0.2.1\n");
    assert_eq!(site.changed(), [ResolvConf]);
}

#[test]
fn a_file_that_is_written_by_another_of_its_names_is_seen() {
    let mut site = Site::usual();
    fs::hard_link(site.at("etc/resolv.conf"), site.at("resolv.dhclient")).unwrap();
    site.changed();
    fs::write(site.at("resolv.dhclient"), "nameserver 192.0.2.2\n").unwrap();
    assert_eq!(site.changed(), [ResolvConf]);
}

#[test]
fn when_events_were_lost_everything_that_is_there_counts_as_changed() {
    let mut site = Site::usual();
    let most: usize =
        fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    for number in 0..=most / 2 {
        let name = site.at(&format!("etc/{number}"));
        fs::write(&name, "").unwrap();
        fs::remove_file(name).unwrap();
    }
    let mut seen = BTreeSet::new();
    // A look reads so many events at a time; the kernel queues the word of the loss last.
    for _ in 0..=most {
        seen.extend(site.changed());
        if !seen.is_empty() {
            break;
        }
    }
    assert_eq!(Vec::from_iter(seen), [ResolvConf, Passwd]);
    fs::write(site.at("etc/resolv.conf"), "").unwrap();
    assert_eq!(site.changed(), [ResolvConf]);
}

const NAMESPACE: &str = "PORTGRAVE_TEST_WATCH";

/// Runs itself again in a mount namespace of its own.
#[test]
fn the_end_of_a_mount_on_the_way_is_seen() {
    if std::env::var_os(NAMESPACE).is_some() {
        return check_mounts();
    }
    let this = "host::watch::tests::the_end_of_a_mount_on_the_way_is_seen";
    let mut command = std::process::Command::new("unshare");
    command.arg("-rm").arg(std::env::current_exe().unwrap()).args(["--exact", this, "--nocapture"]);
    let output = command.env(NAMESPACE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{output:?}");
}

fn check_mounts() {
    use nix::mount::{MntFlags, MsFlags, mount, umount2};
    let none: Option<&str> = None;
    let mut site = Site::new(|root| {
        fs::create_dir(root.join("etc")).unwrap();
        fs::write(root.join("etc/passwd"), "below").unwrap();
        mount(Some("tmpfs"), &root.join("etc"), Some("tmpfs"), MsFlags::empty(), none).unwrap();
        fs::write(root.join("etc/passwd"), "above").unwrap();
    });
    site.silent();
    umount2(&site.at("etc"), MntFlags::empty()).unwrap();
    assert_eq!(site.changed(), [Passwd]);
    fs::write(site.at("etc/passwd"), "written").unwrap();
    assert_eq!(site.changed(), [Passwd]);
    // A file over a file, as containers have it, from before the watch.
    fs::write(site.at("hosts-own"), "x").unwrap();
    mount(Some(&site.at("hosts-own")), &site.at("etc/passwd"), none, MsFlags::MS_BIND, none).unwrap();
    site.watch = Watch::new(site.root.path()).unwrap();
    fs::write(site.at("hosts-own"), "y").unwrap();
    assert_eq!(site.changed(), [Passwd]);
    umount2(&site.at("etc/passwd"), MntFlags::empty()).unwrap();
}
