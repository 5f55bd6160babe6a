//! A reload takes what is sound, refuses what is not, and says so; what is in force stays true to the machine.

#[path = "agent_reload/broken.rs"]
mod broken;
mod lab;
mod rig;

use lab::samples::{both, resolver};
use lab::table::{self, Table};
use lab::{Daemon, Lab, SERVERS, Site};
use rig::{isolated, printed, program};
use serde_json::Value;
use std::process::{Command, Output};

const LONG: u32 = 86_400;
const FEW: u32 = 100;

fn learnt<'a>(lab: &'a Lab, site: &'a Site) -> Daemon<'a> {
    let daemon = site.run(&lab.gw);
    let [v4, v6] = both(1);
    daemon.holds(&[&v4, &v6]);
    daemon.line(&["applied: the user that names are asked as"], 1);
    daemon
}

/// The settings of [`table::site`].
fn settings() -> String {
    resolver(&[SERVERS[0].parse().expect("an address")], "")
}

/// Asks the daemon with settings that only say where its socket is, whatever has become of its own.
fn ask(daemon: &Daemon<'_>, verb: &[&str]) -> Output {
    let config = daemon.site.path("ask.toml");
    let text = format!("[paths]\nruntime-dir = \"{}\"\n", daemon.site.path("run").display());
    std::fs::write(&config, text).expect("a settings file");
    daemon.ns.output(Command::new(program()).args(verb).arg("--config").arg(config))
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", printed(output)))
}

#[test]
fn a_broken_file_leaves_the_policy_in_force_and_is_told_and_a_sound_one_heals_it() {
    isolated("a_broken_file_leaves_the_policy_in_force_and_is_told_and_a_sound_one_heals_it", || {
        let lab = Lab::new();
        let site = table::site(&lab, LONG, FEW);
        let daemon = learnt(&lab, &site);
        let before = Table::read(&lab.gw);
        assert!(broken::BROKEN.len() >= 20);
        let mut untold = Vec::new();
        for (number, broken) in (1..).zip(broken::BROKEN) {
            (broken.breaks)(&site);
            let said = daemon.lines.all().len();
            daemon.reload();
            untold.extend(is_told(&daemon, broken, said));
            let output = ask(&daemon, &["reload", "--json"]);
            assert_eq!(output.status.code(), Some(1), "{}: {}", broken.what, printed(&output));
            let reply = json(&output);
            assert_eq!(reply["outcome"], "refused", "{}: {reply:#}", broken.what);
            assert_eq!((&reply["changed"], &reply["generation"]), (&false.into(), &1.into()), "{reply:#}");
            assert!(reply["findings"].to_string().contains(broken.code), "{}: {reply:#}", broken.what);
            assert_eq!(before.differences(&Table::read(&lab.gw)), Vec::<String>::new(), "{}", broken.what);
            broken::mend(&site, &settings());
            daemon.reload();
            let output = ask(&daemon, &["status", "--json"]);
            assert_eq!(output.status.code(), Some(0), "{}: {}", broken.what, printed(&output));
            assert_eq!(before.differences(&Table::read(&lab.gw)), Vec::<String>::new(), "{}", broken.what);
            daemon.line(&["refused: reload (SIGHUP)"], number);
            daemon.line(&["unchanged: reload (SIGHUP)"], number);
        }
        assert!(untold.is_empty(), "{}", untold.join("\n"));
        let notified = daemon.notified("RELOADING=1", 3 * broken::BROKEN.len());
        assert!(notified.iter().all(|told| told.text.contains("MONOTONIC_USEC=")), "{notified:?}");
        assert_eq!(daemon.status()["drift"]["seen"], 0);
    });
}

/// Status and journal say what is wrong and where; what they say otherwise.
fn is_told(daemon: &Daemon<'_>, broken: &broken::Broken, said: usize) -> Option<String> {
    let output = ask(daemon, &["status"]);
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(1), "{}: {text}", broken.what);
    let journal = daemon.lines.all()[said..].join("\n");
    let last = json(&ask(daemon, &["status", "--json"]));
    assert_eq!((&last["health"], &last["generation"]), (&"degraded".into(), &1.into()), "{last:#}");
    assert_eq!(last["last_change"]["outcome"], "refused", "{}: {last:#}", broken.what);
    let status = daemon.told.all();
    let line = status.iter().rev().find(|told| told.text.contains("STATUS=")).expect("a status line");
    assert!(line.text.contains("the files have errors and are not in force"), "{line:?}");
    let told = |text: &str| text.contains(broken.code) && text.contains(broken.place);
    (!told(&text) || !told(&journal)).then(|| format!("{}: {text}\n{journal}", broken.what))
}
