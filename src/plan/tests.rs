//! What a plan has for a change of each kind.

use super::{Held, Op, Plan, diff, steps};
use crate::ruleset::{
    BaseChain, Chain, ChainPolicy, ElementKey, ElementValue, Elements, Field, Hook, Object, ObjectDef,
    ObjectKind, Part, Rule, RuleBuilder, Ruleset, Set, SetData, Verdict,
};
use std::collections::BTreeMap;
use std::time::Duration;

fn counter(name: &str) -> (String, Object) {
    (name.into(), Object { kind: ObjectDef::Counter { packets: 0, bytes: 0 }, origin: None })
}

fn ports(entries: &[(u16, &str)], timeout: Option<Duration>) -> Set {
    let element = |(port, name): &(u16, &str)| {
        let [high, low] = port.to_be_bytes();
        let key = ElementKey { first: [high, low, 0, 0].into(), last: None };
        (key, ElementValue { object: Some((*name).into()), timeout, ..ElementValue::default() })
    };
    Set {
        key: vec![Field::InetService],
        data: SetData::Object(ObjectKind::Counter),
        interval: false,
        timeout,
        dynamic: false,
        size: Some(16),
        elements: Elements::Known(entries.iter().map(element).collect()),
        origin: None,
    }
}

fn line(map: &str) -> Rule {
    RuleBuilder::new().counter_map(&[Part::DestinationPort], map).verdict(Verdict::Accept)
}

fn ruleset(objects: &[&str], set: Set, rules: Vec<Rule>) -> Ruleset {
    let rules = rules.into_iter().zip(10..).map(|(rule, handle)| Rule { handle: Some(handle), ..rule });
    Ruleset {
        objects: objects.iter().map(|name| counter(name)).collect(),
        sets: BTreeMap::from([("map".into(), set)]),
        chains: BTreeMap::from([("chain".into(), Chain { base: None, rules: rules.collect() })]),
        dormant: false,
    }
}

fn kinds(plan: &Plan) -> Vec<String> {
    plan.describe(None).iter().map(|change| format!("{} {}", change.change, change.what)).collect()
}

fn accept() -> Rule {
    RuleBuilder::new().verdict(Verdict::Accept)
}

#[test]
fn an_empty_kernel_gets_the_table_first_and_the_rules_last() {
    let want = ruleset(&["a"], ports(&[(25, "a")], None), vec![line("map")]);
    let order = ["add table", "add counter", "add chain", "add set", "add elements", "add rule"];
    assert_eq!(kinds(&diff(&want, None)), order);
}

#[test]
fn one_more_port_is_one_counter_and_one_element() {
    let have = ruleset(&["a"], ports(&[(25, "a")], None), vec![line("map")]);
    let want = ruleset(&["a", "b"], ports(&[(25, "a"), (80, "b")], None), vec![line("map")]);
    let plan = diff(&want, Some(&have));
    assert_eq!(kinds(&plan), ["add counter", "add elements"]);
    assert!(matches!(&plan.ops[1], Op::AddElements { elements, .. } if elements.len() == 1));
}

#[test]
fn a_port_that_leads_elsewhere_is_deleted_before_it_is_added() {
    let have = ruleset(&["a", "b"], ports(&[(25, "a")], None), vec![line("map")]);
    let want = ruleset(&["a", "b"], ports(&[(25, "b")], None), vec![line("map")]);
    assert_eq!(kinds(&diff(&want, Some(&have))), ["delete elements", "add elements"]);
}

#[test]
fn a_rule_in_the_middle_comes_before_the_one_that_follows_it() {
    let have = ruleset(&["a"], ports(&[], None), vec![line("map"), accept()]);
    let middle = RuleBuilder::new().counter("a").rule();
    let want = ruleset(&["a"], ports(&[], None), vec![line("map"), middle, accept()]);
    let plan = diff(&want, Some(&have));
    assert!(matches!(&plan.ops[..], [Op::AddRule { before: Some(11), .. }]), "{plan:?}");
}

#[test]
fn a_set_whose_head_changes_is_made_anew_with_the_rules_that_ask_it() {
    let have = ruleset(&["a"], ports(&[(25, "a")], None), vec![line("map"), accept()]);
    let bigger = Set { size: Some(32), ..ports(&[(25, "a")], None) };
    let want = ruleset(&["a"], bigger, vec![line("map"), accept()]);
    let order = ["delete rule", "delete set", "add set", "add elements", "add rule"];
    assert_eq!(kinds(&diff(&want, Some(&have))), order);
}

#[test]
fn a_longer_life_is_a_renewal_and_a_shorter_one_is_left_alone() {
    let lives =
        |seconds| ruleset(&["a"], ports(&[(25, "a")], Some(Duration::from_secs(seconds))), vec![line("map")]);
    let with_head = |mut ruleset: Ruleset| {
        for set in ruleset.sets.values_mut() {
            set.timeout = Some(Duration::from_secs(3600));
        }
        ruleset
    };
    let (short, long) = (with_head(lives(60)), with_head(lives(300)));
    let plan = diff(&long, Some(&short));
    assert_eq!(kinds(&plan), ["renew elements"]);
    assert!(!plan.summary(Some(&short)).changes());
    assert!(diff(&short, Some(&long)).is_empty());
}

#[test]
fn a_map_with_lifetimes_that_loses_an_element_is_emptied_and_filled_again() {
    let life = Some(Duration::from_secs(60));
    let have = ruleset(&["a", "b"], ports(&[(25, "a"), (80, "b")], life), vec![line("map")]);
    let want = ruleset(&["a"], ports(&[(25, "a")], life), vec![line("map")]);
    let plan = diff(&want, Some(&have));
    assert_eq!(kinds(&plan), ["delete elements", "delete counter", "add elements"]);
    assert!(matches!(plan.ops[0], Op::FlushSet { .. }));
}

