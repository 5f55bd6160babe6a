//! Batches against the real kernel: atomic, traceable, and of any size.
#![cfg(feature = "kernel")]

#[path = "common/nft.rs"]
mod nft;
#[path = "common/ns.rs"]
mod ns;
#[path = "common/sample.rs"]
mod sample;

use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use portgrave::netlink::{Kernel, KernelError, NfTables, Refusal, wmem_for};
use portgrave::plan::{Op, Plan};
use portgrave::ruleset::{Element, ElementKey, Elements, Field, ObjectKind, Ruleset, Set, SetData, Verdict};
use sample::{counter, exact, head, living, nothing, plan_of, rule, ruleset, then, verdict, with};
use std::collections::BTreeMap;
use std::time::Duration;

const LIMIT: u32 = 4096;
const ENOENT: i32 = 2;
const EBUSY: i32 = 16;
const EEXIST: i32 = 17;
const ENFILE: i32 = 23;

fn plan(ops: impl IntoIterator<Item = Op>) -> Plan {
    Plan { ops: ops.into_iter().collect() }
}

fn commit(ops: impl IntoIterator<Item = Op>) {
    NfTables.commit(&plan(ops), None).unwrap();
}

fn held() -> Ruleset {
    NfTables.read(LIMIT).unwrap().unwrap()
}

fn named(name: &str) -> String {
    name.to_owned()
}

/// The errno of each refused operation.
fn refused(result: Result<(), KernelError>) -> Vec<(usize, i32)> {
    match result {
        Err(KernelError::Refused(all)) => {
            all.iter().map(|Refusal { op, errno, .. }| (op.expect("an operation"), *errno)).collect()
        }
        other => panic!("not refused: {other:?}"),
    }
}

/// So many different elements of `ipv4_addr`.
fn addresses(count: u32) -> Vec<Element> {
    (0..count).map(|i| exact(&[&(0x0a00_0000 + i).to_be_bytes()], nothing())).collect()
}

fn address_set(size: Option<u32>) -> Set {
    head(&[Field::Ipv4Addr], SetData::None, size)
}

/// A batch that makes the table and a set of so many addresses.
fn load_of(count: u32) -> Plan {
    let (set, head) = (named("many"), address_set(Some(count)));
    plan([
        Op::AddTable,
        Op::AddSet { name: set.clone(), head: head.clone() },
        Op::AddElements { set, head, elements: addresses(count) },
    ])
}

#[test]
fn deletes_of_every_kind_leave_what_is_left() {
    if ns::ran_inside(ns::Namespace::Network, "deletes_of_every_kind_leave_what_is_left") {
        return;
    }
    commit(plan_of(&ruleset()).ops);
    let before = held();
    let rules_of =
        |chain: &str| before.chains[chain].rules.iter().map(|rule| rule.handle.unwrap()).collect::<Vec<_>>();
    let keys_of = |set: &str| before.sets[set].elements.known().unwrap().keys().cloned().collect::<Vec<_>>();
    let delete_keys = |set: &str, keys: Vec<ElementKey>| Op::DeleteElements {
        set: named(set),
        head: before.sets[set].head(),
        keys,
    };
    let mut ops: Vec<Op> = rules_of("special")
        .into_iter()
        .take(2)
        .map(|handle| Op::DeleteRule { chain: named("special"), handle })
        .collect();
    ops.extend([
        Op::DeleteSet { name: named("adopted") },
        Op::DeleteSet { name: named("allow.names-chain") },
        Op::DeleteChain { name: named("z.return") },
        delete_keys("never4", keys_of("never4").into_iter().skip(1).step_by(2).collect()),
        delete_keys("never6", keys_of("never6").into_iter().skip(1).collect()),
        delete_keys("ports", keys_of("ports").into_iter().take(1).collect()),
        delete_keys("allow.interval", keys_of("allow.interval").into_iter().take(1).collect()),
        delete_keys("allow.names", keys_of("allow.names")),
        Op::FlushSet { name: named("dispatch") },
        Op::DeleteObject { name: named("ftp-6"), kind: ObjectKind::CtHelper },
        Op::DeleteObject { name: named("c.updates"), kind: ObjectKind::Counter },
    ]);
    commit(ops);
    let mut wanted = ruleset();
    wanted.chains.get_mut("special").unwrap().rules.drain(..2);
    wanted.sets.remove("adopted");
    wanted.sets.remove("allow.names-chain");
    wanted.chains.remove("z.return");
    let edit = |set: &mut Set, keep: &dyn Fn(usize) -> bool| {
        let known = set.elements.known().unwrap().clone();
        let kept = known.into_iter().enumerate().filter(|(i, _)| keep(*i)).map(|(_, element)| element);
        set.elements = Elements::Known(kept.collect());
    };
    for (set, keep) in [
        ("never4", &(|i: usize| i % 2 == 0) as &dyn Fn(usize) -> bool),
        ("never6", &|i| i == 0),
        ("ports", &|i| i != 0),
        ("allow.interval", &|i| i != 0),
        ("allow.names", &|_| false),
        ("dispatch", &|_| false),
    ] {
        edit(wanted.sets.get_mut(set).unwrap(), keep);
    }
    wanted.objects.remove("ftp-6");
    wanted.objects.remove("c.updates");
    assert_eq!(held(), wanted);
    commit([Op::DeleteTable]);
    assert_eq!(NfTables.read(LIMIT).unwrap(), None);
    assert_eq!(nft::listing(), "");
}

