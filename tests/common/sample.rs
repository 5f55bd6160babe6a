//! A ruleset of the full shape, built by hand, and the same in nft's language.

// Every test binary has a copy of this file and uses its own part.
#![allow(dead_code)]

use portgrave::plan::{Op, Plan};
use portgrave::ruleset::*;
use std::collections::BTreeMap;
use std::time::Duration;

pub const TCP: u8 = 6;

/// What `nft -f` makes of this must list like [`ruleset`]. Everything is in the order of names, as in the plan.
pub const NFT: &str = r#"
table inet portgrave {
    counter c.established { }
    counter c.smtp-in { }
    counter c.ssh-in { }
    counter c.updates { }
    ct helper ftp-4 { type "ftp" protocol tcp; l3proto ip; }
    ct helper ftp-6 { type "ftp" protocol tcp; l3proto ip6; }

    set adopted { type ipv4_addr . inet_service . ipv4_addr . inet_service; flags timeout; timeout 10m; size 1024;
        elements = { 192.0.2.1 . 40000 . 192.0.2.2 . 22 timeout 5m } }
    map allow.any { type inet_proto . inet_service : counter; size 16; elements = { tcp . 25 : "c.smtp-in" } }
    map allow.exact { type ipv4_addr . inet_proto . inet_service : counter; size 16;
        elements = { 10.0.0.1 . tcp . 22 : "c.ssh-in" } }
    map allow.interval { type ipv4_addr . inet_proto . inet_service : counter; flags interval;
        elements = { 10.1.0.0/16 . tcp . 22 : "c.ssh-in", 10.2.0.0-10.3.0.5 . tcp . 22-23 : "c.ssh-in" } }
    map allow.names { type ipv4_addr . inet_proto . inet_service : counter; flags timeout; timeout 1h; size 1280;
        elements = { 198.51.100.8 . tcp . 80 timeout 60s : "c.updates" } }
    map allow.names-chain { type ipv4_addr . inet_proto . inet_service : verdict; flags timeout; timeout 1h; size 1280;
        elements = { 198.51.100.8 . tcp . 21 timeout 60s : jump rule.ftp } }
    map dispatch { type nf_proto . inet_proto . inet_service : verdict; flags interval;
        elements = { ipv4 . tcp . 0-20 : goto port, ipv4 . tcp . 21 : goto special, ipv4 . tcp . 22-65535 : goto port } }
    set ftp-peers { type ipv4_addr; flags dynamic,timeout; timeout 5d; size 65535; }
    set icmp-errors { type icmp_type; size 8;
        elements = { destination-unreachable, time-exceeded, parameter-problem } }
    set neighbours { type icmpv6_type; elements = { nd-neighbor-solicit, nd-neighbor-advert } }
    set never4 { type ipv4_addr; flags interval;
        elements = { 0.0.0.0/8, 10.0.0.0/8, 127.0.0.0/8, 192.0.2.7, 224.0.0.0-255.255.255.255 } }
    set never6 { type ipv6_addr; flags interval; elements = { ::/3, 4000::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff } }
    set peers { type ipv6_addr; flags dynamic,timeout; timeout 10s; size 16384; }
    map ports { type inet_service : verdict; flags interval; elements = { 80-90 : accept, 91-100 : drop } }
    set servers6 { type ipv6_addr . inet_service; size 4; elements = { 2001:db8::53 . 53 } }
    map state { type ct_state : verdict; size 8; elements = { established : goto established, invalid : drop,
        untracked : jump untracked, related : jump related } }

    chain denied { drop; }
    chain echo { icmp type echo-request limit rate 50/second burst 100 packets accept
        icmp type echo-request limit rate 3/minute burst 5 packets return
        icmp type echo-request limit rate 7/hour burst 9 packets drop; }
    chain established { counter name c.established accept; }
    chain input { type filter hook input priority filter; policy drop;
        ct state vmap @state
        iifname "lo" goto loopback
        meta nfproto . meta l4proto . th dport vmap @dispatch
        goto denied; }
    chain logged { limit rate over 1000/second burst 2000 packets return
        update @peers { ip6 saddr & ffff:ffff:ffff:ffff:: limit rate over 20/second burst 50 packets } return
        log prefix "pg:in:deny:default" group 100 snaplen 128 drop; }
    chain loopback { accept; }
    chain output { type filter hook output priority filter + 1; policy accept;
        oifname "eth0" meta skuid 1000 th dport vmap @ports
        ip6 daddr @never6 return
        ip6 daddr . th dport @servers6 accept
        drop; }
    chain port { tcp flags & (fin | syn | rst | ack) != syn drop
        counter name ip saddr . meta l4proto . th dport map @allow.exact accept
        counter name ip saddr . meta l4proto . th dport map @allow.interval accept
        ip saddr != @never4 counter name ip saddr . meta l4proto . th dport map @allow.names accept
        counter name meta l4proto . th dport map @allow.any accept
        goto denied; }
    chain prerouting { type filter hook prerouting priority raw; policy accept;
        iifname != "lo" drop
        iifname "podman*" accept; }
    chain related { icmp type @icmp-errors accept
        ct helper "ftp" tcp sport 20 tcp dport >= 1024 accept
        ct helper "ftp" ip saddr @ftp-peers tcp dport 1024-65535 accept; }
    chain rule.ftp { update @ftp-peers { ip saddr }
        add @ftp-peers { ip saddr timeout 1m }
        ct helper set "ftp-4"
        counter name c.smtp-in accept; }
    chain rule.reject { meta l4proto tcp reject with tcp reset
        reject; }
    chain special { ip saddr . tcp sport . ip daddr . tcp dport @adopted accept
        ip saddr . meta l4proto . th dport vmap @allow.names-chain
        jump echo
        goto denied; }
    chain untracked { icmpv6 type @neighbours ip6 hoplimit 255 accept; }
    chain z.empty { }
    chain z.return { return; }
}
"#;

