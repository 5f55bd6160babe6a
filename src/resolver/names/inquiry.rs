//! What is known of one question: its last outcome, and how often the same came in a row.

use crate::resolver::book::Ms;
use crate::resolver::outcome::Failure;
use std::net::IpAddr;

/// For so long a name must be away before it is gone.
const GONE_AFTER: Ms = 600_000;
const GONE_TIMES: u32 = 3;

#[derive(Default)]
pub(super) struct Inquiry {
    /// `None`: nobody has answered yet.
    pub last: Option<Result<(), Failure>>,
    /// After an answer with addresses: when it is due again at the latest.
    pub promised: Ms,
    /// Failures of servers in a row.
    pub failures: u32,
    /// Times in a row that nobody answered at all, not even with a failure.
    pub strandings: u32,
    /// Answers in a row that had new addresses.
    pub looks: u32,
    pub no_name: Option<NoName>,
    /// What the last answer had that the name may not have.
    pub rejected: Vec<(IpAddr, &'static str)>,
    pub warned_of_many: bool,
}

/// Servers say that there is no such name.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoName {
    pub times: u32,
    since: Ms,
    /// Who said so last.
    pub server: Option<IpAddr>,
    by_two: bool,
    /// The latest.
    until: Ms,
}

impl NoName {
    fn after(before: Option<Self>, server: Option<IpAddr>, now: Ms) -> Self {
        match before {
            None => Self { times: 1, since: now, server, by_two: false, until: now },
            Some(before) => Self {
                times: before.times.saturating_add(1),
                by_two: before.by_two || before.server != server,
                server,
                until: now,
                ..before
            },
        }
    }

    /// Whether they have said it often and long enough, and more than one of them, unless there is one only.
    pub(super) fn is_gone(&self, alone: bool) -> bool {
        self.times >= GONE_TIMES && self.until - self.since >= GONE_AFTER && (self.by_two || alone)
    }
}

impl Inquiry {
    /// What came of it. Failures of servers say nothing of the name.
    pub(super) fn ended(&mut self, outcome: Result<(), Failure>, server: Option<IpAddr>, now: Ms) {
        self.last = Some(outcome);
        self.strandings = 0;
        match outcome {
            Err(failure) if !failure.is_of_the_name() => self.failures = self.failures.saturating_add(1),
            Err(Failure::NxDomain { .. }) => {
                self.failures = 0;
                self.no_name = Some(NoName::after(self.no_name, server, now));
            }
            Ok(()) | Err(_) => {
                self.failures = 0;
                self.no_name = None;
            }
        }
        if outcome.is_err() {
            self.looks = 0;
        }
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        self.last.and_then(Result::err)
    }

    /// The name is there, even if without addresses.
    pub(super) fn says_it_is_there(&self) -> bool {
        matches!(self.last, Some(Ok(()) | Err(Failure::NoData { .. })))
    }
}
