//! What `status` and `names` say, and the line for the service manager.

use super::state::State;
use crate::model::never::Filter;
use crate::resolver::names::{NameReport, State as NameState};
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;

pub(super) const UNKEPT: &str = "what is in force is not kept for the next start";

/// Everything that is not as it should be, each in a sentence.
fn degraded(state: &State, names: &[NameReport], now: Duration) -> Vec<String> {
    let mut why = Vec::new();
    match &state.in_force {
        None => why.push("nothing is in force".to_owned()),
        Some(in_force) => {
            why.extend(in_force.held_back.iter().cloned());
            why.extend(in_force.unkept.iter().map(|error| format!("{UNKEPT}: {error}")));
        }
    }
    if let Some((_, report)) = state.last.as_ref().filter(|(_, report)| !report.is_good()) {
        why.push(format!("the last change was {}: the files differ from what is in force", report.outcome));
    }
    why.extend(
        state
            .outdated
            .iter()
            .map(|text| format!("the machine has changed, and that is not in force: {text}")),
    );
    why.extend(state.learning.unsaved().map(|error| format!("addresses of names are not kept: {error}")));
    if !state.worker.ready {
        let end = state.worker.last_end.as_deref().unwrap_or("it has not started yet");
        why.push(format!("no names are asked and no packets are logged: {end}"));
    }
    why.extend(state.logging.unlogged().map(|error| format!("packets are not logged: {error}")));
    if state.drift.is_contested(now) {
        why.push("others keep changing the table inet portgrave".into());
    }
    for name in names {
        let what = match name.state {
            NameState::Ok => continue,
            NameState::Gone => "there is no such name any more",
            NameState::Failing | NameState::Unknown if name.addresses.is_empty() => {
                "no address is known: it matches nobody"
            }
            NameState::Failing => "it cannot be looked up now",
            NameState::Unknown => "nobody has answered yet",
        };
        let error = name.last_error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
        why.push(format!("{}: {what}{error}", name.name));
    }
    why
}

pub(super) fn status(state: &State, now: Duration) -> Value {
    let names = state.learning.report(filter(state), now);
    let why = degraded(state, &names, now);
    let seconds = |since: Duration| now.saturating_sub(since).as_secs();
    let last = state.last.as_ref().map(|(at, report)| {
        let mut fields = report.json.clone();
        fields["seconds_ago"] = json!(seconds(*at));
        fields["text"] = json!(report.text());
        fields
    });
    let (seen, drift) = state.drift.seen();
    let drift = drift.map(|(at, changes)| json!({ "seconds_ago": seconds(*at), "changes": changes }));
    let in_force = state.in_force.as_ref();
    let mut fields = in_force.map_or_else(|| json!({}), |in_force| in_force.facts.clone());
    fields["daemon"] = json!({ "pid": std::process::id(), "running_seconds": seconds(state.started) });
    fields["health"] = json!(if why.is_empty() { "healthy" } else { "degraded" });
    fields["degraded"] = json!(why);
    fields["rules"] = json!(in_force.map(|in_force| in_force.rules));
    fields["last_change"] = json!(last);
    fields["drift"] = json!({ "seen": seen, "last": drift });
    fields["worker"] = json!({ "running": state.worker.ready, "restarts": state.worker.restarts });
    fields["names"] = json!({ "all": names.len(), "with_addresses": names.iter().filter(|name| !name.addresses.is_empty()).count() });
    fields
}

fn filter(state: &State) -> Option<&Filter> {
    state.in_force.as_ref().map(|in_force| &in_force.filter)
}

/// The reply to a question for all names. There may be megabytes: as [`Value`] they would be eight times as many.
#[derive(Serialize)]
pub(super) struct NamesReply {
    ok: bool,
    names: Vec<NameReport>,
    counters: Value,
}

pub(super) fn names(state: &State, now: Duration) -> NamesReply {
    let counters = state.worker.counters;
    NamesReply {
        ok: true,
        names: state.learning.report(filter(state), now),
        counters: json!({
            "udp_asked": counters.udp_asked, "tcp_asked": counters.tcp_asked,
            "timeouts": counters.timeouts, "spoof_suspect": counters.spoof_suspect,
            "late_ms_max": state.learning.names().latest().as_millis(),
        }),
    }
}

/// The line that `systemctl status` shows.
pub(super) fn line(state: &State) -> String {
    match &state.in_force {
        None => "nothing is in force".into(),
        Some(in_force) => {
            let refused = state.last.as_ref().is_some_and(|(_, report)| !report.is_good());
            let files = if refused { "; the files have errors and are not in force" } else { "" };
            format!("generation {}, {} rules in force{files}", in_force.generation, in_force.rules)
        }
    }
}
