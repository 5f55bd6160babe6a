//! What several targets hold their findings against.

pub mod names;
