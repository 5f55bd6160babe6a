//! A generation: what was applied, complete enough to be applied again without any other file.

use super::StoreError;
use super::files::Dir;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

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
    /// The list files as they were read; their texts are stored once each, by content.
    #[serde(skip)]
    pub lists: Vec<ListText>,
    list_files: Vec<ListFile>,
    pub facts: Facts,
}

/// One policy file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    pub name: String,
    pub layer: u32,
    pub text: String,
}

/// One list file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListText {
    pub path: PathBuf,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ListFile {
    path: PathBuf,
    sha256: String,
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
    pub fn new(number: u64, applied: u64, inputs: Vec<Input>, lists: Vec<ListText>, facts: Facts) -> Self {
        let list_files: Vec<ListFile> = lists
            .iter()
            .map(|list| ListFile { path: list.path.clone(), sha256: sha256(&list.text) })
            .collect();
        let fingerprint = fingerprint(&inputs, &list_files, &facts);
        Self { format: FORMAT, number, applied, fingerprint, inputs, lists, list_files, facts }
    }

    /// Whether another has the same inputs: the same program makes the same ruleset of it.
    pub fn same_content(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

const IN_FORCE: &str = "generation.json";
const PREPARED: &str = "prepared.json";

pub(super) fn prepare(dir: &Dir, generation: &Generation) -> Result<(), StoreError> {
    for (file, list) in generation.list_files.iter().zip(&generation.lists) {
        let name = format!("lists/{}", file.sha256);
        if !dir.exists(&name) {
            dir.write(&name, list.text.as_bytes())?;
        }
    }
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
    let Some(mut generation) = load_head(dir)? else { return Ok(None) };
    generation.lists =
        generation.list_files.iter().map(|list| load_list(dir, list)).collect::<Result<_, StoreError>>()?;
    Ok(Some(generation))
}

/// The generation in force without its lists.
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

fn load_list(dir: &Dir, list: &ListFile) -> Result<ListText, StoreError> {
    let plain = list.sha256.len() == 64 && list.sha256.bytes().all(|b| b.is_ascii_hexdigit());
    if !plain {
        return Err(dir.corrupt(IN_FORCE, "a list without a SHA-256"));
    }
    let name = format!("lists/{}", list.sha256);
    let text = dir.read(&name)?.ok_or_else(|| dir.corrupt(IN_FORCE, format!("its {name} is missing")))?;
    if sha256(&text) != list.sha256 {
        return Err(dir.corrupt(IN_FORCE, format!("its {name} has another content")));
    }
    Ok(ListText { path: list.path.clone(), text })
}

/// Removes list contents that the generation in force does not need.
fn remove_unused_lists(dir: &Dir) -> Result<(), StoreError> {
    let lists = dir.list("lists")?;
    if lists.is_empty() {
        return Ok(());
    }
    let needed: Vec<String> = load_head(dir)?
        .map_or(Vec::new(), |head| head.list_files.into_iter().map(|list| list.sha256).collect());
    for name in lists.into_iter().filter(|name| !needed.contains(name)) {
        dir.remove(&format!("lists/{name}"))?;
    }
    Ok(())
}

/// Each part with its length before it, so that no two inputs come to the same octets.
fn fingerprint(inputs: &[Input], lists: &[ListFile], facts: &Facts) -> String {
    let mut hasher = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_be_bytes());
        hasher.update(bytes);
    };
    for input in inputs {
        part(input.name.as_bytes());
        part(&input.layer.to_be_bytes());
        part(input.text.as_bytes());
    }
    for list in lists {
        part(list.path.as_os_str().as_encoded_bytes());
        part(list.sha256.as_bytes());
    }
    part(format!("{facts:?}").as_bytes());
    hex(&hasher.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}
