//! A machine whose resolv.conf, users and interfaces change under a running daemon.

use crate::lab::agent::{head, web};
use crate::lab::samples::{LONG, NAME, both_act};
use crate::lab::table::Table;
use crate::lab::{Daemon, Lab, SERVERS, Site, eventually};
use std::os::unix::fs::symlink;
use std::path::PathBuf;

/// Two DNS servers, and a policy that asks for all that a machine can be.
pub fn site(lab: &Lab) -> Site {
    lab.serve(&SERVERS[..2]);
    lab.dns.set(NAME, both_act(1, LONG));
    let mut site = Site::new(lab, "");
    std::fs::create_dir_all(site.path("root/etc")).expect("a directory");
    site.arguments = vec!["--root".into(), site.path("root").display().to_string()];
    write(&site, "resolv.conf", "nameserver 10.99.0.53\n");
    write(&site, "passwd", "root:x:0:0::/root:/bin/sh\n");
    let rules = "\n[hosts]\nservers = { resolv-conf = true }\n\n[[rule]]\nname = \"dns-over-tls\"\ndirection = \"out\"\n\
                 ports = [\"tcp/853\"]\npeers = [\"@servers\"]\n\n[[rule]]\nname = \"of-a-user\"\ndirection = \"out\"\n\
                 ports = [\"tcp/8080\"]\npeers = [\"93.184.40.1\"]\nuser = \"alice\"\n\n[[rule]]\nname = \"wake\"\n\
                 direction = \"out\"\nports = [\"udp/9\"]\npeers = [\"broadcast\"]\n";
    site.policy("site", &format!("{}{}{rules}", head(), web("web", &[NAME])));
    site
}

fn etc(site: &Site, name: &str) -> PathBuf {
    site.path(&format!("root/etc/{name}"))
}

fn write(site: &Site, name: &str, text: &str) {
    std::fs::write(etc(site, name), text).expect("a file of the machine");
}

/// A change, what the table must have then and have no more, and the parts of it that may be others.
pub struct Turn {
    pub what: &'static str,
    pub change: fn(&Lab, &Site),
    pub has: &'static [&'static str],
    pub lacks: &'static [&'static str],
    pub touches: &'static [&'static str],
}

/// Parts that are made of resolv.conf: the agent's own DNS, and the group's.
const OF_SERVERS: &[&str] = &["set out4.dns-servers", "map out4.allow.exact"];
const OF_USERS: &[&str] = &["rules of ", "chain ", "counter ", "set ", "map "];
const OF_INTERFACES: &[&str] = &["set never4", "map out4.allow.exact", "set never6"];

pub const TURNS: &[Turn] = &[
    Turn {
        what: "resolv.conf replaced by rename",
        change: |_, site| {
            write(site, "new", "nameserver 10.99.0.54\n");
            std::fs::rename(etc(site, "new"), etc(site, "resolv.conf")).expect("to rename");
        },
        has: &["10.99.0.54"],
        lacks: &["10.99.0.53"],
        touches: OF_SERVERS,
    },
    Turn {
        what: "resolv.conf replaced by a link",
        change: |_, site| {
            write(site, "target", "nameserver 10.99.0.53\n");
            std::fs::remove_file(etc(site, "resolv.conf")).expect("to remove");
            symlink("target", etc(site, "resolv.conf")).expect("a link");
        },
        has: &["10.99.0.53"],
        lacks: &["10.99.0.54"],
        touches: OF_SERVERS,
    },
    Turn {
        what: "the link's target replaced by rename",
        change: |_, site| {
            write(site, "new", "nameserver 10.99.0.54\n");
            std::fs::rename(etc(site, "new"), etc(site, "target")).expect("to rename");
        },
        has: &["10.99.0.54"],
        lacks: &["10.99.0.53"],
        touches: OF_SERVERS,
    },
    Turn {
        what: "written in place",
        change: |_, site| write(site, "target", "nameserver 10.99.0.53\nnameserver 10.99.0.54\n"),
        has: &["10.99.0.53", "10.99.0.54"],
        lacks: &[],
        touches: OF_SERVERS,
    },
    Turn {
        what: "a user comes",
        change: |_, site| {
            write(site, "passwd+", "root:x:0:0::/root:/bin/sh\nalice:x:4711:4711::/home/alice:/bin/sh\n");
            std::fs::rename(etc(site, "passwd+"), etc(site, "passwd")).expect("to rename");
        },
        has: &["4711"],
        lacks: &[],
        touches: OF_USERS,
    },
    Turn {
        what: "the user has another number",
        change: |_, site| {
            write(site, "passwd+", "root:x:0:0::/root:/bin/sh\nalice:x:4712:4712::/home/alice:/bin/sh\n");
            std::fs::rename(etc(site, "passwd+"), etc(site, "passwd")).expect("to rename");
        },
        has: &["4712"],
        lacks: &["4711"],
        touches: OF_USERS,
    },
    Turn {
        what: "an address comes",
        change: |lab, _| lab.gw.ip("addr add 93.184.77.1/24 brd 93.184.77.255 dev up0\n"),
        has: &["93.184.77.0", "93.184.77.255"],
        lacks: &[],
        touches: OF_INTERFACES,
    },
    Turn {
        what: "the address goes",
        change: |lab, _| lab.gw.ip("addr del 93.184.77.1/24 dev up0\n"),
        has: &[],
        lacks: &["93.184.77."],
        touches: OF_INTERFACES,
    },
];

pub fn follows(lab: &Lab, daemon: &Daemon<'_>, turn: &Turn) {
    let before = Table::read(&lab.gw);
    (turn.change)(lab, daemon.site);
    let after = eventually(turn.what, || {
        let table = Table::read(&lab.gw);
        let text = serde_json::to_string(&table.parts).expect("JSON");
        let is = turn.has.iter().all(|part| text.contains(part))
            && !turn.lacks.iter().any(|part| text.contains(part));
        if is {
            Ok(table)
        } else {
            Err(format!("{:#?}\n{:#?}", before.differences(&table), daemon.lines.all()))
        }
    });
    for part in before.changed(&after) {
        let may = turn.touches.iter().any(|touched| part.starts_with(touched));
        assert!(may, "{}: {part} is another: {:#?}", turn.what, before.differences(&after));
    }
}
