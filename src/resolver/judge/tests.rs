use super::*;
use crate::resolver::question::ENTROPY;
use crate::resolver::script::Reply;
use domain::base::iana::Rcode;

fn question(family: Family) -> Question {
    let mut entropy = [0b0101_0110; ENTROPY];
    entropy[0] = 0xff;
    Question::new(&"www.example".parse().unwrap(), family, &entropy)
}

fn reply() -> Reply {
    Reply::to(&question(Family::V4).query())
}

fn udp(reply: &Reply) -> Judged {
    judge(&reply.bytes(), &question(Family::V4), Transport::Udp)
}

fn tcp(reply: &Reply) -> Judged {
    judge(&reply.bytes(), &question(Family::V4), Transport::Tcp)
}

fn answered<const N: usize>(addresses: [(&str, u32); N]) -> Judged {
    let addresses = addresses.map(|(address, ttl)| (address.parse().unwrap(), ttl)).into();
    Judged::Answered(Answer::of(addresses))
}

#[test]
fn an_answer_has_the_addresses_of_the_family_asked_for() {
    let reply = reply().address("WWW.example", 60, "192.0.2.2").address("www.example", 30, "192.0.2.1");
    let reply = reply.address("www.example", 5, "2001:db8::1").chaos("www.example", "192.0.2.9");
    assert_eq!(udp(&reply), answered([("192.0.2.1", 30), ("192.0.2.2", 60)]));
    assert_eq!(tcp(&reply), udp(&reply));
    let six = question(Family::V6);
    let reply = Reply::to(&six.query()).address("www.example", 5, "2001:db8::1").address(
        "www.example",
        5,
        "192.0.2.1",
    );
    assert_eq!(judge(&reply.bytes(), &six, Transport::Udp), answered([("2001:db8::1", 5)]));
}

#[test]
fn what_does_not_answer_the_question_is_ignored() {
    let good = reply().address("www.example", 60, "192.0.2.1");
    assert_eq!(udp(&good), answered([("192.0.2.1", 60)]));
    for (why, reply) in [
        (Ignored::Id, good.clone().other_id()),
        (Ignored::NotAnAnswer, good.clone().flags(false, false, true)),
        (Ignored::Question, good.clone().question(None)),
        (Ignored::Question, good.clone().question(Some(("www2.example", Rtype::A)))),
        (Ignored::Question, good.clone().question(Some(("www.example", Rtype::AAAA)))),
        (Ignored::Case, good.clone().respelt(|byte| *byte ^= 0x20)),
    ] {
        assert_eq!(udp(&reply), Judged::Ignored(why));
        let by_tcp = if why == Ignored::Case { udp(&good) } else { Judged::Failed(Failure::Malformed) };
        assert_eq!(tcp(&reply), by_tcp, "{why:?}");
    }
}

#[test]
fn a_lower_cased_question_asks_for_tcp_and_tcp_takes_any_spelling() {
    let reply = reply().address("www.example", 60, "192.0.2.1").respelt(u8::make_ascii_lowercase);
    assert_eq!(udp(&reply), Judged::LowerCased);
    assert_eq!(tcp(&reply), answered([("192.0.2.1", 60)]));
}

#[test]
fn a_truncated_or_oversized_datagram_asks_for_tcp_whatever_it_holds() {
    let reply = reply().address("www.example", 60, "192.0.2.1");
    let whole = reply.clone().padded(1100);
    assert!(whole.bytes().len() <= 1232);
    assert_eq!(udp(&whole), answered([("192.0.2.1", 60)]));
    let over = reply.clone().padded(1200);
    assert!(over.bytes().len() > 1232);
    assert_eq!(udp(&over), Judged::Truncated);
    assert_eq!(tcp(&over), answered([("192.0.2.1", 60)]));
    let cut = reply.truncated();
    assert_eq!(udp(&cut), Judged::Truncated);
    assert_eq!(tcp(&cut), Judged::Failed(Failure::Malformed));
}

#[test]
fn one_octet_less_anywhere_rejects_the_whole_message() {
    let reply =
        reply().address("www.example", 60, "192.0.2.1").alias("x.example", 1, "y.example").soa(60, 60);
    let bytes = reply.padded(20).bytes();
    let judged = |bytes: &[u8]| judge(bytes, &question(Family::V4), Transport::Udp);
    assert_eq!(judged(&bytes), answered([("192.0.2.1", 60)]));
    for length in 0..bytes.len() {
        assert_eq!(judged(&bytes[..length]), Judged::Ignored(Ignored::Unreadable), "{length} octets");
    }
}

#[test]
fn address_data_of_the_wrong_length_rejects_the_whole_message() {
    let reply = reply().address("www.example", 60, "192.0.2.1").address("off.example", 60, "192.0.2.2");
    let mut bytes = reply.bytes();
    let length = bytes.len();
    assert_eq!(bytes[length - 6..length - 4], [0, 4]);
    bytes[length - 5] = 5;
    bytes.push(9);
    assert_eq!(judge(&bytes, &question(Family::V4), Transport::Udp), Judged::Ignored(Ignored::Unreadable));
    assert_eq!(judge(&bytes, &question(Family::V4), Transport::Tcp), Judged::Failed(Failure::Malformed));
}