#[test]
fn a_rule_goes_before_another_or_to_the_end() {
    if ns::ran_inside(ns::Namespace::Network, "a_rule_goes_before_another_or_to_the_end") {
        return;
    }
    let chain = || named("c");
    let add = |before, verdict| Op::AddRule { chain: chain(), before, rule: rule([then(verdict)]) };
    commit([Op::AddTable, Op::AddChain { name: chain(), base: None }, add(None, Verdict::Drop)]);
    let handle = held().chains["c"].rules[0].handle;
    commit([add(handle, Verdict::Accept), add(None, Verdict::Return), add(handle, Verdict::Return)]);
    let verdicts: Vec<_> = held().chains["c"].rules.iter().map(|rule| rule.exprs.clone()).collect();
    let (accept, back, drop) = (then(Verdict::Accept), then(Verdict::Return), then(Verdict::Drop));
    assert_eq!(verdicts, [accept, back.clone(), drop, back]);
}

#[test]
fn adding_what_exists_changes_nothing_and_keeps_counters_and_elements() {
    if ns::ran_inside(
        ns::Namespace::Network,
        "adding_what_exists_changes_nothing_and_keeps_counters_and_elements",
    ) {
        return;
    }
    commit(plan_of(&ruleset()).ops);
    let before = nft::nft(&["-a", "list", "ruleset"]);
    let whole = plan_of(&ruleset());
    commit(whole.ops.into_iter().filter(|op| !matches!(op, Op::AddRule { .. })));
    let (before, after) = (without_life(&before), without_life(&nft::nft(&["-a", "list", "ruleset"])));
    assert_eq!(before, after);
}

/// The listing without what is left of the lives of elements.
fn without_life(listing: &str) -> String {
    let mut words = listing.split(' ');
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        if word == "expires" {
            words.next();
        } else {
            kept.push(word);
        }
    }
    kept.join(" ")
}

