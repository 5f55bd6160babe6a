//! What was put in force, remembered: to see what others change, and to add looked-up addresses without reading the kernel.

use super::drift::{drift, fill_unread};
use super::lives::Lives;
use super::{ApplyError, DUMP_LIMIT, SHORT_LIFE, Settled, commit, settle};
use crate::netlink::{GenId, Kernel, KernelError};
use crate::plan::{Exchanged, Held, Op, Plan, Summary};
use crate::ruleset::{ElementKey, ElementValue, Elements, Ruleset, Set};
use std::collections::BTreeMap;
use std::time::Duration;

/// Elements that have ended are forgotten so often.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// What the kernel should hold. `now` is the clock since boot that runs through a sleep of the machine; elements do not age then.
pub struct InForce {
    /// Without the elements of sets of looked-up addresses.
    want: Ruleset,
    /// These, by set.
    lives: BTreeMap<String, Lives>,
    exchanged: Exchanged,
    generation: GenId,
    forgot: Duration,
}

/// What a look at the kernel shows.
#[derive(Debug)]
pub enum Look {
    Intact,
    /// What others have done, in words.
    Differs(Vec<String>),
}

/// What became of looked-up addresses.
#[derive(Debug, PartialEq, Eq)]
pub enum Added {
    /// So many elements were written.
    Written(usize),
    /// They need a chain, a counter or a set that is not in force: the whole policy must be compiled with them.
    NeedsMore,
    /// Others have changed the table: look first.
    Overtaken,
}

impl InForce {
    /// What was just settled.
    pub fn of(mut want: Ruleset, settled: &Settled, now: Duration) -> Self {
        if let Some(before) = &settled.before {
            keep_longer_lives(&mut want, before);
        }
        let mut lives = BTreeMap::new();
        for (name, set) in want.sets.iter_mut().filter(|(_, set)| holds_names(set)) {
            let of_set: &mut Lives = lives.entry(name.clone()).or_default();
            for (key, value) in std::mem::take(&mut set.elements).iter() {
                of_set.insert(&key, value, now);
            }
        }
        let (exchanged, generation) = (settled.exchanged.clone(), settled.generation);
        Self { want, lives, exchanged, generation, forgot: now }
    }

    /// Whether nobody else has committed since.
    pub fn is_current(&self, generation: GenId) -> bool {
        self.generation == generation
    }

    /// The clock ran on for so long while the machine slept, and the kernel's elements have not aged.
    pub fn stood_still(&mut self, by: Duration) {
        self.lives.values_mut().for_each(|lives| lives.put_off(by));
    }

    /// Reads tersely: heads, rules and small sets.
    pub fn look(&mut self, kernel: &mut dyn Kernel, now: Duration) -> Result<Look, KernelError> {
        let generation = kernel.generation()?;
        let want = self.expected(now);
        let mut held = kernel.read(DUMP_LIMIT)?.map(|held| Held::new(held).ruleset);
        if let Some(held) = &mut held {
            self.leave_out_ended(held, now);
            fill_unread(kernel, &self.exchanged, held, &want)?;
        }
        let changes = drift(&want, held.as_ref());
        if changes.is_empty() {
            self.generation = generation;
            return Ok(Look::Intact);
        }
        Ok(Look::Differs(changes))
    }

    /// Makes the kernel hold it again.
    pub fn repair(&mut self, kernel: &mut dyn Kernel, now: Duration) -> Result<Summary, ApplyError> {
        let want = self.expected(now);
        let settled = settle(kernel, &want, &mut || Some(want.clone()), &mut Vec::new)?;
        *self = Self::of(want, &settled, now);
        Ok(settled.summary)
    }

    /// Adds or renews elements of sets of looked-up addresses: those of `part`.
    pub fn add(
        &mut self,
        kernel: &mut dyn Kernel,
        part: &Ruleset,
        now: Duration,
    ) -> Result<Added, ApplyError> {
        let mut ops = Vec::new();
        let mut written = 0;
        for (name, set) in part.sets.iter().filter(|(_, set)| holds_names(set)) {
            let Some(elements) = set.elements.known().filter(|elements| !elements.is_empty()) else {
                continue;
            };
            let (Some(held), Some(lives)) = (self.want.sets.get(name), self.lives.get(name)) else {
                return Ok(Added::NeedsMore);
            };
            if !elements.values().all(|value| self.leads_somewhere(value)) {
                return Ok(Added::NeedsMore);
            }
            written += elements.len();
            ops.extend(elements.iter().flat_map(|(key, value)| renewal((name, held), lives, key, value)));
        }
        let plan = self.exchanged.plan(ops);
        if plan.is_empty() {
            return Ok(Added::Written(0));
        }
        if !self.commit(kernel, &plan)? {
            return Ok(Added::Overtaken);
        }
        self.remember(part, now);
        self.forget_ended(now);
        Ok(Added::Written(written))
    }

