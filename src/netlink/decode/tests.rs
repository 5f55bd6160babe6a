use super::*;
use crate::netlink::attr::Writer;
use crate::netlink::message;
use crate::netlink::wire::{data, elem, expr as nfta_expr, set as nfta_set};
use crate::ruleset::{ElementKey, Elements, Expr, Field, Set, SetData, Verdict};

fn body_of(msg: u16, content: impl FnOnce(&mut Writer<'_>)) -> (Header, Vec<u8>) {
    let mut bytes = Vec::new();
    message::write(&mut bytes, message::kind(msg), 0, 1, content);
    let (header, body) = message::Messages::new(&bytes).next().unwrap().unwrap();
    (header, body.to_vec())
}

fn ports() -> Set {
    Set {
        key: vec![Field::InetService],
        data: SetData::Verdict,
        interval: true,
        timeout: None,
        dynamic: false,
        size: None,
        elements: Elements::default(),
        origin: None,
    }
}

fn elements_message(elements: &[(Option<u16>, u32, Option<u32>)]) -> (Header, Vec<u8>) {
    body_of(msg::NEWSETELEM, |w| {
        w.string(elem::LIST_TABLE, TABLE);
        w.string(elem::LIST_SET, "s");
        w.nest(elem::LIST_ELEMENTS, |list| {
            for (key, flags, code) in elements {
                list.nest(wire::NFTA_LIST_ELEM, |element| {
                    if let Some(key) = key {
                        element.nest(elem::KEY, |value| value.bytes(data::VALUE, &key.to_be_bytes()));
                    }
                    element.be32(elem::FLAGS, *flags);
                    if let Some(code) = code {
                        element.nest(elem::DATA, |content| {
                            content.nest(data::VERDICT, |verdict| verdict.be32(data::VERDICT_CODE, *code));
                        });
                    }
                });
            }
        });
    })
}

/// First key, last key, verdict.
type Plain = (Vec<u8>, Option<Vec<u8>>, Option<Verdict>);

fn ranges(elements: &[(Option<u16>, u32, Option<u32>)]) -> Vec<Plain> {
    let (header, body) = elements_message(elements);
    let mut collected = Vec::new();
    collect_elements(header, &body, &mut collected).unwrap();
    let merged = merge_elements(&ports(), collected).unwrap();
    let plain = |(ElementKey { first, last }, value): (ElementKey, crate::ruleset::ElementValue)| {
        (first.to_vec(), last.map(|last| last.to_vec()), value.verdict)
    };
    merged.into_iter().map(plain).collect()
}

fn from_to(first: u16, last: u16, verdict: Verdict) -> Plain {
    let padded = |port: u16| [port.to_be_bytes().as_slice(), &[0, 0]].concat();
    (padded(first), Some(padded(last)), Some(verdict))
}

#[test]
fn ranges_are_put_together_from_their_ends_in_any_order() {
    let end = |key| (Some(key), elem::F_INTERVAL_END, None);
    let start = |key, code| (Some(key), 0, Some(code));
    let (accept, drop) = (data::ACCEPT, data::DROP);
    // As the kernel dumps them: downwards, with nft's end at zero, and both an end and a start at 91.
    assert_eq!(
        ranges(&[start(200, drop), end(101), start(91, drop), end(91), start(80, accept), end(0)]),
        [
            from_to(80, 90, Verdict::Accept),
            from_to(91, 100, Verdict::Drop),
            from_to(200, 65535, Verdict::Drop)
        ]
    );
    // A start also ends what comes before it.
    assert_eq!(
        ranges(&[start(0, accept), start(7, drop), end(8)]),
        [from_to(0, 6, Verdict::Accept), from_to(7, 7, Verdict::Drop)]
    );
}

#[test]
fn what_matches_everything_else_is_an_element_without_a_key() {
    let all = ranges(&[(None, elem::F_CATCHALL, Some(data::ACCEPT)), (Some(7), 0, Some(data::DROP))]);
    assert_eq!(all, [(vec![], None, Some(Verdict::Accept)), from_to(7, 65535, Verdict::Drop)]);
}

#[test]
fn keys_of_the_wrong_length_and_elements_without_one_are_malformed() {
    let (header, body) = elements_message(&[(Some(7), 0, None)]);
    let mut collected = Vec::new();
    collect_elements(header, &body, &mut collected).unwrap();
    let addresses = Set { key: vec![Field::Ipv4Addr], interval: false, ..ports() };
    assert!(merge_elements(&addresses, collected).is_err());
    let (header, body) = elements_message(&[(None, 0, None)]);
    assert!(collect_elements(header, &body, &mut Vec::new()).is_err());
}

#[test]
fn every_type_of_field_is_known_by_its_number() {
    for field in [
        Field::Ipv4Addr,
        Field::Ipv6Addr,
        Field::InetProto,
        Field::InetService,
        Field::NfProto,
        Field::CtState,
        Field::IcmpType,
        Field::Icmpv6Type,
    ] {
        let (header, body) = body_of(msg::NEWSET, |w| {
            w.string(nfta_set::TABLE, TABLE);
            w.string(nfta_set::NAME, "s");
            w.be32(nfta_set::KEY_TYPE, type_of_fields(&[field, Field::InetService]));
            w.be32(nfta_set::KEY_LEN, u32::try_from(field.padded_len()).unwrap() + 4);
        });
        assert_eq!(set(header, &body).unwrap().unwrap().set.key, [field, Field::InetService]);
    }
}

#[test]
fn answers_about_other_tables_and_of_other_kinds_are_told_apart() {
    let chain_of = |table: &'static str| {
        body_of(msg::NEWCHAIN, |w| {
            w.string(nfta_chain::TABLE, table);
            w.string(nfta_chain::NAME, "c");
        })
    };
    let (header, body) = chain_of("filter");
    assert_eq!(chain(header, &body).unwrap(), None);
    let (header, body) = chain_of(TABLE);
    assert!(chain(header, &body).unwrap().is_some());
    assert!(rule(header, &body).is_err());
    let mut of_ip = body.clone();
    of_ip[0] = 2;
    assert_eq!(chain(header, &of_ip).unwrap(), None);
}

