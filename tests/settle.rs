//! One change from beginning to end on a kernel in memory that is as atomic as the real one: refusals, somebody else's commits,
//! lost answers, and the way back.

#[path = "common/golden.rs"]
mod cases;

use cases::{Case, cases};
use portgrave::apply::{ApplyError, DUMP_LIMIT, explain, settle};
use portgrave::netlink::fake::{FakeKernel, Lost};
use portgrave::netlink::{GenId, Kernel, KernelError};
use portgrave::plan::{Held, Plan, diff, steps};
use portgrave::ruleset::{ElementKey, ElementValue, Ruleset, Set};
use portgrave::types::AddrRange;
use std::net::Ipv4Addr;
use std::path::Path;

fn case(name: &str) -> Case {
    let all = cases();
    assert!(all.iter().all(|case| case.dir.join("policy.toml").exists()));
    all.into_iter().find(|case| case.name == name).expect("the case is there")
}

fn settled(kernel: &mut dyn Kernel, want: &Ruleset) -> Result<portgrave::apply::Settled, ApplyError> {
    settle(kernel, want, &mut || None, &mut Vec::new)
}

/// What the kernel holds, under the names that `compile` gives.
fn table(kernel: &FakeKernel) -> Option<Ruleset> {
    kernel.table().map(|table| Held::new(table.clone()).ruleset)
}

#[test]
fn every_case_is_loaded_in_one_commit_with_its_lists_and_known_addresses() {
    for case in cases() {
        let (want, mut kernel) = (case.ruleset(), FakeKernel::new());
        settled(&mut kernel, &want).unwrap_or_else(|error| panic!("{}: {error:?}", case.name));
        assert_eq!(kernel.commits(), 1, "{}", case.name);
        assert_eq!(kernel.table(), Some(&want), "{}", case.name);
        let again = settled(&mut kernel, &want).unwrap();
        assert!(!again.summary.changes() && kernel.commits() == 1, "{}: {:?}", case.name, again.summary);
    }
}

#[test]
fn every_case_becomes_every_other_and_back_in_three_batches_at_most() {
    let rulesets: Vec<(String, Ruleset)> =
        cases().iter().map(|case| (case.name.clone(), case.ruleset())).collect();
    for (done, (from, have)) in rulesets.iter().enumerate() {
        for (to, want) in &rulesets[done..] {
            let mut kernel = FakeKernel::holding(have.clone());
            settled(&mut kernel, want).unwrap_or_else(|error| panic!("{from} to {to}: {error:?}"));
            assert!(kernel.commits() <= 3 && table(&kernel).as_ref() == Some(want), "{from} to {to}");
            settled(&mut kernel, have).unwrap_or_else(|error| panic!("{to} to {from}: {error:?}"));
            assert!(kernel.commits() <= 6 && table(&kernel).as_ref() == Some(have), "{to} to {from}");
        }
    }
}

/// A kernel that refuses one operation of one batch.
struct Refusing {
    kernel: FakeKernel,
    batch: usize,
    op: usize,
}

impl Kernel for Refusing {
    fn generation(&mut self) -> Result<GenId, KernelError> {
        self.kernel.generation()
    }
    fn read(&mut self, dump_limit: u32) -> Result<Option<Ruleset>, KernelError> {
        self.kernel.read(dump_limit)
    }
    fn lookup(
        &mut self,
        set: &str,
        head: &Set,
        key: &ElementKey,
    ) -> Result<Option<ElementValue>, KernelError> {
        self.kernel.lookup(set, head, key)
    }
    fn commit(&mut self, plan: &Plan, generation: Option<GenId>) -> Result<(), KernelError> {
        if self.kernel.commits() == self.batch {
            self.kernel.refuse_op(self.op, nix::libc::ENOMEM);
            self.batch = usize::MAX;
        }
        self.kernel.commit(plan, generation)
    }
    fn dry_run(&mut self, plan: &Plan) -> Result<(), KernelError> {
        self.kernel.dry_run(plan)
    }
}

