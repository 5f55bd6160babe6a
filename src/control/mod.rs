//! The control socket: how commands ask a running daemon, and how it answers (docs/control-protocol.md).
//!
//! A unix stream socket: replies may be longer than a packet can be, every language and `socat` speak it, and descriptors travel
//! on it all the same. A connection carries one request, a line of JSON, and one reply.

mod client;
mod closer;
mod connection;
mod judge;
mod listener;
mod reply;
mod request;
mod sealed;
mod server;
mod wire;

pub use client::{Client, ClientError};
pub use listener::BindError;
pub use reply::{agreed, refused};
pub use request::{Request, RequestError, VERSION};
pub use sealed::{Handed, HandedError, PolicyText, Sealed, seal};
pub use server::{ClientId, Incoming, Peer, Server};

use std::time::Duration;

/// Where the daemon listens.
pub const SOCKET: &str = "/run/portgrave/control.sock";

/// Connections at one time.
pub const MOST_CLIENTS: usize = 64;

/// Octets of a request's line.
pub const MOST_REQUEST: usize = 64 * 1024;

/// Octets of a reply's line.
pub const MOST_REPLY: usize = 16 * 1024 * 1024;

/// List files that a request may hand over, beside the document.
pub const MOST_LISTS: usize = 64;

/// Octets of each file that a request hands over.
pub const MOST_FILE: u64 = 64 * 1024 * 1024;

/// How long a client may take to send its request, and then to read its reply.
pub const PATIENCE: Duration = Duration::from_secs(10);
