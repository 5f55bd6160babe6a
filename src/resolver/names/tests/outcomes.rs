//! Each way in which a question ends: what becomes of the addresses, and when it is asked again.

use super::*;

const A: &str = "a.example";

#[test]
fn every_outcome_has_its_effect_on_lives_and_on_the_next_question() {
    // The address was seen 200 s ago with 160 s left; waits are in seconds.
    type Row<'a> = (Result<&'a [(&'a str, u32)], Failure>, u64, (Ms, Ms), Kind);
    let table: [Row<'_>; 19] = [
        (Ok(&[("192.0.2.1", 60)]), 360, (60_100, 63_105), Kind::Known),
        (Ok(&[("192.0.2.1", 0)]), 360, (10_000, 10_500), Kind::Known),
        (Ok(&[("192.0.2.1", 90_000)]), 86_700, (3_600_000, 3_675_000), Kind::Known),
        (Ok(&[]), 160, (60_000, 63_000), Kind::Known),
        (Err(NODATA), 160, (60_000, 63_000), Kind::Known),
        (Err(Failure::NoData { seconds: Some(600) }), 160, (600_000, 630_000), Kind::Known),
        (Err(NXDOMAIN), 160, (60_000, 63_000), Kind::Failing),
        (Err(Failure::NxDomain { seconds: Some(9_000) }), 160, (60_000, 63_000), Kind::Failing),
        (Err(Failure::ServFail), 360, (4_000, 6_000), Kind::Failing),
        (Err(Failure::Refused), 360, (4_000, 6_000), Kind::Failing),
        (Err(Failure::FormErr), 360, (4_000, 6_000), Kind::Failing),
        (Err(Failure::NotImp), 360, (4_000, 6_000), Kind::Failing),
        (Err(Failure::Lame), 360, (4_000, 6_000), Kind::Failing),
        (Err(Failure::Malformed), 360, (4_000, 6_000), Kind::Failing),
        (Err(Failure::Timeout), 360, (4_000, 6_000), Kind::Failing),
        (Err(Failure::Unreachable), 360, (4_000, 6_000), Kind::Failing),
        (Err(Failure::NoServers), 360, (4_000, 6_000), Kind::Failing),
        (Err(Failure::ChainLoop), 360, (4_000, 6_000), Kind::Failing),
        (Ok(&[("10.0.0.1", 900)]), 160, (900_000, 945_000), Kind::Known),
    ];
    for (outcome, left, (soonest, latest), kind) in table {
        let mut lab = Lab::of(&[A]);
        lab.good(A, &[("192.0.2.1", 60)]);
        lab.at(200).end(A, V4, outcome);
        assert_eq!(lab.lives(A), told(&[("192.0.2.1", left)]), "{outcome:?}");
        let (wait, as_what) = lab.waits(A, V4);
        assert!((soonest..=latest).contains(&wait), "{outcome:?}: {wait} ms");
        assert_eq!(as_what, kind, "{outcome:?}");
    }
}

#[test]
fn the_shortest_ttl_of_an_answer_says_when_to_ask_again() {
    let mut lab = Lab::of(&[A]);
    lab.good(A, &[("192.0.2.1", 900), ("192.0.2.2", 600)]);
    lab.at(60).good(A, &[("192.0.2.1", 900), ("192.0.2.2", 600)]);
    let (wait, _) = lab.waits(A, V4);
    assert!((600_100..=630_105).contains(&wait), "{wait}");
    assert_eq!(lab.lives(A), told(&[("192.0.2.1", 1_200), ("192.0.2.2", 900)]));
}

#[test]
fn while_answers_show_new_addresses_a_name_is_asked_ever_later_up_to_its_ttl() {
    let mut lab = Lab::of(&[A]);
    let mut waits = Vec::new();
    for last in 1..=7 {
        lab.at(last * 100).good(A, &[(&format!("192.0.2.{last}"), 60)]);
        waits.push(lab.waits(A, V4));
    }
    let firsts = [2_000, 4_000, 8_000, 16_000, 32_000].map(|wait| (wait, Kind::New));
    assert_eq!(waits[..5], firsts);
    assert!(waits[5..].iter().all(|(wait, _)| (60_100..=63_105).contains(wait)), "{waits:?}");
    lab.at(800).good(A, &[("192.0.2.7", 60)]);
    assert_eq!(lab.waits(A, V4).1, Kind::Known);
    lab.at(900).good(A, &[("192.0.2.8", 60)]);
    assert_eq!(lab.waits(A, V4), (2_000, Kind::New), "it begins anew");
}

#[test]
fn what_has_no_room_is_not_new() {
    let mut wanted = wanted(&[A]);
    wanted.caps.name = 1;
    let mut lab = Lab::with(wanted);
    lab.good(A, &[("192.0.2.1", 60)]);
    lab.at(60).good(A, &[("192.0.2.2", 60)]);
    assert_eq!(lab.waits(A, V4).1, Kind::Known);
}

#[test]
fn one_family_is_not_touched_by_what_becomes_of_the_other() {
    for outcome in [Err(NODATA), Err(NXDOMAIN), Err(Failure::ServFail), Err(Failure::Timeout)] {
        let mut lab = Lab::of(&[A]);
        lab.good(A, &[("192.0.2.1", 60)]);
        lab.good(A, &[("2001:db8::1", 60)]);
        let before = lab.at(100).waits(A, V4);
        lab.end(A, V6, outcome);
        assert_eq!(lab.lives(A)[0], ("192.0.2.1".into(), 260), "{outcome:?}");
        assert_eq!(lab.waits(A, V4), before, "{outcome:?}");
    }
}

#[test]
fn failures_in_a_row_double_the_wait_and_a_word_on_the_name_ends_the_row() {
    let mut lab = Lab::of(&[A]);
    for wait in [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000] {
        lab.end(A, V4, Err(Failure::Timeout));
        let (waits, kind) = lab.waits(A, V4);
        assert!((wait * 4 / 5..=wait * 6 / 5).contains(&waits), "{waits} is not near {wait}");
        assert_eq!(kind, Kind::Failing);
    }
    for word in [Ok(&[("192.0.2.1", 60)][..]), Err(NODATA), Err(NXDOMAIN)] {
        lab.end(A, V4, word);
        lab.end(A, V4, Err(Failure::Timeout));
        assert!(lab.waits(A, V4).0 <= 6_000, "{word:?}");
        lab.end(A, V4, Err(Failure::Timeout));
    }
}

#[test]
fn a_name_that_is_not_there_is_asked_after_one_two_five_and_fifteen_minutes() {
    let mut lab = Lab::of(&[A]);
    for wait in [60_000, 120_000, 300_000, 900_000, 900_000] {
        lab.end(A, V4, Err(NXDOMAIN));
        let waits = lab.waits(A, V4).0;
        assert!((wait..=wait * 21 / 20).contains(&waits), "{waits} is not near {wait}");
    }
}

/// Ends at these seconds, by which server, with what.
type Story<'a> = &'a [(u64, &'a str, Result<&'a [(&'a str, u32)], Failure>)];

fn state_after(servers: usize, story: Story<'_>) -> State {
    let mut lab = Lab::with(if servers == 1 { alone(A) } else { wanted(&[A]) });
    lab.end(A, V6, Err(NXDOMAIN));
    for (second, server, outcome) in story {
        lab.at(*second).end_by(server, A, V4, *outcome);
    }
    lab.report(A).state
}

#[test]
fn a_name_is_gone_once_two_servers_have_said_so_three_times_over_ten_minutes() {
    const ONE: &str = "192.0.2.53";
    const TWO: &str = "192.0.2.54";
    let no = Err(NXDOMAIN);
    let by_two: Story<'_> = &[(0, ONE, no), (60, TWO, no), (600, ONE, no)];
    let by_one: Story<'_> = &[(0, ONE, no), (60, ONE, no), (600, ONE, no)];
    let table: [(&str, usize, Story<'_>, State); 8] = [
        ("two servers", 2, by_two, State::Gone),
        ("one of two servers", 2, by_one, State::Failing),
        ("the only server", 1, by_one, State::Gone),
        ("twice", 2, &[(0, ONE, no), (600, TWO, no)], State::Failing),
        ("within ten minutes", 2, &[(0, ONE, no), (60, TWO, no), (599, ONE, no)], State::Failing),
        (
            "not in a row",
            2,
            &[(0, ONE, no), (60, TWO, no), (120, ONE, Err(NODATA)), (600, ONE, no)],
            State::Failing,
        ),
        (
            "a silent server is no word",
            2,
            &[(0, ONE, no), (60, TWO, no), (300, ONE, Err(Failure::Timeout)), (600, ONE, no)],
            State::Gone,
        ),
        (
            "it came back",
            2,
            &[(0, ONE, no), (60, TWO, no), (600, ONE, no), (900, ONE, Ok(&[("192.0.2.1", 60)]))],
            State::Ok,
        ),
    ];
    for (what, servers, story, state) in table {
        assert_eq!(state_after(servers, story), state, "{what}");
    }
}

#[test]
fn a_name_is_gone_with_one_warning_and_its_addresses_run_out() {
    let mut lab = Lab::with(alone(A));
    lab.good(A, &[("192.0.2.1", 900)]);
    let mut warnings = Vec::new();
    for second in [100, 200, 700, 800] {
        warnings.extend(texts(&lab.at(second).end(A, V4, Err(NXDOMAIN))));
    }
    assert_eq!(warnings, ["a.example: it has gone from DNS; what was learnt runs out: 1 address"]);
    assert_eq!(lab.lives(A), told(&[("192.0.2.1", 400)]));
    assert_eq!(lab.report(A).state, State::Gone);
}

#[test]
fn a_name_is_not_gone_while_its_other_family_is_there() {
    for there in [Ok(&[("2001:db8::1", 60)][..]), Err(NODATA)] {
        let mut lab = Lab::with(alone(A));
        for second in [0, 60, 600] {
            lab.at(second).end(A, V4, Err(NXDOMAIN));
        }
        assert_eq!(lab.report(A).state, State::Gone);
        lab.end(A, V6, there);
        assert_ne!(lab.report(A).state, State::Gone, "{there:?}");
    }
}

#[test]
fn after_a_server_has_said_that_there_is_no_such_name_the_others_are_asked_first() {
    let mut lab = Lab::of(&[A]);
    assert_eq!(lab.asks().iter().map(|ask| ask.not_first).collect::<Vec<_>>(), [None, None]);
    lab.names.answered(&name(A), V4, &lookup("192.0.2.53", Err(NXDOMAIN)), &private, lab.now);
    lab.names.answered(&name(A), V6, &lookup("192.0.2.53", Err(NODATA)), &private, lab.now);
    let asks = lab.at(63).asks();
    let from = |family| asks.iter().find(|ask| ask.family == family).unwrap().not_first;
    assert_eq!((from(V4), from(V6)), (Some(address("192.0.2.53")), None));
    let mut alone = Lab::with(alone(A));
    alone.end(A, V4, Err(NXDOMAIN));
    assert!(alone.at(63).asks().iter().all(|ask| ask.not_first.is_none()), "there is no other");
}

#[test]
fn an_answer_of_which_everything_is_refused_is_none_and_says_so_once() {
    let mut lab = Lab::of(&[A]);
    lab.end(A, V6, Err(NODATA));
    let change = lab.good(A, &[("10.0.0.1", 5), ("10.0.0.2", 5)]);
    let line = "a.example: refused 10.0.0.1 (private), 10.0.0.2 (private); it has no other address";
    assert_eq!(texts(&change), [line]);
    let report = lab.report(A);
    assert_eq!((report.state, report.all_rejected, report.rejected.len()), (State::Failing, true, 2));
    assert_eq!(report.last_error.as_deref(), Some("it has no addresses"));
    assert_eq!(report.rejected[0], Rejected { address: address("10.0.0.1"), reason: "private" });
    assert!(lab.at(70).good(A, &[("10.0.0.1", 5)]).is_empty(), "it is known");
    assert!(lab.at(140).good(A, &[("192.0.2.1", 5)]).warnings.is_empty());
    assert_eq!(lab.report(A).rejected, []);
    assert_eq!(lab.at(210).good(A, &[("10.0.0.1", 5)]).warnings.len(), 1, "it is news again");
}

#[test]
fn a_part_that_is_refused_is_told_when_both_families_have_ended_and_the_rest_is_taken() {
    let mut lab = Lab::of(&[A]);
    assert_eq!(lab.good(A, &[("10.0.0.1", 60), ("192.0.2.1", 60)]).warnings, []);
    assert_eq!(texts(&lab.end(A, V6, Err(NODATA))), ["a.example: refused 10.0.0.1 (private)"]);
    let report = lab.report(A);
    assert_eq!((report.state, report.all_rejected, report.rejected.len()), (State::Ok, false, 1));
}

#[test]
fn what_was_not_asked_is_not_heard() {
    let mut lab = Lab::of(&[A]);
    let told = lookup("192.0.2.53", Ok(&[("192.0.2.1", 60)]));
    assert!(lab.names.answered(&name(A), V4, &told, &private, lab.now).is_empty(), "it has not gone out yet");
    lab.asks();
    assert!(lab.names.answered(&name("b.example"), V4, &told, &private, lab.now).is_empty(), "not wanted");
    assert_eq!(lab.names.answered(&name(A), V4, &told, &private, lab.now).addresses, set(&["192.0.2.1"]));
    let other = lookup("192.0.2.53", Ok(&[("192.0.2.2", 60)]));
    assert!(lab.names.answered(&name(A), V4, &other, &private, lab.now).is_empty(), "one answer is enough");
    assert_eq!(lab.lives(A), super::told(&[("192.0.2.1", 360)]));
}

#[test]
fn addresses_of_the_other_family_are_no_answer() {
    let mut lab = Lab::of(&[A]);
    assert_eq!(lab.end(A, V6, Ok(&[("192.0.2.1", 60)])).addresses, set(&[]));
    assert_eq!(lab.lives(A), []);
}

#[test]
fn an_address_that_comes_twice_in_an_answer_has_the_lower_ttl() {
    let mut lab = Lab::of(&[A]);
    lab.good(A, &[("192.0.2.1", 900), ("192.0.2.1", 100), ("192.0.2.1", 500)]);
    assert_eq!(lab.lives(A), told(&[("192.0.2.1", 400)]));
}

#[test]
fn a_failure_is_told_once_until_it_has_ended() {
    let mut lab = Lab::of(&[A]);
    lab.end(A, V6, Err(NODATA));
    let line = "a.example: no answer in time; nothing is known of it: a rule matches nobody by this name";
    assert_eq!(texts(&lab.end(A, V4, Err(Failure::Timeout))), [line]);
    assert!(lab.end(A, V4, Err(Failure::ServFail)).is_empty());
    assert!(lab.good(A, &[("192.0.2.1", 60)]).warnings.is_empty());
    let line = "a.example: no answer in time; what was learnt stays in use: 1 address";
    assert_eq!(texts(&lab.end(A, V4, Err(Failure::Timeout))), [line]);
}

#[test]
fn failures_of_servers_count_before_those_of_the_name() {
    let failure = |v4: Result<&[(&str, u32)], Failure>, v6: Result<&[(&str, u32)], Failure>| {
        let mut lab = Lab::of(&[A]);
        assert_eq!(lab.report(A).state, State::Unknown);
        lab.end(A, V4, v4);
        lab.end(A, V6, v6);
        let report = lab.report(A);
        assert_eq!(report.state == State::Ok, report.last_error.is_none());
        report.last_error
    };
    let (timeout, no_data) = (Some("no answer in time".to_owned()), "there is no such name (NXDOMAIN)");
    assert_eq!(failure(Err(NODATA), Err(Failure::Timeout)), timeout);
    assert_eq!(failure(Ok(&[("192.0.2.1", 60)]), Err(Failure::Timeout)), timeout);
    assert_eq!(failure(Ok(&[("192.0.2.1", 60)]), Err(NXDOMAIN)), None);
    assert_eq!(failure(Ok(&[("192.0.2.1", 60)]), Err(NODATA)), None);
    assert_eq!(failure(Err(NODATA), Err(NXDOMAIN)).as_deref(), Some(no_data));
}

#[test]
fn the_report_has_ages_servers_rules_and_the_next_question() {
    let mut wanted = wanted(&[A]);
    wanted.rules = vec![rule("update", &[A]), rule("also", &[A])];
    let mut lab = Lab::with(wanted);
    lab.good(A, &[("192.0.2.1", 60)]);
    lab.end(A, V6, Err(NODATA));
    lab.at(100).end_by("192.0.2.54", A, V4, Ok(&[("192.0.2.1", 600)]));
    let report = lab.at(130).report(A);
    assert_eq!(report.rules, ["update", "also"]);
    let entry = AddressReport {
        address: address("192.0.2.1"),
        server: Some(address("192.0.2.54")),
        first_seen_seconds_ago: Some(130),
        last_seen_seconds_ago: Some(30),
        remaining_seconds: 870,
    };
    assert_eq!(report.addresses, [entry]);
    assert_eq!((report.next_query_seconds, report.in_flight), (Some(0), false), "IPv6 is due");
    lab.asks();
    let report = lab.report(A);
    assert!(report.in_flight && report.next_query_seconds.is_some_and(|seconds| seconds > 560), "{report:?}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!((&json["state"], &json["addresses"][0]["address"]), (&"ok".into(), &"192.0.2.1".into()));
}
