//! List files that the last apply did not take: what was in force before stays.

use super::StoreError;
use super::files::Dir;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

const FILE: &str = "held-back.json";
const FORMAT: u32 = 1;

/// A list file whose contents are not in force, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBack {
    pub path: PathBuf,
    pub why: String,
}

#[derive(Serialize, Deserialize)]
struct File {
    format: u32,
    lists: Vec<HeldBack>,
}

/// None if there is no such file.
pub(super) fn load(dir: &Dir) -> Result<Vec<HeldBack>, StoreError> {
    let Some(text) = dir.read(FILE)? else { return Ok(Vec::new()) };
    let file: File = serde_json::from_str(&text).map_err(|error| dir.corrupt(FILE, error.to_string()))?;
    if file.format != FORMAT {
        return Err(dir.corrupt(FILE, format!("format {}, this program knows {FORMAT}", file.format)));
    }
    Ok(file.lists)
}

/// Writes nothing where nothing changed.
pub(super) fn save(dir: &Dir, lists: &[HeldBack]) -> Result<(), StoreError> {
    if load(dir).is_ok_and(|kept| kept == lists) {
        return Ok(());
    }
    if lists.is_empty() {
        return dir.remove(FILE);
    }
    let file = File { format: FORMAT, lists: lists.to_vec() };
    let text = serde_json::to_string(&file).map_err(|error| dir.corrupt(FILE, error.to_string()))?;
    dir.write(FILE, text.as_bytes())
}