pub fn ruleset() -> Ruleset {
    Ruleset { objects: objects(), sets: sets(), chains: chains(), dormant: false }
}

/// The whole ruleset as operations on an empty table.
pub fn plan_of(ruleset: &Ruleset) -> Plan {
    let mut ops = vec![Op::AddTable];
    let named = |name: &String| name.clone();
    ops.extend(ruleset.objects.iter().map(|(n, o)| Op::AddObject { name: named(n), object: o.clone() }));
    ops.extend(ruleset.sets.iter().map(|(n, s)| Op::AddSet { name: named(n), head: s.head() }));
    ops.extend(ruleset.chains.iter().map(|(n, c)| Op::AddChain { name: named(n), base: c.base }));
    for (name, set) in &ruleset.sets {
        let elements: Vec<Element> =
            set.elements.known().unwrap().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        if !elements.is_empty() {
            ops.push(Op::AddElements { set: named(name), head: set.head(), elements });
        }
    }
    for (name, chain) in &ruleset.chains {
        let rules = chain.rules.iter().cloned();
        ops.extend(rules.map(|rule| Op::AddRule { chain: named(name), before: None, rule }));
    }
    Plan { ops }
}

fn objects() -> BTreeMap<String, Object> {
    let counter = || Object { kind: ObjectDef::Counter { packets: 0, bytes: 0 }, origin: None };
    let helper = |l3proto| {
        let kind = ObjectDef::CtHelper { helper: "ftp".to_owned(), l3proto, l4proto: TCP };
        Object { kind, origin: None }
    };
    let counters =
        ["c.established", "c.smtp-in", "c.ssh-in", "c.updates"].map(|name| (name.to_owned(), counter()));
    let helpers = [("ftp-4".to_owned(), helper(2)), ("ftp-6".to_owned(), helper(10))];
    counters.into_iter().chain(helpers).collect()
}

pub fn head(key: &[Field], data: SetData, size: Option<u32>) -> Set {
    let elements = Elements::default();
    Set {
        key: key.to_vec(),
        data,
        interval: false,
        timeout: None,
        dynamic: false,
        size,
        elements,
        origin: None,
    }
}

pub fn with(mut set: Set, elements: impl IntoIterator<Item = Element>) -> Set {
    set.elements = Elements::Known(elements.into_iter().collect());
    set
}

/// A key from the octets of its fields.
pub fn key(fields: &[&[u8]]) -> Box<[u8]> {
    let mut key = Vec::new();
    for field in fields {
        key.extend_from_slice(field);
        key.resize(key.len().next_multiple_of(4), 0);
    }
    key.into_boxed_slice()
}

