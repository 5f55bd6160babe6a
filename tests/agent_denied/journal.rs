//! A journald that keeps what it is told, and the same of text on standard error: the fields of each logged packet.

use crate::lab::Events;
use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::Instant;

const SOCKET: &str = "/run/systemd/journal/socket";
/// As many datagrams as systemd lets wait (`net.unix.max_dgram_qlen`, which it sets).
const WAITING: &str = "512";
const BEFORE_OWN_FIELDS: &str = "PORTGRAVE_";

/// Names of fields, in small letters and without what stands before all of them, and their values.
pub type Fields = BTreeMap<String, String>;

#[derive(Clone, Debug)]
pub struct Entry {
    pub fields: Fields,
    pub at: Instant,
}

pub struct Journal {
    pub entries: Arc<Events<Entry>>,
}

impl Journal {
    /// In a /run of the test's own.
    pub fn start() -> Self {
        std::fs::write("/proc/sys/net/unix/max_dgram_qlen", WAITING).expect("a limit of sockets");
        std::fs::create_dir_all("/run/systemd/journal").expect("a directory");
        let socket = UnixDatagram::bind(SOCKET).expect("the journal's socket");
        let entries = Arc::new(Events::default());
        let to_entries = Arc::clone(&entries);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 256 * 1024];
            while let Ok(length) = socket.recv(&mut buffer) {
                let at = Instant::now();
                if length > 0 {
                    to_entries.push(Entry { fields: read(&buffer[..length]), at });
                }
            }
        });
        Self { entries }
    }
}

impl Entry {
    pub fn is_packet(&self) -> bool {
        self.fields.contains_key("proto")
    }

    /// The fields of the packet itself.
    pub fn packet(&self) -> Fields {
        let all = self.fields.iter();
        let own = all.filter(|(name, _)| !name.chars().any(char::is_uppercase) && *name != "lost");
        own.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// How many packets are said to have no line.
    pub fn not_logged(&self) -> u64 {
        self.number("not_logged")
    }

    /// How many entries before this one did not reach the journal.
    pub fn lost(&self) -> u64 {
        self.number("lost")
    }

    fn number(&self, field: &str) -> u64 {
        self.fields.get(field).map_or(0, |count| count.parse().expect("a number"))
    }
}

/// `NAME`, a line feed, the length in eight octets, the value, a line feed, and so on.
fn read(mut octets: &[u8]) -> Fields {
    let mut fields = Fields::new();
    while !octets.is_empty() {
        let end = octets.iter().position(|octet| *octet == b'\n').expect("a field's name");
        let name = String::from_utf8(octets[..end].to_vec()).expect("a name in ASCII");
        let (length, rest) = octets[end + 1..].split_first_chunk::<8>().expect("a length");
        let length = usize::try_from(u64::from_le_bytes(*length)).expect("a length");
        let (value, rest) = rest.split_at(length);
        let name = match name.strip_prefix(BEFORE_OWN_FIELDS) {
            Some(own) => own.to_ascii_lowercase(),
            None => name,
        };
        let before = fields.insert(name, String::from_utf8(value.to_vec()).expect("text"));
        assert_eq!(before, None, "a field twice");
        octets = rest.strip_prefix(b"\n").expect("the end of a field");
    }
    fields
}

/// The fields of a packet from a line of standard error; `None` of any other line.
pub fn of_line(line: &str) -> Option<Fields> {
    let (_, fields) = line.split_once(": packet ")?;
    let field = |word: &str| {
        let (name, value) = word.split_once('=')?;
        Some((name.to_owned(), value.trim_matches('"').to_owned()))
    };
    fields.split_whitespace().map(field).collect()
}