#[test]
fn a_renewal_gives_the_new_life_whether_or_not_the_element_is_there() {
    if ns::ran_inside(
        ns::Namespace::Network,
        "a_renewal_gives_the_new_life_whether_or_not_the_element_is_there",
    ) {
        return;
    }
    let head = Set { timeout: Some(Duration::from_secs(3600)), ..address_set(Some(4)) };
    let set = || named("s");
    let [there, new] = [1, 2].map(|last| exact(&[&[192, 0, 2, last]], nothing()));
    let alive = |element: &Element, seconds| (element.0.clone(), living(nothing(), seconds));
    commit([
        Op::AddTable,
        Op::AddSet { name: set(), head: head.clone() },
        Op::AddElements { set: set(), head: head.clone(), elements: vec![alive(&there, 60)] },
    ]);
    let elements = vec![alive(&there, 900), alive(&new, 30)];
    commit([Op::RenewElements { set: set(), head: head.clone(), elements }]);
    for (key, most) in [(&there.0, 900), (&new.0, 30)] {
        let left = NfTables.lookup("s", &head, key).unwrap().unwrap().timeout.unwrap();
        assert!(left <= Duration::from_secs(most) && left > Duration::from_secs(most - 10), "{left:?}");
    }
}

#[test]
fn a_refused_batch_changes_nothing_and_names_each_refused_operation() {
    if ns::ran_inside(
        ns::Namespace::Network,
        "a_refused_batch_changes_nothing_and_names_each_refused_operation",
    ) {
        return;
    }
    commit(plan_of(&ruleset()).ops);
    let before = nft::nft(&["-a", "-s", "list", "ruleset"]);
    let state = ruleset().sets["state"].head();
    let dispatch = ruleset().sets["allow.exact"].head();
    let small = address_set(Some(2));
    let goto_nowhere = verdict(Verdict::Goto(named("no-such-chain")));
    let ops = [
        Op::AddChain { name: named("new"), base: None },
        Op::AddElements {
            set: named("state"),
            head: state.clone(),
            elements: vec![exact(&[&8_u32.to_ne_bytes()], goto_nowhere)],
        },
        Op::AddSet { name: named("small"), head: small.clone() },
        Op::AddElements { set: named("small"), head: small.clone(), elements: addresses(3) },
        Op::AddElements {
            set: named("allow.exact"),
            head: dispatch.clone(),
            elements: vec![exact(&[&[10, 0, 0, 1], &[6], &[0, 22]], counter("c.smtp-in"))],
        },
        Op::DeleteElements {
            set: named("state"),
            head: state,
            keys: vec![exact(&[&128_u32.to_ne_bytes()], nothing()).0],
        },
        Op::DeleteSet { name: named("state") },
        Op::DeleteObject { name: named("c.ssh-in"), kind: ObjectKind::Counter },
        Op::DeleteChain { name: named("denied") },
        Op::DeleteRule { chain: named("denied"), handle: 999_999 },
        Op::AddRule { chain: named("denied"), before: Some(999_999), rule: rule([then(Verdict::Drop)]) },
        Op::AddRule {
            chain: named("new"),
            before: None,
            rule: rule([then(Verdict::Jump(named("no-such-chain")))]),
        },
    ];
    let expected = [
        (1, ENOENT),
        (3, ENFILE),
        (4, EEXIST),
        (5, ENOENT),
        (6, EBUSY),
        (7, EBUSY),
        (8, EBUSY),
        (9, ENOENT),
        (10, ENOENT),
        (11, ENOENT),
    ];
    assert_eq!(refused(NfTables.commit(&plan(ops.clone()), None)), expected);
    assert_eq!(refused(NfTables.dry_run(&plan(ops))), expected);
    assert_eq!(nft::nft(&["-a", "-s", "list", "ruleset"]), before);
}

