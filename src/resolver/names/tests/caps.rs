//! How much is learnt at most: deterministic, what was there before stays, and each cap is told once.

use super::*;

const A: &str = "a.example";

fn numbered(from: u32, count: u32) -> Vec<String> {
    (from..from + count).map(|number| std::net::Ipv4Addr::from(0x0b00_0000 + number).to_string()).collect()
}

fn answer(texts: &[String]) -> Vec<(&str, u32)> {
    texts.iter().map(|text| (text.as_str(), 600)).collect()
}

impl Lab {
    fn come(&mut self, text: &str, from: u32, count: u32) -> Change {
        self.good(text, &answer(&numbered(from, count)))
    }

    fn count(&self) -> usize {
        let book = self.names.book_now(self.now);
        book.values().flatten().map(|left| left.address).collect::<BTreeSet<_>>().len()
    }
}

#[test]
fn an_answer_gives_64_addresses_the_same_ones_in_whatever_order_and_says_so_once() {
    let mut texts = numbered(0, 90);
    let mut kept = Vec::new();
    for _ in 0..3 {
        let mut lab = Lab::of(&[A]);
        let change = lab.good(A, &answer(&texts));
        let line = "a.example: its IPv4 answer has more than 64 addresses, 26 are left out";
        assert_eq!(super::texts(&change), [line]);
        assert_eq!(lab.at(10).good(A, &answer(&texts)).warnings, []);
        kept.push(lab.lives(A).into_iter().map(|(text, _)| text).collect::<Vec<_>>());
        texts.rotate_left(40);
    }
    assert_eq!(kept, vec![numbered(0, 64); 3]);
}

#[test]
fn what_the_client_left_out_of_an_answer_counts() {
    let mut lab = Lab::of(&[A]);
    lab.asks();
    let texts = numbered(0, 64);
    let mut told = lookup("192.0.2.53", Ok(&answer(&texts)));
    told.outcome.as_mut().unwrap().left_out = 5;
    let change = lab.names.answered(&name(A), V4, &told, &private, lab.now);
    assert_eq!(change.warnings, [Warning::AnswerCap { name: name(A), family: V4, dropped: 5, cap: 64 }]);
}

#[test]
fn of_an_answer_what_is_known_comes_first() {
    let mut lab = Lab::of(&[A]);
    lab.come(A, 80, 10);
    lab.at(10).come(A, 0, 90);
    let lives = lab.lives(A);
    assert_eq!(lives.len(), 64);
    assert!(lives.iter().filter(|(_, left)| *left == 900).count() == 64, "those of before are renewed");
    assert!(numbered(80, 10).iter().all(|text| lives.iter().any(|(held, _)| held == text)));
}

#[test]
fn a_name_has_256_addresses_keeps_those_and_says_so_once_until_it_is_well_below() {
    let mut lab = Lab::of(&[A]);
    (0..4).for_each(|turn| assert_eq!(lab.come(A, turn * 60, 60).warnings, []));
    let change = lab.come(A, 240, 60);
    assert_eq!(change.warnings, [Warning::NameCap { name: name(A), dropped: 44, cap: 256 }]);
    assert_eq!(lab.count(), 256);
    assert_eq!(lab.at(800).come(A, 300, 60).warnings, []);
    lab.come(A, 0, 60);
    assert_eq!(lab.lives(A)[0], ("11.0.0.0".into(), 900), "what is there is renewed");
    lab.at(1_000).come(A, 300, 60);
    assert_eq!(lab.count(), 120, "the others have run out");
    (0..3).for_each(|turn| assert_eq!(lab.come(A, 400 + turn * 40, 40).warnings, []));
    assert_eq!(lab.come(A, 600, 60).warnings.len(), 1, "it is news again");
}

fn many(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("n{index:04}.example")).collect()
}

