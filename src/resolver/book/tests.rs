use super::*;
use crate::resolver::outcome::{Answer, Lookup, Lookups};
use crate::types::Family;
use std::collections::BTreeSet;

const NOW: Duration = Duration::from_secs(1_000);

fn name(text: &str) -> HostName {
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

fn nothing_is_refused(_: IpAddr) -> Option<&'static str> {
    None
}

fn private(address: IpAddr) -> Option<&'static str> {
    address.to_string().starts_with("10.").then_some("private")
}

type Outcome<'a> = (&'a str, Family, Result<&'a [(&'a str, u32)], Failure>);

fn lookups<const N: usize>(outcomes: [Outcome<'_>; N]) -> Lookups {
    let mut lookups = Lookups::default();
    for (text, family, outcome) in outcomes {
        let parsed = |list: &[(&str, u32)]| list.iter().map(|(a, ttl)| (a.parse().unwrap(), *ttl)).collect();
        let outcome = outcome.map(|list| Answer { addresses: parsed(list), left_out: 0 });
        lookups.by_question.insert((name(text), family), Lookup { server: None, outcome });
    }
    lookups
}

fn expiries(book: &Book, text: &str) -> Vec<(String, u64)> {
    let addresses = &book.names[&name(text)].addresses;
    addresses.iter().map(|learned| (learned.address.to_string(), learned.expires.as_secs())).collect()
}

fn expected<const N: usize>(list: [(&str, u64); N]) -> Vec<(String, u64)> {
    list.map(|(address, expires)| (address.to_string(), expires)).into()
}

const NODATA: Failure = Failure::NoData { seconds: None };

#[test]
fn answers_accumulate_and_never_shorten() {
    let wanted = wanted(&["a.example"]);
    let first = lookups([("a.example", Family::V4, Ok(&[("192.0.2.1", 5_000), ("192.0.2.2", 0)]))]);
    let (book, _) = merge(&Book::default(), &first, NOW, &wanted, &nothing_is_refused);
    assert_eq!(expiries(&book, "a.example"), expected([("192.0.2.1", 6_300), ("192.0.2.2", 1_360)]));
    let second = lookups([("a.example", Family::V4, Ok(&[("192.0.2.1", 1), ("192.0.2.3", 100)]))]);
    let (book, _) = merge(&book, &second, NOW + seconds(300), &wanted, &nothing_is_refused);
    let all = expected([("192.0.2.1", 6_300), ("192.0.2.2", 1_360), ("192.0.2.3", 1_700)]);
    assert_eq!(expiries(&book, "a.example"), all);
    let (book, _) = merge(&book, &second, NOW + seconds(360), &wanted, &nothing_is_refused);
    assert_eq!(expiries(&book, "a.example"), expected([("192.0.2.1", 6_300), ("192.0.2.3", 1_760)]));
}

#[test]
fn a_name_that_the_policy_no_longer_has_goes_and_one_not_asked_stays() {
    let answer = lookups([("a.example", Family::V4, Ok(&[("192.0.2.1", 60)]))]);
    let (book, _) = merge(&Book::default(), &answer, NOW, &wanted(&["a.example"]), &nothing_is_refused);
    let later = NOW + seconds(1);
    let both = wanted(&["a.example", "b.example"]);
    let (book, warnings) = merge(&book, &Lookups::default(), later, &both, &nothing_is_refused);
    assert_eq!(expiries(&book, "a.example"), expected([("192.0.2.1", 1_360)]));
    assert_eq!((expiries(&book, "b.example"), warnings), (vec![], vec![]));
    let (book, _) = merge(&book, &Lookups::default(), later, &wanted(&["b.example"]), &nothing_is_refused);
    assert!(!book.names.contains_key(&name("a.example")));
}

#[test]
fn servers_that_fail_extend_up_to_max_stale_but_the_word_of_the_zone_does_not() {
    let wanted = wanted(&["a.example"]);
    let addresses: Result<&[_], _> = Ok(&[("192.0.2.1", 60)]);
    let answer = lookups([("a.example", Family::V4, addresses), ("a.example", Family::V6, Err(NODATA))]);
    let (book, warnings) = merge(&Book::default(), &answer, NOW, &wanted, &nothing_is_refused);
    assert_eq!((book.names[&name("a.example")].last_failure, warnings), (None, vec![]));

    let failing = lookups([("a.example", Family::V4, Err(Failure::ServFail))]);
    let (stale, warnings) = merge(&book, &failing, NOW + seconds(200), &wanted, &nothing_is_refused);
    assert_eq!(expiries(&stale, "a.example"), expected([("192.0.2.1", 1_560)]));
    assert_eq!(stale.names[&name("a.example")].last_failure, Some(Failure::ServFail));
    let unanswered = Warning::Unanswered { name: name("a.example"), failure: Failure::ServFail, held: 1 };
    assert_eq!(warnings, [unanswered]);

    let mut nearly_too_old = book.clone();
    nearly_too_old.names.get_mut(&name("a.example")).unwrap().addresses[0].expires = seconds(90_000);
    let (stale, _) = merge(&nearly_too_old, &failing, seconds(87_390), &wanted, &nothing_is_refused);
    assert_eq!(expiries(&stale, "a.example"), expected([("192.0.2.1", 90_000)]));
    nearly_too_old.names.get_mut(&name("a.example")).unwrap().addresses[0].expires = seconds(87_395);
    let (stale, _) = merge(&nearly_too_old, &failing, seconds(87_390), &wanted, &nothing_is_refused);
    assert_eq!(expiries(&stale, "a.example"), expected([("192.0.2.1", 87_400)]));

    let gone = lookups([("a.example", Family::V4, Err(Failure::NxDomain { seconds: None }))]);
    let (book, _) = merge(&book, &gone, NOW + seconds(200), &wanted, &nothing_is_refused);
    assert_eq!(expiries(&book, "a.example"), expected([("192.0.2.1", 1_360)]));
}

#[test]
fn refused_addresses_never_enter_and_leave_when_they_are_refused_later() {
    let wanted = wanted(&["a.example"]);
    let answer = lookups([("a.example", Family::V4, Ok(&[("10.0.0.1", 60), ("192.0.2.1", 60)]))]);
    let (book, warnings) = merge(&Book::default(), &answer, NOW, &wanted, &private);
    assert_eq!(expiries(&book, "a.example"), expected([("192.0.2.1", 1_360)]));
    assert_eq!(warnings[0].to_string(), "a.example: refused 10.0.0.1 (private)");

    let (open, _) = merge(&Book::default(), &answer, NOW, &wanted, &nothing_is_refused);
    let (book, _) = merge(&open, &Lookups::default(), NOW, &wanted, &private);
    assert_eq!(expiries(&book, "a.example"), expected([("192.0.2.1", 1_360)]));

    let only = lookups([("a.example", Family::V4, Ok(&[("10.0.0.1", 60)]))]);
    let (book, warnings) = merge(&Book::default(), &only, NOW, &wanted, &private);
    assert_eq!(book.names[&name("a.example")].last_failure, Some(NODATA));
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].to_string(), "a.example: refused 10.0.0.1 (private); it has no other address");
}