pub fn exact(fields: &[&[u8]], value: ElementValue) -> Element {
    (ElementKey { first: key(fields), last: None }, value)
}

pub fn range(first: &[&[u8]], last: &[&[u8]], value: ElementValue) -> Element {
    (ElementKey { first: key(first), last: Some(key(last)) }, value)
}

pub fn nothing() -> ElementValue {
    ElementValue::default()
}

pub fn verdict(verdict: Verdict) -> ElementValue {
    ElementValue { verdict: Some(verdict), ..ElementValue::default() }
}

pub fn counter(name: &str) -> ElementValue {
    ElementValue { object: Some(name.to_owned()), ..ElementValue::default() }
}

pub fn living(value: ElementValue, seconds: u64) -> ElementValue {
    ElementValue { timeout: Some(Duration::from_secs(seconds)), ..value }
}

fn goto(chain: &str) -> Verdict {
    Verdict::Goto(chain.to_owned())
}

fn jump(chain: &str) -> Verdict {
    Verdict::Jump(chain.to_owned())
}

fn sets() -> BTreeMap<String, Set> {
    use Field::{CtState, IcmpType, Icmpv6Type, InetProto, InetService, Ipv4Addr, Ipv6Addr, NfProto};
    let counters = SetData::Object(ObjectKind::Counter);
    let address_port = [Ipv4Addr, InetProto, InetService];
    let interval = |set: Set| Set { interval: true, ..set };
    let timed = |set: Set, seconds| Set { timeout: Some(Duration::from_secs(seconds)), ..set };
    let state = |bit: u32| bit.to_ne_bytes();
    let all = [
        (
            "adopted",
            with(
                timed(head(&[Ipv4Addr, InetService, Ipv4Addr, InetService], SetData::None, Some(1024)), 600),
                [exact(
                    &[&[192, 0, 2, 1], &40000_u16.to_be_bytes(), &[192, 0, 2, 2], &[0, 22]],
                    living(nothing(), 300),
                )],
            ),
        ),
        (
            "allow.any",
            with(
                head(&[InetProto, InetService], counters, Some(16)),
                [exact(&[&[TCP], &[0, 25]], counter("c.smtp-in"))],
            ),
        ),
        (
            "allow.exact",
            with(
                head(&address_port, counters, Some(16)),
                [exact(&[&[10, 0, 0, 1], &[TCP], &[0, 22]], counter("c.ssh-in"))],
            ),
        ),
        (
            "allow.interval",
            with(
                interval(head(&address_port, counters, None)),
                [
                    range(
                        &[&[10, 1, 0, 0], &[TCP], &[0, 22]],
                        &[&[10, 1, 255, 255], &[TCP], &[0, 22]],
                        counter("c.ssh-in"),
                    ),
                    range(
                        &[&[10, 2, 0, 0], &[TCP], &[0, 22]],
                        &[&[10, 3, 0, 5], &[TCP], &[0, 23]],
                        counter("c.ssh-in"),
                    ),
                ],
            ),
        ),
        (
            "allow.names",
            with(
                timed(head(&address_port, counters, Some(1280)), 3600),
                [exact(&[&[198, 51, 100, 8], &[TCP], &[0, 80]], living(counter("c.updates"), 60))],
            ),
        ),
        (
            "allow.names-chain",
            with(
                timed(head(&address_port, SetData::Verdict, Some(1280)), 3600),
                [exact(&[&[198, 51, 100, 8], &[TCP], &[0, 21]], living(verdict(jump("rule.ftp")), 60))],
            ),
        ),
        (
            "dispatch",
            with(
                interval(head(&[NfProto, InetProto, InetService], SetData::Verdict, None)),
                [(0_u16, 20_u16, "port"), (21, 21, "special"), (22, 65535, "port")].map(|(a, b, chain)| {
                    range(
                        &[&[2], &[TCP], &a.to_be_bytes()],
                        &[&[2], &[TCP], &b.to_be_bytes()],
                        verdict(goto(chain)),
                    )
                }),
            ),
        ),
        (
            "ftp-peers",
            Set { dynamic: true, ..timed(head(&[Ipv4Addr], SetData::None, Some(65535)), 5 * 24 * 3600) },
        ),
        (
            "icmp-errors",
            with(head(&[IcmpType], SetData::None, Some(8)), [3, 11, 12].map(|t| exact(&[&[t]], nothing()))),
        ),
        (
            "neighbours",
            with(head(&[Icmpv6Type], SetData::None, None), [135, 136].map(|t| exact(&[&[t]], nothing()))),
        ),
        (
            "never4",
            with(
                interval(head(&[Ipv4Addr], SetData::None, None)),
                [
                    ([0, 0, 0, 0], [0, 255, 255, 255]),
                    ([10, 0, 0, 0], [10, 255, 255, 255]),
                    ([127, 0, 0, 0], [127, 255, 255, 255]),
                    ([192, 0, 2, 7], [192, 0, 2, 7]),
                    ([224, 0, 0, 0], [255, 255, 255, 255]),
                ]
                .map(|(a, b)| range(&[&a], &[&b], nothing())),
            ),
        ),
        (
            "never6",
            with(
                interval(head(&[Ipv6Addr], SetData::None, None)),
                [(0_u128, (0x2000_u128 << 112) - 1), (0x4000_u128 << 112, u128::MAX)]
                    .map(|(a, b)| range(&[&a.to_be_bytes()], &[&b.to_be_bytes()], nothing())),
            ),
        ),
        ("peers", Set { dynamic: true, ..timed(head(&[Ipv6Addr], SetData::None, Some(16384)), 10) }),
        (
            "ports",
            with(
                interval(head(&[InetService], SetData::Verdict, None)),
                [
                    range(&[&[0, 80]], &[&[0, 90]], verdict(Verdict::Accept)),
                    range(&[&[0, 91]], &[&[0, 100]], verdict(Verdict::Drop)),
                ],
            ),
        ),
        (
            "servers6",
            with(
                head(&[Ipv6Addr, InetService], SetData::None, Some(4)),
                [exact(&[&((0x2001_0db8_u128 << 96) + 0x53).to_be_bytes(), &[0, 53]], nothing())],
            ),
        ),
        (
            "state",
            with(
                head(&[CtState], SetData::Verdict, Some(8)),
                [
                    exact(&[&state(1)], verdict(Verdict::Drop)),
                    exact(&[&state(2)], verdict(goto("established"))),
                    exact(&[&state(4)], verdict(jump("related"))),
                    exact(&[&state(64)], verdict(jump("untracked"))),
                ],
            ),
        ),
    ];
    all.into_iter().map(|(name, set)| (name.to_owned(), set)).collect()
}

