//! Real servers and clients through the gateway, each with its rows alone in force.

mod rig;

use rig::servers::{self, Ssh, Tls, bracketed};
use rig::{
    Agent, Family, FtpRole, Host, Ns, World, address, ftp_address, group_address, isolated, name_address,
};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;

/// A world with only the rules of some rows in force.
struct Stage {
    world: World,
    _agent: Agent,
}

impl Stage {
    fn new(rows: &[&str]) -> Self {
        let mut world = World::new();
        world.serve_names();
        let agent = Agent::new(&world);
        let policy = agent.policy("rows", &rig::with_rows(rows).0);
        let site = agent.policy("site", &rig::all_on());
        agent.apply(&world.gw, &[&policy, &site]);
        Self { world, _agent: agent }
    }

    /// A directory of its own for a server.
    fn dir(&self, name: &str) -> PathBuf {
        let dir = self.world.dir.path().join(name);
        std::fs::create_dir_all(&dir).expect("a directory");
        dir
    }

    /// The gateway and the peer, as client and server: once each way.
    fn both_ways(&self, peer: impl Fn(bool) -> Host2) -> [Ends<'_>; 2] {
        [true, false].map(|gateway_is_client| {
            let peer = (&self.world.peer, peer(gateway_is_client));
            let gateway: (&Ns, Host2) = (&self.world.gw, Box::new(|family| address(Host::Gw, family)));
            let (client, server) = if gateway_is_client { (gateway, peer) } else { (peer, gateway) };
            Ends { client: client.0, client_at: client.1, server: server.0, server_at: server.1 }
        })
    }
}

/// A host's address in a family.
type Host2 = Box<dyn Fn(Family) -> IpAddr>;

struct Ends<'a> {
    client: &'a Ns,
    client_at: Host2,
    server: &'a Ns,
    server_at: Host2,
}

fn in_group(group: &'static str) -> impl Fn(bool) -> Host2 {
    move |_| Box::new(move |family| group_address(group, family))
}

fn ftp_peer(gateway_is_client: bool) -> Host2 {
    let role = if gateway_is_client { FtpRole::Server } else { FtpRole::Client };
    Box::new(move |family| ftp_address(role, family))
}

/// curl, which says why it fails and gives up in a while.
fn curl(from: IpAddr) -> Command {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "10", "--interface", &from.to_string()]);
    command
}

#[test]
fn ftp_backup_goes_active_and_passive_through_the_helper() {
    isolated("ftp_backup_goes_active_and_passive_through_the_helper", || {
        let stage = Stage::new(&["R01", "R02"]);
        for (ends, name) in stage.both_ways(ftp_peer).iter().zip(["peer", "gateway"]) {
            let _server = servers::ftp(ends.server, &stage.dir(name), 21, None);
            for family in Family::BOTH {
                let (from, to) = ((ends.client_at)(family), (ends.server_at)(family));
                let url = format!("ftp://{}/hello.txt", bracketed(to));
                let modes: &[&[&str]] = match family {
                    Family::V4 => &[
                        &[],
                        &["--disable-epsv"],
                        &["--ftp-port", "-"],
                        &["--ftp-port", "-", "--disable-eprt"],
                    ],
                    Family::V6 => &[&[], &["--ftp-port", "-"]],
                };
                for mode in modes {
                    let text = ends.client.stdout(curl(from).args(*mode).arg(&url));
                    assert_eq!(text, "hello from the server\n", "{mode:?} {url}");
                }
                for passive in ["true", "false"] {
                    let script = format!(
                        "set net:max-retries 1; set net:timeout 10; set ftp:passive-mode {passive}; \
                         set {} {from}; open {}; put -O in {} -o {passive}-{family:?}; cat hello.txt",
                        if family == Family::V4 { "net:socket-bind-ipv4" } else { "net:socket-bind-ipv6" },
                        format_args!("ftp://{}", bracketed(to)),
                        rig::shipped_path().display()
                    );
                    let text = ends.client.stdout(Command::new("lftp").args(["--norc", "-c", &script]));
                    assert_eq!(text, "hello from the server\n", "lftp, passive {passive}");
                }
            }
        }
    });
}

#[test]
fn ftps_goes_through_the_passive_range_with_explicit_tls() {
    isolated("ftps_goes_through_the_passive_range_with_explicit_tls", || ftps(&["R03"], 21, "ftp"));
}

