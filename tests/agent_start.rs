//! What is in force as soon as a daemon is ready, whatever has become of its files, its state and its disk.

#[path = "agent_start/hostile.rs"]
mod hostile;
mod lab;
mod rig;

use lab::samples::{NAME, both, both_act};
use lab::table::{self, Table};
use lab::{Act, Daemon, Lab, SERVERS, Site, eventually};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::Signal;
use rig::isolated;
use serde_json::Value;
use std::path::Path;

const LONG: u32 = 86_400;
const FEW: u32 = 100;

/// A site whose daemon has learnt and kept a name's addresses, and was stopped.
fn stopped(lab: &Lab) -> Site {
    let site = table::site(lab, LONG, FEW);
    {
        let daemon = site.run(&lab.gw);
        learns(&daemon);
        eventually("the state file has both", || {
            let kept = std::fs::read_to_string(site.path("state/names.json")).unwrap_or_default();
            if both(1).iter().all(|address| kept.contains(address)) { Ok(()) } else { Err(kept) }
        });
        assert!(daemon.stop().success());
    }
    site
}

fn learns(daemon: &Daemon<'_>) {
    let [v4, v6] = both(1);
    daemon.holds(&[&v4, &v6]);
}

/// Waits until nothing is amiss.
fn healthy(daemon: &Daemon<'_>, what: &str) -> Value {
    eventually(&format!("{what}: healthy"), || {
        let status = daemon.status();
        if status["health"] == "healthy" { Ok(status) } else { Err(format!("{status:#}")) }
    })
}

/// As after a boot: nothing is in the kernel.
fn boot(lab: &Lab) {
    lab.gw.nft("flush ruleset\n");
}

#[test]
fn the_generation_and_its_addresses_are_in_force_before_anybody_is_asked() {
    isolated("the_generation_and_its_addresses_are_in_force_before_anybody_is_asked", || {
        let lab = Lab::new();
        let site = stopped(&lab);
        let before = Table::read(&lab.gw);
        lab.dns.set_at(SERVERS[0].parse().expect("an address"), Act::silent());
        for broken in [false, true] {
            boot(&lab);
            if broken {
                site.policy("broken", "language = 1\n[[rule\n");
            }
            let daemon = site.run(&lab.gw);
            let told = daemon.told.all();
            let first = told.iter().position(|told| told.text.contains("READY=1")).expect("it is ready");
            assert!(!told[..first].iter().any(|told| told.text.contains("WATCHDOG")), "{told:?}");
            assert_eq!(before.differences(&Table::read(&lab.gw)), Vec::<String>::new());
            daemon.line(&["the policy in force before the start", "generation=1"], 1);
            assert!(daemon.line(&["names are asked by"], 1).len() == 1);
            assert_eq!(daemon.status()["generation"], 1);
            if broken {
                let status = daemon.status();
                assert_eq!(status["health"], "degraded", "{status:#}");
                assert!(status["last_change"]["text"].to_string().contains("broken.toml:2:"), "{status:#}");
            }
            // Nobody is asked before the worker is ready, and the worker was not yet.
            let first_commit = lines(&daemon, "applied: the policy in force before the start");
            assert!(first_commit < lines(&daemon, "names are asked by"), "{:#?}", daemon.lines.all());
            assert!(daemon.stop().success());
        }
    });
}

fn lines(daemon: &Daemon<'_>, words: &str) -> usize {
    let all = daemon.lines.all();
    all.iter().position(|line| line.contains(words)).unwrap_or_else(|| panic!("no {words:?}: {all:#?}"))
}

#[test]
fn state_that_cannot_be_trusted_is_set_aside_with_a_warning_and_the_files_are_in_force() {
    isolated("state_that_cannot_be_trusted_is_set_aside_with_a_warning_and_the_files_are_in_force", || {
        let lab = Lab::new();
        let site = stopped(&lab);
        let before = Table::read(&lab.gw);
        let state = site.path("state");
        let kept = site.path("kept");
        copy(&state, &kept);
        for hostile in hostile::HOSTILE {
            boot(&lab);
            std::fs::remove_dir_all(&state).expect("the state directory");
            copy(&kept, &state);
            (hostile.spoils)(&state);
            let daemon = site.run(&lab.gw);
            if let Some(file) = hostile.set_aside {
                daemon.line(&["WARN", file], 1);
                let aside = state.join(format!("{file}.corrupt-1"));
                assert!(aside.symlink_metadata().is_ok(), "{}: {:#?}", hostile.what, daemon.lines.all());
            }
            learns(&daemon);
            assert_eq!(before.differences(&Table::read(&lab.gw)), Vec::<String>::new(), "{}", hostile.what);
            healthy(&daemon, hostile.what);
            assert!(daemon.stop().success(), "{}", hostile.what);
            let daemon = site.run(&lab.gw);
            assert_eq!(lines_of(&daemon, "WARN", "state/"), 0, "{}: {:#?}", hostile.what, daemon.lines.all());
            healthy(&daemon, hostile.what);
        }
    });
}

fn lines_of(daemon: &Daemon<'_>, level: &str, words: &str) -> usize {
    daemon.lines.count(|line| line.contains(level) && line.contains(words))
}

fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(status.expect("cp starts").success());
}

