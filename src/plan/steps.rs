//! The batches that carry a plan out, so that every packet is judged by the old rules or by the new ones.
//!
//! The kernel makes the rules of a batch visible at once: a packet walks through those of one generation. Sets are not part of
//! that: a lookup sees what the set holds now, and sets with intervals change at the end of a commit, hashes at its beginning.
//! A peer that goes from one set to another in one batch is in both for a while, or in neither. So what differs is made
//! beside what is in force: first the new sets, which no rule asks yet; then the rules, which ask the new sets from then on;
//! then what nobody asks any more goes.

use super::diff::diff_anew;
use super::versions::{Exchanged, Held, asked, askers};
use super::{Op, Plan};
use crate::ruleset::{Expr, Rule, Ruleset, Set, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// Sets with more elements are changed in place.
const MOST_COPIED: usize = 100_000;

/// The batches of `plan`, which is the difference of `want` and `held`, under the names in the kernel.
pub fn steps(plan: &Plan, want: &Ruleset, held: Option<&Held>) -> Vec<Plan> {
    let Some(held) = held else { return vec![plan.clone()] };
    let have = &held.ruleset;
    if plan.is_empty() || !can_take_turns(plan, want, have) || one_batch_will_do(plan, want, have) {
        return vec![held.exchanged.plan(plan.ops.clone())];
    }
    let changed = changed_sets(plan, want, have);
    let whole = diff_anew(want, have, &changed);
    let now = held.exchanged.turned(changed.iter().copied());
    let steps = Parts::of(whole, have, &changed).batches(&held.exchanged, &now);
    steps.into_iter().filter(|step| !step.is_empty()).collect()
}

/// What somebody else has made another thing of, such as a base chain of another priority, is made anew under its only name.
fn can_take_turns(plan: &Plan, want: &Ruleset, have: &Ruleset) -> bool {
    plan.ops.iter().all(|op| match op {
        Op::AddTable | Op::DeleteTable => false,
        Op::AddChain { name, .. } => !have.chains.contains_key(name),
        Op::DeleteChain { name } => !want.chains.contains_key(name),
        Op::AddObject { name, .. } => !have.objects.contains_key(name),
        Op::DeleteObject { name, .. } => !want.objects.contains_key(name),
        Op::AddSet { .. }
        | Op::DeleteSet { .. }
        | Op::FlushSet { .. }
        | Op::AddElements { .. }
        | Op::DeleteElements { .. }
        | Op::AddAddresses { .. }
        | Op::DeleteAddresses { .. }
        | Op::RenewElements { .. }
        | Op::AddRule { .. }
        | Op::DeleteRule { .. } => true,
    })
}

/// What a packet gains by something that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Pass,
    Drop,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Course {
    Comes,
    Goes,
}

/// Whether it does not matter which part of a batch a packet meets first: only rules change; or one set alone, which one rule
/// asks, gains or loses; or all that changes lets more through, or all lets less through, and all by rules of one verdict.
fn one_batch_will_do(plan: &Plan, want: &Ruleset, have: &Ruleset) -> bool {
    let mut sets = BTreeSet::new();
    let mut rules = Vec::new();
    for op in &plan.ops {
        match op {
            Op::AddSet { name, .. } => sets.insert((name.as_str(), Course::Comes)),
            Op::DeleteSet { name } => sets.insert((name, Course::Goes)),
            Op::AddElements { set, .. } | Op::AddAddresses { set, .. } => sets.insert((set, Course::Comes)),
            Op::DeleteElements { set, .. } | Op::DeleteAddresses { set, .. } => {
                sets.insert((set, Course::Goes))
            }
            // All goes, and most of it comes again.
            Op::FlushSet { .. } => return false,
            Op::AddRule { rule, .. } => {
                rules.push((role(want, rule, ""), Course::Comes));
                continue;
            }
            Op::DeleteRule { chain, handle } => {
                let rule = have.chains[chain].rules.iter().find(|rule| rule.handle == Some(*handle));
                rules.push((rule.map_or(Role::Other, |rule| role(have, rule, "")), Course::Goes));
                continue;
            }
            Op::AddTable
            | Op::DeleteTable
            | Op::RenewElements { .. }
            | Op::AddObject { .. }
            | Op::DeleteObject { .. }
            | Op::AddChain { .. }
            | Op::DeleteChain { .. } => continue,
        };
    }
    let askers = [askers(want), askers(have)];
    let ask = |set: &str| askers.each_ref().map(|askers| askers.get(set).map_or(&[][..], Vec::as_slice));
    let alone = rules.is_empty()
        && sets.len() == 1
        && sets.iter().all(|(set, _)| ask(set).iter().all(|all| all.len() < 2));
    let roles = |set: &str| {
        let [of_want, of_have] = ask(set);
        let of =
            |ruleset, rules: &[&Rule]| rules.iter().map(|rule| role(ruleset, rule, set)).collect::<Vec<_>>();
        [of(want, of_want), of(have, of_have)].concat()
    };
    let of_sets = sets.iter().flat_map(|(set, course)| roles(set).into_iter().map(|role| (role, *course)));
    let courses: BTreeSet<(Role, Course)> = of_sets.chain(rules.iter().copied()).collect();
    let one_way = courses.len() < 2 && courses.iter().all(|(role, _)| *role != Role::Other);
    sets.is_empty() || alone || one_way
}

/// What becomes of the packets that a rule matches, if it matches more of them the more the set holds.
fn role(ruleset: &Ruleset, rule: &Rule, set: &str) -> Role {
    let inverts = |expr: &Expr| matches!(expr, Expr::Lookup { invert: true, .. }) && expr.set() == Some(set);
    let mut roles = BTreeSet::new();
    fates(ruleset, rule, &mut roles);
    match roles.first() {
        Some(role) if roles.len() == 1 && !rule.exprs.iter().any(inverts) => *role,
        _ => Role::Other,
    }
}

/// What can become of the packets that a rule matches, in the chains that it leads to as well: one that logs, say.
fn fates(ruleset: &Ruleset, rule: &Rule, found: &mut BTreeSet<Role>) {
    let of = |chain: &String| ruleset.chains.get(chain).map_or(&[][..], |chain| &chain.rules);
    match rule.exprs.last() {
        Some(Expr::Verdict(Verdict::Accept)) => drop(found.insert(Role::Pass)),
        Some(Expr::Verdict(Verdict::Drop)) => drop(found.insert(Role::Drop)),
        // What no rule of it takes comes back.
        Some(Expr::Verdict(Verdict::Jump(chain))) => {
            of(chain).iter().for_each(|rule| fates(ruleset, rule, found))
        }
        Some(Expr::Verdict(Verdict::Goto(chain))) => {
            let rules = of(chain);
            rules.iter().for_each(|rule| fates(ruleset, rule, found));
            if !rules.last().is_some_and(|last| last.exprs.iter().all(matches_all)) {
                found.insert(Role::Other);
            }
        }
        _ => drop(found.insert(Role::Other)),
    }
}

fn matches_all(expr: &Expr) -> bool {
    matches!(expr, Expr::Object { .. } | Expr::Log { .. } | Expr::Verdict(_))
}

/// Sets that a rule is to find whole, as they were or as they will be.
fn changed_sets<'a>(plan: &Plan, want: &'a Ruleset, have: &Ruleset) -> BTreeSet<&'a str> {
    let of_op = |op: &Op| match op {
        Op::AddElements { set, .. }
        | Op::DeleteElements { set, .. }
        | Op::AddAddresses { set, .. }
        | Op::DeleteAddresses { set, .. } => Some(set.clone()),
        Op::AddSet { name, .. } | Op::DeleteSet { name } | Op::FlushSet { name } => Some(name.clone()),
        Op::AddTable
        | Op::DeleteTable
        | Op::RenewElements { .. }
        | Op::AddObject { .. }
        | Op::DeleteObject { .. }
        | Op::AddChain { .. }
        | Op::DeleteChain { .. }
        | Op::AddRule { .. }
        | Op::DeleteRule { .. } => None,
    };
    let touched: BTreeSet<String> = plan.ops.iter().filter_map(of_op).collect();
    let copied = |(name, held): (&String, &Set)| {
        let (name, set) = want.sets.get_key_value(name)?;
        let copied = !set.same_head(held) || set.elements.len() <= MOST_COPIED;
        (touched.contains(name) && copied).then_some(name.as_str())
    };
    have.sets.iter().filter_map(copied).collect()
}

