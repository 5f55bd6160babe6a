//! The process that asks DNS and reads NFLOG, and the agent's handle on it.
//!
//! What parses packets from the network runs as a process of its own, behind walls (`walls`): it can open nothing, run
//! nothing, signal nobody and speak to nobody but DNS servers and its agent. The agent starts it (`handle`), and they
//! exchange messages (`message`) over a socketpair. The agent takes each message as if an attacker had written it.

mod backoff;
mod calls;
mod child;
mod handle;
mod message;
mod pace;
mod user;
mod walls;

pub use backoff::Backoff;
pub use child::run;
pub use handle::{Problem, Refusal, Worker};
pub use message::{FromWorker, Landlock, Message, Raised, ToWorker, Unfit, decode, encode};
pub use user::uid;
