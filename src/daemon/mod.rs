//! The agent: one thread around one `poll`. What happens becomes an [`event::Event`], the pure [`state::State`] answers with actions,
//! and the [`shell`] carries them out.

mod action;
mod drift;
mod event;
mod log;
mod logging;
mod names;
mod report;
mod shell;
mod state;

pub use shell::{StartError, run};
