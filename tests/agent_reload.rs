//! A reload takes what is sound, refuses what is not, and says so; what is in force stays true to the machine.

#[path = "agent_reload/broken.rs"]
mod broken;
mod lab;
#[path = "agent_reload/machine.rs"]
mod machine;
mod rig;

use lab::flow::{self, Flow};
use lab::samples::{LONG, NAME, both, both_act, learnt, resolver};
use lab::table::{self, Table};
use lab::{Daemon, Lab, SERVERS, Site};
use rig::{isolated, printed, program, say};
use serde_json::Value;
use std::process::{Command, Output};

const FEW: u32 = 100;

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
            broken.breaks(&site);
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

#[test]
fn servers_users_and_addresses_of_the_machine_are_followed_and_nothing_else_is_written() {
    isolated("servers_users_and_addresses_of_the_machine_are_followed_and_nothing_else_is_written", || {
        let lab = Lab::new();
        let site = machine::site(&lab);
        let daemon = learnt(&lab, &site);
        machine::TURNS.iter().for_each(|turn| machine::follows(&lab, &daemon, turn));
        let status = daemon.status();
        assert_eq!((&status["drift"]["seen"], &status["generation"]), (&0.into(), &1.into()), "{status:#}");
        let [v4, v6] = both(1);
        let sets = daemon.sets();
        assert!(sets.holds(&v4) && sets.holds(&v6), "learned addresses stay: {sets:?}");
    });
}

/// The daemon is asked for what it does not do by itself.
#[test]
fn reload_and_apply_tell_their_outcome_and_flush_and_a_second_daemon_are_refused() {
    isolated("reload_and_apply_tell_their_outcome_and_flush_and_a_second_daemon_are_refused", || {
        let lab = Lab::new();
        let site = table::site(&lab, LONG, FEW);
        let output = site.output(&lab.gw, &["reload"]);
        assert!(
            !output.status.success() && printed(&output).contains("no daemon runs"),
            "{}",
            printed(&output)
        );
        let daemon = learnt(&lab, &site);
        let sound = Table::read(&lab.gw);
        let unchanged = site.output(&lab.gw, &["reload"]);
        assert_eq!(
            printed(&unchanged),
            "unchanged: generation 1, 5 rules in force and verified, by the daemon\n"
        );
        assert!(unchanged.status.success());
        warnings_stop_nothing(&daemon);
        handed_over(&lab, &daemon);
        daemon.reload();
        // A policy without the name has forgotten its addresses.
        let [v4, v6] = both(1);
        daemon.holds(&[&v4, &v6]);
        assert_eq!(
            sound.differences(&Table::read(&lab.gw)),
            Vec::<String>::new(),
            "the files are in force again"
        );
        let flush = site.output(&lab.gw, &["flush"]);
        assert!(!flush.status.success() && printed(&flush).contains("a daemon runs"), "{}", printed(&flush));
        let second = site.output(&lab.gw, &["run"]);
        assert_eq!(second.status.code(), Some(1), "{}", printed(&second));
        assert!(printed(&second).contains("a daemon runs already"), "{}", printed(&second));
        let status = daemon.status();
        assert_eq!(
            (&status["health"], &status["drift"]["seen"]),
            (&"healthy".into(), &0.into()),
            "{status:#}"
        );
        assert_eq!(sound.differences(&Table::read(&lab.gw)), Vec::<String>::new());
    });
}

fn warnings_stop_nothing(daemon: &Daemon<'_>) {
    let group = "language = 1\n[hosts]\nunused = [\"192.0.2.1\"]\n";
    daemon.site.policy("more", group);
    let output = daemon.site.output(daemon.ns, &["reload", "--json"]);
    let reply = json(&output);
    assert!(output.status.success(), "{reply:#}");
    let wanted = (&"applied".into(), &true.into(), &2.into());
    assert_eq!((&reply["outcome"], &reply["changed"], &reply["generation"]), wanted, "{reply:#}");
    assert!(reply["findings"].to_string().contains("PG331"), "{reply:#}");
    daemon.line(&["WARN", "warning[PG331]"], 1);
    assert_eq!(daemon.status()["health"], "healthy");
}

