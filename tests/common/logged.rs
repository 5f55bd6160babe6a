//! Rules whose packets are logged, each for a reason of its own.

/// A rule that denies, one that rejects, one that audits, one that is watched, and one for a message of ICMP. What has other
/// ports may stand beside them.
pub const RULES: &str = r#"
[[rule]]
name = "mail"
direction = "in"
ports = ["tcp/25"]
peers = "any"
action = "deny"

[[rule]]
name = "ident"
direction = "in"
ports = ["tcp/113", "udp/113"]
peers = "any"
action = "reject"

[[rule]]
name = "no-telnet"
direction = "both"
ports = ["tcp/23"]
peers = "any"
action = "deny"
mode = "audit"

[[rule]]
name = "web"
direction = "both"
ports = ["tcp/80"]
peers = "any"
log = true

[[rule]]
name = "timestamps"
direction = "in"
ports = ["icmp/timestamp-request"]
peers = "any"
action = "deny"
"#;

/// One that denies in a zone, to these peers.
pub fn zoned(peers: &str) -> String {
    format!(
        r#"
[zones]
link = ["up0"]

[[rule]]
name = "zoned"
direction = "both"
ports = ["udp/500"]
peers = {peers}
action = "deny"
zone = "link"
"#
    )
}
