//! How long addresses are held, and what survives: a policy, a restart, a suspend, a worker.

use super::*;
use crate::model::Seen;

const A: &str = "a.example";
const B: &str = "b.example";

#[test]
fn answers_accumulate_and_never_shorten() {
    let mut lab = Lab::of(&[A]);
    lab.good(A, &[("192.0.2.1", 5_000), ("192.0.2.2", 0)]);
    assert_eq!(lab.lives(A), told(&[("192.0.2.1", 5_300), ("192.0.2.2", 360)]));
    lab.at(300).good(A, &[("192.0.2.1", 1), ("192.0.2.3", 100)]);
    let all = [("192.0.2.1", 5_000), ("192.0.2.2", 60), ("192.0.2.3", 400)];
    assert_eq!(lab.lives(A), told(&all));
    lab.at(360).good(A, &[("192.0.2.1", 1), ("192.0.2.3", 100)]);
    assert_eq!(lab.lives(A), told(&[("192.0.2.1", 4_940), ("192.0.2.3", 400)]));
}

#[test]
fn what_has_less_than_a_second_left_is_not_given_to_the_kernel() {
    let mut lab = Lab::of(&[A]);
    lab.good(A, &[("192.0.2.1", 60)]);
    assert_eq!(lab.at(359).lives(A), told(&[("192.0.2.1", 1)]));
    lab.now += Duration::from_millis(1);
    assert_eq!(lab.lives(A), []);
}

#[test]
fn servers_that_fail_hold_addresses_until_max_stale_after_they_were_seen_and_no_longer() {
    let mut wanted = wanted(&[A]);
    wanted.names.insert(name(A), Keeping { max_stale: seconds(3_600), ..keeping() });
    let mut lab = Lab::with(wanted);
    lab.good(A, &[("192.0.2.1", 60)]);
    let mut second = 60;
    while second < 3_600 {
        lab.at(second).end(A, V4, Err(Failure::Timeout));
        let (wait, _) = lab.waits(A, V4);
        let until = second + wait as u64 / 1_000 + 20;
        let left = lab.lives(A).first().map_or(0, |(_, left)| second + left);
        assert!(
            left >= until.min(3_600) && left <= 3_600,
            "at {second}: held until {left}, asked until {until}"
        );
        second = until;
    }
    assert_eq!(lab.at(3_600).lives(A), []);
}

#[test]
fn a_name_that_the_policy_no_longer_has_goes_and_what_stays_keeps_its_pace() {
    let mut lab = Lab::of(&[A, B]);
    lab.good(A, &[("192.0.2.1", 900), ("192.0.2.9", 900)]);
    lab.good(B, &[("192.0.2.2", 900), ("192.0.2.9", 900)]);
    let before = lab.at(5).waits(B, V4);
    let change = lab.names.want(wanted(&[B, "c.example"]), lab.now);
    assert_eq!(change.removed, set(&["192.0.2.1", "192.0.2.9"]));
    assert_eq!(lab.waits(B, V4), before);
    assert_eq!(lab.waits("c.example", V4), (0, Kind::New));
    assert_eq!(lab.names.book_now(lab.now).into_keys().collect::<Vec<_>>(), [name(B), name("c.example")]);
    assert_eq!(lab.lives(B), told(&[("192.0.2.2", 1_195), ("192.0.2.9", 1_195)]));
    let late = lookup("192.0.2.53", Ok(&[("192.0.2.66", 60)]));
    lab.asks();
    lab.names.want(wanted(&[A]), lab.now);
    assert!(lab.names.answered(&name("c.example"), V4, &late, &private, lab.now).is_empty());
    assert_eq!(lab.lives(A), [], "it comes back without what it had");
}

#[test]
fn a_policy_that_keeps_a_name_longer_counts_from_the_next_answer() {
    let mut lab = Lab::of(&[A]);
    lab.good(A, &[("192.0.2.1", 60)]);
    let mut longer = wanted(&[A]);
    longer.names.insert(name(A), Keeping { floor: seconds(600), ..keeping() });
    lab.names.want(longer, lab.now);
    assert_eq!(lab.lives(A), told(&[("192.0.2.1", 360)]));
    lab.good(A, &[("192.0.2.1", 60)]);
    assert_eq!(lab.lives(A), told(&[("192.0.2.1", 900)]));
}

