//! Host names, once for each `apply`: the rules are in force first, the look-ups follow.

use super::context::Context;
use crate::diag::Finding;
use crate::host::clock;
use crate::model::never;
use crate::policy::ResolverSettings;
use crate::resolver::names::{Caps, Change, Keeping, Names, Wanted, Warning};
use crate::resolver::{Limits, lookup_all};
use crate::store::{Moment, Store, remaining};
use crate::types::HostName;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
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

/// Asks every name of the policy, all at once, and adds the answers to what was known.
pub fn look_up(context: &Context, mut names: Names, wait: Duration) -> io::Result<LookedUp> {
    let asked: BTreeSet<HostName> =
        names.all(clock::since_boot()).into_iter().map(|question| question.name).collect();
    let asked: Vec<HostName> = asked.into_iter().collect();
    let lookups = lookup_all(&asked, &context.book.dns_servers, wait, &Limits::default())?;
    let now = clock::since_boot();
    let mut change = Change::default();
    for ((name, family), lookup) in &lookups.by_question {
        change.extend(names.answered(
            name,
            *family,
            lookup,
            &|name, address| why_not(context, name, address),
            now,
        ));
    }
    Ok(LookedUp { names, now, warnings: told(&change.warnings) })
}

fn why_not(context: &Context, name: &HostName, address: IpAddr) -> Option<&'static str> {
    let opened = context.policy.names.get(name).map_or(&[][..], |of_groups| &of_groups.allow_net);
    let is_refused = !never::may_stand(&context.book, opened, address);
    is_refused.then_some("private, special, or this machine's own network")
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
        min_interval: settings.min_interval,
        servers: context.book.dns_servers.len(),
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

/// The names of the policy with what is left of the addresses that the store keeps, which go into the address book. What cannot be
/// read is a warning, and forgotten.
pub fn recall(context: &mut Context, store: &Store) -> Names {
    let now = clock::since_boot();
    let mut names = Names::new(u64::try_from(now.as_nanos()).unwrap_or(0));
    names.want(wanted(context), now);
    match (store.names(), moment()) {
        (Ok(kept), Ok(moment)) => {
            names.recall(&remaining(&kept, &moment), &|name, address| why_not(context, name, address), now);
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
