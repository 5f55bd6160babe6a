//! Host names, once for each `apply`: the rules are in force first, the look-ups follow.

use super::context::Context;
use super::names::wanted;
use crate::diag::Finding;
use crate::host::clock;
use crate::model::never::Filter;
use crate::resolver::names::{Change, Names, Warning};
use crate::resolver::{Limits, lookup_all};
use crate::store::{Moment, Store, remaining};
use crate::types::HostName;
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

const FORGOTTEN: &str =
    "the last known addresses of names are not used; the look-ups that follow learn them anew";

/// What the look-ups gave.
pub struct LookedUp {
    pub names: Names,
    pub now: Duration,
    pub warnings: Vec<String>,
}

impl LookedUp {
    /// When the first name is left without addresses if nobody asks again.
    pub fn first_lapse(&self) -> Option<(HostName, Duration)> {
        self.names.first_lapse(self.now).map(|(name, left)| (name.clone(), left))
    }
}

/// Asks every name of the policy at its servers, all at once, and adds the answers to what was known.
pub fn look_up(context: &Context, mut names: Names, wait: Duration) -> io::Result<LookedUp> {
    let questions = names.all(clock::since_boot());
    let asked =
        questions.iter().map(|question| (&question.name, context.servers_of(&question.name))).collect();
    let lookups = lookup_all(&asked, wait, &Limits::default())?;
    let now = clock::since_boot();
    let filter = context.filter();
    let mut change = Change::default();
    for ((name, family), lookup) in &lookups.by_question {
        change.extend(names.answered(
            name,
            *family,
            lookup,
            &|name, address| filter.why_not(name, address),
            now,
        ));
    }
    Ok(LookedUp { names, now, warnings: told(&filter, &change.warnings) })
}

/// A warning; where a name is left without addresses since all were refused, with the lines to write if they are meant.
pub fn advised(filter: &Filter, warning: &Warning) -> String {
    let advice = warning.all_refused().and_then(|(name, refused)| filter.advice(name, &refused));
    let lines: String =
        advice.iter().flat_map(|advice| advice.lines()).map(|line| format!("\n  {line}")).collect();
    format!("{warning}{lines}")
}

/// Each warning; names of which nothing is known for one reason share theirs.
fn told(filter: &Filter, warnings: &[Warning]) -> Vec<String> {
    let mut unknown: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut lines = Vec::new();
    for warning in warnings {
        if let Warning::Unanswered { name, failure, held: 0 } = warning {
            unknown.entry(failure.to_string()).or_default().push(name.as_str());
        } else {
            lines.push(advised(filter, warning));
        }
    }
    for (failure, names) in unknown {
        let rules = "rules match nobody by";
        lines.push(match names.as_slice() {
            [name] => format!("{name}: {failure}; nothing is known of it: {rules} this name"),
            many => format!("{} names ({}): {failure}; {rules} these names", many.len(), many.join(", ")),
        });
    }
    lines
}

/// This moment by all clocks.
pub fn moment() -> io::Result<Moment> {
    Ok(Moment { boot_id: clock::boot_id()?, since_boot: clock::since_boot(), wall: clock::wall().as_secs() })
}

/// The names of the policy with what is left of the addresses that the store keeps, which go into the address book. What cannot be
/// read is a warning, and forgotten.
pub fn recall(context: &mut Context, store: &Store) -> Names {
    let now = clock::since_boot();
    let mut names = Names::new(u64::try_from(now.as_nanos()).unwrap_or(0));
    names.want(wanted(context), now);
    let filter = context.filter();
    match (store.names(), moment()) {
        (Ok(kept), Ok(moment)) => {
            names.recall(&remaining(&kept, &moment), &|name, address| filter.why_not(name, address), now);
            context.book.names = names.book_now(now);
        }
        (Err(error), _) => {
            context.findings.push(Finding::warning("PG606", error.to_string()).help(FORGOTTEN))
        }
        (_, Err(error)) => {
            context.findings.push(Finding::warning("PG606", format!("boot id: {error}")).help(FORGOTTEN))
        }
    }
    names
}
