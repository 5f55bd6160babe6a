//! The client as it lives for long: questions come and end, and nothing of them stays.

use super::*;
use crate::resolver::judge::Transport;
use crate::resolver::script::Server;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn nothing_is_left(client: &Client) {
    assert!(client.questions.is_empty() && client.ids.is_empty() && client.ended.is_empty());
    assert_eq!((client.running.len(), client.late.len(), client.next_deadline()), (0, 0, None));
}

#[test]
fn nothing_stays_of_questions_that_have_ended() {
    let server =
        Server::run(|query| if query.name.starts_with('s') { vec![] } else { vec![right(query).bytes()] });
    let mut client = Client::new(limits(BRIEF)).unwrap();
    nothing_is_left(&client);
    for round in 0..5 {
        for host in numbered("silent", 5).iter().chain(&numbered("host", 200)) {
            client.ask(host.clone(), Family::V4, &[server.address]);
        }
        let ended = drive(&mut client, 205);
        assert_eq!(ended.iter().filter(|ended| ended.lookup.outcome.is_ok()).count(), 200, "round {round}");
        drive_nothing(&mut client);
        nothing_is_left(&client);
        assert!(client.waiting.turn().is_none());
    }
    assert_eq!(client.counters().udp_asked, 5 * (200 + 5 * 2));
}

/// Attempts of questions that have ended go with the next turn.
fn drive_nothing(client: &mut Client) {
    assert_eq!(client.advance(&[]).unwrap(), []);
}

#[test]
fn a_tenth_of_silent_names_holds_up_no_other() {
    let server =
        Server::run(|query| if query.name.starts_with('s') { vec![] } else { vec![right(query).bytes()] });
    let mut client = Client::new(limits(PATIENT)).unwrap();
    for (index, host) in numbered("host", 500).into_iter().enumerate() {
        let host = if index < 50 { name(&format!("silent{index}.example")) } else { host };
        client.ask(host, Family::V4, &[server.address]);
    }
    let ended = drive(&mut client, 450);
    assert!(ended.iter().all(|ended| address(ended) == Ok("192.0.2.1".into())));
    assert_eq!(client.counters(), Counters { udp_asked: 500, ..Counters::default() });
    assert_eq!((client.running.len(), server.asked()), (50, 500));
}

#[test]
fn names_left_without_an_answer_have_a_quarter_of_the_places_while_others_wait() {
    let (silent, server) = silence();
    let limits = Limits { per_server: 8, in_flight: 8, ..limits(BRIEF) };
    let mut client = Client::new(limits).unwrap();
    for host in numbered("silent", 8).iter().chain(&numbered("host", 8)) {
        client.ask(host.clone(), Family::V4, &[server]);
    }
    client.advance(&[]).unwrap();
    for attempt in &mut client.running {
        attempt.until = Instant::now();
    }
    client.advance(&[]).unwrap();
    let slow = client.running.iter().filter(|attempt| attempt.again).count();
    assert_eq!((client.running.len(), slow, client.late.len()), (8, 2, 8));
    drop(silent);
}

#[test]
fn no_more_late_answers_are_listened_for_than_questions_may_be_in_flight() {
    let (_socket, silent) = silence();
    let mut client = Client::new(Limits { in_flight: 8, per_server: 5, ..limits(PATIENT) }).unwrap();
    for host in numbered("host", 40) {
        client.ask(host, Family::V4, &[silent]);
    }
    for round in 0..10 {
        client.advance(&[]).unwrap();
        assert_eq!((client.running.len(), client.late.len()), (5, (5 * round).min(8)));
        client.running.iter_mut().for_each(|attempt| attempt.until = Instant::now());
    }
}

#[test]
fn servers_that_are_busy_hold_up_nobody_who_asks_others() {
    let (_socket, silent) = silence();
    let good = Server::run(|query| vec![right(query).bytes()]);
    let mut client = Client::new(Limits { per_server: 3, in_flight: 6, ..limits(PATIENT) }).unwrap();
    for host in numbered("inside", 100) {
        client.ask(host, Family::V4, &[silent]);
    }
    for host in numbered("outside", 100) {
        client.ask(host, Family::V4, &[good.address]);
    }
    let ended = drive(&mut client, 100);
    assert!(ended.iter().all(|ended| ended.name.as_str().starts_with("outside")));
    assert_eq!((good.asked(), client.running.len()), (100, 3));
}

