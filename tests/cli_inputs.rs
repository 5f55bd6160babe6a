//! What the built program reads, and what it makes of it: no rule at all.
#![cfg(all(feature = "kernel", feature = "daemon"))]

#[path = "common/ns.rs"]
mod ns;
#[path = "common/site.rs"]
mod site;

use ns::{Namespace, ran_inside};
use serde_json::Value;
use site::{SITE, Site, nft};

const GROUPS: &str = "language = 1\n[hosts]\nadmins = [\"192.0.2.1\"]\n";

#[test]
fn without_a_rule_the_management_policy_is_checked_shown_and_warned_of() {
    let site = Site::new();
    site.write("site.toml", GROUPS);
    let (status, checked) = site.json(&["check"]);
    assert_eq!((status, &checked["rules"]), (0, &Value::from(2)), "{checked}");
    let finding = &checked["findings"][0];
    assert_eq!((&finding["code"], &finding["severity"]), (&"PG313".into(), &"warning".into()));
    assert!(finding["help"].as_str().is_some_and(|help| help.contains("[[rule]]\n")), "{finding}");
    let (status, shown) = site.run(&["show"]);
    assert!(status == 0 && shown.contains("in.ssh-in") && shown.contains("out.all-out"), "{shown}");
}

#[test]
fn without_a_rule_management_is_applied_kept_and_named_until_the_first_rule() {
    if ran_inside(
        Namespace::Network,
        "without_a_rule_management_is_applied_kept_and_named_until_the_first_rule",
    ) {
        return;
    }
    let site = Site::new();
    site.write("site.toml", GROUPS);
    assert_eq!(site.json(&["plan"]).0, 2);
    let (status, applied) = site.json(&["apply"]);
    assert_eq!((status, &applied["outcome"]), (0, &"applied".into()), "{applied}");
    assert!(nft(&["list", "table", "inet", "portgrave"]).contains("counter in.ssh-in"));
    let (_, told) = site.json(&["status"]);
    assert_eq!((&told["kernel"], &told["management"]), (&"holds it".into(), &true.into()), "{told}");
    assert_eq!(told["files"][0], "(built in) management");
    let (_, text) = site.run(&["status"]);
    assert!(
        text.contains("policy: management, since no file has a rule") && text.contains("next: "),
        "{text}"
    );
    assert_eq!(site.json(&["apply"]).1["outcome"], "unchanged");
    site.write("site.toml", SITE);
    site.apply();
    assert_eq!(site.json(&["status"]).1["management"], false);
    assert!(!nft(&["list", "table", "inet", "portgrave"]).contains("out.all-out"));
}
