//! The policy in force, the store and the kernel: what changes are made with.

use crate::apply::{Added, ApplyError, InForce as Kept, Look};
use crate::compile::{Features, of_names};
use crate::control::Handed;
use crate::daemon::event::{Adding, Cause, Changed, InForce, Lives, Servers};
use crate::diag::Findings;
use crate::host::clock;
use crate::model::{AddressBook, Policy, management};
use crate::netlink::{Kernel, KernelError, OpenNfTables};
use crate::policy::Settings;
use crate::site::{self, Context, Inputs, Report, Unsound, names};
use crate::store::{HeldBack, Input, Store, StoreError};
use crate::types::HostName;
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) struct Engine {
    inputs: Inputs,
    settings: Settings,
    /// The policy in force, and what the kernel holds of it.
    in_force: Option<(Context, Kept)>,
    generation: Option<u64>,
    kernel: OpenNfTables,
    /// The user that names are asked as.
    asks_as: u32,
}

impl Engine {
    pub(super) fn new(inputs: Inputs, settings: Settings, asks_as: u32) -> Self {
        Self { inputs, settings, in_force: None, generation: None, kernel: OpenNfTables::default(), asks_as }
    }

    pub(super) fn asks_as(&self) -> u32 {
        self.asks_as
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The generation in force, without a question to anybody: the machine as it was. `None` without a generation that can be
    /// trusted.
    pub(super) fn start(
        &mut self,
        recall: &mut dyn FnMut(&Context, &Store) -> Lives,
    ) -> (Option<Changed>, Vec<String>) {
        let mut warnings = Vec::new();
        // A state directory that cannot be written may still be read.
        let store = Store::open(&self.settings.state_dir).unwrap_or_else(|error| {
            warnings.push(error.to_string());
            Store::read_only(&self.settings.state_dir)
        });
        let generation = store.in_force().unwrap_or_else(|error| {
            warnings.push(super::carry::set_aside(&store, &error));
            None
        });
        let Some(generation) = generation else { return (None, warnings) };
        let stored = Context::stored(&generation, &store, &self.settings, &BTreeMap::new());
        let Some(mut context) = stored else {
            warnings.push(format!(
                "generation {} cannot be compiled by this version; the files are read",
                generation.number
            ));
            return (None, warnings);
        };
        context.book.names = recall(&context, &store);
        drop(store);
        (Some(self.put(Cause::Start, context)), warnings)
    }

    /// The files as they are.
    pub(super) fn reload(&mut self, cause: Cause, lives: Lives) -> Changed {
        self.take(cause, Context::load(&self.inputs), lives)
    }

    /// What a client has read and handed over.
    pub(super) fn hand_over(&mut self, cause: Cause, handed: Handed, lives: Lives) -> Changed {
        let input =
            |text: crate::control::PolicyText| Input { name: text.name, layer: text.layer, text: text.text };
        let loaded = site::given(&self.inputs, handed.policy.into_iter().map(input));
        let lists = handed.lists.into_iter().map(|(path, file)| (path.into(), file.into_file())).collect();
        self.take(cause, Context::of(loaded, &self.inputs, Some(&lists)), lives)
    }

    /// The built-in policy, where there is no other.
    pub(super) fn management(&mut self, cause: Cause) -> Changed {
        let text = Input { name: management::NAME.into(), layer: 0, text: management::TEXT.into() };
        let loaded = site::given(&self.inputs, [text]);
        self.take(cause, Context::of(loaded, &self.inputs, None), Lives::new())
    }

    /// The policy in force on the machine as it is now.
    pub(super) fn relearn(&mut self, cause: Cause, lives: Lives) -> Changed {
        let Some((mut context, kept)) = self.in_force.take() else {
            return self.reload(cause, lives);
        };
        let before = (context.book.clone(), context.servers.clone());
        context.findings = Findings::default();
        context.learn_machine(&self.inputs.root);
        if context.findings.has_errors() {
            let unsound = Unsound { findings: std::mem::take(&mut context.findings), ..Unsound::default() };
            let report = Report::of_unsound(&unsound, self.generation);
            (context.book, context.servers) = before;
            self.in_force = Some((context, kept));
            return Changed { cause, report, in_force: None };
        }
        context.book.names = lives;
        // The files are those in force; what the machine is need not be kept.
        match self.change(&mut context, true) {
            Ok(changed) => self.hold(cause, context, changed),
            Err(failure) => {
                let report = self.failed(failure, &mut context);
                self.in_force = Some((context, kept));
                Changed { cause, report, in_force: None }
            }
        }
    }

    /// Adds addresses of names to what the kernel holds.
    pub(super) fn add(&mut self, lives: &Lives) -> Adding {
        let Some((context, kept)) = &mut self.in_force else { return Adding::NeedsMore };
        let book = AddressBook { names: lives.clone(), ..context.book.clone() };
        let Ok(part) = of_names(&context.policy, &book, &Features::ALL) else { return Adding::NeedsMore };
        match kept.add(&mut self.kernel, &part, clock::since_boot()) {
            Ok(Added::Written(_)) => Adding::Written,
            Ok(Added::NeedsMore) => Adding::NeedsMore,
            Ok(Added::Overtaken) => Adding::Overtaken,
            Err(ApplyError::Refused { refusals, .. }) => {
                let first = refusals
                    .first()
                    .map(|refusal| std::io::Error::from_raw_os_error(refusal.errno).to_string());
                Adding::Refused(first.unwrap_or_default())
            }
            Err(error @ (ApplyError::Mismatch { .. } | ApplyError::Kernel(_))) => {
                Adding::Refused(error.to_string())
            }
        }
    }

    /// Whether somebody else has committed.
    pub(super) fn moved(&mut self) -> Result<bool, KernelError> {
        let generation = self.kernel.generation()?;
        Ok(self.in_force.as_ref().is_some_and(|(_, kept)| !kept.is_current(generation)))
    }

    pub(super) fn stood_still(&mut self, by: Duration) {
        if let Some((_, kept)) = &mut self.in_force {
            kept.stood_still(by);
        }
    }

    pub(super) fn look(&mut self) -> Result<Vec<String>, String> {
        let Some((_, kept)) = &mut self.in_force else { return Ok(Vec::new()) };
        match kept.look(&mut self.kernel, clock::since_boot()) {
            Ok(Look::Intact) => Ok(Vec::new()),
            Ok(Look::Differs(changes)) => Ok(changes),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(super) fn repair(&mut self) -> Result<(), String> {
        let Some((_, kept)) = &mut self.in_force else { return Ok(()) };
        kept.repair(&mut self.kernel, clock::since_boot()).map(drop).map_err(|error| error.to_string())
    }

    fn take(&mut self, cause: Cause, loaded: Result<Context, Unsound>, lives: Lives) -> Changed {
        let mut context = match loaded {
            Ok(context) => context,
            Err(unsound) => {
                let report = Report::of_unsound(&unsound, self.generation);
                return Changed { cause, report, in_force: None };
            }
        };
        context.book.names = lives;
        self.put(cause, context)
    }

    /// What is not in force yet is kept first, but for a machine on which nothing is: that would be open.
    fn put(&mut self, cause: Cause, mut context: Context) -> Changed {
        let may_be_unkept = self.in_force.is_none();
        match self.change(&mut context, may_be_unkept) {
            Ok(changed) => self.hold(cause, context, changed),
            Err(failure) => {
                let report = self.failed(failure, &mut context);
                Changed { cause, report, in_force: None }
            }
        }
    }

    fn change(&self, context: &mut Context, may_be_unkept: bool) -> Result<site::Changed, site::Failure> {
        context.book.agent_uid = self.asks_as;
        match kept(context) {
            Err(site::Failure::Store(error)) if may_be_unkept => site::change_unkept(context, error),
            kept => kept,
        }
    }

    fn failed(&self, failure: site::Failure, context: &mut Context) -> Report {
        let findings = std::mem::take(&mut context.findings);
        Report::of_failure(failure, findings, &context.sources, self.generation)
    }

    fn hold(&mut self, cause: Cause, mut context: Context, changed: site::Changed) -> Changed {
        let report = Report::of_change(&changed, &context.findings, &context.sources);
        let in_force = told(&mut context, &changed);
        self.settings = context.settings.clone();
        self.generation = Some(changed.generation.number);
        self.in_force = Some((context, changed.in_force));
        Changed { cause, report, in_force: Some(in_force) }
    }
}

/// The whole change. A state file that cannot be what was written is set aside, and does not stand in the way.
fn kept(context: &mut Context) -> Result<site::Changed, site::Failure> {
    let store = Store::open(&context.settings.state_dir)?;
    match site::change(context, &store) {
        Err(site::Failure::Store(error @ StoreError::Corrupt { .. })) => {
            tracing::warn!("{}", super::carry::set_aside(&store, &error));
            site::change(context, &store)
        }
        changed => changed,
    }
}

/// What the reducer must know. The addresses of names are its own from now on.
fn told(context: &mut Context, changed: &site::Changed) -> InForce {
    let generation = &changed.generation;
    let lives = std::mem::take(&mut context.book.names);
    let own = |name: &HostName| {
        let servers = context.servers_of(name);
        (servers != context.servers).then(|| (name.clone(), servers.to_vec()))
    };
    let held_back = |HeldBack { path, why }: &HeldBack| {
        format!("list {}: {why}: what was in force stays", path.display())
    };
    InForce {
        generation: generation.number,
        rules: context.policy.rules.len(),
        log_group: logs(&context.policy).then_some(context.policy.log.group),
        unkept: changed.unkept.as_ref().map(ToString::to_string),
        held_back: context.lists.held_back.iter().map(held_back).collect(),
        facts: site::facts_of(generation),
        wanted: names::wanted(context),
        filter: context.filter(),
        servers: Servers {
            default: context.servers.clone(),
            own: context.policy.names.keys().filter_map(own).collect(),
        },
        lives,
    }
}

/// Whether any packet is logged.
fn logs(policy: &Policy) -> bool {
    policy.log.denied || policy.rules.iter().any(|rule| rule.log == Some(true))
}
