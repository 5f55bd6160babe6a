//! Batches of 5, 500 and 50,000 messages, from the text of a policy to the kernel: applied whole, or refused whole with each
//! refusal at its line of the policy.
#![cfg(feature = "kernel")]

#[path = "common/ns.rs"]
mod ns;

use ns::{Namespace, passes_limits, ran_inside};
use portgrave::apply::explain;
use portgrave::compile::{Features, compile};
use portgrave::diag::{SourceMap, Span, render_text};
use portgrave::model::{AddressBook, resolve};
use portgrave::netlink::encode::{Purpose, encode};
use portgrave::netlink::{Kernel, KernelError, NfTables};
use portgrave::plan::{Op, Plan, diff};
use portgrave::policy::{Layer, parse};
use portgrave::ruleset::{Expr, Limit, Rule, Ruleset};
use std::fmt::Write;

/// The begin and the end message.
const FRAME: usize = 2;
const EINVAL: i32 = 22;

struct Compiled {
    sources: SourceMap,
    text: String,
    ruleset: Ruleset,
}

impl Compiled {
    /// A policy of so many rules, each for an address of its own.
    fn of(rules: usize) -> Self {
        let mut text = String::from("language = 1\n");
        for n in 0..rules {
            let address = std::net::Ipv4Addr::from(0xc633_0000 + u32::try_from(n).expect("not so many"));
            write!(
                text,
                "\n[[rule]]\nname = \"{}\"\ndirection = \"in\"\nports = [\"tcp/25\"]\npeers = \"{address}\"\n",
                name(n)
            )
            .expect("to write into memory");
        }
        let mut sources = SourceMap::default();
        let file = sources.add("policy.toml", text.as_str());
        let shown = |findings| render_text(&findings, &sources, false);
        let parsed =
            parse(&sources, &[(file, Layer(0))]).unwrap_or_else(|findings| panic!("{}", shown(findings)));
        let (policy, findings) = resolve(&parsed);
        assert!(!findings.has_errors(), "{}", shown(findings));
        let ruleset = compile(&policy, &AddressBook::default(), &Features::ALL);
        let ruleset = ruleset.unwrap_or_else(|findings| panic!("{}", shown(findings)));
        Self { sources, text, ruleset }
    }

    /// The place of a rule.
    fn origin(&self, rule: usize) -> Span {
        self.ruleset.objects[&format!("in.{}", name(rule))].origin.expect("a rule has a place")
    }

    /// `policy.toml:LINE:` of a rule.
    fn line(&self, rule: usize) -> String {
        let at = self.text.find(&name(rule)).expect("the rule is there");
        format!("policy.toml:{}:", self.text[..at].lines().count())
    }
}

fn name(rule: usize) -> String {
    format!("r{rule:05}")
}

fn messages(plan: &Plan) -> usize {
    encode(plan, None, Purpose::Commit).expect("what the compiler makes can be written").messages() - FRAME
}

/// A policy and the plan of so many messages that leads to it from what is held.
struct Change {
    want: Compiled,
    plan: Plan,
    rules: usize,
}

impl Change {
    /// 5 messages are four more rules, with their counters and one message of elements; 500 and 50,000 a policy's worth.
    fn of(count: usize) -> Self {
        let (before, mut rules) = if count < 100 { (400, 404) } else { (1, count) };
        NfTables.commit(&diff(&Compiled::of(before).ruleset, None), None).expect("the kernel takes it");
        let held = NfTables.read(4096).expect("the kernel answers");
        loop {
            let want = Compiled::of(rules);
            let plan = diff(&want.ruleset, held.as_ref());
            match messages(&plan).checked_sub(count) {
                Some(0) => return Self { want, plan, rules },
                Some(over) => rules -= over,
                None => panic!("no policy comes to {count} messages"),
            }
        }
    }

    /// The plan with an operation at `index` that the kernel refuses, of the place of a rule.
    fn spoiled(&self, spoiled: &[(usize, usize)]) -> Plan {
        let mut ops = self.plan.ops.clone();
        for (index, rule) in spoiled.iter().rev() {
            let exprs = vec![Expr::Limit(Limit::per_second(0, 0))];
            let rule = Rule { exprs, origin: Some(self.want.origin(*rule)), ..Rule::default() };
            ops.insert(*index, Op::AddRule { chain: "in4.denied".into(), before: None, rule });
        }
        Plan { ops }
    }