#[test]
fn special_addresses_in_the_state_file_are_in_no_set() {
    isolated("special_addresses_in_the_state_file_are_in_no_set", || {
        let lab = Lab::new();
        let site = stopped(&lab);
        let [v4, _] = both(1);
        for special in ["127.0.0.1", "10.99.0.1", "10.1.2.3", "169.254.169.254", "224.0.0.1", "0.0.0.0"] {
            let kept = site.kept_names();
            site.keep_names(&kept.replace(&v4, special));
            boot(&lab);
            let daemon = site.run(&lab.gw);
            assert!(!daemon.sets().holds(special), "{special}");
            daemon.holds(&[&v4]);
            assert!(daemon.stop().success());
        }
    });
}

#[test]
fn without_a_generation_the_files_are_in_force_and_without_sound_files_the_management_policy() {
    isolated(
        "without_a_generation_the_files_are_in_force_and_without_sound_files_the_management_policy",
        || {
            let lab = Lab::new();
            let site = table::site(&lab, LONG, FEW);
            site.policy("broken", "language = 1\n[[rule\n");
            let daemon = site.run(&lab.gw);
            daemon.line(&["ERROR", "refused: the files at the start"], 1);
            daemon.line(&["ERROR", "the built-in policy management is in force"], 1);
            let status = daemon.status();
            assert_eq!(
                (&status["health"], &status["management"]),
                (&"degraded".into(), &true.into()),
                "{status:#}"
            );
            let listing = lab.gw.nft_list(&["list", "table", "inet", "portgrave"]);
            assert!(listing.contains("tcp . 22") && listing.contains("policy drop"), "{listing}");
            std::fs::remove_file(site.path("policy.d/broken.toml")).expect("the broken file");
            daemon.reload();
            learns(&daemon);
            let status = daemon.status();
            assert_eq!(
                (&status["health"], &status["management"]),
                (&"healthy".into(), &false.into()),
                "{status:#}"
            );
        },
    );
}

#[test]
fn a_state_directory_that_cannot_be_written_leaves_the_machine_guarded_and_is_told() {
    isolated("a_state_directory_that_cannot_be_written_leaves_the_machine_guarded_and_is_told", || {
        let lab = Lab::new();
        let site = stopped(&lab);
        let before = Table::read(&lab.gw);
        let state = site.path("state");
        mount(Some(&state), &state, None::<&str>, MsFlags::MS_BIND, None::<&str>).expect("a bind mount");
        let read_only = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(None::<&str>, &state, None::<&str>, read_only, None::<&str>).expect("to make it read-only");
        boot(&lab);
        let server = SERVERS[0].parse().expect("an address");
        lab.dns.set_at(server, Act::silent());
        {
            let daemon = site.run(&lab.gw);
            assert_eq!(before.differences(&Table::read(&lab.gw)), Vec::<String>::new());
            is_unkept(&daemon);
            lab.dns.clear_at(server);
            lab.dns.set(NAME, both_act(2, LONG));
            let [v4, v6] = both(2);
            daemon.holds(&[&v4, &v6]);
            assert!(daemon.stop().success());
        }
        umount2(&state, MntFlags::empty()).expect("to take the mount off");
        let daemon = site.run(&lab.gw);
        healthy(&daemon, "a directory that can be written");
    });
}

#[test]
fn a_full_disk_at_the_first_start_leaves_the_machine_guarded_and_is_told() {
    isolated("a_full_disk_at_the_first_start_leaves_the_machine_guarded_and_is_told", || {
        let lab = Lab::new();
        let site = table::site(&lab, LONG, FEW);
        let state = site.path("state");
        mount(Some("tmpfs"), &state, Some("tmpfs"), MsFlags::empty(), Some("size=8k")).expect("a tmpfs");
        let _ = std::fs::write(state.join("filler"), vec![0; 16 << 10]);
        let daemon = site.run(&lab.gw);
        is_unkept(&daemon);
        learns(&daemon);
        let full = Table::read(&lab.gw);
        std::fs::remove_file(state.join("filler")).expect("the filler");
        umount2(&state, MntFlags::MNT_DETACH).expect("to take the mount off");
        daemon.reload();
        assert_eq!(healthy(&daemon, "a disk with room")["generation"], 1);
        assert_eq!(full.differences(&Table::read(&lab.gw)), Vec::<String>::new());
        assert!(site.path("state/generation.json").exists());
    });
}

fn is_unkept(daemon: &Daemon<'_>) {
    daemon.line(&["ERROR", "what is in force is not kept for the next start", "state"], 1);
    let status = daemon.status();
    assert_eq!(status["health"], "degraded", "{status:#}");
    assert!(status["degraded"].to_string().contains("is not kept for the next start"), "{status:#}");
}

#[test]
fn sigterm_and_sigint_leave_the_rules_and_end_well() {
    isolated("sigterm_and_sigint_leave_the_rules_and_end_well", || {
        let lab = Lab::new();
        let site = stopped(&lab);
        let before = Table::read(&lab.gw);
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let daemon = site.run(&lab.gw);
            daemon.signal(signal);
            let told = daemon.notified("STOPPING=1", 1);
            assert_eq!(told.len(), 1);
            let status = daemon.end();
            assert_eq!(status.code(), Some(0), "{signal}");
            assert_eq!(before.differences(&Table::read(&lab.gw)), Vec::<String>::new(), "{signal}");
        }
    });
}
