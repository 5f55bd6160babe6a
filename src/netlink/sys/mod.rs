//! libnftnl, the socket options that no crate offers, and the allocator: the only place with `unsafe`.
//!
//! Everything that is exported is safe: the pairs of attribute and type are fixed here, lengths are checked here, and
//! a message is built only if it fits into the buffer.

#![allow(unsafe_code)]

mod expr;
pub mod memory;
mod message;
mod object;
mod set;
mod socket;

pub use expr::Expression;
pub use message::{Builder, chain, name, rule, table};
pub use object::NamedObject;
pub use set::NamedSet;
pub use socket::{borrow, set_netlink_option};
