//! List files, kept by content and never held whole in memory.

use super::StoreError;
use super::files::Dir;
use crate::types::{ListContents, ListReader, NotText};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

const PIECE: usize = 64 * 1024;

/// A list file of a generation: where it was read, and what was in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListFile {
    pub path: PathBuf,
    /// Of its content, in hexadecimal.
    pub sha256: String,
}

/// A list file as it is open, for its content to be kept.
#[derive(Debug)]
pub struct ListSource {
    pub list: ListFile,
    pub content: File,
}

/// Takes a content piece by piece.
#[derive(Default)]
pub struct ContentHash(Sha256);

impl ContentHash {
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// SHA-256 in hexadecimal.
    pub fn finish(self) -> String {
        super::generation::hex(&self.0.finalize())
    }
}

/// A content that is kept already is not written again, if it is still what it was.
pub(super) fn keep(dir: &Dir, source: &ListSource) -> Result<(), StoreError> {
    let name = name(&source.list);
    if dir.exists(&name) && open(dir, &source.list).is_ok() {
        return Ok(());
    }
    let mut changed = false;
    let copied = dir.write_with(&name, &mut |file| {
        let mut hash = ContentHash::default();
        pieces(&source.content, &mut |piece| {
            hash.update(piece);
            file.write_all(piece)
        })?;
        changed = hash.finish() != source.list.sha256;
        if changed { Err(io::ErrorKind::InvalidData.into()) } else { Ok(()) }
    });
    if changed { Err(StoreError::Changed { path: source.list.path.clone() }) } else { copied }
}

/// The kept content, once it is seen to be the one that was kept.
pub(super) fn open(dir: &Dir, list: &ListFile) -> Result<File, StoreError> {
    let (file, hash) = (opened(dir, list)?, ContentHash::default());
    read(dir, list, &file, hash, &mut |_| {})?;
    Ok(file)
}

pub(super) fn contents(dir: &Dir, list: &ListFile) -> Result<ListContents, StoreError> {
    let mut reader = ListReader::default();
    let mut readable = Ok(());
    let file = opened(dir, list)?;
    read(dir, list, &file, ContentHash::default(), &mut |piece| {
        if readable.is_ok() {
            readable = reader.push(piece);
        }
    })?;
    let broken = |what: &str| dir.corrupt(&name(list), what);
    let finished = readable.and_then(|()| reader.finish()).map_err(|NotText { .. }| broken("not UTF-8"))?;
    finished.map_err(|_| broken("a line that is no address"))
}

/// Removes the contents that none of these is.
pub(super) fn remove_all_but(dir: &Dir, needed: &[ListFile]) -> Result<(), StoreError> {
    for kept in dir.list("lists")? {
        if !needed.iter().any(|list| list.sha256 == kept) {
            dir.remove(&format!("lists/{kept}"))?;
        }
    }
    Ok(())
}

fn name(list: &ListFile) -> String {
    format!("lists/{}", list.sha256)
}

fn opened(dir: &Dir, list: &ListFile) -> Result<File, StoreError> {
    let generation = super::generation::IN_FORCE;
    let plain = list.sha256.len() == 64 && list.sha256.bytes().all(|b| b.is_ascii_hexdigit());
    if !plain {
        return Err(dir.corrupt(generation, "a list without a SHA-256"));
    }
    let name = name(list);
    dir.open(&name)?.ok_or_else(|| dir.corrupt(generation, format!("its {name} is missing")))
}

fn read(
    dir: &Dir,
    list: &ListFile,
    file: &File,
    mut hash: ContentHash,
    each: &mut dyn FnMut(&[u8]),
) -> Result<(), StoreError> {
    let name = name(list);
    let all = pieces(file, &mut |piece| {
        hash.update(piece);
        each(piece);
        Ok(())
    });
    all.map_err(|error| dir.failed(&name, error))?;
    if hash.finish() == list.sha256 {
        return Ok(());
    }
    Err(dir.corrupt(super::generation::IN_FORCE, format!("its {name} has another content")))
}

/// From the beginning, wherever the file was read to before.
fn pieces(file: &File, each: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let (mut piece, mut at) = (vec![0; PIECE], 0);
    loop {
        match file.read_at(&mut piece, at) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                each(&piece[..count])?;
                at += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