#[test]
fn a_refusal_anywhere_changes_nothing_and_names_the_line_of_the_policy() {
    let (before, after) = (case("deny-inside-allow"), case("every-protocol"));
    let (have, want) = (before.ruleset(), after.ruleset());
    let holding = || FakeKernel::holding(have.clone());
    let held = Held::new(holding().table().expect("a table").clone());
    let batches = steps(&diff(&want, Some(&held.ruleset)), &want, Some(&held));
    assert_eq!(batches.len(), 3);
    let (mut placed, mut all) = (0, 0);
    for (batch, ops) in batches.iter().enumerate() {
        for op in 0..ops.ops.len() {
            let mut kernel = Refusing { kernel: holding(), batch, op };
            let Err(ApplyError::Refused { plan, refusals }) = settled(&mut kernel, &want) else {
                panic!("batch {batch}, op {op}")
            };
            assert_eq!(table(&kernel.kernel).as_ref(), Some(&have), "batch {batch}, op {op}");
            let findings = explain(&plan, &refusals, &want);
            let finding = findings.iter().next().expect("a finding");
            assert!(
                findings.has_errors() && finding.message.starts_with("the kernel refused"),
                "{finding:?}"
            );
            placed += usize::from(finding.place.is_some());
            all += 1;
        }
    }
    assert!(placed > 5, "only {placed} of {all} refusals have a place");
}

#[test]
fn what_differs_is_made_beside_what_is_in_force_and_asked_by_no_rule_before_all_rules_turn() {
    let (have, want) = (case("deny-inside-allow").ruleset(), case("every-protocol").ruleset());
    let mut kernel = FakeKernel::holding(have.clone());
    let held = Held::new(kernel.table().expect("a table").clone());
    let batches = steps(&diff(&want, Some(&held.ruleset)), &want, Some(&held));
    let [beside, turn, after] = batches.as_slice() else { panic!("{} batches", batches.len()) };
    kernel.commit(beside, None).unwrap();
    let table_now = kernel.table().expect("a table");
    let rules = |table: &Ruleset| {
        let chains = table.chains.iter().filter(|(_, chain)| !chain.rules.is_empty());
        chains.map(|(name, chain)| (name.clone(), chain.clone())).collect::<Vec<_>>()
    };
    assert_eq!(rules(table_now), rules(&have), "the rules in force are the old ones");
    assert!(have.sets.iter().all(|(name, set)| table_now.sets.get(name) == Some(set)), "and what they ask");
    kernel.commit(turn, None).unwrap();
    let turned = table(&kernel).expect("a table");
    assert!(want.sets.iter().all(|(name, set)| turned.sets.get(name) == Some(set)), "what the new ones ask");
    assert!(want.chains.iter().all(|(name, chain)| turned.chains.get(name) == Some(chain)));
    kernel.commit(after, None).unwrap();
    assert_eq!(table(&kernel), Some(want), "nothing is left of the old ones");
}

#[test]
fn what_an_interrupted_apply_left_goes_with_the_next_one() {
    let (have, want) = (case("deny-inside-allow").ruleset(), case("every-protocol").ruleset());
    let held = Held::new(FakeKernel::holding(have.clone()).table().expect("a table").clone());
    let batches = steps(&diff(&want, Some(&held.ruleset)), &want, Some(&held));
    for taken in 0..=batches.len() {
        for next in [&have, &want] {
            let mut kernel = FakeKernel::holding(have.clone());
            for batch in &batches[..taken] {
                kernel.commit(batch, None).unwrap();
            }
            settled(&mut kernel, next).unwrap_or_else(|error| panic!("after {taken} batches: {error:?}"));
            assert_eq!(table(&kernel).as_ref(), Some(next), "after {taken} batches");
        }
    }
}

