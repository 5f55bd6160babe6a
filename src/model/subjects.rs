//! Whom a question is about: the addresses of a prefix, a range or a group, in pieces that no rule tells further apart.

use super::answer::{Undecided, asked, packet};
use super::matching::is_excepted;
use super::{AddressBook, BROADCAST, Host, PeerPart, Policy, Question, Source, Way};
use crate::types::{AddrRange, Direction, Family, HostName};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Whom a packet comes from or goes to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    Range(AddrRange),
    Name(HostName),
}

/// Who is asked about, in pieces that no rule tells further apart.
pub(super) fn subjects(
    policy: &Policy,
    book: &AddressBook,
    question: &Question,
) -> Result<Vec<Subject>, Undecided> {
    if question.way == Way::Forward {
        if let Host::Group(name) = &question.to.host {
            members(policy, book, question, name)?;
        }
    }
    match &question.peer().host {
        Host::Range(range) => Ok(cut(policy, book, &[], range).into_iter().map(Subject::Range).collect()),
        Host::Name(name) => Ok(vec![Subject::Name(name.clone())]),
        Host::Group(name) => members(policy, book, question, name),
        Host::Own => Ok(Vec::new()),
    }
}

/// Each member of a group, of the family that the question is of.
fn members(
    policy: &Policy,
    book: &AddressBook,
    question: &Question,
    group: &str,
) -> Result<Vec<Subject>, Undecided> {
    let peers = policy.groups.get(group).ok_or_else(|| Undecided::UnknownGroup(group.into()))?;
    let mut found = BTreeSet::new();
    for part in &peers.parts {
        let subjects: Vec<Subject> = if let Source::Name(name) = &part.source {
            vec![Subject::Name(name.clone())]
        } else {
            let family = |range: &AddrRange| question.family().is_none_or(|family| family == range.family());
            let held = held(book, &part.source).into_iter().filter(family);
            held.flat_map(|range| cut(policy, book, &peers.parts, &range)).map(Subject::Range).collect()
        };
        found.extend(
            subjects.into_iter().filter(|subject| !is_outside(policy, book, question, part, subject)),
        );
    }
    if found.is_empty() { Err(Undecided::Nobody(group.into())) } else { Ok(found.into_iter().collect()) }
}

/// Whether an exception takes a subject out of a group's part.
fn is_outside(
    policy: &Policy,
    book: &AddressBook,
    question: &Question,
    part: &PeerPart,
    subject: &Subject,
) -> bool {
    let family = question.family().unwrap_or(Family::V4);
    let packet = packet(book, question, Direction::Out, subject, family);
    is_excepted(policy, part, book, &asked(question, subject, &packet))
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

/// A range cut wherever a rule, or one of these parts, tells its addresses apart.
fn cut(policy: &Policy, book: &AddressBook, parts: &[PeerPart], range: &AddrRange) -> Vec<AddrRange> {
    let (first, last) = range.bits();
    let mut starts = BTreeSet::from([first]);
    if !range.is_single() {
        let of_rules = policy.rules.iter().flat_map(|rule| &rule.peers.parts);
        of_rules.chain(parts).for_each(|part| add_starts(book, part, range, &mut starts));
    }
    let ends = starts.iter().skip(1).map(|next| next - 1).chain([last]);
    starts.iter().zip(ends).map(|(start, end)| AddrRange::from_bits(range.family(), *start, end)).collect()
}

fn add_starts(book: &AddressBook, part: &PeerPart, within: &AddrRange, starts: &mut BTreeSet<u128>) {
    let (low, high) = within.bits();
    for range in held(book, &part.source).iter().filter(|range| range.family() == within.family()) {
        let (first, last) = range.bits();
        let borders = [Some(first), last.checked_add(1)];
        starts.extend(borders.into_iter().flatten().filter(|border| (low..=high).contains(border)));
    }
    for part in part.except.iter().flat_map(|exception| &exception.parts) {
        add_starts(book, part, within, starts);
    }
}
