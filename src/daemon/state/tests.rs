//! What the reducer answers where nobody outside can make it happen in a moment of his choice.

use super::*;
use crate::daemon::event::Servers;
use crate::model::never::Filter;
use crate::resolver::names::{Keeping, Wanted};
use crate::resolver::{Answer, Lookup};
use crate::types::{Family, HostName};
use crate::worker::{Landlock, Raised};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

const NAME: &str = "a.example.net";

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn name() -> HostName {
    NAME.parse().unwrap()
}

fn server() -> SocketAddr {
    "192.0.2.53:53".parse().unwrap()
}

/// A policy with one name.
fn in_force() -> InForce {
    let keeping = Keeping { floor: at(60), cap: at(86_400), grace: at(300), max_stale: at(259_200) };
    InForce {
        generation: 7,
        rules: 3,
        log_group: None,
        held_back: Vec::new(),
        unkept: None,
        facts: json!({}),
        wanted: Wanted { names: BTreeMap::from([(name(), keeping)]), ..Wanted::default() },
        filter: Filter::default(),
        servers: Servers { default: vec![server()], own: BTreeMap::new() },
        lives: Lives::new(),
    }
}

fn report(outcome: &'static str) -> Report {
    Report { outcome, changed: None, generation: Some(7), told: Vec::new(), json: json!({}) }
}

fn changed(cause: Cause, outcome: &'static str, in_force: Option<InForce>) -> Event {
    Event::Changed(Box::new(Changed { cause, report: report(outcome), in_force }))
}

/// An action in a word or two; lines of the journal by their level.
fn word(action: &Action) -> String {
    use crate::daemon::log::Level;
    match action {
        Action::Reload(_) => "reload".into(),
        Action::Manage => "manage".into(),
        Action::Take(..) => "take".into(),
        Action::Relearn(Cause::Names) => "relearn for names".into(),
        Action::Relearn(_) => "relearn".into(),
        Action::Ask { family, .. } => format!("ask {family:?}"),
        Action::Add(lives) => format!("add {}", lives.values().map(Vec::len).sum::<usize>()),
        Action::StoodStill(by) => format!("stood still {}", by.as_secs()),
        Action::Poll => "poll".into(),
        Action::Look => "look".into(),
        Action::Repair => "repair".into(),
        Action::StartWorker => "start worker".into(),
        Action::StopWorker => "stop worker".into(),
        Action::Save => "save".into(),
        Action::Reply(..) => "reply".into(),
        Action::ReplyNames(_) => "reply names".into(),
        Action::Tell(notice) => format!("{notice:?}").to_lowercase(),
        Action::Log(Entry::Line { level: Level::Error, .. }) => "error".into(),
        Action::Log(Entry::Line { level: Level::Warning, .. }) => "warning".into(),
        Action::Log(_) => "info".into(),
        Action::Stop => "stop".into(),
        Action::CountHeldBack => "count".into(),
        Action::TryLog => "try log".into(),
    }
}

fn words(actions: &[Action]) -> Vec<String> {
    actions.iter().map(word).collect()
}

/// The words of a step, those that always come left out.
fn step(state: &mut State, event: Event, now: Duration) -> Vec<String> {
    let all = words(&state.step(event, now));
    all.into_iter()
        .filter(|word| !["alive", "poll", "info", "count", "save"].contains(&word.as_str()))
        .collect()
}

fn ready() -> Event {
    Event::Worker(FromWorker::Ready(Raised { uid: 65534, landlock: Landlock::Full }))
}

/// A state with the policy in force and a worker that is ready, whose questions of the start are asked.
fn running() -> State {
    let mut state = State::new(1, at(0));
    state.step(changed(Cause::Start, "applied", Some(in_force())), at(0));
    state.step(Event::WorkerStarted { unlogged: None }, at(0));
    state.step(ready(), at(0));
    state.step(Event::Time, at(0));
    state
}

fn answered(address: &str) -> Event {
    let address: IpAddr = address.parse().unwrap();
    let answer = Answer { addresses: vec![(address, 3600)], left_out: 0 };
    let lookup = Lookup { server: Some(server()), outcome: Ok(answer) };
    Event::Worker(FromWorker::Ended { name: name(), family: Family::of(address), lookup })
}

