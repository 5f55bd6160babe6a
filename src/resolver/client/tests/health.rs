//! What the client remembers of servers from question to question.

use super::*;
use crate::resolver::judge::Transport;
use crate::resolver::script::Server;
use domain::base::iana::Rcode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A server that answers while the switch is on.
fn switched() -> (Server, Arc<AtomicBool>) {
    let on = Arc::new(AtomicBool::new(false));
    let answers = on.clone();
    let script = move |query: &Query<'_>| {
        let reply = query.reply().address(&query.name, 60, "192.0.2.2").bytes();
        if answers.load(Ordering::SeqCst) { vec![reply] } else { vec![] }
    };
    (Server::run(script), on)
}

#[test]
fn a_silent_server_stays_behind_the_others_from_question_to_question() {
    let (first, _off) = switched();
    let second = Server::run(|query| vec![right(query).bytes()]);
    let servers = [first.address, second.address];
    let mut client = Client::new(Limits { first_wait: 5 * BRIEF, ..limits(PATIENT) }).unwrap();
    assert_eq!(address(&ask_one(&mut client, "a.example", &servers)), Ok("192.0.2.1".into()));
    assert_eq!(first.asked(), 1);
    for host in numbered("host", 20) {
        ask_one(&mut client, host.as_str(), &servers);
    }
    let timeouts = client.counters().timeouts;
    assert!(
        timeouts < 10 && first.asked() == usize::try_from(timeouts).unwrap(),
        "{timeouts} {}",
        first.asked()
    );
}

#[test]
fn a_silent_server_is_tried_again_and_comes_back_to_its_place() {
    let (first, on) = switched();
    let second = Server::run(|query| vec![right(query).bytes()]);
    let servers = [first.address, second.address];
    let mut client = Client::new(Limits { first_wait: 5 * BRIEF, retry: BRIEF, ..limits(PATIENT) }).unwrap();
    assert_eq!(address(&ask_one(&mut client, "a.example", &servers)), Ok("192.0.2.1".into()));
    on.store(true, Ordering::SeqCst);
    let patience = Instant::now() + PATIENT;
    while address(&ask_one(&mut client, "b.example", &servers)) != Ok("192.0.2.2".into()) {
        assert!(Instant::now() < patience);
    }
    let before = second.asked();
    for host in numbered("host", 20) {
        assert_eq!(address(&ask_one(&mut client, host.as_str(), &servers)), Ok("192.0.2.2".into()));
    }
    assert_eq!(second.asked(), before);
}

#[test]
fn a_silent_server_that_is_the_only_one_is_asked_all_the_same() {
    let (only, on) = switched();
    let mut client = Client::new(limits(BRIEF)).unwrap();
    assert_eq!(address(&ask_one(&mut client, "a.example", &[only.address])), Err(Failure::Timeout));
    assert_eq!(only.asked(), 2);
    on.store(true, Ordering::SeqCst);
    let mut client = Client { limits: limits(PATIENT), ..client };
    assert_eq!(address(&ask_one(&mut client, "b.example", &[only.address])), Ok("192.0.2.2".into()));
}

#[test]
fn a_server_silent_to_one_name_keeps_its_place() {
    let second = Server::run(|query| vec![right(query).bytes()]);
    let first =
        Server::run(|query| if query.name.starts_with('s') { vec![] } else { vec![right(query).bytes()] });
    let servers = [first.address, second.address];
    let mut client = Client::new(limits(PATIENT)).unwrap();
    client.ask(name("silent.example"), Family::V4, &servers);
    client.advance(&[]).unwrap();
    assert_eq!(ask_one(&mut client, "a.example", &servers).lookup.server, Some(first.address));
    client.running[0].until = Instant::now();
    assert_eq!(drive(&mut client, 1)[0].lookup.server, Some(second.address));
    assert_eq!(ask_one(&mut client, "b.example", &servers).lookup.server, Some(first.address));
}

#[test]
fn a_server_that_fails_keeps_its_place_for_the_next_question() {
    let failing = Server::run(|query| {
        let reply = right(query);
        vec![if query.name.starts_with('f') { reply.rcode(Rcode::SERVFAIL).bytes() } else { reply.bytes() }]
    });
    let other = Server::run(|query| vec![right(query).bytes()]);
    let servers = [failing.address, other.address];
    let mut client = Client::new(limits(PATIENT)).unwrap();
    assert_eq!(ask_one(&mut client, "failing.example", &servers).lookup.server, Some(other.address));
    assert_eq!(ask_one(&mut client, "a.example", &servers).lookup.server, Some(failing.address));
    assert_eq!(client.counters().timeouts, 0);
}

#[test]
fn a_server_that_lower_cases_is_asked_by_tcp_until_that_fails() {
    let tcp_works = Arc::new(AtomicBool::new(true));
    let works = tcp_works.clone();
    let server = Server::run(move |query| match query.transport {
        Transport::Udp => vec![right(query).respelt(u8::make_ascii_lowercase).bytes()],
        Transport::Tcp if works.load(Ordering::SeqCst) => vec![right(query).bytes()],
        Transport::Tcp => vec![],
    });
    let long = "a-name-of-many-letters.example";
    let mut client = Client::new(limits(PATIENT)).unwrap();
    let asked = |client: &Client| (client.counters().udp_asked, client.counters().tcp_asked);
    assert_eq!(address(&ask_one(&mut client, long, &[server.address])), Ok("192.0.2.1".into()));
    assert_eq!(address(&ask_one(&mut client, long, &[server.address])), Ok("192.0.2.1".into()));
    assert_eq!(asked(&client), (1, 2));
    tcp_works.store(false, Ordering::SeqCst);
    assert_eq!(address(&ask_one(&mut client, long, &[server.address])), Err(Failure::Malformed));
    assert_eq!(asked(&client), (1, 3));
    tcp_works.store(true, Ordering::SeqCst);
    assert_eq!(address(&ask_one(&mut client, long, &[server.address])), Ok("192.0.2.1".into()));
    assert_eq!(asked(&client), (2, 4));
}
