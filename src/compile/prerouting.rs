//! What has to be dropped before the kernel decides where a packet goes.

use super::Build;
use crate::model::BaselineRule;
use crate::ruleset::{BaseChain, Chain, ChainPolicy, Hook, Part, RuleBuilder, Verdict};
use crate::types::{Direction, Family};

/// The priority of `raw` in nftables: before connection tracking, so that what is dropped leaves no entry there.
const RAW_PRIORITY: i32 = -300;

impl Build<'_> {
    /// Loopback addresses from another interface. The kernel drops them as martians, after this hook and uncounted, or
    /// lets them in where `route_localnet` is set. ::1 never comes here: the kernel drops it when it reads the header.
    pub(super) fn prerouting_chain(&mut self) {
        if !self.has(BaselineRule::Loopback) {
            return;
        }
        let base = BaseChain { hook: Hook::Prerouting, priority: RAW_PRIORITY, policy: ChainPolicy::Accept };
        let chain = Chain { base: Some(base), rules: Vec::new() };
        self.ruleset.chains.insert("prerouting".into(), chain);
        let dropped = self.counter(Direction::In, "baseline.loopback.dropped", None);
        let loopback = "127.0.0.0/8".parse().expect("a prefix");
        let source = Part::Peer(Direction::In, Family::V4);
        let rule = RuleBuilder::new().address_in(source, loopback, false).from_interface_other_than("lo");
        self.append("prerouting", rule.counter(&dropped).verdict(Verdict::Drop));
    }
}