#[test]
fn ftps_goes_through_the_passive_range_with_implicit_tls() {
    isolated("ftps_goes_through_the_passive_range_with_implicit_tls", || ftps(&["R35"], 990, "ftps"));
}

fn ftps(rows: &[&str], port: u16, scheme: &str) {
    let stage = Stage::new(rows);
    for (ends, name) in stage.both_ways(ftp_peer).iter().zip(["peer", "gateway"]) {
        let dir = stage.dir(name);
        let tls = Tls::new(ends.server, &dir);
        let _server = servers::ftp(ends.server, &dir, port, Some(&tls));
        for family in Family::BOTH {
            let url = format!("{scheme}://{}:{port}/hello.txt", bracketed((ends.server_at)(family)));
            let text = ends.client.stdout(curl((ends.client_at)(family)).args(["--ssl-reqd", "-k", &url]));
            assert_eq!(text, "hello from the server\n", "{url}");
        }
    }
}

#[test]
fn an_administrator_logs_in_by_ssh() {
    isolated("an_administrator_logs_in_by_ssh", || {
        let stage = Stage::new(&["R04"]);
        let ssh = Ssh::start(&stage.world.gw, &stage.dir("gateway"));
        for family in Family::BOTH {
            let to = address(Host::Gw, family);
            let mut client = ssh.client("ssh", group_address("admins", family));
            let text = stage.world.peer.stdout(client.arg(format!("rig@{to}")).arg("echo logged in"));
            assert_eq!(text, "logged in\n");
        }
    });
}

#[test]
fn sftp_copies_a_file_both_ways() {
    isolated("sftp_copies_a_file_both_ways", || {
        let stage = Stage::new(&["R05"]);
        for (ends, name) in stage.both_ways(in_group("sftp-servers")).iter().zip(["peer", "gateway"]) {
            let dir = stage.dir(name);
            let ssh = Ssh::start(ends.server, &dir);
            for family in Family::BOTH {
                let (batch, copy) = (dir.join("batch"), dir.join(format!("copy-{family:?}")));
                let source = rig::shipped_path();
                let put = format!("put {} {}\n", source.display(), copy.display());
                std::fs::write(&batch, put).expect("a batch file");
                let mut client = ssh.client("sftp", (ends.client_at)(family));
                client.arg("-b").arg(&batch).arg(format!("rig@{}", bracketed((ends.server_at)(family))));
                ends.client.stdout(&mut client);
                let read = |path| std::fs::read(path).expect("a file that was copied");
                assert_eq!(read(copy), read(source));
            }
        }
    });
}

#[test]
fn mail_is_delivered_both_ways() {
    isolated("mail_is_delivered_both_ways", || {
        let stage = Stage::new(&["R06", "R07"]);
        let primary = |_| -> Host2 { Box::new(|family| address(Host::Peer, family)) };
        for (ends, name) in stage.both_ways(primary).iter().zip(["peer", "gateway"]) {
            for family in Family::BOTH {
                let dir = stage.dir(&format!("{name}-{family:?}"));
                let at = (ends.server_at)(family);
                let (_server, log) = servers::smtp(ends.server, &dir, at);
                let mail = dir.join("mail");
                std::fs::write(&mail, "Subject: through the gateway\r\n\r\nhello\r\n").expect("a file");
                let mut client = curl((ends.client_at)(family));
                client.arg(format!("smtp://{}/rig.example", bracketed(at))).arg("-T").arg(&mail);
                client.args(["--mail-from", "a@rig.example", "--mail-rcpt", "b@rig.example"]);
                ends.client.stdout(&mut client);
                let received = std::fs::read_to_string(log).expect("the server's log");
                assert!(received.contains("through the gateway"), "{received}");
            }
        }
    });
}

#[test]
fn dns_servers_answer_over_udp_and_tcp() {
    isolated("dns_servers_answer_over_udp_and_tcp", || {
        let stage = Stage::new(&["R09", "R10"]);
        for family in Family::BOTH {
            let at = group_address("dns-servers", family);
            let _server = servers::dns(&stage.world.peer, &stage.dir("dns"), at);
            for transport in ["+notcp", "+tcp"] {
                let mut client = Command::new("dig");
                client.args([
                    "+short",
                    "+time=5",
                    "+tries=1",
                    transport,
                    &format!("@{at}"),
                    "rig.example",
                    "A",
                ]);
                assert_eq!(stage.world.gw.stdout(&mut client), "192.0.2.77\n", "{transport} @{at}");
            }
        }
    });
}

