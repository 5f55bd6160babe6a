use super::*;
use crate::netlink::fake::Lost;
use crate::plan::Op;
use crate::ruleset::{Element, Expr, Field, Object, Rule, SetData, Verdict};
use nix::libc::{EEXIST, EIO};

const LIMIT: u32 = 2;

fn plan(ops: impl IntoIterator<Item = Op>) -> Plan {
    Plan { ops: ops.into_iter().collect() }
}

fn chain(name: &str) -> Op {
    Op::AddChain { name: name.to_owned(), base: None }
}

fn head(interval: bool, key: &[Field]) -> Set {
    Set {
        key: key.to_vec(),
        data: SetData::None,
        interval,
        timeout: None,
        dynamic: false,
        size: None,
        elements: Elements::default(),
        origin: None,
    }
}

fn ports(first: u8, last: u8) -> Element {
    let octets = |port| vec![0, port, 0, 0].into_boxed_slice();
    (ElementKey { first: octets(first), last: Some(octets(last)) }, ElementValue::default())
}

fn add(elements: impl IntoIterator<Item = Element>) -> Op {
    let head = head(true, &[Field::InetService]);
    Op::AddElements { set: "s".to_owned(), head, elements: elements.into_iter().collect() }
}

fn with_set() -> FakeKernel {
    let mut kernel = FakeKernel::new();
    let set = Op::AddSet { name: "s".to_owned(), head: head(true, &[Field::InetService]) };
    kernel.commit(&plan([Op::AddTable, set]), None).unwrap();
    kernel
}

fn refusals(result: Result<(), KernelError>) -> Vec<(Option<usize>, i32)> {
    match result {
        Err(KernelError::Refused(all)) => all.iter().map(|refusal| (refusal.op, refusal.errno)).collect(),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_refused_operation_leaves_everything_and_only_once() {
    let mut kernel = FakeKernel::new();
    kernel.refuse_op(1, EIO);
    let whole = plan([Op::AddTable, chain("a"), chain("b")]);
    assert_eq!(refusals(kernel.dry_run(&whole)), [(Some(1), EIO)]);
    let generation = kernel.generation().unwrap();
    assert_eq!(refusals(kernel.commit(&whole, None)), [(Some(1), EIO)]);
    assert_eq!((kernel.table(), kernel.commits(), kernel.ops()), (None, 0, 0));
    assert_eq!(kernel.generation().unwrap(), generation);
    kernel.commit(&whole, Some(generation)).unwrap();
    assert_eq!((kernel.commits(), kernel.ops()), (1, 3));
    assert_ne!(kernel.generation().unwrap(), generation);
}

#[test]
fn a_foreign_edit_makes_the_generation_stale() {
    let mut kernel = FakeKernel::new();
    let generation = kernel.generation().unwrap();
    kernel.foreign_edit(|table| {
        let rules = vec![Rule { exprs: vec![Expr::Foreign("xt".to_owned())], ..Rule::default() }];
        table.chains.insert("c".to_owned(), Chain { base: None, rules });
    });
    assert!(matches!(kernel.commit(&plan([Op::AddTable]), Some(generation)), Err(KernelError::Stale)));
    let held = kernel.read(LIMIT).unwrap().unwrap();
    assert!(held.chains["c"].rules[0].handle.is_some());
    kernel.foreign_flush();
    assert_eq!(kernel.read(LIMIT).unwrap(), None);
}

#[test]
fn on_a_busy_host_every_generation_is_stale_when_it_is_used() {
    let mut kernel = FakeKernel::new();
    kernel.bump(true);
    for _ in 0..5 {
        let generation = kernel.generation().unwrap();
        assert!(matches!(kernel.commit(&plan([Op::AddTable]), Some(generation)), Err(KernelError::Stale)));
    }
    kernel.commit(&plan([Op::AddTable]), None).unwrap();
}

#[test]
fn a_lost_answer_says_nothing_about_what_became_of_the_batch() {
    for (what, held) in [(Lost::Applied, true), (Lost::NotApplied, false)] {
        let mut kernel = FakeKernel::new();
        kernel.lose_answer(what);
        assert!(matches!(kernel.commit(&plan([Op::AddTable]), None), Err(KernelError::Unknown)));
        assert_eq!(kernel.table().is_some(), held);
        kernel.commit(&plan([Op::AddTable]), None).unwrap();
    }
}

#[test]
fn ranges_that_meet_are_refused() {
    let mut kernel = with_set();
    kernel.commit(&plan([add([ports(4, 6)])]), None).unwrap();
    kernel.commit(&plan([add([ports(4, 6)])]), None).unwrap();
    for (first, last) in [(1, 4), (6, 9), (5, 5), (1, 9)] {
        let result = kernel.commit(&plan([add([ports(first, last)])]), None);
        assert_eq!(refusals(result), [(Some(0), EEXIST)], "{first}-{last}");
    }
    kernel.commit(&plan([add([ports(1, 3), ports(7, 9)])]), None).unwrap();
}

#[test]
fn a_readback_leaves_large_sets_unread_and_shows_counters() {
    let mut kernel = with_set();
    let counter = Object { kind: ObjectDef::Counter { packets: 0, bytes: 0 }, origin: None };
    let counter = Op::AddObject { name: "c".to_owned(), object: counter };
    kernel.commit(&plan([counter, add([ports(1, 1), ports(2, 2), ports(3, 3)])]), None).unwrap();
    kernel.count("c", 2, 120);
    let held = kernel.read(LIMIT).unwrap().unwrap();
    assert_eq!(held.sets["s"].elements, Elements::Unread(Some(3)));
    assert!(matches!(held.objects["c"].kind, ObjectDef::Counter { packets: 2, bytes: 120 }));
    assert_eq!(kernel.read(3).unwrap().unwrap().sets["s"].elements.known().map(BTreeMap::len), Some(3));
}

#[test]
fn a_loop_is_refused_once_a_packet_can_reach_it() {
    let mut kernel = FakeKernel::new();
    let jump = |from: &str, to: &str| Op::AddRule {
        chain: from.to_owned(),
        before: None,
        rule: Rule { exprs: vec![Expr::Verdict(Verdict::Jump(to.to_owned()))], ..Rule::default() },
    };
    let base = crate::ruleset::BaseChain {
        hook: crate::ruleset::Hook::Input,
        priority: 0,
        policy: crate::ruleset::ChainPolicy::Accept,
    };
    let entry = Op::AddChain { name: "entry".to_owned(), base: Some(base) };
    let unreachable = [Op::AddTable, entry, chain("a"), chain("b"), jump("a", "b"), jump("b", "a")];
    kernel.commit(&plan(unreachable), None).unwrap();
    assert_eq!(refusals(kernel.commit(&plan([jump("entry", "a")]), None)), [(Some(0), EMLINK)]);
}
