//! What a policy wants of the names that it reaches.

use super::Context;
use crate::model::{NamePolicy, Rule};
use crate::policy::ResolverSettings;
use crate::resolver::names::{Caps, Keeping, Wanted};
use crate::types::HostName;
use std::collections::BTreeSet;

/// Every name, how long its addresses are kept, and the rules that reach it.
pub fn wanted(context: &Context) -> Wanted {
    let settings = &context.settings.resolver;
    let names = &context.policy.names;
    let rules = context.policy.rules.iter().filter(|rule| rule.peers.names().next().is_some());
    let reached = |rule: &Rule| rule.peers.names().cloned().collect::<BTreeSet<HostName>>();
    Wanted {
        names: names.iter().map(|(name, of_groups)| (name.clone(), keeping(settings, of_groups))).collect(),
        rules: rules.map(|rule| (rule.name.clone(), reached(rule))).collect(),
        caps: Caps::default(),
        min_interval: settings.min_interval,
        alone: names.keys().filter(|name| context.servers_of(name).len() < 2).cloned().collect(),
    }
}

fn keeping(settings: &ResolverSettings, of_groups: &NamePolicy) -> Keeping {
    Keeping {
        floor: of_groups.ttl_floor.unwrap_or(settings.ttl_floor),
        cap: of_groups.ttl_cap.unwrap_or(settings.ttl_cap),
        grace: of_groups.grace.unwrap_or(settings.grace),
        max_stale: settings.max_stale,
    }
}
