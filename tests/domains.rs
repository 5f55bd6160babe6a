//! `[[resolver.domain]]` from the settings to the kernel: whom names are asked at, what they may stand for, and that the
//! rules in force let these questions out. The servers are dnsmasq's, in a namespace of their own.

mod rig;

use rig::{Agent, Ns, Process, eventually, isolated, printed};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The gateway, and the network with the servers.
struct Place {
    gw: Ns,
    far: Ns,
    dir: tempfile::TempDir,
    servers: Vec<Process>,
}

/// A server that has only these names, and says of all others that they do not exist.
const OUTSIDE: (&str, u16, &[(&str, &str)]) = (
    "10.99.0.53",
    53,
    &[
        ("www.example.net", "93.184.1.1"),
        ("db.int.example", "93.184.6.6"),
        ("inward.example.net", "10.66.0.1"),
    ],
);
const INSIDE: (&str, u16, &[(&str, &str)]) = (
    "10.99.0.54",
    5353,
    &[
        ("db.int.example", "10.20.0.5"),
        ("cdn.int.example", "93.184.1.7"),
        ("metal.int.example", "192.168.7.7"),
    ],
);

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory of the test's own");
        let mut place = Self { gw: Ns::new("gw"), far: Ns::new("far"), dir, servers: Vec::new() };
        place.far.ip("link add to-gw type veth peer name up0 netns gw\n\
             link set to-gw up\n\
             addr add 10.99.0.53/24 dev to-gw\n\
             addr add 10.99.0.54/24 dev to-gw\n");
        place.gw.ip("link set up0 up\naddr add 10.99.0.1/24 dev up0\n");
        place.serve(OUTSIDE);
        place.serve(INSIDE);
        place
    }

    fn serve(&mut self, (at, port, names): (&str, u16, &[(&str, &str)])) {
        let mut command = Command::new("dnsmasq");
        command.args(["--no-daemon", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--pid-file="]);
        command.args(["--bind-interfaces", "--except-interface=lo", "--local=/#/", "--log-queries"]);
        command.arg(format!("--listen-address={at}")).arg(format!("--port={port}"));
        command.args(names.iter().map(|(name, address)| format!("--host-record={name},{address}")));
        let ready = || self.far.listens("udp", port) && self.far.listens("tcp", port);
        let server = self.far.serve(&mut command, self.log(at), ready);
        self.servers.push(server);
    }

    fn log(&self, at: &str) -> PathBuf {
        self.dir.path().join(format!("{at}.log"))
    }

    /// The names that a server was asked for, each once.
    fn asked(&self, at: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.log(at)).expect("the server's log");
        let name = |line: &str| {
            let rest = line.split_once(": query[")?.1;
            Some(rest.split_whitespace().nth(1)?.to_ascii_lowercase())
        };
        let mut names: Vec<String> = log.lines().filter_map(name).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The table that the agent holds, as text.
    fn held(&self) -> String {
        self.gw.nft_list(&["list", "table", "inet", "portgrave"])
    }
}

const POLICY: &str = "language = 1\n[[rule]]\nname = \"out\"\ndirection = \"out\"\nports = [\"tcp/443\"]\n\
     peers = [\"www.example.net\", \"inward.example.net\", \"db.int.example\", \"cdn.int.example\", \"metal.int.example\"]\n";

const SETTINGS: &str = "[resolver]\nservers = [\"10.99.0.53\"]\n\n[[resolver.domain]]\nsuffix = \"int.example\"\n\
     servers = [\"10.99.0.54:5353\"]\nallow-net = [\"10.0.0.0/8\"]\n";

/// Learns all names anew, as after the loss of the state file.
fn apply(place: &Place, agent: &Agent, policy: &Path) -> String {
    let _ = std::fs::remove_file(place.dir.path().join("agent/state/names.json"));
    let output = place.gw.output(agent.command("apply", &[policy]).args(["--names-wait", "30s"]));
    assert!(output.status.success(), "{}", printed(&output));
    printed(&output)
}

#[test]
fn names_of_a_domain_come_from_its_servers_and_may_stand_for_its_networks() {
    isolated("names_of_a_domain_come_from_its_servers_and_may_stand_for_its_networks", || {
        let place = Place::new();
        let agent = Agent::at(place.dir.path(), SETTINGS);
        let policy = agent.policy("site", POLICY);
        // The second time the first rules are in force: the questions pass by the baseline alone.
        for round in ["before rules", "through rules"] {
            let said = apply(&place, &agent, &policy);
            let held = place.held();
            for address in ["93.184.1.1", "10.20.0.5", "93.184.1.7"] {
                assert!(held.contains(&format!("{address} . tcp . 443")), "{round}: {address}\n{said}{held}");
            }
            for address in ["93.184.6.6", "10.66.0.1", "192.168.7.7"] {
                assert!(!held.contains(address), "{round}: {address}\n{said}{held}");
            }
        }
        assert_eq!(place.asked(OUTSIDE.0), ["inward.example.net", "www.example.net"]);
        assert_eq!(place.asked(INSIDE.0), ["cdn.int.example", "db.int.example", "metal.int.example"]);
    });
}

#[test]
fn a_name_of_which_all_is_refused_shows_the_lines_that_open_it() {
    isolated("a_name_of_which_all_is_refused_shows_the_lines_that_open_it", || {
        let place = Place::new();
        let agent = Agent::at(place.dir.path(), SETTINGS);
        let policy = agent.policy("site", POLICY);
        let said = apply(&place, &agent, &policy);
        let advised = |name: &str, network: &str| {
            format!(
                "      [[resolver.domain]]\n      suffix = \"{name}\"\n      allow-net = [\"{network}\"]\n"
            )
        };
        let (inward, metal) =
            (advised("inward.example.net", "10.0.0.0/8"), advised("metal.int.example", "192.168.0.0/16"));
        assert!(said.contains(&inward) && said.contains(&metal), "{said}");
        // A longer suffix without servers: the servers are those of int.example still.
        let more: String = [inward, metal].iter().map(|text| text.replace("      ", "")).collect();
        let agent = Agent::at(place.dir.path(), &format!("{SETTINGS}{more}"));
        let said = apply(&place, &agent, &policy);
        let held = place.held();
        for address in ["10.66.0.1", "192.168.7.7", "10.20.0.5"] {
            assert!(held.contains(&format!("{address} . tcp . 443")), "{address}\n{said}{held}");
        }
        assert!(!said.contains("resolver.domain"), "{said}");
        assert_eq!(place.asked(INSIDE.0), ["cdn.int.example", "db.int.example", "metal.int.example"]);
    });
}

/// What the daemon says of every name, once each has an answer or a refusal.
fn names(place: &Place, agent: &Agent) -> Vec<Value> {
    let ended = |name: &Value| name["addresses"] != json!([]) || name["all_rejected"] == true;
    names_that(place, agent, |names| names.len() == 5 && names.iter().all(ended))
}

fn names_that(place: &Place, agent: &Agent, hold: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    eventually(|| {
        let output = place.gw.output(agent.command("names", &[]).arg("--json"));
        let said: Value = serde_json::from_slice(&output.stdout).map_err(|_| printed(&output))?;
        let names = said["names"].as_array().cloned().unwrap_or_default();
        if hold(&names) { Ok(names) } else { Err(said.to_string()) }
    })
}

#[test]
fn the_daemon_asks_names_of_a_domain_at_its_servers_and_says_what_opens_the_refused() {
    isolated("the_daemon_asks_names_of_a_domain_at_its_servers_and_says_what_opens_the_refused", || {
        let place = Place::new();
        let agent = Agent::at(place.dir.path(), SETTINGS);
        std::fs::write(place.dir.path().join("agent/policy.d/site.toml"), POLICY).expect("a policy file");
        let log = place.dir.path().join("daemon.log");
        let socket = place.dir.path().join("agent/run/control.sock");
        let _daemon = place.gw.serve(&mut agent.command("run", &[]), log, || socket.exists());
        let names = names(&place, &agent);
        let of = |name: &str| names.iter().find(|found| found["name"] == name).expect("every name is there");
        for (name, address) in [("www.example.net", "93.184.1.1"), ("db.int.example", "10.20.0.5")] {
            assert_eq!(of(name)["addresses"][0]["address"], address, "{name}");
        }
        for (name, network) in [("inward.example.net", "10.0.0.0/8"), ("metal.int.example", "192.168.0.0/16")]
        {
            let advice = of(name)["advice"].as_str().unwrap_or_default();
            assert!(advice.contains(&format!("suffix = \"{name}\"")) && advice.contains(network), "{advice}");
        }
        eventually(|| {
            let held = place.held();
            let taken = held.contains("10.20.0.5 . tcp . 443") && held.contains("93.184.1.7 . tcp . 443");
            if taken && !held.contains("10.66.0.1") { Ok(()) } else { Err(held) }
        });
        assert_eq!(place.asked(OUTSIDE.0), ["inward.example.net", "www.example.net"]);
        assert_eq!(place.asked(INSIDE.0), ["cdn.int.example", "db.int.example", "metal.int.example"]);
    });
}

#[test]
fn the_daemon_follows_resolv_conf_through_its_links_from_nobody_to_a_server() {
    isolated("the_daemon_follows_resolv_conf_through_its_links_from_nobody_to_a_server", || {
        let place = Place::new();
        let agent = Agent::at(place.dir.path(), "");
        let policy = POLICY.replace("\"db.int.example\", \"cdn.int.example\", \"metal.int.example\"", "");
        std::fs::write(place.dir.path().join("agent/policy.d/site.toml"), policy).expect("a policy file");
        let root = place.dir.path().join("root");
        for directory in ["etc", "run/NetworkManager"] {
            std::fs::create_dir_all(root.join(directory)).expect("a directory");
        }
        std::os::unix::fs::symlink("../run/NetworkManager/resolv.conf", root.join("etc/resolv.conf"))
            .unwrap();
        std::fs::write(root.join("etc/passwd"), "root:x:0:0::/:/bin/sh\n").expect("a passwd");
        let socket = place.dir.path().join("agent/run/control.sock");
        let mut run = agent.command("run", &[]);
        let log = place.dir.path().join("daemon.log");
        let _daemon = place.gw.serve(run.arg("--root").arg(&root), log, || socket.exists());
        let unasked = |name: &Value| name["addresses"] == json!([]) && name["last_error"] != Value::Null;
        names_that(&place, &agent, |names| names.len() == 2 && names.iter().all(unasked));
        assert!(!place.held().contains("93.184.1.1"));
        // As NetworkManager does it: written beside, renamed.
        let new = root.join("run/NetworkManager/.resolv.conf.new");
        std::fs::write(&new, "nameserver 10.99.0.53\n").expect("a resolv.conf");
        std::fs::rename(&new, root.join("run/NetworkManager/resolv.conf"))
            .expect("a resolv.conf in its place");
        eventually(|| {
            let held = place.held();
            if held.contains("93.184.1.1 . tcp . 443") { Ok(()) } else { Err(held) }
        });
    });
}

#[test]
fn check_shows_the_lines_for_addresses_that_are_given() {
    let dir = tempfile::tempdir().expect("a directory of the test's own");
    let names = dir.path().join("names.toml");
    std::fs::write(&names, "\"db.int.example\" = [\"172.20.0.5\"]\n\"www.example.net\" = [\"127.0.0.1\"]\n")
        .unwrap();
    let check = |settings: &str| {
        let agent = Agent::at(dir.path(), settings);
        let policy = agent.policy("site", POLICY);
        let output =
            agent.command("check", &[&policy]).arg("--names").arg(&names).output().expect("check runs");
        assert!(output.status.success(), "{}", printed(&output));
        printed(&output)
    };
    let said = check("[resolver]\nservers = [\"192.0.2.53\"]\n");
    assert!(said.contains("PG413") && said.contains("allow-net = [\"172.16.0.0/12\"]"), "{said}");
    assert!(said.contains("help: write the address itself"), "{said}");
    let said = check(
        "[resolver]\nservers = [\"192.0.2.53\"]\n[[resolver.domain]]\nsuffix = \"example\"\nallow-net = [\"172.16.0.0/12\"]\n",
    );
    assert!(!said.contains("172.20.0.5") && said.contains("127.0.0.1"), "{said}");
}
