//! Faults for a compiled ruleset, each of a kind that a compiler could make. They return whether the ruleset had the place
//! for it.

use super::random::Random;
use portgrave::ruleset::{ElementKey, Elements, Expr, Field, MetaKey, Rule, Ruleset, Set, SetData};

pub type Fault = fn(&mut Ruleset, &mut Random) -> bool;

/// Two elements of a map lead to each other's counters.
pub fn counters_of_two_elements_swapped(ruleset: &mut Ruleset, random: &mut Random) -> bool {
    let maps = ruleset.sets.values_mut().filter(|set| matches!(set.data, SetData::Object(_)));
    let mut pairs = Vec::new();
    for map in maps {
        let Elements::Known(elements) = &mut map.elements else { continue };
        let mut values = elements.values_mut();
        let Some(one) = values.next() else { continue };
        if let Some(other) = values.find(|value| value.object != one.object) {
            pairs.push((one, other));
        }
    }
    if pairs.is_empty() {
        return false;
    }
    let (one, other) = pairs.swap_remove(random.below(pairs.len()));
    std::mem::swap(&mut one.object, &mut other.object);
    true
}

/// A cell of addresses has one more.
pub fn cell_widened_by_one_address(ruleset: &mut Ruleset, random: &mut Random) -> bool {
    let mut places = Vec::new();
    for (name, set) in &ruleset.sets {
        let Elements::Known(elements) = &set.elements else { continue };
        let keys = elements.keys().filter(|key| wider(set, key).is_some());
        places.extend(keys.map(|key| (name.clone(), key.clone())));
    }
    if places.is_empty() {
        return false;
    }
    let (name, key) = places.swap_remove(random.below(places.len()));
    let Some(set) = ruleset.sets.get_mut(&name) else { return false };
    let Some(wider) = wider(set, &key) else { return false };
    let Elements::Known(elements) = &mut set.elements else { return false };
    let value = elements.remove(&key).unwrap_or_default();
    elements.insert(wider, value);
    true
}

/// The key with one address more at its end, where no other element begins.
fn wider(set: &Set, key: &ElementKey) -> Option<ElementKey> {
    if !set.interval || !matches!(set.key[0], Field::Ipv4Addr | Field::Ipv6Addr) {
        return None;
    }
    let octets = set.key[0].octets();
    let mut last = key.last.clone()?.into_vec();
    let lowest = last[..octets].iter().rposition(|octet| *octet != 0xff)?;
    last[lowest] += 1;
    last[lowest + 1..octets].fill(0);
    let wider = ElementKey { first: key.first.clone(), last: Some(last.into_boxed_slice()) };
    let overlaps = |other: &ElementKey| other != key && overlap(set, other, &wider);
    (!set.elements.known()?.keys().any(overlaps)).then_some(wider)
}

fn overlap(set: &Set, one: &ElementKey, other: &ElementKey) -> bool {
    let last = |key: &ElementKey| key.last.clone().unwrap_or_else(|| key.first.clone());
    let (one_last, other_last) = (last(one), last(other));
    let mut at = 0;
    set.key.iter().all(|field| {
        let range = at..at + field.padded_len();
        at = range.end;
        one.first[range.clone()] <= other_last[range.clone()] && other.first[range.clone()] <= one_last[range]
    })
}

/// A chain does not ask one of its maps.
pub fn stage_left_out(ruleset: &mut Ruleset, random: &mut Random) -> bool {
    remove_one(ruleset, random, |rule| {
        stage(rule)
            .is_some_and(|map| map.contains(".allow") || map.contains(".deny") || map.contains(".reject"))
    })
}

fn remove_one(ruleset: &mut Ruleset, random: &mut Random, wanted: impl Fn(&Rule) -> bool) -> bool {
    let mut places = Vec::new();
    for (name, chain) in &ruleset.chains {
        let found = chain.rules.iter().enumerate().filter(|(_, rule)| wanted(rule));
        places.extend(found.map(|(index, _)| (name.clone(), index)));
    }
    if places.is_empty() {
        return false;
    }
    let (name, index) = places.swap_remove(random.below(places.len()));
    ruleset.chains.get_mut(&name).is_some_and(|chain| {
        chain.rules.remove(index);
        true
    })
}

