//! `[default] forward = "deny"`: replies pass, the rest is dropped.

use super::Build;
use super::base::{CT_ESTABLISHED, CT_RELATED, FILTER_PRIORITY};
use super::key::{self, KeyBytes};
use crate::model::ForwardDefault;
use crate::ruleset::{
    BaseChain, Chain, ChainPolicy, Field, Hook, Object, ObjectDef, Part, RuleBuilder, SetData, Verdict,
};

const CHAIN: &str = "forward";
const PASSING: &str = "forward.established";
const STATES: &str = "forward.state";

impl Build<'_> {
    pub(super) fn forward(&mut self) {
        if self.policy.default.forward == ForwardDefault::Untouched {
            return;
        }
        let base = BaseChain { hook: Hook::Forward, priority: FILTER_PRIORITY, policy: ChainPolicy::Drop };
        self.ruleset.chains.insert(CHAIN.into(), Chain { base: Some(base), rules: Vec::new() });
        let element = |state: u32| {
            (KeyBytes::default().native(state).key(), key::to_verdict(Verdict::Goto(PASSING.into())))
        };
        let states = [CT_ESTABLISHED, CT_RELATED].map(element).into();
        self.add_set(STATES, key::hash(vec![Field::CtState], SetData::Verdict, states));
        self.append(CHAIN, RuleBuilder::new().verdict_map(&[Part::CtState], STATES).rule());
        self.count_and("forward.default", CHAIN, Verdict::Drop);
        self.count_and("forward.baseline.established", PASSING, Verdict::Accept);
    }

    fn count_and(&mut self, counter: &str, chain: &str, verdict: Verdict) {
        let kind = ObjectDef::Counter { packets: 0, bytes: 0 };
        self.ruleset.objects.insert(counter.into(), Object { kind, origin: None });
        self.append(chain, RuleBuilder::new().counter(counter).verdict(verdict));
    }
}
