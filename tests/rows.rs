//! Every row of the port table, by real packets through a gateway.
//!
//! `ROWS=1 cargo test --test rows -- --nocapture` prints the table.

mod rig;

use rig::{Agent, Check, Fill, Outcome, Part, Probe, ROWS, RowResult, World, isolated, say};

/// The checks of every row, and a world in which each of their packets was seen to get through without rules.
fn proven_world() -> World {
    let mut world = World::new();
    world.serve_names();
    let mut probes: Vec<Probe> =
        ROWS.iter().flat_map(|row| rig::checks(row).0).map(|check| check.probe).collect();
    probes.sort();
    probes.dedup();
    for probe in &probes {
        let (written, seen) = match probe {
            Probe::Flow(flow) => (flow.written(), flow.send(&world)),
            Probe::Ftp(case) => (case.written(), case.send(&world)),
        };
        assert_eq!(seen.outcome, Outcome::Passed, "without rules: {written}");
    }
    world
}

fn all_checks_hold(results: &[RowResult]) {
    rig::print_table(results, std::env::var_os("ROWS").is_some());
    let failures = rig::print_failures(results);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What must pass with all rows in force whose parts are `on`; FTP's data connections belong to R02.
fn expected(check: &Check, on: fn(&Part) -> bool, fill: Fill) -> bool {
    match &check.probe {
        Probe::Flow(flow) => rig::allowed_by(ROWS, on, fill, flow).is_some(),
        Probe::Ftp(_) => {
            check.passes && ROWS.iter().filter(|row| row.id == "R02").all(|row| on(&row.parts[0]))
        }
    }
}

#[test]
fn each_row_alone_lets_through_what_it_names_and_nothing_else() {
    isolated("each_row_alone_lets_through_what_it_names_and_nothing_else", || {
        let world = proven_world();
        let agent = Agent::new(&world);
        let site = agent.policy("site", &rig::all_on());
        let mut results = Vec::new();
        for row in ROWS {
            let (text, rules) = rig::with_rows(&[row.id]);
            assert!(!rules.is_empty(), "no rule of the shipped policy carries {}", row.id);
            let policy = agent.policy("row", &text);
            agent.apply(&world.gw, &[&policy, &site]);
            let counted: Vec<String> =
                rules.iter().flat_map(|rule| [format!("in.{rule}"), format!("out.{rule}")]).collect();
            let (checks, missing) = rig::checks(row);
            let result = RowResult::of(&world, (row.id, row.title), &checks, |check| check.passes, &counted);
            results.push(RowResult { missing, ..result });
        }
        assert_eq!(results.len(), 39, "the port table has 39 rows");
        all_checks_hold(&results);
    });
}

#[test]
fn all_rows_together_let_through_what_any_of_them_names() {
    isolated("all_rows_together_let_through_what_any_of_them_names", || {
        let world = proven_world();
        let agent = Agent::new(&world);
        let shipped = agent.policy("shipped", &rig::with_rows(&ids()).0);
        for fill in [Fill::Site, Fill::Shipped] {
            let site = agent.policy("site", &rig::site(fill, true));
            agent.apply(&world.gw, &[&shipped, &site]);
            let results = run_all(&world, |_| true, fill);
            say(format!("all rows together, every switch on, groups of {fill:?}:"));
            all_checks_hold(&results);
        }
    });
}

#[test]
fn with_every_switch_off_only_the_rows_without_one_are_open() {
    isolated("with_every_switch_off_only_the_rows_without_one_are_open", || {
        let world = proven_world();
        let agent = Agent::new(&world);
        let shipped = agent.policy("shipped", &rig::with_rows(&ids()).0);
        let site = agent.policy("site", &rig::site(Fill::Site, false));
        agent.apply(&world.gw, &[&shipped, &site]);
        let results = run_all(&world, |part| part.switch.is_none(), Fill::Site);
        say("every optional row off:");
        all_checks_hold(&results);
    });
}

#[test]
fn a_row_that_the_policy_lacks_or_opens_too_far_fails_its_check() {
    isolated("a_row_that_the_policy_lacks_or_opens_too_far_fails_its_check", || {
        let mut world = World::new();
        world.serve_names();
        let agent = Agent::new(&world);
        let site = agent.policy("site", &rig::all_on());
        let empty = agent.policy("empty", &rig::with_rows(&[]).0);
        let open = agent.policy("open", OPEN);
        for (policies, what) in
            [([&empty, &site], "without its rule"), ([&open, &site], "with everything open")]
        {
            agent.apply(&world.gw, &policies.map(|path| path.as_path()));
            for row in ROWS {
                let (checks, _) = rig::checks(row);
                // One packet of each class is enough to fail, and what fails is quick.
                let result = RowResult::of(&world, (row.id, row.title), &checks, |check| check.passes, &[]);
                assert!(!result.holds(), "{} {what} passed its check: {}", row.id, result.line());
            }
        }
    });
}

#[test]
fn counters_print_what_nft_lists() {
    isolated("counters_print_what_nft_lists", || {
        let mut world = World::new();
        world.serve_names();
        let agent = Agent::new(&world);
        let policy = agent.policy("shipped", &rig::with_rows(&ids()).0);
        let site = agent.policy("site", &rig::all_on());
        agent.apply(&world.gw, &[&policy, &site]);
        let ntp = ROWS.iter().find(|row| row.id == "R21").expect("a row");
        RowResult::of(&world, (ntp.id, ntp.title), &rig::checks(ntp).0, |check| check.passes, &[]);

        let nft = rig::Counters::read(&world.gw);
        let printed = world.gw.stdout(agent.command("counters", &[]).arg("--json"));
        let printed: serde_json::Value = serde_json::from_str(&printed).expect("one object");
        let counters = printed["counters"].as_array().expect("a list");
        let mut known = std::collections::BTreeMap::new();
        for counter in counters {
            let text = |key: &str| counter[key].as_str().expect("a string").to_owned();
            let (name, direction) = (text("name"), text("direction"));
            let object = if name.starts_with("default.") {
                format!("{direction}.default")
            } else {
                format!("{direction}.{name}")
            };
            known.insert(object, counter["packets"].as_u64().expect("a number"));
        }
        // The kernel's own reports of multicast membership may come between the two readings.
        known.retain(|name, _| !name.ends_with("multicast-membership"));
        let of_agent = nft
            .0
            .into_iter()
            .filter(|((table, _), _)| table == "portgrave")
            .map(|((_, name), packets)| (name, packets));
        let of_agent: std::collections::BTreeMap<String, u64> =
            of_agent.filter(|(name, _)| !name.ends_with("multicast-membership")).collect();
        assert_eq!(known, of_agent);
        assert!(known["out.default"] >= 8 && known["in.default"] >= 2, "{known:?}");
    });
}

#[test]
fn the_shipped_policy_has_the_rows_and_switches_of_the_table() {
    let policy = rig::shipped();
    let rules = policy["rule"].as_array().expect("rules");
    let mut rows: Vec<String> =
        rules.iter().filter_map(|rule| rule.as_table()).flat_map(rig::rows_of).collect();
    rows.sort();
    rows.dedup();
    assert_eq!(rows, ids());
    let mut features: Vec<(&str, bool)> = policy["features"]
        .as_table()
        .expect("switches")
        .iter()
        .map(|(name, on)| (name.as_str(), on.as_bool().expect("a switch is true or false")))
        .collect();
    features.sort_unstable();
    let wanted: Vec<(&str, bool)> =
        rig::switches().into_iter().map(|name| (name, ["ntp", "external-dns"].contains(&name))).collect();
    assert_eq!(features, wanted, "all switches ship off but two");
}

const OPEN: &str = r#"
language = 1

[[rule]]
name = "open"
direction = "both"
ports = ["any"]
peers = "any"
purpose = "A fault for the checks to find"
"#;

fn ids() -> Vec<&'static str> {
    ROWS.iter().map(|row| row.id).collect()
}

fn run_all(world: &World, on: fn(&Part) -> bool, fill: Fill) -> Vec<RowResult> {
    let mut results = Vec::new();
    for row in ROWS {
        let (checks, missing) = rig::checks(row);
        let expect = |check: &Check| expected(check, on, fill);
        let result = RowResult::of(world, (row.id, row.title), &checks, expect, &[]);
        results.push(RowResult { missing, ..result });
    }
    results
}
