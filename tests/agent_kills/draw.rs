//! Who is killed, and when.

use super::numbers::Random;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    Agent,
    Worker,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// While the agent starts.
    Start,
    /// After it was told to reload.
    Reload,
    /// When answers come.
    Answer,
    /// While it saves what it has learnt, or just after.
    Saving,
    Any,
}

const VICTIMS: [Victim; 3] = [Victim::Agent, Victim::Worker, Victim::Both];
const MOMENTS: [Moment; 5] = [Moment::Start, Moment::Reload, Moment::Answer, Moment::Saving, Moment::Any];

#[derive(Debug)]
pub struct Draw {
    pub victim: Victim,
    pub moment: Moment,
    pub after: Duration,
}

/// Every victim at every kind of moment, in an order that is drawn, again and again.
pub struct Deck {
    random: Random,
    left: Vec<(Victim, Moment)>,
}

impl Deck {
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), left: Vec::new() }
    }

    pub fn draw(&mut self, may_be_worker: bool) -> Draw {
        if self.left.is_empty() {
            let at = |moment: Moment| VICTIMS.map(|victim| (victim, moment));
            self.left = MOMENTS.into_iter().flat_map(at).collect();
            self.random.shuffle(&mut self.left);
        }
        let may_be = |(victim, _): &(Victim, Moment)| may_be_worker || *victim != Victim::Worker;
        let (victim, moment) = match self.left.iter().position(may_be) {
            Some(place) => self.left.remove(place),
            None => (Victim::Both, Moment::Any),
        };
        let longest = match moment {
            Moment::Start => Duration::from_millis(150),
            Moment::Reload => Duration::from_millis(60),
            Moment::Answer => Duration::from_millis(15),
            Moment::Saving => Duration::from_micros(500),
            Moment::Any => Duration::from_millis(500),
        };
        Draw { victim, moment, after: self.within(longest) }
    }

    /// Some time, at most so much.
    pub fn within(&mut self, longest: Duration) -> Duration {
        let micros = usize::try_from(longest.as_micros()).expect("a short time");
        Duration::from_micros(u64::try_from(self.random.below(micros)).expect("a small number"))
    }
}
