//! What others may do to the table, in nft's words.

use crate::lab::table::Table;

/// One edit, and the words that the journal must have for it.
pub struct Edit {
    pub what: &'static str,
    pub text: fn(&Table) -> String,
    pub told: &'static [&'static str],
    /// Whether the table, and so its counters, outlive it.
    pub keeps_counters: bool,
}

const fn edit(what: &'static str, text: fn(&Table) -> String, told: &'static [&'static str]) -> Edit {
    Edit { what, text, told, keeps_counters: true }
}

const fn end(what: &'static str, text: fn(&Table) -> String, told: &'static [&'static str]) -> Edit {
    Edit { keeps_counters: false, ..edit(what, text, told) }
}

fn our(verb: &str, rest: &str) -> String {
    format!("{verb} inet portgrave {rest}\n")
}

fn of_set(table: &Table, verb: &str, set: &str, rest: &str) -> String {
    our(verb, &format!("{} {rest}", table.set(set)))
}

pub const TABLES: &[Edit] = &[
    end("flush ruleset", |_| "flush ruleset\n".into(), &["the table was deleted"]),
    end("delete table", |_| "delete table inet portgrave\n".into(), &["the table was deleted"]),
    edit("dormant", |_| "add table inet portgrave { flags dormant; }\n".into(), &["put to sleep"]),
    end(
        "an empty table in its place",
        |_| "delete table inet portgrave\nadd table inet portgrave\n".into(),
        &["the table was emptied"],
    ),
    edit(
        "another priority of a base chain",
        |_| {
            "delete chain inet portgrave prerouting\nadd chain inet portgrave prerouting { type filter hook prerouting \
             priority -50; policy accept; }\n"
                .into()
        },
        &["prerouting"],
    ),
];

pub const CHAINS: &[Edit] = &[
    edit("accept all", |_| our("insert rule", "input accept"), &["rule added to input", ": accept"]),
    edit(
        "a rule deleted",
        |table| our("delete rule", &format!("input handle {}", table.handle("input", &["in.state"]))),
        &["rule deleted from input: ct state"],
    ),
    edit(
        "a chain's rules flushed",
        |_| our("flush chain", "in4.rule.blocked"),
        &["rule deleted from in4.rule.blocked"],
    ),
    edit("another policy", |_| our("chain", "input { policy accept; }"), &["chain", "input"]),
    edit(
        "chain renamed",
        |_| our("rename chain", "in4.rule.blocked elsewhere"),
        &["chain deleted: in4.rule.blocked", "chain added: elsewhere"],
    ),
];

pub const MORE_CHAINS: &[Edit] = &[
    edit(
        "a counter deleted with its rule",
        |table| {
            let handle = table.handle("in.untracked", &["router-advertisement.dropped"]);
            our("delete rule", &format!("in.untracked handle {handle}"))
                + &our("delete counter", "in.baseline.router-advertisement.dropped")
        },
        &[
            "counter or helper deleted: in.baseline.router-advertisement.dropped",
            "rule deleted from in.untracked",
        ],
    ),
    edit(
        "a chain deleted with what leads to it",
        |table| {
            [("in4.tcp", 0), ("in4.udp", 0), ("in4.udp.special", 0), ("in4.other", 0)]
                .map(|(chain, _)| {
                    our(
                        "delete rule",
                        &format!("{chain} handle {}", table.handle(chain, &["in4.rule.blocked"])),
                    )
                })
                .concat()
                + &our("delete chain", "in4.rule.blocked")
        },
        &["chain deleted: in4.rule.blocked", "rule deleted from in4.tcp"],
    ),
    edit(
        "a base chain of their own in our table",
        |_| {
            "table inet portgrave { chain theirs { type filter hook input priority -300; policy accept; accept; }; }\n"
                .into()
        },
        &["chain added: theirs"],
    ),
    edit(
        "a set and a counter",
        |_| our("add set", "theirs { type ipv4_addr; }") + &our("add counter", "theirs"),
        &["set added: theirs", "counter or helper added: theirs"],
    ),
    edit(
        "the order of rules",
        |table| {
            let handle = table.handle("input", &["in.state"]);
            our("delete rule", &format!("input handle {handle}"))
                + &of_set(table, "add rule", "input ct state vmap @in.state", "")
        },
        &["rule deleted from input"],
    ),
];

pub const FLUSHES: &[Edit] = &[
    edit(
        "a map of written addresses",
        |table| of_set(table, "flush map", "out4.allow.exact", ""),
        &["elements deleted from out4.allow.exact", "93.184.30.1"],
    ),
    edit(
        "maps of names",
        |table| {
            of_set(table, "flush map", "out4.allow.names", "")
                + &of_set(table, "flush map", "out6.allow.names", "")
        },
        &["elements deleted from out4.allow.names", "93.184.10.1", "2606:2800:10::1"],
    ),
    edit(
        "a list of five",
        |table| of_set(table, "flush set", "list4.few", ""),
        &["elements deleted from list4.few", "93.184.20.2"],
    ),
    edit(
        "what names may never stand for",
        |table| of_set(table, "flush set", "never4", ""),
        &["elements deleted from never4"],
    ),
];

pub const ADDED: &[Edit] = &[
    edit(
        "an address of a name with a long life",
        |table| {
            of_set(
                table,
                "add element",
                "out4.allow.names",
                "{ 93.184.66.6 . tcp . 443 timeout 30d : \"out.web\" }",
            )
        },
        &["elements added to out4.allow.names", "93.184.66.6"],
    ),
    edit(
        "an address of a name without a life of its own",
        |table| of_set(table, "add element", "out4.allow.names", "{ 93.184.66.7 . tcp . 443 : \"out.web\" }"),
        &["elements added to out4.allow.names", "93.184.66.7"],
    ),
    edit(
        "a written address",
        |table| {
            of_set(table, "add element", "out4.allow.exact", "{ 93.184.66.8 . tcp . 443 : \"out.exact\" }")
        },
        &["elements added to out4.allow.exact", "93.184.66.8"],
    ),
    edit(
        "never4",
        |table| of_set(table, "add element", "never4", "{ 93.184.10.1 }"),
        &["elements added to never4", "93.184.10.1"],
    ),
    edit(
        "a list of thousands",
        |table| of_set(table, "add element", "list4.many", "{ 93.184.66.9 }"),
        &["list4.many"],
    ),
];

/// What matches every key that no other element does: Linux 5.13 and later.
pub const CATCHALLS: &[Edit] = &[
    edit(
        "for every family",
        |table| of_set(table, "add element", "in.family", "{ * : goto in4.other }"),
        &["elements added to in.family: * : goto in4.other"],
    ),
    edit(
        "for every list",
        |table| of_set(table, "add element", "list4.few", "{ * }"),
        &["elements added to list4.few: *"],
    ),
];

pub const DELETED: &[Edit] = &[
    edit(
        "of a name",
        |table| of_set(table, "delete element", "out4.allow.names", "{ 93.184.10.1 . tcp . 443 }"),
        &["elements deleted from out4.allow.names", "93.184.10.1"],
    ),
    edit(
        "of a written address",
        |table| of_set(table, "delete element", "out4.allow.exact", "{ 93.184.30.1 . tcp . 8443 }"),
        &["elements deleted from out4.allow.exact", "93.184.30.1"],
    ),
    edit(
        "of a list",
        |table| of_set(table, "delete element", "list4.few", "{ 93.184.20.4 }"),
        &["elements deleted from list4.few", "93.184.20.4"],
    ),
    edit(
        "another verdict in a map",
        |table| {
            of_set(table, "delete element", "in.family", "{ ipv4 }")
                + &of_set(table, "add element", "in.family", "{ ipv4 : goto in6.other }")
        },
        &["in.family: ipv4 : goto in6.other", "in.family: ipv4 : goto in4.other"],
    ),
];

/// Of a list that is too large to be read.
pub const LARGE: &[Edit] = &[
    edit("all", |table| of_set(table, "flush set", "list4.many", ""), &["elements deleted from list4.many"]),
    edit(
        "one more",
        |table| of_set(table, "add element", "list4.many", "{ 93.184.66.9 }"),
        &["elements added to list4.many"],
    ),
    edit(
        "one less",
        |table| of_set(table, "delete element", "list4.many", "{ 93.185.1.2 }"),
        &["elements deleted from list4.many"],
    ),
];
