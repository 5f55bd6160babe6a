//! Looked-up names: an own stub client for DNS, and the book of what was learnt.
//!
//! `getaddrinfo` tells neither a TTL nor a response code and chooses the server by itself, so questions are built
//! and answers judged here. What judges and keeps is pure (`judge`, `chain`, `course`, `book`); sockets are opened
//! in `exchange` alone, which `client` drives.

pub mod book;
mod chain;
mod client;
mod course;
mod exchange;
mod judge;
pub mod names;
mod once;
mod outcome;
mod question;

pub use client::{Client, Ended, Limits};
pub use judge::{Ignored, Judged, Transport, judge};
pub use once::lookup_all;
pub use outcome::{Answer, Counters, Failure, Lookup, Lookups};
pub use question::{ENTROPY, Question};

#[cfg(test)]
mod script;
