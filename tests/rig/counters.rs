//! Counters as `nft` lists them, and the tables that count a probe before and after the agent's chains.

use super::Ns;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Source ports of probes; observers count these only.
pub const PROBE_PORTS: std::ops::Range<u16> = 20000..40000;

/// Packets of every named counter in a namespace, by table and name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters(pub BTreeMap<(String, String), u64>);

impl Counters {
    pub fn read(ns: &Ns) -> Self {
        Self::parse(&ns.nft_list(&["list", "counters"]))
    }

    /// What they have counted since they were last taken: they begin again. Unlike a listing this does not have nft read
    /// all elements of all sets, which takes seconds with half a million of them.
    pub fn take(ns: &Ns) -> Self {
        Self::parse(&ns.nft_list(&["reset", "counters"]))
    }

    pub fn add(&mut self, more: Self) {
        for (counter, packets) in more.0 {
            *self.0.entry(counter).or_default() += packets;
        }
    }

    pub fn get(&self, table: &str, name: &str) -> u64 {
        self.0.get(&(table.to_owned(), name.to_owned())).copied().unwrap_or(0)
    }

    pub fn observed(&self, name: &str) -> u64 {
        self.get("observer", name)
    }

    /// The agent's counters that have moved since `before`.
    pub fn moved_since(&self, before: &Self) -> BTreeMap<String, u64> {
        let agents = self.0.iter().filter(|((table, _), _)| table == "portgrave");
        agents
            .map(|((table, name), packets)| (name.clone(), packets.saturating_sub(before.get(table, name))))
            .filter(|(_, moved)| *moved > 0)
            .collect()
    }

    fn parse(text: &str) -> Self {
        let (mut table, mut counter) = (String::new(), String::new());
        let mut found = BTreeMap::new();
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["table", _, name, "{"] => table = (*name).to_owned(),
                ["counter", name, "{"] => counter = name.trim_matches('"').to_owned(),
                ["packets", packets, "bytes", _] => {
                    let packets = packets.parse().expect("nft prints numbers");
                    found.insert((table.clone(), counter.clone()), packets);
                }
                _ => {}
            }
        }
        Self(found)
    }
}

/// Counts probes at the gateway, before and after the agent's chains of priority 0.
pub fn observer_of_gateway() -> String {
    let mut text = String::from("table inet observer {\n");
    for counter in ["in-before", "in-after", "out-before", "out-after"] {
        text.push_str(&format!("  counter {counter} {{ }}\n"));
    }
    for (hook, direction) in [("input", "in"), ("output", "out")] {
        for (place, priority) in [("before", -10), ("after", 10)] {
            // What the gateway hears of its own broadcasts is no probe that comes in.
            let skip = if hook == "input" { "fib saddr type local accept; " } else { "" };
            text.push_str(&format!(
                "  chain {direction}-{place} {{ type filter hook {hook} priority {priority}; policy accept; {skip}{} }}\n",
                counting(&format!("{direction}-{place}"))
            ));
        }
    }
    text.push_str("}\n");
    text
}

/// Counts the gateway's probes that arrive at another host.
pub fn observer_of_peer(gateway: &[IpAddr]) -> String {
    let mut rules = String::new();
    for address in gateway {
        let family = if address.is_ipv4() { "ip" } else { "ip6" };
        rules.push_str(&format!("{family} saddr {address} jump count; "));
    }
    format!(
        "table inet observer {{\n  counter arrived {{ }}\n  chain count {{ {} }}\n  \
         chain arrived {{ type filter hook input priority -10; policy accept; {rules} }}\n}}\n",
        counting("arrived")
    )
}

fn counting(counter: &str) -> String {
    let ports = format!("{{ 20, {}-{} }}", PROBE_PORTS.start, PROBE_PORTS.end - 1);
    format!(
        "tcp flags & (fin|syn|rst|ack) == syn tcp sport {ports} counter name {counter}; \
         udp sport {ports} counter name {counter};"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_all_tables_are_read() {
        let text = "table inet a {\n\tcounter x {\n\t\tpackets 3 bytes 180\n\t}\n}\n\
                    table inet portgrave {\n\tcounter default.in {\n\t\tpackets 7 bytes 1\n\t}\n}\n";
        let counters = Counters::parse(text);
        assert_eq!(counters.get("a", "x"), 3);
        assert_eq!(counters.get("portgrave", "default.in"), 7);
        assert_eq!(
            counters.moved_since(&Counters::default()),
            BTreeMap::from([("default.in".to_owned(), 7)])
        );
    }
}
