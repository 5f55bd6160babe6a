//! The laboratory for host names is what the tests of names trust: its servers say what they are told to say, by the reading
//! of a library that has nothing to do with it.

mod lab;
mod rig;

use domain::base::Message;
use domain::base::iana::{Rcode, Rtype};
use domain::rdata::Soa;
use lab::cache::Cache;
use lab::client::{Answer, ask, ask_by_tcp, datagrams, query, stream};
use lab::real::{Source, dnsmasq, unbound};
use lab::wire::{QR, REFUSED, Record, SERVFAIL};
use lab::{Act, Forgery, Lab, Reached, Site, Tcp, Transport};
use portgrave::types::Family;
use rig::isolated;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

const NAME: &str = "a.example.net";

fn texts(answer: &Answer) -> Vec<String> {
    answer.addresses.iter().map(|(address, ttl)| format!("{address} {ttl}")).collect()
}

#[test]
fn a_server_answers_in_both_families_by_both_transports_on_any_address_and_remembers_the_questions() {
    isolated(
        "a_server_answers_in_both_families_by_both_transports_on_any_address_and_remembers_the_questions",
        || {
            let lab = Lab::new();
            let servers = lab.serve(&lab::SERVERS);
            lab.dns.set(NAME, Act::addresses(&["93.184.1.1", "93.184.1.2", "2606:2800::1"], 77));
            lab.dns.set_family("b.example.net", Family::V6, Act::rcode(SERVFAIL));
            lab.dns.set_at(servers[1], Act::rcode(REFUSED));
            for server in [servers[0], servers[2]] {
                let v4 = ask(&lab.gw, server, NAME, Family::V4);
                assert_eq!(texts(&v4), ["93.184.1.1 77", "93.184.1.2 77"]);
                let v6 = ask_by_tcp(&lab.gw, server, NAME, Family::V6).expect("an answer by TCP");
                assert_eq!(texts(&v6), ["2606:2800::1 77"]);
                assert_eq!(ask(&lab.gw, server, "b.example.net", Family::V6).rcode, Rcode::SERVFAIL);
                assert_eq!(ask(&lab.gw, server, "b.example.net", Family::V4).rcode, Rcode::NXDOMAIN);
            }
            assert_eq!(ask(&lab.gw, servers[1], NAME, Family::V4).rcode, Rcode::REFUSED);
            let asked = lab.dns.asked_for(NAME, Family::V4, 3);
            let whom: Vec<(SocketAddr, Transport)> =
                asked.iter().map(|seen| (seen.server, seen.transport)).collect();
            assert_eq!(whom, [servers[0], servers[2], servers[1]].map(|server| (server, Transport::Udp)));
            assert_eq!(lab.dns.count(|seen| seen.transport == Transport::Tcp), 2);
            assert!(asked.windows(2).all(|two| two[0].at <= two[1].at));

            lab.dns.stop(servers[1]);
            let refused = ask_by_tcp(&lab.gw, servers[1], NAME, Family::V4).expect_err("nobody listens");
            assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
            lab.dns.serve(&lab.far, servers[1]);
            lab.dns.clear_at(servers[1]);
            assert_eq!(texts(&ask(&lab.gw, servers[1], NAME, Family::V6)), ["2606:2800::1 77"]);
        },
    );
}

#[test]
fn failures_are_said_as_zones_and_servers_say_them() {
    isolated("failures_are_said_as_zones_and_servers_say_them", || {
        let lab = Lab::new();
        let server = lab.serve(&lab::SERVERS[..1])[0];
        let said = |act: Act| {
            lab.dns.set(NAME, act);
            ask(&lab.gw, server, NAME, Family::V4)
        };
        let soa = |answer: &Answer| {
            let message = Message::from_octets(&answer.octets[..]).expect("a message");
            let authority = message.authority().expect("a section");
            let records = authority.limit_to::<Soa<_>>();
            records.map(|record| record.expect("a record").data().minimum().as_secs()).collect::<Vec<_>>()
        };
        let types = |answer: &Answer| {
            let message = Message::from_octets(&answer.octets[..]).expect("a message");
            let authority = message.authority().expect("a section");
            authority.map(|record| record.expect("a record").rtype()).collect::<Vec<_>>()
        };
        let recursion =
            |answer: &Answer| Message::from_octets(&answer.octets[..]).expect("a message").header().ra();
        for minimum in [None, Some(900)] {
            let nothing = said(Act::no_data(minimum));
            assert_eq!((nothing.rcode, soa(&nothing)), (Rcode::NOERROR, minimum.into_iter().collect()));
            assert!(recursion(&nothing) && nothing.addresses.is_empty());
            let gone = said(Act::no_such_name(minimum));
            assert_eq!((gone.rcode, soa(&gone)), (Rcode::NXDOMAIN, minimum.into_iter().collect()));
        }
        assert!(!recursion(&said(Act::lame())));
        assert_eq!(types(&said(Act::referral())), [Rtype::NS]);
        let other_family = said(Act::addresses(&["2606:2800::1"], 5));
        assert_eq!((soa(&other_family), other_family.addresses.len()), (vec![60], 0));
    });
}