#[test]
fn each_question_goes_to_its_own_servers() {
    let inside = Server::run(|query| vec![query.reply().address(&query.name, 60, "10.0.0.1").bytes()]);
    let outside = Server::run(|query| vec![right(query).bytes()]);
    let mut client = Client::new(limits(PATIENT)).unwrap();
    client.ask(name("www.inside.example"), Family::V4, &[inside.address]);
    client.ask(name("www.example"), Family::V4, &[outside.address]);
    let mut ended = drive(&mut client, 2);
    ended.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(address(&ended[0]), Ok("192.0.2.1".into()));
    assert_eq!((address(&ended[1]), ended[1].lookup.server), (Ok("10.0.0.1".into()), Some(inside.address)));
    assert_eq!((inside.asked(), outside.asked()), (1, 1));
}

#[test]
fn a_question_that_is_under_way_is_not_asked_twice_and_begins_anew_with_other_servers() {
    let (_socket, silent) = silence();
    let good = Server::run(|query| vec![right(query).bytes()]);
    let mut client = Client::new(limits(PATIENT)).unwrap();
    for _ in 0..2 {
        client.ask(name("www.example"), Family::V4, &[silent, silent]);
        assert_eq!(client.advance(&[]).unwrap(), []);
    }
    assert_eq!((client.counters().udp_asked, client.interests().len()), (1, 1));
    client.ask(name("www.example"), Family::V4, &[good.address]);
    assert_eq!(client.interests().len(), 1, "what was polled for still counts");
    let ended = drive(&mut client, 1);
    assert_eq!((address(&ended[0]), ended[0].lookup.server), (Ok("192.0.2.1".into()), Some(good.address)));
    nothing_is_left(&client);
}

#[test]
fn more_questions_than_it_takes_end_at_once() {
    let (_socket, silent) = silence();
    let mut client = Client::new(Limits { questions: 10, ..limits(PATIENT) }).unwrap();
    for host in numbered("host", 12) {
        client.ask(host, Family::V4, &[silent]);
    }
    let ended = drive(&mut client, 2);
    assert!(ended.iter().all(|ended| ended.lookup.outcome == Err(Failure::TooMany)));
    assert_eq!((client.questions.len(), client.running.len()), (10, 10));
}

#[test]
fn the_first_wait_is_1_s_the_second_2_s_and_a_question_takes_8_s_in_all() {
    let (_socket, silent) = silence();
    let mut client = Client::new(Limits::default()).unwrap();
    let second = Duration::from_secs(1);
    client.ask(name("www.example"), Family::V4, &[silent]);
    assert!(client.next_deadline().unwrap() <= Instant::now());
    client.advance(&[]).unwrap();
    let began = client.running[0].began;
    assert_eq!(client.next_deadline(), Some(began + second));
    assert_eq!(client.questions.values().next().unwrap().ends, Some(began + 8 * second));
    client.running[0].until = Instant::now();
    client.advance(&[]).unwrap();
    assert_eq!(client.running[0].until - client.running[0].began, 2 * second);
    client.questions.values_mut().next().unwrap().ends = Some(Instant::now());
    assert_eq!(client.advance(&[]).unwrap()[0].lookup.outcome, Err(Failure::Timeout));
}

#[test]
fn no_attempt_lasts_longer_than_its_question() {
    let (_socket, silent) = silence();
    let mut client = Client::new(Limits { question: BRIEF, ..limits(PATIENT) }).unwrap();
    let ended = ask_one(&mut client, "www.example", &[silent]);
    assert_eq!((address(&ended), client.counters().timeouts), (Err(Failure::Timeout), 1));
}

