//! A world of network namespaces, with real packets through a gateway that the agent guards.
//!
//! Every test that uses it runs in a process of its own with private network, mount and PID namespaces ([`isolated`]),
//! as root or as an ordinary user, so that tests run in parallel and nothing is left, whatever ends them. Nothing in
//! it has an uplink: the public addresses that it uses exist in its namespaces only.
//!
//! Verdicts come from answers and from counters, never from waiting for silence: a packet that was dropped has moved
//! the counter of whoever dropped it.

// Each test binary uses a part of the library.
#![allow(dead_code, unused_imports)]

mod agent;
mod counters;
mod flow;
mod ftp;
mod isolate;
mod netns;
mod policy;
mod row_checks;
mod row_report;
mod rows_table;
pub mod servers;
mod socket;
pub mod trace;
mod world;

pub use agent::{Agent, printed, program};
pub use counters::Counters;
pub use flow::{Flow, Outcome, Proto, next_source_port};
pub use ftp::{FtpCase, FtpMode, FtpRole};
pub use isolate::{has_all_users, isolated, say};
pub use netns::{Ns, Process};
pub use policy::{Fill, all_on, rows_of, shipped, shipped_path, site, with_rows};
pub use row_checks::{Check, Class, Probe, allowed_by, checks};
pub use row_report::{RowResult, print_failures, print_table};
pub use rows_table::{Part, Peers, Port, ROWS, Row, Way, names, switches};
pub use socket::{connected, connecting};
pub use world::{Family, Host, World, address, ftp_address, group_address, lan_address, name_address};

/// How long a test waits for what should come at once. Only a failing test ever waits that long.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// Asks again until it holds.
///
/// # Panics
/// With the last answer, when patience is at its end.
pub fn eventually<T, E: std::fmt::Debug>(ask: impl Fn() -> Result<T, E>) -> T {
    let start = std::time::Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(why) => assert!(start.elapsed() < PATIENCE, "still not: {why:?}"),
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
