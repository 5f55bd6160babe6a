//! Peers as the sources that they come to, each less the exceptions on the way to it.

use super::merge::{Group, Merged, value};
use super::{Exception, ListRef, Member, PeerPart, Source};
use crate::policy::{Peer, Spanned};
use std::collections::{BTreeMap, BTreeSet};

/// Exceptions within exceptions are followed so far and no further.
const DEEPEST: usize = 8;

/// How much exceptions may come to, in sources with each of their exceptions and in ways through groups.
const MOST: usize = 1_000_000;

/// Exceptions are nested too deep, or come to too much.
#[derive(Debug)]
pub(super) struct Tangled;

/// The groups with exceptions on the way to something.
type Way<'a> = BTreeSet<&'a str>;

/// Sorted and without duplicates. No group may include itself.
pub(super) fn of<'a>(merged: &Merged<'a>, peers: &'a [Spanned<Peer>]) -> Result<Vec<PeerPart>, Tangled> {
    Walk { merged, left: MOST }.parts(peers.iter(), DEEPEST)
}

/// A group as it is written.
pub(super) fn written(name: &str, group: &Group) -> super::Group {
    let member = |peer: &Spanned<Peer>| match source(&peer.value) {
        Ok(source) => Member::Source(source),
        Err(group) => Member::Group(group.to_owned()),
    };
    let own = own_sources(name, group).into_iter().map(Member::Source);
    super::Group {
        members: own.chain(group.members().map(member)).collect(),
        except: group.except().map(member).collect(),
    }
}

/// What a peer stands for, or the group that it names.
fn source(peer: &Peer) -> Result<Source, &str> {
    Ok(match peer {
        Peer::Any => Source::Any,
        Peer::Broadcast => Source::Broadcast,
        Peer::Range(range) => Source::Range(*range),
        Peer::Name(name) => Source::Name(name.clone()),
        Peer::Group(name) => return Err(name),
    })
}

struct Walk<'m, 'a> {
    merged: &'m Merged<'a>,
    left: usize,
}

impl<'a> Walk<'_, 'a> {
    fn parts(
        &mut self,
        peers: impl Iterator<Item = &'a Spanned<Peer>>,
        depth: usize,
    ) -> Result<Vec<PeerPart>, Tangled> {
        let mut known: BTreeMap<&str, Exception> = BTreeMap::new();
        let mut parts = BTreeSet::new();
        for (source, ways) in self.sources(peers)? {
            for way in ways {
                let mut except = Vec::new();
                for group in way {
                    if !known.contains_key(group) {
                        known.insert(group, self.exception(group, depth)?);
                    }
                    except.extend(known.get(group).cloned());
                }
                let cost: usize = except.iter().map(size).sum();
                self.left = self.left.checked_sub(cost).ok_or(Tangled)?;
                parts.insert(PeerPart { source: source.clone(), except });
            }
        }
        Ok(parts.into_iter().collect())
    }

    fn exception(&mut self, group: &'a str, depth: usize) -> Result<Exception, Tangled> {
        let depth = depth.checked_sub(1).ok_or(Tangled)?;
        let peers: Vec<_> = self.merged.groups.get(group).into_iter().flat_map(Group::except).collect();
        Ok(Exception { group: group.to_owned(), parts: self.parts(peers.into_iter(), depth)? })
    }

    /// Every source, with the ways to it. Where one way has all exceptions of another, the other alone counts.
    fn sources(
        &mut self,
        peers: impl Iterator<Item = &'a Spanned<Peer>>,
    ) -> Result<BTreeMap<Source, Vec<Way<'a>>>, Tangled> {
        let mut found = BTreeMap::new();
        let mut visited: BTreeMap<&str, Vec<Way>> = BTreeMap::new();
        let mut waiting: Vec<(&str, Way)> = Vec::new();
        take(peers, &Way::new(), &mut found, &mut waiting);
        while let Some((name, mut way)) = waiting.pop() {
            let Some(group) = self.merged.groups.get(name) else { continue };
            if group.except().next().is_some() {
                way.insert(name);
            }
            let held = visited.entry(name).or_default();
            // Each way is compared with each: what is refused must not take long either.
            self.left = self.left.checked_sub(way.len() * (1 + held.len())).ok_or(Tangled)?;
            if !hold_shortest(held, &way) {
                continue;
            }
            for source in own_sources(name, group) {
                hold_shortest(found.entry(source).or_default(), &way);
            }
            take(group.members(), &way, &mut found, &mut waiting);
        }
        Ok(found)
    }
}

fn take<'a>(
    peers: impl Iterator<Item = &'a Spanned<Peer>>,
    way: &Way<'a>,
    found: &mut BTreeMap<Source, Vec<Way<'a>>>,
    waiting: &mut Vec<(&'a str, Way<'a>)>,
) {
    for peer in peers {
        match source(&peer.value) {
            Ok(source) => {
                hold_shortest(found.entry(source).or_default(), way);
            }
            Err(name) => waiting.push((name, way.clone())),
        }
    }
}

fn own_sources(name: &str, group: &Group) -> Vec<Source> {
    let Some(definition) = group.definition else { return Vec::new() };
    let list = definition.file.as_ref().map(|path| {
        Source::List(ListRef {
            group: name.to_owned(),
            path: path.value.clone(),
            span: path.span,
            min_entries: value(&definition.min_entries),
            max_shrink: value(&definition.max_shrink),
        })
    });
    list.into_iter().chain(definition.resolv_conf.then_some(Source::ResolvConf)).collect()
}

/// Whether no way has been as short or shorter; then it is held, in place of longer ones.
fn hold_shortest<'a>(ways: &mut Vec<Way<'a>>, way: &Way<'a>) -> bool {
    if ways.iter().any(|held| held.is_subset(way)) {
        return false;
    }
    ways.retain(|held| !way.is_subset(held));
    ways.push(way.clone());
    true
}

fn size(exception: &Exception) -> usize {
    1 + exception.parts.iter().map(|part| 1 + part.except.iter().map(size).sum::<usize>()).sum::<usize>()
}
