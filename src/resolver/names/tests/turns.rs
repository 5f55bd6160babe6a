//! Who goes out when: slots, the rate, and that no kind of question starves another.

use super::super::schedule::{Kind, Schedule};
use super::*;

/// Takes what may go out, each five milliseconds; nobody ever answers.
fn out(schedule: &mut Schedule, from: Ms, until: Ms) -> Vec<QuestionId> {
    (from..until).step_by(5).flat_map(|now| schedule.take(now)).collect()
}

/// As [`out`], with answers at once.
fn out_and_back(schedule: &mut Schedule, from: Ms, until: Ms) -> Vec<QuestionId> {
    let mut all = Vec::new();
    for now in (from..until).step_by(5) {
        let sent = schedule.take(now);
        sent.iter().for_each(|question| schedule.withdraw(*question));
        all.extend(sent);
    }
    all
}

fn full(kinds: &[(Kind, std::ops::Range<QuestionId>)]) -> Schedule {
    let mut schedule = Schedule::default();
    for (kind, questions) in kinds {
        questions.clone().for_each(|question| schedule.put(question, *kind, 0));
    }
    schedule
}

#[test]
fn two_hundred_questions_go_out_in_a_second_and_a_few_at_once() {
    let mut schedule = full(&[(Kind::Known, 0..10_000)]);
    assert_eq!(schedule.take(0).len(), 32);
    schedule.flying().into_iter().for_each(|question| schedule.withdraw(question));
    let in_ten_seconds = out_and_back(&mut schedule, 5, 10_005).len();
    assert_eq!(in_ten_seconds, 2_000);
}

#[test]
fn a_wait_for_the_rate_is_long_enough_for_ten_and_ends() {
    let mut schedule = full(&[(Kind::Known, 0..100)]);
    schedule.take(0);
    assert_eq!(schedule.next(0), Some(50));
    assert_eq!(schedule.take(50).len(), 10);
}

#[test]
fn at_most_128_are_in_flight_64_of_them_new_and_32_failing() {
    for (kind, most) in [(Kind::Known, 128), (Kind::New, 64), (Kind::Failing, 32)] {
        let mut schedule = full(&[(kind, 0..1_000)]);
        assert_eq!(out(&mut schedule, 0, 5_000).len(), most, "{kind:?}");
        let first_ends = schedule.next(5_000).unwrap();
        assert_eq!(first_ends, 20_000, "nothing else is to be done before");
        schedule.withdraw(0);
        assert_eq!(schedule.next(5_000), Some(5_000), "there is a slot");
        assert_eq!(schedule.take(5_000).len(), 1);
    }
}

#[test]
fn new_and_failing_questions_that_nobody_answers_leave_slots_to_the_known() {
    let mut schedule = full(&[(Kind::New, 0..1_000), (Kind::Failing, 1_000..2_000)]);
    assert_eq!(out(&mut schedule, 0, 2_000).len(), 96);
    (2_000..2_100).for_each(|question| schedule.put(question, Kind::Known, 2_000));
    assert_eq!(out(&mut schedule, 2_000, 4_000).len(), 32);
}

#[test]
fn of_the_rate_the_known_have_half_and_the_others_a_quarter_each_where_all_have_enough_to_ask() {
    let mut schedule =
        full(&[(Kind::Known, 0..10_000), (Kind::New, 10_000..20_000), (Kind::Failing, 20_000..30_000)]);
    let sent = out_and_back(&mut schedule, 0, 10_000);
    let of =
        |range: std::ops::Range<QuestionId>| sent.iter().filter(|question| range.contains(question)).count();
    let share = sent.len() / 4;
    assert!(of(0..10_000).abs_diff(share * 2) <= 2, "{}", of(0..10_000));
    assert!(of(10_000..20_000).abs_diff(share) <= 2 && of(20_000..30_000).abs_diff(share) <= 2);
}

#[test]
fn a_look_for_more_has_its_turn_among_the_known_once_its_answer_has_ended() {
    let mut schedule = full(&[(Kind::New, 0..1_000)]);
    schedule.look(2_000, 500, 1_000);
    schedule.look(2_001, 500, 9_000);
    let sent = out(&mut schedule, 0, 1_000);
    assert_eq!(sent.len(), 64, "new ones that nobody answers have all slots of their kind");
    assert_eq!(schedule.next(999), Some(1_000));
    assert_eq!((schedule.take(1_000), schedule.kind(2_000)), (vec![2_000], Some(Kind::Known)));
    assert_eq!((schedule.kind(2_001), schedule.at(2_001)), (Some(Kind::New), Some(500)));
    schedule.withdraw(2_001);
    assert_eq!((schedule.take(9_000), schedule.kind(2_001)), (vec![], None));
}

#[test]
fn how_late_names_are_asked_counts_from_the_end_of_an_answer_and_for_answers_alone() {
    let mut lab = Lab::of(&["a.example"]);
    lab.end("a.example", V6, Err(Failure::ServFail));
    lab.end("a.example", V4, Ok(&[("192.0.2.1", 60)]));
    lab.end("a.example", V4, Ok(&[("192.0.2.1", 60)]));
    assert_eq!(lab.names.latest(), Duration::ZERO);
    let due = lab.now + Duration::from_millis(lab.waits("a.example", V4).0.try_into().unwrap());
    lab.now = due + seconds(3);
    lab.names.due(lab.now);
    assert_eq!(lab.names.latest(), seconds(3));
}

#[test]
fn what_is_due_first_goes_first_and_nothing_before_its_moment() {
    let mut schedule = Schedule::default();
    for (question, at) in [(1, 300), (2, 100), (3, 200)] {
        schedule.put(question, Kind::Known, at);
    }
    assert_eq!((schedule.take(99), schedule.next(0)), (vec![], Some(100)));
    assert_eq!(schedule.take(250), [2, 3]);
    assert_eq!(schedule.take(300), [1]);
}

#[test]
fn one_question_goes_out_a_name_and_family_however_many_rules_use_it() {
    let mut wanted = wanted(&["a.example"]);
    wanted.rules = vec![rule("one", &["a.example"]), rule("two", &["a.example"])];
    let mut lab = Lab::with(wanted.clone());
    assert_eq!(lab.asks().len(), 2);
    lab.names.want(wanted, lab.now);
    assert_eq!((lab.asks().len(), lab.names.next_due(lab.now)), (0, Some(lab.now + seconds(20))));
}

#[test]
fn without_names_there_is_nothing_to_wake_up_for() {
    let mut lab = Lab::of(&["a.example"]);
    lab.names.want(Wanted::default(), lab.now);
    assert_eq!((lab.names.next_due(lab.now), lab.asks()), (None, vec![]));
}

#[test]
fn everything_at_once_is_every_name_in_both_families() {
    let mut lab = Lab::of(&["a.example", "b.example"]);
    let asked: Vec<(HostName, Family)> =
        lab.names.all(lab.now).into_iter().map(|ask| (ask.name, ask.family)).collect();
    let [a, b] = ["a.example", "b.example"].map(name);
    assert_eq!(asked, [(a.clone(), V4), (a, V6), (b.clone(), V4), (b, V6)]);
    assert!(lab.asks().is_empty());
}
