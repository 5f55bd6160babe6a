//! Valid policy texts, from a grammar of the whole language.

use crate::numbers::Random;

/// How much of the language a text may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breadth {
    /// What every version of the language has had.
    Core,
    Whole,
}

/// Addresses that anything may stand for.
const ADDRESSES: [&str; 18] = [
    "192.0.2.7",
    "192.0.2.8",
    "10.20.0.0/16",
    "10.20.4.0/24",
    "10.0.0.0-10.20.3.255",
    "192.0.2.10-192.0.2.20",
    "198.51.100.0/25",
    "0.0.0.0/0",
    "0.0.0.0/1",
    "255.255.255.255",
    "127.0.0.1",
    "224.0.0.0/4",
    "2001:db8::7",
    "2001:db8:5::/48",
    "2001:db8:5::1-2001:db8:5::ffff",
    "fe80::/10",
    "::/0",
    "::1",
];
const NAMES: [&str; 7] = [
    "repo.example.net",
    "mx.example.net",
    "MX.Example.NET",
    "never.example.net",
    "a.b.c.d.e.example.org",
    "xn--bcher-kva.example",
    "_sip.example.net",
];
const PORTS: [&str; 14] = [
    "tcp/25",
    "tcp/0",
    "tcp/65535",
    "udp/53",
    "udp/68",
    "tcp/1-1024",
    "tcp/1000-1100",
    "tcp/1050-2000",
    "udp/0-65535",
    "tcp/0-65535",
    "udp/5000-5000",
    "udp/53-68",
    "tcp/22",
    "tcp/5353",
];
const MORE_PORTS: [&str; 14] = [
    "icmp",
    "icmp/echo-request",
    "icmp/3",
    "icmp/destination-unreachable",
    "icmpv6",
    "icmpv6/echo-request",
    "icmpv6/128",
    "sctp/9899",
    "sctp/1-65535",
    "esp",
    "ah",
    "gre",
    "vrrp",
    "proto/41",
];
const SERVICES: [&str; 10] =
    ["ssh", "smtp", "dns", "http", "https", "ntp", "ftp", "ldap", "kerberos", "syslog"];
const BASELINE: [&str; 10] = [
    "loopback",
    "invalid",
    "related",
    "tcp-new-is-syn",
    "router-advertisement",
    "multicast-membership",
    "dhcp",
    "icmp-errors",
    "echo",
    "dns",
];
const SWITCHES: [&str; 3] = ["pmm", "pmm-full", "a.b_c-9"];
const ZONES: [&str; 3] = ["inside", "outside", "dmz-1"];
const DURATIONS: [&str; 6] = ["1s", "60s", "90s", "10m", "12h", "30d"];

const CONDITIONS: [&str; 10] =
    ["zone", "local", "limit", "log", "ipsec", "expires", "user", "mode", "established", "from-ports"];

/// A valid text.
pub fn policy(random: &mut Random, breadth: Breadth) -> String {
    let mut conditions = random.some(&CONDITIONS, 3);
    if random.one_in(4) {
        conditions = CONDITIONS.map(str::to_owned).to_vec();
    }
    let replaces = breadth == Breadth::Whole && random.one_in(8);
    Writer { random, breadth, conditions, replaces, groups: Vec::new(), services: Vec::new() }.policy()
}

struct Writer<'a> {
    random: &'a mut Random,
    breadth: Breadth,
    /// The keys of [`CONDITIONS`] that the text may have.
    conditions: Vec<String>,
    /// Its first rule takes the place of the vendor's.
    replaces: bool,
    groups: Vec<Group>,
    services: Vec<String>,
}

#[derive(Clone)]
struct Group {
    name: String,
    has_names: bool,
}

type Entries = Vec<(String, String)>;

