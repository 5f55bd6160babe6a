//! Host names in the reducer: what is asked, what goes to the kernel, what is saved.

use super::action::Action;
use super::event::{Cause, InForce, Lives};
use super::log::Entry;
use crate::model::never::Filter;
use crate::observe::Record;
use crate::resolver::Lookup;
use crate::resolver::names::{Ask, Change, NameReport, Names};
use crate::site::lookups::advised;
use crate::types::{Direction, Family, HostName};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The state file is written at most so often.
const SAVE_EVERY: Duration = Duration::from_secs(5);
/// With very many addresses, or a slow disk, it is written so seldom that the loop stands still for a two-hundredth of the time.
const SAVE_SHARE: u32 = 200;
const SAVE_AT_LEAST_EVERY: Duration = Duration::from_secs(30);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

pub(super) struct Learning {
    names: Names,
    /// Their elements in the kernel are to be added or renewed.
    pending: BTreeSet<IpAddr>,
    /// Something is to go from the kernel: everything is compiled and compared.
    whole: bool,
    refusals: u32,
    whole_at: Option<Duration>,
    saved_at: Option<Duration>,
    save_every: Duration,
    unsaved: Option<String>,
}

impl Learning {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            names: Names::new(seed),
            pending: BTreeSet::new(),
            whole: false,
            refusals: 0,
            whole_at: None,
            saved_at: None,
            save_every: SAVE_EVERY,
            unsaved: None,
        }
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn names_mut(&mut self) -> &mut Names {
        &mut self.names
    }

    /// Why the state file is not up to date.
    pub(super) fn unsaved(&self) -> Option<&str> {
        self.unsaved.as_deref()
    }

    /// With nobody to ask, no question is due.
    pub(super) fn next(&self, can_ask: bool, now: Duration) -> Option<Duration> {
        let save = self.names.is_dirty().then(|| self.next_save(now));
        let due = if can_ask { self.names.next_due(now) } else { None };
        [due, self.whole_at, save].into_iter().flatten().min()
    }

    /// Asks what is due, and writes what is to be kept.
    pub(super) fn time(&mut self, in_force: &InForce, can_ask: bool, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        if can_ask {
            let due = self.names.due(now);
            actions.extend(due.questions.into_iter().map(|ask| question(ask, in_force)));
            actions.extend(self.gather(due.change, Some(&in_force.filter)));
        }
        if self.whole_at.is_some_and(|at| at <= now) {
            self.whole_at = None;
            self.whole = true;
        }
        if self.names.is_dirty() && self.next_save(now) <= now {
            self.saved_at = Some(now);
            actions.push(Action::Save);
        }
        actions
    }

    pub(super) fn answered(
        &mut self,
        (name, family): (&HostName, Family),
        lookup: &Lookup,
        in_force: &InForce,
        now: Duration,
    ) -> Vec<Action> {
        let never = |name: &HostName, address| in_force.filter.why_not(name, address);
        let change = self.names.answered(name, family, lookup, &never, now);
        self.gather(change, Some(&in_force.filter))
    }

    /// Another policy, or another machine, is in force, and the kernel holds what it gave.
    pub(super) fn want(&mut self, in_force: &InForce, same_servers: bool, now: Duration) -> Vec<Action> {
        let never = |name: &HostName, address| in_force.filter.why_not(name, address);
        let mut change = self.names.want(in_force.wanted.clone(), now);
        change.extend(self.names.refilter(&never, now));
        if !same_servers {
            self.names.retry(now);
        }
        self.pending.clear();
        (self.whole, self.whole_at, self.refusals) = (false, None, 0);
        self.names.written(&in_force.lives, now);
        // The kernel has nothing of it: the policy was compiled without.
        change.removed.clear();
        self.gather(change, Some(&in_force.filter))
    }

    pub(super) fn suspended(&mut self, by: Duration, now: Duration) -> Vec<Action> {
        let change = self.names.suspended(by, now);
        let mut actions = vec![Action::StoodStill(by)];
        actions.extend(self.gather(change, None));
        actions
    }

    pub(super) fn worker_ended(&mut self, now: Duration) -> Vec<Action> {
        let change = self.names.worker_died(now);
        self.gather(change, None)
    }

    /// What the events of a turn have brought, in one batch.
    pub(super) fn turn_ends(&mut self, now: Duration) -> Vec<Action> {
        if self.whole_at.is_some() {
            return Vec::new();
        }
        if std::mem::replace(&mut self.whole, false) {
            self.pending.clear();
            return vec![Action::Relearn(Cause::Names)];
        }
        let addresses = std::mem::take(&mut self.pending);
        if addresses.is_empty() {
            return Vec::new();
        }
        let lives = self.names.addresses(&addresses, now);
        if lives.is_empty() { Vec::new() } else { vec![Action::Add(lives)] }
    }

    pub(super) fn written(&mut self, lives: &Lives, now: Duration) {
        self.refusals = 0;
        self.names.written(lives, now);
    }

    /// Somebody else's commit came first.
    pub(super) fn not_written(&mut self, lives: &Lives) {
        self.pending.extend(lives.values().flatten().map(|learned| learned.address));
    }

    /// The kernel refused a batch: everything is compiled and compared after 1, 2, 4 … 60 s.
    pub(super) fn refused(&mut self, now: Duration) -> Duration {
        let wait = Duration::from_secs(1 << self.refusals.min(6)).min(LONGEST_WAIT);
        self.refusals += 1;
        self.whole_at = Some(now + wait);
        wait
    }

    /// A whole change was refused: one that names asked for is tried again.
    pub(super) fn refused_whole(&mut self, cause: &Cause, now: Duration) {
        if *cause == Cause::Names {
            self.refused(now);
        }
    }

    pub(super) fn saved(&mut self, saved: Result<(), String>, now: Duration) -> Vec<Action> {
        let took = self.saved_at.map_or(Duration::ZERO, |from| now.saturating_sub(from));
        self.save_every = (took * SAVE_SHARE).clamp(SAVE_EVERY, SAVE_AT_LEAST_EVERY);
        match saved {
            Ok(()) => {
                self.names.saved();
                self.unsaved = None;
                Vec::new()
            }
            Err(error) => {
                let known = self.unsaved.replace(error.clone()).is_some();
                let message = format!("addresses of names are not kept for the next start: {error}");
                if known { Vec::new() } else { vec![Action::Log(Entry::error(message))] }
            }
        }
    }

    /// The name that a logged packet's peer is known by.
    pub(super) fn name_of(&self, record: &Record) -> Option<String> {
        let peer = match record.direction {
            Direction::In => record.source,
            Direction::Out => record.destination,
        };
        self.names.name_of(peer).map(ToString::to_string)
    }

    /// Of names that are left without addresses since all were refused, with the lines that open them.
    pub(super) fn report(&self, filter: Option<&Filter>, now: Duration) -> Vec<NameReport> {
        let mut report = self.names.report(now);
        for of_name in report.iter_mut().filter(|of_name| of_name.all_rejected) {
            let refused: Vec<IpAddr> = of_name.rejected.iter().map(|rejected| rejected.address).collect();
            let name = of_name.name.parse().ok();
            of_name.advice = filter.zip(name).and_then(|(filter, name)| filter.advice(&name, &refused));
        }
        report
    }

    /// With the filter, warnings of what it refused say how to open it.
    fn gather(&mut self, change: Change, filter: Option<&Filter>) -> Vec<Action> {
        self.pending.extend(change.addresses);
        self.whole |= !change.removed.is_empty();
        let entry = |warning: crate::resolver::names::Warning| {
            let advised = filter.map(|filter| advised(filter, &warning));
            let line = Entry::warning(advised.unwrap_or_else(|| warning.to_string()));
            Action::Log(match warning.name() {
                Some(name) => line.of_name(name),
                None => line,
            })
        };
        change.warnings.into_iter().map(entry).collect()
    }

    fn next_save(&self, now: Duration) -> Duration {
        self.saved_at.map_or(now, |saved| saved + self.save_every)
    }
}

/// The servers that know a name; one that is not to be asked first comes last.
fn question(ask: Ask, in_force: &InForce) -> Action {
    let Ask { name, family, not_first } = ask;
    let (last, mut servers): (Vec<SocketAddr>, Vec<SocketAddr>) =
        in_force.servers.of(&name).iter().copied().partition(|server| Some(server.ip()) == not_first);
    servers.extend(last);
    Action::Ask { name, family, servers }
}
