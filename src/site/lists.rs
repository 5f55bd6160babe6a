//! List files: what is in them, and whether it is taken or what is in force stays.

use super::load::unreadable;
use crate::diag::{Finding, Findings, Span, codes};
use crate::host::files::{self, FileError, Judged, Owner};
use crate::host::root;
use crate::model::{AddressBook, ListRef, Policy};
use crate::store::{ContentHash, Generation, HeldBack, ListFile, ListSource, Store, StoreError};
use crate::types::{AddressList, ListContents, ListErrors, ListReader, NotText};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// The list files of a policy, beside what the address book says of them.
#[derive(Default)]
pub struct Lists {
    /// Their contents as they are open, for the store.
    pub sources: Vec<ListSource>,
    /// What is in each that was read, by the hash of the content: no content is parsed twice.
    pub parsed: Parsed,
    pub held_back: Vec<HeldBack>,
}

impl Lists {
    /// The addresses of each list file.
    pub fn by_path(&self) -> BTreeMap<PathBuf, AddressList> {
        let lists = self.sources.iter().map(|source| &source.list);
        lists.filter_map(|list| Some((list.path.clone(), self.parsed.get(&list.sha256)?.clone()))).collect()
    }
}

/// List files that were handed over, by the path under which a policy names them.
pub type GivenLists = BTreeMap<PathBuf, File>;

/// Contents that are in memory, by their hash.
pub type Parsed = BTreeMap<String, AddressList>;

/// The list files of a generation, as the store keeps them; `None` if one is not whole.
pub fn stored(generation: &Generation, store: &Store, known: &Parsed) -> Option<Lists> {
    let mut lists = Lists::default();
    for list in &generation.lists {
        let contents = known.get(&list.sha256).cloned();
        let contents = contents.or_else(|| store.list(list).ok().map(|contents| contents.list))?;
        lists.parsed.insert(list.sha256.clone(), contents);
        lists.sources.push(store.list_source(list).ok()?);
    }
    Some(lists)
}

/// Reads every list file that a rule reaches: those that were given, or those under a root.
pub fn read(
    policy: &Policy,
    (root, given): (&Path, Option<&GivenLists>),
    store: Store,
    book: &mut AddressBook,
    findings: &mut Findings,
) -> Lists {
    let mut by_path: BTreeMap<&PathBuf, Vec<&ListRef>> = BTreeMap::new();
    for list in policy.rules.iter().flat_map(|rule| rule.peers.lists()) {
        let groups = by_path.entry(&list.path).or_default();
        if !groups.contains(&list) {
            groups.push(list);
        }
    }
    let mut reading = Reading { root, given, store, in_force: None, book, findings, lists: Lists::default() };
    for (path, mut groups) in by_path {
        groups.sort();
        if let Err(finding) = reading.list(path, &groups) {
            reading.findings.extend(finding);
        }
    }
    reading.lists
}

struct Reading<'a> {
    root: &'a Path,
    given: Option<&'a GivenLists>,
    store: Store,
    /// The list files of the generation in force, once they were asked for.
    in_force: Option<Vec<ListFile>>,
    book: &'a mut AddressBook,
    findings: &'a mut Findings,
    lists: Lists,
}

/// A list file that was read, and can be read again.
struct Read {
    source: ListSource,
    contents: ListContents,
}

/// Why the contents of a list file are not taken.
struct Refusal<'a> {
    group: &'a ListRef,
    why: String,
    help: &'static str,
}

