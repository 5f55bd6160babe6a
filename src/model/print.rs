//! The resolved policy as text: one stable form for tests and for eyes.

use super::{
    BaselineRule, DefaultAction, ForwardDefault, LogPolicy, PeerPart, Peers, Policy, Rule, Source, User,
    Verdict,
};
use std::fmt;

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (direction, action) in [("in", self.default.input), ("out", self.default.output)] {
            if action != DefaultAction::Deny {
                writeln!(f, "default {direction} {}", action.as_str())?;
            }
        }
        if self.default.forward != ForwardDefault::Untouched {
            writeln!(f, "default forward {}", self.default.forward.as_str())?;
        }
        if self.log != LogPolicy::default() {
            writeln!(
                f,
                "log denied {} group {}",
                if self.log.denied { "on" } else { "off" },
                self.log.group
            )?;
        }
        for rule in BaselineRule::ALL {
            let on = self.baseline.has(rule);
            if on != rule.is_default() {
                writeln!(f, "baseline.{} {}", rule.key(), if on { "on" } else { "off" })?;
            }
        }
        for (name, policy) in self.names.iter().filter(|(_, policy)| !policy.allow_net.is_empty()) {
            let networks: Vec<String> = policy.allow_net.iter().map(ToString::to_string).collect();
            writeln!(f, "name {name} may stand for {}", networks.join(" "))?;
        }
        for rule in &self.rules {
            writeln!(f, "{rule}")?;
        }
        Ok(())
    }
}

/// `smtp-in: in allow tcp/25 peers any`
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let audit = if self.audit { " (audit)" } else { "" };
        write!(f, "{}: {} {}{audit}", self.name, self.direction.as_str(), self.action.as_str())?;
        for ports in &self.ports {
            write!(f, " {ports}")?;
        }
        if let Some(helper) = &self.helper {
            write!(f, " helper {helper}")?;
        }
        for (protocol, range) in &self.from_ports {
            write!(f, " from {}/{range}", protocol.as_str())?;
        }
        if let Some(interfaces) = &self.interfaces {
            let names: Vec<&str> = interfaces.iter().map(|pattern| pattern.as_str()).collect();
            write!(f, " on {}", if names.is_empty() { "no interface".into() } else { names.join(",") })?;
        }
        for range in &self.local {
            write!(f, " local {range}")?;
        }
        for user in &self.users {
            write!(f, " user {user}")?;
        }
        if let Some(log) = self.log {
            write!(f, " log {}", if log { "on" } else { "off" })?;
        }
        write!(f, " peers{}", self.peers)
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uid(uid) => write!(f, "{uid}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| write!(f, " {part}"))
    }
}

/// `list:blocklist less @monitoring(192.0.2.77)`
impl fmt::Display for PeerPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Range(range) => write!(f, "{range}")?,
            Source::ResolvConf => f.write_str("resolv.conf")?,
            Source::Broadcast => f.write_str("broadcast")?,
            Source::Name(name) => write!(f, "{name}")?,
            Source::List(list) => write!(f, "list:{}", list.group)?,
            Source::Any => f.write_str("any")?,
        }
        for exception in &self.except {
            let parts: Vec<String> = exception.parts.iter().map(ToString::to_string).collect();
            write!(f, " less @{}({})", exception.group, parts.join(" "))?;
        }
        Ok(())
    }
}

/// `deny block, also smtp-in, any-in; audit old`
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.action.as_str())?;
        if let Some(rule) = &self.rule {
            write!(f, " {rule}")?;
        }
        for (before, rules) in [(", also ", &self.also), ("; audit ", &self.audit)] {
            let names: Vec<&str> = rules.iter().map(|rule| rule.as_str()).collect();
            if !names.is_empty() {
                write!(f, "{before}{}", names.join(", "))?;
            }
        }
        Ok(())
    }
}
