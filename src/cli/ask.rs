//! Asking the daemon, where one runs.

use super::{Inputs, report};
use crate::control::{Client, ClientError, Request};
use crate::policy::Settings;
use crate::site;
use serde_json::{Value, json};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::Duration;

/// A question about what is: a daemon that is busy with a large change answers after it.
const PATIENCE: Duration = Duration::from_secs(120);

/// `None` where no daemon runs.
pub(super) fn connect(settings: &Settings) -> Result<Option<Client>, ClientError> {
    Client::connect(&settings.control_socket())
}

/// What is; `None` where no daemon runs.
pub(super) fn ask(inputs: &Inputs, request: &Request) -> Result<Option<Value>, ClientError> {
    match connect(&site::settings(&inputs.site()))? {
        Some(client) => client.ask(request, &[], Some(PATIENCE)).map(Some),
        None => Ok(None),
    }
}

/// Asks for a change, waits for its outcome however long it takes, prints it, and gives the exit status.
pub(super) fn change(client: Client, request: &Request, files: &[OwnedFd], as_json: bool) -> ExitCode {
    match client.ask(request, files, None) {
        Ok(reply) => outcome(&reply, as_json),
        Err(error) => {
            failed(&error, as_json);
            ExitCode::FAILURE
        }
    }
}

/// The daemon could not be asked, or says no.
pub(super) fn failed(error: &ClientError, as_json: bool) {
    if let (ClientError::Refused { reply, .. }, true) = (error, as_json) {
        report::say(&format!("{reply:#}\n"));
        return;
    }
    report::failure(as_json, &error.to_string());
    if let ClientError::Refused { help: Some(help), .. } = error {
        report::complain(&format!("  = help: {help}\n"));
    }
}

fn outcome(reply: &Value, as_json: bool) -> ExitCode {
    let outcome = reply["outcome"].as_str().unwrap_or("unknown");
    if as_json {
        let mut fields = reply.clone();
        if let Some(map) = fields.as_object_mut() {
            map.remove("text");
            map.remove("ok");
        }
        report::say(&format!("{fields:#}\n"));
    } else {
        report::complain(reply["text"].as_str().unwrap_or_default());
        let generation = &reply["generation"];
        match reply["rules"].as_u64().filter(|_| matches!(outcome, "applied" | "unchanged")) {
            Some(rules) => report::say(&format!(
                "{outcome}: generation {generation}, {rules} rules in force and verified, by the daemon\n"
            )),
            None => report::say(&format!("{outcome}: generation {generation} stays in force\n")),
        }
    }
    match outcome {
        "applied" | "unchanged" => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// The fields of a verb that needs a daemon where there is none.
pub(super) fn no_daemon(as_json: bool, what_instead: &str) {
    let message = format!("no daemon runs; {what_instead}");
    if as_json {
        report::say(&format!("{:#}\n", json!({ "daemon": false, "error": message })));
    }
    report::complain(&format!("error: {message}\n"));
}