impl Reading<'_> {
    fn list(&mut self, path: &Path, groups: &[&ListRef]) -> Result<(), Findings> {
        let Some(first) = groups.first() else { return Ok(()) };
        let read = self.read_file(path, first.span)?;
        if let Some(refusal) = too_few(groups, &read) {
            let held =
                self.held(path, &read).map_err(|error| refusal.nothing_in_force(&error.to_string()))?;
            let held = held.ok_or_else(|| refusal.nothing_in_force("no contents of it are in force yet"))?;
            self.hold_back(&refusal, held);
        } else if let Some((refusal, held)) = self.shrunk(path, groups, &read) {
            self.hold_back(&refusal, held);
        } else {
            if read.contents.list.is_empty() {
                self.findings.push(empty(first));
            }
            self.take(read);
        }
        Ok(())
    }

    fn read_file(&self, path: &Path, place: Span) -> Result<Read, Findings> {
        let unreadable =
            |error: FileError| Findings::from(unreadable(&root::shown(self.root, path), &error).at(place));
        let file = match self.given {
            Some(given) => given.get(path).map_or(Err(FileError::Missing), Judged::handed_over),
            None => files::open(self.root, path, Owner::Caller),
        };
        let file = file.map_err(unreadable)?;
        let (contents, sha256) = parsed(&file).map_err(unreadable)?;
        let contents = contents.map_err(|errors| wrong_lines(path, place, &errors))?;
        let list = ListFile { path: path.to_owned(), sha256 };
        Ok(Read { source: ListSource { list, content: file.into_file() }, contents })
    }

    fn take(&mut self, Read { source, contents }: Read) {
        self.lists.parsed.insert(source.list.sha256.clone(), contents.list.clone());
        self.book.lists.insert(source.list.path.clone(), contents.list);
        self.lists.sources.push(source);
    }

    fn hold_back(&mut self, Refusal { group, why, help }: &Refusal<'_>, held: Read) {
        let (path, entries) = (held.source.list.path.clone(), held.contents.entries);
        let message = format!(
            "the list {} of @{} has {why}: the {entries} entries in force stay",
            path.display(),
            group.group
        );
        self.findings.push(Finding::warning(codes::LIST_HELD_BACK, message).at(group.span).help(*help));
        self.lists.held_back.push(HeldBack { path, why: why.clone() });
        self.take(held);
    }

    /// Whether the list has lost more of what is in force than it may, and what is in force.
    fn shrunk<'g>(
        &mut self,
        path: &Path,
        groups: &[&'g ListRef],
        read: &Read,
    ) -> Option<(Refusal<'g>, Read)> {
        let limits = groups.iter().filter_map(|group| group.max_shrink.map(|limit| (limit, *group)));
        let (limit, group) = limits.min_by_key(|(limit, _)| *limit)?;
        // What cannot be read is nothing to compare with; a change that is not to be kept fails by itself.
        let held = self.held(path, read).ok().flatten()?;
        let (before, now) = (held.contents.entries as u128, read.contents.entries as u128);
        let lost = before.saturating_sub(now);
        if lost * 100 <= before * u128::from(limit) {
            return None;
        }
        let why = format!(
            "{now} entries, {} % fewer than are in force (`max-shrink = \"{limit}%\"`)",
            (lost * 100).div_ceil(before)
        );
        let help = "see whether the file is whole; if it is, apply once with a larger `max-shrink`";
        Some((Refusal { group, why, help }, held))
    }

    /// What is in force of a list file. Where that is what was just read, it is not read again.
    fn held(&mut self, path: &Path, read: &Read) -> Result<Option<Read>, StoreError> {
        if self.in_force.is_none() {
            let generation = self.store.in_force()?;
            self.in_force = Some(generation.map(|generation| generation.lists).unwrap_or_default());
        }
        let held = self.in_force.iter().flatten().find(|list| list.path == path);
        let Some(list) = held else { return Ok(None) };
        let same = read.source.list.sha256 == list.sha256;
        let contents = if same { read.contents.clone() } else { self.store.list(list)? };
        Ok(Some(Read { source: self.store.list_source(list)?, contents }))
    }
}

impl Refusal<'_> {
    fn nothing_in_force(&self, why_not: &str) -> Findings {
        let Self { group, why, help } = self;
        let message = format!(
            "the list {} of @{} has {why}, and what was in force cannot stay: {why_not}",
            group.path.display(),
            group.group
        );
        Finding::error(codes::LIST_TOO_SHORT, message).at(group.span).help(*help).into()
    }
}

fn too_few<'a>(groups: &[&'a ListRef], read: &Read) -> Option<Refusal<'a>> {
    let entries = read.contents.entries;
    let limits = groups.iter().filter_map(|group| group.min_entries.map(|limit| (limit, *group)));
    let (limit, group) = limits.max_by_key(|(limit, _)| *limit)?;
    let why = format!("{entries} entries, fewer than `min-entries = {limit}`");
    let help = "put the whole list into the file, or lower `min-entries` if so few are meant";
    ((entries as u64) < limit).then_some(Refusal { group, why, help })
}

fn empty(list: &ListRef) -> Finding {
    let message = format!("the list {} of @{} is empty: it matches nobody", list.path.display(), list.group);
    Finding::warning(codes::EMPTY_LIST, message)
        .at(list.span)
        .help("fill it, or take the group out of the rule")
}

fn parsed(file: &Judged) -> Result<(Result<ListContents, ListErrors>, String), FileError> {
    let (mut reader, mut hash) = (ListReader::default(), ContentHash::default());
    let not_text = |NotText { line, column }| FileError::NotText { line, column };
    file.pieces(&mut |piece| {
        hash.update(piece);
        reader.push(piece).map_err(not_text)
    })?;
    Ok((reader.finish().map_err(not_text)?, hash.finish()))
}

fn wrong_lines(path: &Path, place: Span, errors: &ListErrors) -> Findings {
    let shown = path.display();
    let error = |message: String| {
        let help = "write one address, prefix or range a line; `#` and `;` begin a comment";
        Finding::error(codes::BAD_LIST_LINE, message).at(place).help(help)
    };
    let mut findings = Findings::default();
    for (line, reason) in &errors.first {
        findings.push(error(format!("{shown}:{line}: {reason}")));
    }
    match errors.count - errors.first.len() {
        0 => {}
        more => findings.push(error(format!("{shown}: {more} more lines are wrong"))),
    }
    findings
}
