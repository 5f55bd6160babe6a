use super::*;
use crate::resolver::judge::Transport;
use crate::resolver::outcome::{Counters, Lookups};
use crate::resolver::script::{Reply, Server};
use domain::base::iana::Rcode;
use std::collections::BTreeSet;

/// All names at the same servers.
fn lookup_all(
    names: &[HostName],
    servers: &[SocketAddr],
    deadline: Duration,
    limits: &Limits,
) -> io::Result<Lookups> {
    let asked = names.iter().map(|name| (name, servers)).collect();
    crate::resolver::lookup_all(&asked, deadline, limits)
}

/// So many letters that no draw of their cases leaves all of them upper: with each case changed they would be lower, and
/// that has a meaning of its own.
const LETTERS: &str = "with-more-letters-than-chance-spells-in-one-case.example";

fn ask(servers: &[SocketAddr], wait: Duration) -> Lookups {
    lookup_all(&[name("www.example")], servers, PATIENT, &limits(wait)).unwrap()
}

fn v4(lookups: &Lookups) -> Result<Vec<(String, u32)>, Failure> {
    outcome(lookups, "www.example", Family::V4)
}

fn outcome(lookups: &Lookups, text: &str, family: Family) -> Result<Vec<(String, u32)>, Failure> {
    let answer = lookups.get(&name(text), family).unwrap().outcome.clone()?;
    Ok(answer.addresses.iter().map(|(address, ttl)| (address.to_string(), *ttl)).collect())
}

fn one(address: &str, ttl: u32) -> Result<Vec<(String, u32)>, Failure> {
    Ok(vec![(address.into(), ttl)])
}

#[test]
fn both_families_of_every_name_are_asked_once() {
    let server = Server::run(|query| {
        let (v4, v6) = ("192.0.2.1", "2001:db8::1");
        vec![query.reply().address(&query.name, 60, if query.family == Family::V4 { v4 } else { v6 }).bytes()]
    });
    let names = ["a.example", "b.example", "a.example"].map(name);
    let lookups = lookup_all(&names, &[server.address], PATIENT, &limits(PATIENT)).unwrap();
    for text in ["a.example", "b.example"] {
        assert_eq!(outcome(&lookups, text, Family::V4), one("192.0.2.1", 60));
        assert_eq!(outcome(&lookups, text, Family::V6), one("2001:db8::1", 60));
        assert_eq!(lookups.get(&name(text), Family::V6).unwrap().server, Some(server.address));
    }
    assert_eq!((server.asked(), lookups.by_question.len()), (4, 4));
    assert_eq!(lookups.counters, Counters { udp_asked: 4, ..Counters::default() });
}

#[test]
fn every_query_is_spelt_anew() {
    let server = Server::run(|query| vec![right(query).bytes()]);
    let long = name(&format!("{}.example", "abcdefghijklmnopqrst".repeat(3)));
    for _ in 0..2 {
        lookup_all(std::slice::from_ref(&long), &[server.address], PATIENT, &limits(PATIENT)).unwrap();
    }
    let spellings = server.spellings();
    let distinct: BTreeSet<&Vec<u8>> = spellings.iter().collect();
    let lowered: BTreeSet<Vec<u8>> = spellings.iter().map(|name| name.to_ascii_lowercase()).collect();
    assert_eq!((spellings.len(), distinct.len(), lowered.len()), (4, 4, 1));
}

#[test]
fn two_hundred_names_are_answered_within_the_limits_on_what_is_in_flight() {
    let server = Server::run(|query| vec![right(query).bytes()]);
    let names: Vec<HostName> = numbered("host", 200);
    let limits = Limits { in_flight: 7, per_server: 3, ..limits(PATIENT) };
    let lookups = lookup_all(&names, &[server.address], PATIENT, &limits).unwrap();
    assert_eq!(lookups.by_question.values().filter(|lookup| lookup.outcome.is_ok()).count(), 200);
    assert_eq!(server.asked(), 400);
}

#[test]
fn more_names_than_the_client_takes_are_all_asked() {
    let server = Server::run(|query| vec![right(query).bytes()]);
    let limits = Limits { questions: 5, ..limits(PATIENT) };
    let lookups = lookup_all(&numbered("host", 30), &[server.address], PATIENT, &limits).unwrap();
    assert_eq!(lookups.by_question.values().filter(|lookup| lookup.outcome.is_ok()).count(), 30);
    assert_eq!(server.asked(), 60);
}

