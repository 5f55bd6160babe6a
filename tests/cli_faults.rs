//! The built program where something is wrong: the store, the disk, the privileges, the files that it is given. Whatever it
//! is, it is said, and what runs stays.
#![cfg(feature = "kernel")]

#[path = "common/ns.rs"]
mod ns;
#[path = "common/site.rs"]
mod site;

use ns::{Namespace, ran_inside};
use portgrave::netlink::{Kernel, NfTables};
use serde_json::Value;
use site::{SITE, Site, listing, nft, outcome};
use std::process::Command;

/// Runs a shell script in a mount namespace of its own, with `$STATE` the state directory and `"$@"` an `apply --json`.
fn apply_after(site: &Site, script: &str) -> (i32, String) {
    let flags = if nix::unistd::geteuid().is_root() { "-m" } else { "-rm" };
    let mut command = Command::new("unshare");
    command.args([
        flags,
        "sh",
        "-ec",
        script,
        "sh",
        env!("CARGO_BIN_EXE_portgrave"),
        "apply",
        "--json",
        "--config",
    ]);
    command.arg(site.path("portgrave.toml")).arg("--policy").arg(site.path("site.toml"));
    command.arg("--names").arg(site.path("names.toml")).env("STATE", site.path("state"));
    outcome(&command.output().expect("unshare starts"))
}

/// What must be so of a refused apply: the status, the outcome, the words, and a kernel that nobody has written to.
fn assert_refused((status, text): &(i32, String), words: &str) {
    assert_eq!(*status, 1, "{text}");
    assert!(text.contains("\"outcome\": \"refused\"") && text.contains(words), "{words}: {text}");
}

#[test]
fn a_state_directory_that_cannot_be_written_refuses_the_change() {
    if ran_inside(Namespace::Network, "a_state_directory_that_cannot_be_written_refuses_the_change") {
        return;
    }
    let site = Site::new();
    site.apply();
    site.write("site.toml", &SITE.replace("ssh-in", "console"));
    let (before, generation) = (listing(), NfTables.generation().unwrap());
    let read_only = "mount --bind \"$STATE\" \"$STATE\"; mount -o remount,ro,bind \"$STATE\"; \"$@\"";
    assert_refused(&apply_after(&site, read_only), "Read-only file system");
    assert_eq!((before, generation), (listing(), NfTables.generation().unwrap()));
    assert!(site.apply().contains("applied: generation 2"), "once it can be written");
}

#[test]
fn a_first_apply_on_a_full_disk_leaves_no_table() {
    if ran_inside(Namespace::Network, "a_first_apply_on_a_full_disk_leaves_no_table") {
        return;
    }
    let site = Site::new();
    std::fs::create_dir(site.path("state")).unwrap();
    let full =
        "mount -t tmpfs -o size=4k tmpfs \"$STATE\"; head -c 4096 /dev/zero >\"$STATE/filler\"; \"$@\"";
    assert_refused(&apply_after(&site, full), "No space left on device");
    assert_eq!(nft(&["list", "ruleset"]), "");
}

#[test]
fn a_file_in_place_of_the_state_directory_is_named() {
    if ran_inside(Namespace::Network, "a_file_in_place_of_the_state_directory_is_named") {
        return;
    }
    let site = Site::new();
    site.write("state", "");
    assert_refused(&apply_after(&site, "\"$@\""), &site.path("state").display().to_string());
    assert_eq!(nft(&["list", "ruleset"]), "");
}

