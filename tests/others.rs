//! Other people's tables: never changed, and never able to hold an apply up.

mod rig;

use rig::{Agent, Ns, World, isolated, printed, say};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What hosts have beside the agent's table, as nft lists it there.
const TABLES: &str = r#"
# iptables-nft: what its ruleset is in the kernel, counters and all
table ip filter {
    chain INPUT { type filter hook input priority filter; policy accept;
        ip saddr 10.88.0.0/16 tcp dport 22 counter packets 12 bytes 720 accept
        ct state related,established counter packets 4711 bytes 99 accept
        meta l4proto icmp counter packets 0 bytes 0 accept
    }
    chain FORWARD { type filter hook forward priority filter; policy drop;
        counter packets 3 bytes 180 jump DOCKER-USER
        counter packets 3 bytes 180 jump DOCKER-ISOLATION-STAGE-1
        oifname "docker0" ct state related,established counter packets 0 bytes 0 accept
        oifname "docker0" counter packets 0 bytes 0 jump DOCKER
        iifname "docker0" oifname != "docker0" counter packets 0 bytes 0 accept
    }
    chain OUTPUT { type filter hook output priority filter; policy accept; }
    chain DOCKER { iifname != "docker0" oifname "docker0" ip daddr 172.17.0.2 tcp dport 8080 counter packets 0 bytes 0 accept; }
    chain DOCKER-ISOLATION-STAGE-1 {
        iifname "docker0" oifname != "docker0" counter packets 0 bytes 0 jump DOCKER-ISOLATION-STAGE-2
        counter packets 3 bytes 180 return
    }
    chain DOCKER-ISOLATION-STAGE-2 { oifname "docker0" counter packets 0 bytes 0 drop; }
    chain DOCKER-USER { counter packets 3 bytes 180 return; }
}
table ip nat {
    chain PREROUTING { type nat hook prerouting priority dstnat; policy accept;
        fib daddr type local counter packets 0 bytes 0 jump DOCKER
    }
    chain POSTROUTING { type nat hook postrouting priority srcnat; policy accept;
        ip saddr 172.17.0.0/16 oifname != "docker0" counter packets 0 bytes 0 masquerade
    }
    chain DOCKER { iifname "docker0" counter packets 0 bytes 0 return; }
}
table ip6 filter {
    chain INPUT { type filter hook input priority filter; policy accept; }
}
table inet firewalld {
    set trusted { type ipv4_addr; flags interval; elements = { 10.88.0.0/16, 192.0.2.0/24 } }
    map zones { type ifname : verdict; elements = { "up0" : goto filter_IN_public } }
    ct helper helper-ftp-tcp { type "ftp" protocol tcp; }
    counter seen { packets 17 bytes 1000 }
    chain mangle_PREROUTING { type filter hook prerouting priority mangle + 10; policy accept; }
    chain filter_INPUT { type filter hook input priority filter + 10; policy accept;
        ct state established,related accept
        iifname "lo" accept
        iifname vmap @zones
        meta l4proto tcp counter name "seen" reject with icmpx admin-prohibited
    }
    chain filter_IN_public { ip saddr @trusted accept; tcp dport 21 ct helper set "helper-ftp-tcp"; tcp dport { 22, 25 } accept; }
}
# tables that are named as the agent's are, of other families
table ip portgrave {
    chain input { type filter hook input priority 5; policy accept; counter packets 1 bytes 1; }
}
table bridge portgrave {
    chain mine { ether type arp accept; }
}
table arp filter {
    chain INPUT { type filter hook input priority filter; policy accept; }
}
"#;

/// Every table but the agent's, as nft lists it with handles.
fn others(ns: &Ns) -> BTreeMap<String, String> {
    let names = ns.nft_list(&["list", "tables"]);
    let names =
        names.lines().filter_map(|line| line.strip_prefix("table ")).filter(|name| *name != "inet portgrave");
    names
        .map(|name| {
            let (family, table) = name.split_once(' ').expect("a family and a name");
            (name.to_owned(), ns.nft_list(&["-a", "list", "table", family, table]))
        })
        .collect()
}

/// The agent's table with every handle, without what its counters count: the kernel's own MLD reports move them.
fn own(ns: &Ns) -> String {
    ns.nft_list(&["-a", "-s", "list", "table", "inet", "portgrave"])
}

/// A quiet gateway: no names to look up, so that no packet moves anybody's counters.
struct Stage {
    world: World,
    agent: Agent,
    policy: PathBuf,
    site: PathBuf,
}

impl Stage {
    fn new() -> Self {
        let world = World::new();
        world.gw.nft(TABLES);
        let agent = Agent::new(&world);
        let policy =
            agent.policy("policy", &rig::with_rows(&["R01", "R02", "R03", "R04", "R06", "R07", "R39"]).0);
        let site = agent.policy("site", &rig::all_on());
        Self { world, agent, policy, site }
    }
}

