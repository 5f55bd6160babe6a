//! FTP spoken by hand, so that the data connection can come from where a real server would not send it.

use super::flow::{Seen, next_source_port};
use super::{Family, Flow, Host, Outcome, Proto, World};
use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FtpMode {
    /// The server opens the data connection from this port (`None`: one that nothing else uses) to this port.
    Active { from: Option<u16>, to: u16 },
    /// The client opens it to this port.
    Passive { to: u16 },
}

/// What a peer of FTP rows is to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FtpRole {
    Server,
    Client,
}

/// A session and its one data connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FtpCase {
    pub client: (Host, IpAddr),
    pub server: (Host, IpAddr),
    pub mode: FtpMode,
    /// Whether the control connection announces the data connection.
    pub announced: bool,
}

impl FtpCase {
    pub fn written(&self) -> String {
        let who = if self.client.0 == Host::Gw { "gateway is client" } else { "gateway is server" };
        let family = if self.client.1.is_ipv4() { "IPv4" } else { "IPv6" };
        let announced = if self.announced { "" } else { ", not announced" };
        let mode = match self.mode {
            FtpMode::Active { from: Some(20), to } => format!("active data from port 20 to {to}"),
            FtpMode::Active { from: Some(port), to } => format!("active data from port {port} to {to}"),
            FtpMode::Active { from: None, to } => format!("active data from another port than 20 to {to}"),
            FtpMode::Passive { to } => format!("passive data to {to}"),
        };
        format!("ftp {family}, {who}: {mode}{announced}")
    }

    /// Opens the control connection, announces the data connection, and tells what becomes of that.
    pub fn send(&self, world: &World) -> Seen {
        let control =
            Flow { from: self.client, to: self.server, proto: Proto::Tcp, port: 21, broadcast: false };
        let failed = |problem: String| Seen { outcome: Outcome::Lost(problem), moved: Vec::new() };
        let (client, server) = match control.open(world) {
            Ok(Some(pair)) => pair,
            Ok(None) => return Seen { outcome: Outcome::Dropped, moved: Vec::new() },
            Err(problem) => return failed(format!("control connection: {problem}")),
        };
        if let Err(error) = self.talk(&client, &server) {
            return failed(format!("control connection: {error}"));
        }
        match self.mode {
            FtpMode::Active { from, to } => {
                let data = Flow {
                    from: self.server,
                    to: self.client,
                    proto: Proto::Tcp,
                    port: to,
                    broadcast: false,
                };
                data.send_from(world, from.unwrap_or_else(next_source_port))
            }
            FtpMode::Passive { to } => {
                Flow { from: self.client, to: self.server, proto: Proto::Tcp, port: to, broadcast: false }
                    .send(world)
            }
        }
    }

    fn talk(&self, client: &TcpStream, server: &TcpStream) -> std::io::Result<()> {
        say(server, client, "220 ready\r\n")?;
        say(client, server, "USER anonymous\r\n")?;
        if !self.announced {
            return Ok(());
        }
        match self.mode {
            FtpMode::Active { to, .. } => {
                say(client, server, &format!("{}\r\n", port_command(self.client.1, to)))
            }
            FtpMode::Passive { to } => {
                let ask = if self.server.1.is_ipv4() { "PASV\r\n" } else { "EPSV\r\n" };
                say(client, server, ask)?;
                say(server, client, &format!("{}\r\n", passive_reply(self.server.1, to)))
            }
        }
    }
}

/// A session between the gateway and a peer that is either always the server or always the client.
pub fn ftp_case(gateway_is_client: bool, family: Family, mode: FtpMode) -> FtpCase {
    let gateway = (Host::Gw, super::world::address(Host::Gw, family));
    let role = if gateway_is_client { FtpRole::Server } else { FtpRole::Client };
    let peer = (Host::Peer, super::world::ftp_address(role, family));
    let (client, server) = if gateway_is_client { (gateway, peer) } else { (peer, gateway) };
    FtpCase { client, server, mode, announced: true }
}

/// Writes a line and waits until the other end has read it: the helper has seen it by then.
fn say(mut from: &TcpStream, mut to: &TcpStream, line: &str) -> std::io::Result<()> {
    from.write_all(line.as_bytes())?;
    let mut got = vec![0; line.len()];
    to.read_exact(&mut got)
}

fn port_command(address: IpAddr, port: u16) -> String {
    match address {
        IpAddr::V4(v4) => format!("PORT {},{},{}", v4.to_string().replace('.', ","), port >> 8, port & 255),
        IpAddr::V6(v6) => format!("EPRT |2|{v6}|{port}|"),
    }
}

fn passive_reply(address: IpAddr, port: u16) -> String {
    match address {
        IpAddr::V4(v4) => {
            let octets = v4.to_string().replace('.', ",");
            format!("227 Entering Passive Mode ({octets},{},{})", port >> 8, port & 255)
        }
        IpAddr::V6(_) => format!("229 Entering Extended Passive Mode (|||{port}|)"),
    }
}