#[test]
fn no_more_is_in_flight_than_the_limits_say() {
    let ((_one, first), (_two, second)) = (silence(), silence());
    let names: Vec<HostName> = numbered("host", 20);
    for (servers, in_flight, expected) in
        [(&[first][..], 5, 3), (&[first, second], 5, 5), (&[first, second], 9, 6)]
    {
        let limits = Limits { in_flight, per_server: 3, ..limits(PATIENT) };
        let lookups = lookup_all(&names, servers, BRIEF, &limits).unwrap();
        assert_eq!(lookups.counters.udp_asked, expected);
    }
}

#[test]
fn aliases_lead_to_addresses_in_any_order_of_records() {
    let server = Server::run(|query| {
        let reply =
            query.reply().address("c.example", 300, "192.0.2.7").address("other.example", 1, "192.0.2.66");
        vec![reply.alias("b.example", 20, "c.example").alias("www.example", 600, "b.example").bytes()]
    });
    assert_eq!(v4(&ask(&[server.address], PATIENT)), one("192.0.2.7", 20));
}

#[test]
fn a_loop_of_aliases_is_a_failure() {
    let server = Server::run(|query| {
        vec![query.reply().alias("www.example", 1, "b.example").alias("b.example", 1, "www.example").bytes()]
    });
    assert_eq!(v4(&ask(&[server.address], PATIENT)), Err(Failure::ChainLoop));
}

#[test]
fn a_truncated_answer_is_asked_for_again_by_tcp_and_its_content_ignored() {
    let server = Server::run(|query| match query.transport {
        Transport::Udp => vec![query.reply().address(&query.name, 60, "192.0.2.66").truncated().bytes()],
        Transport::Tcp => vec![right(query).bytes()],
    });
    let lookups = ask(&[server.address], PATIENT);
    assert_eq!(v4(&lookups), one("192.0.2.1", 60));
    assert_eq!((lookups.counters.udp_asked, lookups.counters.tcp_asked), (2, 2));
}

#[test]
fn an_answer_of_more_than_1232_octets_comes_by_tcp() {
    let server = Server::run(|query| {
        let mut reply = query.reply();
        for index in 0..120 {
            reply = reply.address(&query.name, 60, &format!("192.0.2.{index}"));
        }
        vec![reply.bytes()]
    });
    let lookups = ask(&[server.address], PATIENT);
    assert_eq!(v4(&lookups).unwrap().len(), 120);
    assert_eq!(lookups.counters.tcp_asked, 2);
}

#[test]
fn forty_addresses_are_all_taken_by_udp() {
    let server = Server::run(|query| {
        let addresses = (0..40).map(|index| format!("192.0.2.{index}"));
        vec![
            addresses
                .fold(query.reply(), |reply, address| reply.address("www.example", 60, &address))
                .bytes(),
        ]
    });
    let lookups = ask(&[server.address], PATIENT);
    assert_eq!((v4(&lookups).unwrap().len(), lookups.counters.tcp_asked), (40, 0));
}

#[test]
fn what_is_no_answer_is_ignored_and_counted_and_the_right_one_is_waited_for() {
    let server = Server::run(|query| {
        let forged = || query.reply().address(&query.name, 60, "192.0.2.66");
        let right = right(query).bytes();
        let mut messages = vec![forged().other_id().bytes(), forged().respelt(|byte| *byte ^= 0x20).bytes()];
        messages.push(forged().question(Some(("www.example.net", domain::base::iana::Rtype::A))).bytes());
        messages.extend([right[..right.len() - 1].to_vec(), b"x".to_vec(), right]);
        messages
    });
    let lookups = lookup_all(&[name(LETTERS)], &[server.address], PATIENT, &limits(PATIENT)).unwrap();
    assert_eq!(outcome(&lookups, LETTERS, Family::V4), one("192.0.2.1", 60));
    assert_eq!(lookups.counters, Counters { udp_asked: 2, spoof_suspect: 10, ..Counters::default() });
}

#[test]
fn each_name_is_asked_at_its_own_servers_alone() {
    let of = |address: &'static str| {
        Server::run(move |query| {
            let right = query.family == Family::V4;
            let reply = query.reply();
            vec![if right {
                reply.address(&query.name, 60, address).bytes()
            } else {
                reply.soa(60, 60).bytes()
            }]
        })
    };
    let (inside, outside) = (of("192.0.2.1"), of("192.0.2.2"));
    let (db, www) = (name("db.int.example"), name("www.example"));
    let (inside_only, outside_only) = ([inside.address], [outside.address]);
    let asked = [(&db, &inside_only[..]), (&www, &outside_only[..])].into();
    let lookups = crate::resolver::lookup_all(&asked, PATIENT, &limits(PATIENT)).unwrap();
    assert_eq!(outcome(&lookups, "db.int.example", Family::V4), one("192.0.2.1", 60));
    assert_eq!(outcome(&lookups, "www.example", Family::V4), one("192.0.2.2", 60));
}