#[test]
fn what_is_kept_comes_back_after_a_restart_and_max_stale_goes_on() {
    let mut lab = Lab::of(&[A]);
    lab.good(A, &[("192.0.2.1", 60)]);
    lab.at(50).good(A, &[("192.0.2.1", 60)]);
    lab.at(100);
    let kept = lab.names.kept(lab.now);
    let seen = Some(Seen { first: seconds(100), last: seconds(50) });
    let expected = Kept {
        address: address("192.0.2.1"),
        remaining: seconds(310),
        seen,
        server: Some(address("192.0.2.53")),
    };
    assert_eq!(kept[&name(A)], [expected]);

    // Another boot: the ages are older than the clock.
    let mut wanted = wanted(&[A]);
    wanted.names.insert(name(A), Keeping { max_stale: seconds(400), ..keeping() });
    let mut again = Names::new(7);
    let now = seconds(9);
    again.want(wanted, now);
    let change = again.recall(&kept, &private, now);
    assert_eq!(change.addresses, set(&["192.0.2.1"]));
    assert_eq!(again.kept(now), kept);
    assert!(!again.is_dirty());
    let mut lab = Lab { names: again, now };
    lab.end(A, V4, Err(Failure::Timeout));
    assert_eq!(lab.lives(A), told(&[("192.0.2.1", 350)]), "400 s after it was seen");
}

#[test]
fn of_what_is_kept_only_wanted_names_and_allowed_addresses_come_back() {
    let kept = |texts: &[(&str, u64)]| -> Vec<Kept> {
        let kept = |(text, left): &(&str, u64)| Kept {
            address: address(text),
            remaining: seconds(*left),
            seen: None,
            server: None,
        };
        texts.iter().map(kept).collect()
    };
    let file = BTreeMap::from([
        (name(A), kept(&[("10.0.0.1", 900), ("192.0.2.1", 900), ("192.0.2.2", 0), ("192.0.2.1", 5)])),
        (name(B), kept(&[("192.0.2.3", 900)])),
    ]);
    let mut lab = Lab::of(&[A]);
    let change = lab.names.recall(&file, &private, lab.now);
    assert_eq!((change.addresses, change.warnings), (set(&["192.0.2.1"]), vec![]));
    assert_eq!(lab.lives(A), told(&[("192.0.2.1", 900)]));
    lab.at(800).end(A, V4, Err(Failure::Timeout));
    assert_eq!(lab.lives(A), told(&[("192.0.2.1", 100)]), "nobody knows when it was seen");
}

#[test]
fn a_new_address_and_half_of_the_grace_are_worth_saving_and_less_is_not() {
    let mut lab = Lab::of(&[A]);
    assert!(!lab.names.is_dirty());
    lab.good(A, &[("192.0.2.1", 60)]);
    assert!(lab.names.is_dirty());
    lab.names.saved();
    lab.at(150).good(A, &[("192.0.2.1", 60)]);
    assert!(!lab.names.is_dirty(), "it lives half of the grace longer");
    lab.at(151).good(A, &[("192.0.2.1", 60)]);
    assert!(lab.names.is_dirty(), "and a second");
    lab.names.saved();
    lab.end(A, V4, Err(NODATA));
    lab.names.want(wanted(&[]), lab.now);
    assert!(!lab.names.is_dirty());
}

#[test]
fn the_machine_s_own_new_addresses_go_from_names_and_what_was_refused_is_asked_at_once() {
    let mut lab = Lab::of(&[A, B]);
    lab.good(A, &[("192.0.2.1", 900), ("192.0.2.2", 900)]);
    lab.good(B, &[("192.0.2.1", 900), ("10.0.0.1", 900)]);
    lab.at(10);
    let own = |name: &HostName, address: IpAddr| {
        (name.as_str() == A && address == self::address("192.0.2.1")).then_some("own")
    };
    let change = lab.names.refilter(&own, lab.now);
    assert_eq!(change, Change { removed: set(&["192.0.2.1"]), ..Change::default() });
    assert_eq!(lab.lives(A), told(&[("192.0.2.2", 1_190)]));
    assert_eq!(lab.lives(B), told(&[("192.0.2.1", 1_190)]));
    assert_eq!(lab.waits(B, V4).0, 0, "10.0.0.1 may be allowed now");
}

#[test]
fn a_suspend_lets_go_what_expired_writes_the_rest_anew_and_asks_all_again_within_ten_seconds() {
    let texts: Vec<String> = (0..100).map(|index| format!("n{index}.example")).collect();
    let names: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut lab = Lab::of(&names);
    for text in &names {
        let change = lab.good(text, &[("192.0.2.1", 60), ("192.0.2.2", 7_200)]);
        lab.write(&change);
        lab.end(text, V6, Err(NODATA));
    }
    lab.at(1_000);
    let change = lab.names.suspended(seconds(900), lab.now);
    assert_eq!((&change.removed, &change.addresses), (&set(&["192.0.2.1"]), &set(&["192.0.2.2"])));
    assert_eq!(lab.lives(names[0]), told(&[("192.0.2.2", 6_500)]));
    let waits: Vec<Ms> =
        names.iter().flat_map(|text| [V4, V6].map(|family| lab.waits(text, family).0)).collect();
    assert!(waits.iter().all(|wait| (0..10_000).contains(wait)));
    assert!(waits.iter().min() < Some(&1_000) && waits.iter().max() > Some(&9_000), "they are spread");
    let again = lab.good(names[0], &[("192.0.2.2", 7_200)]);
    assert!(again.is_empty(), "as it stands, the kernel has it until 8400");
    lab.write(&change);
    let again = lab.good(names[0], &[("192.0.2.2", 7_400)]);
    assert_eq!(again.addresses, set(&["192.0.2.2"]));
}

