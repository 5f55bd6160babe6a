//! Real DNS servers: dnsmasq and unbound, with records of their own or as caches before another server.

use super::place::Lab;
use crate::rig::{Ns, Process};
use std::net::{IpAddr, SocketAddr};
use std::process::Command;

/// Where answers come from.
pub enum Source<'a> {
    /// Names with their addresses, all with one TTL.
    Records { ttl: u32, records: &'a [(&'a str, &'a [&'a str])] },
    /// Another server, whose answers are cached.
    Upstream(SocketAddr),
}

/// dnsmasq in the far namespace, on an address of which port 53 is free.
pub fn dnsmasq(lab: &Lab, address: IpAddr, source: &Source<'_>) -> Process {
    let mut command = Command::new("dnsmasq");
    command.args(["--keep-in-foreground", "--no-resolv", "--no-hosts", "--no-poll", "--conf-file=/dev/null"]);
    command.args(["--bind-interfaces", "--log-facility=-", "--user=", "--group=", "--pid-file="]);
    command.args(["--cache-size=10000", "--except-interface=lo"]).arg(format!("--listen-address={address}"));
    match source {
        Source::Records { ttl, records } => {
            let hosts = lab.dir.path().join(format!("hosts-{address}"));
            let line = |(name, addresses): &(&str, &[&str])| {
                addresses.iter().map(|address| format!("{address} {name}\n")).collect::<String>()
            };
            std::fs::write(&hosts, records.iter().map(line).collect::<String>()).expect("a hosts file");
            command.arg(format!("--local-ttl={ttl}")).arg("--addn-hosts").arg(hosts);
        }
        Source::Upstream(server) => {
            command.arg(format!("--server={}#{}", server.ip(), server.port()));
        }
    }
    serve(lab, "dnsmasq", address, &mut command)
}

/// unbound in the far namespace, on an address of which port 53 is free.
pub fn unbound(lab: &Lab, address: IpAddr, source: &Source<'_>) -> Process {
    let mut text = format!(
        "server:\n  interface: {address}\n  port: 53\n  access-control: 0.0.0.0/0 allow\n  access-control: ::/0 allow\n  \
         chroot: \"\"\n  username: \"\"\n  pidfile: \"\"\n  directory: \"{}\"\n  use-syslog: no\n  do-daemonize: no\n  \
         num-threads: 1\n  module-config: \"iterator\"\n  do-not-query-localhost: no\n  minimal-responses: yes\n  \
         serve-expired: no\n  edns-tcp-keepalive: no\n  so-reuseport: no\n",
        lab.dir.path().display()
    );
    match source {
        Source::Records { ttl, records } => {
            for (name, addresses) in *records {
                text.push_str(&format!("  local-zone: \"{name}.\" static\n"));
                for address in *addresses {
                    let kind = if address.contains(':') { "AAAA" } else { "A" };
                    text.push_str(&format!("  local-data: \"{name}. {ttl} IN {kind} {address}\"\n"));
                }
            }
        }
        Source::Upstream(server) => text.push_str(&format!(
            "forward-zone:\n  name: \".\"\n  forward-addr: {}@{}\n",
            server.ip(),
            server.port()
        )),
    }
    text.push_str("remote-control:\n  control-enable: no\n");
    let config = lab.dir.path().join(format!("unbound-{address}.conf"));
    std::fs::write(&config, text).expect("a settings file");
    let mut command = Command::new("/usr/sbin/unbound");
    serve(lab, "unbound", address, command.arg("-d").arg("-c").arg(config))
}

fn serve(lab: &Lab, name: &str, address: IpAddr, command: &mut Command) -> Process {
    let log = lab.dir.path().join(format!("{name}-{address}.log"));
    lab.far.serve(command, log, || binds(&lab.far, address))
}

/// Whether somebody has the port on this address.
fn binds(ns: &Ns, address: IpAddr) -> bool {
    let taken = |error: std::io::Error| error.kind() == std::io::ErrorKind::AddrInUse;
    ns.enter(|| std::net::UdpSocket::bind((address, 53)).is_err_and(taken))
}
