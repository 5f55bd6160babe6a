//! Policies for tests, made from the shipped one.

use super::rows_table::switches;
use super::world::{GROUPS, group_members};
use std::path::PathBuf;
use toml::{Table, Value};

/// What the groups hold that ship filled (`admins`, `ksn-servers`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// The peer's addresses.
    Site,
    /// What ships: any.
    Shipped,
}

pub fn shipped_path() -> PathBuf {
    match std::env::var_os("PORTGRAVE_POLICY") {
        Some(path) => path.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("policy/clearswift-seg.toml"),
    }
}

/// The shipped policy.
pub fn shipped() -> Table {
    let path = shipped_path();
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The shipped policy with only those rules on that carry one of `rows`, and the names of these rules.
pub fn with_rows(rows: &[&str]) -> (String, Vec<String>) {
    let mut policy = shipped();
    let mut names = Vec::new();
    let rules = policy.get_mut("rule").and_then(Value::as_array_mut).expect("the shipped policy has rules");
    for rule in rules.iter_mut().filter_map(Value::as_table_mut) {
        if rows_of(rule).iter().any(|row| rows.contains(&row.as_str())) {
            names.push(rule.get("name").and_then(Value::as_str).expect("a rule has a name").to_owned());
        } else {
            rule.insert("enabled".to_owned(), Value::Boolean(false));
        }
    }
    (toml::to_string(&policy).expect("what was read can be written"), names)
}

/// The rows that a rule carries.
pub fn rows_of(rule: &Table) -> Vec<String> {
    let rows = rule.get("rows").and_then(Value::as_array).cloned().unwrap_or_default();
    rows.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A site's file: every group filled with the peer's addresses, and every switch at `on`.
pub fn site(fill: Fill, on: bool) -> String {
    let mut text = String::from("language = 1\n\n[features]\n");
    for switch in switches() {
        text.push_str(&format!("{switch} = {on}\n"));
    }
    text.push_str("\n[hosts]\n");
    for group in GROUPS {
        if fill == Fill::Shipped && ["admins", "ksn-servers"].contains(&group) {
            continue;
        }
        let addresses: Vec<String> =
            group_members(group).into_iter().map(|address| format!("\"{address}\"")).collect();
        text.push_str(&format!("{group} = [{}]\n", addresses.join(", ")));
    }
    text
}

/// A site's file with every switch on.
pub fn all_on() -> String {
    site(Fill::Site, true)
}
