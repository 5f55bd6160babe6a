//! Small touches of the operating system, one file each.

pub mod files;
pub mod namespace;