pub fn rule(exprs: impl IntoIterator<Item = Vec<Expr>>) -> Rule {
    Rule { exprs: exprs.into_iter().flatten().collect(), ..Rule::default() }
}

fn meta(key: MetaKey, dreg: u8) -> Expr {
    Expr::Meta { key, dreg: Reg(dreg) }
}

fn payload(base: PayloadBase, offset: u32, len: u32, dreg: u8) -> Expr {
    Expr::Payload { base, offset, len, dreg: Reg(dreg) }
}

fn th(offset: u32, len: u32, dreg: u8) -> Expr {
    payload(PayloadBase::Transport, offset, len, dreg)
}

fn saddr4(dreg: u8) -> Expr {
    payload(PayloadBase::Network, 12, 4, dreg)
}

fn cmp(op: CmpOp, data: &[u8]) -> Expr {
    Expr::Cmp { sreg: Reg(0), op, data: data.to_vec() }
}

fn equals(load: Expr, data: &[u8]) -> Vec<Expr> {
    vec![load, cmp(CmpOp::Eq, data)]
}

fn name16(name: &str) -> Vec<u8> {
    let mut octets = name.as_bytes().to_vec();
    octets.resize(16, 0);
    octets
}

fn v4() -> Vec<Expr> {
    equals(meta(MetaKey::NfProto, 0), &[2])
}

fn v6() -> Vec<Expr> {
    equals(meta(MetaKey::NfProto, 0), &[10])
}

fn proto(number: u8) -> Vec<Expr> {
    equals(meta(MetaKey::L4Proto, 0), &[number])
}

fn in_set(set: &str, invert: bool) -> Expr {
    Expr::Lookup { sreg: Reg(0), set: set.to_owned(), invert, verdict: false }
}

