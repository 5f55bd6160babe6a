//! The baseline rules about ICMP: errors about live flows and about others, redirects, echo.

use super::flows::{self, error, errors, of_type, opened_by_gw, opened_by_peer, redirect};
use super::lab::{Lab, gw, peer};
use super::packet::{Head, Packet, udp};
use super::proof::{Case, closed, drops, drops_as_one_of, open, passes, prove};
use super::rig::{self, Family, isolated, next_source_port};
use super::{at, incoming, outgoing};
use std::net::IpAddr;

#[test]
fn related_carries_errors_about_live_flows() {
    isolated("icmp::related_carries_errors_about_live_flows", || {
        let lab = Lab::new();
        let mut cases = Vec::new();
        for family in Family::BOTH {
            for kind in errors(family) {
                cases.push(Case::new(
                    format!("in: {family:?} error {kind} about a flow of the gateway's"),
                    of_type(family, *kind),
                    (passes("in.baseline.related"), drops("in.baseline.related.dropped")),
                    move |lab| lab.wire(&error(*kind, &opened_by_gw(lab, family))),
                ));
                cases.push(Case::new(
                    format!("out: {family:?} error {kind} about a flow of the peer's"),
                    of_type(family, *kind),
                    (passes("out.baseline.related"), drops("out.baseline.related.dropped")),
                    move |lab| lab.emit(&error(*kind, &opened_by_peer(lab, family))),
                ));
            }
        }
        prove(&lab, "related", &flows::site(), &cases);
    });
}

#[test]
fn a_redirect_that_cites_a_live_flow_is_dropped_and_counted() {
    isolated("icmp::a_redirect_that_cites_a_live_flow_is_dropped_and_counted", || {
        let lab = Lab::new();
        lab.apply(&(flows::site() + &open()));
        // Before Linux 6.2 connection tracking does not look into redirects of IPv6, and finds them invalid.
        for (family, kind, drops) in [
            (Family::V4, 5, drops("in.baseline.related.dropped")),
            (Family::V6, 137, drops_as_one_of(&["in.baseline.related.dropped", "in.baseline.invalid"])),
        ] {
            let send = |lab: &Lab| lab.wire(&redirect(&opened_by_gw(lab, family), family));
            Case::new(format!("{family:?} redirect"), of_type(family, kind), (drops.clone(), drops), send)
                .with(&lab);
        }
    });
}

#[test]
fn icmp_errors_pass_about_packets_that_are_not_tracked() {
    isolated("icmp::icmp_errors_pass_about_packets_that_are_not_tracked", || {
        let lab = Lab::new();
        let mut cases = Vec::new();
        for family in Family::BOTH {
            for kind in errors(family) {
                let cited = |from, to| udp(at(from, next_source_port()), at(to, 9));
                let what = format!("{family:?} error {kind}");
                cases.push(incoming(
                    &what,
                    of_type(family, *kind),
                    (passes("in.baseline.icmp-errors"), drops("in.baseline.invalid")),
                    error(*kind, &cited(gw(family), peer(family))),
                ));
                cases.push(outgoing(
                    &what,
                    of_type(family, *kind),
                    (passes("out.baseline.icmp-errors"), drops("out.baseline.invalid")),
                    error(*kind, &cited(peer(family), gw(family))),
                ));
            }
        }
        prove(&lab, "icmp-errors", &closed(), &cases);
    });
}

fn echo(family: Family, from: IpAddr, to: IpAddr, id: u16) -> Packet {
    let [high, low] = id.to_be_bytes();
    let kind = if family == Family::V4 { 8 } else { 128 };
    Head::new(from, to).icmp(kind, 0, [high, low, 0, 1], b"probe")
}

#[test]
fn echo_carries_requests() {
    isolated("icmp::echo_carries_requests", || {
        let lab = Lab::new();
        let mut cases = Vec::new();
        for family in Family::BOTH {
            let matches = of_type(family, if family == Family::V4 { 8 } else { 128 });
            let request = move |from, to| echo(family, from, to, next_source_port());
            cases.push(Case::new(
                format!("in: {family:?} echo request"),
                &matches,
                (passes("in.baseline.echo"), drops("in.default")),
                move |lab| lab.wire(&request(peer(family), gw(family))),
            ));
            cases.push(Case::new(
                format!("out: {family:?} echo request"),
                &matches,
                (passes("out.baseline.echo"), drops("out.default")),
                move |lab| lab.emit(&request(gw(family), peer(family))),
            ));
        }
        prove(&lab, "echo", &closed(), &cases);
    });
}

#[test]
fn echo_requests_over_their_rate_are_dropped() {
    isolated("icmp::echo_requests_over_their_rate_are_dropped", || {
        let lab = Lab::new();
        lab.apply(&closed());
        for family in Family::BOTH {
            for way in ["in", "out"] {
                let before = lab.counters();
                let moved = |name: &str| {
                    lab.counters().moved_since(&before).get(&format!("{way}.{name}")).copied().unwrap_or(0)
                };
                let mut sent = 0;
                while moved("default") == 0 {
                    let (from, to) =
                        if way == "in" { (peer(family), gw(family)) } else { (gw(family), peer(family)) };
                    let some: Vec<Packet> =
                        (0..200).map(|_| echo(family, from, to, next_source_port())).collect();
                    sent += 200;
                    if way == "in" { lab.wire_all("up0", &some) } else { lab.emit_all("up0", &some) }
                }
                rig::eventually(|| {
                    let (passed, dropped) = (moved("baseline.echo"), moved("default"));
                    let whole = passed + dropped == sent && passed >= 100;
                    if whole {
                        Ok(())
                    } else {
                        Err(format!("{way} {family:?}: {passed} + {dropped} of {sent}"))
                    }
                });
            }
        }
    });
}
