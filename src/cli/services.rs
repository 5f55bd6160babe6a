//! `services`: the names that stand for ports.

use super::{Inputs, report};
use crate::diag::{Finding, Findings, SourceMap, codes, nearest};
use crate::model::catalogue;
use crate::policy::{ServiceEntry, parse};
use crate::site;
use clap::Args;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::process::ExitCode;

#[derive(Args)]
#[command(
    about = "Print the services that rules can name, with their ports",
    long_about = "Print the services that rules can name, with their ports: the built-in catalogue, and with --policy or --config \
                  those of [services] in that policy, which take the place of built-in ones of the same name.",
    after_help = "Example:\n  portgrave services submission\n\nExit status: 0, or 1 if there is no such service or the policy's \
                  files are wrong."
)]
pub(super) struct ServicesArgs {
    /// Only the service of this name
    name: Option<String>,
    #[command(flatten)]
    inputs: Inputs,
}

#[derive(Serialize)]
struct Service {
    name: String,
    /// Other names for the same.
    also: Vec<String>,
    ports: Vec<String>,
    helper: Option<String>,
    /// Where it is defined in the policy; `null` for a built-in one.
    place: Option<String>,
    about: String,
}

pub(super) fn run(args: &ServicesArgs) -> ExitCode {
    let mut services = built_in();
    let sources = SourceMap::default();
    if args.inputs.config.is_some() || !args.inputs.policy.is_empty() {
        match own(&args.inputs) {
            Ok(own) => replace(&mut services, own),
            Err((of_policy, findings)) => return refused(args, &findings, &of_policy),
        }
    }
    if let Some(name) = &args.name {
        let known: Vec<&str> = services.iter().flat_map(names).collect();
        if !known.contains(&name.as_str()) {
            let help = match nearest(name, known) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => "`portgrave services` lists all; a policy defines its own under [services]".into(),
            };
            let finding =
                Finding::error(codes::UNKNOWN_SERVICE, format!("unknown service \"{name}\"")).help(help);
            return refused(args, &finding.into(), &sources);
        }
        services.retain(|service| names(service).any(|of| of == name));
    }
    if args.inputs.json {
        report::object(json!({ "services": services }), &Findings::default(), &sources);
    } else {
        report::say(&table(&services));
    }
    ExitCode::SUCCESS
}

fn refused(args: &ServicesArgs, findings: &Findings, sources: &SourceMap) -> ExitCode {
    if args.inputs.json {
        report::object(json!({ "services": [] }), findings, sources);
    } else {
        report::findings(findings, sources);
    }
    ExitCode::FAILURE
}

fn names(service: &Service) -> impl Iterator<Item = &str> {
    std::iter::once(service.name.as_str()).chain(service.also.iter().map(String::as_str))
}

fn built_in() -> Vec<Service> {
    let service = |service: &catalogue::Service| Service {
        name: service.names[0].to_owned(),
        also: service.names[1..].iter().map(|name| (*name).to_owned()).collect(),
        ports: service.ports().iter().map(ToString::to_string).collect(),
        helper: service.helper.map(str::to_owned),
        place: None,
        about: service.about.to_owned(),
    };
    catalogue::SERVICES.iter().map(service).collect()
}

/// Those of the policy, by name; of several layers the highest counts.
fn own(inputs: &Inputs) -> Result<BTreeMap<String, Service>, (SourceMap, Findings)> {
    let loaded = site::load(&inputs.site());
    let parsed = match parse(&loaded.sources, &loaded.files) {
        Ok(parsed) if !loaded.findings.has_errors() => parsed,
        Ok(_) => return Err((loaded.sources, loaded.findings)),
        Err(more) => {
            let mut findings = loaded.findings;
            findings.extend(more);
            return Err((loaded.sources, findings));
        }
    };
    let entries = parsed.files.iter().flat_map(|file| &file.services);
    Ok(entries.map(|entry| (entry.name.value.clone(), of_policy(entry, &loaded.sources))).collect())
}

fn of_policy(entry: &ServiceEntry, sources: &SourceMap) -> Service {
    let passive = entry.passive.iter().map(|range| format!("tcp/{} (passive)", range.value));
    Service {
        name: entry.name.value.clone(),
        also: Vec::new(),
        ports: entry.ports.iter().map(|port| port.value.to_string()).chain(passive).collect(),
        helper: entry.helper.as_ref().map(|helper| helper.value.clone()),
        place: Some(sources.place(entry.name.span)),
        about: String::new(),
    }
}

/// A service of the policy takes a name away from a built-in one, which may have others left.
fn replace(services: &mut Vec<Service>, own: BTreeMap<String, Service>) {
    for service in std::mem::take(services) {
        let mut left: Vec<String> =
            names(&service).filter(|name| !own.contains_key(*name)).map(str::to_owned).collect();
        if !left.is_empty() {
            let name = left.remove(0);
            services.push(Service { name, also: left, ..service });
        }
    }
    services.extend(own.into_values());
    services.sort_by(|a, b| a.name.cmp(&b.name));
}

fn table(services: &[Service]) -> String {
    let row = |service: &Service| {
        let helper = service.helper.iter().map(|helper| format!("helper {helper}"));
        let ports: Vec<String> = service.ports.iter().cloned().chain(helper).collect();
        let about = service.place.clone().unwrap_or_else(|| service.about.clone());
        [names(service).collect::<Vec<_>>().join(", "), ports.join(", "), about]
    };
    let rows: Vec<[String; 3]> = services.iter().map(row).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).min(40);
    let (first, second) = (width(0), width(1));
    let line = |[name, ports, about]: &[String; 3]| format!("{name:first$}  {ports:second$}  {about}\n");
    rows.iter().map(line).collect()
}