#[test]
fn a_cache_gives_everybody_one_rrset_with_a_ttl_that_counts_down_until_it_ends() {
    isolated("a_cache_gives_everybody_one_rrset_with_a_ttl_that_counts_down_until_it_ends", || {
        let lab = Lab::new();
        let server = lab.serve(&lab::SERVERS[..1])[0];
        lab.dns.set(NAME, Act::cached(&[&["93.184.1.1", "93.184.1.2"], &["93.184.1.3"]], 3));
        let first = ask(&lab.gw, server, NAME, Family::V4);
        assert_eq!(first.addresses.len(), 2, "{first:?}");
        assert!(first.addresses.iter().all(|(_, ttl)| (1..=3).contains(ttl)), "{first:?}");
        lab::eventually("the next RRset", || {
            let next = ask(&lab.gw, server, NAME, Family::V4);
            if next.addresses.len() == 1 { Ok(()) } else { Err(format!("{next:?}")) }
        });

        let start = Instant::now();
        let mut cache = Cache::new();
        let said: Vec<(usize, u32)> =
            (0..14).map(|half| cache.ask(2, 3, start + Duration::from_millis(100 + 500 * half))).collect();
        let wanted = [
            (0, 3),
            (0, 3),
            (0, 2),
            (0, 2),
            (0, 1),
            (0, 1),
            (1, 3),
            (1, 3),
            (1, 2),
            (1, 2),
            (1, 1),
            (1, 1),
            (0, 3),
            (0, 3),
        ];
        assert_eq!(said, wanted);

        lab.dns.set(NAME, Act::rotating(&[&["93.184.1.1"], &["93.184.1.2"]], 9));
        let [first, second] = [0, 1].map(|_| ask(&lab.gw, server, NAME, Family::V4).addresses[0].0);
        assert_ne!(first, second);
    });
}

#[test]
fn forgeries_differ_from_the_true_answer_in_what_they_are_named_for() {
    isolated("forgeries_differ_from_the_true_answer_in_what_they_are_named_for", || {
        let lab = Lab::new();
        let servers = lab.serve(&[lab::SERVERS[0], lab::SERVERS[2]]);
        for (server, other) in [(servers[0], "10.99.0.2"), (servers[1], "fd99::2")] {
            let other: IpAddr = other.parse().expect("an address");
            let mut forgeries = Forgery::FROM_THE_SERVER.to_vec();
            forgeries.extend([Forgery::OtherPort, Forgery::OtherAddress(other)]);
            lab.dns.set(NAME, Act::addresses(&["93.184.1.1", "2606:2800::1"], 60).forged(&forgeries));
            let query = query(NAME, Family::V6);
            let got = datagrams(&lab.gw, server, &query, forgeries.len() + 1);
            let (truth, from) = got.last().expect("the true answer");
            assert_eq!((texts(&Answer::read(truth)), *from), (vec!["2606:2800::1 60".to_owned()], server));
            for (forgery, (octets, from)) in forgeries.iter().zip(&got) {
                forged(*forgery, octets, *from, server, truth);
            }
        }
    });
}

