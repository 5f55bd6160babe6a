//! A laboratory for host names: DNS servers that behave as they are told, real ones, and a daemon that asks them.
//!
//! A test program that uses it declares `mod rig;` as well: namespaces and processes are the rig's. Every wait has a
//! deadline that only a failing test reaches; what happened is judged by what servers were asked, by what nft lists,
//! by what the daemon reports, and by packets.

// Each test binary uses a part of the library.
#![allow(dead_code, unused_imports)]

mod act;
pub mod agent;
pub mod cache;
pub mod client;
pub mod dns;
mod events;
pub mod flow;
mod forgery;
pub mod kernel;
mod place;
pub mod real;
pub mod samples;
pub mod table;
pub mod wire;

pub use act::{Act, Asked, Tcp};
pub use agent::{Daemon, Site};
pub use dns::{Dns, Seen, Transport};
pub use events::Events;
pub use forgery::Forgery;
pub use place::{Lab, Reached, SERVERS};

use std::time::Duration;

/// How long a test waits for what must come. Only a failing test ever waits that long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again until it holds.
///
/// # Panics
/// With the last answer, when patience is at its end.
pub fn eventually<T>(what: &str, ask: impl FnMut() -> Result<T, String>) -> T {
    eventually_within(PATIENCE, what, ask)
}

/// The same for what takes its time.
pub fn eventually_within<T>(patience: Duration, what: &str, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let start = std::time::Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(why) => assert!(start.elapsed() < patience, "{what}: still not: {why}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
