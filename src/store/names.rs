//! The learned addresses of names, and how much of their lives is left when they are read again.

use super::StoreError;
use super::files::Dir;
use crate::model::LearnedAddress;
use crate::types::HostName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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
    pub names: BTreeMap<HostName, Vec<LearnedAddress>>,
}

#[derive(Serialize, Deserialize)]
struct File {
    format: u32,
    written: Moment,
    names: BTreeMap<String, Vec<Entry>>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    address: IpAddr,
    remaining_seconds: u64,
}

/// What is left now of lives as they were written. On the same boot by the clock of the boot; after another by the wall clock
/// if it is sane at both moments, else at most an hour.
pub fn remaining(names: &Names, now: &Moment) -> BTreeMap<HostName, Vec<LearnedAddress>> {
    let Some(written) = &names.written else { return BTreeMap::new() };
    let left = |life: Duration| -> Duration {
        if written.boot_id == now.boot_id {
            return life.saturating_sub(now.since_boot.saturating_sub(written.since_boot));
        }
        let sane = written.wall >= SANE_CLOCK && now.wall >= written.wall;
        let left = match sane {
            true => life.saturating_sub(Duration::from_secs(now.wall - written.wall)),
            false => life.min(MAX_WITHOUT_CLOCK),
        };
        left.max(MIN_AFTER_BOOT)
    };
    let of_name = |addresses: &Vec<LearnedAddress>| {
        let lives =
            addresses.iter().map(|learned| LearnedAddress { remaining: left(learned.remaining), ..*learned });
        lives.filter(|learned| learned.remaining >= Duration::from_secs(1)).collect()
    };
    names.names.iter().map(|(name, addresses)| (name.clone(), of_name(addresses))).collect()
}

pub(super) fn save(dir: &Dir, names: &Names) -> Result<(), StoreError> {
    let Some(written) = names.written.clone() else { return Ok(()) };
    let entry = |learned: &LearnedAddress| Entry {
        address: learned.address,
        remaining_seconds: learned.remaining.as_secs(),
    };
    let of_name = |(name, addresses): (&HostName, &Vec<LearnedAddress>)| {
        (name.to_string(), addresses.iter().map(entry).collect())
    };
    let file = File { format: FORMAT, written, names: names.names.iter().map(of_name).collect() };
    let text = serde_json::to_string(&file).map_err(|error| dir.corrupt(FILE, error.to_string()))?;
    dir.write(FILE, text.as_bytes())
}

/// Read as if a stranger had written it: names must be names, and no life is longer than a day and its grace.
pub(super) fn load(dir: &Dir) -> Result<Names, StoreError> {
    const LONGEST: u64 = 7 * 86_400;
    let Some(text) = dir.read(FILE)? else { return Ok(Names::default()) };
    let file: File = serde_json::from_str(&text).map_err(|error| dir.corrupt(FILE, error.to_string()))?;
    if file.format != FORMAT {
        return Err(dir.corrupt(FILE, format!("format {}, this program knows {FORMAT}", file.format)));
    }
    let mut names = BTreeMap::new();
    for (name, entries) in file.names {
        let name: HostName =
            name.parse().map_err(|_| dir.corrupt(FILE, format!("{name:?} is no host name")))?;
        let learned = |entry: &Entry| LearnedAddress {
            address: entry.address,
            remaining: Duration::from_secs(entry.remaining_seconds.min(LONGEST)),
        };
        names.insert(name, entries.iter().map(learned).collect());
    }
    Ok(Names { written: Some(file.written), names })
}