fn vmap(set: &str) -> Expr {
    Expr::Lookup { sreg: Reg(0), set: set.to_owned(), invert: false, verdict: true }
}

fn object_map(map: &str) -> Vec<Expr> {
    vec![Expr::ObjectMap { sreg: Reg(0), map: map.to_owned() }, Expr::Verdict(Verdict::Accept)]
}

fn counted(name: &str) -> Vec<Expr> {
    vec![Expr::Object { kind: ObjectKind::Counter, name: name.to_owned() }]
}

pub fn then(verdict: Verdict) -> Vec<Expr> {
    vec![Expr::Verdict(verdict)]
}

/// `ip saddr . meta l4proto . th dport`, in the registers of a concatenation.
fn address_port() -> Vec<Expr> {
    vec![saddr4(0), meta(MetaKey::L4Proto, 1), th(2, 2, 2)]
}

/// The first bits of an IPv6 address.
fn network(bits: usize) -> Expr {
    let mask = [vec![0xff; bits / 8], vec![0; 16 - bits / 8]].concat();
    Expr::Bitwise { sreg: Reg(0), dreg: Reg(0), mask, xor: vec![0; 16] }
}

fn echo_request(rate: u64, unit: LimitUnit, burst: u32) -> Vec<Vec<Expr>> {
    vec![
        v4(),
        proto(1),
        equals(th(0, 1, 0), &[8]),
        vec![Expr::Limit(Limit { rate, unit, burst, over: false })],
    ]
}