/// The operations of each batch.
#[derive(Default)]
struct Parts {
    /// Sets that nobody asks: an apply was interrupted.
    left_over: Vec<Op>,
    /// New sets with their elements, and what they lead to.
    beside: Vec<Op>,
    /// Rules, base chains, and the elements of sets that are too large to be copied.
    turn: Vec<Op>,
    after: Vec<Op>,
}

impl Parts {
    fn of(whole: Plan, have: &Ruleset, changed: &BTreeSet<&str>) -> Self {
        let (mut parts, asked) = (Self::default(), asked(have));
        let lives: BTreeMap<&String, bool> =
            have.sets.iter().map(|(name, set)| (name, set.timeout.is_some())).collect();
        let is_new = |set: &str| changed.contains(set) || !have.sets.contains_key(set);
        for op in whole.ops {
            match &op {
                Op::DeleteSet { name } if !asked.contains(name) => parts.left_over.push(op),
                Op::DeleteSet { name } => {
                    // What has expired holds what it leads to until it is collected or flushed.
                    if lives.get(name) == Some(&true) {
                        parts.after.push(Op::FlushSet { name: name.clone() });
                    }
                    parts.after.push(op);
                }
                // A base chain without its rules is no place for packets.
                Op::AddChain { base: Some(_), .. } => parts.turn.push(op),
                Op::DeleteChain { name } if have.chains[name].base.is_some() => parts.turn.push(op),
                Op::DeleteChain { .. } | Op::DeleteObject { .. } => parts.after.push(op),
                Op::AddTable
                | Op::DeleteTable
                | Op::AddObject { .. }
                | Op::AddChain { base: None, .. }
                | Op::AddSet { .. } => parts.beside.push(op),
                Op::AddElements { set, .. } | Op::AddAddresses { set, .. } if is_new(set) => {
                    parts.beside.push(op)
                }
                Op::AddElements { .. }
                | Op::AddAddresses { .. }
                | Op::DeleteAddresses { .. }
                | Op::DeleteElements { .. }
                | Op::RenewElements { .. }
                | Op::FlushSet { .. }
                | Op::AddRule { .. }
                | Op::DeleteRule { .. } => parts.turn.push(op),
            }
        }
        parts
    }

    fn batches(self, before: &Exchanged, now: &Exchanged) -> [Plan; 3] {
        let mut first = before.plan(self.left_over);
        first.ops.extend(now.plan(self.beside).ops);
        [first, now.plan(self.turn), before.plan(self.after)]
    }
}
