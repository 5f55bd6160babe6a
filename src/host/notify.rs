//! What systemd is told of this service: the protocol of sd_notify(3).

use super::clock;
use std::ffi::OsStr;
use std::io::{self, Error, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Without a service manager each of its notices is sent to nobody.
#[derive(Debug, Default)]
pub struct Notifier {
    to: Option<(UnixDatagram, SocketAddr)>,
    /// How often systemd expects a sign of life.
    watchdog: Option<Duration>,
}

/// How long a service manager that takes nothing may hold this process up.
const PATIENCE: Duration = Duration::from_secs(1);

impl Notifier {
    /// Who asked to be told, by NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
    ///
    /// # Errors
    /// NOTIFY_SOCKET is neither a path nor an abstract name.
    pub fn from_environment() -> io::Result<Self> {
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
        let socket = std::env::var_os("NOTIFY_SOCKET");
        Self::new(socket.as_deref(), watchdog(number("WATCHDOG_USEC"), number("WATCHDOG_PID")))
    }

    fn new(socket: Option<&OsStr>, watchdog: Option<Duration>) -> io::Result<Self> {
        let Some(name) = socket.filter(|name| !name.is_empty()) else { return Ok(Self::default()) };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { to: Some((socket, address(name)?)), watchdog })
    }

    /// How often to call [`Notifier::alive`]: twice in the time after which systemd takes the service for dead.
    pub fn alive_every(&self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 2)
    }

    /// The service does what it is for, for the first time or after a reload.
    pub fn ready(&self, status: &str) -> io::Result<()> {
        self.send(&format!("READY=1\n{}", status_line(status)))
    }

    /// A reload begins; [`Notifier::ready`] ends it, whatever its outcome.
    pub fn reloading(&self, status: &str) -> io::Result<()> {
        let now = clock::monotonic().as_micros();
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={now}\n{}", status_line(status)))
    }

    pub fn stopping(&self, status: &str) -> io::Result<()> {
        self.send(&format!("STOPPING=1\n{}", status_line(status)))
    }

    /// What `systemctl status` shows.
    pub fn status(&self, status: &str) -> io::Result<()> {
        self.send(&status_line(status))
    }

    pub fn alive(&self) -> io::Result<()> {
        self.send("WATCHDOG=1\n")
    }

    fn send(&self, notice: &str) -> io::Result<()> {
        match &self.to {
            None => Ok(()),
            Some((socket, address)) => socket.send_to_addr(notice.as_bytes(), address).map(drop),
        }
    }
}

fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(name),
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => {
            let told =
                format!("NOTIFY_SOCKET={} is neither a path nor an abstract name", name.to_string_lossy());
            Err(Error::new(ErrorKind::InvalidInput, told))
        }
    }
}

/// The limit, if it is set and meant for this process.
fn watchdog(microseconds: Option<u64>, pid: Option<u64>) -> Option<Duration> {
    let ours = pid.is_none_or(|pid| pid == u64::from(std::process::id()));
    microseconds.filter(|limit| ours && *limit > 0).map(Duration::from_micros)
}

/// One line, whatever the text.
fn status_line(status: &str) -> String {
    format!("STATUS={}\n", status.replace(|c: char| c.is_control(), " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service manager, by a path or by an abstract name.
    fn manager(name: &OsStr) -> UnixDatagram {
        let manager = UnixDatagram::bind_addr(&address(name).unwrap()).unwrap();
        manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        manager
    }

    fn told(manager: &UnixDatagram) -> String {
        let mut buffer = [0; 4096];
        let octets = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..octets].to_vec()).unwrap()
    }

    #[test]
    fn a_manager_is_told_by_a_path_and_by_an_abstract_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify").into_os_string();
        let name = format!("@portgrave-test-{}", std::process::id());
        for name in [path.as_os_str(), OsStr::new(&name)] {
            let manager = manager(name);
            let notifier = Notifier::new(Some(name), None).unwrap();
            notifier.ready("rules are in force\nREADY=0").unwrap();
            notifier.status("5 names, ü").unwrap();
            notifier.alive().unwrap();
            notifier.stopping("the rules stay").unwrap();
            assert_eq!(told(&manager), "READY=1\nSTATUS=rules are in force READY=0\n");
            assert_eq!(told(&manager), "STATUS=5 names, ü\n");
            assert_eq!(told(&manager), "WATCHDOG=1\n");
            assert_eq!(told(&manager), "STOPPING=1\nSTATUS=the rules stay\n");
        }
    }

    #[test]
    fn a_reload_says_when_it_began() {
        let name = format!("@portgrave-test-reload-{}", std::process::id());
        let manager = manager(OsStr::new(&name));
        let before = clock::monotonic().as_micros();
        Notifier::new(Some(OsStr::new(&name)), None).unwrap().reloading("reading the policy").unwrap();
        let text = told(&manager);
        let lines: Vec<&str> = text.lines().collect();
        let ["RELOADING=1", began, "STATUS=reading the policy"] = lines[..] else { panic!("{text}") };
        let began: u128 = began.strip_prefix("MONOTONIC_USEC=").unwrap().parse().unwrap();
        assert!((before..=clock::monotonic().as_micros()).contains(&began), "{text}");
    }

    #[test]
    fn without_a_manager_nobody_is_told_and_nothing_fails() {
        for socket in [None, Some(OsStr::new(""))] {
            let notifier = Notifier::new(socket, Some(Duration::from_secs(30))).unwrap();
            notifier.ready("ready").unwrap();
            notifier.reloading("").unwrap();
            assert_eq!(notifier.alive_every(), None);
        }
        assert!(Notifier::new(Some(OsStr::new("vsock:2:1234")), None).is_err());
        let gone = Notifier::new(Some(OsStr::new("@portgrave-test-nobody")), None).unwrap();
        assert!(gone.ready("ready").is_err());
    }

    #[test]
    fn a_manager_that_takes_nothing_holds_nobody_up_for_good() {
        let name = format!("@portgrave-test-full-{}", std::process::id());
        let _manager = manager(OsStr::new(&name));
        let notifier = Notifier::new(Some(OsStr::new(&name)), None).unwrap();
        let refused = (0..100_000).find_map(|_| notifier.alive().err());
        assert_eq!(refused.expect("its queue has an end").kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn the_watchdog_is_for_this_process_only() {
        let own = u64::from(std::process::id());
        let limit = Some(Duration::from_secs(30));
        assert_eq!(watchdog(Some(30_000_000), Some(own)), limit);
        assert_eq!(watchdog(Some(30_000_000), None), limit);
        assert_eq!(watchdog(Some(30_000_000), Some(own + 1)), None);
        assert_eq!(watchdog(Some(0), Some(own)), None);
        assert_eq!(watchdog(None, Some(own)), None);
        let notifier = Notifier::new(Some(OsStr::new("@portgrave-test-alive")), limit).unwrap();
        assert_eq!(notifier.alive_every(), Some(Duration::from_secs(15)));
    }
}