#[test]
fn every_attempt_has_its_own_port_and_id() {
    let seen = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
    let ids = seen.clone();
    let server = Server::run(move |query| {
        ids.lock().unwrap().insert([query.bytes[0], query.bytes[1]]);
        vec![query.reply().truncated().bytes()]
            .into_iter()
            .filter(|_| query.transport == Transport::Udp)
            .collect()
    });
    let mut client = Client::new(limits(PATIENT)).unwrap();
    for host in numbered("host", 40) {
        client.ask(host, Family::V4, &[server.address]);
    }
    client.advance(&[]).unwrap();
    let ports = client.running.iter().map(|attempt| attempt.exchange.local_port());
    assert_eq!(ports.collect::<std::collections::BTreeSet<_>>().len(), 40);
    drive(&mut client, 40);
    // 80 of 65,536 ids: more than a handful of them twice is no chance.
    assert!(seen.lock().unwrap().len() > 70);
}

#[test]
fn a_stranger_who_knows_port_and_question_is_not_heard() {
    let (server, address_of_server) = silence();
    let mut client = Client::new(limits(PATIENT)).unwrap();
    client.ask(name("www.example"), Family::V4, &[address_of_server]);
    client.advance(&[]).unwrap();
    let mut buffer = [0; 2048];
    let (length, peer) = server.recv_from(&mut buffer).unwrap();
    let reply = |address| Reply::to(&buffer[..length]).address("www.example", 60, address).bytes();
    let (stranger, _) = silence();
    stranger.send_to(&reply("192.0.2.66"), peer).unwrap();
    server.send_to(&reply("192.0.2.1"), peer).unwrap();
    let ended = drive(&mut client, 1);
    assert_eq!(address(&ended[0]), Ok("192.0.2.1".into()));
    assert_eq!(client.counters(), Counters { udp_asked: 1, ..Counters::default() });
}

#[test]
fn of_thousands_of_addresses_the_lowest_1024_are_kept_and_fit_into_a_message() {
    let server = Server::run(|query| {
        let first = query.reply();
        let addresses = (0..1500).rev().map(|last| format!("2001:db8:ffff:ffff:ffff:ffff:ffff:{last:x}"));
        vec![
            addresses
                .fold(first, |reply, address| reply.address("w.example", u32::MAX >> 1, &address))
                .bytes(),
        ]
    });
    let mut client = Client::new(limits(PATIENT)).unwrap();
    client.ask(name("w.example"), Family::V6, &[server.address]);
    let ended = drive(&mut client, 1).remove(0);
    let answer = ended.lookup.outcome.clone().unwrap();
    assert_eq!((answer.addresses.len(), answer.left_out), (1024, 476));
    assert_eq!(answer.addresses[1023].0.to_string(), "2001:db8:ffff:ffff:ffff:ffff:ffff:3ff");
    assert_eq!(client.counters(), Counters { udp_asked: 1, tcp_asked: 1, ..Counters::default() });
    let json = serde_json::to_string(&ended.lookup).unwrap();
    assert!(json.len() < 256 * 1024 / 3, "{}", json.len());
    assert_eq!(serde_json::from_str::<Lookup>(&json).unwrap(), ended.lookup);
}

#[test]
fn a_wrong_number_of_ready_sockets_does_no_harm() {
    let server = Server::run(|query| vec![right(query).bytes()]);
    let mut client = Client::new(limits(PATIENT)).unwrap();
    client.ask(name("www.example"), Family::V4, &[server.address]);
    assert_eq!(client.advance(&[true; 9]).unwrap(), []);
    assert_eq!(client.advance(&[]).unwrap(), []);
    assert_eq!(address(&drive(&mut client, 1)[0]), Ok("192.0.2.1".into()));
}

#[test]
fn it_sleeps_while_nothing_comes() {
    let server = Server::run(|query| vec![right(query).bytes()]);
    let mut client = Client::new(limits(PATIENT)).unwrap();
    let turns = AtomicUsize::new(0);
    for host in numbered("host", 300) {
        client.ask(host, Family::V4, &[server.address]);
    }
    let mut ended = 0;
    while ended < 300 {
        turns.fetch_add(1, Ordering::Relaxed);
        let ready = crate::resolver::once::ready(&client, Instant::now() + PATIENT).unwrap();
        ended += client.advance(&ready).unwrap().len();
    }
    let turns = turns.into_inner();
    assert!(turns <= 302, "{turns} turns: more than one for each answer");
}