#[test]
fn what_was_in_flight_over_a_suspend_is_waited_for_anew() {
    let mut lab = Lab::of(&[A]);
    assert_eq!(lab.asks().len(), 2);
    lab.at(5_000);
    lab.names.suspended(seconds(4_990), lab.now);
    assert_eq!(lab.at(5_009).asks().len(), 0);
    assert_eq!(lab.at(5_010).asks().len(), 2);
}

#[test]
fn after_the_worker_died_what_was_in_flight_is_due_again_and_lives_on() {
    let mut lab = Lab::of(&[A]);
    lab.good(A, &[("192.0.2.1", 60)]);
    lab.at(200).asks();
    let change = lab.names.worker_died(lab.now);
    assert_eq!(change.addresses, set(&["192.0.2.1"]));
    assert_eq!(lab.lives(A), told(&[("192.0.2.1", 360)]));
    assert_eq!(lab.asks().len(), 2);
    assert_eq!(lab.good(A, &[("192.0.2.1", 60)]).warnings, []);
}

#[test]
fn what_no_worker_lived_long_enough_to_ask_lives_on_too_and_what_is_not_due_runs_on() {
    let mut lab = Lab::of(&[A, B]);
    lab.good(A, &[("192.0.2.1", 60)]);
    lab.good(B, &[("192.0.2.2", 60)]);
    lab.good(B, &[("192.0.2.2", 3_600)]);
    for second in (60..2_000).step_by(60) {
        lab.at(second);
        lab.names.worker_died(lab.now);
    }
    assert_eq!(lab.lives(A), told(&[("192.0.2.1", 360)]));
    assert_eq!(lab.lives(B), told(&[("192.0.2.2", 3_900 - 1_980)]));
}

#[test]
fn a_question_that_every_worker_dies_of_is_asked_ever_more_seldom() {
    let mut lab = Lab::of(&[A]);
    for wait in [0, 5_000, 10_000, 20_000] {
        lab.names.schedule.send(lab.question(A, V4), lab.now().0);
        lab.names.worker_died(lab.now);
        let waits = lab.waits(A, V4).0;
        assert!((wait * 4 / 5..=wait * 6 / 5).contains(&waits), "{waits} is not near {wait}");
    }
    lab.good(A, &[("192.0.2.1", 60)]);
    lab.names.schedule.send(lab.question(A, V4), lab.now().0);
    lab.names.worker_died(lab.now);
    assert_eq!(lab.waits(A, V4).0, 0, "an answer forgives");
}

#[test]
fn a_question_that_nobody_ends_is_due_again_after_twenty_seconds() {
    let mut lab = Lab::of(&[A]);
    lab.good(A, &[("192.0.2.1", 60)]);
    lab.end(A, V6, Err(Failure::NoData { seconds: Some(3_600) }));
    let at = lab.names.next_due(lab.now).unwrap();
    assert_eq!(at, lab.now + seconds(2), "new addresses are looked for");
    lab.now = at;
    assert_eq!(lab.asks().len(), 1);
    assert_eq!(lab.names.next_due(lab.now), Some(at + seconds(20)));
    lab.now = at + seconds(20);
    let due = lab.names.due(lab.now);
    assert_eq!((due.questions.len(), due.change.addresses), (1, set(&["192.0.2.1"])));
    assert_eq!(lab.lives(A), told(&[("192.0.2.1", 360)]), "as if the servers had failed");
}

#[test]
fn what_failed_is_due_at_once_when_the_network_has_changed() {
    let mut lab = Lab::of(&[A, B]);
    lab.good(B, &[("192.0.2.1", 900)]);
    (0..5).for_each(|_| drop(lab.end(A, V4, Err(Failure::Unreachable))));
    let of_b = lab.waits(B, V4);
    lab.names.retry(lab.now);
    assert_eq!((lab.waits(A, V4).0, lab.waits(B, V4)), (0, of_b));
    lab.end(A, V4, Err(Failure::Unreachable));
    assert!(lab.waits(A, V4).0 <= 6_000, "it begins anew");
}

#[test]
fn the_first_name_to_lapse_is_the_one_whose_last_address_ends_first() {
    let mut lab = Lab::of(&[A, B]);
    lab.good(A, &[("192.0.2.1", 60), ("192.0.2.2", 900)]);
    lab.good(B, &[("192.0.2.1", 600)]);
    assert_eq!(lab.names.first_lapse(lab.now), Some((&name(B), seconds(900))));
    lab.at(900);
    assert_eq!(lab.names.first_lapse(lab.now), Some((&name(A), seconds(300))));
    lab.at(1_200);
    assert_eq!(lab.names.first_lapse(lab.now), None);
}
