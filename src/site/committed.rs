//! What was committed last, compiled again from the texts that the store keeps.

use super::Context;
use super::lists::Parsed;
use crate::compile::Features;
use crate::policy::Settings;
use crate::ruleset::Ruleset;
use crate::store::{Generation, Store};

/// The ruleset of a generation that the store keeps, without what is looked up. `known` has lists that are in memory already.
pub fn of(generation: &Generation, store: &Store, known: &Parsed) -> Option<Ruleset> {
    Context::stored(generation, store, &Settings::default(), known)?.compile(&Features::ALL).ok()
}
