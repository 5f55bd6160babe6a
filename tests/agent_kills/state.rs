//! The state directory while its owner writes, and after it was killed.

use super::lab::{PATIENCE, Site};
use portgrave::host::clock::since_boot;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

/// Waits until the file of names is written: it is being written, or has just been replaced.
pub fn saving(site: &Site) {
    let (file, beside) = (site.path("state/names.json"), site.path("state/names.json.new"));
    let which =
        || std::fs::metadata(&file).ok().map(|found| (found.ino(), found.ctime(), found.ctime_nsec()));
    let (before, start) = (which(), Instant::now());
    while !beside.exists() && which() == before {
        assert!(start.elapsed() < PATIENCE, "nothing is saved");
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// The files are whole, and nothing is left over but what the next write replaces.
///
/// Says which generation is in force.
pub fn is_sound(site: &Site) -> u64 {
    let generation = parsed(site, "generation.json").expect("a generation was in force");
    if let Some(names) = parsed(site, "names.json") {
        assert!(names["names"].is_object(), "{names:#}");
    }
    let directory = std::fs::read_dir(site.path("state")).expect("the state directory");
    let known = [
        "generation.json",
        "held-back.json",
        "held-back.json.new",
        "lists",
        "lock",
        "names.json",
        "names.json.new",
        "prepared.json",
    ];
    for entry in directory {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        assert!(known.contains(&name.as_str()), "{name} is left over");
    }
    generation["number"].as_u64().unwrap_or_else(|| panic!("no number: {generation:#}"))
}

/// The addresses that the file of names has, but those whose life there ends within so many seconds or has ended.
pub fn addresses(site: &Site, soon: u64) -> BTreeSet<IpAddr> {
    let Some(names) = parsed(site, "names.json") else { return BTreeSet::new() };
    let written = names["written"]["since_boot"]["secs"].as_u64().expect("when it was written");
    let ended = since_boot().as_secs() - written + soon;
    let kept = names["names"].as_object().expect("a name with each").values();
    let entries = kept.flat_map(|entries| entries.as_array().expect("a list of addresses"));
    let lasting =
        entries.filter(|entry| entry["remaining_seconds"].as_u64().is_some_and(|left| left > ended));
    let parsed = |entry: &Value| entry["address"].as_str().and_then(|text| text.parse().ok());
    lasting.map(|entry| parsed(entry).unwrap_or_else(|| panic!("no address: {entry}"))).collect()
}

/// Whether a generation was written that is not in force.
pub fn is_prepared(site: &Site) -> bool {
    site.path("state/prepared.json").exists()
}

/// `None` if there is no such file.
fn parsed(site: &Site, name: &str) -> Option<Value> {
    let text = std::fs::read_to_string(site.path(&format!("state/{name}"))).ok()?;
    Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}: {text:?}")))
}
