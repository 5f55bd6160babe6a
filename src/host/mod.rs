//! Small touches of the operating system, one file each.

pub mod clock;
pub mod interfaces;
pub mod resolvconf;
pub mod sockets;