impl Writer<'_> {
    fn policy(mut self) -> String {
        let mut sections = vec![self.table("features", Self::features)];
        sections.push(self.table("hosts", Self::hosts));
        sections.push(self.table("services", Self::own_services));
        if self.whole() {
            sections.push(self.table("zones", Self::zones));
            sections.push(self.table("default", Self::defaults));
            if !self.replaces {
                sections.push(self.overrides());
            }
        }
        let count = 1 + self.random.below(9);
        sections.extend((0..count).map(|index| self.rule(index)));
        sections.push(self.table("baseline", Self::baseline));
        self.random.shuffle(&mut sections);
        let mut text = String::from("language = 1\n");
        for section in sections.iter().filter(|section| !section.is_empty()) {
            text.push_str(["", "\n", "\n\n# a comment with \"quotes\" and = signs\n"][self.random.below(3)]);
            text.push_str(section);
        }
        text
    }

    fn whole(&self) -> bool {
        self.breadth == Breadth::Whole
    }

    fn table(&mut self, name: &str, entries: fn(&mut Self) -> Entries) -> String {
        let mut entries = entries(self);
        self.random.shuffle(&mut entries);
        if entries.is_empty() { String::new() } else { format!("[{name}]\n{}", self.lines(&entries)) }
    }

    fn lines(&mut self, entries: &Entries) -> String {
        let end = ["", "   # why", "\t"];
        entries.iter().map(|(key, value)| format!("{key} = {value}{}\n", self.random.pick(&end))).collect()
    }

    fn features(&mut self) -> Entries {
        let value = |random: &mut Random| if random.one_in(2) { "true" } else { "false" };
        SWITCHES.iter().map(|name| (key(name), value(self.random).to_owned())).collect()
    }

    fn baseline(&mut self) -> Entries {
        let off = self.random.some(&BASELINE, 4);
        let mut entries: Entries = off.into_iter().map(|name| (name, "false".to_owned())).collect();
        if self.whole() && self.random.one_in(2) {
            entries.push(("containers".into(), "true".into()));
        }
        if self.random.one_in(2) { entries } else { Vec::new() }
    }

    fn hosts(&mut self) -> Entries {
        let count = 1 + self.random.below(5);
        (0..count).map(|index| self.group(index)).collect()
    }

    fn group(&mut self, index: usize) -> (String, String) {
        let name = format!("g{index}.x");
        let has_names = self.random.one_in(3);
        let members = self.members(has_names);
        let value = match self.random.below(4) {
            0 | 1 => members,
            _ => self.long_group(&members, has_names),
        };
        self.groups.push(Group { name: name.clone(), has_names });
        (key(&name), value)
    }

    /// Peers of a group; with names only where `has_names`.
    fn members(&mut self, has_names: bool) -> String {
        let mut members = self.random.some(&ADDRESSES, 4);
        if has_names {
            members.extend(self.random.some(&NAMES, 3));
        }
        let within: Vec<Group> =
            self.groups.iter().filter(|group| has_names || !group.has_names).cloned().collect();
        if !within.is_empty() && self.random.one_in(3) {
            members.push(format!("@{}", within[self.random.below(within.len())].name));
        }
        if self.random.one_in(12) {
            members.push("any".into());
        }
        if self.random.one_in(12) {
            members.clear();
        }
        self.list(&members)
    }

    fn long_group(&mut self, members: &str, has_names: bool) -> String {
        let mut entries = vec![("members".to_owned(), members.to_owned())];
        if self.random.one_in(3) {
            entries.push(("add".into(), self.members(has_names)));
        }
        if self.random.one_in(4) {
            entries.push(("file".into(), "\"/lists/block.txt\"".into()));
            if self.whole() && self.random.one_in(2) {
                entries.push(("min-entries".into(), "3".into()));
                entries.push(("max-shrink".into(), "\"40%\"".into()));
            }
        }
        if self.random.one_in(5) {
            entries.push(("resolv-conf".into(), "true".into()));
        }
        if self.random.one_in(4) {
            entries.push(("ttl-floor".into(), "\"60s\"".into()));
            entries.push(("ttl-cap".into(), "\"2d\"".into()));
            entries.push(("grace".into(), format!("\"{}\"", self.random.pick(&DURATIONS))));
        }
        if self.whole() && self.random.one_in(3) {
            let except = self.random.some(&ADDRESSES, 2);
            entries.push(("except".into(), self.list(&except)));
        }
        if self.whole() && has_names && self.random.one_in(3) {
            entries.push(("allow-net".into(), "[\"10.40.0.0/16\", \"fd00::/8\"]".into()));
        }
        self.random.shuffle(&mut entries);
        let inner: Vec<String> = entries.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        format!("{{ {} }}", inner.join(", "))
    }

    fn own_services(&mut self) -> Entries {
        let mut entries = Vec::new();
        for (name, value) in [
            ("own-1", "{ ports = [\"tcp/8025\", \"udp/8025\"] }"),
            ("own-ftp", "{ ports = [\"tcp/21\", \"tcp/2121\"], helper = \"ftp\" }"),
            ("own-ftps", "{ ports = [\"tcp/990\"], passive = \"tcp/50000-50100\" }"),
            ("ssh", "{ ports = [\"tcp/22\", \"tcp/2222-2223\"] }"),
        ] {
            if self.random.one_in(3) {
                self.services.push(name.to_owned());
                entries.push((key(name), value.to_owned()));
            }
        }
        entries
    }

    fn zones(&mut self) -> Entries {
        let interfaces = ["[\"eth0\"]", "[\"eth1\", \"vlan*\"]", "[\"not-there-yet\", \"wg0\"]"];
        ZONES.iter().map(|zone| (key(zone), self.random.pick(&interfaces).to_owned())).collect()
    }

    fn defaults(&mut self) -> Entries {
        let mut entries = Vec::new();
        for way in ["in", "out"] {
            if self.random.one_in(3) {
                entries.push((way.into(), self.one(&["deny", "reject", "audit"])));
            }
        }
        if self.random.one_in(4) {
            entries.push(("forward".into(), self.one(&["untouched", "deny"])));
        }
        entries
    }

    fn overrides(&mut self) -> String {
        let entries = match self.random.below(4) {
            0 => "ports = [\"tcp/587\"]\n",
            1 => "enabled = false\n",
            2 => "service = \"ssh\"\npeers = \"any\"\npurpose = \"otherwise\"\n",
            _ => return String::new(),
        };
        format!("[override.vendor-rule]\n{entries}")
    }

    fn rule(&mut self, index: usize) -> String {
        let action = self.random.pick(&["allow", "allow", "allow", "deny", "reject"]);
        let direction = self.random.pick(&["in", "out", "both"]);
        let replaces = self.replaces && index == 0;
        let name = if replaces { "vendor-rule".to_owned() } else { format!("rule-{index}.{action}") };
        let mut entries = vec![
            ("name".to_owned(), self.quoted(&name)),
            ("direction".to_owned(), self.quoted(direction)),
            self.ports(),
            ("peers".to_owned(), self.peers(action, direction)),
        ];
        if replaces {
            entries.push(("replaces".into(), "true".into()));
        }
        if action != "allow" || self.random.one_in(4) {
            entries.push(("action".into(), self.quoted(action)));
        }
        let others = [
            ("purpose", "\"Grüße, \\\"quoted\\\" and \\u00e9\""),
            ("purpose", "'''\nseveral\nlines'''"),
            ("rows", "[\"R01\", \"R02\"]"),
            ("when", "\"pmm\""),
            ("when", "[\"pmm\", \"!pmm-full\"]"),
            ("enabled", "true"),
            ("enabled", "false"),
        ];
        for _ in 0..self.random.below(3) {
            let (key, value) = others[self.random.below(others.len())];
            if entries.iter().all(|(there, _)| there != key) {
                entries.push((key.into(), value.into()));
            }
        }
        if self.whole() {
            self.conditions(action, direction, &mut entries);
        }
        self.random.shuffle(&mut entries);
        format!("[[rule]]\n{}", self.lines(&entries))
    }

    fn ports(&mut self) -> (String, String) {
        if self.random.one_in(3) {
            let mut known: Vec<&str> = SERVICES.to_vec();
            known.extend(self.services.iter().map(String::as_str));
            let mut services = self.random.some(&known, 3);
            if services.len() > 1 {
                // The helper is for a rule of TCP alone.
                services.retain(|service| !["ftp", "own-ftp"].contains(&service.as_str()));
            }
            let one = services.len() < 2 || !self.whole();
            let value = if one {
                self.quoted(services.first().map_or("ftp", String::as_str))
            } else {
                self.list(&services)
            };
            return ("service".into(), value);
        }
        let mut ports = self.random.some(&PORTS, 4);
        if self.whole() && self.random.one_in(3) {
            ports.extend(self.random.some(&MORE_PORTS, 3));
        }
        if self.random.one_in(8) {
            ports = vec!["any".into()];
        }
        ("ports".into(), self.list(&ports))
    }

    fn peers(&mut self, action: &str, direction: &str) -> String {
        let names_fit = action == "allow";
        let mut peers = match self.random.below(6) {
            0 => return self.quoted("any"),
            1 if direction != "in" => vec!["broadcast".to_owned()],
            2 if names_fit => self.random.some(&NAMES, 3),
            _ => self.random.some(&ADDRESSES, 4),
        };
        let groups: Vec<Group> =
            self.groups.iter().filter(|group| names_fit || !group.has_names).cloned().collect();
        if !groups.is_empty() && self.random.one_in(2) {
            peers.push(format!("@{}", groups[self.random.below(groups.len())].name));
        }
        if peers.len() == 1 && self.random.one_in(2) { self.quoted(&peers[0]) } else { self.list(&peers) }
    }

    fn conditions(&mut self, action: &str, direction: &str, entries: &mut Entries) {
        let wanted = self.conditions.clone();
        let may = |key: &str| wanted.iter().any(|wanted| wanted == key);
        let mut add = |random: &mut Random, rarely: usize, key: &str, value: &str| {
            if may(key) && random.one_in(rarely) {
                entries.push((key.to_owned(), value.to_owned()));
            }
        };
        let zone = self.random.pick(&["\"inside\"", "[\"inside\", \"dmz-1\"]"]);
        add(self.random, 3, "zone", zone);
        add(self.random, 3, "local", "[\"192.0.2.1\", \"2001:db8::1\"]");
        let limit = self.random.pick(&[
            "\"20/second burst 50 per peer\"",
            "\"20/second\"",
            "\"3/minute burst 10\"",
            "\"100/hour per peer\"",
        ]);
        add(self.random, 3, "limit", limit);
        add(self.random, 3, "log", "true");
        add(self.random, 3, "ipsec", "true");
        let expires = self.random.pick(&["2999-03-31", "\"2999-12-31\""]);
        add(self.random, 3, "expires", expires);
        if direction == "out" {
            let user = self.random.pick(&["\"root\"", "0", "[\"root\", 38]", "\"nobody-of-that-name\""]);
            add(self.random, 3, "user", user);
        }
        if action != "allow" {
            add(self.random, 2, "mode", "\"audit\"");
            add(self.random, 3, "established", "true");
        }
        let ports = entries.iter().find(|(key, _)| key == "ports").map(|(_, value)| value.clone());
        if let Some(from) = ports.filter(|_| direction == "in").and_then(|ports| from_ports(&ports)) {
            if may("from-ports") && self.random.one_in(2) {
                entries.push(("from-ports".into(), from.into()));
            }
        }
    }

    fn one(&mut self, words: &[&str]) -> String {
        let word = self.random.pick(words);
        self.quoted(word)
    }

    fn quoted(&mut self, text: &str) -> String {
        if self.random.one_in(4) { format!("'{text}'") } else { format!("\"{text}\"") }
    }

    fn list(&mut self, items: &[String]) -> String {
        let items: Vec<String> = items.iter().map(|item| self.quoted(item)).collect();
        match self.random.below(6) {
            0 => format!("[\n    {},\n]", items.join(",\n    ")).replace("[\n    ,\n]", "[]"),
            1 => format!("[{}]", items.join(",")),
            _ => format!("[{}]", items.join(", ")),
        }
    }
}

/// Ports of the peer for a list of ports, if these are of TCP and UDP alone.
fn from_ports(list: &str) -> Option<&'static str> {
    if list.contains("any") || MORE_PORTS.iter().any(|port| list.contains(port)) {
        return None;
    }
    match (list.contains("tcp/"), list.contains("udp/")) {
        (true, true) => Some("[\"udp/68\", \"tcp/1024-65535\"]"),
        (true, false) => Some("[\"tcp/1024-65535\"]"),
        _ => Some("[\"udp/68\"]"),
    }
}

/// A key, quoted where TOML wants it.
fn key(name: &str) -> String {
    if name.contains('.') { format!("\"{name}\"") } else { name.to_owned() }
}
