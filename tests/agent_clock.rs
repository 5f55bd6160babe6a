//! Steps of the wall clock by years change nothing: neither lives of addresses, nor questions, nor what is in force.

mod lab;
mod rig;

use lab::samples::{NAME, both, both_act, resolver};
use lab::{Lab, SERVERS, Site, eventually};
use rig::isolated;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

const TEN_YEARS: i64 = 315_576_000;

/// A library that puts a wall clock that can be set into a program.
fn clock(lab: &Lab) -> PathBuf {
    let library = lab.dir.path().join("clock.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/clock.c");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status();
    assert!(built.expect("cc, which Rust links with").success());
    library
}

/// The year, as a line of the log begins, by a wall clock that is so many seconds off.
fn year(off: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs();
    let seconds = i64::try_from(now).expect("a small number") + off;
    let date = Command::new("date").args(["-u", "-d", &format!("@{seconds}"), "+%Y-"]).output();
    String::from_utf8(date.expect("date, of coreutils").stdout).expect("digits").trim().to_owned()
}

#[test]
fn steps_of_the_wall_clock_by_ten_years_change_nothing() {
    isolated("steps_of_the_wall_clock_by_ten_years_change_nothing", || {
        let lab = Lab::new();
        let server = lab.serve(&SERVERS[..1])[0];
        let mut site = Site::new(
            &lab,
            &resolver(&[server], "ttl-floor = \"1s\"\ngrace = \"1m\"\nmin-interval = \"1s\"\n"),
        );
        lab.dns.set(NAME, both_act(1, 2));
        site.policy_for(&[NAME]);
        let off = site.path("off");
        let environment =
            [("LD_PRELOAD", clock(&lab).display().to_string()), ("WALL_CLOCK", off.display().to_string())];
        site.environment = environment.map(|(name, value)| (name.to_owned(), value)).into();
        let set = |seconds: i64| {
            // Read as a whole or not at all.
            std::fs::write(site.path("off.new"), seconds.to_string()).unwrap();
            std::fs::rename(site.path("off.new"), &off).unwrap();
        };
        set(0);
        let daemon = site.run(&lab.gw);
        let [v4, v6] = both(1);
        daemon.holds(&[&v4, &v6]);
        let mut years: Vec<String> = Vec::new();
        for seconds in [TEN_YEARS, -TEN_YEARS, 0, -TEN_YEARS, TEN_YEARS] {
            let asked = lab.dns.count(|seen| seen.name == NAME);
            set(seconds);
            daemon.reload();
            years.push(year(seconds));
            let year = years.last().expect("it was just put there");
            let times = years.iter().filter(|other| *other == year).count();
            daemon.line(&[year, "reload (SIGHUP)"], times);
            let now = || lab.dns.count(|seen| seen.name == NAME);
            eventually("names are asked on as before", || {
                if now() >= asked + 4 { Ok(()) } else { Err(now().to_string()) }
            });
            let sets = daemon.sets();
            for address in [&v4, &v6] {
                let left = sets.left(address).expect("the address is there");
                assert!((25..=62).contains(&left), "{address} {left} s after {seconds}");
            }
            let status = daemon.status();
            assert_eq!(
                (&status["health"], &status["generation"]),
                (&"healthy".into(), &1.into()),
                "{status:#}"
            );
            assert_eq!(status["drift"]["seen"], 0);
        }
    });
}

#[test]
fn a_restart_on_the_same_boot_goes_by_the_clock_of_the_boot_whatever_the_wall_clock_says() {
    isolated("a_restart_on_the_same_boot_goes_by_the_clock_of_the_boot_whatever_the_wall_clock_says", || {
        let lab = Lab::new();
        let server = lab.serve(&SERVERS[..1])[0];
        let mut site = Site::new(&lab, &resolver(&[server], ""));
        lab.dns.set(NAME, both_act(1, 86_400));
        site.policy_for(&[NAME]);
        let off = site.path("off");
        let environment =
            [("LD_PRELOAD", clock(&lab).display().to_string()), ("WALL_CLOCK", off.display().to_string())];
        site.environment = environment.map(|(name, value)| (name.to_owned(), value)).into();
        let [v4, v6] = both(1);
        for seconds in [0, TEN_YEARS, -TEN_YEARS] {
            std::fs::write(&off, seconds.to_string()).unwrap();
            let daemon = site.run(&lab.gw);
            daemon.holds(&[&v4, &v6]);
            let sets = daemon.sets();
            for address in [&v4, &v6] {
                let left = sets.left(address).expect("the address is there");
                assert!((86_000..=86_700).contains(&left), "{address} {left} s at {seconds}");
            }
            assert!(daemon.stop().success());
            lab.dns.set_at(server, lab::Act::silent());
            lab.gw.nft("delete table inet portgrave\n");
        }
    });
}
