//! The kernel judges as the policy means: random policies, compiled and loaded, and random packets, really sent. What a packet
//! did is told by counters alone: those of the policy's table, and those of a table of the test's own that sees what passes.
#![cfg(feature = "kernel")]

#[path = "judged/counters.rs"]
mod counters;
#[path = "judged/faults.rs"]
mod faults;
#[path = "common/ns.rs"]
mod ns;
mod random;
#[path = "judged/wire.rs"]
mod wire;
#[path = "judged/world.rs"]
mod world;

use faults::Fault;
use portgrave::compile::{Features, compile};
use portgrave::model::{AddressBook, BROADCAST, Decision, Packet, Policy, verdict};
use portgrave::netlink::{Kernel, KernelError, NfTables};
use portgrave::plan::{Op, Plan, diff};
use portgrave::ruleset::Ruleset;
use portgrave::types::Direction;
use random::Random;
use std::collections::BTreeMap;
use world::World;

/// So many policies at most are tried until a planted fault shows.
const FAULTY_POLICIES: u64 = 1000;

/// PORTGRAVE_TEST_POLICIES asks for more.
fn policies() -> u64 {
    asked("PORTGRAVE_TEST_POLICIES").unwrap_or(500)
}

/// Packets to a policy: PORTGRAVE_TEST_PACKETS asks for more.
fn packets() -> u64 {
    asked("PORTGRAVE_TEST_PACKETS").unwrap_or(40)
}

