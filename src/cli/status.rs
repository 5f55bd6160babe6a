//! `status`: what is in force.

use super::{Inputs, ask, report};
use crate::apply;
use crate::control::Request;
use crate::diag::Findings;
use crate::host::clock;
use crate::model::{Kept, management};
use crate::netlink::NfTables;
use crate::plan::diff;
use crate::ruleset::Ruleset;
use crate::site::{self, committed, facts_of, is_management, lookups};
use crate::store::{Generation, HeldBack, Store, StoreError, remaining};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::ExitCode;

#[derive(Args)]
#[command(
    about = "Print what is in force: the generation, whether the kernel holds it, names and when they lapse",
    after_help = "Example:\n  portgrave status --json\n\nExit status: 0 healthy, 1 degraded, 3 no daemon runs (what is in force \
                  is printed all the same)."
)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    inputs: Inputs,
}

const NO_DAEMON: u8 = 3;

const AFTER_MANAGEMENT: &str = "write the site's rules in its policy directory (/etc/portgrave/policy.d), the way in for \
                                administrators first; then `portgrave check`, `portgrave apply`";

pub(super) fn run(args: &StatusArgs) -> ExitCode {
    let as_json = args.inputs.json;
    match ask::ask(&args.inputs, &Request::Status {}) {
        Ok(Some(status)) => of_daemon(&status, as_json),
        Ok(None) => without_daemon(args),
        Err(error) => {
            ask::failed(&error, as_json);
            ExitCode::FAILURE
        }
    }
}

