//! Datagrams of the kernel's log: whatever is in them comes to records that the worker can send, and to a number of lost packets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portgrave::observe::{Decoded, Decoder};
use portgrave::types::Family;
use portgrave::worker::{FromWorker, decode, encode};

/// The least that a logged packet with addresses takes: the message's header, its prefix, an IPv4 header.
const LEAST: usize = 16 + 4 + 8 + 4 + 20;
/// The most that one message can say of what was lost before it, and itself.
const MOST_LOST: u64 = 1 << 31;

fuzz_target!(|data: &[u8]| {
    let mut decoder = Decoder::default();
    let first = decoder.decode(data);
    let second = decoder.decode(data);
    assert_eq!(first.records, second.records, "they do not depend on the numbers");
    sound(&first, data);
    sound(&second, data);
});

fn sound(decoded: &Decoded, datagram: &[u8]) {
    assert!(decoded.records.len() <= datagram.len() / LEAST, "{} records", decoded.records.len());
    assert!(decoded.lost <= (datagram.len() as u64 / 16) * MOST_LOST, "{} lost", decoded.lost);
    for record in &decoded.records {
        assert_eq!(Family::of(record.source), Family::of(record.destination));
        assert!(record.source_port.is_some() == record.destination_port.is_some());
        assert!(record.icmp_type.is_none() || record.source_port.is_none());
    }
    for records in decoded.records.chunks(256) {
        let message = FromWorker::Denied { records: records.to_vec(), lost: 0 };
        let packet = encode(&message).expect("it can be sent");
        assert_eq!(decode::<FromWorker>(&packet), Ok(message));
    }
}