    /// Refuses a batch that is spoiled at these operations, and holds each finding to its line.
    fn refused_at(&self, indexes: &[usize]) {
        let spoiled: Vec<(usize, usize)> =
            indexes.iter().enumerate().map(|(n, index)| (*index, (7 * n + 1) % self.rules)).collect();
        let plan = self.spoiled(&spoiled);
        let generation = NfTables.generation().expect("the kernel answers");
        let refusals = match NfTables.commit(&plan, None) {
            Err(KernelError::Refused(refusals)) => refusals,
            Err(KernelError::TooLarge { .. }) if !passes_limits() => return,
            other => panic!("not refused at {indexes:?}: {other:?}"),
        };
        let told: Vec<(Option<usize>, i32)> =
            refusals.iter().map(|refusal| (refusal.op, refusal.errno)).collect();
        let expected: Vec<(Option<usize>, i32)> =
            indexes.iter().enumerate().map(|(earlier, index)| (Some(index + earlier), EINVAL)).collect();
        if passes_limits() {
            assert_eq!(told, expected, "the operations that were refused");
        } else {
            // A small buffer loses some, never the fact.
            assert!(!told.is_empty() && told.iter().all(|refused| expected.contains(refused)), "{told:?}");
        }
        let text = render_text(&explain(&plan, &refusals, &self.want.ruleset), &self.want.sources, false);
        for (_, rule) in spoiled.iter().take(refusals.len().min(20)) {
            assert!(text.contains(&self.want.line(*rule)), "{} is not in:\n{text}", self.want.line(*rule));
        }
        assert_eq!(NfTables.generation().expect("the kernel answers"), generation, "nothing was changed");
    }
}

/// A change of so many messages is refused whole wherever it is spoiled, and applied whole otherwise.
fn proven(count: usize) {
    let change = Change::of(count);
    let last = change.plan.ops.len();
    for indexes in [&[0][..], &[last / 2], &[last], &[0, last / 2, last]] {
        change.refused_at(indexes);
    }
    change.refused_at(&vec![last; 300]);
    let generation = NfTables.generation().expect("the kernel answers").0;
    match NfTables.commit(&change.plan, None) {
        Ok(()) => {}
        // An ordinary user runs this in a user namespace, where net.core.wmem_max may be too little.
        Err(KernelError::TooLarge { .. }) if !passes_limits() => return,
        Err(error) => panic!("{count} messages: {error}"),
    }
    assert_eq!(
        NfTables.generation().expect("the kernel answers").0,
        generation.wrapping_add(1),
        "one transaction"
    );
    let held = NfTables.read(u32::MAX).expect("the kernel answers").expect("a table");
    assert!(held == change.want.ruleset, "what {count} messages make is not what is read back");
}

#[test]
fn five_messages_are_applied_whole_or_refused_each_at_its_line() {
    if !ran_inside(Namespace::Network, "five_messages_are_applied_whole_or_refused_each_at_its_line") {
        proven(5);
    }
}

#[test]
fn five_messages_do_as_well_in_a_user_namespace() {
    if !ran_inside(Namespace::User, "five_messages_do_as_well_in_a_user_namespace") {
        proven(5);
    }
}

#[test]
fn five_hundred_messages_are_applied_whole_or_refused_each_at_its_line() {
    if !ran_inside(Namespace::Network, "five_hundred_messages_are_applied_whole_or_refused_each_at_its_line")
    {
        proven(500);
    }
}

#[test]
fn five_hundred_messages_do_as_well_in_a_user_namespace() {
    if !ran_inside(Namespace::User, "five_hundred_messages_do_as_well_in_a_user_namespace") {
        proven(500);
    }
}

#[test]
fn fifty_thousand_messages_are_applied_whole_or_refused_each_at_its_line() {
    if !ran_inside(
        Namespace::Network,
        "fifty_thousand_messages_are_applied_whole_or_refused_each_at_its_line",
    ) {
        proven(50_000);
    }
}
