//! The resolved policy as text: one stable form for tests and for eyes.

use super::{BaselineRule, Peers, Policy, Rule};
use std::fmt;

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for rule in BaselineRule::ALL {
            let on = self.baseline.has(rule);
            if on != rule.is_default() {
                writeln!(f, "baseline.{} {}", rule.key(), if on { "on" } else { "off" })?;
            }
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
        write!(f, "{}: {} {}", self.name, self.direction.as_str(), self.action.as_str())?;
        for ports in &self.ports {
            write!(f, " {ports}")?;
        }
        if let Some(helper) = &self.helper {
            write!(f, " helper {helper}")?;
        }
        write!(f, " peers{}", self.peers)
    }
}

impl fmt::Display for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for range in &self.ranges {
            write!(f, " {range}")?;
        }
        for name in &self.names {
            write!(f, " {name}")?;
        }
        for list in &self.lists {
            write!(f, " list:{}", list.group)?;
        }
        let words = [(self.resolv_conf, "resolv.conf"), (self.broadcast, "broadcast"), (self.any, "any")];
        for (_, word) in words.iter().filter(|(on, _)| *on) {
            write!(f, " {word}")?;
        }
        Ok(())
    }
}
