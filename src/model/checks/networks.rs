//! `allow-net`: networks that no name may stand for, whatever a policy says.

use super::super::draft::Draft;
use super::super::never::{self, opens_nothing};
use crate::diag::Findings;

pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    for group in draft.merged.groups.values() {
        let networks = group.definition.and_then(|definition| definition.allow_net.as_ref());
        for network in networks.iter().flat_map(|networks| &networks.value) {
            if never::is_no_network_of_hosts(&network.value) {
                findings.push(opens_nothing(&network.value).at(network.span));
            }
        }
    }
}