#[test]
fn the_clock_is_compared_with_a_server_of_the_pool() {
    isolated("the_clock_is_compared_with_a_server_of_the_pool", || {
        let stage = Stage::new(&["R21"]);
        let dir = stage.dir("ntp");
        let _server = servers::ntp(&stage.world.peer, &dir);
        for family in Family::BOTH {
            let pid = format!("pidfile {}", dir.join("client.pid").display());
            let source =
                format!("server {} iburst maxsamples 1", name_address("0.rhel.pool.ntp.org", family));
            let mut client = Command::new("chronyd");
            client.args([
                "-Q",
                "-t",
                "10",
                "-U",
                "-u",
                "root",
                &source,
                "cmdport 0",
                "bindcmdaddress /",
                &pid,
            ]);
            let output = stage.world.gw.output(&mut client);
            let text = rig::printed(&output);
            assert!(output.status.success() && text.contains("System clock wrong by"), "{text}");
        }
    });
}

#[test]
fn the_directory_is_searched_both_ways() {
    isolated("the_directory_is_searched_both_ways", || ldap(&["R26"], false));
}

#[test]
fn the_directory_is_searched_both_ways_over_tls() {
    isolated("the_directory_is_searched_both_ways_over_tls", || ldap(&["R34"], true));
}

fn ldap(rows: &[&str], encrypted: bool) {
    let stage = Stage::new(rows);
    let scheme = if encrypted { "ldaps" } else { "ldap" };
    for (ends, name) in stage.both_ways(in_group("ldap-servers")).iter().zip(["peer", "gateway"]) {
        let dir = stage.dir(name);
        let tls = encrypted.then(|| Tls::new(ends.server, &dir));
        for family in Family::BOTH {
            let at = (ends.server_at)(family);
            // ldapsearch cannot choose its own address.
            stage.world.speak_from(group_address("ldap-servers", family));
            let _server = servers::ldap(ends.server, &dir, at, tls.as_ref());
            let mut client = Command::new("ldapsearch");
            client.env("LDAPTLS_REQCERT", "never");
            client.args(["-x", "-LLL", "-o", "nettimeout=10", "-s", "base", "-b", ""]);
            client.args(["-H", &format!("{scheme}://{}", bracketed(at)), "namingContexts"]);
            let text = ends.client.stdout(&mut client);
            assert!(text.contains("namingContexts: cn=rig"), "{text}");
        }
    }
}

#[test]
fn the_log_is_exported_over_tcp() {
    isolated("the_log_is_exported_over_tcp", || {
        let stage = Stage::new(&["R33"]);
        let (_server, written) = servers::syslog(&stage.world.peer, &stage.dir("syslog"));
        for family in Family::BOTH {
            let at = group_address("syslog-servers", family);
            let message = format!("exported over {family:?}");
            let mut client = Command::new("logger");
            client.args(["-n", &at.to_string(), "-T", "-P", "514", "--octet-count", &message]);
            stage.world.gw.stdout(&mut client);
            rig::eventually(|| {
                let text = std::fs::read_to_string(&written).unwrap_or_default();
                if text.contains(&message) { Ok(()) } else { Err(text) }
            });
        }
    });
}

#[test]
fn web_pages_are_fetched_in_and_out_by_name() {
    isolated("web_pages_are_fetched_in_and_out_by_name", || {
        let stage = Stage::new(&["R11", "R13", "R29"]);
        let world = &stage.world;
        let tls = Tls::new(&world.gw, &stage.dir("gateway"));
        let _servers = [
            servers::http(&world.gw, &stage.dir("gateway")),
            servers::http(&world.peer, &stage.dir("peer")),
            servers::https(&world.gw, &stage.dir("gateway"), &tls),
        ];
        for family in Family::BOTH {
            let (from, to) = (address(Host::Peer, family), bracketed(address(Host::Gw, family)));
            let page = world.peer.stdout(curl(from).arg(format!("http://{to}/")));
            assert_eq!(page, "hello from the web\n");
            let page = world.peer.stdout(curl(from).args(["-k", &format!("https://{to}/")]));
            assert!(page.contains("s_server"), "{page}");
            // The client looks the name up by itself, as the system does.
            let version = if family == Family::V4 { "-4" } else { "-6" };
            let mut client = curl(address(Host::Gw, family));
            let page = world.gw.stdout(client.args([version, "http://repo.clearswift.net/"]));
            assert_eq!(page, "hello from the web\n");
        }
    });
}
