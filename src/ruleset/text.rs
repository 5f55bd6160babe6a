//! A ruleset as text that `nft -f` takes.

use super::{BaseChain, ChainPolicy, ObjectKind};
use super::{ElementKey, ElementValue, Field, Hook, ObjectDef, Ruleset, Set, SetData, TABLE};
use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

impl fmt::Display for Ruleset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "table inet {TABLE} {{")?;
        for (name, object) in &self.objects {
            match &object.kind {
                ObjectDef::Counter { .. } => writeln!(f, "\tcounter {name} {{\n\t}}\n")?,
                ObjectDef::CtHelper { helper, l3proto, l4proto } => {
                    let l3 = if *l3proto == 2 { "ip" } else { "ip6" };
                    let l4 = protocol_name(*l4proto);
                    writeln!(
                        f,
                        "\tct helper {name} {{\n\t\ttype \"{helper}\" protocol {l4}\n\t\tl3proto {l3}\n\t}}\n"
                    )?;
                }
            }
        }
        for (name, set) in &self.sets {
            write_set(f, name, set)?;
        }
        for (name, chain) in &self.chains {
            writeln!(f, "\tchain {name} {{")?;
            if let Some(base) = &chain.base {
                writeln!(f, "\t\t{}", base_words(base))?;
            }
            for rule in &chain.rules {
                writeln!(f, "\t\t{}", rule.text)?;
            }
            f.write_str("\t}\n\n")?;
        }
        f.write_str("}\n")
    }
}

fn base_words(base: &BaseChain) -> String {
    let hook = match base.hook {
        Hook::Prerouting => "prerouting",
        Hook::Input => "input",
        Hook::Forward => "forward",
        Hook::Output => "output",
    };
    let policy = match base.policy {
        ChainPolicy::Accept => "accept",
        ChainPolicy::Drop => "drop",
    };
    format!("type filter hook {hook} priority {}; policy {policy};", base.priority)
}

fn write_set(f: &mut fmt::Formatter<'_>, name: &str, set: &Set) -> fmt::Result {
    let word = if set.data == SetData::None { "set" } else { "map" };
    let key: Vec<&str> = set.key.iter().map(|field| field.name()).collect();
    let data = match set.data {
        SetData::None => "",
        SetData::Verdict => " : verdict",
        SetData::Object(ObjectKind::Counter) => " : counter",
        SetData::Object(ObjectKind::CtHelper) => " : ct helper",
    };
    writeln!(f, "\t{word} {name} {{\n\t\ttype {}{data}", key.join(" . "))?;
    if let Some(size) = set.size {
        writeln!(f, "\t\tsize {size}")?;
    }
    let flags: Vec<&str> =
        [(set.dynamic, "dynamic"), (set.interval, "interval"), (set.timeout.is_some(), "timeout")]
            .into_iter()
            .filter_map(|(on, word)| on.then_some(word))
            .collect();
    if !flags.is_empty() {
        writeln!(f, "\t\tflags {}", flags.join(","))?;
    }
    if let Some(timeout) = set.timeout {
        writeln!(f, "\t\ttimeout {}", duration_words(timeout))?;
    }
    let mut separator = "\t\telements = { ";
    for (key, value) in set.elements.iter() {
        write!(f, "{separator}{}", element_words(set, &key, value))?;
        separator = ",\n\t\t\t     ";
    }
    if !set.elements.is_empty() {
        f.write_str(" }\n")?;
    }
    f.write_str("\t}\n\n")
}

/// One element as nft writes it, with its timeout and what it leads to.
pub fn element_words(set: &Set, key: &ElementKey, value: &ElementValue) -> String {
    let mut words = key_words(&set.key, key);
    if let Some(timeout) = value.timeout {
        let _ = write!(words, " timeout {}", duration_words(timeout));
    }
    if let Some(verdict) = &value.verdict {
        let _ = write!(words, " : {verdict}");
    }
    if let Some(object) = &value.object {
        let _ = write!(words, " : \"{object}\"");
    }
    words
}

/// A key as nft writes it: `192.0.2.0/24 . tcp . 80-90`. The element that matches what no other does has none: `*`.
pub fn key_words(fields: &[Field], key: &ElementKey) -> String {
    if key.is_catchall() {
        return "*".into();
    }
    let mut offset = 0;
    let mut words = Vec::new();
    for field in fields {
        let range = offset..offset + field.octets();
        let first = &key.first[range.clone()];
        let last = key.last.as_ref().map(|last| &last[range]);
        words.push(match last {
            Some(last) if last != first => range_words(*field, first, last),
            _ => value_words(*field, first),
        });
        offset += field.padded_len();
    }
    words.join(" . ")
}

fn range_words(field: Field, first: &[u8], last: &[u8]) -> String {
    if let (Some(first), Some(last)) = (as_address(field, first), as_address(field, last)) {
        return crate::types::AddrRange::new(first, last)
            .map_or_else(|_| format!("{first}-{last}"), |r| r.to_string());
    }
    format!("{}-{}", value_words(field, first), value_words(field, last))
}

fn as_address(field: Field, bytes: &[u8]) -> Option<IpAddr> {
    match field {
        Field::Ipv4Addr => <[u8; 4]>::try_from(bytes).ok().map(|b| Ipv4Addr::from(b).into()),
        Field::Ipv6Addr => <[u8; 16]>::try_from(bytes).ok().map(|b| Ipv6Addr::from(b).into()),
        Field::InetProto
        | Field::InetService
        | Field::NfProto
        | Field::CtState
        | Field::IcmpType
        | Field::Icmpv6Type => None,
    }
}

fn value_words(field: Field, bytes: &[u8]) -> String {
    if let Some(address) = as_address(field, bytes) {
        return address.to_string();
    }
    let number = bytes.iter().fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
    match field {
        Field::InetProto => protocol_name(bytes[0]),
        Field::NfProto if number == 2 => "ipv4".into(),
        Field::NfProto if number == 10 => "ipv6".into(),
        Field::CtState => ct_state_name(bytes),
        Field::InetService
        | Field::NfProto
        | Field::IcmpType
        | Field::Icmpv6Type
        | Field::Ipv4Addr
        | Field::Ipv6Addr => number.to_string(),
    }
}

fn ct_state_name(bytes: &[u8]) -> String {
    let value = <[u8; 4]>::try_from(bytes).map_or(0, u32::from_ne_bytes);
    match value {
        1 => "invalid".into(),
        2 => "established".into(),
        4 => "related".into(),
        8 => "new".into(),
        64 => "untracked".into(),
        other => other.to_string(),
    }
}

fn protocol_name(number: u8) -> String {
    match number {
        6 => "tcp".into(),
        17 => "udp".into(),
        other => other.to_string(),
    }
}

/// nft's time: the largest units first, `1h1m1s`, down to milliseconds.
fn duration_words(duration: Duration) -> String {
    let mut left = duration.as_millis();
    let mut words = String::new();
    for (unit, millis) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        if left >= millis {
            let _ = write!(words, "{}{unit}", left / millis);
            left %= millis;
        }
    }
    if words.is_empty() { "0s".into() } else { words }
}
