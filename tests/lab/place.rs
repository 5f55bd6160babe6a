//! Where the tests of names take place.
//!
//! ```text
//!   gw ─── far      gw:  the machine that the daemon guards
//!                   far: every public address that a name may stand for, the DNS servers, and a listener on port 443
//! ```

use super::dns::Dns;
use crate::rig::{Ns, Process};
use portgrave::types::Family;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

pub struct Lab {
    pub gw: Ns,
    pub far: Ns,
    pub dns: Dns,
    pub dir: tempfile::TempDir,
}

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    Yes,
    /// The policy's default rejects, so that a refusal comes at once.
    Refused,
}

/// Where DNS servers may run: addresses of `far`, port 53.
pub const SERVERS: [&str; 3] = ["10.99.0.53:53", "10.99.0.54:53", "[fd99::53]:53"];

/// The port that rules of tests open.
pub const PORT: u16 = 443;

impl Lab {
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("portgrave-lab-").tempdir().expect("a temporary directory");
        let lab = Self { gw: Ns::new("gw"), far: Ns::new("far"), dns: Dns::new(), dir };
        lab.far.ip("link add to-gw type veth peer name up0 netns gw\n\
             link set to-gw up\n\
             addr add 10.99.0.2/24 dev to-gw\n\
             addr add 10.99.0.53/24 dev to-gw\n\
             addr add 10.99.0.54/24 dev to-gw\n\
             addr add fd99::2/64 dev to-gw nodad\n\
             addr add fd99::53/64 dev to-gw nodad\n\
             route add local 0.0.0.0/1 dev lo table main\n\
             route add local 128.0.0.0/1 dev lo table main\n\
             route add local 2000::/3 dev lo table main\n");
        lab.gw.ip("link set up0 up\n\
             addr add 10.99.0.1/24 dev up0\n\
             addr add fd99::1/64 dev up0 nodad\n\
             route add default via 10.99.0.2\n\
             route add default via fd99::2\n");
        lab.listen();
        lab
    }

    /// A scripted server on each of these addresses.
    pub fn serve(&self, servers: &[&str]) -> Vec<SocketAddr> {
        servers.iter().map(|server| self.dns.serve(&self.far, parsed(server))).collect()
    }

    /// Connects from the gateway to an address and ends the connection.
    pub fn connect(&self, address: IpAddr) -> Reached {
        self.gw.enter(|| connect(address))
    }

    /// Sends a datagram from the gateway: what a rule drops or rejects, the kernel refuses at once.
    pub fn sends(&self, address: IpAddr) -> bool {
        self.gw.enter(|| {
            let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any).expect("a socket");
            socket.set_broadcast(true).expect("a socket option");
            let sent = socket.send_to(b"probe", (address, PORT));
            match sent {
                Ok(_) => true,
                Err(error) if error.raw_os_error() == Some(nix::libc::EPERM) => false,
                Err(error) => panic!("{address}: {error}"),
            }
        })
    }

    /// Takes every connection and ends it.
    fn listen(&self) {
        for any in ["0.0.0.0", "::"] {
            let listener = self.far.enter(|| listener(any));
            std::thread::spawn(move || listener.incoming().for_each(drop));
        }
    }
}

pub fn connect(address: IpAddr) -> Reached {
    match TcpStream::connect_timeout(&(address, PORT).into(), super::PATIENCE) {
        Ok(_) => Reached::Yes,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Reached::Refused,
        Err(error) if error.raw_os_error() == Some(nix::libc::EACCES) => Reached::Refused,
        Err(error) => panic!("{address}: {error}"),
    }
}

/// A listener of one family alone.
fn listener(any: &str) -> TcpListener {
    use nix::sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, setsockopt, socket,
        sockopt,
    };
    use std::os::fd::AsRawFd;
    let address: IpAddr = any.parse().expect("an address");
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
    if address.is_ipv6() {
        setsockopt(&fd, sockopt::Ipv6V6Only, &true).expect("a socket option");
    }
    bind(fd.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(address, PORT))).expect("a free port");
    listen(&fd, Backlog::new(1000).expect("a backlog")).expect("a listener");
    fd.into()
}

/// A server's address as the settings have it.
pub fn parsed(server: &str) -> SocketAddr {
    server.parse().expect("an address and a port")
}