/// One rule; what differs between two of them is one port.
fn one_rule(port: usize) -> String {
    format!(
        "language = 1\n[[rule]]\nname = \"moving\"\ndirection = \"in\"\nports = [\"tcp/{port}\"]\npeers = \"any\"\n\
         purpose = \"A change to apply\"\n"
    )
}

#[test]
fn other_tables_are_the_same_before_and_after_everything() {
    isolated("other_tables_are_the_same_before_and_after_everything", || {
        let Stage { world, agent, policy, site } = Stage::new();
        let gw = &world.gw;
        let before = others(gw);
        assert!(before.len() >= 8, "{:?}", before.keys());
        let same = |after: &str| assert_eq!(others(gw), before, "after {after}");

        agent.apply(gw, &[&policy, &site]);
        same("the first apply");
        let listed = own(gw);
        agent.apply(gw, &[&policy, &site]);
        same("the second apply");
        assert_eq!(own(gw), listed, "the second apply of the same policy changes nothing, not even a handle");

        let unsound =
            agent.policy("unsound", "language = 1\n[[rule]]\nname = \"x\"\nports = [\"tcp/90-80\"]\n");
        let refused = agent.try_apply(gw, &[&policy, &site, &unsound]);
        assert_eq!(refused.status.code(), Some(1), "{}", printed(&refused));
        same("a refused apply");
        assert_eq!(own(gw), listed, "a refused apply changes nothing");

        let other = agent.policy("other", &one_rule(26));
        agent.apply(gw, &[&policy, &site, &other]);
        same("a changed policy");
        assert_ne!(own(gw), listed, "the change is there");

        agent.flush(gw);
        same("flush");
        assert!(
            !gw.nft_list(&["list", "tables"]).contains("table inet portgrave"),
            "flush removes the agent's table"
        );
    });
}

#[test]
fn an_apply_ends_while_nft_commits_to_another_table_in_a_loop() {
    isolated("an_apply_ends_while_nft_commits_to_another_table_in_a_loop", || {
        const APPLIES: usize = 8;
        let Stage { world, agent, policy, site } = Stage::new();
        world.gw.nft("add table inet busy; add chain inet busy turning\n");
        agent.apply(&world.gw, &[&policy, &site]);
        let (stop, commits) = (AtomicBool::new(false), AtomicU64::new(0));
        let mut times = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| commit_in_a_loop(&world.gw, &stop, &commits));
            rig::eventually(|| {
                if commits.load(Ordering::Relaxed) > 20 { Ok(()) } else { Err("no commits yet") }
            });
            let applied = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                for turn in 0..APPLIES {
                    let change = agent.policy("change", &one_rule(1000 + turn));
                    let (start, before) = (Instant::now(), commits.load(Ordering::Relaxed));
                    agent.apply(&world.gw, &[&policy, &site, &change]);
                    times.push((start.elapsed(), commits.load(Ordering::Relaxed) - before));
                }
            }));
            stop.store(true, Ordering::Relaxed);
            applied.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
        times.sort();
        let (median, slowest) = (times[APPLIES / 2].0, times[APPLIES - 1]);
        let meanwhile: u64 = times.iter().map(|(_, commits)| commits).sum();
        say(format!(
            "{APPLIES} applies among {meanwhile} commits of nft: median {median:?}, slowest {:?}",
            slowest.0
        ));
        assert!(meanwhile >= APPLIES as u64, "nft did commit meanwhile");
        assert!(median < Duration::from_secs(1), "{times:?}");
    });
}

/// `nft` in its interactive mode commits line by line: more often than a process for each could.
fn commit_in_a_loop(ns: &Ns, stop: &AtomicBool, commits: &AtomicU64) {
    let mut command = Command::new("nft");
    command.args(["-i"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut nft = ns.start(&mut command);
    let mut input = nft.child.stdin.take().expect("a pipe");
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..20 {
            let line = b"flush chain inet busy turning; add rule inet busy turning counter\n";
            if input.write_all(line).is_err() {
                return;
            }
        }
        // The pipe holds many lines more: what counts is what the kernel has taken.
        commits.store(last_handle(ns), Ordering::Relaxed);
    }
}

/// The handle of the newest rule: each commit makes one.
fn last_handle(ns: &Ns) -> u64 {
    let text = ns.nft_list(&["-a", "list", "chain", "inet", "busy", "turning"]);
    let handles = text.lines().filter_map(|line| line.rsplit_once("# handle ")?.1.trim().parse().ok());
    handles.max().unwrap_or(0)
}
