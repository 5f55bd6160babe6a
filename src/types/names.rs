//! Names: of rules and groups, and of hosts.

use std::fmt;
use std::str::FromStr;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a name has 1 to 64 characters")]
    Length,
    #[error("a name has lower-case letters, digits, '-', '_' and '.', and starts with a letter or digit")]
    Characters,
    #[error("\"default\" and names under \"baseline.\" and \"default.\" are the agent's own")]
    Reserved,
}

/// The name of a rule, unique in a policy, shown wherever the rule is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleName(String);

impl RuleName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RuleName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() || text.len() > 64 {
            return Err(NameError::Length);
        }
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let inner = |b: u8| plain(b) || matches!(b, b'-' | b'_' | b'.');
        if !text.bytes().all(inner) || !text.bytes().next().is_some_and(plain) {
            return Err(NameError::Characters);
        }
        if text == "default" || text.starts_with("baseline.") || text.starts_with("default.") {
            return Err(NameError::Reserved);
        }
        Ok(Self(text.into()))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostNameError {
    #[error("a host name has at least two labels")]
    OneLabel,
    #[error("a label of a host name has 1 to 63 octets, the whole at most 253")]
    Length,
    #[error("a host name has letters, digits, '-' and '_'")]
    Characters,
    #[error("reads as an address, but is none")]
    ReadsAsAddress,
    #[error("\"{0}\" names never come from DNS")]
    SpecialUse(&'static str),
    #[error("wildcards are not taken yet")]
    Wildcard,
}

/// A host name as it is asked for in DNS: lower-case A-labels, without the trailing dot, at least two labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(String);

impl HostName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, HostNameError> {
        a_labels(text, 2).map(Self)
    }
}

/// The end of host names: of the name itself, and of all that have it behind a dot. Written as host names are; one label is
/// enough.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Suffix(String);

impl Suffix {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn covers(&self, name: &HostName) -> bool {
        let before = name.as_str().strip_suffix(self.as_str());
        before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    }
}

impl fmt::Display for Suffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Suffix {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, HostNameError> {
        a_labels(text, 1).map(Self)
    }
}

/// A name of so many labels at least, in lower case, without the trailing dot.
fn a_labels(text: &str, least: usize) -> Result<String, HostNameError> {
    if text.contains('*') {
        return Err(HostNameError::Wildcard);
    }
    let text = text.strip_suffix('.').unwrap_or(text);
    let name = idna::domain_to_ascii(text).map_err(|_| HostNameError::Characters)?;
    let labels: Vec<&str> = name.split('.').collect();
    let last = *labels.last().unwrap_or(&"");
    if name == "localhost" {
        return Err(HostNameError::SpecialUse("localhost"));
    }
    for (suffix, shown) in
        [("local", ".local"), ("onion", ".onion"), ("invalid", ".invalid"), ("localhost", ".localhost")]
    {
        if labels.len() >= least && last == suffix {
            return Err(HostNameError::SpecialUse(shown));
        }
    }
    let number = |label: &str| {
        let hex = label.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
        hex || label.bytes().all(|b| b.is_ascii_digit())
    };
    if !last.is_empty() && number(last) {
        return Err(HostNameError::ReadsAsAddress);
    }
    if name.len() > 253 || labels.iter().any(|label| label.is_empty() || label.len() > 63) {
        return Err(HostNameError::Length);
    }
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    if !labels.iter().all(|label| label.bytes().all(allowed)) {
        return Err(HostNameError::Characters);
    }
    if labels.len() < least {
        return Err(HostNameError::OneLabel);
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_kept_as_lower_case_a_labels() {
        let name = |text: &str| text.parse::<HostName>().unwrap().to_string();
        assert_eq!(name("Repo.Example.NET."), "repo.example.net");
        assert_eq!(name("bücher.example"), "xn--bcher-kva.example");
    }

    #[test]
    fn what_never_comes_from_dns_is_refused() {
        let error = |text: &str| text.parse::<HostName>().unwrap_err();
        assert_eq!(error("127.1"), HostNameError::ReadsAsAddress);
        assert_eq!(error("0x7f.1"), HostNameError::ReadsAsAddress);
        assert_eq!(error("printer.local"), HostNameError::SpecialUse(".local"));
        assert_eq!(error("localhost"), HostNameError::SpecialUse("localhost"));
        assert_eq!(error("mail"), HostNameError::OneLabel);
        assert_eq!(error("*.example.net"), HostNameError::Wildcard);
        assert_eq!(error("a b.example"), HostNameError::Characters);
    }

    #[test]
    fn a_suffix_covers_itself_and_what_is_below_it_and_not_what_only_ends_alike() {
        let covers = |suffix: &str, name: &str| {
            suffix.parse::<Suffix>().unwrap().covers(&name.parse::<HostName>().unwrap())
        };
        for name in ["int.example", "db.int.example", "a.b.INT.example."] {
            assert!(covers("Int.Example.", name), "{name}");
        }
        for name in ["print.example", "int.example.net", "example.net", "xn--int.example"] {
            assert!(!covers("int.example", name), "{name}");
        }
        assert!(covers("internal", "db.internal") && covers("bücher.example", "www.xn--bcher-kva.example"));
        assert!(!covers("internal", "db.notinternal"));
    }

    #[test]
    fn what_is_no_end_of_a_host_name_is_refused() {
        let error = |text: &str| text.parse::<Suffix>().unwrap_err();
        for text in ["", ".", ".int.example", "int..example"] {
            assert_eq!(error(text), HostNameError::Length, "{text}");
        }
        assert_eq!(error("*.int.example"), HostNameError::Wildcard);
        assert_eq!(error("local"), HostNameError::SpecialUse(".local"));
        assert_eq!(error("0.10"), HostNameError::ReadsAsAddress);
        assert_eq!(error("~int.example"), HostNameError::Characters);
    }
}
