//! What the kernel sends: packets of its log, and the dump of a table.

use super::Seeds;
use super::sample::plan_of;
use portgrave::netlink::attr::{Malformed, Writer};
use portgrave::netlink::decode::{self, Collected, SetHead};
use portgrave::netlink::encode::{Purpose, encode};
use portgrave::netlink::message::{self, Messages};
use portgrave::netlink::wire::{self, elem, msg, rule};
use portgrave::observe::{Decoder, Record};
use portgrave::ruleset::{Elements, Ruleset, Set};
use std::collections::BTreeMap;
use std::net::Ipv6Addr;

/// `NFNL_SUBSYS_ULOG` and `NFULNL_MSG_PACKET`.
const PACKET: u16 = 4 << 8;
const TO_PORT_22: [u8; 4] = [0x9c, 0x40, 0, 22];

fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 60, 0, 0, 0, 0, 64, protocol, 0, 0];
    packet.extend([198, 51, 100, 7, 192, 0, 2, 1]);
    packet.extend(payload);
    packet
}

fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 60, next, 64];
    for last in [7, 1] {
        packet.extend(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).octets());
    }
    packet.extend(payload);
    packet
}

fn logged(prefix: &str, sequence: u32, packet: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    message::write(&mut bytes, PACKET, 0, 0, |w| {
        w.bytes(1, &[8, 0, 1, 0]);
        w.be32(12, sequence);
        w.be32(4, 7);
        w.string(10, prefix);
        w.bytes(9, packet);
    });
    bytes
}

fn all() -> [Vec<u8>; 4] {
    // Destination options and the first fragment stand before UDP.
    let behind = [&[44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 1, 0, 0, 0, 1][..], &TO_PORT_22].concat();
    [
        logged("pg:in:deny:ssh-in", 1, &ipv4(6, &TO_PORT_22)),
        logged("pg:out:would-deny:default", 2, &ipv6(58, &[128, 0, 0, 0])),
        logged("pg:in:deny:icmp-in", 5, &ipv4(1, &[8, 0, 0, 0])),
        logged("pg:in:reject:web-in", 6, &ipv6(60, &behind)),
    ]
}

pub fn records() -> Vec<Record> {
    Decoder::default().decode(&all().concat()).records
}

pub fn datagrams() -> Seeds {
    let [tcp, icmpv6, icmp, fragment] = all();
    let other = logged("somebody else's: ", 3, &ipv4(6, &TO_PORT_22));
    let several = [tcp.clone(), icmpv6, other, icmp].concat();
    [("tcp", tcp), ("several", several), ("fragment", fragment)].into()
}

/// The messages that make a table, as its dump has them: each rule with a handle.
pub fn dump(table: &Ruleset) -> Vec<u8> {
    let batch = encode(&plan_of(table), None, Purpose::Commit).expect("a batch");
    let mut dump = Vec::new();
    for (index, message) in Messages::new(batch.as_bytes()).enumerate() {
        let (header, body) = message.expect("a message");
        let Some(number) = header.nf_tables() else { continue };
        let start = message::start(&mut dump, message::kind(number), 0, header.seq);
        dump.extend(&body[wire::GENMSG..]);
        if number == msg::NEWSETELEM {
            expiring(&mut dump[start..]);
        }
        if number == msg::NEWRULE {
            Writer::new(&mut dump).be64(rule::HANDLE, index as u64 + 1);
        }
        message::finish(&mut dump, start);
    }
    dump
}

/// A dump says what is left of a life, where a request says how long it is: another attribute of the same form.
fn expiring(message: &mut [u8]) {
    const LENGTH: u16 = 12;
    let head = |kind: u16| [LENGTH.to_ne_bytes(), kind.to_ne_bytes()].concat();
    for word in message.chunks_exact_mut(4).filter(|word| **word == head(elem::TIMEOUT)) {
        word.copy_from_slice(&head(elem::EXPIRATION));
    }
}

pub fn read(dump: &[u8]) -> Result<Ruleset, Malformed> {
    let (mut table, mut heads) = (Ruleset::default(), Vec::new());
    let mut elements: BTreeMap<String, Vec<Collected>> = BTreeMap::new();
    for message in Messages::new(dump) {
        let (header, body) = message?;
        match header.nf_tables() {
            Some(msg::NEWCHAIN) => table.chains.extend(decode::chain(header, body)?),
            Some(msg::NEWOBJ) => table.objects.extend(decode::object(header, body)?),
            Some(msg::NEWSET) => heads.extend(decode::set(header, body)?),
            Some(msg::NEWSETELEM) => {
                let set = message::inet_attrs(body)?.expect("of the table").string(elem::LIST_SET)?;
                let held = elements.entry(set.expect("a set").to_owned()).or_default();
                decode::collect_elements(header, body, held)?;
            }
            Some(msg::NEWRULE) => {
                let (chain, rule) = decode::rule(header, body)?.expect("a rule of the table");
                table.chains.get_mut(&chain).expect("its chain").rules.push(rule);
            }
            _ => {}
        }
    }
    for SetHead { name, set, .. } in heads {
        let merged = decode::merge_elements(&set, elements.remove(&name).unwrap_or_default())?;
        table.sets.insert(name, Set { elements: Elements::Known(merged), ..set });
    }
    Ok(table)
}
