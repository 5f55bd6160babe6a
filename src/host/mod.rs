//! Small touches of the operating system, one file each.

pub mod clock;
pub mod files;
pub mod forwarding;
pub mod interfaces;
pub mod links;
pub mod log;
pub mod namespace;
mod netlink;
pub mod notify;
pub mod resolvconf;
pub mod root;
pub mod sockets;
pub mod users;
pub mod watch;
