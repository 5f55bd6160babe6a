//! portgrave: an nftables-native firewall agent.
//!
//! A policy flows one way through the rooms below: text is parsed (`policy`), resolved (`model`), compiled
//! (`compile`) to a [`ruleset::Ruleset`], compared with what the kernel holds (`plan`), and committed in one
//! atomic batch (`netlink`, called by `apply` alone). `docs/architecture.md` has the whole picture.

pub mod apply;
#[cfg(all(feature = "kernel", feature = "daemon"))]
pub mod cli;
pub mod compile;
pub mod control;
#[cfg(all(feature = "kernel", feature = "daemon"))]
pub mod daemon;
pub mod diag;
pub mod frames;
pub mod host;
pub mod model;
pub mod netlink;
pub mod observe;
pub mod plan;
pub mod policy;
pub mod resolver;
pub mod ruleset;
#[cfg(all(feature = "kernel", feature = "daemon"))]
pub mod site;
pub mod store;
pub mod types;
pub mod worker;