#[test]
fn every_cap_drops_and_warns_once() {
    let list: Vec<(String, u32)> = (0..90u8).map(|last| (format!("192.0.2.{last}"), 60)).collect();
    let list: Vec<(&str, u32)> = list.iter().map(|(address, ttl)| (address.as_str(), *ttl)).collect();
    let answer = lookups([("a.example", Family::V4, Ok(&list)), ("b.example", Family::V4, Ok(&list[30..]))]);
    let mut wanted = wanted(&["a.example", "b.example"]);
    let (book, warnings) = merge(&Book::default(), &answer, NOW, &wanted, &nothing_is_refused);
    assert_eq!(book.names[&name("a.example")].addresses.len(), 64);
    assert_eq!(book.names[&name("b.example")].addresses.len(), 60);
    let a = name("a.example");
    assert_eq!(warnings, [Warning::AnswerCap { name: a.clone(), family: Family::V4, dropped: 26, cap: 64 }]);

    wanted.rules = vec![("update".parse().unwrap(), BTreeSet::from([a.clone()]))];
    wanted.caps = Caps { answer: 90, name: 50, rule: 40, all: 20 };
    let (book, warnings) = merge(&Book::default(), &answer, NOW, &wanted, &nothing_is_refused);
    let distinct: BTreeSet<_> =
        book.names.values().flat_map(|name| &name.addresses).map(|l| l.address).collect();
    assert_eq!(distinct.len(), 20);
    let texts: Vec<String> = warnings.iter().map(Warning::to_string).collect();
    assert_eq!(
        texts,
        [
            "a.example: more than 50 addresses, 40 are left out",
            "b.example: more than 50 addresses, 10 are left out",
            "rule update: its names have more than 40 addresses, 10 are left out",
            "all names together have more than 20 addresses, 60 are left out",
        ]
    );
}

