//! `broadcast` where it means nothing: this machine sends to its broadcast addresses, nothing comes from them.

use super::super::RuleDirection;
use super::super::draft::Draft;
use crate::diag::{Finding, Findings};
use crate::policy::{Peer, Spanned};

pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    for rule in draft.rules.iter().filter(|rule| rule.entry.direction.value == RuleDirection::In) {
        for peer in rule.entry.peers.value.iter().filter(is_broadcast) {
            findings.push(
                Finding::error("PG311", "\"broadcast\" in a rule for incoming connections")
                    .at(peer.span)
                    .also(rule.entry.direction.span, "only incoming")
                    .help(
                        "nothing comes from a broadcast address: leave it out and name the senders, or let \
                         this machine send too with `direction = \"both\"`",
                    ),
            );
        }
    }
}

fn is_broadcast(peer: &&Spanned<Peer>) -> bool {
    peer.value == Peer::Broadcast
}
