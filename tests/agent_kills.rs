//! kill -9 of the daemon, of its worker and of both, at any moment: nothing that is allowed is lost, nothing that is kept breaks, and
//! everything comes back.

#[path = "agent_reload/flow.rs"]
mod flow;
mod lab;
#[path = "common/numbers.rs"]
mod numbers;
mod rig;

use flow::Flow;
use lab::agent::{runs, web};
use lab::samples::{NAME, both, both_act, resolver};
use lab::{Act, Daemon, Lab, SERVERS, Site, eventually};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use numbers::Random;
use rig::{isolated, say};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

const LONG: u32 = 86_400;

/// A name whose answer is another one each second.
const RESTLESS: &str = "restless.example.net";

/// PORTGRAVE_TEST_KILLS asks for more.
fn kills() -> usize {
    std::env::var("PORTGRAVE_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

#[test]
fn kills_at_any_moment_under_traffic_lose_nothing_and_everything_comes_back() {
    isolated("kills_at_any_moment_under_traffic_lose_nothing_and_everything_comes_back", || {
        let lab = Lab::new();
        let site = site(&lab);
        let mut daemon = site.run(&lab.gw);
        is_whole(&daemon);
        let flow = Flow::start(&lab);
        let mut random = Random::new(1);
        let (mut of_daemon, mut of_worker) = (0, 0);
        for turn in 0..kills() {
            if random.one_in(3) {
                flow::policy(&site, turn % 2);
                daemon.signal(Signal::SIGHUP);
            }
            wait(&mut random, 60);
            let workers = daemon.children();
            let (kills_daemon, kills_worker) = (!random.one_in(3), random.one_in(3));
            if kills_worker || !kills_daemon {
                workers.iter().for_each(|worker| end(*worker));
                of_worker += 1;
            }
            if kills_daemon {
                daemon.kill();
                of_daemon += 1;
                are_gone(&workers);
                states_are_sound(&site);
                daemon = started(&lab, &site, &mut random);
            } else {
                comes_back(&daemon, &workers);
            }
            states_are_sound(&site);
            is_whole(&daemon);
            flow.converse();
            flow.wait_for(200);
        }
        let judged = flow.end(&lab);
        say(format!(
            "{of_daemon} kills of the daemon, {of_worker} of the worker, in {:.1} s: {judged:?}",
            judged.seconds
        ));
        assert_eq!((judged.lost, judged.passed, judged.resets), (0, 0, 0), "{judged:?}");
        assert!(
            of_daemon > 0 && of_worker > 0 && judged.allowed > 1000 && judged.forbidden > 500,
            "{judged:?}"
        );
        flow::policy(&site, 0);
        daemon.reload();
        let status = daemon.status();
        assert_eq!(
            (&status["health"], &status["drift"]["seen"]),
            (&"healthy".into(), &0.into()),
            "{status:#}"
        );
    });
}

fn site(lab: &Lab) -> Site {
    let server = lab.serve(&SERVERS[..1])[0];
    lab.dns.set(NAME, both_act(1, LONG));
    let answers: Vec<[String; 2]> = (20..30).map(both).collect();
    let sets: Vec<Vec<&str>> = answers.iter().map(|[v4, v6]| vec![v4.as_str(), v6.as_str()]).collect();
    lab.dns.set(RESTLESS, Act::rotating(&sets.iter().map(Vec::as_slice).collect::<Vec<_>>(), 1));
    let site =
        Site::new(lab, &resolver(&[server], "min-interval = \"1s\"\nttl-floor = \"1s\"\ngrace = \"10s\"\n"));
    flow::policy(&site, 0);
    site.policy("restless", &format!("language = 1\n{}", web("restless", &[RESTLESS])));
    site
}

fn wait(random: &mut Random, most: usize) {
    let moment = u64::try_from(random.below(most * 1000)).expect("small");
    std::thread::sleep(Duration::from_micros(moment));
}

fn end(process: Pid) {
    match kill(process, Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => panic!("kill: {error}"),
    }
}

/// A daemon that is started again, and sometimes killed before it is ready.
fn started<'a>(lab: &'a Lab, site: &'a Site, random: &mut Random) -> Daemon<'a> {
    while random.one_in(3) {
        let daemon = site.start(&lab.gw);
        wait(random, 40);
        daemon.kill();
        states_are_sound(site);
    }
    site.run(&lab.gw)
}

/// A worker ends with its daemon.
fn are_gone(workers: &[Pid]) {
    eventually("the worker has ended with its daemon", || {
        let alive: Vec<&Pid> = workers.iter().filter(|worker| runs(**worker)).collect();
        if alive.is_empty() { Ok(()) } else { Err(format!("{alive:?}")) }
    });
}

/// Another worker runs, and asks.
fn comes_back(daemon: &Daemon<'_>, before: &[Pid]) {
    eventually("another worker asks", || {
        let now: BTreeSet<Pid> = daemon.children().into_iter().collect();
        let status = daemon.status();
        let other = !now.is_empty() && before.iter().all(|worker| !now.contains(worker));
        if other && status["worker"]["running"] == true { Ok(()) } else { Err(status.to_string()) }
    });
}

/// The control socket answers, and what was learnt is in force.
fn is_whole(daemon: &Daemon<'_>) {
    let [v4, v6] = both(1);
    daemon.holds(&[&v4, &v6]);
    assert!(!daemon.status()["generation"].is_null());
    eventually("the restless name has addresses", || {
        let name = daemon.name(RESTLESS);
        let any = name["addresses"].as_array().is_some_and(|addresses| !addresses.is_empty());
        if any { Ok(()) } else { Err(name.to_string()) }
    });
}

/// What is kept is whole, and what was being written does not pile up.
fn states_are_sound(site: &Site) {
    let files: Vec<String> = std::fs::read_dir(site.path("state"))
        .expect("the state directory")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    assert!(files.len() <= 6, "{files:?}");
    for file in ["generation.json", "names.json"].iter().filter(|file| files.iter().any(|name| name == *file))
    {
        let text = std::fs::read_to_string(site.path(&format!("state/{file}"))).expect("it is there");
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(value["format"], 1, "{file}");
    }
    assert!(!files.iter().any(|file| file.contains("corrupt")), "{files:?}");
}
