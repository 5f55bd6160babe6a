//! One batch on a copy of the table, with the refusals that the kernel has for each operation.

use super::{elements, give_handles, refs};
use crate::plan::Op;
use crate::ruleset::{
    BaseChain, Chain, ElementValue, Elements, Expr, Object, Rule, Ruleset, Set, SetData, Verdict,
};
use nix::libc::{EBUSY, EEXIST, EINVAL, ENOENT, EOPNOTSUPP};
use std::collections::BTreeMap;

/// An errno, as the kernel gives it.
pub(super) type Errno = i32;

/// The copy that a batch works on.
pub(super) struct Transaction {
    table: Option<Ruleset>,
    handles: u64,
    /// Sets that were added again: size and timeout change when the batch is committed, not before.
    changed: BTreeMap<String, Set>,
}

impl Transaction {
    pub(super) fn new(table: Option<Ruleset>, handles: u64) -> Self {
        Self { table, handles, changed: BTreeMap::new() }
    }

    pub(super) fn finish(mut self) -> (Option<Ruleset>, u64) {
        for (name, head) in self.changed {
            if let Some(held) = self.table.as_mut().and_then(|table| table.sets.get_mut(&name)) {
                held.size = head.size.or(held.size);
                held.timeout = head.timeout;
            }
        }
        (self.table, self.handles)
    }

    pub(super) fn apply(&mut self, op: &Op) -> Result<(), Errno> {
        if matches!(op, Op::AddTable) {
            self.table.get_or_insert_with(Ruleset::default).dormant = false;
        }
        let table = self.table.as_mut().ok_or(ENOENT)?;
        match op {
            Op::AddTable => Ok(()),
            Op::DeleteTable => {
                self.table = None;
                self.changed.clear();
                Ok(())
            }
            Op::AddObject { name, object } => add_object(table, name, object),
            Op::DeleteObject { name, kind } => {
                table.objects.get(name).filter(|object| object.kind.kind() == *kind).ok_or(ENOENT)?;
                free(!refs::of_object(table, name))?;
                table.objects.remove(name);
                Ok(())
            }
            Op::AddSet { name, head } => {
                if table.sets.contains_key(name) {
                    self.changed.insert(name.clone(), head.clone());
                }
                add_set(table, name, head)
            }
            Op::DeleteSet { name } => {
                table.sets.get(name).ok_or(ENOENT)?;
                free(!refs::of_set(table, name))?;
                table.sets.remove(name);
                self.changed.remove(name);
                Ok(())
            }
            Op::FlushSet { name } => {
                table.sets.get_mut(name).ok_or(ENOENT)?.elements = Elements::default();
                Ok(())
            }
            Op::AddChain { name, base } => add_chain(table, name, *base),
            Op::DeleteChain { name } => {
                let used = refs::of_chain(table, name);
                // Its rules go, even where it must stay itself.
                table.chains.get_mut(name).ok_or(ENOENT)?.rules.clear();
                free(!used)?;
                table.chains.remove(name);
                Ok(())
            }
            Op::AddElements { set, elements: list, .. } => elements::add(table, set, list),
            Op::DeleteElements { set, keys, .. } => elements::delete(table, set, keys),
            Op::AddAddresses { set, addresses, .. } => {
                let elements = addresses.keys().map(|key| (key, ElementValue::NOTHING));
                elements::add(table, set, &elements.collect::<Vec<_>>())
            }
            Op::DeleteAddresses { set, addresses, .. } => {
                elements::delete(table, set, &addresses.keys().collect::<Vec<_>>())
            }
            Op::RenewElements { set, elements: list, .. } => elements::renew(table, set, list),
            Op::AddRule { chain, before, rule } => add_rule(table, chain, *before, rule, &mut self.handles),
            Op::DeleteRule { chain, handle } => {
                let rules = &mut table.chains.get_mut(chain).ok_or(ENOENT)?.rules;
                let at = position(rules, *handle)?;
                rules.remove(at);
                Ok(())
            }
        }
    }

    /// The kernel follows every jump from the base chains, 16 deep, which also ends loops.
    pub(super) fn is_too_deep(&self) -> bool {
        let Some(table) = &self.table else { return false };
        let mut depths = BTreeMap::new();
        let mut bases = table.chains.iter().filter(|(_, chain)| chain.base.is_some());
        !bases.all(|(name, _)| refs::depth_within(table, name, refs::DEPTH_MAX, &mut depths))
    }
}

/// Whether the kernel looks for loops after an operation.
pub(super) fn may_jump(op: &Op) -> bool {
    matches!(op, Op::AddRule { .. } | Op::AddElements { .. } | Op::RenewElements { .. })
}

fn free(unused: bool) -> Result<(), Errno> {
    if unused { Ok(()) } else { Err(EBUSY) }
}

