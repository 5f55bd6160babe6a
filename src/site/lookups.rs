//! Host names, once for each `apply`: the rules are in force first, the look-ups follow.

use super::context::Context;
use crate::diag::Finding;
use crate::host::clock;
use crate::model::never;
use crate::policy::ResolverSettings;
use crate::resolver::book::{Book, Caps, Keeping, Wanted, Warning, merge};
use crate::resolver::{Limits, lookup_all};
use crate::store::{Moment, Store, remaining};
use crate::types::{Family, HostName};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::time::Duration;

const FORGOTTEN: &str =
    "the last known addresses of names are not used; the look-ups that follow learn them anew";

/// What the look-ups gave.
pub struct LookedUp {
    pub book: Book,
    pub now: Duration,
    pub warnings: Vec<String>,
}

impl LookedUp {
    /// When the first name is left without addresses if nobody asks again.
    pub fn first_lapse(&self) -> Option<(HostName, Duration)> {
        self.book.first_lapse(self.now).map(|(name, left)| (name.clone(), left))
    }
}

/// Asks every name of the policy, all at once, and adds the answers to what was known.
pub fn look_up(context: &Context, known: &Book, wait: Duration) -> io::Result<LookedUp> {
    let names: Vec<HostName> = context.policy.names.keys().cloned().collect();
    let lookups = lookup_all(&names, &context.book.dns_servers, wait, &Limits::default())?;
    let now = clock::since_boot();
    let refused: Vec<_> =
        Family::BOTH.into_iter().flat_map(|family| never::ranges(&context.book, family)).collect();
    let reason = |address: IpAddr| {
        let special = refused.iter().any(|range| range.contains(address));
        special.then_some("private, special, or this machine's own network")
    };
    let (book, warnings) = merge(known, &lookups, now, &wanted(context), &reason);
    Ok(LookedUp { book, now, warnings: told(&warnings) })
}

/// Each warning in a line; names of which nothing is known for one reason share theirs.
fn told(warnings: &[Warning]) -> Vec<String> {
    let mut unknown: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut lines = Vec::new();
    for warning in warnings {
        if let Warning::Unanswered { name, failure, held: 0 } = warning {
            unknown.entry(failure.to_string()).or_default().push(name.as_str());
        } else {
            lines.push(warning.to_string());
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

fn wanted(context: &Context) -> Wanted {
    let settings = &context.settings.resolver;
    let names =
        context.policy.names.iter().map(|(name, of_groups)| (name.clone(), keeping(settings, of_groups)));
    let rules = context.policy.rules.iter().filter(|rule| rule.peers.names().next().is_some());
    let reached = |rule: &crate::model::Rule| rule.peers.names().cloned().collect::<BTreeSet<_>>();
    Wanted {
        names: names.collect(),
        rules: rules.map(|rule| (rule.name.clone(), reached(rule))).collect(),
        caps: Caps::default(),
    }
}

fn keeping(settings: &ResolverSettings, of_groups: &crate::model::NamePolicy) -> Keeping {
    Keeping {
        floor: of_groups.ttl_floor.unwrap_or(settings.ttl_floor),
        cap: of_groups.ttl_cap.unwrap_or(settings.ttl_cap),
        grace: of_groups.grace.unwrap_or(settings.grace),
        max_stale: settings.max_stale,
    }
}

/// This moment by all clocks.
pub fn moment() -> io::Result<Moment> {
    Ok(Moment { boot_id: clock::boot_id()?, since_boot: clock::since_boot(), wall: clock::wall().as_secs() })
}

/// What is left of the addresses that the store keeps, into the address book. What cannot be read is a warning, and forgotten.
pub fn recall(context: &mut Context, store: &Store) -> Book {
    let now = clock::since_boot();
    match (store.names(), moment()) {
        (Ok(names), Ok(moment)) => {
            let mut left = remaining(&names, &moment);
            left.retain(|name, _| context.policy.names.contains_key(name));
            context.book.names = left;
        }
        (Err(error), _) => {
            context.findings.push(Finding::warning("PG606", error.to_string()).help(FORGOTTEN))
        }
        (_, Err(error)) => {
            context.findings.push(Finding::warning("PG606", format!("boot id: {error}")).help(FORGOTTEN))
        }
    }
    Book::from_remaining(&context.book.names, now)
}