#[test]
fn the_kernels_own_words_come_with_a_refusal() {
    if ns::ran_inside(ns::Namespace::Network, "the_kernels_own_words_come_with_a_refusal") {
        return;
    }
    commit([Op::AddTable]);
    match NfTables.commit(&plan([Op::DeleteChain { name: named("no-such-chain") }]), None) {
        Err(KernelError::Refused(all)) => {
            assert_eq!(all.len(), 1);
            assert_eq!((all[0].op, all[0].errno), (Some(0), ENOENT));
            assert!(all[0].detail.as_deref().is_some_and(|text| text.contains("octet")), "{all:?}");
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_stale_generation_is_told_and_applies_nothing() {
    if ns::ran_inside(ns::Namespace::Network, "a_stale_generation_is_told_and_applies_nothing") {
        return;
    }
    let first = NfTables.generation().unwrap();
    assert_eq!(NfTables.generation().unwrap(), first);
    NfTables.commit(&plan([Op::AddTable]), Some(first)).unwrap();
    assert_ne!(NfTables.generation().unwrap(), first);
    let second = NfTables.generation().unwrap();
    nft::nft(&["add", "table", "ip", "other"]);
    let chain = plan([Op::AddChain { name: named("c"), base: None }]);
    assert!(matches!(NfTables.commit(&chain, Some(second)), Err(KernelError::Stale)));
    assert!(held().chains.is_empty());
    let now = NfTables.generation().unwrap();
    NfTables.commit(&chain, Some(now)).unwrap();
    assert_eq!(held().chains.len(), 1);
}

#[test]
fn a_dry_run_changes_nothing_not_even_the_generation() {
    if ns::ran_inside(ns::Namespace::Network, "a_dry_run_changes_nothing_not_even_the_generation") {
        return;
    }
    let generation = NfTables.generation().unwrap();
    NfTables.dry_run(&plan_of(&ruleset())).unwrap();
    assert_eq!(NfTables.read(LIMIT).unwrap(), None);
    assert_eq!(NfTables.generation().unwrap(), generation);
    NfTables.commit(&plan_of(&ruleset()), Some(generation)).unwrap();
    assert_eq!(held(), ruleset());
}

#[test]
fn fifty_thousand_elements_go_in_one_batch_where_root_may() {
    if ns::ran_inside(ns::Namespace::Network, "fifty_thousand_elements_go_in_one_batch_where_root_may") {
        return;
    }
    let load = load_of(50_000);
    let generation = NfTables.generation().unwrap().0;
    match NfTables.commit(&load, None) {
        Ok(()) => {}
        // An ordinary user runs this in a user namespace, where net.core.wmem_max may be too little.
        Err(KernelError::TooLarge { .. }) if !ns::passes_limits() => return,
        Err(error) => panic!("{error}"),
    }
    assert_eq!(NfTables.generation().unwrap().0, generation.wrapping_add(1), "one transaction");
    let head = address_set(Some(50_000));
    let read = NfTables.read(50_000).unwrap().unwrap();
    assert_eq!(read.sets["many"], with(head.clone(), addresses(50_000)));
    let read = NfTables.read(49_999).unwrap().unwrap();
    assert!(matches!(read.sets["many"].elements, Elements::Unread(None | Some(50_000))));
    for (key, value) in addresses(50_000).iter().step_by(997) {
        assert_eq!(NfTables.lookup("many", &head, key).unwrap().as_ref(), Some(value));
    }
}

#[test]
fn a_batch_that_does_not_fit_the_socket_is_told_with_the_limit_that_would_do() {
    if ns::ran_inside(
        ns::Namespace::User,
        "a_batch_that_does_not_fit_the_socket_is_told_with_the_limit_that_would_do",
    ) {
        return;
    }
    let limit = wmem_max();
    // What fits is refused by the kernel, which has no such set; what does not never reaches it.
    let fits = |count| {
        let (set, head) = (named("none"), address_set(None));
        match NfTables.commit(&plan([Op::AddElements { set, head, elements: addresses(count) }]), None) {
            Err(KernelError::Refused(_)) => None,
            Err(KernelError::TooLarge { bytes }) => Some(bytes),
            other => panic!("{other:?}"),
        }
    };
    let octets_per_element = 16;
    let most = u32::try_from(limit * 2 / octets_per_element).unwrap();
    let (mut small, mut large) = (most - most / 50, most + most / 50);
    assert!(fits(small).is_none() && fits(large).is_some());
    while large - small > 4 {
        let middle = small + (large - small) / 2;
        if fits(middle).is_none() { small = middle } else { large = middle }
    }
    let bytes = fits(large).unwrap();
    let needed = wmem_for(bytes);
    assert!(needed > limit && needed <= limit + 64, "{needed} for {bytes}, where {limit} was too little");
    assert!(KernelError::TooLarge { bytes }.to_string().contains(&needed.to_string()));
    assert!(NfTables.read(LIMIT).unwrap().is_none());
}

/// `net.core.wmem_max`, by what a socket gets that asks for more: older kernels show the file in the first network
/// namespace only.
fn wmem_max() -> usize {
    let socket = std::os::unix::net::UnixDatagram::unbound().unwrap();
    setsockopt(&socket, sockopt::SndBuf, &(1 << 30)).unwrap();
    getsockopt(&socket, sockopt::SndBuf).unwrap() / 2
}

#[test]
fn many_refusals_are_all_told() {
    if ns::ran_inside(ns::Namespace::Network, "many_refusals_are_all_told") {
        return;
    }
    let ops: Vec<_> = (0..3000).map(|i| Op::DeleteChain { name: format!("no-such-chain-{i}") }).collect();
    let mut all = vec![Op::AddTable];
    all.extend(ops);
    match NfTables.commit(&plan(all), None) {
        Err(KernelError::Refused(refusals)) if ns::passes_limits() => {
            let expected: Vec<_> = (1..=3000).map(|op| (Some(op), ENOENT)).collect();
            assert_eq!(refusals.iter().map(|r| (r.op, r.errno)).collect::<Vec<_>>(), expected);
        }
        // A small buffer loses some, never the fact.
        Err(KernelError::Refused(refusals)) => assert!(!refusals.is_empty()),
        other => panic!("not refused: {other:?}"),
    }
    assert!(NfTables.read(LIMIT).unwrap().is_none());
}

#[test]
fn what_no_kernel_could_take_is_not_sent() {
    if ns::ran_inside(ns::Namespace::Network, "what_no_kernel_could_take_is_not_sent") {
        return;
    }
    let timed = Set { timeout: Some(Duration::from_secs(60)), ..address_set(None) };
    let add = |head: &Set, element: Element| Op::AddElements {
        set: named("s"),
        head: head.clone(),
        elements: vec![element],
    };
    let address: &[&[u8]] = &[&[192, 0, 2, 1]];
    let never_expires = add(&timed, exact(address, nothing()));
    let no_life = add(&timed, exact(address, living(nothing(), 0)));
    let too_short = add(&timed, exact(&[], living(nothing(), 9)));
    let no_timeouts = add(&address_set(None), exact(address, living(nothing(), 9)));
    let name = Op::AddChain { name: "x".repeat(256), base: None };
    let zero = Op::DeleteSet { name: named("a\0b") };
    for wrong in [never_expires, no_life, too_short, no_timeouts, name, zero] {
        let result = NfTables.commit(&plan([Op::AddTable, wrong.clone()]), None);
        assert!(matches!(result, Err(KernelError::Unwritable { op: 1, .. })), "{wrong:?}: {result:?}");
    }
    assert!(NfTables.read(LIMIT).unwrap().is_none());
}

#[test]
fn a_rule_too_long_for_a_message_is_refused_before_it_is_written() {
    if ns::ran_inside(ns::Namespace::Network, "a_rule_too_long_for_a_message_is_refused_before_it_is_written")
    {
        return;
    }
    let jump = || then(Verdict::Jump("x".repeat(255)));
    let long = |count| {
        plan([Op::AddRule { chain: named("c"), before: None, rule: rule((0..count).map(|_| jump())) }])
    };
    assert!(matches!(NfTables.commit(&long(1000), None), Err(KernelError::Unwritable { op: 0, .. })));
    // As long as it may be, it reaches the kernel, which has no such table.
    assert_eq!(refused(NfTables.commit(&long(140), None)), [(0, ENOENT)]);
}

#[test]
fn reading_succeeds_while_another_table_changes_all_the_time() {
    if ns::ran_inside(ns::Namespace::Network, "reading_succeeds_while_another_table_changes_all_the_time") {
        return;
    }
    commit(plan_of(&ruleset()).ops);
    let script = "nft add table ip other; i=0; while :; do nft add chain ip other c$i; i=$((i+1)); done";
    let mut noise = std::process::Command::new("sh").args(["-c", script]).spawn().unwrap();
    let start = NfTables.generation().unwrap();
    let mut stale = 0;
    let mut reads = 0;
    while NfTables.generation().unwrap().0.wrapping_sub(start.0) < 40 {
        let generation = NfTables.generation().unwrap();
        assert_eq!(held(), ruleset());
        reads += 1;
        let nothing_new = plan([Op::AddTable]);
        stale +=
            u32::from(matches!(NfTables.commit(&nothing_new, Some(generation)), Err(KernelError::Stale)));
    }
    noise.kill().unwrap();
    noise.wait().unwrap();
    assert!(reads > 0 && stale > 0, "{reads} reads, {stale} stale");
}

#[test]
fn counters_are_read_with_their_values() {
    if ns::ran_inside(ns::Namespace::Network, "counters_are_read_with_their_values") {
        return;
    }
    nft::load("table inet portgrave {\n counter c {\n packets 7 bytes 700\n }\n }\n");
    let object = &held().objects["c"];
    match object.kind {
        portgrave::ruleset::ObjectDef::Counter { packets, bytes } => assert_eq!((packets, bytes), (7, 700)),
        portgrave::ruleset::ObjectDef::CtHelper { .. } => panic!("a counter"),
    }
}

#[test]
fn without_the_capability_the_answer_is_permission() {
    const NAME: &str = "without_the_capability_the_answer_is_permission";
    if ns::ran_inside(ns::Namespace::Network, NAME) {
        return;
    }
    if std::env::var_os("POWERLESS").is_none() {
        commit([Op::AddTable]);
        // A user namespace of its own has no power over a network namespace that it did not make.
        let program = std::env::current_exe().unwrap();
        let mut again = std::process::Command::new("unshare");
        again.arg("-U").arg(program).args(["--exact", NAME, "--nocapture"]).env("POWERLESS", "1");
        let output = again.output().unwrap();
        assert!(output.status.success(), "{}", ns::text(&output));
        return;
    }
    assert!(matches!(NfTables.commit(&plan([Op::AddTable]), None), Err(KernelError::Permission)));
    assert!(matches!(NfTables.dry_run(&plan([Op::AddTable])), Err(KernelError::Permission)));
    assert!(matches!(NfTables.read(LIMIT), Err(KernelError::Permission)));
    assert!(matches!(NfTables.generation(), Err(KernelError::Permission)));
}

#[test]
fn sets_of_every_head_are_read_as_they_were_made() {
    if ns::ran_inside(ns::Namespace::Network, "sets_of_every_head_are_read_as_they_were_made") {
        return;
    }
    let fields = [
        Field::Ipv4Addr,
        Field::Ipv6Addr,
        Field::InetProto,
        Field::InetService,
        Field::NfProto,
        Field::CtState,
        Field::IcmpType,
        Field::Icmpv6Type,
    ];
    let mut sets = BTreeMap::new();
    for (i, a) in fields.into_iter().enumerate() {
        for size in [None, Some(1), Some(70_000)] {
            let one = head(&[a], SetData::None, size);
            sets.insert(format!("{i}-{size:?}"), one.clone());
            sets.insert(format!("{i}-{size:?}-interval"), Set { interval: true, ..one });
        }
        for (j, b) in fields.into_iter().enumerate() {
            for interval in [false, true] {
                let two = Set { interval, ..head(&[a, b], SetData::Verdict, Some(100)) };
                sets.insert(format!("{i}-{j}-{interval}"), two.clone());
                let timeout = Some(Duration::from_secs(7));
                sets.insert(format!("{i}-{j}-{interval}-timeout"), Set { timeout, ..two });
            }
        }
    }
    let wanted = Ruleset { sets, ..Ruleset::default() };
    commit(plan_of(&wanted).ops);
    assert_eq!(held(), wanted);
}
