//! What was committed last, compiled again from the texts that the store keeps.

use super::facts;
use crate::compile::{Features, compile};
use crate::diag::SourceMap;
use crate::model::{AddressBook, resolve};
use crate::policy::{Layer, parse};
use crate::ruleset::Ruleset;
use crate::store::{Generation, Store, StoreError};
use std::path::Path;

/// The ruleset of the generation in force, without what is looked up; `None` before the first.
pub(super) fn ruleset(state_dir: &Path) -> Result<Option<Ruleset>, StoreError> {
    Ok(Store::read_only(state_dir).in_force()?.as_ref().and_then(of))
}

pub(super) fn of(generation: &Generation) -> Option<Ruleset> {
    let mut sources = SourceMap::default();
    let add = |input: &crate::store::Input| (sources.add(&input.name, &input.text), Layer(input.layer));
    let files: Vec<_> = generation.inputs.iter().map(add).collect();
    let (policy, findings) = resolve(&parse(&sources, &files).ok()?);
    if findings.has_errors() {
        return None;
    }
    let lists = generation.lists.iter().map(|list| {
        let contents = facts::list_ranges(&list.text).ok()?;
        Some((list.path.clone(), contents))
    });
    let book = AddressBook { lists: lists.collect::<Option<_>>()?, ..facts::book_of(&generation.facts)? };
    compile(&policy, &book, &Features::ALL).ok()
}
