//! `names`: what is known of each host name.

use super::{Inputs, ask, report};
use crate::control::Request;
use crate::model::Kept;
use crate::site;
use crate::site::lookups;
use crate::store::{Store, remaining};
use clap::Args;
use serde_json::{Value, json};
use std::process::ExitCode;

#[derive(Args)]
#[command(
    about = "Print each host name with its addresses, their server and age, the next query and the last error",
    after_help = "Example:\n  portgrave names --json\n\nExit status: 0 every name has addresses and can be looked up, 1 some have not \
                  or cannot, 3 no daemon runs (the last known addresses are printed all the same)."
)]
pub(super) struct NamesArgs {
    #[command(flatten)]
    inputs: Inputs,
}

const NO_DAEMON: u8 = 3;

pub(super) fn run(args: &NamesArgs) -> ExitCode {
    let as_json = args.inputs.json;
    match ask::ask(&args.inputs, &Request::Names {}) {
        Ok(Some(mut reply)) => {
            reply["daemon"] = json!(true);
            print(&reply, as_json);
            let well = |name: &Value| name["state"] == "ok";
            let all = reply["names"].as_array().is_none_or(|names| names.iter().all(well));
            if all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Ok(None) => {
            print(&kept(&args.inputs), as_json);
            ExitCode::from(NO_DAEMON)
        }
        Err(error) => {
            ask::failed(&error, as_json);
            ExitCode::FAILURE
        }
    }
}

/// What the store knows, in the form of the daemon's reply.
fn kept(inputs: &Inputs) -> Value {
    let store = Store::read_only(&site::load(&inputs.site()).settings.state_dir);
    let known = match (store.names(), lookups::moment()) {
        (Ok(names), Ok(now)) => remaining(&names, &now),
        (Err(error), _) => return json!({ "daemon": false, "names": [], "error": error.to_string() }),
        (_, Err(error)) => return json!({ "daemon": false, "names": [], "error": error.to_string() }),
    };
    let address =
        |kept: &Kept| json!({ "address": kept.address, "remaining_seconds": kept.remaining.as_secs() });
    let name = |(name, kept): (&crate::types::HostName, &Vec<Kept>)| {
        let addresses: Vec<Value> = kept.iter().map(address).collect();
        json!({ "name": name.to_string(), "addresses": addresses })
    };
    json!({ "daemon": false, "names": known.iter().map(name).collect::<Vec<_>>() })
}

fn print(reply: &Value, as_json: bool) {
    if as_json {
        let mut fields = reply.clone();
        fields.as_object_mut().map(|map| map.remove("ok"));
        report::say(&format!("{fields:#}\n"));
        return;
    }
    if reply["daemon"] == false {
        report::say("no daemon runs: names are looked up by `portgrave apply` alone\n");
    }
    if let Some(error) = reply["error"].as_str() {
        report::say(&format!("{error}\n"));
    }
    for name in reply["names"].as_array().into_iter().flatten() {
        one(name);
    }
    if let Some(counters) = reply["counters"].as_object() {
        let counters: Vec<String> = counters.iter().map(|(what, count)| format!("{what} {count}")).collect();
        report::say(&format!("queries: {}\n", counters.join(", ")));
    }
}

fn one(name: &Value) {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let state = text(&name["state"]).map(|state| format!(": {state}")).unwrap_or_default();
    report::say(&format!("{}{state}\n", name["name"].as_str().unwrap_or_default()));
    let ago = |what: &str, value: &Value| value.as_u64().map(|seconds| format!("{what} {seconds} s ago"));
    for address in name["addresses"].as_array().into_iter().flatten() {
        let remaining = address["remaining_seconds"].as_u64().map(|seconds| format!("for {seconds} s"));
        let server = text(&address["server"]).map(|server| format!("from {server}"));
        let parts = [
            remaining,
            server,
            ago("first seen", &address["first_seen_seconds_ago"]),
            ago("last seen", &address["last_seen_seconds_ago"]),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        report::say(&format!(
            "    {}  {}\n",
            address["address"].as_str().unwrap_or_default(),
            parts.join(", ")
        ));
    }
    if name["addresses"].as_array().is_some_and(Vec::is_empty) {
        report::say("    no address: rules match nobody by this name\n");
    }
    for rejected in name["rejected"].as_array().into_iter().flatten() {
        let (address, reason) = (&rejected["address"], &rejected["reason"]);
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        report::say(&format!("    refused {}: {}\n", word(address), word(reason)));
    }
    if let Some(advice) = text(&name["advice"]) {
        report::say(&format!("    {}\n", advice.replace('\n', "\n    ")));
    }
    if let Some(error) = text(&name["last_error"]) {
        report::say(&format!("    last error: {error}\n"));
    }
    if let Some(seconds) = name["next_query_seconds"].as_u64() {
        report::say(&format!("    asked again in {seconds} s\n"));
    }
}
