//! What was committed last, compiled again from the texts that the store keeps.

use super::facts;
use crate::compile::{Features, compile};
use crate::diag::SourceMap;
use crate::model::{AddressBook, open_networks, resolve};
use crate::policy::{Layer, parse};
use crate::ruleset::Ruleset;
use crate::store::{Generation, ListFile, Store};
use crate::types::AddressList;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The ruleset of a generation that the store keeps, without what is looked up. `parsed` has lists that are in memory already,
/// by the hash of their content.
pub fn of(generation: &Generation, store: &Store, parsed: &BTreeMap<String, AddressList>) -> Option<Ruleset> {
    let mut sources = SourceMap::default();
    let add = |input: &crate::store::Input| (sources.add(&input.name, &input.text), Layer(input.layer));
    let files: Vec<_> = generation.inputs.iter().map(add).collect();
    let (mut policy, findings) = resolve(&parse(&sources, &files).ok()?);
    if findings.has_errors() {
        return None;
    }
    open_networks(&mut policy, &facts::domains_of(&generation.facts)?);
    let list = |list: &ListFile| -> Option<(PathBuf, AddressList)> {
        let known = parsed.get(&list.sha256).cloned();
        let contents = known.or_else(|| store.list(list).ok().map(|contents| contents.list))?;
        Some((list.path.clone(), contents))
    };
    let lists = generation.lists.iter().map(list).collect::<Option<_>>()?;
    let book = AddressBook { lists, ..facts::book_of(&generation.facts)? };
    compile(&policy, &book, &Features::ALL).ok()
}
