//! Whom a question is about: the addresses of a prefix, a range or a group, in pieces that no rule tells further apart.

use super::answer::{Undecided, asked, packet};
use super::matching::holds;
use super::{AddressBook, BROADCAST, Host, Member, PeerPart, Policy, Question, Source, Way};
use crate::types::{AddrRange, Direction, Family, HostName};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Whom a packet comes from or goes to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    Range(AddrRange),
    Name(HostName),
}

/// What a question is asked of.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) policy: &'a Policy,
    pub(super) book: &'a AddressBook,
    pub(super) question: &'a Question,
}

/// Exceptions of exceptions are followed so far and no further.
const DEEPEST: usize = 16;

/// Exceptions are nested deeper.
struct TooDeep;

impl<'a> Asking<'a> {
    /// Who is asked about, in pieces that no rule tells further apart.
    pub(super) fn subjects(self) -> Result<Vec<Subject>, Undecided> {
        if self.question.way == Way::Forward {
            if let Host::Group(name) = &self.question.to.host {
                self.members(name)?;
            }
        }
        match &self.question.peer().host {
            Host::Range(range) => Ok(self.cut(&[], range).into_iter().map(Subject::Range).collect()),
            Host::Name(name) => Ok(vec![Subject::Name(name.clone())]),
            Host::Group(name) => self.members(name),
            Host::Own => Ok(Vec::new()),
        }
    }

    /// Each member of a group, of the family that the question is of.
    fn members(self, group: &str) -> Result<Vec<Subject>, Undecided> {
        if !self.policy.groups.contains_key(group) {
            return Err(Undecided::UnknownGroup(group.into()));
        }
        let (sources, excepted) = self.reached(group);
        let borders: Vec<&Source> = sources.iter().chain(&excepted).copied().collect();
        let mut pieces = BTreeSet::new();
        for source in sources {
            if let Source::Name(name) = source {
                pieces.insert(Subject::Name(name.clone()));
                continue;
            }
            let family = self.question.family();
            let held = held(self.book, source).into_iter();
            let held = held.filter(|range| family.is_none_or(|family| family == range.family()));
            pieces.extend(held.flat_map(|range| self.cut(&borders, &range)).map(Subject::Range));
        }
        let mut members = Vec::new();
        for piece in pieces {
            if self.is_member(group, &piece, DEEPEST).map_err(|TooDeep| Undecided::Tangled(group.into()))? {
                members.push(piece);
            }
        }
        if members.is_empty() { Err(Undecided::Nobody(group.into())) } else { Ok(members) }
    }

    /// Every source of a group, of groups in it too; and of all exceptions on the way.
    fn reached(self, group: &'a str) -> (Vec<&'a Source>, Vec<&'a Source>) {
        let (mut sources, mut excepted) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        let mut waiting = vec![(group, false)];
        while let Some((name, except)) = waiting.pop() {
            let Some(group) = self.policy.groups.get(name).filter(|_| seen.insert((name, except))) else {
                continue;
            };
            let members = group.members.iter().map(|member| (member, except));
            for (member, except) in members.chain(group.except.iter().map(|member| (member, true))) {
                match member {
                    Member::Source(source) if except => excepted.push(source),
                    Member::Source(source) => sources.push(source),
                    Member::Group(name) => waiting.push((name, except)),
                }
            }
        }
        (sources, excepted)
    }

    /// Whether a way leads from the group to the piece on which no group excepts it.
    fn is_member(self, group: &'a str, piece: &Subject, depth: usize) -> Result<bool, TooDeep> {
        let mut seen = BTreeSet::new();
        let mut waiting = vec![group];
        while let Some(name) = waiting.pop() {
            let Some(group) = self.policy.groups.get(name).filter(|_| seen.insert(name)) else { continue };
            if self.are_some(&group.except, piece, depth)? {
                continue;
            }
            for member in &group.members {
                match member {
                    Member::Source(source) if self.holds(source, piece) => return Ok(true),
                    Member::Source(_) => {}
                    Member::Group(name) => waiting.push(name),
                }
            }
        }
        Ok(false)
    }

    /// Whether one of the exceptions has the piece.
    fn are_some(self, except: &'a [Member], piece: &Subject, depth: usize) -> Result<bool, TooDeep> {
        for member in except {
            let holds = match member {
                Member::Source(source) => self.holds(source, piece),
                Member::Group(name) => self.is_member(name, piece, depth.checked_sub(1).ok_or(TooDeep)?)?,
            };
            if holds {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn holds(self, source: &Source, piece: &Subject) -> bool {
        let direction = if self.question.way == Way::In { Direction::In } else { Direction::Out };
        let family = self.question.family().unwrap_or(Family::V4);
        let packet = packet(self.book, self.question, direction, piece, family);
        holds(self.policy, source, self.book, &asked(self.question, piece, &packet))
    }

    /// A range cut wherever a rule, or one of these sources, tells its addresses apart.
    fn cut(self, sources: &[&Source], range: &AddrRange) -> Vec<AddrRange> {
        let (first, last) = range.bits();
        let mut starts = BTreeSet::from([first]);
        if !range.is_single() {
            let parts = self.policy.rules.iter().flat_map(|rule| &rule.peers.parts);
            parts.for_each(|part| add_part(self.book, part, range, &mut starts));
            sources.iter().for_each(|source| add_source(self.book, source, range, &mut starts));
        }
        let ends = starts.iter().skip(1).map(|next| next - 1).chain([last]);
        starts
            .iter()
            .zip(ends)
            .map(|(start, end)| AddrRange::from_bits(range.family(), *start, end))
            .collect()
    }
}

fn add_part(book: &AddressBook, part: &PeerPart, within: &AddrRange, starts: &mut BTreeSet<u128>) {
    add_source(book, &part.source, within, starts);
    for part in part.except.iter().flat_map(|exception| &exception.parts) {
        add_part(book, part, within, starts);
    }
}

fn add_source(book: &AddressBook, source: &Source, within: &AddrRange, starts: &mut BTreeSet<u128>) {
    let (low, high) = within.bits();
    for range in held(book, source).iter().filter(|range| range.family() == within.family()) {
        let (first, last) = range.bits();
        let borders = [Some(first), last.checked_add(1)];
        starts.extend(borders.into_iter().flatten().filter(|border| (low..=high).contains(border)));
    }
}

/// The addresses of a source that are known as such.
fn held(book: &AddressBook, source: &Source) -> Vec<AddrRange> {
    let single = |address: &IpAddr| AddrRange::single(*address);
    match source {
        Source::Range(range) => vec![*range],
        Source::ResolvConf => book.resolv_conf.iter().map(single).collect(),
        Source::Broadcast => book.broadcast.iter().chain([&BROADCAST]).map(single).collect(),
        Source::List(list) => book.lists.get(&list.path).into_iter().flat_map(|list| list.iter()).collect(),
        Source::Any => Family::BOTH.map(AddrRange::all).into(),
        Source::Name(name) => {
            book.names.get(name).into_iter().flatten().map(|learned| single(&learned.address)).collect()
        }
    }
}
