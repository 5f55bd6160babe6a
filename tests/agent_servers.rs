//! Whom a daemon that runs asks for which name.

mod lab;
mod rig;

use lab::agent::{head, web};
use lab::samples::{NAME, address, both_act, resolver};
use lab::{Act, Lab, Reached, SERVERS, Seen, Site, eventually};
use nix::sys::signal::Signal;
use portgrave::types::Family;
use rig::isolated;
use std::collections::BTreeSet;
use std::net::SocketAddr;

#[test]
fn names_under_a_suffix_are_asked_of_its_servers_alone_and_may_be_private_there() {
    isolated("names_under_a_suffix_are_asked_of_its_servers_alone_and_may_be_private_there", || {
        let lab = Lab::new();
        let all = lab.serve(&SERVERS);
        let site = Site::new(
            &lab,
            &format!(
                "{}[[resolver.domain]]\nsuffix = \"int.example\"\nservers = [\"{}\"]\nallow-net = [\"10.0.0.0/8\", \"fd00::/8\"]\n\n\
                 [[resolver.domain]]\nsuffix = \"deep.int.example\"\nservers = [\"{}\"]\nallow-net = [\"172.16.0.0/12\"]\n",
                resolver(&all[..1], "min-interval = \"1s\""),
                all[1],
                all[2]
            ),
        );
        let private = Act::addresses(&["10.20.0.7", "fd12::7"], 1);
        for name in ["host.int.example", "host.deep.int.example", "www.example.net", "xint.example"] {
            lab.dns.set(name, private.clone());
        }
        lab.dns.set("mixed.int.example", Act::addresses(&["10.20.0.8", "192.168.1.8", "93.184.10.8"], 1));
        let names = [
            "host.int.example",
            "host.deep.int.example",
            "www.example.net",
            "xint.example",
            "mixed.int.example",
        ];
        site.policy_for(&names);
        let daemon = site.run(&lab.gw);
        daemon.holds(&["10.20.0.7", "fd12::7", "10.20.0.8", "93.184.10.8"]);
        for name in ["host.deep.int.example", "www.example.net", "xint.example"] {
            daemon.name_is(name, "refused", |report| lab::agent::rejected(report).len() == 2);
        }
        assert!(!daemon.sets().holds("192.168.1.8"), "only what the suffix opens");
        assert_eq!(lab.connect(address("10.20.0.7")), Reached::Yes);
        lab.dns.asked_again("host.int.example", Family::V6, 3);
        let asked = |name: &str| -> BTreeSet<SocketAddr> {
            lab.dns.seen().into_iter().filter(|seen| seen.name == name).map(|seen| seen.server).collect()
        };
        for (name, server) in names.into_iter().zip([all[1], all[2], all[0], all[0], all[1]]) {
            assert_eq!(asked(name), [server].into(), "{name}");
        }
    });
}

/// A copy of /etc that the test may change as it likes.
fn own_etc() {
    let none = None::<&str>;
    let copied = std::process::Command::new("cp").args(["-a", "/etc", "/run/etc"]).output().expect("cp");
    // What an ordinary user may not read is not copied.
    assert!(std::path::Path::new("/run/etc/passwd").exists(), "{copied:?}");
    let bind = nix::mount::MsFlags::MS_BIND;
    nix::mount::mount(Some("/run/etc"), "/etc", none, bind, none)
        .expect("a bind mount in a namespace of our own");
}

fn renamed_over(path: &str, text: &str) {
    let new = format!("{path}.new");
    std::fs::write(&new, text).expect("a file");
    std::fs::rename(new, path).expect("a file in its place");
}

#[test]
fn resolv_conf_is_followed_when_it_is_written_renamed_over_or_becomes_a_link() {
    isolated("resolv_conf_is_followed_when_it_is_written_renamed_over_or_becomes_a_link", || {
        let lab = Lab::new();
        let all = lab.serve(&SERVERS);
        own_etc();
        let line = |index: usize| format!("nameserver {}\n", all[index].ip());
        let _ = std::fs::remove_file("/etc/resolv.conf");
        std::fs::write("/etc/resolv.conf", line(0)).expect("resolv.conf");
        let site = Site::new(&lab, "[resolver]\nmin-interval = \"1s\"\n");
        lab.dns.set(NAME, both_act(1, 1));
        let group = "\n[hosts]\nresolvers = { resolv-conf = true }\n";
        site.policy("site", &format!("{}{group}{}", head(), web("web", &[NAME, "@resolvers"])));
        let daemon = site.run(&lab.gw);
        let turn_to = |index: usize, what: &str| {
            let before = lab.dns.count(|seen| seen.server == all[index]);
            lab.dns.wait(what, before + 2, |seen| seen.server == all[index]);
            eventually(what, || match lab.connect(all[index].ip()) {
                Reached::Yes => Ok(()),
                Reached::Refused => Err("the group does not have the server".into()),
            });
            for other in (0..3).filter(|other| *other != index) {
                eventually(what, || match lab.connect(all[other].ip()) {
                    Reached::Yes => Err(format!("the group still has {}", all[other])),
                    Reached::Refused => Ok(()),
                });
            }
            let others = |seen: &Seen| seen.server != all[index];
            let before = lab.dns.count(others);
            lab.dns.asked_again(NAME, Family::V4, 2);
            assert_eq!(lab.dns.count(others), before, "{what}: nobody else is asked any more");
        };
        turn_to(0, "the server at the start");
        renamed_over("/etc/resolv.conf", &line(1));
        turn_to(1, "after a rename");
        std::fs::write("/etc/resolv.conf", line(2)).expect("resolv.conf");
        turn_to(2, "after it was written in place");
        std::fs::create_dir_all("/run/elsewhere").expect("a directory");
        std::fs::write("/run/elsewhere/resolv.conf", line(0)).expect("a file");
        std::os::unix::fs::symlink("/run/elsewhere/resolv.conf", "/etc/resolv.conf.new").expect("a link");
        std::fs::rename("/etc/resolv.conf.new", "/etc/resolv.conf").expect("a link in its place");
        turn_to(0, "after it became a link");
        renamed_over("/run/elsewhere/resolv.conf", &line(1));
        turn_to(1, "after what the link leads to was renamed over");
        daemon.signal(Signal::SIGTERM);
    });
}