#[test]
fn if_only_forgeries_come_the_same_server_is_asked_by_tcp() {
    let server = Server::run(|query| match query.transport {
        Transport::Udp => vec![right(query).respelt(|byte| *byte ^= 0x20).bytes()],
        Transport::Tcp => vec![right(query).bytes()],
    });
    let lookups = lookup_all(&[name(LETTERS)], &[server.address], PATIENT, &limits(Duration::from_secs(2)));
    let lookups = lookups.unwrap();
    assert_eq!(outcome(&lookups, LETTERS, Family::V4), one("192.0.2.1", 60));
    assert!(lookups.counters.tcp_asked >= 2 && lookups.counters.spoof_suspect >= 2);
}

#[test]
fn a_server_that_lower_cases_is_asked_by_tcp_from_then_on() {
    let server = Server::run(|query| vec![right(query).respelt(u8::make_ascii_lowercase).bytes()]);
    let names: Vec<HostName> =
        (0..8).map(|index| name(&format!("longer-host-name-{index}.example"))).collect();
    let limits = Limits { in_flight: 1, ..limits(PATIENT) };
    let lookups = lookup_all(&names, &[server.address], PATIENT, &limits).unwrap();
    assert_eq!(outcome(&lookups, "longer-host-name-7.example", Family::V4), one("192.0.2.1", 60));
    let Counters { udp_asked, tcp_asked, .. } = lookups.counters;
    assert_eq!((udp_asked, tcp_asked), (1, 16));
}

#[test]
fn a_server_that_fails_is_left_at_once_for_the_next() {
    for rcode in [Rcode::SERVFAIL, Rcode::REFUSED, Rcode::FORMERR, Rcode::NOTIMP] {
        let bad = Server::run(move |query| vec![query.reply().rcode(rcode).bytes()]);
        let good = Server::run(|query| vec![right(query).bytes()]);
        let lookups = ask(&[bad.address, good.address], PATIENT);
        assert_eq!(v4(&lookups), one("192.0.2.1", 60));
        let lookup = lookups.get(&name("www.example"), Family::V4).unwrap();
        assert_eq!((lookup.server, bad.asked(), lookups.counters.timeouts), (Some(good.address), 2, 0));
    }
}

#[test]
fn a_lame_server_is_left_at_once_for_the_next() {
    let lame = Server::run(|query| vec![query.reply().referral().bytes()]);
    let empty = Server::run(|query| vec![query.reply().bytes()]);
    let good = Server::run(|query| vec![right(query).bytes()]);
    let lookups = ask(&[lame.address, empty.address, good.address], PATIENT);
    assert_eq!(v4(&lookups), one("192.0.2.1", 60));
    assert_eq!(v4(&ask(&[lame.address], PATIENT)), Err(Failure::Lame));
    assert_eq!(v4(&ask(&[empty.address], PATIENT)), Err(Failure::NoData { seconds: None }));
}

#[test]
fn a_silent_server_is_left_for_the_next_and_goes_behind_it() {
    let (_socket, silent) = silence();
    let good = Server::run(|query| vec![right(query).bytes()]);
    let names: Vec<HostName> = numbered("host", 10);
    let limits = Limits { first_wait: 5 * BRIEF, in_flight: 1, ..limits(PATIENT) };
    let lookups = lookup_all(&names, &[silent, good.address], PATIENT, &limits).unwrap();
    assert!(names.iter().all(|name| lookups.get(name, Family::V4).unwrap().outcome.is_ok()));
    let Counters { udp_asked, timeouts, .. } = lookups.counters;
    assert!((1..10).contains(&timeouts) && udp_asked == 20 + timeouts, "{udp_asked} {timeouts}");
}

#[test]
fn nobody_listening_is_noticed_at_once() {
    let (socket, closed) = silence();
    drop(socket);
    let good = Server::run(|query| vec![right(query).bytes()]);
    let lookups = ask(&[closed, good.address], PATIENT);
    assert_eq!((v4(&lookups), lookups.counters.timeouts), (one("192.0.2.1", 60), 0));
    assert_eq!(v4(&ask(&[closed], PATIENT)), Err(Failure::Unreachable));
}

