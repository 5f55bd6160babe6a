use super::schedule::Kind;
use super::*;
use crate::resolver::outcome::{Answer, Failure, Lookup};
use crate::types::RuleName;

mod caps;
mod kernel;
mod lives;
mod outcomes;
mod random;
mod simulation;
mod turns;

const START: u64 = 1_000_000;
const V4: Family = Family::V4;
const V6: Family = Family::V6;
const NODATA: Failure = Failure::NoData { seconds: None };
const NXDOMAIN: Failure = Failure::NxDomain { seconds: None };

fn name(text: &str) -> HostName {
    text.parse().unwrap()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn keeping() -> Keeping {
    Keeping { floor: seconds(60), cap: seconds(86_400), grace: seconds(300), max_stale: seconds(86_400) }
}

fn wanted(names: &[&str]) -> Wanted {
    let names = names.iter().map(|text| (name(text), keeping())).collect();
    Wanted { names, ..Wanted::default() }
}

/// Asked at one server only.
fn alone(text: &str) -> Wanted {
    Wanted { alone: [name(text)].into(), ..wanted(&[text]) }
}

fn rule(text: &str, names: &[&str]) -> (RuleName, BTreeSet<HostName>) {
    (text.parse().unwrap(), names.iter().map(|text| name(text)).collect())
}

fn private(_: &HostName, address: IpAddr) -> Option<&'static str> {
    address.to_string().starts_with("10.").then_some("private")
}

fn lookup(server: &str, outcome: Result<&[(&str, u32)], Failure>) -> Lookup {
    let outcome = outcome.map(|list| Answer {
        addresses: list.iter().map(|(text, ttl)| (address(text), *ttl)).collect(),
        left_out: 0,
    });
    Lookup { server: Some(format!("{server}:53").parse().unwrap()), outcome }
}

/// Names at a moment.
struct Lab {
    names: Names,
    now: Duration,
}

impl Lab {
    fn of(names: &[&str]) -> Self {
        Self::with(wanted(names))
    }

    fn with(wanted: Wanted) -> Self {
        let now = seconds(START);
        let mut names = Names::new(7);
        names.want(wanted, now);
        Self { names, now }
    }

    /// Goes on to a second since the start.
    fn at(&mut self, second: u64) -> &mut Self {
        let now = seconds(START + second);
        assert!(now >= self.now, "time goes on");
        self.now = now;
        self
    }

    /// Asks, due or not, and ends the question.
    fn end(&mut self, name: &str, family: Family, outcome: Result<&[(&str, u32)], Failure>) -> Change {
        self.end_by("192.0.2.53", name, family, outcome)
    }

    fn end_by(
        &mut self,
        server: &str,
        text: &str,
        family: Family,
        outcome: Result<&[(&str, u32)], Failure>,
    ) -> Change {
        let question = self.question(text, family);
        self.names.schedule.send(question, self.now().0);
        self.names.answered(&name(text), family, &lookup(server, outcome), &private, self.now)
    }

    fn good(&mut self, text: &str, list: &[(&str, u32)]) -> Change {
        self.end(text, Family::of(address(list[0].0)), Ok(list))
    }

    fn now(&self) -> (Ms, Duration) {
        (ms(self.now), self.now)
    }

    fn question(&self, text: &str, family: Family) -> QuestionId {
        question(self.names.book.id(&name(text)).unwrap(), family)
    }

    /// How long from now until a question goes out, in milliseconds, and as what.
    fn waits(&self, text: &str, family: Family) -> (Ms, Kind) {
        let question = self.question(text, family);
        let at = self.names.schedule.at(question).expect("the question waits");
        (at - self.now().0, self.names.schedule.kind(question).unwrap())
    }

    /// What is left of the lives of a name's addresses, in seconds.
    fn lives(&self, text: &str) -> Vec<(String, u64)> {
        let book = self.names.book_now(self.now);
        book[&name(text)].iter().map(|left| (left.address.to_string(), left.remaining.as_secs())).collect()
    }

    fn report(&self, text: &str) -> NameReport {
        self.names.report(self.now).into_iter().find(|report| report.name == text).expect("it is wanted")
    }

    /// The kernel takes what a change asks for.
    fn write(&mut self, change: &Change) {
        let lives = self.names.addresses(&change.addresses, self.now);
        self.names.written(&lives, self.now);
    }

    fn asks(&mut self) -> Vec<Ask> {
        self.names.due(self.now).questions
    }
}

fn told(list: &[(&str, u64)]) -> Vec<(String, u64)> {
    list.iter().map(|(address, seconds)| ((*address).to_owned(), *seconds)).collect()
}

fn texts(change: &Change) -> Vec<String> {
    change.warnings.iter().map(Warning::to_string).collect()
}

fn set(list: &[&str]) -> BTreeSet<IpAddr> {
    list.iter().map(|text| address(text)).collect()
}
