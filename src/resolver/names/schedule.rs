//! Which question goes out when: deadlines, slots, and the rate.

use crate::resolver::book::{LONGEST_QUESTION, Ms};
use std::collections::BTreeSet;

/// A name's number, doubled, and one more for the second family.
pub(super) type QuestionId = u32;

/// What kind of question it is. Each has its turn, so that none starves another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It was answered, and the answer ends.
    Known,
    /// It was never asked, or shows new addresses each time.
    New,
    /// It failed the last time.
    Failing,
}

use Kind::{Failing, Known, New};

/// Questions in flight, of all kinds.
const SLOTS: usize = 128;

impl Kind {
    fn index(self) -> usize {
        self as usize
    }

    /// Some slots are left to questions that are likely to be answered at once.
    fn slots(self) -> usize {
        match self {
            Known => SLOTS,
            New => SLOTS / 2,
            Failing => SLOTS / 4,
        }
    }
}

/// Whose turn it is, and who comes when those have nothing to ask.
const TURNS: [[Kind; 3]; 4] =
    [[Known, New, Failing], [New, Known, Failing], [Known, New, Failing], [Failing, Known, New]];

/// One question in this time: 200 a second.
const EACH: Ms = 5;
/// Questions that may go at once after a pause.
const BURST: Ms = 32;
/// Where the rate is the limit, it is not worth waking up for fewer.
const WORTHWHILE: Ms = 10;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Nowhere,
    Waiting(Kind, Ms),
    /// For its turn among the new ones, and from the second moment on among the known ones.
    Looking(Ms, Ms),
    /// In flight, until then at the latest.
    Flying(Kind, Ms),
}

#[derive(Default)]
pub(super) struct Schedule {
    places: Vec<Place>,
    waiting: [BTreeSet<(Ms, QuestionId)>; 3],
    /// When those that look for more are due at the latest.
    looking: BTreeSet<(Ms, QuestionId)>,
    flying: BTreeSet<(Ms, QuestionId)>,
    in_flight: [usize; 3],
    turn: usize,
    /// When all that was sent would have been sent at an even pace.
    paced: Ms,
}

impl Schedule {
    /// Puts a question at a moment, wherever it was.
    pub(super) fn put(&mut self, question: QuestionId, kind: Kind, at: Ms) {
        self.withdraw(question);
        self.waiting[kind.index()].insert((at, question));
        self.set_place(question, Place::Waiting(kind, at));
    }

    /// A question that may show more addresses before its answer ends: while there are very many new ones it must not miss that moment.
    pub(super) fn look(&mut self, question: QuestionId, at: Ms, end: Ms) {
        self.put(question, New, at);
        self.looking.insert((end, question));
        self.set_place(question, Place::Looking(at, end));
    }

    pub(super) fn withdraw(&mut self, question: QuestionId) {
        match self.place(question) {
            Place::Nowhere => {}
            Place::Waiting(kind, at) => {
                self.waiting[kind.index()].remove(&(at, question));
            }
            Place::Looking(at, end) => {
                self.waiting[New.index()].remove(&(at, question));
                self.looking.remove(&(end, question));
            }
            Place::Flying(kind, until) => {
                self.flying.remove(&(until, question));
                self.in_flight[kind.index()] -= 1;
            }
        }
        self.set_place(question, Place::Nowhere);
    }

    /// What goes out now.
    pub(super) fn take(&mut self, now: Ms) -> Vec<QuestionId> {
        while let Some((end, question)) = self.looking.first().copied().filter(|(end, _)| *end <= now) {
            self.put(question, Known, end);
        }
        let mut sent = Vec::new();
        while self.may_send(now) {
            let due = |kind: &&Kind| self.has_room(**kind) && self.first(**kind).is_some_and(|at| at <= now);
            let Some(kind) = TURNS[self.turn].iter().find(due).copied() else { break };
            let Some((_, question)) = self.waiting[kind.index()].first().copied() else { break };
            self.send(question, now);
            self.turn = (self.turn + 1) % TURNS.len();
            self.paced = self.paced.max(now) + EACH;
            sent.push(question);
        }
        sent
    }