    /// Commits, whether or not others have committed meanwhile; a look follows then. `false` if others have taken away what it needs.
    fn commit(&mut self, kernel: &mut dyn Kernel, plan: &Plan) -> Result<bool, ApplyError> {
        match commit(kernel, plan, Some(self.generation)) {
            Err(ApplyError::Kernel(KernelError::Stale)) => {}
            Ok(()) => {
                self.generation = self.generation.next();
                return Ok(true);
            }
            Err(error) => return Err(error),
        }
        match commit(kernel, plan, None) {
            Err(ApplyError::Refused { .. }) => Ok(false),
            other => other.map(|()| true),
        }
    }

    fn leads_somewhere(&self, value: &ElementValue) -> bool {
        let counter = value.object.as_ref().is_none_or(|name| self.want.objects.contains_key(name));
        let chain = value.verdict.as_ref().and_then(|verdict| verdict.chain());
        counter && chain.is_none_or(|chain| self.want.chains.contains_key(chain))
    }

    fn remember(&mut self, part: &Ruleset, now: Duration) {
        for (name, set) in part.sets.iter().filter(|(_, set)| holds_names(set)) {
            let Some(lives) = self.lives.get_mut(name) else { continue };
            set.elements.iter().for_each(|(key, value)| lives.insert(&key, value, now));
        }
    }

    /// Elements that ended a while ago take up no room.
    fn forget_ended(&mut self, now: Duration) {
        if now.saturating_sub(self.forgot) >= FORGET_EVERY {
            self.forgot = now;
            self.lives.values_mut().for_each(|lives| lives.forget(now.saturating_sub(FORGET_EVERY)));
        }
    }

    /// What the kernel should hold at a moment: elements that have ended are gone.
    fn expected(&self, now: Duration) -> Ruleset {
        let mut want = self.want.clone();
        for (name, lives) in &self.lives {
            if let Some(set) = want.sets.get_mut(name) {
                set.elements = Elements::Known(lives.now(now).collect());
            }
        }
        want
    }

    /// Elements that were in force and have ended may still be there, and are no change by others.
    fn leave_out_ended(&self, held: &mut Ruleset, now: Duration) {
        for (name, lives) in &self.lives {
            let Some(Elements::Known(elements)) = held.sets.get_mut(name).map(|set| &mut set.elements) else {
                continue;
            };
            elements.retain(|key, value| {
                !lives.has_ended(key, now) || value.timeout.is_none_or(|left| left > SHORT_LIFE)
            });
        }
    }
}

/// What lives longer in the kernel than was wanted was left to live.
fn keep_longer_lives(want: &mut Ruleset, before: &Ruleset) {
    for (name, set) in want.sets.iter_mut().filter(|(_, set)| holds_names(set)) {
        let (Elements::Known(wanted), Some(before)) = (&mut set.elements, before.sets.get(name)) else {
            continue;
        };
        let Some(held) = before.elements.known() else { continue };
        for (key, value) in wanted {
            let longer = held.get(key).filter(|held| *held == value).and_then(|held| held.timeout);
            value.timeout = value.timeout.max(longer);
        }
    }
}

/// Whether the elements of a set come and go with looked-up names.
pub(super) fn holds_names(set: &Set) -> bool {
    set.timeout.is_some() && !set.dynamic
}

/// A new life for an element, whether or not it is there; another value than the one that it had takes its place.
fn renewal((name, held): (&str, &Set), lives: &Lives, key: &ElementKey, value: &ElementValue) -> Vec<Op> {
    let (set, head) = (name.to_owned(), held.head());
    let renew = |value: &ElementValue| Op::RenewElements {
        set: set.clone(),
        head: head.clone(),
        elements: vec![(key.clone(), value.clone())],
    };
    let other = lives.value(key).filter(|known| *known != value);
    let Some(other) = other else { return vec![renew(value)] };
    vec![
        renew(&ElementValue { timeout: value.timeout, ..other.clone() }),
        Op::DeleteElements { set: set.clone(), head: head.clone(), keys: vec![key.clone()] },
        Op::AddElements { set, head, elements: vec![(key.clone(), value.clone())] },
    ]
}
