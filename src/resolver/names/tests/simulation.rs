//! Whole stories: many names over minutes, and a name that rotates.

use super::*;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// When a question's answer comes.
type Coming = BinaryHeap<Reverse<(Duration, HostName, Family)>>;

fn index(name: &HostName) -> u32 {
    name.as_str().trim_start_matches('n').trim_end_matches(".example").parse().unwrap()
}

/// Of the names a tenth never gets an answer, the others have TTLs of 5 to 300 s and one to sixteen addresses.
fn outcome(name: &HostName, family: Family) -> Result<Answer, Failure> {
    let index = index(name);
    let ttl = 5 + index * 7 % 296;
    match family {
        _ if index % 10 == 0 => Err(Failure::Timeout),
        Family::V6 if index % 3 == 0 => Err(Failure::NoData { seconds: Some(ttl) }),
        Family::V4 | Family::V6 => {
            let address = |number: u32| match family {
                Family::V4 => IpAddr::from(std::net::Ipv4Addr::from(0x0b00_0000 + index * 16 + number)),
                Family::V6 => {
                    IpAddr::from(std::net::Ipv6Addr::from(u128::from(index * 16 + number) + (0x2a00 << 112)))
                }
            };
            let addresses = (0..1 + index % 16).map(|number| (address(number), ttl)).collect();
            Ok(Answer { addresses, left_out: 0 })
        }
    }
}

#[test]
fn of_2000_names_a_tenth_of_which_time_out_none_that_is_well_is_asked_a_second_late() {
    let texts: Vec<String> = (0..2_000).map(|index| format!("n{index}.example")).collect();
    let mut lab = Lab::of(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    let (mut now, end) = (lab.now, lab.now + seconds(600));
    let mut coming = Coming::new();
    let mut promised: BTreeMap<(HostName, Family), Duration> = BTreeMap::new();
    let (mut asked, mut wake_ups, mut late) = (0, 0, Duration::ZERO);
    while now < end {
        wake_ups += 1;
        let due = lab.names.due(now);
        asked += due.questions.len();
        for Ask { name, family, .. } in due.questions {
            if let Some(at) = promised.remove(&(name.clone(), family)) {
                assert!(now >= at, "{name} is asked before its moment");
                late = late.max(now - at);
            }
            let answers_in = if index(&name) % 10 == 0 { seconds(8) } else { Duration::from_millis(30) };
            coming.push(Reverse((now + answers_in, name, family)));
        }
        let next_answer = coming.peek().map(|Reverse((at, ..))| *at);
        let next = next_answer.into_iter().chain(lab.names.next_due(now)).min().expect("it never ends");
        assert!(next > now || next_answer == Some(next), "it wakes up in vain");
        now = now.max(next);
        while coming.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            let Some(Reverse((_, name, family))) = coming.pop() else { break };
            let lookup = Lookup { server: None, outcome: outcome(&name, family) };
            lab.names.answered(&name, family, &lookup, &private, now);
            lab.now = now;
            let question = lab.question(name.as_str(), family);
            if lab.names.schedule.kind(question) == Some(Kind::Known) {
                let at = lab.names.schedule.at(question).unwrap();
                promised.insert((name, family), Duration::from_millis(at as u64));
            }
        }
    }
    assert!(late <= seconds(1), "one was {late:?} late");
    assert!(lab.names.latest() <= seconds(1), "with looks for more: {:?} late", lab.names.latest());
    assert!((20_000..80_000).contains(&asked), "{asked} questions went out");
    assert!(wake_ups < asked * 3, "{wake_ups} wake-ups for {asked} questions");
    let states = |wanted: State| lab.names.report(now).iter().filter(|report| report.state == wanted).count();
    assert_eq!((states(State::Ok), states(State::Failing)), (1_800, 200));
    assert!(lab.names.book_now(now).iter().all(|(name, held)| held.is_empty() == (index(name) % 10 == 0)));
}

#[test]
fn a_name_that_rotates_is_learnt_whole() {
    let mut wanted = wanted(&["a.example"]);
    wanted.min_interval = seconds(1);
    let mut lab = Lab::with(wanted);
    lab.end("a.example", V6, Err(NODATA));
    let (mut shown, mut now) = (0u8, lab.now);
    let end = now + seconds(120);
    while now < end {
        for ask in lab.names.due(now).questions {
            let addresses = (0..4).map(|more| (IpAddr::from([11, 0, 0, (shown + more) % 40]), 2)).collect();
            shown = (shown + 4) % 40;
            let outcome = if ask.family == V4 { Ok(Answer { addresses, left_out: 0 }) } else { Err(NODATA) };
            lab.names.answered(&ask.name, ask.family, &Lookup { server: None, outcome }, &private, now);
        }
        now = lab.names.next_due(now).unwrap();
        lab.now = now;
        if lab.lives("a.example").len() == 40 {
            break;
        }
    }
    let took = now - seconds(START);
    assert!(took <= seconds(30), "{took:?} for ten answers");
    assert_eq!(lab.lives("a.example").len(), 40);
}

#[test]
fn what_a_name_and_an_address_take_stays_small() {
    assert!(size_of::<crate::resolver::book::Held>() <= 88, "{}", size_of::<crate::resolver::book::Held>());
    assert!(size_of::<Subject>() <= 320, "{}", size_of::<Subject>());
}
