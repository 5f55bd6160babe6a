//! Events to journald in its native protocol, a datagram each: every field of an event is a field of the entry.
//!
//! Nothing here waits: while journald takes nothing, entries are lost and counted, and the firewall goes on.

use nix::sys::socket::{setsockopt, sockopt};
use std::fmt::{Debug, Write};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// Where journald listens.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// Before the names of an event's own fields.
const PREFIX: &str = "PORTGRAVE_";

/// What is kept of a value: with all fields an entry has to fit into a datagram.
const MOST_OF_A_VALUE: usize = 16 * 1024;

/// What may wait for journald in its queue, which has room for 512 entries where systemd runs: the usual limit holds 150.
const MOST_WAITING: usize = 8 * 1024 * 1024;

pub(super) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
    /// Entries that journald did not take since the last that it took.
    lost: AtomicU64,
}

impl Journal {
    /// # Errors
    /// There is no socket to send to, for one because nobody listens. journald takes no notice of the empty datagram.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        // Only root may pass the limit of the system.
        if setsockopt(&socket, sockopt::SndBufForce, &MOST_WAITING).is_err() {
            setsockopt(&socket, sockopt::SndBuf, &MOST_WAITING)?;
        }
        match socket.send_to(&[], path) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Err(_) | Ok(_) => {}
        }
        Ok(Self { socket, path: path.to_owned(), lost: AtomicU64::new(0) })
    }

    fn send(&self, mut entry: Entry) {
        let lost = self.lost.load(Ordering::Relaxed);
        if lost > 0 {
            entry.put("PORTGRAVE_LOST", &lost.to_string());
        }
        // The path is looked up each time, so that a new journald is found.
        match self.socket.send_to(&entry.octets, &self.path) {
            Ok(_) => self.lost.fetch_sub(lost, Ordering::Relaxed),
            Err(_) => self.lost.fetch_add(1, Ordering::Relaxed),
        };
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut entry = Entry::default();
        entry.put("PRIORITY", priority(*event.metadata().level()));
        entry.put("SYSLOG_IDENTIFIER", "portgrave");
        if let (Some(file), Some(line)) = (event.metadata().file(), event.metadata().line()) {
            entry.put("CODE_FILE", file);
            entry.put("CODE_LINE", &line.to_string());
        }
        entry.put("MESSAGE", &fields.message());
        for (name, value) in &fields.others {
            entry.put(&field_name(name), value);
        }
        self.send(entry);
    }
}

/// As syslog(3) numbers them.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        Level::DEBUG | Level::TRACE => "7",
    }
}

/// journald takes capitals, digits and `_` in at most 64 octets.
fn field_name(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    PREFIX.chars().chain(name.chars().map(allowed)).take(64).collect()
}

#[derive(Default)]
struct Entry {
    octets: Vec<u8>,
}

impl Entry {
    /// With its length before it a value may have any octets.
    fn put(&mut self, name: &str, value: &str) {
        let value = shortened(value);
        self.octets.extend(name.as_bytes());
        self.octets.push(b'\n');
        self.octets.extend((value.len() as u64).to_le_bytes());
        self.octets.extend(value.as_bytes());
        self.octets.push(b'\n');
    }
}

fn shortened(value: &str) -> &str {
    let mut end = value.len().min(MOST_OF_A_VALUE);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    &value[..end]
}

/// What an event holds.
#[derive(Default)]
struct Fields {
    text: String,
    others: Vec<(&'static str, String)>,
}

impl Fields {
    /// The text, and the fields behind it, as standard error has them: `journalctl` shows the message alone.
    fn message(&self) -> String {
        let mut message = self.text.clone();
        for (name, value) in &self.others {
            let separator = if message.is_empty() { "" } else { " " };
            let quoted =
                value.is_empty() || value.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"');
            let _ = match quoted {
                true => write!(message, "{separator}{name}={value:?}"),
                false => write!(message, "{separator}{name}={value}"),
            };
        }
        message
    }

    fn add(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.text = value,
            name => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::time::Duration;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::registry;

    /// A journald.
    struct Daemon {
        dir: tempfile::TempDir,
        socket: UnixDatagram,
    }

    impl Daemon {
        fn start() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let socket = UnixDatagram::bind(dir.path().join("socket")).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            Self { dir, socket }
        }

        fn path(&self) -> PathBuf {
            self.dir.path().join("socket")
        }

        /// What it takes while this runs; the first datagram is the empty one.
        fn with<T>(&self, act: impl FnOnce() -> T) -> T {
            let log = registry().with(Journal::open(&self.path()).unwrap());
            assert_eq!(self.socket.recv(&mut [0; 8]).unwrap(), 0);
            tracing::subscriber::with_default(log, act)
        }

        fn entry(&self) -> BTreeMap<String, String> {
            let mut buffer = vec![0; 256 * 1024];
            let octets = self.socket.recv(&mut buffer).unwrap();
            fields_of(&buffer[..octets])
        }
    }