#[test]
fn a_rule_has_4096_addresses_and_names_beyond_it_lose_nothing() {
    let texts = many(20);
    let names: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut wanted = wanted(&names);
    wanted.rules =
        vec![rule("update", &names[..19]), rule("again", &names[..19]), rule("small", &names[..2])];
    let mut lab = Lab::with(wanted);
    let mut warnings = Vec::new();
    for (turn, text) in (0..).zip(&names) {
        for part in 0..4 {
            warnings.extend(super::texts(&lab.come(text, turn * 1_000 + part * 64, 64)));
        }
    }
    assert_eq!(
        warnings,
        [
            "rule update: its names have more than 4096 addresses, 64 are left out",
            "rule again: its names have more than 4096 addresses, 64 are left out",
        ]
    );
    assert_eq!(
        (lab.lives(names[15]).len(), lab.lives(names[16]).len(), lab.lives(names[19]).len()),
        (256, 0, 256)
    );
    let shared = lab.come(names[17], 0, 60);
    assert_eq!((shared.warnings, lab.lives(names[17]).len()), (vec![], 60), "an address counts once");
    assert_eq!(lab.at(890).come(names[0], 0, 64).warnings, []);
    assert_eq!(lab.at(901).come(names[16], 9_000, 64).warnings, []);
    assert_eq!(lab.lives(names[16]).len(), 64, "there is room again");
}

#[test]
fn an_answer_fills_what_room_names_that_share_addresses_leave_and_no_more() {
    let names = [A, "b.example", "c.example"];
    let mut wanted = wanted(&names);
    wanted.rules = vec![rule("update", &names)];
    wanted.caps.rule = 4;
    let mut lab = Lab::with(wanted);
    names[..2].iter().for_each(|text| assert!(lab.come(text, 0, 2).warnings.is_empty()));
    let change = lab.come("c.example", 2, 3);
    assert_eq!((lab.count(), change.warnings.len()), (4, 1));
}

#[test]
fn all_names_together_have_65536_addresses() {
    let texts = many(300);
    let names: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut lab = Lab::of(&names);
    let mut warnings = Vec::new();
    for (turn, text) in (0..).zip(&names) {
        for part in 0..4 {
            warnings.extend(super::texts(&lab.come(text, turn * 1_000 + part * 60, 60)));
        }
    }
    assert_eq!(warnings, ["all names together have more than 65536 addresses, 44 are left out"]);
    assert_eq!(lab.count(), 65_536);
    assert_eq!(lab.lives(names[273]).len(), 16);
}

#[test]
fn of_what_comes_back_after_a_restart_the_caps_keep_what_was_seen_last_of_each_name() {
    let kept = |from: u32| -> Vec<Kept> {
        let kept = |(age, text): (u64, String)| Kept {
            address: address(&text),
            remaining: seconds(900),
            seen: Some(crate::model::Seen { first: seconds(900), last: seconds(age) }),
            server: None,
        };
        (0..).zip(numbered(from, 6)).map(kept).collect()
    };
    let mut wanted = wanted(&[A, "b.example"]);
    wanted.rules = vec![rule("update", &[A, "b.example"])];
    wanted.caps = Caps { answer: 64, name: 4, rule: 6, all: 5 };
    let mut lab = Lab::with(wanted);
    let file = [(name(A), kept(0)), (name("b.example"), kept(100))].into();
    let change = lab.names.recall(&file, &private, lab.now);
    let held: Vec<String> =
        ["a.example", "b.example"].iter().flat_map(|text| lab.lives(text)).map(|(text, _)| text).collect();
    assert_eq!(held, ["11.0.0.0", "11.0.0.1", "11.0.0.2", "11.0.0.100", "11.0.0.101"]);
    assert_eq!(change.addresses.len(), 5);
    assert_eq!(
        super::texts(&change),
        [
            "a.example: more than 4 addresses, 2 are left out",
            "b.example: more than 4 addresses, 2 are left out",
            "rule update: its names have more than 6 addresses, 2 are left out",
            "all names together have more than 5 addresses, 1 are left out",
        ]
    );
}

#[test]
fn a_policy_with_less_room_lets_go_what_is_over_and_says_so() {
    let mut lab = Lab::of(&[A]);
    lab.come(A, 0, 10);
    let mut less = wanted(&[A]);
    less.rules = vec![rule("update", &[A])];
    less.caps.rule = 8;
    let change = lab.names.want(less.clone(), lab.now);
    assert_eq!(change.removed, set(&["11.0.0.8", "11.0.0.9"]));
    assert_eq!(change.warnings.len(), 1);
    assert_eq!(lab.names.want(less, lab.now), Change::default());
    assert_eq!(lab.come(A, 0, 10).warnings, [], "it has been told");
}
