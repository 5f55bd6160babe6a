//! The course of one question through the servers: whom to ask next, and what to say when nobody is left.

use super::outcome::Failure;

/// How a server stands in one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Unasked,
    /// It let the first wait pass.
    Silent,
    /// It failed, or let both pass.
    Out,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Ask the server with this index; `again`: for the second time, with the longer wait.
    Ask {
        server: usize,
        again: bool,
    },
    /// Those that may be asked have enough to do.
    Wait,
    GiveUp,
}

/// Each server is asked once with the short wait, then each that was silent once more with the long one. A server that
/// fails is not asked again.
#[derive(Clone, Debug)]
pub(super) struct Course {
    standing: Vec<Standing>,
    said: Option<(usize, Failure)>,
    /// A server that said NOERROR and nothing else.
    empty: Option<usize>,
    unheard: Option<(usize, Failure)>,
}

impl Course {
    pub(super) fn new(servers: usize) -> Self {
        Self { standing: vec![Standing::Unasked; servers], said: None, empty: None, unheard: None }
    }

    /// `preference` has the servers' indexes, best first; `free` says whether a server may be asked now.
    pub(super) fn next(&self, preference: &[usize], free: impl Fn(usize) -> bool) -> Next {
        for (standing, again) in [(Standing::Unasked, false), (Standing::Silent, true)] {
            let mut those = preference.iter().filter(|server| self.standing[**server] == standing).peekable();
            if those.peek().is_some() {
                return those
                    .find(|server| free(**server))
                    .map_or(Next::Wait, |&server| Next::Ask { server, again });
            }
        }
        Next::GiveUp
    }

    pub(super) fn silent(&mut self, server: usize, again: bool) {
        self.standing[server] = if again { Standing::Out } else { Standing::Silent };
        self.unheard = Some((server, Failure::Timeout));
    }

    pub(super) fn failed(&mut self, server: usize, failure: Failure) {
        self.standing[server] = Standing::Out;
        if failure.is_said() {
            self.said = Some((server, failure));
        } else {
            self.unheard = Some((server, failure));
        }
    }

    pub(super) fn empty(&mut self, server: usize) {
        self.standing[server] = Standing::Out;
        self.empty = Some(server);
    }

    /// What the question comes to without an answer. A bare NOERROR that nobody contradicts means no data (RFC 2308,
    /// 2.2, type 3).
    pub(super) fn verdict(&self) -> (Option<usize>, Failure) {
        let empty = self.empty.map(|server| (server, Failure::NoData { seconds: None }));
        match self.said.or(empty).or(self.unheard) {
            Some((server, failure)) => (Some(server), failure),
            None if self.standing.is_empty() => (None, Failure::NoServers),
            None => (None, Failure::Timeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(course: &Course) -> Next {
        course.next(&[0, 1], |_| true)
    }

    #[test]
    fn every_server_is_asked_once_before_a_silent_one_is_asked_again() {
        let mut course = Course::new(2);
        for (server, again) in [(0, false), (1, false), (0, true), (1, true)] {
            assert_eq!(next(&course), Next::Ask { server, again });
            course.silent(server, again);
        }
        assert_eq!(next(&course), Next::GiveUp);
        assert_eq!(course.verdict(), (Some(1), Failure::Timeout));
    }

    #[test]
    fn a_server_that_fails_is_not_asked_again_and_its_word_outweighs_silence() {
        let mut course = Course::new(2);
        course.failed(0, Failure::ServFail);
        course.silent(1, false);
        assert_eq!(next(&course), Next::Ask { server: 1, again: true });
        course.silent(1, true);
        assert_eq!(next(&course), Next::GiveUp);
        assert_eq!(course.verdict(), (Some(0), Failure::ServFail));
    }

    #[test]
    fn a_bare_noerror_is_no_data_only_if_no_server_failed_otherwise() {
        let mut course = Course::new(2);
        course.empty(0);
        assert_eq!(course.verdict(), (Some(0), Failure::NoData { seconds: None }));
        course.failed(1, Failure::Refused);
        assert_eq!(course.verdict(), (Some(1), Failure::Refused));
    }

    #[test]
    fn a_busy_server_is_waited_for_unless_another_one_is_free() {
        let course = Course::new(2);
        assert_eq!(course.next(&[1, 0], |server| server == 0), Next::Ask { server: 0, again: false });
        assert_eq!(course.next(&[1, 0], |_| false), Next::Wait);
    }

    #[test]
    fn without_servers_the_failure_says_so() {
        assert_eq!(next_of_none().verdict(), (None, Failure::NoServers));
    }

    fn next_of_none() -> Course {
        let course = Course::new(0);
        assert_eq!(course.next(&[], |_| true), Next::GiveUp);
        course
    }
}