fn chains() -> BTreeMap<String, Chain> {
    let accept = || then(Verdict::Accept);
    let drop = || then(Verdict::Drop);
    let helper_is_ftp = || equals(Expr::Ct { key: CtKey::Helper, dreg: Reg(0) }, &name16("ftp"));
    let base = |hook, priority, policy| Some(BaseChain { hook, priority, policy });
    let limited =
        |rate, unit, burst, verdict| rule(echo_request(rate, unit, burst).into_iter().chain([then(verdict)]));
    let update = |op, timeout| {
        let set = "ftp-peers".to_owned();
        rule([v4(), vec![saddr4(0), Expr::Dynset { op, sreg: Reg(0), set, timeout, limit: None }]])
    };
    let syn = [
        vec![th(13, 1, 0), Expr::Bitwise { sreg: Reg(0), dreg: Reg(0), mask: vec![0x17], xor: vec![0] }],
        vec![cmp(CmpOp::Neq, &[2])],
    ];
    let over = |rate, burst| Limit { rate, unit: LimitUnit::Second, burst, over: true };
    let all: [(&str, Option<BaseChain>, Vec<Rule>); 16] = [
        ("denied", None, vec![rule([drop()])]),
        (
            "echo",
            None,
            vec![
                limited(50, LimitUnit::Second, 100, Verdict::Accept),
                limited(3, LimitUnit::Minute, 5, Verdict::Return),
                limited(7, LimitUnit::Hour, 9, Verdict::Drop),
            ],
        ),
        ("established", None, vec![rule([counted("c.established"), accept()])]),
        (
            "input",
            base(Hook::Input, 0, ChainPolicy::Drop),
            vec![
                rule([vec![Expr::Ct { key: CtKey::State, dreg: Reg(0) }, vmap("state")]]),
                rule([equals(meta(MetaKey::IifName, 0), &name16("lo")), then(goto("loopback"))]),
                rule([vec![
                    meta(MetaKey::NfProto, 0),
                    meta(MetaKey::L4Proto, 1),
                    th(2, 2, 2),
                    vmap("dispatch"),
                ]]),
                rule([then(goto("denied"))]),
            ],
        ),
        (
            "logged",
            None,
            vec![
                rule([vec![Expr::Limit(over(1000, 2000))], then(Verdict::Return)]),
                rule([
                    v6(),
                    vec![payload(PayloadBase::Network, 8, 16, 0), network(64)],
                    vec![Expr::Dynset {
                        op: DynsetOp::Update,
                        sreg: Reg(0),
                        set: "peers".to_owned(),
                        timeout: None,
                        limit: Some(over(20, 50)),
                    }],
                    then(Verdict::Return),
                ]),
                rule([
                    vec![Expr::Log { prefix: "pg:in:deny:default".to_owned(), group: 100, snaplen: 128 }],
                    drop(),
                ]),
            ],
        ),
        ("loopback", None, vec![rule([accept()])]),
        (
            "output",
            base(Hook::Output, 1, ChainPolicy::Accept),
            vec![
                rule([
                    equals(meta(MetaKey::OifName, 0), &name16("eth0")),
                    equals(meta(MetaKey::SkUid, 0), &1000_u32.to_ne_bytes()),
                    vec![th(2, 2, 0), vmap("ports")],
                ]),
                rule([
                    v6(),
                    vec![payload(PayloadBase::Network, 24, 16, 0), in_set("never6", false)],
                    then(Verdict::Return),
                ]),
                rule([
                    v6(),
                    vec![payload(PayloadBase::Network, 24, 16, 0), th(2, 2, 4), in_set("servers6", false)],
                    accept(),
                ]),
                rule([drop()]),
            ],
        ),
        (
            "port",
            None,
            vec![
                rule([proto(TCP)].into_iter().chain(syn).chain([drop()])),
                rule([v4(), address_port(), object_map("allow.exact")]),
                rule([v4(), address_port(), object_map("allow.interval")]),
                rule([
                    v4(),
                    vec![saddr4(0), in_set("never4", true)],
                    address_port(),
                    object_map("allow.names"),
                ]),
                rule([vec![meta(MetaKey::L4Proto, 0), th(2, 2, 1)], object_map("allow.any")]),
                rule([then(goto("denied"))]),
            ],
        ),
        (
            "prerouting",
            base(Hook::Prerouting, -300, ChainPolicy::Accept),
            vec![
                rule([vec![meta(MetaKey::IifName, 0), cmp(CmpOp::Neq, &name16("lo"))], then(Verdict::Drop)]),
                // Every interface whose name begins so.
                rule([equals(meta(MetaKey::IifName, 0), b"podman"), accept()]),
            ],
        ),
        (
            "related",
            None,
            vec![
                rule([v4(), proto(1), vec![th(0, 1, 0), in_set("icmp-errors", false)], accept()]),
                rule([
                    helper_is_ftp(),
                    proto(TCP),
                    equals(th(0, 2, 0), &[0, 20]),
                    vec![th(2, 2, 0), cmp(CmpOp::Gte, &[4, 0])],
                    accept(),
                ]),
                rule([
                    helper_is_ftp(),
                    v4(),
                    vec![saddr4(0), in_set("ftp-peers", false)],
                    proto(TCP),
                    vec![th(2, 2, 0), cmp(CmpOp::Gte, &[4, 0]), cmp(CmpOp::Lte, &[255, 255])],
                    accept(),
                ]),
            ],
        ),
        (
            "rule.ftp",
            None,
            vec![
                update(DynsetOp::Update, None),
                update(DynsetOp::Add, Some(Duration::from_secs(60))),
                rule([vec![Expr::Object { kind: ObjectKind::CtHelper, name: "ftp-4".to_owned() }]]),
                rule([counted("c.smtp-in"), accept()]),
            ],
        ),
        (
            "rule.reject",
            None,
            vec![
                rule([proto(TCP), vec![Expr::Reject(RejectKind::TcpReset)]]),
                rule([vec![Expr::Reject(RejectKind::PortUnreachable)]]),
            ],
        ),
        (
            "special",
            None,
            vec![
                rule([
                    v4(),
                    proto(TCP),
                    vec![
                        saddr4(0),
                        th(0, 2, 1),
                        payload(PayloadBase::Network, 16, 4, 2),
                        th(2, 2, 3),
                        in_set("adopted", false),
                    ],
                    accept(),
                ]),
                rule([v4(), address_port(), vec![vmap("allow.names-chain")]]),
                rule([then(jump("echo"))]),
                rule([then(goto("denied"))]),
            ],
        ),
        (
            "untracked",
            None,
            vec![rule([
                v6(),
                proto(58),
                vec![th(0, 1, 0), in_set("neighbours", false)],
                equals(payload(PayloadBase::Network, 7, 1, 0), &[255]),
                accept(),
            ])],
        ),
        ("z.empty", None, vec![]),
        ("z.return", None, vec![rule([then(Verdict::Return)])]),
    ];
    all.into_iter().map(|(name, base, rules)| (name.to_owned(), Chain { base, rules })).collect()
}
