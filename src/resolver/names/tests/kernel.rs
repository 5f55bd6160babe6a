//! What is to be written into the kernel, and when nothing is.

use super::*;

const A: &str = "a.example";
const B: &str = "b.example";

/// Asks a name every few seconds for one address of this TTL, and writes what is to be written: the seconds at which that was.
fn writes(keeping: Keeping, ttl: u32, every: u64, until: u64) -> Vec<u64> {
    let mut wanted = wanted(&[A]);
    wanted.names.insert(name(A), keeping);
    let mut lab = Lab::with(wanted);
    let mut seconds = Vec::new();
    for second in (0..until).step_by(every as usize) {
        let change = lab.at(second).good(A, &[("192.0.2.1", ttl)]);
        if !change.addresses.is_empty() {
            seconds.push(second);
            lab.write(&change);
        }
    }
    seconds
}

#[test]
fn an_element_is_renewed_when_the_kernel_s_expiry_lags_by_more_than_half_the_grace() {
    assert_eq!(writes(keeping(), 60, 50, 700), [0, 200, 400, 600]);
    assert_eq!(writes(Keeping { grace: seconds(60), ..keeping() }, 60, 10, 150), [0, 40, 80, 120]);
}

#[test]
fn without_grace_every_answer_that_prolongs_by_more_than_a_second_is_written() {
    let none = Keeping { grace: Duration::ZERO, ..keeping() };
    assert_eq!(writes(none, 60, 1, 7), [0, 2, 4, 6]);
    assert_eq!(writes(none, 60, 2, 7), [0, 2, 4, 6]);
}

#[test]
fn an_answer_that_changes_nothing_writes_nothing() {
    let mut lab = Lab::of(&[A]);
    let first = lab.good(A, &[("192.0.2.1", 60), ("192.0.2.2", 7_200)]);
    assert_eq!(first.addresses, set(&["192.0.2.1", "192.0.2.2"]));
    lab.write(&first);
    assert!(lab.at(150).good(A, &[("192.0.2.1", 60), ("192.0.2.2", 60)]).is_empty());
    let later = lab.at(151).good(A, &[("192.0.2.1", 60), ("192.0.2.2", 60)]);
    assert_eq!(later.addresses, set(&["192.0.2.1"]), "the other lives longer already");
}

#[test]
fn what_the_kernel_did_not_take_is_to_be_written_still() {
    let mut lab = Lab::of(&[A]);
    lab.good(A, &[("192.0.2.1", 60)]);
    let again = lab.at(1).good(A, &[("192.0.2.1", 60)]);
    assert_eq!(again.addresses, set(&["192.0.2.1"]));
    lab.names.written(&lab.names.book_now(lab.now), lab.now);
    assert!(lab.at(2).good(A, &[("192.0.2.1", 60)]).is_empty());
}

#[test]
fn an_element_that_the_kernel_has_let_go_is_written_again_however_little_it_lags() {
    let mut wanted = wanted(&[A]);
    wanted.names.insert(name(A), Keeping { max_stale: seconds(365), ..keeping() });
    let mut lab = Lab::with(wanted);
    let change = lab.good(A, &[("192.0.2.1", 60)]);
    lab.write(&change);
    assert!(
        lab.at(140).good(A, &[("192.0.2.1", 60)]).is_empty(),
        "the kernel has it until 360, the book until 500"
    );
    assert!(
        lab.at(359).end(A, V4, Err(Failure::Timeout)).addresses.is_empty(),
        "and now until 505, 365 s after it was seen"
    );
    let change = lab.at(400).end(A, V4, Err(Failure::Timeout));
    assert_eq!(change.addresses, set(&["192.0.2.1"]));
}

#[test]
fn an_address_of_two_names_is_written_when_either_needs_it_with_the_lives_of_both() {
    let mut lab = Lab::of(&[A, B]);
    let change = lab.good(A, &[("192.0.2.1", 7_200), ("192.0.2.2", 60)]);
    lab.write(&change);
    let change = lab.at(100).good(B, &[("192.0.2.1", 60)]);
    assert_eq!(change.addresses, set(&["192.0.2.1"]), "b has it now too");
    let left = |text: &str, life| vec![LearnedAddress { address: address(text), remaining: seconds(life) }];
    let lives = lab.names.addresses(&change.addresses, lab.now);
    assert_eq!(lives, [(name(A), left("192.0.2.1", 7_400)), (name(B), left("192.0.2.1", 360))].into());
    lab.write(&change);
    let change = lab.at(300).good(B, &[("192.0.2.1", 60)]);
    assert_eq!(change.addresses, set(&["192.0.2.1"]), "the element of b's rules ends before that of a's");
    assert!(lab.names.addresses(&set(&["192.0.2.66"]), lab.now).is_empty());
}

#[test]
fn what_no_name_has_any_longer_is_not_among_the_addresses() {
    let mut lab = Lab::of(&[A, B]);
    lab.good(A, &[("192.0.2.1", 60)]);
    lab.good(B, &[("192.0.2.1", 600)]);
    lab.at(360);
    let lives = lab.names.addresses(&set(&["192.0.2.1"]), lab.now);
    assert_eq!(lives.into_keys().collect::<Vec<_>>(), [name(B)]);
}

#[test]
fn an_element_outlives_the_wait_for_the_next_answer_at_every_ttl() {
    for ttl in [0, 1, 30, 60, 299, 300, 1_000, 3_500, 3_600, 90_000] {
        for grace in [60, 300, 3_600] {
            let mut wanted = wanted(&[A]);
            wanted.names.insert(name(A), Keeping { grace: seconds(grace), ..keeping() });
            let mut lab = Lab::with(wanted);
            let mut in_kernel = Duration::MAX;
            for _ in 0..200 {
                let change = lab.good(A, &[("192.0.2.1", ttl)]);
                assert!(in_kernel > lab.now, "TTL {ttl}, grace {grace}: it was away");
                if !change.addresses.is_empty() {
                    in_kernel = lab.now + seconds(lab.lives(A)[0].1);
                    lab.write(&change);
                }
                let (wait, _) = lab.waits(A, V4);
                lab.now += Duration::from_millis(u64::try_from(wait).unwrap());
            }
        }
    }
}
