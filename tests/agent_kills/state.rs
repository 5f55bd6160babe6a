//! The state directory while its owner writes, and after it was killed.

use super::lab::{PATIENCE, Site};
use serde_json::Value;
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
pub fn is_sound(site: &Site) {
    let generation = parsed(site, "generation.json").expect("a generation was in force");
    assert_eq!(generation["number"], 1, "{generation:#}");
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
}

/// `None` if there is no such file.
fn parsed(site: &Site, name: &str) -> Option<Value> {
    let text = std::fs::read_to_string(site.path(&format!("state/{name}"))).ok()?;
    Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}: {text:?}")))
}
