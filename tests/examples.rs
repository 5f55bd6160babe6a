//! The examples of docs/examples: what is committed is what the templates come to, `check` has nothing to warn of, and every
//! packet that a README tells of fares as it says.
//!
//! `PROBES=1 cargo test --test examples -- --nocapture` prints the packets.

#[path = "examples/copy.rs"]
mod copy;
#[path = "examples/probes.rs"]
mod probes;
mod rig;
#[path = "examples/site.rs"]
mod site;

use copy::{Copy, examples, files_below};
use probes::{Probe, blocks};
use rig::{has_all_users, isolated, printed, say};
use site::{Interface, Outcome, Site};
use std::path::Path;

struct Example {
    name: &'static str,
    interfaces: [Interface; 2],
    /// Addresses of the first interface beside its own.
    more: &'static [&'static str],
}

const MAIL_GATEWAY: Example = Example {
    name: "mail-gateway",
    interfaces: [("eth0", "198.51.100.11", "2001:db8:100::11"), ("eth1", "10.20.5.11", "2001:db8:20:5::11")],
    more: &["198.51.100.25", "2001:db8:100::25"],
};

const JUMP_HOST: Example = Example {
    name: "jump-host",
    interfaces: [("eth0", "203.0.113.5", "2001:db8:113::5"), ("eth1", "10.30.1.5", "2001:db8:30:1::5")],
    more: &[],
};

const REVERSE_PROXY: Example = Example {
    name: "reverse-proxy",
    interfaces: [("eth0", "192.0.2.80", "2001:db8:2::80"), ("eth1", "10.50.1.80", "2001:db8:50:1::80")],
    more: &[],
};

const ALL: [&Example; 3] = [&MAIL_GATEWAY, &JUMP_HOST, &REVERSE_PROXY];

/// What a README has beside policy files; anything else would be a file that nothing looks at.
const PARTS: [&str; 4] = ["README.md", "portgrave.toml", "vars.yml", "names.toml"];

#[test]
fn there_is_no_file_among_the_examples_that_is_not_looked_at() {
    let names = ALL.map(|example| example.name);
    for file in files_below(&examples()) {
        let parts: Vec<&str> = file.iter().filter_map(|part| part.to_str()).collect();
        let known = match parts.as_slice() {
            ["README.md"] => true,
            // tests/port_table.rs and tests/shipped.rs
            ["clearswift-seg", file] => file.ends_with(".toml"),
            [example, part] => names.contains(example) && PARTS.contains(part),
            [example, "policy.d" | "portgrave.d", file] => names.contains(example) && file.ends_with(".toml"),
            [example, "templates", file] => names.contains(example) && file.ends_with(".toml.j2"),
            ["jump-host", "root", "etc", "passwd" | "resolv.conf"] => true,
            _ => false,
        };
        assert!(known, "{} belongs to no example", file.display());
    }
}

#[test]
fn what_is_committed_is_what_the_templates_come_to() {
    for Example { name, .. } in ALL {
        let committed = examples().join(name);
        let copy = Copy::of(name);
        std::fs::remove_dir_all(copy.path("policy.d")).expect("the copied files");
        std::fs::create_dir(copy.path("policy.d")).expect("a directory");
        copy.render(&[]);
        let files = files_below(&committed.join("policy.d"));
        assert_eq!(files_below(&copy.path("policy.d")), files, "{name}: each file has a template");
        for file in files {
            let path = Path::new("policy.d").join(file);
            let text = std::fs::read_to_string(committed.join(&path)).expect("a committed file");
            let rendered = copy.read(&path.display().to_string());
            assert_eq!(rendered, text, "{name}/{}", path.display());
        }
    }
}

#[test]
fn the_commands_of_each_readme_find_nothing_to_warn_of() {
    isolated("the_commands_of_each_readme_find_nothing_to_warn_of", || {
        for Example { name, .. } in ALL {
            let copy = Copy::of(name);
            prepared(&copy);
            // The same with the layers where they are installed.
            let output = copy.command("check").output().expect("portgrave starts");
            assert!(silent(&output), "{name}: {}", printed(&output));
            // A check that cannot fail would say the same of this.
            let site = copy.read("policy.d/50-site.toml").replace("\"in\"", "\"inn\"");
            copy.write(Path::new("policy.d/50-site.toml"), &site);
            let output = copy.command("check").output().expect("portgrave starts");
            assert!(
                !output.status.success() && printed(&output).contains("error[PG212]"),
                "{}",
                printed(&output)
            );
        }
    });
}

#[test]
fn the_tasks_of_the_readmes_are_yaml() {
    let readme = std::fs::read_to_string(examples().join("mail-gateway/README.md")).expect("a README");
    let tasks = blocks(&readme, "yaml");
    assert_eq!(tasks.len(), 2);
    for task in tasks {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("task.yml"), &task).expect("a file");
        let read = "import sys, yaml; [task] = yaml.safe_load(open(sys.argv[1])); print(task['name'])";
        let mut python = std::process::Command::new(rig::servers::PYTHON);
        let output = python.args(["-c", read]).arg(dir.path().join("task.yml")).output().expect("python3");
        assert!(output.status.success(), "{task}\n{}", printed(&output));
    }
}

#[test]
fn the_mail_gateway_does_what_its_readme_says() {
    isolated("the_mail_gateway_does_what_its_readme_says", || {
        let (site, copy, probes) = proven(&MAIL_GATEWAY);
        // The other node is in charge while the policy is applied, and gives the address back after it.
        site.more_addresses("del", MAIL_GATEWAY.more);
        apply(&site, &copy);
        site.more_addresses("add", MAIL_GATEWAY.more);
        probed(&site, &copy, &probes);
    });
}

