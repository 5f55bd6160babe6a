//! Interfaces by name or by the beginning of their names.

use std::fmt;
use std::str::FromStr;

/// The kernel's limit less the closing zero (`IFNAMSIZ`).
const MAX_LENGTH: usize = 15;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InterfaceError {
    #[error("an interface name has 1 to 15 characters")]
    Length,
    #[error(
        "an interface name has letters, digits and punctuation, but no space, slash, colon, quote or backslash"
    )]
    Characters,
    #[error("a \"*\" stands at the end of an interface name only")]
    Star,
    #[error("\"*\" alone is every interface")]
    Every,
}

/// `eth1`, or `vlan*` for every interface whose name begins so. It need not exist.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfacePattern(String);

impl InterfacePattern {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The beginning of the names, where more than one is meant.
    pub fn prefix(&self) -> Option<&str> {
        self.0.strip_suffix('*')
    }

    pub fn matches(&self, interface: &str) -> bool {
        self.prefix().map_or(self.0 == interface, |prefix| interface.starts_with(prefix))
    }
}

impl fmt::Display for InterfacePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for InterfacePattern {
    type Err = InterfaceError;

    fn from_str(text: &str) -> Result<Self, InterfaceError> {
        if text == "*" {
            return Err(InterfaceError::Every);
        }
        let name = text.strip_suffix('*').unwrap_or(text);
        if name.is_empty() || name.len() > MAX_LENGTH {
            return Err(InterfaceError::Length);
        }
        if name.contains('*') {
            return Err(InterfaceError::Star);
        }
        if !name.bytes().all(|b| b.is_ascii_graphic() && !br#"/:"'\"#.contains(&b))
            || name == "."
            || name == ".."
        {
            return Err(InterfaceError::Characters);
        }
        Ok(Self(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_the_beginning_of_a_name() {
        let pattern: InterfacePattern = "vlan*".parse().unwrap();
        assert!(pattern.matches("vlan7") && pattern.matches("vlan") && !pattern.matches("xvlan7"));
        let exact: InterfacePattern = "eth1".parse().unwrap();
        assert!(exact.matches("eth1") && !exact.matches("eth10"));
    }

    #[test]
    fn what_no_interface_is_called_is_refused() {
        for (text, error) in [
            ("", InterfaceError::Length),
            ("an-interface-of-sixteen", InterfaceError::Length),
            ("*", InterfaceError::Every),
            ("e*0", InterfaceError::Star),
            ("eth 0", InterfaceError::Characters),
            ("eth0:1", InterfaceError::Characters),
            ("..", InterfaceError::Characters),
        ] {
            assert_eq!(text.parse::<InterfacePattern>(), Err(error), "{text}");
        }
    }
}
