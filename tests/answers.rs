//! A question about many addresses, or one that leaves something out, is answered as every packet is judged that it may be
//! about: random policies, random packets.

mod random;

use portgrave::model::{
    AddressBook, Answer, End, Host, Missing, Packet, Policy, Question, QuestionError, Undecided, User,
    Verdict, answer, verdict,
};
use portgrave::types::{AddrRange, Direction, Family, PortMatch};
use random::Random;
use std::net::IpAddr;

const PACKETS: usize = 20;

/// PORTGRAVE_TEST_POLICIES asks for more.
fn policies() -> u64 {
    std::env::var("PORTGRAVE_TEST_POLICIES").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}

/// Runs a test with every random policy and packet.
fn each(mut judge: impl FnMut(&mut Random, &Policy, &AddressBook, &Packet)) {
    let book = random::book();
    for seed in 0..policies() {
        let mut random = Random::new(seed);
        let policy = random::policy(&mut random);
        for _ in 0..PACKETS {
            let packet = random::packet(&mut random, &policy);
            // Of a protocol that does not go over the packet's family is no question.
            let read: Result<Question, QuestionError> = packet.to_string().parse();
            if !matches!(read, Err(QuestionError::Families(..))) {
                judge(&mut random, &policy, &book, &packet);
            }
        }
    }
}

fn answers(policy: &Policy, book: &AddressBook, question: &Question) -> Result<Vec<Answer>, Undecided> {
    let read: Question = question.to_string().parse().unwrap_or_else(|error| panic!("{question}: {error}"));
    assert_eq!(read, *question);
    answer(policy, book, &read)
}

fn named(verdict: &Verdict) -> (&'static str, Option<String>) {
    (verdict.action.as_str(), verdict.rule.as_ref().map(ToString::to_string))
}

#[test]
fn a_packet_that_says_all_is_answered_with_its_verdict() {
    each(|_, policy, book, packet| {
        let wanted = verdict(policy, book, packet);
        let given = answers(policy, book, &Question::from(packet));
        let given = given.unwrap_or_else(|error| panic!("{packet}: {error}\n{policy}"));
        assert_eq!(given, [Answer { packet: Question::from(packet), verdict: wanted }], "{packet}\n{policy}");
    });
}

#[test]
fn a_range_is_answered_as_each_of_its_addresses_is_judged() {
    let mut several = 0;
    each(|random, policy, book, packet| {
        let range = around(random, packet.peer);
        let mut question = Question::from(packet);
        let end: &mut End =
            if packet.direction == Direction::In { &mut question.from } else { &mut question.to };
        end.host = Host::Range(range);
        let Ok(given) = answers(policy, book, &question) else { return };
        several += usize::from(given.len() > 1);
        let mut next = Some(range.bits().0);
        for Answer { packet: piece, verdict: given } in given {
            let Host::Range(piece) = piece.peer().host.clone() else { panic!("{question}") };
            assert_eq!(Some(piece.bits().0), next, "{question}: every address once");
            next = piece.bits().1.checked_add(1);
            let among = AddrRange::from_bits(piece.family(), piece.bits().0, between(random, &piece)).last();
            for peer in [piece.first(), piece.last(), among] {
                let wanted = verdict(policy, book, &Packet { peer, ..packet.clone() });
                assert_eq!(given, wanted, "{question}, {peer}\n{policy}");
            }
        }
        assert_eq!(next, range.bits().1.checked_add(1), "{question}: every address");
    });
    assert!(several > 100, "only {several} ranges have more than one answer");
}

/// A prefix that has the address.
fn around(random: &mut Random, address: IpAddr) -> AddrRange {
    let family = Family::of(address);
    let (bits, _) = AddrRange::single(address).bits();
    let mask = (1_u128 << random.pick(&[1, 2, 3, 8, 16, 24])) - 1;
    AddrRange::from_bits(family, bits & !mask, bits | mask)
}

fn between(random: &mut Random, range: &AddrRange) -> u128 {
    let (first, last) = range.bits();
    first + (random.below(usize::MAX >> 33) as u128).min(last - first)
}