#[test]
fn the_jump_host_does_what_its_readme_says() {
    isolated("the_jump_host_does_what_its_readme_says", || {
        let (site, copy, probes) = proven(&JUMP_HOST);
        copy.render(&["out_default=audit"]);
        apply(&site, &copy);
        let audited: Vec<Probe> = probes
            .iter()
            .cloned()
            .map(|probe| Probe { passes: probe.passes || !probe.is_in, ..probe })
            .collect();
        probed(&site, &copy, &audited);
        copy.render(&[]);
        apply(&site, &copy);
        probed(&site, &copy, &probes);
    });
}

#[test]
fn the_reverse_proxy_does_what_its_readme_says() {
    isolated("the_reverse_proxy_does_what_its_readme_says", || {
        let (site, copy, probes) = proven(&REVERSE_PROXY);
        let mut list = copy.read(BLOCKLIST);
        assert_eq!(list.lines().count(), 500_000);
        if !has_all_users() {
            // The buffer of an ordinary user's socket may be too small for a batch of that size.
            list = of_every_kind(&list);
            copy.write(Path::new(BLOCKLIST), &list);
            copy.render(&["blocklist_min_entries=1000"]);
            say(format!("an ordinary user: a list of {} entries", list.lines().count()));
        }
        apply(&site, &copy);
        probed(&site, &copy, &probes);
        // A list that was cut short is not taken, and what is in force stays.
        let short = list.lines().take(list.lines().count() / 10).map(|line| format!("{line}\n"));
        copy.write(Path::new(BLOCKLIST), &short.collect::<String>());
        let said = apply(&site, &copy);
        assert!(said.contains("warning[PG414]"), "{said}");
        let listed: Vec<Probe> =
            probes.iter().filter(|probe| probe.counter == "in.blocked").cloned().collect();
        assert!(listed.len() >= 6);
        probed(&site, &copy, &listed);
    });
}

const BLOCKLIST: &str = "root/etc/portgrave/lists/blocklist.txt";

/// One line in a hundred, and the lines that probes of the README ask for.
fn of_every_kind(list: &str) -> String {
    let asked = [399_999, 400_004, 499_998, 499_999];
    let kept = list.lines().enumerate().filter(|(index, _)| index % 100 == 0 || asked.contains(index));
    kept.map(|(_, line)| format!("{line}\n")).collect()
}

/// The machine of an example, where each of its probes was seen to get through without rules.
fn proven(example: &Example) -> (Site, Copy, Vec<Probe>) {
    let copy = Copy::of(example.name);
    prepared(&copy);
    let site = Site::new(&example.interfaces, example.more);
    let probes = probes::of(&copy.read("README.md"));
    for probe in probes.iter().filter(|probe| Site::can_be(uid(&copy, probe))) {
        let seen = site.send(probe, uid(&copy, probe));
        assert_eq!(seen.outcome, Outcome::Passed, "without rules: {}", probe.written);
    }
    (site, copy, probes)
}

/// Runs the README's commands, which make what the example needs and check it. Whether the machine outside forwards
/// packets, which `check` would warn of, is not to be seen here.
fn prepared(copy: &Copy) {
    for key in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
        std::fs::write(format!("/proc/sys/net/{key}"), "0")
            .expect("a setting of a network namespace of our own");
    }
    let [block] = blocks(&copy.read("README.md"), "sh").try_into().expect("one block of commands");
    let output = copy.shell(&block);
    assert!(silent(&output), "{block}: {}", printed(&output));
}

fn silent(output: &std::process::Output) -> bool {
    output.status.success()
        && printed(output).contains(" 0 warnings")
        && !printed(output).contains("warning[")
}

fn apply(site: &Site, copy: &Copy) -> String {
    let output = copy.apply(&site.gw);
    assert!(output.status.success(), "{}", printed(&output));
    printed(&output)
}

fn probed(site: &Site, copy: &Copy, probes: &[Probe]) {
    let (mut wrong, mut passed, mut dropped) = (Vec::new(), 0, 0);
    for probe in probes {
        let uid = uid(copy, probe);
        if !Site::can_be(uid) {
            // An ordinary user has no second one here.
            let rules = site.gw.nft_list(&["list", "table", "inet", "portgrave"]);
            assert!(rules.contains(&format!("meta skuid {uid} ")), "{}: {rules}", probe.written);
            say(format!("only one user here, not tried: {}", probe.written));
            continue;
        }
        let seen = site.send(probe, uid);
        let as_written = (seen.outcome == Outcome::Passed) == probe.passes;
        if !as_written || !seen.moved.contains(&probe.counter) {
            wrong.push(format!("{}: {seen:?}", probe.written));
        }
        if probe.passes {
            passed += 1
        } else {
            dropped += 1
        }
        if std::env::var_os("PROBES").is_some() {
            say(&probe.written);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    say(format!("{passed} packets passed and {dropped} were dropped, as they should"));
}

/// The user of a probe, as the passwd of the example has it.
fn uid(copy: &Copy, probe: &Probe) -> u32 {
    if probe.user == "root" {
        return 0;
    }
    let passwd = copy.read("root/etc/passwd");
    let of_user = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields[0] == probe.user).then(|| fields[2].parse().ok()).flatten()
    };
    passwd.lines().find_map(of_user).unwrap_or_else(|| panic!("no user: {}", probe.written))
}
