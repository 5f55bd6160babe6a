//! Packets that the kernel logs: the socket that receives them (NFLOG, nfnetlink_log), and what its datagrams say.
//!
//! [`open`] needs the right to administer the network. From then on the socket is only read, by a process that has no
//! rights at all, with a [`Reader`]: what it makes of a datagram depends on nothing but the octets.

mod packet;
mod reader;
mod record;
mod socket;
mod wire;

pub use reader::{Decoded, Decoder, Reader};
pub use record::Record;
pub use socket::{GroupTaken, open};

#[cfg(test)]
mod tests;
