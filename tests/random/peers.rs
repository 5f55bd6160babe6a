//! Random peers: overlapping ranges, names, lists, and exceptions within exceptions.

use super::{NAMES, Random, parsed};
use portgrave::diag::{FileId, Span};
use portgrave::model::{Action, Exception, ListRef, PeerPart, Peers, Source};

pub const NOWHERE: Span = Span { file: FileId(0), start: 0, end: 0 };

/// Overlapping, and close to the addresses of packets.
const WRITTEN: [&str; 18] = [
    "8.8.4.0/29",
    "8.8.4.4",
    "8.8.4.5",
    "8.8.4.4-8.8.4.6",
    "8.8.0.0/16",
    "8.8.4.0-8.8.4.5",
    "0.0.0.0/0",
    "10.0.0.0/8",
    "203.0.113.7",
    "203.0.113.255",
    "2a00::/64",
    "2a00::4",
    "2a00::5",
    "2a00::3-2a00::5",
    "2a00:9::/64",
    "::/0",
    "8.8.4.4/31",
    "2a00::4/127",
];

const LISTS: [&str; 4] = ["one", "two", "three", "none"];

/// The exceptions of a policy: what a group excepts is the same wherever the group stands.
pub struct Groups(Vec<Exception>);

impl Groups {
    pub fn new(random: &mut Random) -> Self {
        let mut groups = Self(Vec::new());
        for index in 0..4 {
            let parts = (0..1 + random.below(3)).map(|_| groups.part(random, false)).collect();
            groups.0.push(Exception { group: format!("except-{index}"), parts });
        }
        groups
    }

    /// A part of a rule's peers, or (without names) of an exception.
    fn part(&self, random: &mut Random, names: bool) -> PeerPart {
        let source = match random.below(14) {
            0 | 1 if names => Source::Any,
            0 => Source::Any,
            2 => Source::ResolvConf,
            3 if names => Source::Broadcast,
            4 | 5 => Source::List(list(random.pick(&LISTS))),
            6..=8 if names => Source::Name(parsed(random.pick(&NAMES))),
            _ => Source::Range(parsed(random.pick(&WRITTEN))),
        };
        PeerPart { source, except: self.exceptions(random) }
    }

    fn exceptions(&self, random: &mut Random) -> Vec<Exception> {
        if self.0.is_empty() || !random.one_in(4) {
            return Vec::new();
        }
        let mut except: Vec<Exception> =
            (0..1 + random.below(2)).map(|_| self.0[random.below(self.0.len())].clone()).collect();
        except.sort_unstable();
        except.dedup();
        except
    }

    pub fn peers(&self, random: &mut Random, action: Action) -> Peers {
        let mut parts: Vec<PeerPart> = (0..1 + random.below(3)).map(|_| self.part(random, true)).collect();
        // A deny never reaches a name.
        parts.retain(|part| action == Action::Allow || !matches!(part.source, Source::Name(_)));
        parts.sort_unstable();
        parts.dedup();
        Peers { written: Vec::new(), parts }
    }
}

fn list(name: &str) -> ListRef {
    ListRef { group: name.into(), path: name.into(), span: NOWHERE, min_entries: None, max_shrink: None }
}