fn add_object(table: &mut Ruleset, name: &str, object: &Object) -> Result<(), Errno> {
    match table.objects.get(name) {
        // As the kernel: what exists stays as it is.
        Some(held) if held.kind.kind() == object.kind.kind() => Ok(()),
        Some(_) => Err(EEXIST),
        None => {
            table.objects.insert(name.to_owned(), object.clone());
            Ok(())
        }
    }
}

fn add_set(table: &mut Ruleset, name: &str, head: &Set) -> Result<(), Errno> {
    match table.sets.get(name) {
        Some(held) => {
            let as_held = Set { size: held.size, timeout: head.timeout.and(held.timeout), ..head.head() };
            if held.same_head(&as_held) { Ok(()) } else { Err(EEXIST) }
        }
        None if head.key.is_empty() => Err(EINVAL),
        None => {
            table.sets.insert(name.to_owned(), head.head());
            Ok(())
        }
    }
}

fn add_chain(table: &mut Ruleset, name: &str, base: Option<BaseChain>) -> Result<(), Errno> {
    let Some(held) = table.chains.get_mut(name) else {
        table.chains.insert(name.to_owned(), Chain { base, rules: Vec::new() });
        return Ok(());
    };
    match (&mut held.base, base) {
        (_, None) => Ok(()),
        (Some(held), Some(wanted)) if (held.hook, held.priority) == (wanted.hook, wanted.priority) => {
            held.policy = wanted.policy;
            Ok(())
        }
        (Some(_), Some(_)) => Err(EOPNOTSUPP),
        (None, Some(_)) => Err(EEXIST),
    }
}

fn add_rule(
    table: &mut Ruleset,
    chain: &str,
    before: Option<u64>,
    rule: &Rule,
    handles: &mut u64,
) -> Result<(), Errno> {
    let rules = &table.chains.get(chain).ok_or(ENOENT)?.rules;
    let at = before.map_or(Ok(rules.len()), |handle| position(rules, handle))?;
    rule.exprs.iter().try_for_each(|expr| check_expr(table, expr))?;
    let chain = table.chains.get_mut(chain).ok_or(ENOENT)?;
    chain.rules.insert(at, Rule { handle: None, ..rule.clone() });
    give_handles(chain, handles);
    Ok(())
}

fn position(rules: &[Rule], handle: u64) -> Result<usize, Errno> {
    rules.iter().position(|rule| rule.handle == Some(handle)).ok_or(ENOENT)
}

fn check_expr(table: &Ruleset, expr: &Expr) -> Result<(), Errno> {
    match expr {
        Expr::Lookup { set, verdict, .. } => {
            let held = table.sets.get(set).ok_or(ENOENT)?;
            if *verdict && held.data != SetData::Verdict { Err(EINVAL) } else { Ok(()) }
        }
        Expr::ObjectMap { map, .. } => match table.sets.get(map).ok_or(ENOENT)?.data {
            SetData::Object(_) => Ok(()),
            SetData::None | SetData::Verdict => Err(EINVAL),
        },
        Expr::Dynset { set, limit, .. } => {
            let held = table.sets.get(set).ok_or(ENOENT)?;
            let can_grow = held.dynamic || held.timeout.is_some() && !held.interval;
            match held.data {
                _ if !can_grow => Err(EOPNOTSUPP),
                _ if limit.is_some() && !held.dynamic => Err(EINVAL),
                SetData::Verdict => Err(EINVAL),
                SetData::None | SetData::Object(_) => Ok(()),
            }
        }
        Expr::Object { kind, name } => {
            let held = table.objects.get(name).ok_or(ENOENT)?;
            if held.kind.kind() == *kind { Ok(()) } else { Err(ENOENT) }
        }
        Expr::Verdict(verdict) => check_verdict(table, verdict),
        Expr::Foreign(_) => Err(EINVAL),
        Expr::Meta { .. }
        | Expr::Ct { .. }
        | Expr::Payload { .. }
        | Expr::Bitwise { .. }
        | Expr::Cmp { .. }
        | Expr::Limit { .. }
        | Expr::Reject(_)
        | Expr::Log { .. } => Ok(()),
    }
}

/// A jump leads to a chain that is there and is no base chain.
pub(super) fn check_verdict(table: &Ruleset, verdict: &Verdict) -> Result<(), Errno> {
    match verdict {
        Verdict::Jump(chain) | Verdict::Goto(chain) => match table.chains.get(chain) {
            None => Err(ENOENT),
            Some(held) if held.base.is_some() => Err(EOPNOTSUPP),
            Some(_) => Ok(()),
        },
        Verdict::Accept | Verdict::Drop | Verdict::Return => Ok(()),
    }
}
