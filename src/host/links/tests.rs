//! The kernel queues its messages before the call that causes them returns, so that one look tells what there is to tell; but of
//! a new IPv6 address it tells a moment later, when duplicate address detection ends or is passed over.

use super::*;
use std::process::Command;

const NAMESPACE: &str = "PORTGRAVE_TEST_LINKS";

/// Runs a test again in a network namespace of its own. True in there.
fn inside(test: &str) -> bool {
    if std::env::var_os(NAMESPACE).is_some() {
        return true;
    }
    let this = format!("host::links::tests::{test}");
    let mut command = Command::new("unshare");
    command.arg("-rn").arg(std::env::current_exe().unwrap()).args(["--exact", &this, "--nocapture"]);
    let output = command.env(NAMESPACE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{output:?}");
    false
}

/// Lines for ip(8), each done in turn.
fn ip(lines: &str) {
    for line in lines.lines() {
        let output = Command::new("ip").args(line.split_whitespace()).output().unwrap();
        assert!(output.status.success(), "ip {line}: {output:?}");
    }
}

/// Waits for a change; fails if there is none.
fn await_change(links: &mut Links, line: &str) {
    while !links.changed().unwrap() {
        links.wait().unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn interfaces_and_addresses_that_come_and_go_are_told_and_nothing_else() {
    if !inside("interfaces_and_addresses_that_come_and_go_are_told_and_nothing_else") {
        return;
    }
    let mut links = Links::open().unwrap();
    for line in [
        "link add d0 type veth peer name d1",
        "link set d0 addrgenmode none up",
        "link set d1 addrgenmode none up",
        "addr add 192.0.2.5/26 dev d0",
        "addr add 2001:db8:5::1/64 dev d0 nodad",
        "addr del 192.0.2.5/26 dev d0",
        "addr add 192.0.2.5/27 dev d0",
        "addr del 192.0.2.5/27 dev d0",
        "addr add 192.0.2.5/27 brd 192.0.2.9 dev d0",
        "link set d1 down",
    ] {
        ip(line);
        await_change(&mut links, line);
    }
    for line in [
        "link set d0 mtu 1400",
        "link set d0 alias uplink",
        "link set d0 txqueuelen 500",
        "addr change 2001:db8:5::1/64 dev d0 valid_lft 500 preferred_lft 400",
        "addr change 192.0.2.5/27 brd 192.0.2.9 dev d0 valid_lft 500 preferred_lft 400",
        "neigh add 192.0.2.6 lladdr 02:00:00:00:00:01 dev d0",
        "route add 198.51.100.0/24 via 192.0.2.6",
        "link add b0 type bridge",
        "link set d0 master b0",
        "link set d0 nomaster",
        "addr show",
    ] {
        ip(line);
        assert_eq!(links.changed().unwrap(), line.contains(" type "), "{line}");
    }
    for line in ["link set b0 name b1", "link del d0", "link add d0 type veth peer name d1"] {
        ip(line);
        await_change(&mut links, line);
    }
    assert!(!links.changed().unwrap());
}

#[test]
fn what_was_there_before_is_known() {
    if !inside("what_was_there_before_is_known") {
        return;
    }
    ip("link add d0 type veth peer name d1\nlink set d0 up\naddr add 192.0.2.5/26 dev d0");
    let mut links = Links::open().unwrap();
    links.changed().unwrap();
    ip("link set d0 mtu 1400\naddr change 192.0.2.5/26 dev d0 valid_lft 500 preferred_lft 400");
    assert!(!links.changed().unwrap());
    ip("addr del 192.0.2.5/26 dev d0");
    assert!(links.changed().unwrap());
}

#[test]
fn lost_messages_count_as_a_change_and_what_comes_after_them_is_judged_as_before() {
    if !inside("lost_messages_count_as_a_change_and_what_comes_after_them_is_judged_as_before") {
        return;
    }
    ip("link add d0 type veth peer name d1");
    let mut links = Links::open().unwrap();
    // None of these is a change: only their number is.
    let script: String = (0..2000).map(|n| format!("link set d0 mtu {}\n", 1300 + n % 2)).collect();
    let flips = std::env::temp_dir().join(format!("portgrave-links-{}", std::process::id()));
    std::fs::write(&flips, script).unwrap();
    ip(&format!("-batch {}", flips.display()));
    std::fs::remove_file(flips).unwrap();
    assert!(links.changed().unwrap());
    ip("link set d0 mtu 1400");
    assert!(!links.changed().unwrap());
    ip("addr add 192.0.2.5/26 dev d0");
    assert!(links.changed().unwrap());
}

#[test]
fn messages_that_are_cut_short_may_have_been_a_change() {
    let attribute = |kind: u16, content: &[u8]| {
        let head = [(4 + content.len() as u16).to_ne_bytes(), kind.to_ne_bytes()].concat();
        [head, content.to_owned()].concat()
    };
    let mut body = vec![2, 26, 0, 0];
    body.extend(7_u32.to_ne_bytes());
    body.extend(attribute(IFA_ADDRESS, &[192, 0, 2, 5]));
    body.extend(attribute(IFA_LOCAL, &[192, 0, 2, 5]));
    let whole = dump_request(RTM_NEWADDR, 0, &body);
    let mut known = Known::default();
    assert!(known.take_all(&whole) && !known.take_all(&whole));
    for length in 1..whole.len() {
        assert!(known.take_all(&whole[..length]), "{length}");
    }
    for length in [5, 9, 13, 17, 21] {
        assert!(known.take_all(&dump_request(RTM_NEWADDR, 0, &body[..length])), "{length}");
    }
    assert!(!known.take_all(&[]));
}