/// Has learnt an address that is to go to the kernel, and gives it.
fn to_be_added(state: &mut State, address: &str, now: Duration) -> Lives {
    state.step(answered(address), now);
    let adds = state
        .turn_ends(now)
        .into_iter()
        .find_map(|action| if let Action::Add(lives) = action { Some(lives) } else { None });
    adds.expect("an address is added")
}

#[test]
fn nobody_is_asked_before_the_rules_are_in_force_and_the_worker_is_ready() {
    let mut state = State::new(1, at(0));
    assert!(step(&mut state, Event::Time, at(0)).is_empty());
    let started = step(&mut state, changed(Cause::Start, "applied", Some(in_force())), at(0));
    assert_eq!(started, ["start worker", "reload", "ready"]);
    step(&mut state, Event::WorkerStarted { unlogged: None }, at(0));
    assert!(step(&mut state, Event::Time, at(1)).is_empty());
    step(&mut state, ready(), at(1));
    assert_eq!(step(&mut state, Event::Time, at(1)), ["ask V4", "ask V6"]);
}

#[test]
fn a_worker_that_ends_is_started_again_ever_later_and_asked_again() {
    let mut state = running();
    let mut now = at(1);
    for wait in [0, 1, 2, 4, 8] {
        assert_eq!(step(&mut state, Event::WorkerEnded("killed".into()), now), ["warning"]);
        if wait > 0 {
            let early = step(&mut state, Event::Time, now + at(wait) - Duration::from_millis(1));
            assert!(!early.contains(&"start worker".to_owned()), "{wait}: {early:?}");
        }
        now += at(wait);
        assert!(state.next(now) <= now, "the loop wakes for it");
        assert!(step(&mut state, Event::Time, now).contains(&"start worker".to_owned()), "{wait}");
        step(&mut state, Event::WorkerStarted { unlogged: None }, now);
        step(&mut state, ready(), now);
    }
    let asked = step(&mut state, Event::Time, now + at(30));
    assert_eq!(asked.iter().filter(|word| word.starts_with("ask")).count(), 2, "{asked:?}");
    assert_eq!(state.worker.restarts, 5);
}

#[test]
fn a_batch_that_the_kernel_refuses_leads_to_everything_after_1_2_and_4_seconds() {
    let mut state = running();
    let mut now = at(1);
    let lives = to_be_added(&mut state, "93.184.1.1", now);
    for (number, wait) in [1, 2, 4].into_iter().enumerate() {
        let refused = if number == 0 {
            Event::Added { lives: lives.clone(), outcome: Adding::Refused("no room".into()) }
        } else {
            changed(Cause::Names, "refused", None)
        };
        assert!(step(&mut state, refused, now).contains(&"error".to_owned()));
        assert!(state.turn_ends(now).iter().all(|action| word(action) != "relearn for names"));
        now += at(wait);
        assert!(state.next(now) <= now, "the loop wakes for it");
        step(&mut state, Event::Time, now - Duration::from_millis(1));
        assert!(words(&state.turn_ends(now - Duration::from_millis(1))).is_empty(), "{wait}");
        step(&mut state, Event::Time, now);
        assert_eq!(words(&state.turn_ends(now)), ["relearn for names"], "{wait}");
    }
    step(&mut state, changed(Cause::Names, "applied", Some(in_force())), now);
    let lives = to_be_added(&mut state, "93.184.1.2", now);
    step(&mut state, Event::Added { lives, outcome: Adding::Refused("no room".into()) }, now);
    step(&mut state, Event::Time, now + at(1));
    assert_eq!(words(&state.turn_ends(now + at(1))), ["relearn for names"], "the waits begin anew");
}

#[test]
fn addresses_that_need_more_than_is_in_force_compile_the_whole_policy() {
    let mut state = running();
    let lives = to_be_added(&mut state, "93.184.1.1", at(1));
    let needs = Event::Added { lives, outcome: Adding::NeedsMore };
    assert_eq!(step(&mut state, needs, at(1)), ["relearn for names"]);
}

#[test]
fn addresses_that_somebody_overtook_are_added_after_a_look() {
    let mut state = running();
    let lives = to_be_added(&mut state, "93.184.1.1", at(1));
    let overtaken = Event::Added { lives, outcome: Adding::Overtaken };
    assert_eq!(step(&mut state, overtaken, at(1)), ["look"]);
    assert!(step(&mut state, Event::Looked(Ok(Vec::new())), at(1)).is_empty());
    assert_eq!(words(&state.turn_ends(at(1))), ["add 1"]);
}

