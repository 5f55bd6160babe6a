//! The kernel in memory against the real one: random batches must have the same outcome, the same refusals with the
//! same errnos, and leave the same table.
#![cfg(feature = "kernel")]

#[path = "common/nft.rs"]
mod nft;
#[path = "common/ns.rs"]
mod ns;
#[path = "common/sample.rs"]
mod sample;

use portgrave::netlink::fake::FakeKernel;
use portgrave::netlink::{Kernel, KernelError, NfTables};
use portgrave::plan::{Op, Plan};
use portgrave::ruleset::*;
use sample::{counter, exact, head, living, nothing, plan_of, range, rule, ruleset, then, verdict};
use std::time::Duration;

/// 6,000 were tried; `PORTGRAVE_TEST_BATCHES` sets another number.
const BATCHES: usize = 400;
const LIMIT: u32 = 4096;

/// Numbers that are the same in every run (Marsaglia's xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (limit as u64)).unwrap()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn name(&mut self, kind: &str, of: usize) -> String {
        format!("{kind}{}", self.below(of))
    }

    fn chain(&mut self) -> String {
        if self.chance(15) { "base".to_owned() } else { self.name("chain", 4) }
    }
}

/// The heads of the sets by name: each name has mostly one, so that elements fit.
fn head_of(name: &str) -> Set {
    let interval = |set: Set| Set { interval: true, ..set };
    match name {
        "set0" => head(&[Field::Ipv4Addr], SetData::None, Some(3)),
        "set1" => interval(head(&[Field::InetService], SetData::Verdict, None)),
        "set2" => head(&[Field::InetService], SetData::Object(ObjectKind::Counter), Some(4)),
        "set3" => interval(head(&[Field::Ipv4Addr, Field::InetService], SetData::Verdict, None)),
        "set4" => Set {
            timeout: Some(Duration::from_secs(3600)),
            ..head(&[Field::InetService], SetData::Verdict, Some(4))
        },
        _ => Set {
            timeout: Some(Duration::from_secs(3600)),
            dynamic: true,
            ..head(&[Field::Ipv4Addr], SetData::None, Some(8))
        },
    }
}

fn value_for(random: &mut Random, head: &Set) -> ElementValue {
    let value = match head.data {
        SetData::None => nothing(),
        SetData::Verdict => verdict(some_verdict(random)),
        SetData::Object(_) => counter(&random.name("object", 3)),
    };
    if head.timeout.is_some() { living(value, 1000) } else { value }
}

fn element_for(random: &mut Random, head: &Set) -> Element {
    let value = value_for(random, head);
    let port = |random: &mut Random| u8::try_from(random.below(6)).unwrap();
    let low = port(random);
    // The kernel does not see every overlap (of a range that encloses an older one, say) and deletes a range by a key
    // within it: the one in memory is stricter there, and has tests of its own. So these ranges never cross.
    let host = 1 + u8::try_from(random.below(2)).unwrap();
    match (head.interval, head.key.as_slice()) {
        (false, [Field::Ipv4Addr]) => exact(&[&[10, 0, 0, low]], value),
        (false, _) => exact(&[&[0, low]], value),
        (true, [_]) => range(&[&[0, low & 6]], &[&[0, low | 1]], value),
        (true, _) => range(&[&[10, 0, 0, host], &[0, low & 6]], &[&[10, 0, 0, host], &[0, low | 1]], value),
    }
}

fn some_verdict(random: &mut Random) -> Verdict {
    match random.below(6) {
        0 | 1 => Verdict::Jump(random.chain()),
        2 => Verdict::Goto(random.chain()),
        3 => Verdict::Return,
        4 => Verdict::Drop,
        _ => Verdict::Accept,
    }
}

fn some_rule(random: &mut Random) -> Rule {
    let load = Expr::Payload { base: PayloadBase::Transport, offset: 2, len: 2, dreg: Reg(0) };
    let address = Expr::Payload { base: PayloadBase::Network, offset: 12, len: 4, dreg: Reg(0) };
    let set = random.name("set", 6);
    let key = if head_of(&set).key.contains(&Field::Ipv4Addr) { vec![address] } else { vec![load] };
    let key = if set == "set3" {
        [key, vec![Expr::Payload { base: PayloadBase::Transport, offset: 2, len: 2, dreg: Reg(1) }]].concat()
    } else {
        key
    };
    let sreg = Reg(0);
    match random.below(6) {
        0 => rule([
            key,
            vec![Expr::Lookup { sreg, set, invert: false, verdict: false }],
            then(some_verdict(random)),
        ]),
        1 => rule([key, vec![Expr::Lookup { sreg, set, invert: false, verdict: true }]]),
        2 => rule([key, vec![Expr::ObjectMap { sreg, map: set }], then(some_verdict(random))]),
        3 => rule([vec![Expr::Object { kind: ObjectKind::Counter, name: random.name("object", 3) }]]),
        4 => rule([key, vec![Expr::Dynset { op: DynsetOp::Update, sreg, set, timeout: None, limit: None }]]),
        _ => rule([then(some_verdict(random))]),
    }
}

/// An operation whose rule is named by its place, because the two kernels count handles apart.
enum Draft {
    Op(Op),
    DeleteRule { chain: String, at: usize },
    AddRuleBefore { chain: String, at: usize, rule: Rule },
}

