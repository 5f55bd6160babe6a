//! The learned addresses of names, and how much of their lives is left when they are read again.

use super::StoreError;
use super::files::Dir;
use crate::model::{Kept, Seen};
use crate::types::HostName;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufWriter, Write};
use std::net::IpAddr;
use std::time::Duration;

const FILE: &str = "names.json";
const FORMAT: u32 = 1;

/// After another boot, where the wall clock is not sane, no address lives longer.
const MAX_WITHOUT_CLOCK: Duration = Duration::from_secs(3600);

/// After another boot every address lives at least so long: the look-ups come first.
const MIN_AFTER_BOOT: Duration = Duration::from_secs(60);

/// A wall clock before 2024 has not been set.
const SANE_CLOCK: u64 = 1_704_067_200;

/// No life is longer: the longest TTL and grace that the settings allow.
const LONGEST_LIFE: u64 = 60 * 86_400;

/// No more addresses are ever written, each for no more names on average.
const MOST_ADDRESSES: usize = 65_536;
const MOST_NAMES_EACH: usize = 16;

/// A moment by all clocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    pub boot_id: String,
    /// CLOCK_BOOTTIME.
    pub since_boot: Duration,
    /// Seconds since 1970 (UTC).
    pub wall: u64,
}

/// Addresses by name, each with what was left of its life when they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub written: Option<Moment>,
    pub names: BTreeMap<HostName, Vec<Kept>>,
}

#[derive(Deserialize)]
struct File {
    format: u32,
    written: Moment,
    names: BTreeMap<String, Vec<Entry>>,
}

/// The same to be written.
#[derive(Serialize)]
struct NewFile<'a> {
    format: u32,
    written: Moment,
    #[serde(serialize_with = "entries")]
    names: &'a BTreeMap<HostName, Vec<Kept>>,
}

/// Ages and the life are counted from the moment of writing.
#[derive(Serialize, Deserialize)]
struct Entry {
    address: IpAddr,
    remaining_seconds: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_seen_seconds_ago: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_seen_seconds_ago: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server: Option<IpAddr>,
}

impl Entry {
    fn of(kept: &Kept) -> Self {
        Self {
            address: kept.address,
            remaining_seconds: kept.remaining.as_secs(),
            first_seen_seconds_ago: kept.seen.map(|seen| seen.first.as_secs()),
            last_seen_seconds_ago: kept.seen.map(|seen| seen.last.as_secs()),
            server: kept.server,
        }
    }

    fn kept(&self) -> Kept {
        let seen = |last: u64| {
            let first = self.first_seen_seconds_ago.unwrap_or(last).max(last);
            Seen { first: Duration::from_secs(first), last: Duration::from_secs(last) }
        };
        Kept {
            address: self.address,
            remaining: Duration::from_secs(self.remaining_seconds.min(LONGEST_LIFE)),
            seen: self.last_seen_seconds_ago.map(seen),
            server: self.server,
        }
    }
}

/// How much time has passed since a moment.
enum Passed {
    Exactly(Duration),
    /// Another boot, and the wall clock says how much.
    ByWall(Duration),
    /// Another boot, or a moment in the future: nobody knows.
    Unknown,
}

/// On the same boot by the clock of the boot; after another by the wall clock if it is sane at both moments.
fn passed(written: &Moment, now: &Moment) -> Passed {
    if written.boot_id == now.boot_id {
        let since = now.since_boot.checked_sub(written.since_boot);
        return since.map_or(Passed::Unknown, Passed::Exactly);
    }
    match now.wall.checked_sub(written.wall) {
        Some(seconds) if written.wall >= SANE_CLOCK => Passed::ByWall(Duration::from_secs(seconds)),
        Some(_) | None => Passed::Unknown,
    }
}

/// What is left now of lives as they were written, at most an hour where nobody knows how much time has passed. After another boot at
/// least a minute.
pub fn remaining(names: &Names, now: &Moment) -> BTreeMap<HostName, Vec<Kept>> {
    let Some(written) = &names.written else { return BTreeMap::new() };
    let passed = passed(written, now);
    let left = |kept: &Kept| aged(*kept, &passed);
    let of_name = |kept: &Vec<Kept>| {
        kept.iter().map(left).filter(|kept| kept.remaining >= Duration::from_secs(1)).collect()
    };
    names.names.iter().map(|(name, kept)| (name.clone(), of_name(kept))).collect()
}

fn aged(kept: Kept, passed: &Passed) -> Kept {
    let (remaining, time) = match passed {
        Passed::Exactly(time) => (kept.remaining.saturating_sub(*time), *time),
        Passed::ByWall(time) => (kept.remaining.saturating_sub(*time).max(MIN_AFTER_BOOT), *time),
        Passed::Unknown => (kept.remaining.clamp(MIN_AFTER_BOOT, MAX_WITHOUT_CLOCK), Duration::ZERO),
    };
    let older = |age: Duration| age.saturating_add(time);
    let seen = kept.seen.map(|seen| Seen { first: older(seen.first), last: older(seen.last) });
    Kept { remaining, seen, ..kept }
}

pub(super) fn save(dir: &Dir, names: &Names) -> Result<(), StoreError> {
    let Some(written) = names.written.clone() else { return Ok(()) };
    let file = NewFile { format: FORMAT, written, names: &names.names };
    // There may be megabytes: they are written as they are made.
    dir.write_with(FILE, &mut |out| {
        let mut out = BufWriter::new(out);
        serde_json::to_writer(&mut out, &file)?;
        out.flush()
    })
}

fn entries<S: Serializer>(names: &BTreeMap<HostName, Vec<Kept>>, serializer: S) -> Result<S::Ok, S::Error> {
    let of_name = |kept: &Vec<Kept>| kept.iter().map(Entry::of).collect::<Vec<_>>();
    serializer.collect_map(names.iter().map(|(name, kept)| (name.as_str(), of_name(kept))))
}

/// Read as if a stranger had written it: names must be names, addresses few enough, and no life without end.
pub(super) fn load(dir: &Dir) -> Result<Names, StoreError> {
    let Some(text) = dir.read(FILE)? else { return Ok(Names::default()) };
    let file: File = serde_json::from_str(&text).map_err(|error| dir.corrupt(FILE, error.to_string()))?;
    if file.format != FORMAT {
        return Err(dir.corrupt(FILE, format!("format {}, this program knows {FORMAT}", file.format)));
    }
    let addresses = || file.names.values().flatten().map(|entry| entry.address);
    let most = addresses().count() <= MOST_ADDRESSES * MOST_NAMES_EACH;
    if !most || addresses().collect::<BTreeSet<_>>().len() > MOST_ADDRESSES {
        return Err(dir.corrupt(FILE, format!("more than {MOST_ADDRESSES} addresses")));
    }
    let mut names = BTreeMap::new();
    for (name, entries) in file.names {
        let name: HostName =
            name.parse().map_err(|_| dir.corrupt(FILE, format!("{name:?} is no host name")))?;
        names.insert(name, entries.iter().map(Entry::kept).collect());
    }
    Ok(Names { written: Some(file.written), names })
}