fn asked(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

#[test]
fn the_kernel_judges_every_packet_as_the_policy_means() {
    if ns::ran_inside(ns::Namespace::Network, "the_kernel_judges_every_packet_as_the_policy_means") {
        return;
    }
    let mut world = World::new();
    let book = random::book();
    let (mut sent, mut named) = (0, 0);
    for seed in 0..policies() {
        let mut random = Random::new(seed);
        let policy = random::policy(&mut random);
        load(&mut world, &compiled(&policy, &book));
        for _ in 0..packets() {
            let packet = packet(&world, &mut random, &policy);
            let judged = judged(&mut world, &policy, &book, &packet);
            sent += 1;
            named += u64::from(judged.named);
            if judged.kernel != judged.policy {
                report(&mut world, seed, &policy, &book, &packet);
            }
        }
    }
    let share = named * 100 / sent;
    assert!((20..95).contains(&share), "rules decide {share} % of the packets");
}

#[test]
fn swapped_counters_are_found() {
    finds("swapped_counters_are_found", faults::counters_of_two_elements_swapped);
}

#[test]
fn a_cell_that_is_one_address_too_wide_is_found() {
    finds("a_cell_that_is_one_address_too_wide_is_found", faults::cell_widened_by_one_address);
}

#[test]
fn a_stage_that_is_left_out_is_found() {
    finds("a_stage_that_is_left_out_is_found", faults::stage_left_out);
}

#[test]
fn allowing_before_denying_is_found() {
    finds("allowing_before_denying_is_found", faults::allow_before_deny);
}

#[test]
fn an_interface_that_is_not_asked_for_is_found() {
    finds("an_interface_that_is_not_asked_for_is_found", faults::interface_not_asked);
}

#[test]
fn a_user_who_is_not_asked_for_is_found() {
    finds("a_user_who_is_not_asked_for_is_found", faults::user_not_asked);
}

#[test]
fn a_guard_of_names_that_is_turned_round_is_found() {
    finds("a_guard_of_names_that_is_turned_round_is_found", faults::guard_of_names_turned_round);
}

#[test]
fn an_exception_that_is_not_asked_for_is_found() {
    finds("an_exception_that_is_not_asked_for_is_found", faults::exception_not_asked);
}

/// Plants a fault into one policy after the other until a packet is judged otherwise than its policy means.
fn finds(test: &str, fault: Fault) {
    if ns::ran_inside(ns::Namespace::Network, test) {
        return;
    }
    let mut world = World::new();
    let book = random::book();
    let mut planted = 0;
    for seed in 0..FAULTY_POLICIES {
        let mut random = Random::new(seed);
        let policy = random::policy(&mut random);
        let mut ruleset = compiled(&policy, &book);
        if !fault(&mut ruleset, &mut random) {
            continue;
        }
        planted += 1;
        load(&mut world, &ruleset);
        for _ in 0..packets() {
            let packet = packet(&world, &mut random, &policy);
            let judged = judged(&mut world, &policy, &book, &packet);
            if judged.kernel != judged.policy {
                println!("found in policy {planted} that has it: {packet:?}, {judged:?}");
                return;
            }
        }
    }
    panic!("{planted} policies have the fault, and no packet shows it");
}

/// A packet that somebody who exists can send.
fn packet(world: &World, random: &mut Random, policy: &Policy) -> Packet {
    let packet = random::packet(random, policy);
    let exists = |uid: u32| if world.uids.contains(&uid) { uid } else { 0 };
    Packet { user: packet.user.map(exists), ..packet }
}

fn compiled(policy: &Policy, book: &AddressBook) -> Ruleset {
    compile(policy, book, &Features::ALL).unwrap_or_else(|findings| panic!("{findings:?}\n{policy}"))
}

fn load(world: &mut World, ruleset: &Ruleset) {
    let mut ops = vec![Op::AddTable, Op::DeleteTable];
    ops.extend(diff(ruleset, None).ops);
    let plan = Plan { ops };
    match NfTables.commit(&plan, None) {
        Ok(()) => world.restart(),
        Err(KernelError::Refused(refusals)) => {
            let op = refusals.first().and_then(|refusal| refusal.op).map(|op| &plan.ops[op]);
            panic!("{refusals:?}: {op:#?}\n{ruleset}");
        }
        Err(error) => panic!("{error:?}"),
    }
}

/// The counters that move, by how much: as the policy means, and in the kernel.
#[derive(Debug)]
struct Judged {
    policy: BTreeMap<String, u64>,
    kernel: BTreeMap<String, u64>,
    /// A rule decides.
    named: bool,
}

fn judged(world: &mut World, policy: &Policy, book: &AddressBook, packet: &Packet) -> Judged {
    let wanted = verdict(policy, book, packet);
    let direction = packet.direction.as_str();
    let mut moves = vec!["seen".to_owned()];
    moves.push(wanted.rule.as_ref().map_or("default".into(), ToString::to_string));
    moves.extend(wanted.audit.iter().map(ToString::to_string));
    if wanted.action.passes() {
        moves.push("passed".into());
    }
    let mut expected: BTreeMap<String, u64> =
        moves.into_iter().map(|name| (format!("{direction}.{name}"), 1)).collect();
    let mut kernel = world.send(packet);
    if matches!(wanted.action, Decision::Reject | Decision::DefaultReject) {
        // The answer to the sender takes its own way out and, to this machine, in.
        kernel.retain(|name, _| !name.contains(".baseline."));
        if !is_answered_here(packet) {
            kernel.retain(|name, _| name.starts_with(direction));
        } else if is_answered(packet) {
            let answer = if packet.protocol == 6 { "answer.reset" } else { "answer.unreachable" };
            expected.insert(answer.into(), 1);
        }
    }
    Judged { policy: expected, kernel, named: wanted.rule.is_some() }
}

/// Whether what answers a packet is of its flow, and comes back to this machine if it sent the packet: a reset for a socket
/// that is bound to another interface than the one with its address leaves by that one.
fn is_answered_here(packet: &Packet) -> bool {
    random::opens_flow(packet) && (packet.direction == Direction::In || random::is_at_home(packet))
}

/// Nothing that many get is answered, nor any error (RFC 1122, RFC 4443), nor an unknown type of ICMP.
fn is_answered(packet: &Packet) -> bool {
    // A network's broadcast address is one only where the network is.
    let of_network = packet.peer.to_string() == random::BROADCAST
        && packet.interface.as_deref() == Some(random::INTERFACES[0]);
    let for_many = packet.peer.is_multicast() || packet.peer == BROADCAST || of_network;
    let icmp = match (packet.peer.is_ipv4(), packet.icmp_type) {
        (_, None) => true,
        (true, Some(kind)) => !matches!(kind, 3..=5 | 11 | 12 | 19..),
        (false, Some(kind)) => kind >= 128,
    };
    !for_many && icmp
}

/// Fails with the smallest policy that shows the difference.
fn report(world: &mut World, seed: u64, policy: &Policy, book: &AddressBook, packet: &Packet) -> ! {
    let mut judge = |policy: &Policy| {
        load(world, &compiled(policy, book));
        judged(world, policy, book, packet)
    };
    let smallest = random::smallest(policy, |policy| {
        let judged = judge(policy);
        judged.kernel != judged.policy
    });
    let judged = judge(&smallest);
    panic!("seed {seed}, {packet:?}: {judged:#?}\n{smallest}");
}