#[test]
fn after_a_sleep_the_kernel_is_told_apart_from_the_clock_and_one_poll_follows() {
    let mut state = running();
    let lives = to_be_added(&mut state, "93.184.1.1", at(1));
    state.step(Event::Added { lives, outcome: Adding::Written }, at(1));
    let slept = at(3600);
    let told = step(&mut state, Event::Suspended(slept), at(1) + slept);
    assert_eq!(told[0], "stood still 3600");
    let polls = |state: &mut State, now| {
        words(&state.step(Event::Time, now)).iter().filter(|word| *word == "poll").count()
    };
    assert_eq!(polls(&mut state, at(2) + slept), 1);
    assert_eq!(polls(&mut state, at(2) + slept), 0);
}

#[test]
fn a_hangup_is_told_as_reloading_and_ends_ready_whatever_its_outcome() {
    let mut state = running();
    assert_eq!(step(&mut state, Event::Signal(Signal::Reload), at(5)), ["reloading", "reload"]);
    let refused = changed(Cause::Hangup, "refused", None);
    assert_eq!(step(&mut state, refused, at(5)), ["error", "ready"]);
    assert!(report::status(&state, at(5))["degraded"].to_string().contains("the last change was refused"));
    let good = changed(Cause::Hangup, "unchanged", Some(in_force()));
    assert_eq!(step(&mut state, good, at(6)), ["ready"]);
    assert!(!report::status(&state, at(6))["degraded"].to_string().contains("the last change"));
}

#[test]
fn changes_of_the_machine_in_a_row_are_taken_together() {
    let mut state = running();
    let happens = |state: &mut State, millis| {
        let now = at(10) + Duration::from_millis(millis);
        step(state, Event::Machine(Machine::Interfaces), now)
    };
    assert_eq!(happens(&mut state, 0), ["relearn"]);
    assert!((1..10).all(|tenth| happens(&mut state, tenth * 100).is_empty()));
    assert_eq!(step(&mut state, Event::Time, at(11)), ["relearn"]);
    assert!(step(&mut state, Event::Time, at(12)).is_empty());
}

#[test]
fn a_table_that_cannot_be_mended_is_tried_again_and_status_recovers_from_a_contest() {
    let mut state = running();
    let differs = || Event::Looked(Ok(vec!["rule deleted".into()]));
    for second in 10..15 {
        assert_eq!(step(&mut state, differs(), at(second)), ["warning", "repair"]);
        step(&mut state, Event::Repaired(Ok(())), at(second));
    }
    assert_eq!(step(&mut state, Event::Polled { moved: true }, at(15)), ["look"]);
    assert_eq!(step(&mut state, differs(), at(15)), ["error"]);
    assert!(step(&mut state, differs(), at(16)).is_empty(), "said once");
    let contested = |state: &State, now| {
        report::status(state, now)["degraded"].to_string().contains("others keep changing the table")
    };
    assert!(contested(&state, at(16)));
    assert_eq!(step(&mut state, Event::Polled { moved: false }, at(24)), ["look"]);
    assert_eq!(step(&mut state, differs(), at(24)), ["warning", "repair"]);
    assert_eq!(step(&mut state, Event::Repaired(Err("no memory".into())), at(24)), ["error"]);
    assert!(step(&mut state, Event::Polled { moved: false }, at(33)).is_empty());
    assert_eq!(step(&mut state, Event::Polled { moved: false }, at(34)), ["look"]);
    step(&mut state, Event::Looked(Ok(Vec::new())), at(34));
    assert!(contested(&state, at(83)) && !contested(&state, at(84)));
}

#[test]
fn the_built_in_policy_does_not_hide_that_the_files_were_refused() {
    let mut state = State::new(1, at(0));
    step(&mut state, changed(Cause::Files, "refused", None), at(0));
    let managed = step(&mut state, changed(Cause::Management, "applied", Some(in_force())), at(0));
    assert!(managed.contains(&"error".to_owned()) && managed.contains(&"ready".to_owned()), "{managed:?}");
    assert!(report::status(&state, at(0))["degraded"].to_string().contains("the last change was refused"));
}