fn forged(forgery: Forgery, octets: &[u8], from: SocketAddr, server: SocketAddr, truth: &[u8]) {
    let flags = u16::from_be_bytes(octets[2..4].try_into().expect("two octets"));
    let whole = || Answer::read(octets).addresses == [(Forgery::address(Family::V6), 3600)];
    let question = |octets: &[u8]| octets[12..31].to_vec();
    let is = match forgery {
        Forgery::WrongId => octets[..2] != truth[..2] && whole(),
        Forgery::OtherPort => from.ip() == server.ip() && from.port() != server.port() && whole(),
        Forgery::OtherAddress(address) => from == SocketAddr::new(address, server.port()) && whole(),
        Forgery::WrongQuestion | Forgery::WrongType | Forgery::WrongClass => {
            question(octets) != question(truth) && octets[..2] == truth[..2] && whole()
        }
        Forgery::OtherCase => {
            question(octets) != question(truth)
                && question(octets).eq_ignore_ascii_case(&question(truth))
                && whole()
        }
        Forgery::NoQuestion => octets[4..6] == [0, 0] && whole(),
        Forgery::NotAnAnswer => flags & QR == 0 && whole(),
        Forgery::OtherOpcode => flags >> 11 & 0xf == 4 && whole(),
        Forgery::Unreadable => {
            let message = Message::from_octets(octets).expect("a header");
            message.answer().expect("a section").any(|record| record.is_err())
        }
        Forgery::Short => Message::from_octets(octets).is_err(),
    };
    assert!(is, "{forgery:?}: {octets:02x?} from {from}");
    let elsewhere = matches!(forgery, Forgery::OtherPort | Forgery::OtherAddress(_));
    assert_eq!(from == server, !elsewhere, "{forgery:?}");
}

#[test]
fn truncation_tcp_spelling_size_and_delay_are_as_they_were_set() {
    isolated("truncation_tcp_spelling_size_and_delay_are_as_they_were_set", || {
        let lab = Lab::new();
        let server = lab.serve(&lab::SERVERS[..1])[0];
        let good = || Act::addresses(&["93.184.1.1"], 60);
        let set = |act: Act| lab.dns.set(NAME, act);
        set(good().truncated());
        let short = ask(&lab.gw, server, NAME, Family::V4);
        assert!(short.truncated && short.addresses[0].0 == Forgery::address(Family::V4));
        let whole = || ask_by_tcp(&lab.gw, server, NAME, Family::V4);
        assert_eq!(texts(&whole().expect("an answer")), ["93.184.1.1 60"]);
        for tcp in [Tcp::Closed, Tcp::Cut] {
            set(good().tcp(tcp));
            assert_eq!(whole().expect_err("no answer").kind(), std::io::ErrorKind::UnexpectedEof);
        }
        set(good().tcp(Tcp::Unreadable));
        let octets = stream(&lab.gw, server, &query(NAME, Family::V4)).expect("octets");
        assert!(octets.iter().all(|octet| *octet == 0xff));

        let mut spelt = query("A.ExAmPlE.net", Family::V4);
        let spelling = |octets: &[u8]| octets[12..12 + spelt.name.len()].to_vec();
        let said = |act: Act| {
            set(act);
            datagrams(&lab.gw, server, &spelt, 1).remove(0).0
        };
        assert_eq!(spelling(&said(good())), spelt.name);
        assert_eq!(spelling(&said(good().lower_cased())), lab::wire::name("a.example.net"));
        assert_eq!(spelling(&said(good().other_case())), lab::wire::name("a.eXaMpLe.NET"));
        assert!((3000..3100).contains(&said(good().padded(3000)).len()));
        spelt.id = 7;
        set(good().mangled(|octets| octets[0] = 0xab).after(Duration::from_millis(300)));
        let start = Instant::now();
        let (octets, _) = datagrams(&lab.gw, server, &spelt, 1).remove(0);
        assert!(octets[0] == 0xab && start.elapsed() >= Duration::from_millis(300));

        set(Act::silent());
        let before = lab.dns.seen().len();
        let socket = lab.gw.enter(|| std::net::UdpSocket::bind("0.0.0.0:0")).expect("a socket");
        socket.send_to(&spelt.octets(), server).expect("the question is sent");
        lab.dns.asked_for(NAME, Family::V4, before + 1);
        socket.set_nonblocking(true).expect("a socket option");
        assert!(socket.recv(&mut [0; 9]).is_err());
    });
}

#[test]
fn records_stand_as_they_were_written() {
    isolated("records_stand_as_they_were_written", || {
        let lab = Lab::new();
        let server = lab.serve(&lab::SERVERS[..1])[0];
        let address = "93.184.1.1".parse().expect("an address");
        let records = vec![
            Record::alias(NAME, 5, "b.example.net"),
            Record::address("b.example.net", u32::MAX, address),
            Record::text("c.example.net", 1000),
        ];
        lab.dns.set(NAME, Act::records(records.clone()));
        let answer = ask(&lab.gw, server, NAME, Family::V4);
        assert_eq!(answer.addresses, [(address, u32::MAX)]);
        let message = Message::from_octets(&answer.octets[..]).expect("a message");
        let types: Vec<Rtype> =
            message.answer().expect("a section").map(|record| record.expect("a record").rtype()).collect();
        assert_eq!(types, [Rtype::CNAME, Rtype::A, Rtype::TXT]);
        assert_eq!(message.canonical_name().expect("a chain").to_string(), "b.example.net");
    });
}