impl Draft {
    fn of(random: &mut Random) -> Self {
        let set = random.name("set", 6);
        let head = head_of(&set);
        let chain = random.chain();
        let at = random.below(3);
        let elements = |random: &mut Random, head: &Set| {
            (0..1 + random.below(3)).map(|_| element_for(random, head)).collect::<Vec<_>>()
        };
        Self::Op(match random.below(32) {
            0 => Op::AddTable,
            1 if random.chance(10) => Op::DeleteTable,
            1..=3 => Op::AddObject {
                name: random.name("object", 3),
                object: Object { kind: ObjectDef::Counter { packets: 0, bytes: 0 }, origin: None },
            },
            4 => Op::DeleteObject { name: random.name("object", 3), kind: ObjectKind::Counter },
            5 if random.chance(20) => Op::AddSet { name: set, head: Set { size: Some(5), ..head } },
            5..=7 => Op::AddSet { name: set, head },
            8 => Op::DeleteSet { name: set },
            9 => Op::FlushSet { name: set },
            10..=13 if chain == "base" => {
                let priority = if random.chance(95) { 0 } else { 1 };
                let policy = if random.chance(50) { ChainPolicy::Drop } else { ChainPolicy::Accept };
                let base = Some(BaseChain { hook: Hook::Input, priority, policy });
                Op::AddChain { name: chain, base }
            }
            10..=13 => Op::AddChain { name: chain, base: None },
            14 => Op::DeleteChain { name: chain },
            15..=19 => Op::AddElements { set, elements: elements(random, &head), head },
            20 | 21 => {
                let keys = elements(random, &head).into_iter().map(|(key, _)| key).take(1).collect();
                Op::DeleteElements { set, head, keys }
            }
            // A set of intervals has no timeouts, so nothing in it is renewed; the kernel does not find a range that one batch adds,
            // deletes and adds when it is to be deleted once more.
            22 if head.timeout.is_some() => {
                Op::RenewElements { set, elements: elements(random, &head), head }
            }
            23..=27 => Op::AddRule { chain, before: None, rule: some_rule(random) },
            28 => return Self::AddRuleBefore { chain, at, rule: some_rule(random) },
            _ => return Self::DeleteRule { chain, at },
        })
    }

    fn append(&mut self) {
        if let Self::AddRuleBefore { chain, rule, .. } = self {
            let (chain, rule) = (chain.clone(), rule.clone());
            *self = Self::Op(Op::AddRule { chain, before: None, rule });
        }
    }

    fn op(&self, held: Option<&Ruleset>) -> Op {
        let handle = |chain: &str, at: usize| {
            let rules = held.and_then(|held| held.chains.get(chain)).map(|chain| &chain.rules);
            rules.and_then(|rules| rules.get(at)).and_then(|rule| rule.handle).unwrap_or(999_999)
        };
        match self {
            Self::Op(op) => op.clone(),
            Self::DeleteRule { chain, at } => {
                Op::DeleteRule { chain: chain.clone(), handle: handle(chain, *at) }
            }
            Self::AddRuleBefore { chain, at, rule } => {
                Op::AddRule { chain: chain.clone(), before: Some(handle(chain, *at)), rule: rule.clone() }
            }
        }
    }
}

fn lines(plan: &Plan) -> String {
    plan.ops.iter().enumerate().map(|(i, op)| format!("{i} {op:?}\n")).collect()
}

type Outcome = Result<(), Vec<(Option<usize>, i32)>>;

fn outcome(result: Result<(), KernelError>) -> Outcome {
    match result {
        Ok(()) => Ok(()),
        Err(KernelError::Refused(all)) => {
            Err(all.iter().map(|refusal| (refusal.op, refusal.errno)).collect())
        }
        Err(error) => panic!("{error:?}"),
    }
}

#[test]
fn the_kernel_in_memory_judges_as_the_real_one() {
    if ns::ran_inside(ns::Namespace::Network, "the_kernel_in_memory_judges_as_the_real_one") {
        return;
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut real, mut fake) = (NfTables, FakeKernel::new());
    let (mut taken, mut refused) = (0, 0);
    let wanted = std::env::var("PORTGRAVE_TEST_BATCHES").ok().and_then(|text| text.parse().ok());
    let batches = wanted.unwrap_or(BATCHES);
    for batch in 0..batches {
        let (held, imagined) = (real.read(LIMIT).unwrap(), fake.read(LIMIT).unwrap());
        assert_eq!(imagined, held, "after {batch} batches");
        let mut drafts: Vec<Draft> = (0..1 + random.below(5)).map(|_| Draft::of(&mut random)).collect();
        // The kernel also takes the place of a rule that the batch has deleted: only a first operation names a place.
        drafts[1..].iter_mut().for_each(Draft::append);
        let plan =
            |held: &Option<Ruleset>| Plan { ops: drafts.iter().map(|d| d.op(held.as_ref())).collect() };
        let (of_real, of_fake) = (plan(&held), plan(&imagined));
        let dry = outcome(real.dry_run(&of_real));
        let judged = outcome(real.commit(&of_real, None));
        assert_eq!(dry, judged, "{:#?}", of_real.ops);
        let imagined = outcome(fake.dry_run(&of_fake));
        assert_eq!(imagined, outcome(fake.commit(&of_fake, None)));
        assert_eq!(
            imagined,
            judged,
            "fake, real: batch {batch}\n{}\non\n{}",
            lines(&of_real),
            nft::listing()
        );
        if judged.is_ok() { taken += 1 } else { refused += 1 }
    }
    assert!(taken > batches / 10 && refused > batches / 10, "{taken} taken, {refused} refused");
    println!("{taken} taken, {refused} refused");
}

#[test]
fn the_kernel_in_memory_holds_the_whole_shape() {
    let mut fake = FakeKernel::new();
    fake.commit(&plan_of(&ruleset()), None).unwrap();
    assert_eq!(fake.read(LIMIT).unwrap(), Some(ruleset()));
}