#[test]
fn silence_ends_in_a_timeout_after_both_waits() {
    let (_socket, silent) = silence();
    let lookups = ask(&[silent], BRIEF);
    assert_eq!(v4(&lookups), Err(Failure::Timeout));
    assert_eq!(lookups.counters, Counters { udp_asked: 4, timeouts: 4, ..Counters::default() });
}

#[test]
fn the_callers_deadline_ends_everything() {
    let (_socket, silent) = silence();
    let names: Vec<HostName> = numbered("host", 100);
    let began = Instant::now();
    let lookups = lookup_all(&names, &[silent], BRIEF, &limits(PATIENT)).unwrap();
    assert!(began.elapsed() < PATIENT / 2);
    assert_eq!(lookups.by_question.len(), 200);
    assert!(lookups.by_question.values().all(|lookup| lookup.outcome == Err(Failure::Timeout)));
}

#[test]
fn an_answer_that_comes_after_its_wait_still_counts() {
    let (socket, address) = silence();
    let answering = std::thread::spawn(move || {
        let mut queries = Vec::new();
        let mut buffer = [0; 2048];
        while queries.len() < 4 {
            let (length, peer) = socket.recv_from(&mut buffer).unwrap();
            queries.push((buffer[..length].to_vec(), peer));
        }
        // Both families are asked before either is asked again.
        for (query, peer) in &queries[..2] {
            let reply = Reply::to(query).address("www.example", 60, "192.0.2.1").soa(60, 60);
            socket.send_to(&reply.bytes(), peer).unwrap();
        }
    });
    let limits = Limits { first_wait: BRIEF, ..limits(PATIENT) };
    let lookups = lookup_all(&[name("www.example")], &[address], PATIENT, &limits).unwrap();
    answering.join().unwrap();
    assert_eq!(v4(&lookups), one("192.0.2.1", 60));
    assert_eq!(lookups.counters, Counters { udp_asked: 4, timeouts: 2, ..Counters::default() });
}

#[test]
fn no_such_name_and_no_data_are_final_whatever_other_servers_would_say() {
    let first = Server::run(|query| match query.family {
        Family::V4 => vec![query.reply().rcode(Rcode::NXDOMAIN).soa(900, 300).bytes()],
        Family::V6 => vec![query.reply().soa(900, 300).bytes()],
    });
    let second = Server::run(|query| vec![right(query).bytes()]);
    let lookups = ask(&[first.address, second.address], PATIENT);
    assert_eq!(v4(&lookups), Err(Failure::NxDomain { seconds: Some(300) }));
    assert_eq!(outcome(&lookups, "www.example", Family::V6), Err(Failure::NoData { seconds: Some(300) }));
    assert_eq!(second.asked(), 0);
}

#[test]
fn extreme_ttls_are_read_as_rfc_2181_says() {
    let server = Server::run(|query| {
        let reply =
            query.reply().address(&query.name, 0, "192.0.2.1").address(&query.name, 1 << 31, "192.0.2.2");
        let reply = reply.address(&query.name, u32::MAX, "192.0.2.3").address(
            &query.name,
            u32::MAX >> 1,
            "192.0.2.4",
        );
        vec![reply.bytes()]
    });
    let ttls: Vec<u32> =
        v4(&ask(&[server.address], PATIENT)).unwrap().into_iter().map(|(_, ttl)| ttl).collect();
    assert_eq!(ttls, [0, 0, 0, u32::MAX >> 1]);
}

#[test]
fn a_tcp_answer_that_stops_half_way_or_is_unreadable_is_a_failure() {
    let unreadable = Server::run(|query| match query.transport {
        Transport::Udp => vec![query.reply().truncated().bytes()],
        Transport::Tcp => vec![right(query).bytes()[..20].to_vec()],
    });
    assert_eq!(v4(&ask(&[unreadable.address], PATIENT)), Err(Failure::Malformed));
    let closing = Server::run(|query| match query.transport {
        Transport::Udp => vec![query.reply().truncated().bytes()],
        Transport::Tcp => vec![],
    });
    assert_eq!(v4(&ask(&[closing.address], PATIENT)), Err(Failure::Malformed));
}

#[test]
fn without_servers_every_question_fails_at_once() {
    assert_eq!(v4(&ask(&[], PATIENT)), Err(Failure::NoServers));
}