/// What a daemon says of itself.
fn of_daemon(status: &Value, as_json: bool) -> ExitCode {
    if as_json {
        let mut fields = status.clone();
        fields.as_object_mut().map(|map| map.remove("ok"));
        report::say(&format!("{fields:#}\n"));
    } else {
        print_daemon(status);
    }
    if status["health"] == "healthy" { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_daemon(status: &Value) {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let list = |value: &Value| {
        value.as_array().map(|list| list.iter().map(word).collect::<Vec<_>>()).unwrap_or_default()
    };
    if status["generation"].is_null() {
        report::say("no generation yet\n");
    } else {
        report::say(&format!(
            "generation {}, applied at {}\n",
            status["generation"],
            word(&status["applied"])
        ));
        report::say(&format!("files: {}\n", list(&status["files"]).join(", ")));
    }
    if status["management"] == true {
        report::say(&format!(
            "policy: management, since no file has a rule: {}\nnext: {AFTER_MANAGEMENT}\n",
            management::SUMMARY
        ));
    }
    let (daemon, names) = (&status["daemon"], &status["names"]);
    report::say(&format!(
        "daemon: pid {}, for {} s; {} rules in force\n",
        daemon["pid"], daemon["running_seconds"], status["rules"]
    ));
    report::say(&format!("names: {}, with addresses {}\n", names["all"], names["with_addresses"]));
    let drift = &status["drift"];
    report::say(&format!("changes of the table by others: {}\n", drift["seen"]));
    if let Some(seconds) = drift["last"]["seconds_ago"].as_u64() {
        report::say(&format!("  last {seconds} s ago: {}\n", list(&drift["last"]["changes"]).join("; ")));
    }
    report::say(&format!("health: {}\n", word(&status["health"])));
    for why in list(&status["degraded"]) {
        report::say(&format!("  {why}\n"));
    }
    let last = &status["last_change"];
    let refused = !matches!(last["outcome"].as_str(), None | Some("applied" | "unchanged"));
    if refused {
        report::say(&format!(
            "last change, {} s ago, {}:\n{}",
            last["seconds_ago"],
            word(&last["outcome"]),
            word(&last["text"])
        ));
    }
}

fn without_daemon(args: &StatusArgs) -> ExitCode {
    let loaded = site::load(&args.inputs.site());
    let store = Store::read_only(&loaded.settings.state_dir);
    let generation = store.in_force();
    let (kernel, differs) = kernel_state(&store, &generation);
    let (held_back, unknown) = match store.held_back() {
        Ok(lists) => (lists, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let degraded = differs || !held_back.is_empty() || unknown.is_some();
    let error = generation.as_ref().err().map(ToString::to_string).or(unknown);
    let names = names(&store);
    if args.inputs.json {
        let in_force = generation.as_ref().ok().and_then(Option::as_ref);
        let mut fields = in_force.map_or_else(|| json!({ "generation": null }), facts_of);
        fields["daemon"] = json!(false);
        fields["kernel"] = json!(kernel);
        fields["names"] = names.iter().map(name_json).collect();
        fields["held_back"] = json!(held_back);
        fields["error"] = json!(error);
        report::object(fields, &Findings::default(), &loaded.sources);
    } else {
        print(&generation, kernel, &names);
        for HeldBack { path, why } in &held_back {
            report::say(&format!("list {}: {why}: what was in force stays\n", path.display()));
        }
        if let (Ok(_), Some(error)) = (&generation, &error) {
            report::say(&format!("{error}\n"));
        }
    }
    if degraded { ExitCode::FAILURE } else { ExitCode::from(NO_DAEMON) }
}

/// What the kernel holds, in words, and whether that is less than it should be.
fn kernel_state(store: &Store, generation: &Result<Option<Generation>, StoreError>) -> (String, bool) {
    let wanted = generation.as_ref().ok().and_then(Option::as_ref);
    let wanted = wanted.and_then(|generation| committed::of(generation, store, &BTreeMap::new()));
    let held = match apply::held(&mut NfTables, &mut || wanted.clone()) {
        Ok(held) => held,
        Err(error) => return (error.to_string(), true),
    };
    if generation.is_err() {
        let holds = if held.is_some() { "holds a table" } else { "holds no table: the host is open" };
        return (format!("{holds}; nothing is known of what it should hold"), true);
    }
    match (wanted, held) {
        (None, None) => ("nothing is in force: the host is open; run `portgrave apply`".into(), true),
        (Some(_), None) => {
            ("the table inet portgrave is missing: the host is open; run `portgrave apply`".into(), true)
        }
        (None, Some(_)) => {
            ("the kernel holds a table that the store knows nothing of; run `portgrave apply`".into(), true)
        }
        (Some(wanted), Some(held)) => compared(&wanted, &held),
    }
}

/// Addresses of names are left out of the comparison: they come and go.
fn compared(wanted: &Ruleset, held: &Ruleset) -> (String, bool) {
    let mut held = held.clone();
    for (name, set) in &mut held.sets {
        if set.timeout.is_some() {
            if let Some(wanted) = wanted.sets.get(name) {
                set.elements = wanted.elements.clone();
            }
        }
    }
    let plan = diff(wanted, Some(&held));
    if plan.is_empty() {
        return ("holds it".into(), false);
    }
    let first = plan.describe(Some(&held)).first().map(ToString::to_string).unwrap_or_default();
    (format!("differs (to mend: {first}); `portgrave apply` mends it"), true)
}

fn names(store: &Store) -> Vec<(String, Vec<Kept>)> {
    let (Ok(names), Ok(now)) = (store.names(), lookups::moment()) else { return Vec::new() };
    remaining(&names, &now).into_iter().map(|(name, left)| (name.to_string(), left)).collect()
}

fn name_json((name, left): &(String, Vec<Kept>)) -> Value {
    let address = |learned: &Kept| json!({ "address": learned.address, "remaining_seconds": learned.remaining.as_secs() });
    json!({ "name": name, "addresses": left.iter().map(address).collect::<Vec<_>>() })
}

fn print(generation: &Result<Option<Generation>, StoreError>, kernel: String, names: &[(String, Vec<Kept>)]) {
    match generation {
        Ok(Some(generation)) => {
            let files: Vec<&str> = generation.inputs.iter().map(|input| input.name.as_str()).collect();
            let applied = clock::utc(generation.applied);
            report::say(&format!("generation {}, applied at {applied}\n", generation.number));
            report::say(&format!("files: {}\n", files.join(", ")));
            if is_management(generation) {
                let why = format!("no file has a rule: {}", management::SUMMARY);
                report::say(&format!("policy: management, since {why}\nnext: {AFTER_MANAGEMENT}\n"));
            }
        }
        Ok(None) => report::say("no generation yet\n"),
        Err(error) => report::say(&format!("{error}\n")),
    }
    report::say(&format!("kernel: {kernel}\ndaemon: none; names are looked up by `portgrave apply` alone\n"));
    for (name, left) in names {
        let addresses: Vec<String> = left
            .iter()
            .map(|learned| format!("{} ({} s)", learned.address, learned.remaining.as_secs()))
            .collect();
        let shown =
            if addresses.is_empty() { "no address: matches nobody".into() } else { addresses.join(", ") };
        report::say(&format!("name {name}: {shown}\n"));
    }
}
