//! Who is killed, and when.

use super::numbers::Random;
use super::within;
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

impl Draw {
    pub const KINDS: usize = VICTIMS.len() * MOMENTS.len();

    pub fn of(random: &mut Random, may_be_worker: bool) -> Self {
        let victims = if may_be_worker { &VICTIMS[..] } else { &[Victim::Agent, Victim::Both] };
        let (victim, moment) = (random.pick(victims), random.pick(&MOMENTS));
        let longest = match moment {
            Moment::Start => Duration::from_millis(150),
            Moment::Reload => Duration::from_millis(60),
            Moment::Answer => Duration::from_millis(15),
            Moment::Saving => Duration::from_micros(500),
            Moment::Any => Duration::from_millis(500),
        };
        Self { victim, moment, after: within(random, longest) }
    }
}