#[test]
fn a_name_that_points_at_itself_rejects_the_whole_message() {
    let mut bytes = reply().address("www.example", 60, "192.0.2.1").bytes();
    let owner = bytes.len() - (2 + 2 + 4 + 2 + 4) - 13;
    assert_eq!(bytes[owner], 3);
    bytes.splice(owner..owner + 13, [0xc0, u8::try_from(owner).unwrap()]);
    assert_eq!(judge(&bytes, &question(Family::V4), Transport::Udp), Judged::Ignored(Ignored::Unreadable));
    bytes[owner + 1] = 12;
    assert_eq!(judge(&bytes, &question(Family::V4), Transport::Udp), answered([("192.0.2.1", 60)]));
}

#[test]
fn only_the_answer_section_gives_addresses() {
    let reply = reply().aside("www.example", "192.0.2.66").soa(300, 60);
    assert_eq!(udp(&reply), Judged::Failed(Failure::NoData { seconds: Some(60) }));
}

#[test]
fn aliases_are_followed_in_any_order() {
    let reply = reply()
        .address("c.example", 300, "192.0.2.1")
        .address("off.example", 300, "192.0.2.66")
        .alias("B.example", 20, "c.EXAMPLE")
        .alias("www.example", 600, "b.example");
    assert_eq!(udp(&reply), answered([("192.0.2.1", 20)]));
    let looped = self::reply().alias("www.example", 1, "b.example").alias("b.example", 1, "www.example");
    assert_eq!(udp(&looped), Judged::Failed(Failure::ChainLoop));
}

#[test]
fn every_way_of_having_no_answer_is_told_apart() {
    let failed = Judged::Failed;
    for (expected, reply) in [
        (failed(Failure::NoData { seconds: Some(60) }), reply().soa(60, 3600)),
        (failed(Failure::NoData { seconds: None }), reply().alias("www.example", 60, "b.example")),
        (failed(Failure::NxDomain { seconds: Some(30) }), reply().rcode(Rcode::NXDOMAIN).soa(600, 30)),
        (failed(Failure::NxDomain { seconds: None }), reply().rcode(Rcode::NXDOMAIN)),
        (failed(Failure::ServFail), reply().rcode(Rcode::SERVFAIL)),
        (failed(Failure::Refused), reply().rcode(Rcode::REFUSED)),
        (failed(Failure::FormErr), reply().rcode(Rcode::FORMERR)),
        (failed(Failure::NotImp), reply().rcode(Rcode::NOTIMP)),
        (failed(Failure::OtherCode { code: 9 }), reply().rcode(Rcode::NOTAUTH)),
        (failed(Failure::Lame), reply().referral()),
        (failed(Failure::Lame), reply().flags(true, false, false)),
        (Judged::Empty, reply()),
        (failed(Failure::NoData { seconds: Some(60) }), reply().referral().soa(60, 60)),
    ] {
        assert_eq!(udp(&reply), expected);
    }
}

#[test]
fn an_error_has_no_addresses_even_if_it_brings_some() {
    let reply = reply().address("www.example", 60, "192.0.2.1").rcode(Rcode::SERVFAIL);
    assert_eq!(udp(&reply), Judged::Failed(Failure::ServFail));
}

#[test]
fn no_changed_octet_is_a_panic_and_most_are_noticed() {
    let reply =
        reply().alias("www.example", 60, "b.example").address("b.example", 60, "192.0.2.1").soa(60, 60);
    let bytes = reply.aside("b.example", "192.0.2.66").bytes();
    let mut ignored = 0;
    for position in 0..bytes.len() {
        for value in 0..=255 {
            let mut changed = bytes.clone();
            changed[position] = value;
            let judged = judge(&changed, &question(Family::V4), Transport::Udp);
            ignored += usize::from(matches!(judged, Judged::Ignored(_)));
            judge(&changed, &question(Family::V4), Transport::Tcp);
        }
    }
    assert!(ignored > 10_000, "{ignored}");
}

/// What `fuzz/fuzz_targets/dns.rs` begins with: an octet for family and transport, then a message.
#[test]
fn every_seed_of_the_fuzzer_is_judged_as_its_file_name_says() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/dns");
    let mut kinds = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(&dir).expect("seeds in fuzz/seeds/dns") {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let family = if bytes[0] & 1 == 0 { Family::V4 } else { Family::V6 };
        let transport = if bytes[0] & 2 == 0 { Transport::Udp } else { Transport::Tcp };
        let mut entropy = [0; ENTROPY];
        entropy[..3].copy_from_slice(b"pg\x02");
        let question = Question::new(&"www.example".parse().unwrap(), family, &entropy);
        let kind = match judge(&bytes[1..], &question, transport) {
            Judged::Ignored(_) => "ignored",
            Judged::LowerCased => "lower-cased",
            Judged::Truncated => "truncated",
            Judged::Answered(_) => "answered",
            Judged::Empty => "empty",
            Judged::Failed(_) => "failed",
        };
        let file = path.file_name().unwrap().to_str().unwrap();
        assert!(file.starts_with(kind), "{file} is {kind}");
        kinds.insert(kind);
    }
    assert_eq!(kinds.len(), 6);
}
