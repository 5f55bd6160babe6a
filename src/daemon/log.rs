//! Lines of the journal. The reducer says what to write, the shell writes it.

use crate::observe::Record;
use std::fmt;

/// One line, and the fields that a reader of the journal may ask for.
pub(super) enum Entry {
    Line {
        level: Level,
        message: String,
        fields: Fields,
    },
    /// A packet that the kernel logged, with the name that its peer is known by.
    Packet {
        record: Box<Record>,
        name: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Error,
    Warning,
    Info,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) generation: Option<u64>,
    pub(super) name: Option<String>,
    /// How many packets were not logged.
    pub(super) not_logged: Option<u64>,
}

impl Entry {
    pub(super) fn error(message: impl fmt::Display) -> Self {
        Self::line(Level::Error, message)
    }

    pub(super) fn warning(message: impl fmt::Display) -> Self {
        Self::line(Level::Warning, message)
    }

    pub(super) fn info(message: impl fmt::Display) -> Self {
        Self::line(Level::Info, message)
    }

    pub(super) fn of_generation(mut self, number: u64) -> Self {
        if let Self::Line { fields, .. } = &mut self {
            fields.generation = Some(number);
        }
        self
    }

    pub(super) fn of_name(mut self, name: impl fmt::Display) -> Self {
        if let Self::Line { fields, .. } = &mut self {
            fields.name = Some(name.to_string());
        }
        self
    }

    pub(super) fn of_packets(mut self, not_logged: u64) -> Self {
        if let Self::Line { fields, .. } = &mut self {
            fields.not_logged = Some(not_logged);
        }
        self
    }

    fn line(level: Level, message: impl fmt::Display) -> Self {
        Self::Line { level, message: message.to_string(), fields: Fields::default() }
    }
}