#[test]
fn what_only_lets_more_through_or_only_changes_rules_is_one_batch() {
    for (from, to) in
        [("list-of-single-addresses", "list-of-single-addresses"), ("nested-prefixes", "nested-prefixes")]
    {
        let (have, mut want) = (case(from).ruleset(), case(to).ruleset());
        let grown =
            want.sets.iter_mut().find(|(name, _)| name.ends_with(".exact") || name.starts_with("list4"));
        let (_, set) = grown.unwrap_or_else(|| panic!("{from} has neither a hash nor a list"));
        let mut elements = set.elements.to_map();
        assert!(elements.pop_first().is_some());
        set.elements = portgrave::ruleset::Elements::Known(elements);
        let mut kernel = FakeKernel::holding(want.clone());
        settled(&mut kernel, &have).unwrap();
        assert_eq!((kernel.commits(), kernel.table()), (1, Some(&have)), "{from}: one more element");
        settled(&mut kernel, &want).unwrap();
        assert_eq!((kernel.commits(), kernel.table()), (2, Some(&want)), "{from}: one element less");
    }
}

#[test]
fn a_kernel_where_others_commit_all_the_time_is_written_without_the_generation_id() {
    let (want, mut kernel) = (case("names").ruleset(), FakeKernel::new());
    kernel.bump(true);
    let done = settled(&mut kernel, &want).unwrap();
    assert_eq!((done.overtaken, kernel.table()), (5, Some(&want)));
}

#[test]
fn a_lost_answer_is_decided_by_reading_back() {
    let (have, want) = (case("names").ruleset(), case("reject").ruleset());
    for lost in [Lost::Applied, Lost::NotApplied] {
        let mut kernel = FakeKernel::holding(have.clone());
        kernel.lose_answer(lost);
        let done = settled(&mut kernel, &want).unwrap();
        assert_eq!((table(&kernel).as_ref(), done.overtaken), (Some(&want), 1), "{lost:?}: the rest follows");
        assert_eq!(done.before.as_ref(), Some(&have), "{lost:?}");
    }
    let mut kernel = FakeKernel::new();
    kernel.lose_answer(Lost::Applied);
    settled(&mut kernel, &want).unwrap();
    assert_eq!(kernel.table(), Some(&want));
    let mut kernel = FakeKernel::new();
    kernel.lose_answer(Lost::NotApplied);
    let error = settled(&mut kernel, &want).unwrap_err();
    assert!(matches!(error, ApplyError::Mismatch { undone: true, .. }), "{error:?}");
    assert_eq!(kernel.table(), None);
}

/// A kernel that does not keep what it is given: a rule is gone right after the first commit.
struct Forgetful(FakeKernel, bool);

impl Kernel for Forgetful {
    fn generation(&mut self) -> Result<GenId, KernelError> {
        self.0.generation()
    }
    fn read(&mut self, dump_limit: u32) -> Result<Option<Ruleset>, KernelError> {
        self.0.read(dump_limit)
    }
    fn lookup(
        &mut self,
        set: &str,
        head: &Set,
        key: &ElementKey,
    ) -> Result<Option<ElementValue>, KernelError> {
        self.0.lookup(set, head, key)
    }
    fn commit(&mut self, plan: &Plan, generation: Option<GenId>) -> Result<(), KernelError> {
        self.0.commit(plan, generation)?;
        if std::mem::take(&mut self.1) {
            self.0.foreign_edit(|table| {
                drop(table.chains.get_mut("input").and_then(|chain| chain.rules.pop()))
            });
        }
        Ok(())
    }
    fn dry_run(&mut self, plan: &Plan) -> Result<(), KernelError> {
        self.0.dry_run(plan)
    }
}

#[test]
fn what_is_not_what_was_wanted_is_undone() {
    let (have, want) = (case("names").ruleset(), case("reject").ruleset());
    let mut kernel = Forgetful(FakeKernel::holding(have.clone()), true);
    let error = settled(&mut kernel, &want).unwrap_err();
    assert!(matches!(error, ApplyError::Mismatch { undone: true, .. }), "{error:?}");
    assert_eq!(kernel.0.table(), Some(&have));
    let mut kernel = Forgetful(FakeKernel::new(), true);
    settled(&mut kernel, &want).unwrap_err();
    assert_eq!(kernel.0.table(), None, "there was no table before");
}