#[test]
fn what_is_left_out_is_missed_exactly_where_it_decides() {
    let mut missed = 0;
    each(|random, policy, book, packet| {
        let mut asked = packet.clone();
        let what = random.pick(&[
            Missing::Interface,
            Missing::OwnAddress,
            Missing::User,
            Missing::SourcePort,
            Missing::Port,
        ]);
        let mut possible = Vec::new();
        match what {
            Missing::Interface => {
                asked.interface = None;
                let others = ["eth", "eth1x", "vlan", "vlan5x", "vlan7x", "v", "absent0", "zz"];
                for name in random::INTERFACES.iter().chain(&others) {
                    possible.push(Packet { interface: Some((*name).into()), ..packet.clone() });
                }
            }
            Missing::OwnAddress => {
                asked.local = None;
                for rule in &policy.rules {
                    for range in rule.local.iter().filter(|range| range.family() == Family::of(packet.peer)) {
                        possible.push(Packet { local: Some(range.first()), ..packet.clone() });
                        possible.push(Packet { local: Some(range.last()), ..packet.clone() });
                    }
                }
                let other: IpAddr =
                    if packet.peer.is_ipv4() { [192, 0, 2, 200].into() } else { [1; 16].into() };
                possible.push(Packet { local: Some(other), ..packet.clone() });
            }
            // Of a user whose uid is not known the name decides, which no packet has.
            Missing::User if packet.direction == Direction::Out && users_are_known(policy, book) => {
                asked.user = None;
                for uid in [0, 1000, 1001, 65534, 7] {
                    possible.push(Packet { user: Some(uid), ..packet.clone() });
                }
            }
            Missing::SourcePort if packet.port.is_some() => {
                asked.source_port = None;
                for port in [0, 19, 20, 21, 52, 53, 60, 67, 68, 69, 1023, 1024, 65535] {
                    possible.push(Packet { source_port: Some(port), ..packet.clone() });
                }
            }
            Missing::Port if packet.port.is_some() => {
                asked.port = None;
                for port in ports(policy) {
                    possible.push(Packet { port: Some(port), ..packet.clone() });
                }
            }
            Missing::User | Missing::SourcePort | Missing::Port => return,
            Missing::IcmpType | Missing::Uid | Missing::Family => panic!("{what:?} is not left out"),
        }
        let verdicts: Vec<Verdict> = possible.iter().map(|packet| verdict(policy, book, packet)).collect();
        let differs = verdicts.iter().any(|other| named(other) != named(&verdicts[0]));
        match answers(policy, book, &Question::from(&asked)) {
            Ok(given) => {
                assert!(!differs, "{asked}: {verdicts:?}\n{policy}");
                assert_eq!(named(&given[0].verdict), named(&verdicts[0]), "{asked}\n{policy}");
            }
            Err(Undecided::Missing { rule, missing }) if missing == what => {
                assert!(differs, "{asked}: {verdicts:?}\n{policy}");
                let decides = |verdict: &Verdict| verdict.rule.as_ref() == Some(&rule);
                assert!(verdicts.iter().any(decides), "{asked}: {rule} never decides\n{policy}");
                missed += 1;
            }
            Err(other) => panic!("{asked}: {other}\n{policy}"),
        }
    });
    assert!(missed > 100, "only {missed} questions miss something");
}

fn users_are_known(policy: &Policy, book: &AddressBook) -> bool {
    policy.rules.iter().flat_map(|rule| &rule.users).all(|user| match user {
        User::Uid(_) => true,
        User::Name(name) => book.users.get(name).copied().flatten().is_some(),
    })
}

/// Every port at a border of what rules say.
fn ports(policy: &Policy) -> Vec<u16> {
    let mut ports = vec![0];
    for entry in policy.rules.iter().flat_map(|rule| &rule.ports) {
        if let PortMatch::Ports(_, range) = entry {
            ports.extend([range.first(), range.last(), range.last().saturating_add(1)]);
        }
    }
    ports
}
