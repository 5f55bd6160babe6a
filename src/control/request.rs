//! What a client may ask.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of the protocol. A daemon answers to its own only: it and the command come in one binary.
pub const VERSION: u64 = 1;

/// One verb each. On the wire: `{"version": 1, "verb": "status"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Whether somebody is there.
    Ping {},
    Status {},
    Names {},
    /// The daemon reads its files again; the reply is the outcome.
    Reload {},
    /// The policy comes with the request, as [`super::Handed`]; the reply is the outcome.
    Apply {},
}

#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("the request is no JSON object: {0}")]
    Malformed(serde_json::Error),
    #[error("the request has no `version`; this daemon speaks version {VERSION}")]
    NoVersion,
    #[error("the request is of version {0}; this daemon speaks version {VERSION}")]
    OtherVersion(Value),
    #[error("the request is not understood: {0}")]
    Unknown(serde_json::Error),
}

impl Request {
    /// Whether it may change what is in force, so that only those may ask it who may change things.
    pub fn changes(&self) -> bool {
        match self {
            Self::Ping {} | Self::Status {} | Self::Names {} => false,
            Self::Reload {} | Self::Apply {} => true,
        }
    }

    /// Whether files come with it.
    pub fn hands_over_files(&self) -> bool {
        match self {
            Self::Apply {} => true,
            Self::Ping {} | Self::Status {} | Self::Names {} | Self::Reload {} => false,
        }
    }

    /// The line that asks it, with its end.
    pub fn to_line(&self) -> String {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        value["version"] = VERSION.into();
        format!("{value}\n")
    }

    /// Reads a line, with its end or without.
    pub fn parse(line: &[u8]) -> Result<Self, RequestError> {
        let mut fields: serde_json::Map<String, Value> =
            serde_json::from_slice(line).map_err(RequestError::Malformed)?;
        match fields.remove("version") {
            None => return Err(RequestError::NoVersion),
            Some(version) if version.as_u64() == Some(VERSION) => {}
            Some(version) => return Err(RequestError::OtherVersion(version)),
        }
        serde_json::from_value(fields.into()).map_err(RequestError::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Request; 5] =
        [Request::Ping {}, Request::Status {}, Request::Names {}, Request::Reload {}, Request::Apply {}];

    #[test]
    fn a_request_is_read_as_it_was_written() {
        for request in ALL {
            assert_eq!(Request::parse(request.to_line().as_bytes()).unwrap(), request);
        }
        let line = br#" { "verb" : "status", "version" : 1 } "#;
        assert_eq!(Request::parse(line).unwrap(), Request::Status {});
    }

    #[test]
    fn only_reload_and_apply_change_things() {
        let changing: Vec<_> = ALL.into_iter().filter(Request::changes).collect();
        assert_eq!(changing, [Request::Reload {}, Request::Apply {}]);
    }

    #[test]
    fn what_is_not_understood_is_told() {
        let cases = [
            ("", "no JSON object"),
            ("[]", "no JSON object"),
            ("{\"version\": 1, \"verb\": \"status\"} {}", "no JSON object"),
            ("{\"verb\": \"status\"}", "no `version`"),
            ("{\"version\": 2, \"verb\": \"status\"}", "of version 2"),
            ("{\"version\": \"1\", \"verb\": \"status\"}", "of version \"1\""),
            ("{\"version\": 1}", "missing field `verb`"),
            ("{\"version\": 1, \"verb\": \"stats\"}", "unknown variant `stats`"),
            ("{\"version\": 1, \"verb\": \"status\", \"force\": true}", "unknown field `force`"),
        ];
        for (line, expected) in cases {
            let error = Request::parse(line.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        let deep = format!("{{\"version\": 1, \"verb\": {}", "[".repeat(60_000));
        assert!(matches!(Request::parse(deep.as_bytes()), Err(RequestError::Malformed(_))));
    }
}
