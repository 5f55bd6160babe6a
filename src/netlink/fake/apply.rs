//! One batch on a copy of the table, with the refusals that the kernel has for each operation.

use super::{elements, give_handles, refs};
use crate::netlink::Refusal;
use crate::plan::{Op, Plan};
use crate::ruleset::{BaseChain, Chain, Elements, Expr, Object, Rule, Ruleset, Set, SetData, Verdict};
use nix::libc::{EBUSY, EEXIST, EINVAL, EMLINK, ENOENT, EOPNOTSUPP};
use std::collections::BTreeMap;

/// An errno, as the kernel gives it.
pub(super) type Errno = i32;

/// The copy that a batch works on.
pub(super) struct Transaction {
    table: Option<Ruleset>,
    handles: u64,
}

impl Transaction {
    pub(super) fn new(table: Option<Ruleset>, handles: u64) -> Self {
        Self { table, handles }
    }

    pub(super) fn finish(self) -> (Option<Ruleset>, u64) {
        (self.table, self.handles)
    }

    pub(super) fn apply(&mut self, op: &Op) -> Result<(), Errno> {
        match op {
            Op::AddTable => {
                self.table.get_or_insert_with(Ruleset::default);
                return Ok(());
            }
            Op::DeleteTable => return self.table.take().map(|_| ()).ok_or(ENOENT),
            _ => {}
        }
        let table = self.table.as_mut().ok_or(ENOENT)?;
        match op {
            Op::AddTable | Op::DeleteTable => Ok(()),
            Op::AddObject { name, object } => add_object(table, name, object),
            Op::DeleteObject { name, kind } => {
                table.objects.get(name).filter(|object| object.kind.kind() == *kind).ok_or(ENOENT)?;
                free(!refs::of_object(table, name))?;
                table.objects.remove(name);
                Ok(())
            }
            Op::AddSet { name, head } => add_set(table, name, head),
            Op::DeleteSet { name } => {
                table.sets.get(name).ok_or(ENOENT)?;
                free(!refs::of_set(table, name))?;
                table.sets.remove(name);
                Ok(())
            }
            Op::FlushSet { name } => {
                table.sets.get_mut(name).ok_or(ENOENT)?.elements = Elements::default();
                Ok(())
            }
            Op::AddChain { name, base } => add_chain(table, name, *base),
            Op::DeleteChain { name } => {
                table.chains.get(name).ok_or(ENOENT)?;
                free(!refs::of_chain(table, name))?;
                table.chains.remove(name);
                Ok(())
            }
            Op::AddElements { set, elements: list, .. } => elements::add(table, set, list),
            Op::DeleteElements { set, keys, .. } => elements::delete(table, set, keys),
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
    pub(super) fn too_deep(&self, plan: &Plan) -> Option<Refusal> {
        let table = self.table.as_ref()?;
        let mut depths = BTreeMap::new();
        let mut bases = table.chains.iter().filter(|(_, chain)| chain.base.is_some());
        if bases.all(|(name, _)| refs::depth_within(table, name, refs::DEPTH_MAX, &mut depths)) {
            return None;
        }
        Some(Refusal { op: plan.ops.iter().rposition(jumps), errno: EMLINK, detail: None })
    }
}

fn jumps(op: &Op) -> bool {
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
        Some(held) if held.same_head(head) => Ok(()),
        Some(_) => Err(EEXIST),
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
        (_, Some(_)) => Err(EEXIST),
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
        Expr::Dynset { set, .. } => {
            let held = table.sets.get(set).ok_or(ENOENT)?;
            if held.dynamic { Ok(()) } else { Err(EOPNOTSUPP) }
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
        | Expr::Reject(_) => Ok(()),
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
