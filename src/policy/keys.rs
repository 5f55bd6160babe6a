//! Which keys each section takes, and which ones of the language are not built yet, with what to do instead.

/// A section's keys; `place` ends the sentence "unknown key … ".
pub(super) struct Section {
    pub(super) place: &'static str,
    pub(super) keys: &'static [&'static str],
    pub(super) not_yet: &'static [(&'static str, &'static str)],
}

const LEAVE_OUT: &str = "leave it out";

pub(super) const POLICY: Section = Section {
    place: "in a policy file",
    keys: &["language", "features", "baseline", "hosts", "services", "rule"],
    not_yet: &[
        (
            "default",
            "leave it out: what no rule matches is denied, in both directions; forwarded traffic is untouched",
        ),
        ("zones", "leave it out: rules hold on every interface"),
        ("override", "change the rule itself, or switch it off with `enabled = false` and write another"),
        ("protect", "leave it out: only traffic of this machine itself is filtered"),
        ("expect", "leave it out"),
    ],
};

pub(super) const RULE: Section = Section {
    place: "in a rule",
    keys: &["name", "direction", "service", "ports", "peers", "action", "purpose", "when", "rows", "enabled"],
    not_yet: &[
        ("from-ports", LEAVE_OUT),
        ("zone", "leave it out: a rule holds on every interface"),
        ("local", "leave it out: a rule holds for every address of this machine"),
        ("user", "leave it out: a rule holds for every local user"),
        ("limit", LEAVE_OUT),
        ("log", "leave it out: `portgrave counters` shows what a rule matched"),
        ("mode", LEAVE_OUT),
        ("established", "leave it out: rules speak of new connections"),
        ("ipsec", LEAVE_OUT),
        ("expires", "leave it out, and note the day in `purpose`"),
        ("replaces", "switch the other rule off with `enabled = false`, and give this one a name of its own"),
    ],
};

pub(super) const HOST_GROUP: Section = Section {
    place: "in a host group",
    keys: &["members", "add", "file", "resolv-conf", "ttl-floor", "ttl-cap", "grace"],
    not_yet: &[
        ("except", "write the addresses that remain"),
        ("allow-net", "write the private addresses themselves"),
        ("min-entries", LEAVE_OUT),
        ("max-shrink", LEAVE_OUT),
    ],
};

pub(super) const SERVICE: Section =
    Section { place: "in a service", keys: &["ports", "helper", "passive"], not_yet: &[] };

pub(super) const SETTINGS: Section = Section {
    place: "in portgrave.toml",
    keys: &["policy", "paths", "resolver"],
    not_yet: &[
        ("revoke", "leave it out: open connections are kept"),
        ("guard", LEAVE_OUT),
        ("confirm", LEAVE_OUT),
        ("probe", LEAVE_OUT),
        ("history", "leave it out: the generation in force and the one before are kept"),
        ("control", LEAVE_OUT),
        ("log", LEAVE_OUT),
        ("metrics", "leave it out: `portgrave counters --json` has the figures"),
    ],
};

pub(super) const PATHS: Section = Section {
    place: "in [paths]",
    keys: &["vendor-dir", "policy-dir", "state-dir", "runtime-dir"],
    not_yet: &[],
};

pub(super) const RESOLVER: Section = Section {
    place: "in [resolver]",
    keys: &["servers", "ttl-floor", "ttl-cap", "grace", "min-interval", "max-stale"],
    not_yet: &[("domain", "leave it out: every name is asked at `servers`")],
};