/// A ruleset with a list of so many single addresses, none beside another, that a readback leaves its set unread.
fn with_large_list(entries: u32) -> Ruleset {
    let mut large = case("two-lists");
    let list = large.book.lists.get_mut(Path::new("/lists/b.txt")).expect("the list is there");
    *list = (0..entries).map(|n| AddrRange::single(Ipv4Addr::from(0xc633_0000 + 2 * n).into())).collect();
    large.ruleset()
}

/// The name of the only set that is larger than what is dumped.
fn large_set(ruleset: &Ruleset) -> String {
    let large = |set: &Set| set.elements.len() > DUMP_LIMIT as usize;
    let names: Vec<&String> =
        ruleset.sets.iter().filter(|(_, set)| large(set)).map(|(name, _)| name).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    names[0].clone()
}

#[test]
fn a_set_too_large_to_be_read_is_taken_as_committed_while_its_count_agrees() {
    let (have, want) = (with_large_list(5000), with_large_list(5003));
    let mut kernel = FakeKernel::holding(have.clone());
    let again = settle(&mut kernel, &have, &mut || Some(have.clone()), &mut Vec::new).unwrap();
    assert!(!again.summary.changes() && kernel.commits() == 0, "{:?}", again.summary);
    let grown = settle(&mut kernel, &want, &mut || Some(have.clone()), &mut Vec::new).unwrap();
    assert_eq!((grown.summary.elements_added, grown.summary.elements_deleted), (3, 0));
    assert_eq!((kernel.commits(), kernel.table()), (1, Some(&want)));
}

#[test]
fn a_set_too_large_to_be_read_whose_count_differs_is_filled_anew() {
    let have = with_large_list(5000);
    let set = large_set(&have);
    for (edit, what) in [(false, "an element is gone"), (true, "nothing is known of what was committed")] {
        let mut kernel = FakeKernel::holding(have.clone());
        kernel.foreign_edit(|table| {
            let set = table.sets.get_mut(&set).expect("the set");
            let portgrave::ruleset::Elements::Known(elements) = &mut set.elements else { panic!("known") };
            drop(elements.pop_first());
        });
        let mut committed = || (!edit).then(|| have.clone());
        let mended = settle(&mut kernel, &have, &mut committed, &mut Vec::new);
        let mended = mended.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert!(mended.summary.elements_added >= 5000, "{what}: {:?}", mended.summary);
        assert_eq!((kernel.commits(), table(&kernel).as_ref()), (3, Some(&have)), "{what}");
    }
}

#[test]
fn the_first_commit_carries_lists_and_rules_together() {
    let want = with_large_list(5000);
    let plan = portgrave::plan::diff(&want, None);
    let first_rule = plan.ops.iter().position(|op| matches!(op, portgrave::plan::Op::AddRule { .. }));
    let filled = plan.ops.iter().position(
        |op| matches!(op, portgrave::plan::Op::AddAddresses { addresses, .. } if addresses.len() >= 5000),
    );
    assert!(first_rule.is_some() && filled.is_some(), "rules and the list are in one plan");
    let mut kernel = FakeKernel::new();
    settled(&mut kernel, &want).unwrap();
    assert_eq!((kernel.commits(), kernel.ops()), (1, plan.ops.len()));
}

#[test]
fn a_first_commit_that_is_refused_leaves_no_table() {
    let (want, mut kernel) = (case("names").ruleset(), FakeKernel::new());
    kernel.refuse_op(0, nix::libc::ENOMEM);
    let Err(ApplyError::Refused { refusals, .. }) = settled(&mut kernel, &want) else { panic!("refused") };
    assert_eq!((refusals[0].op, refusals[0].errno), (Some(0), nix::libc::ENOMEM));
    assert_eq!((kernel.commits(), kernel.table()), (0, None), "no table is left of a refused first commit");
}
