//! A generation: what was applied, complete enough to be applied again without any other file.

use super::StoreError;
use super::files::Dir;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
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
    /// SHA-256 of the printed ruleset less what is looked up, in hexadecimal.
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
}

impl Generation {
    /// `ruleset` is the printed text that is in force without what is looked up.
    pub fn new(
        number: u64,
        applied: u64,
        ruleset: &str,
        inputs: Vec<Input>,
        lists: Vec<ListText>,
        facts: Facts,
    ) -> Self {
        let list_files =
            lists.iter().map(|list| ListFile { path: list.path.clone(), sha256: sha256(&list.text) });
        let list_files = list_files.collect();
        Self {
            format: FORMAT,
            number,
            applied,
            fingerprint: sha256(ruleset),
            inputs,
            lists,
            list_files,
            facts,
        }
    }

    /// Whether another has the same inputs and comes to the same ruleset.
    pub fn same_content(&self, other: &Self) -> bool {
        (&self.fingerprint, &self.inputs, &self.list_files, &self.facts)
            == (&other.fingerprint, &other.inputs, &other.list_files, &other.facts)
    }
}

pub(super) fn file(number: u64) -> String {
    format!("generations/{number}.json")
}

pub(super) fn save(dir: &Dir, generation: &Generation) -> Result<(), StoreError> {
    for (file, list) in generation.list_files.iter().zip(&generation.lists) {
        let name = format!("lists/{}", file.sha256);
        if !dir.exists(&name) {
            dir.write(&name, list.text.as_bytes())?;
        }
    }
    let text =
        serde_json::to_string(generation).map_err(|error| dir.corrupt("generations", error.to_string()))?;
    dir.write(&file(generation.number), text.as_bytes())
}

pub(super) fn load(dir: &Dir, number: u64) -> Result<Generation, StoreError> {
    let name = file(number);
    let text = dir.read(&name)?.ok_or_else(|| dir.corrupt(&name, "in force, but missing"))?;
    let mut generation: Generation =
        serde_json::from_str(&text).map_err(|error| dir.corrupt(&name, error.to_string()))?;
    if generation.format != FORMAT {
        return Err(dir.corrupt(&name, format!("format {}, this program knows {FORMAT}", generation.format)));
    }
    if generation.number != number {
        return Err(dir.corrupt(&name, format!("it says that it is generation {}", generation.number)));
    }
    generation.lists =
        generation.list_files.iter().map(|list| load_list(dir, list)).collect::<Result<_, StoreError>>()?;
    Ok(generation)
}

fn load_list(dir: &Dir, list: &ListFile) -> Result<ListText, StoreError> {
    let plain = list.sha256.len() == 64 && list.sha256.bytes().all(|b| b.is_ascii_hexdigit());
    if !plain {
        return Err(dir.corrupt("generations", "a list without a SHA-256"));
    }
    let name = format!("lists/{}", list.sha256);
    let text = dir.read(&name)?.ok_or_else(|| dir.corrupt(&name, "missing"))?;
    if sha256(&text) != list.sha256 {
        return Err(dir.corrupt(&name, "its content is another"));
    }
    Ok(ListText { path: list.path.clone(), text })
}

/// Removes other generations, and list contents that none of those that stay needs.
pub(super) fn remove_all_but(dir: &Dir, numbers: &[u64]) -> Result<(), StoreError> {
    let stays: Vec<String> = numbers.iter().map(|number| file(*number)).collect();
    for name in dir.list("generations")? {
        let name = format!("generations/{name}");
        if !stays.contains(&name) {
            dir.remove(&name)?;
        }
    }
    let lists = dir.list("lists")?;
    if lists.is_empty() {
        return Ok(());
    }
    let mut needed = Vec::new();
    for number in numbers.iter().filter(|number| dir.exists(&file(**number))) {
        needed.extend(load(dir, *number)?.list_files.into_iter().map(|list| list.sha256));
    }
    for name in lists {
        if !needed.contains(&name) {
            dir.remove(&format!("lists/{name}"))?;
        }
    }
    Ok(())
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