/// The map that a rule asks.
fn stage(rule: &Rule) -> Option<&str> {
    rule.exprs.iter().find_map(|expr| match expr {
        Expr::ObjectMap { map, .. } | Expr::Lookup { set: map, verdict: true, .. } => Some(map.as_str()),
        Expr::Lookup { .. }
        | Expr::Meta { .. }
        | Expr::Ct { .. }
        | Expr::Payload { .. }
        | Expr::Bitwise { .. }
        | Expr::Cmp { .. }
        | Expr::Object { .. }
        | Expr::Verdict(_)
        | Expr::Limit { .. }
        | Expr::Log { .. }
        | Expr::Reject(_)
        | Expr::Dynset { .. }
        | Expr::Foreign(_) => None,
    })
}

/// A chain asks what is allowed before what is denied.
pub fn allow_before_deny(ruleset: &mut Ruleset, random: &mut Random) -> bool {
    let mut places = Vec::new();
    for (name, chain) in &ruleset.chains {
        let position = |action: &str| {
            chain.rules.iter().position(|rule| stage(rule).is_some_and(|map| map.contains(action)))
        };
        if let (Some(deny), Some(allow)) = (position(".deny"), position(".allow")) {
            places.push((name.clone(), deny, allow));
        }
    }
    if places.is_empty() {
        return false;
    }
    let (name, deny, allow) = places.swap_remove(random.below(places.len()));
    if let Some(chain) = ruleset.chains.get_mut(&name) {
        chain.rules.swap(deny, allow);
    }
    true
}

/// A rule holds on every interface.
pub fn interface_not_asked(ruleset: &mut Ruleset, random: &mut Random) -> bool {
    condition_left_out(ruleset, random, &[MetaKey::IifName, MetaKey::OifName])
}

/// A rule holds for every user.
pub fn user_not_asked(ruleset: &mut Ruleset, random: &mut Random) -> bool {
    condition_left_out(ruleset, random, &[MetaKey::SkUid])
}

/// Loading what is compared stays, comparing goes.
fn condition_left_out(ruleset: &mut Ruleset, random: &mut Random, keys: &[MetaKey]) -> bool {
    let asks =
        |pair: &[Expr]| matches!(pair, [Expr::Meta { key, .. }, Expr::Cmp { .. }] if keys.contains(key));
    let position = |rule: &Rule| rule.exprs.windows(2).position(asks).map(|at| at + 1);
    leave_out(ruleset, random, |chain| chain.contains(".rule."), position)
}

/// A name may stand for those addresses alone that no name may stand for. (Addresses that no name may have never come into
/// a set, so that leaving the guard out changes nothing by itself.)
pub fn guard_of_names_turned_round(ruleset: &mut Ruleset, random: &mut Random) -> bool {
    let mut guards = Vec::new();
    for rule in ruleset.chains.values_mut().flat_map(|chain| &mut chain.rules) {
        for expr in &mut rule.exprs {
            if let Expr::Lookup { set, invert, .. } = expr {
                if set.starts_with("never") {
                    guards.push(invert);
                }
            }
        }
    }
    if guards.is_empty() {
        return false;
    }
    let at = random.below(guards.len());
    *guards[at] ^= true;
    true
}

/// What a group excepts is not.
pub fn exception_not_asked(ruleset: &mut Ruleset, random: &mut Random) -> bool {
    let except =
        |expr: &Expr| matches!(expr, Expr::Lookup { set, invert: true, .. } if set.starts_with("except"));
    leave_out(ruleset, random, |_| true, |rule| rule.exprs.iter().position(except))
}

/// Takes one expression out of a rule.
fn leave_out(
    ruleset: &mut Ruleset,
    random: &mut Random,
    chain: impl Fn(&str) -> bool,
    position: impl Fn(&Rule) -> Option<usize>,
) -> bool {
    let mut places: Vec<(&mut Rule, usize)> = Vec::new();
    for (_, chain) in ruleset.chains.iter_mut().filter(|(name, _)| chain(name)) {
        for rule in &mut chain.rules {
            if let Some(at) = position(rule) {
                places.push((rule, at));
            }
        }
    }
    if places.is_empty() {
        return false;
    }
    let (rule, at) = places.swap_remove(random.below(places.len()));
    rule.exprs.remove(at);
    true
}