#[test]
fn a_full_name_keeps_its_addresses_when_the_answer_has_others() {
    let mut wanted = wanted(&["a.example"]);
    wanted.caps.name = 2;
    let before = lookups([("a.example", Family::V4, Ok(&[("192.0.2.8", 60), ("192.0.2.9", 60)]))]);
    let (book, _) = merge(&Book::default(), &before, NOW, &wanted, &nothing_is_refused);
    let after = lookups([("a.example", Family::V4, Ok(&[("192.0.2.1", 60), ("192.0.2.9", 60)]))]);
    let (book, _) = merge(&book, &after, NOW + seconds(10), &wanted, &nothing_is_refused);
    assert_eq!(expiries(&book, "a.example"), expected([("192.0.2.8", 1_360), ("192.0.2.9", 1_370)]));
}

#[test]
fn remaining_lifetimes_survive_a_round_trip_and_end_at_zero() {
    let answer = lookups([("a.example", Family::V4, Ok(&[("192.0.2.1", 60), ("192.0.2.2", 600)]))]);
    let (book, _) = merge(&Book::default(), &answer, NOW, &wanted(&["a.example"]), &nothing_is_refused);
    let left = book.remaining(NOW + seconds(359));
    let of_a = &left[&name("a.example")];
    assert_eq!(of_a.iter().map(|left| left.remaining.as_secs()).collect::<Vec<_>>(), [1, 541]);
    assert_eq!(Book::from_remaining(&left, seconds(7)).remaining(seconds(7)), left);
    assert_eq!(book.remaining(NOW + seconds(360))[&name("a.example")].len(), 1);
    assert_eq!(book.remaining(NOW + seconds(5_000))[&name("a.example")], []);
    assert_eq!(book.first_lapse(NOW), Some((&name("a.example"), seconds(900))));
    assert_eq!(book.first_lapse(NOW + seconds(900)), None);
}

#[test]
fn failures_of_servers_count_before_those_of_the_name() {
    let wanted = wanted(&["a.example"]);
    let failure = |v4, v6| {
        let both = lookups([("a.example", Family::V4, v4), ("a.example", Family::V6, v6)]);
        let (book, _) = merge(&Book::default(), &both, NOW, &wanted, &nothing_is_refused);
        book.names[&name("a.example")].last_failure
    };
    let (timeout, gone) = (Failure::Timeout, Failure::NxDomain { seconds: None });
    assert_eq!(failure(Err(NODATA), Err(timeout)), Some(timeout));
    assert_eq!(failure(Ok(&[("192.0.2.1", 60)]), Err(timeout)), Some(timeout));
    assert_eq!(failure(Ok(&[("192.0.2.1", 60)]), Err(gone)), None);
    assert_eq!(failure(Err(NODATA), Err(gone)), Some(gone));
}