/// Messages of every kind, to be damaged.
fn samples() -> Vec<(Header, Vec<u8>)> {
    let named_rule = body_of(msg::NEWRULE, |w| {
        w.string(nfta_rule::TABLE, TABLE);
        w.string(nfta_rule::CHAIN, "c");
        w.be64(nfta_rule::HANDLE, 7);
        w.nest(nfta_rule::EXPRESSIONS, |list| {
            let mut add = |name: &str, content: &dyn Fn(&mut Writer<'_>)| {
                list.nest(wire::NFTA_LIST_ELEM, |element| {
                    element.string(nfta_expr::NAME, name);
                    element.nest(nfta_expr::DATA, |attrs| content(attrs));
                });
            };
            add("meta", &|a| {
                a.be32(nfta_expr::META_KEY, nfta_expr::META_L4PROTO);
                a.be32(nfta_expr::META_DREG, 1);
            });
            add("bitwise", &|a| {
                a.be32(nfta_expr::BITWISE_SREG, 1);
                a.be32(nfta_expr::BITWISE_DREG, 23);
                a.be32(nfta_expr::BITWISE_LEN, 1);
                a.nest(nfta_expr::BITWISE_MASK, |v| v.bytes(data::VALUE, &[1]));
                a.nest(nfta_expr::BITWISE_XOR, |v| v.bytes(data::VALUE, &[0]));
            });
            add("immediate", &|a| {
                a.be32(nfta_expr::IMMEDIATE_DREG, 0);
                a.nest(nfta_expr::IMMEDIATE_DATA, |d| {
                    d.nest(data::VERDICT, |v| {
                        v.be32(data::VERDICT_CODE, data::GOTO);
                        v.string(data::VERDICT_CHAIN, "d");
                    });
                });
            });
        });
    });
    let object = body_of(msg::NEWOBJ, |w| {
        w.string(nfta_object::TABLE, TABLE);
        w.string(nfta_object::NAME, "o");
        w.be32(nfta_object::TYPE, nfta_object::COUNTER);
        w.nest(nfta_object::DATA, |d| d.be64(nfta_object::COUNTER_BYTES, 1));
    });
    let chain = body_of(msg::NEWCHAIN, |w| {
        w.string(nfta_chain::TABLE, TABLE);
        w.string(nfta_chain::NAME, "c");
        w.string(nfta_chain::TYPE, "filter");
        w.be32(nfta_chain::POLICY, 1);
        w.nest(nfta_chain::HOOK, |h| {
            h.be32(nfta_chain::HOOK_HOOKNUM, 1);
            h.be32(nfta_chain::HOOK_PRIORITY, 0);
        });
    });
    let set = body_of(msg::NEWSET, |w| {
        w.string(nfta_set::TABLE, TABLE);
        w.string(nfta_set::NAME, "s");
        w.be32(nfta_set::FLAGS, nfta_set::F_INTERVAL | nfta_set::F_TIMEOUT);
        w.be32(nfta_set::KEY_TYPE, 7 << 6 | 13);
        w.be32(nfta_set::KEY_LEN, 8);
        w.nest(nfta_set::DESC, |d| d.be32(nfta_set::DESC_SIZE, 3));
    });
    let elements = elements_message(&[
        (Some(7), 0, Some(1)),
        (Some(9), elem::F_INTERVAL_END, None),
        (None, elem::F_CATCHALL, Some(0)),
    ]);
    vec![named_rule, object, chain, set, elements]
}

#[test]
fn the_samples_are_read_whole() {
    let all = samples();
    let (header, body) = &all[0];
    let (_, rule) = rule(*header, body).unwrap().unwrap();
    assert_eq!(rule.exprs.len(), 3);
    assert!(rule.exprs.iter().all(|expr| !matches!(expr, Expr::Foreign(_))));
    assert!(object(all[1].0, &all[1].1).unwrap().is_some());
    assert!(chain(all[2].0, &all[2].1).unwrap().unwrap().1.base.is_some());
    assert_eq!(set(all[3].0, &all[3].1).unwrap().unwrap().set.key.len(), 2);
}

/// Damaged messages may say anything; reading them ends, with a value or an error.
#[test]
fn damaged_messages_are_read_without_a_panic() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % limit as u64).unwrap()
    };
    let concatenation = Set { key: vec![Field::Ipv4Addr, Field::InetService], ..ports() };
    for (header, whole) in samples() {
        for _ in 0..20_000 {
            let mut body = whole.clone();
            for _ in 0..=random(4) {
                let at = random(body.len());
                body[at] = u8::try_from(random(256)).unwrap();
            }
            body.truncate(body.len() - random(body.len()) * random(2));
            let _ = (table(header, &body), chain(header, &body), rule(header, &body), object(header, &body));
            let _ = (set(header, &body), generation(header, &body));
            let mut collected = Vec::new();
            let _ = collect_elements(header, &body, &mut collected);
            let _ = (merge_elements(&ports(), collected.clone()), merge_elements(&concatenation, collected));
            let _ = message::Answer::parse(Header { kind: wire::NLMSG_ERROR, flags: 0x300, ..header }, &body);
        }
    }
}
