//! A generation: what was applied, complete enough to be applied again without any other file.

use super::StoreError;
use super::files::Dir;
use super::lists::{self, ListFile, ListSource};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// The version of the format of the files.
const FORMAT: u32 = 1;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    format: u32,
    pub number: u64,
    /// When it was applied, in seconds since 1970 (UTC).
    pub applied: u64,
    /// SHA-256 of all inputs, in hexadecimal: policy files, contents of list files, and facts of the machine.
    pub fingerprint: String,
    /// The policy files as they were read, lowest layer first.
    pub inputs: Vec<Input>,
    /// `portgrave.toml` and its drop-ins as they were read.
    #[serde(default)]
    pub settings: Vec<Input>,
    /// The list files; their contents are kept once each.
    #[serde(rename = "list_files")]
    pub lists: Vec<ListFile>,
    pub facts: Facts,
}

/// Everything that a site has written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Files {
    pub inputs: Vec<Input>,
    pub settings: Vec<Input>,
    pub lists: Vec<ListFile>,
}

/// One file of the policy or the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    pub name: String,
    pub layer: u32,
    pub text: String,
}

/// What the machine was when the policy was compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub resolv_conf: Vec<IpAddr>,
    pub dns_servers: Vec<SocketAddr>,
    pub own: Vec<IpAddr>,
    /// Networks, as printed.
    pub connected: Vec<String>,
    pub broadcast: Vec<IpAddr>,
    pub agent_uid: u32,
    /// Local users that rules name.
    #[serde(default)]
    pub users: BTreeMap<String, Option<u32>>,
}

impl Generation {
    pub fn new(number: u64, applied: u64, files: Files, facts: Facts) -> Self {
        let fingerprint = fingerprint(&files, &facts);
        let Files { inputs, settings, lists } = files;
        Self { format: FORMAT, number, applied, fingerprint, inputs, settings, lists, facts }
    }

    /// Whether it is of these files; the machine may have been another.
    pub fn is_of(&self, files: &Files) -> bool {
        self.inputs == files.inputs && self.settings == files.settings && self.lists == files.lists
    }

    /// Whether another has the same inputs: the same program makes the same ruleset of it.
    pub fn same_content(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

pub(super) const IN_FORCE: &str = "generation.json";
const PREPARED: &str = "prepared.json";

pub(super) fn prepare(dir: &Dir, generation: &Generation, sources: &[ListSource]) -> Result<(), StoreError> {
    sources.iter().try_for_each(|source| lists::keep(dir, source))?;
    let text = serde_json::to_string(generation).map_err(|error| dir.corrupt(PREPARED, error.to_string()))?;
    dir.write_beside(PREPARED, text.as_bytes())
}

pub(super) fn keep(dir: &Dir) -> Result<(), StoreError> {
    dir.rename(PREPARED, IN_FORCE)?;
    remove_unused_lists(dir)
}

pub(super) fn discard(dir: &Dir) -> Result<(), StoreError> {
    dir.remove(PREPARED)?;
    remove_unused_lists(dir)
}

pub(super) fn load(dir: &Dir) -> Result<Option<Generation>, StoreError> {
    let Some(generation) = load_head(dir)? else { return Ok(None) };
    generation.lists.iter().try_for_each(|list| lists::open(dir, list).map(drop))?;
    Ok(Some(generation))
}

/// The generation in force, whether or not its lists are there.
fn load_head(dir: &Dir) -> Result<Option<Generation>, StoreError> {
    let Some(text) = dir.read(IN_FORCE)? else { return Ok(None) };
    let generation: Generation =
        serde_json::from_str(&text).map_err(|error| dir.corrupt(IN_FORCE, error.to_string()))?;
    if generation.number == 0 || generation.number == u64::MAX {
        return Err(dir.corrupt(IN_FORCE, "its number is none that was ever given"));
    }
    if generation.format != FORMAT {
        let reason = format!("format {}, this program knows {FORMAT}", generation.format);
        return Err(dir.corrupt(IN_FORCE, reason));
    }
    Ok(Some(generation))
}

/// Removes list contents that the generation in force does not need.
fn remove_unused_lists(dir: &Dir) -> Result<(), StoreError> {
    let needed = load_head(dir)?.map_or(Vec::new(), |head| head.lists);
    lists::remove_all_but(dir, &needed)
}

/// Each part with its length before it, so that no two inputs come to the same octets.
fn fingerprint(files: &Files, facts: &Facts) -> String {
    let mut hasher = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_be_bytes());
        hasher.update(bytes);
    };
    for (kind, inputs) in [("policy", &files.inputs), ("settings", &files.settings)] {
        part(kind.as_bytes());
        for input in inputs {
            part(input.name.as_bytes());
            part(&input.layer.to_be_bytes());
            part(input.text.as_bytes());
        }
    }
    for list in &files.lists {
        part(list.path.as_os_str().as_encoded_bytes());
        part(list.sha256.as_bytes());
    }
    part(format!("{facts:?}").as_bytes());
    hex(&hasher.finalize())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