/// `apply --policy` with a list file, of which the daemon gets what is open here.
fn handed_over(lab: &Lab, daemon: &Daemon<'_>) {
    let site = daemon.site;
    let list = site.path("handed.txt");
    std::fs::write(&list, "93.184.50.0/24\n").expect("a list file");
    let text = format!(
        "{}\n[hosts]\nhanded = {{ file = \"{}\" }}\n\n[[rule]]\nname = \"handed\"\ndirection = \"out\"\n\
         ports = [\"tcp/8081\"]\npeers = [\"@handed\"]\n",
        lab::agent::head(),
        list.display()
    );
    let policy = site.path("handed.toml");
    std::fs::write(&policy, &text).expect("a policy file");
    let policy = policy.display().to_string();
    let output = site.output(&lab.gw, &["apply", "--json", "--policy", &policy]);
    let reply = json(&output);
    assert!(output.status.success(), "{reply:#}");
    let wanted = (&"applied".into(), &true.into(), &3.into());
    assert_eq!((&reply["outcome"], &reply["changed"], &reply["generation"]), wanted, "{reply:#}");
    let parts = serde_json::to_string(&Table::read(&lab.gw).parts).expect("JSON");
    assert!(parts.contains("93.184.50.0") && parts.contains("8081"), "{parts}");
    assert!(!parts.contains("93.184.30.1"), "the rules of the files are not in force: {parts}");
    std::fs::write(site.path("handed.toml"), text.replace("8081", "808100")).expect("a policy file");
    let output = site.output(&lab.gw, &["apply", "--json", "--policy", &policy]);
    assert_eq!((output.status.code(), &json(&output)["outcome"]), (Some(1), &"refused".into()));
    let parts_after = serde_json::to_string(&Table::read(&lab.gw).parts).expect("JSON");
    assert_eq!(parts, parts_after);
}

/// A site of the first policy for [`Flow`], whose server gives addresses for a day.
fn site_of_flows(lab: &Lab) -> Site {
    let server = lab.serve(&SERVERS[..1])[0];
    lab.dns.set(NAME, both_act(1, LONG));
    let site = Site::new(lab, &resolver(&[server], ""));
    flow::policy(&site, 0);
    site
}

/// PORTGRAVE_TEST_RELOADS asks for more.
fn reloads() -> usize {
    std::env::var("PORTGRAVE_TEST_RELOADS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

#[test]
fn reloads_under_traffic_lose_nothing_reset_nothing_and_forget_nothing() {
    isolated("reloads_under_traffic_lose_nothing_reset_nothing_and_forget_nothing", || {
        let lab = Lab::new();
        let site = site_of_flows(&lab);
        let daemon = learnt(&lab, &site);
        let flow = Flow::start(&lab);
        let mut counted = 0;
        for turn in 0..reloads() {
            // Each policy twice: with changes and without.
            flow::policy(&site, turn / 2 % 2);
            daemon.reload();
            flow.converse();
            flow.wait_for(200);
            let now = Table::read(&lab.gw).packets("out.web");
            assert!(now > counted, "the counter of a rule that stays: {counted}, then {now}");
            // A day and the grace, less the time that has passed.
            assert!(
                lives(&daemon).iter().all(|left| (86_000..=86_700).contains(left)),
                "{:?}",
                lives(&daemon)
            );
            counted = now;
        }
        flow.wait_for_both(&lab, 4000, 2000);
        let judged = flow.end(&lab);
        say(format!("{} reloads in {:.1} s: {judged:?}", reloads(), judged.seconds));
        assert_eq!((judged.lost, judged.passed, judged.resets), (0, 0, 0), "{judged:?}");
        assert_eq!(judged.sent, judged.arrived, "{judged:?}");
        assert!(judged.allowed > 4000 && judged.forbidden > 2000, "{judged:?}");
        let status = daemon.status();
        assert_eq!(
            (&status["health"], &status["drift"]["seen"]),
            (&"healthy".into(), &0.into()),
            "{status:#}"
        );
    });
}

/// That the counters would show it.
#[test]
fn packets_that_are_lost_while_others_have_emptied_a_map_are_seen() {
    isolated("packets_that_are_lost_while_others_have_emptied_a_map_are_seen", || {
        let lab = Lab::new();
        let site = site_of_flows(&lab);
        let daemon = learnt(&lab, &site);
        let flow = Flow::start(&lab);
        lab.gw.nft("flush map inet portgrave out4.allow.names\ninsert rule inet portgrave input accept\n");
        flow.wait_for(200);
        daemon.line(&["the table is as it was again"], 1);
        flow.wait_for(200);
        let judged = flow.end(&lab);
        assert!(judged.lost > 0 && judged.passed > 0, "{judged:?}");
        assert!(judged.arrived < judged.sent, "{judged:?}");
        assert!(judged.lost < judged.allowed && judged.passed < judged.forbidden, "{judged:?}");
    });
}

/// What is left of the lives of the name's addresses.
fn lives(daemon: &Daemon<'_>) -> Vec<u64> {
    let sets = daemon.sets();
    both(1).iter().map(|address| sets.left(address).expect("it was learnt")).collect()
}