    /// What waits although its moment has come.
    pub(super) fn due(&self, now: Ms) -> Vec<QuestionId> {
        let come = |queue: &'_ BTreeSet<(Ms, QuestionId)>| {
            queue.range(..=(now, QuestionId::MAX)).map(|(_, question)| *question).collect::<Vec<_>>()
        };
        self.waiting.iter().flat_map(come).collect()
    }

    /// A waiting question goes out, whatever the limits.
    pub(super) fn send(&mut self, question: QuestionId, now: Ms) {
        if let (Some(kind), Some(_)) = (self.kind(question), self.at(question)) {
            self.withdraw(question);
            self.fly(question, kind, now + LONGEST_QUESTION);
        }
    }

    pub(super) fn is_flying(&self, question: QuestionId) -> bool {
        matches!(self.place(question), Place::Flying(..))
    }

    /// When a waiting question goes out at the earliest.
    pub(super) fn at(&self, question: QuestionId) -> Option<Ms> {
        match self.place(question) {
            Place::Waiting(_, at) | Place::Looking(at, _) => Some(at),
            Place::Nowhere | Place::Flying(..) => None,
        }
    }

    pub(super) fn kind(&self, question: QuestionId) -> Option<Kind> {
        match self.place(question) {
            Place::Waiting(kind, _) | Place::Flying(kind, _) => Some(kind),
            Place::Looking(..) => Some(New),
            Place::Nowhere => None,
        }
    }

    pub(super) fn flying(&self) -> Vec<QuestionId> {
        self.flying.iter().map(|(_, question)| *question).collect()
    }

    /// Questions that nobody has answered in time.
    pub(super) fn overdue(&self, now: Ms) -> Vec<QuestionId> {
        self.flying.iter().take_while(|(until, _)| *until <= now).map(|(_, question)| *question).collect()
    }

    /// Time has passed in which nobody could answer.
    pub(super) fn stood_still(&mut self, by: Ms) {
        for question in self.flying() {
            if let Place::Flying(kind, until) = self.place(question) {
                self.withdraw(question);
                self.fly(question, kind, until + by);
            }
        }
    }

    pub(super) fn failing(&self) -> Vec<QuestionId> {
        self.waiting[Failing.index()].iter().map(|(_, question)| *question).collect()
    }

    /// The moment at which there is something to do.
    pub(super) fn next(&self, now: Ms) -> Option<Ms> {
        let heads = [Known, New, Failing].into_iter().filter(|kind| self.has_room(*kind));
        let head = heads.filter_map(|kind| self.first(kind)).min();
        let may_send = if self.may_send(now) { now } else { self.paced - (BURST - WORTHWHILE) * EACH };
        let overdue = self.flying.first().map(|(until, _)| *until);
        let looking = self.looking.first().map(|(end, _)| *end);
        head.map(|head| head.max(may_send)).into_iter().chain(overdue).chain(looking).min()
    }

    fn fly(&mut self, question: QuestionId, kind: Kind, until: Ms) {
        self.flying.insert((until, question));
        self.in_flight[kind.index()] += 1;
        self.set_place(question, Place::Flying(kind, until));
    }

    fn may_send(&self, now: Ms) -> bool {
        self.paced <= now + (BURST - 1) * EACH
    }

    fn has_room(&self, kind: Kind) -> bool {
        self.flying.len() < SLOTS && self.in_flight[kind.index()] < kind.slots()
    }

    fn first(&self, kind: Kind) -> Option<Ms> {
        self.waiting[kind.index()].first().map(|(at, _)| *at)
    }

    fn place(&self, question: QuestionId) -> Place {
        self.places.get(question as usize).copied().unwrap_or_default()
    }

    fn set_place(&mut self, question: QuestionId, place: Place) {
        let index = question as usize;
        if index >= self.places.len() {
            self.places.resize(index + 1, Place::Nowhere);
        }
        self.places[index] = place;
    }
}