#[test]
fn a_table_that_somebody_put_to_sleep_is_woken_and_nothing_else() {
    let want = ruleset(&["a"], ports(&[(25, "a")], None), vec![line("map")]);
    let have = Ruleset { dormant: true, ..want.clone() };
    assert_eq!(kinds(&diff(&want, Some(&have))), ["add table"]);
}

fn batches(want: &Ruleset, have: &Ruleset) -> Vec<Vec<String>> {
    let held = Held::new(have.clone());
    let plan = diff(want, Some(&held.ruleset));
    steps(&plan, want, Some(&held)).iter().map(kinds).collect()
}

#[test]
fn a_port_that_leads_elsewhere_is_in_a_new_map_before_the_rule_asks_for_it() {
    let have = ruleset(&["a", "b"], ports(&[(25, "a")], None), vec![line("map"), accept()]);
    let want = ruleset(&["a", "b"], ports(&[(25, "b")], None), vec![line("map"), accept()]);
    let beside = ["add set", "add elements"].map(str::to_owned).to_vec();
    let turn = ["delete rule", "add rule"].map(str::to_owned).to_vec();
    assert_eq!(batches(&want, &have), [beside, turn, vec!["delete set".to_owned()]]);
    let held = Held::new(have);
    let steps = steps(&diff(&want, Some(&held.ruleset)), &want, Some(&held));
    assert!(matches!(&steps[0].ops[0], Op::AddSet { name, .. } if name == "map/b"));
    let Op::AddRule { rule, before: Some(11), .. } = &steps[1].ops[1] else { panic!("{steps:?}") };
    assert_eq!(rule.exprs, line("map/b").exprs);
    assert!(matches!(&steps[2].ops[0], Op::DeleteSet { name } if name == "map"));
}

#[test]
fn the_two_names_of_a_set_take_turns_and_are_looked_at_as_the_first() {
    let first = ruleset(&["a"], ports(&[(25, "a")], None), vec![line("map")]);
    let mut second = first.clone();
    let set = second.sets.remove("map").expect("the map");
    second.sets.insert("map/b".into(), set.clone());
    second.chains.get_mut("chain").expect("the chain").rules = vec![line("map/b")];
    assert_eq!(Held::new(second.clone()).ruleset, first);
    // What is left over is what no rule asks, whichever name it has.
    second.sets.insert("map".into(), ports(&[(80, "a")], None));
    let held = Held::new(second);
    assert_eq!(held.ruleset.sets["map"], set);
    let steps = steps(&diff(&first, Some(&held.ruleset)), &first, Some(&held));
    let [only] = steps.as_slice() else { panic!("{steps:?}") };
    assert!(matches!(&only.ops[..], [Op::DeleteSet { name }] if name == "map"), "{only:?}");
}

#[test]
fn a_set_of_more_than_a_hundred_thousand_elements_is_changed_in_place_when_the_rules_turn() {
    let many = |from: u32| -> Set {
        let element =
            |n: u32| (ElementKey { first: n.to_be_bytes().into(), last: None }, ElementValue::default());
        Set {
            key: vec![Field::Ipv4Addr],
            data: SetData::None,
            size: Some(131_072),
            elements: Elements::Known((from..from + 100_001).map(element).collect()),
            ..ports(&[], None)
        }
    };
    let with = |mut ruleset: Ruleset, set: Set| {
        ruleset.sets.insert("many".into(), set);
        ruleset
    };
    let have = with(ruleset(&["a", "b"], ports(&[(25, "a")], None), vec![line("map")]), many(0));
    let want = with(ruleset(&["a", "b"], ports(&[(25, "b")], None), vec![line("map")]), many(1));
    let turn = ["delete rule", "delete elements", "add elements", "add rule"].map(str::to_owned).to_vec();
    assert_eq!(batches(&want, &have)[1], turn);
}

#[test]
fn what_only_lets_more_through_is_one_batch() {
    let have = ruleset(&["a"], ports(&[(25, "a")], None), vec![line("map")]);
    let mut want =
        ruleset(&["a", "b"], ports(&[(25, "a"), (80, "b")], None), vec![line("map"), line("more")]);
    want.sets.insert("more".into(), ports(&[(443, "a")], None));
    assert_eq!(batches(&want, &have).len(), 1);
    assert_eq!(batches(&have, &want).len(), 1, "and what only lets less through");
    let drop = RuleBuilder::new().counter_map(&[Part::DestinationPort], "more").verdict(Verdict::Drop);
    want.chains.get_mut("chain").expect("the chain").rules[1] = drop;
    assert_eq!(batches(&want, &have).len(), 3, "one rule lets more through and the other less");
}

#[test]
fn a_base_chain_comes_and_goes_together_with_its_rules() {
    let have = ruleset(&["a", "b"], ports(&[(25, "a")], None), vec![line("map")]);
    let mut want = ruleset(&["a", "b"], ports(&[(25, "b")], None), vec![line("map")]);
    let base = BaseChain { hook: Hook::Input, priority: 0, policy: ChainPolicy::Drop };
    want.chains
        .insert("new".into(), Chain { base: Some(base), rules: vec![Rule { handle: Some(20), ..accept() }] });
    let coming = ["delete rule", "add chain", "add rule", "add rule"].map(str::to_owned).to_vec();
    assert_eq!(batches(&want, &have)[1], coming);
    let going = ["delete rule", "delete rule", "delete chain", "add rule"].map(str::to_owned).to_vec();
    assert_eq!(batches(&have, &want)[1], going);
}
