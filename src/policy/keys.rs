//! Which keys each section takes, and which ones of the language are not built yet, with what to do instead.

use crate::diag::nearest;

/// A section's keys.
pub(super) struct Section {
    /// Ends the sentence "unknown key … ".
    pub(super) place: &'static str,
    /// Ends the sentence "it belongs … ".
    home: &'static str,
    keys: &'static [&'static str],
    not_yet: &'static [(&'static str, &'static str)],
    /// What others call a key of this section.
    called: &'static [(&'static str, &'static str)],
}

/// What a section has to say of a key.
pub(super) enum Standing {
    Known,
    /// Of the language, but not built yet; with what to do instead.
    NotYet(&'static str),
    /// With what may be meant.
    Unknown(String),
}

impl Section {
    pub(super) fn judge(&self, name: &str) -> Standing {
        if self.keys.contains(&name) {
            return Standing::Known;
        }
        match self.not_yet.iter().find(|(key, _)| *key == name) {
            Some((_, instead)) => Standing::NotYet(instead),
            None => Standing::Unknown(self.meant(name)),
        }
    }

    fn meant(&self, name: &str) -> String {
        if let Some((_, key)) = self.called.iter().find(|(other, _)| *other == name) {
            return format!("did you mean `{key}`?");
        }
        if let Some(section) = ALL.iter().find(|section| section.has(name)) {
            return format!("`{name}` belongs {}", section.home);
        }
        match nearest(name, self.keys.iter().chain(self.not_yet.iter().map(|(key, _)| key)).copied()) {
            Some(close) => format!("did you mean `{close}`?"),
            None => format!("known here: {}", self.keys.join(", ")),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.keys.contains(&name) || self.not_yet.iter().any(|(key, _)| *key == name)
    }
}

static ALL: [&Section; 12] = [
    &POLICY,
    &DEFAULT,
    &RULE,
    &OVERRIDE,
    &HOST_GROUP,
    &SERVICE,
    &SETTINGS,
    &PATHS,
    &RESOLVER,
    &DOMAIN,
    &CONTROL,
    &LOG,
];

pub(super) static POLICY: Section = Section {
    place: "in a policy file",
    home: "at the top level of a policy file, such as /etc/portgrave/policy.d/50-site.toml",
    keys: &["language", "default", "features", "baseline", "hosts", "services", "zones", "rule", "override"],
    not_yet: &[
        ("protect", "leave it out: only traffic of this machine itself is filtered"),
        ("expect", "leave it out: only what is written is checked"),
    ],
    called: &[
        ("rules", "rule"),
        ("groups", "hosts"),
        ("switches", "features"),
        ("version", "language"),
        ("defaults", "default"),
        ("overrides", "override"),
        ("interfaces", "zones"),
    ],
};

pub(super) static DEFAULT: Section = Section {
    place: "in [default]",
    home: "in [default]",
    keys: &["in", "out", "forward"],
    not_yet: &[],
    called: &[
        ("input", "in"),
        ("incoming", "in"),
        ("output", "out"),
        ("outgoing", "out"),
        ("fwd", "forward"),
        ("forwarding", "forward"),
    ],
};

pub(super) static RULE: Section = Section {
    place: "in a rule",
    home: "in a rule, under its [[rule]]",
    keys: &[
        "name",
        "direction",
        "service",
        "ports",
        "peers",
        "action",
        "mode",
        "purpose",
        "when",
        "rows",
        "from-ports",
        "zone",
        "local",
        "user",
        "log",
        "replaces",
        "enabled",
    ],
    not_yet: RULE_NOT_YET,
    called: RULE_CALLED,
};

/// Those of a rule but its name and what it replaces.
pub(super) static OVERRIDE: Section = Section {
    place: "in an override",
    home: "in an override, under its [override.NAME]",
    keys: &[
        "direction",
        "service",
        "ports",
        "peers",
        "action",
        "mode",
        "purpose",
        "when",
        "rows",
        "from-ports",
        "zone",
        "local",
        "user",
        "log",
        "enabled",
    ],
    not_yet: RULE_NOT_YET,
    called: RULE_CALLED,
};

const RULE_NOT_YET: &[(&str, &str)] = &[
    ("limit", "leave it out: a rule holds at any rate"),
    ("established", "leave it out: rules speak of new connections"),
    ("ipsec", "leave it out: a rule holds with and without IPsec"),
    ("expires", "leave it out, and note the day in `purpose`"),
];

const RULE_CALLED: &[(&str, &str)] = &[
    ("hosts", "peers"),
    ("host", "peers"),
    ("source", "peers"),
    ("sources", "peers"),
    ("src", "peers"),
    ("saddr", "peers"),
    ("from", "peers"),
    ("destination", "peers"),
    ("dst", "peers"),
    ("daddr", "peers"),
    ("to", "peers"),
    ("address", "peers"),
    ("port", "ports"),
    ("dport", "ports"),
    ("protocol", "ports"),
    ("proto", "ports"),
    ("target", "action"),
    ("verdict", "action"),
    ("policy", "action"),
    ("comment", "purpose"),
    ("description", "purpose"),
    ("interface", "zone"),
    ("iface", "zone"),
    ("if", "when"),
    ("features", "when"),
    ("sport", "from-ports"),
    ("source-port", "from-ports"),
    ("source-ports", "from-ports"),
    ("zones", "zone"),
    ("interfaces", "zone"),
    ("users", "user"),
    ("uid", "user"),
    ("owner", "user"),
];

pub(super) static HOST_GROUP: Section = Section {
    place: "in a host group",
    home: "in a host group, under [hosts]",
    keys: &[
        "members",
        "add",
        "file",
        "resolv-conf",
        "ttl-floor",
        "ttl-cap",
        "grace",
        "min-entries",
        "max-shrink",
        "except",
        "allow-net",
    ],
    not_yet: &[],
    called: &[
        ("exclude", "except"),
        ("without", "except"),
        ("hosts", "members"),
        ("peers", "members"),
        ("addresses", "members"),
        ("path", "file"),
    ],
};

pub(super) static SERVICE: Section = Section {
    place: "in a service",
    home: "in a service, under [services]",
    keys: &["ports", "helper", "passive"],
    not_yet: &[],
    called: &[("port", "ports"), ("protocol", "ports")],
};

pub(super) static SETTINGS: Section = Section {
    place: "in portgrave.toml",
    home: "at the top level of portgrave.toml",
    keys: &["policy", "paths", "resolver", "control", "log"],
    not_yet: &[
        ("revoke", "leave it out: open connections are kept"),
        ("guard", "leave it out, and keep a console at hand when rules for SSH change"),
        ("confirm", "leave it out: a change is kept at once"),
        ("probe", "leave it out: a change is read back and compared, but not probed"),
        ("history", "leave it out: the generation in force is kept"),
        ("metrics", "leave it out: `portgrave counters --json` has the figures"),
    ],
    called: &[("policies", "policy"), ("dns", "resolver"), ("logging", "log")],
};

pub(super) static PATHS: Section = Section {
    place: "in [paths]",
    home: "in portgrave.toml, under [paths]",
    keys: &["vendor-dir", "policy-dir", "state-dir", "runtime-dir"],
    not_yet: &[],
    called: &[],
};

pub(super) static RESOLVER: Section = Section {
    place: "in [resolver]",
    home: "in portgrave.toml, under [resolver]",
    keys: &["servers", "ttl-floor", "ttl-cap", "grace", "min-interval", "max-stale", "domain"],
    not_yet: &[],
    called: &[
        ("server", "servers"),
        ("nameserver", "servers"),
        ("nameservers", "servers"),
        ("domains", "domain"),
        ("zone", "domain"),
    ],
};

pub(super) static DOMAIN: Section = Section {
    place: "in a domain of the resolver",
    home: "in portgrave.toml, under [[resolver.domain]]",
    keys: &["suffix", "servers", "allow-net"],
    not_yet: &[],
    called: &[
        ("name", "suffix"),
        ("domain", "suffix"),
        ("server", "servers"),
        ("nameserver", "servers"),
        ("nameservers", "servers"),
        ("allow-nets", "allow-net"),
    ],
};

pub(super) static CONTROL: Section = Section {
    place: "in [control]",
    home: "in portgrave.toml, under [control]",
    keys: &["group"],
    not_yet: &[],
    called: &[("gid", "group"), ("groups", "group")],
};

pub(super) static LOG: Section = Section {
    place: "in [log]",
    home: "in portgrave.toml, under [log]",
    keys: &["denied", "nflog-group"],
    not_yet: &[],
    called: &[("group", "nflog-group"), ("nflog", "nflog-group"), ("drops", "denied")],
};

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(section: &Section, name: &str) -> String {
        match section.judge(name) {
            Standing::Unknown(meant) => meant,
            Standing::Known | Standing::NotYet(_) => panic!("{name} is known"),
        }
    }

    #[test]
    fn an_unknown_key_is_led_to_the_one_that_is_meant() {
        assert_eq!(unknown(&RULE, "source"), "did you mean `peers`?");
        assert_eq!(unknown(&RULE, "directoin"), "did you mean `direction`?");
        assert_eq!(unknown(&RULE, "expire"), "did you mean `expires`?");
        assert_eq!(unknown(&POLICY, "ports"), "`ports` belongs in a rule, under its [[rule]]");
        assert_eq!(
            unknown(&SETTINGS, "rule").split(',').next(),
            Some("`rule` belongs at the top level of a policy file")
        );
        assert_eq!(unknown(&SERVICE, "xyz"), "known here: ports, helper, passive");
    }

    #[test]
    fn every_other_word_for_a_key_leads_to_a_key_that_is_there() {
        for section in ALL {
            for (other, key) in section.called {
                assert!(section.has(key) && !section.has(other), "{other} {key}");
            }
        }
    }
}
