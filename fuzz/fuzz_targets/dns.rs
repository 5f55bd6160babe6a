//! Messages from the network: whatever comes, it is judged, and an answer holds only what the message says of the question.
//!
//! The first octet says whether IPv6 was asked for (bit 0) and whether the message came by TCP (bit 1); the message follows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portgrave::resolver::{Answer, ENTROPY, Failure, Judged, Lookup, Question, Transport, judge};
use portgrave::types::Family;
use std::net::IpAddr;

fuzz_target!(|data: &[u8]| {
    let Some((choice, message)) = data.split_first() else { return };
    let family = if choice & 1 == 0 { Family::V4 } else { Family::V6 };
    let transport = if choice & 2 == 0 { Transport::Udp } else { Transport::Tcp };
    let mut entropy = [0; ENTROPY];
    // The id "pg", and the spelling "wWw.example".
    entropy[..3].copy_from_slice(b"pg\x02");
    let question = Question::new(&"www.example".parse().expect("a name"), family, &entropy);
    match judge(message, &question, transport) {
        Judged::Answered(answer) => {
            assert!(transport == Transport::Tcp || message.len() <= 1232);
            sound(&answer, family, message);
            crosses(Ok(answer));
        }
        Judged::Failed(failure) => crosses(Err(failure)),
        Judged::Empty => {}
        judged @ (Judged::Ignored(_) | Judged::LowerCased | Judged::Truncated) => {
            assert_eq!(transport, Transport::Udp, "{judged:?}");
        }
    }
});

fn sound(answer: &Answer, family: Family, message: &[u8]) {
    assert!(!answer.addresses.is_empty() && answer.addresses.len() <= Answer::MOST);
    assert!(answer.left_out == 0 || answer.addresses.len() == Answer::MOST);
    assert!(answer.addresses.windows(2).all(|pair| pair[0].0 < pair[1].0), "sorted, each once");
    for (address, ttl) in &answer.addresses {
        assert!(Family::of(*address) == family && i32::try_from(*ttl).is_ok());
        let written = match address {
            IpAddr::V4(v4) => message.windows(4).any(|octets| octets == v4.octets()),
            IpAddr::V6(v6) => message.windows(16).any(|octets| octets == v6.octets()),
        };
        assert!(written, "{address} is not in the message");
    }
}

/// The worker's message comes out as it went in, and fits into its packet.
fn crosses(outcome: Result<Answer, Failure>) {
    let lookup = Lookup { server: None, outcome };
    let json = serde_json::to_string(&lookup).expect("a lookup can be written");
    assert!(json.len() < 200 * 1024, "{}", json.len());
    assert_eq!(serde_json::from_str::<Lookup>(&json).expect("and read"), lookup);
}