#[test]
fn real_servers_answer_with_records_of_their_own_and_cache_those_of_another() {
    isolated("real_servers_answer_with_records_of_their_own_and_cache_those_of_another", || {
        let lab = Lab::new();
        let upstream = lab.serve(&lab::SERVERS[..1])[0];
        lab.dns.set("up.example.net", Act::addresses(&["93.184.2.1", "2606:2800:2::1"], 1000));
        let records: &[(&str, &[&str])] = &[(NAME, &["93.184.1.1", "93.184.1.2", "2606:2800::1"])];
        let start = [dnsmasq, unbound];
        for (index, start) in start.into_iter().enumerate() {
            let [own, cache] = [2 * index, 2 * index + 1].map(|last| format!("10.99.0.{}", 100 + last));
            lab.far.ip(&format!("addr add {own}/24 dev to-gw\naddr add {cache}/24 dev to-gw\n"));
            let [own, cache]: [IpAddr; 2] = [own, cache].map(|text| text.parse().expect("an address"));
            let _own = start(&lab, own, &Source::Records { ttl: 30, records });
            let _cache = start(&lab, cache, &Source::Upstream(upstream));
            let mut answer = texts(&ask(&lab.gw, (own, 53).into(), NAME, Family::V4));
            answer.sort_unstable();
            assert_eq!(answer, ["93.184.1.1 30", "93.184.1.2 30"]);
            assert_eq!(texts(&ask(&lab.gw, (own, 53).into(), NAME, Family::V6)), ["2606:2800::1 30"]);
            let before = lab.dns.count_of("up.example.net", Family::V4);
            for _ in 0..3 {
                let answer = ask(&lab.gw, (cache, 53).into(), "up.example.net", Family::V4);
                assert_eq!(answer.addresses[0].0.to_string(), "93.184.2.1");
            }
            assert_eq!(lab.dns.count_of("up.example.net", Family::V4), before + 1, "it caches");
        }
    });
}

#[test]
fn what_apply_learns_is_in_the_sets_and_lets_packets_through_and_nothing_else_does() {
    isolated("what_apply_learns_is_in_the_sets_and_lets_packets_through_and_nothing_else_does", || {
        let lab = Lab::new();
        let server = lab.serve(&lab::SERVERS[..1])[0];
        lab.dns.set(NAME, Act::addresses(&["93.184.1.1", "2606:2800::1"], 100));
        let (known, other): (IpAddr, IpAddr) =
            ("93.184.1.1".parse().expect("an address"), "93.184.1.2".parse().expect("an address"));
        assert_eq!([known, other].map(|address| lab.connect(address)), [Reached::Yes; 2], "no rules yet");
        assert!(lab.sends(other));
        let site = Site::new(&lab, &format!("[resolver]\nservers = [\"{server}\"]\ngrace = \"50s\"\n"));
        site.policy_for(&[NAME]);
        let before = lab::kernel::generation(&lab.gw);
        let output = site.output(&lab.gw, &["apply", "--names-wait", "60s"]);
        assert!(output.status.success(), "{}", rig::printed(&output));
        assert_ne!(lab::kernel::generation(&lab.gw), before);
        assert_eq!(
            lab::kernel::generation(&lab.gw),
            lab::kernel::generation(&lab.gw),
            "reading moves nothing"
        );

        let sets = lab::kernel::Sets::read(&lab.gw);
        assert_eq!(sets.addresses(), [known, "2606:2800::1".parse().expect("an address")].into());
        sets.all_end_within(150);
        let left = sets.left("93.184.1.1").expect("it is there");
        assert!((100..=150).contains(&left), "{left}");
        let services: Vec<_> = sets.of(known).iter().map(|element| element.service.clone()).collect();
        assert!(
            services.contains(&Some(("tcp".into(), 443))) && services.contains(&Some(("udp".into(), 443)))
        );
        assert!(sets.of(known).iter().all(|element| element.counter.as_deref() == Some("out.web")));

        assert_eq!(lab.connect(known), Reached::Yes);
        assert_eq!(lab.connect("2606:2800::1".parse().expect("an address")), Reached::Yes);
        assert_eq!(lab.connect(other), Reached::Refused);
        assert_eq!(lab.connect("2606:2800::2".parse().expect("an address")), Reached::Refused);
        assert_eq!([known, other].map(|address| lab.sends(address)), [true, false]);
    });
}