    fn fields_of(mut octets: &[u8]) -> BTreeMap<String, String> {
        let mut fields = BTreeMap::new();
        while !octets.is_empty() {
            let end = octets.iter().position(|octet| *octet == b'\n').unwrap();
            let name = String::from_utf8(octets[..end].to_vec()).unwrap();
            let (length, rest) = octets[end + 1..].split_first_chunk::<8>().unwrap();
            let (value, rest) = rest.split_at(u64::from_le_bytes(*length) as usize);
            fields.insert(name, String::from_utf8(value.to_vec()).unwrap());
            octets = rest.strip_prefix(b"\n").unwrap();
        }
        fields
    }

    #[test]
    fn every_field_of_an_event_is_a_field_of_its_entry() {
        let daemon = Daemon::start();
        daemon.with(|| {
            let peer: std::net::IpAddr = "2001:db8::1".parse().unwrap();
            tracing::info!(rule = "smtp-out", src = %peer, dport = 25, name = "two words", "denied {}", "packet");
        });
        let entry = daemon.entry();
        let wanted = [
            ("MESSAGE", "denied packet rule=smtp-out src=2001:db8::1 dport=25 name=\"two words\""),
            ("PRIORITY", "6"),
            ("SYSLOG_IDENTIFIER", "portgrave"),
            ("CODE_FILE", file!()),
            ("PORTGRAVE_RULE", "smtp-out"),
            ("PORTGRAVE_SRC", "2001:db8::1"),
            ("PORTGRAVE_DPORT", "25"),
            ("PORTGRAVE_NAME", "two words"),
        ];
        for (name, value) in wanted {
            assert_eq!(entry.get(name).map(String::as_str), Some(value), "{entry:?}");
        }
        assert!(entry["CODE_LINE"].parse::<u32>().is_ok());
        assert_eq!(entry.len(), wanted.len() + 1, "{entry:?}");
    }

    #[test]
    fn levels_are_the_priorities_of_syslog() {
        let daemon = Daemon::start();
        daemon.with(|| {
            tracing::error!("e");
            tracing::warn!("w");
            tracing::info!("i");
            tracing::debug!("d");
            tracing::trace!("t");
        });
        let seen: Vec<String> =
            (0..5).map(|_| daemon.entry()).map(|e| e["MESSAGE"].clone() + &e["PRIORITY"]).collect();
        assert_eq!(seen, ["e3", "w4", "i6", "d7", "t7"]);
    }

    #[test]
    fn what_a_value_holds_cannot_become_another_field() {
        let daemon = Daemon::start();
        let forged = "a\nPRIORITY\n\u{1}";
        daemon.with(|| tracing::warn!(name = forged, odd.field = 1, "first\nsecond"));
        let entry = daemon.entry();
        assert_eq!(entry["PORTGRAVE_NAME"], forged);
        assert_eq!(entry["PRIORITY"], "4");
        assert_eq!(entry["PORTGRAVE_ODD_FIELD"], "1");
        assert_eq!(entry["MESSAGE"], "first\nsecond name=\"a\\nPRIORITY\\n\\u{1}\" odd.field=1");
    }

    #[test]
    fn long_values_are_cut_and_long_entries_arrive() {
        let daemon = Daemon::start();
        let long = "ä".repeat(MOST_OF_A_VALUE);
        daemon.with(|| tracing::info!(a = %long, b = %long, c = %long, d = %long, "x{long}"));
        let entry = daemon.entry();
        for name in ["PORTGRAVE_A", "PORTGRAVE_B", "PORTGRAVE_C", "PORTGRAVE_D"] {
            assert_eq!(entry[name].len(), MOST_OF_A_VALUE);
        }
        assert_eq!(entry["MESSAGE"].len(), MOST_OF_A_VALUE - 1);
    }

    #[test]
    fn a_journal_that_takes_nothing_holds_nobody_up_and_the_loss_is_told() {
        let daemon = Daemon::start();
        const SENT: u64 = 5000;
        daemon.with(|| {
            for number in 0..SENT {
                tracing::info!(number, "one of many");
            }
            daemon.socket.set_nonblocking(true).unwrap();
            let mut buffer = [0; 4096];
            let taken = std::iter::from_fn(|| daemon.socket.recv(&mut buffer).ok()).count() as u64;
            assert!(taken < SENT, "its queue has an end");
            tracing::info!("after");
            tracing::info!("later");
            let first = daemon.entry();
            assert_eq!(first["PORTGRAVE_LOST"], (SENT - taken).to_string());
            assert!(!daemon.entry().contains_key("PORTGRAVE_LOST"));
        });
    }

    #[test]
    fn a_journal_that_is_started_again_is_found() {
        let daemon = Daemon::start();
        daemon.with(|| {
            std::fs::remove_file(daemon.path()).unwrap();
            tracing::info!("lost");
            let again = UnixDatagram::bind(daemon.path()).unwrap();
            tracing::info!("found");
            let mut buffer = [0; 4096];
            let octets = again.recv(&mut buffer).unwrap();
            let entry = fields_of(&buffer[..octets]);
            assert_eq!((entry["MESSAGE"].as_str(), entry["PORTGRAVE_LOST"].as_str()), ("found", "1"));
        });
        assert!(Journal::open(&daemon.dir.path().join("nobody")).is_err());
    }
}