#[test]
fn a_list_in_the_store_that_was_changed_refuses_the_change() {
    if ran_inside(Namespace::Network, "a_list_in_the_store_that_was_changed_refuses_the_change") {
        return;
    }
    let site = Site::new();
    site.write("block.txt", "198.51.100.7\n");
    let list = site.path("block.txt");
    let group = format!("language = 1\n[hosts]\nblock = {{ file = \"{}\" }}\n", list.display());
    let rule = "[[rule]]\nname = \"block\"\ndirection = \"in\"\nports = [\"any\"]\npeers = \"@block\"\naction = \"deny\"\n";
    site.write("site.toml", &(SITE.replacen("language = 1\n", &group, 1) + rule));
    site.apply();
    let (before, generation) = (listing(), NfTables.generation().unwrap());
    let kept = std::fs::read_dir(site.path("state/lists")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(kept, "192.0.2.1\n").unwrap();
    assert_refused(&apply_after(&site, "\"$@\""), "is not what portgrave wrote");
    assert_eq!((before, generation), (listing(), NfTables.generation().unwrap()));
}

#[test]
fn learned_addresses_that_cannot_be_read_are_a_warning() {
    if ran_inside(Namespace::Network, "learned_addresses_that_cannot_be_read_are_a_warning") {
        return;
    }
    let site = Site::new();
    site.apply();
    site.write("state/names.json", "junk");
    let mut command = Command::new(env!("CARGO_BIN_EXE_portgrave"));
    command.args(["apply", "--names-wait", "0s", "--config"]).arg(site.path("portgrave.toml"));
    let output = command.arg("--policy").arg(site.path("site.toml")).output().expect("portgrave starts");
    let (status, text) = outcome(&output);
    assert!(status == 0 && text.contains("warning[PG606]") && text.contains("names.json"), "{text}");
}

#[test]
fn given_addresses_are_in_force_and_refused_ones_are_told() {
    if ran_inside(Namespace::Network, "given_addresses_are_in_force_and_refused_ones_are_told") {
        return;
    }
    let site = Site::new();
    site.write(
        "names.toml",
        "\"repo.example.net\" = [\"93.184.216.34\", \"10.0.0.7\", \"::1\", \"2606:4700::1111\"]\n",
    );
    let text = site.apply();
    let held = nft(&["list", "table", "inet", "portgrave"]);
    assert!(
        held.contains("93.184.216.34 . tcp . 80") && held.contains("2606:4700::1111 . tcp . 80"),
        "{held}"
    );
    assert!(!held.contains("10.0.0.7"), "{held}");
    let told = |address: &str| text.lines().any(|line| line.contains("PG413") && line.contains(address));
    assert!(told("10.0.0.7") && told("::1") && !told("93.184.216.34"), "{text}");
}

#[test]
fn every_verb_says_what_it_lacks_without_privilege() {
    let site = Site::new();
    if !nix::unistd::geteuid().is_root() {
        let (status, text) = site.run(&["counters"]);
        assert!(status == 1 && text.contains("CAP_NET_ADMIN"), "{text}");
        return;
    }
    for (verb, wanted, words) in [
        ("check", 0, "sound"),
        ("show", 0, "table inet"),
        ("plan", 1, "CAP_NET_ADMIN"),
        ("counters", 1, "CAP_NET_ADMIN"),
    ] {
        let inner = site.command(&[verb]);
        let mut command = Command::new("setpriv");
        command.args(["--inh-caps=-all", "--bounding-set=-all", "--ambient-caps=-all"]);
        command.args(["--reuid=0", "--clear-groups", "--no-new-privs"]).arg(inner.get_program());
        command.args(inner.get_args());
        let (status, text) = outcome(&command.output().expect("setpriv starts (util-linux)"));
        assert!(status == wanted && text.contains(words), "{verb}: {status} {text}");
    }
}

#[test]
fn every_verb_prints_the_documented_fields() {
    if ran_inside(Namespace::Network, "every_verb_prints_the_documented_fields") {
        return;
    }
    let site = Site::new();
    let summary = ["rules_added", "rules_deleted", "objects_added", "elements_added", "elements_deleted"];
    for (verb, wanted, fields) in [
        ("check", 0, &["rules", "kernel", "findings"][..]),
        ("show", 0, &["table", "chains", "sets", "objects", "findings"]),
        ("plan", 2, &["changes", "summary", "findings"]),
        (
            "apply",
            0,
            &["changed", "generation", "outcome", "summary", "adopted", "names", "lapse", "findings"],
        ),
        ("plan", 0, &["changes", "summary", "findings"]),
        ("counters", 0, &["counters"]),
        ("status", 3, &["generation", "applied", "files", "daemon", "kernel", "names", "error", "findings"]),
        ("flush", 0, &["changed"]),
    ] {
        let (status, value) = site.json(&[verb]);
        assert_eq!(status, wanted, "{verb}: {value}");
        let object = value.as_object().unwrap_or_else(|| panic!("{verb}: {value}"));
        assert!(fields.iter().all(|field| object.contains_key(*field)), "{verb}: {value}");
        if let Some(held) = object.get("summary") {
            assert!(summary.iter().all(|field| held[field].is_u64()), "{verb}: {held}");
        }
    }
}

#[test]
fn an_unsound_policy_ends_every_verb_that_reads_it_with_1_and_writes_nothing() {
    if ran_inside(
        Namespace::Network,
        "an_unsound_policy_ends_every_verb_that_reads_it_with_1_and_writes_nothing",
    ) {
        return;
    }
    let site = Site::new();
    site.write("site.toml", &SITE.replace("\"ssh\"", "\"shh\""));
    for verb in ["check", "show", "plan", "apply"] {
        let (status, text) = site.run(&[verb]);
        assert!(status == 1 && text.contains("error[PG305]"), "{verb}: {text}");
        let (status, value) = site.json(&[verb]);
        assert_eq!((status, &value["findings"][0]["code"]), (1, &Value::from("PG305")), "{verb}: {value}");
    }
    assert_eq!(nft(&["list", "ruleset"]), "");
    assert!(!site.path("state").exists());
}

#[test]
fn a_plan_names_the_rule_that_an_edit_touches_and_what_somebody_else_changed() {
    if ran_inside(
        Namespace::Network,
        "a_plan_names_the_rule_that_an_edit_touches_and_what_somebody_else_changed",
    ) {
        return;
    }
    let site = Site::new();
    site.apply();
    nft(&["insert rule inet portgrave input accept"]);
    let (status, text) = site.run(&["plan"]);
    assert!(status == 2 && text.contains("- rule input"), "{text}");
    site.apply();
    site.write("site.toml", &SITE.replace("\"192.0.2.7\"", "\"192.0.2.8\""));
    let (status, text) = site.run(&["plan"]);
    let gained = text.lines().any(|line| {
        line.starts_with("+ elements") && line.contains("192.0.2.8") && line.contains("in.ssh-in")
    });
    let lost = text.lines().any(|line| line.starts_with("- elements") && line.contains("192.0.2.7"));
    assert!(status == 2 && gained && lost, "{text}");
}
