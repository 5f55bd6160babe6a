//! The built program, as a user runs it: exit statuses, JSON, and what an apply does and does not change. Each test that needs the
//! kernel runs in a network namespace of its own.
#![cfg(feature = "kernel")]

#[path = "common/in_force.rs"]
mod in_force;
#[path = "common/ns.rs"]
mod ns;
#[path = "common/site.rs"]
mod site;

use in_force::in_force;
use ns::{Namespace, ran_inside};
use portgrave::netlink::{Kernel, NfTables};
use serde_json::Value;
use site::{SITE, Site, listing, nft, outcome};
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn usage_errors_end_with_64_and_help_has_an_example() {
    let run =
        |args: &[&str]| outcome(&Command::new(env!("CARGO_BIN_EXE_portgrave")).args(args).output().unwrap());
    for args in [
        &["bogus"][..],
        &[],
        &["apply", "--bogus"],
        &["apply", "--names-wait", "soon"],
        &["show", "--format", "xml"],
        &["check", "--format", "xml"],
    ] {
        assert_eq!(run(args).0, 64, "{args:?}");
    }
    for verb in ["check", "show", "plan", "apply", "counters", "status", "services", "flush"] {
        let (status, text) = run(&[verb, "--help"]);
        assert!(status == 0 && text.contains("Example:\n  portgrave "), "{verb}: {text}");
        assert!(text.contains("Exit status:"), "{verb}: {text}");
    }
}

#[test]
fn check_and_show_need_no_kernel_and_print_one_object_with_json() {
    let site = Site::new();
    assert_eq!(site.run(&["check"]).0, 0);
    assert_eq!(site.json(&["check"]).1["rules"], 2);
    let (status, shown) = site.json(&["show"]);
    assert_eq!((status, &shown["table"]), (0, &Value::from("inet portgrave")));
    assert!(shown["chains"].as_array().unwrap().len() > 20);
    site.write("site.toml", &SITE.replace("\"out\"", "\"sideways\""));
    for verb in ["check", "show"] {
        let (status, refused) = site.json(&[verb]);
        assert_eq!(status, 1);
        let finding = &refused["findings"][0];
        assert_eq!(
            (&finding["code"], &finding["line"]),
            (&Value::from("PG212"), &Value::from(11)),
            "{refused}"
        );
    }
}

#[test]
fn a_second_apply_of_the_same_policy_writes_nothing() {
    if ran_inside(Namespace::Network, "a_second_apply_of_the_same_policy_writes_nothing") {
        return;
    }
    let site = Site::new();
    let (status, first) = site.json(&["apply"]);
    assert_eq!(
        (status, &first["outcome"], &first["generation"]),
        (0, &Value::from("applied"), &Value::from(1))
    );
    let (before, generation) = (listing(), NfTables.generation().unwrap());
    let (status, second) = site.json(&["apply"]);
    assert_eq!(
        (status, &second["outcome"], &second["changed"]),
        (0, &Value::from("unchanged"), &Value::from(false))
    );
    assert_eq!(second["generation"], 1);
    assert_eq!((before, generation), (listing(), NfTables.generation().unwrap()));
    assert_eq!(site.run(&["plan"]).0, 0);
    assert_eq!(site.json(&["status"]).0, 3);
}

#[test]
fn an_edit_is_planned_applied_and_counted_and_a_wrong_one_changes_nothing() {
    if ran_inside(
        Namespace::Network,
        "an_edit_is_planned_applied_and_counted_and_a_wrong_one_changes_nothing",
    ) {
        return;
    }
    let site = Site::new();
    site.apply();
    site.write(
        "site.toml",
        &format!(
            "{SITE}\n[[rule]]\nname = \"web\"\ndirection = \"in\"\nports = [\"tcp/443\"]\npeers = \"any\"\n"
        ),
    );
    let (status, plan) = site.run(&["plan"]);
    assert!(status == 2 && plan.contains("+ counter in.web"), "{plan}");
    let (status, applied) = site.json(&["apply"]);
    assert_eq!((status, &applied["generation"]), (0, &Value::from(2)));
    let (_, counters) = site.json(&["counters"]);
    let names: Vec<&str> =
        counters["counters"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"web") && names.contains(&"default.in"), "{names:?}");
    let before = listing();
    site.write(
        "site.toml",
        &SITE.replace("tcp/443", "tcp/90-80").replace("peers = \"repo", "peers = \"@repo"),
    );
    let (status, refused) = site.json(&["apply"]);
    assert_eq!((status, &refused["outcome"]), (1, &Value::from("refused")));
    assert_eq!(before, listing());
    assert_eq!(site.json(&["status"]).1["generation"], 2);
}

#[test]
fn the_printed_text_is_what_nft_takes() {
    if ran_inside(Namespace::Network, "the_printed_text_is_what_nft_takes") {
        return;
    }
    let site = Site::new();
    let output = site.command(&["show"]).output().unwrap();
    std::fs::write(site.path("rules.nft"), &output.stdout).unwrap();
    nft(&["-c", "-f", &site.path("rules.nft").display().to_string()]);
    assert_eq!(nft(&["list", "ruleset"]), "");
    assert_eq!(site.run(&["check", "--kernel"]).0, 0);
    assert_eq!(nft(&["list", "ruleset"]), "", "check --kernel works in a namespace of its own");
}

#[test]
fn what_others_change_in_the_table_is_mended_by_the_next_apply() {
    if ran_inside(Namespace::Network, "what_others_change_in_the_table_is_mended_by_the_next_apply") {
        return;
    }
    let site = Site::new();
    site.apply();
    let whole = nft(&["-s", "list", "table", "inet", "portgrave"]);
    for edit in [
        "flush chain inet portgrave in4.tcp",
        "insert rule inet portgrave input accept",
        "delete element inet portgrave in4.allow.exact { 192.0.2.7 . tcp . 22 }",
        "add element inet portgrave in4.allow.exact { 192.0.2.8 . tcp . 22 : \"in.ssh-in\" }",
        "flush map inet portgrave in.dispatch",
        "add chain inet portgrave stray",
        "delete table inet portgrave",
    ] {
        nft(&[edit]);
        assert_eq!(site.json(&["status"]).0, 1, "status is degraded after: {edit}");
        let (status, text) = site.run(&["apply"]);
        assert!(status == 0 && text.contains("applied"), "{edit}: {text}");
        let sorted = |text: &str| {
            // A set that was made anew has its second name.
            let text = without_lives(text).replace("/b ", " ").replace("/b\n", "\n");
            text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(sorted(&whole), sorted(&nft(&["-s", "list", "table", "inet", "portgrave"])), "{edit}");
    }
}

fn without_lives(text: &str) -> String {
    text.split(' ').filter(|word| !word.ends_with("ms")).collect::<Vec<_>>().join(" ")
}

#[test]
fn two_applies_at_once_are_one_after_the_other() {
    if ran_inside(Namespace::Network, "two_applies_at_once_are_one_after_the_other") {
        return;
    }
    let (one, two) = (Site::new(), Site::new());
    let shared = std::fs::read_to_string(one.path("portgrave.toml")).unwrap();
    two.write("portgrave.toml", &shared);
    two.write("site.toml", &SITE.replace("ssh-in", "console"));
    for _ in 0..5 {
        let start = |site: &Site| {
            site.command(&["apply"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("portgrave starts")
        };
        let runs = [start(&one), start(&two), start(&one), start(&two)];
        for run in runs {
            let (status, text) = outcome(&run.wait_with_output().unwrap());
            assert_eq!(status, 0, "{text}");
        }
        let status = one.json(&["status"]).1;
        assert_eq!(status["kernel"], "holds it", "{status}");
    }
}

#[test]
fn a_killed_apply_leaves_the_old_or_the_new_ruleset_whole() {
    if ran_inside(Namespace::Network, "a_killed_apply_leaves_the_old_or_the_new_ruleset_whole") {
        return;
    }
    let site = Site::new();
    let other = SITE.replace("ssh-in", "console").replace("10.0.0.0/8", "10.1.0.0/16");
    site.apply();
    let old = in_force();
    site.write("site.toml", &other);
    site.apply();
    let new = in_force();
    let kills = std::env::var("PORTGRAVE_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(40);
    let (mut olds, mut news) = (0, 0);
    for round in 0..kills {
        site.write("site.toml", SITE);
        site.apply();
        site.write("site.toml", &other);
        let mut run = site.command(&["apply"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_micros(round * 17_000 / kills));
        let _ = run.kill();
        let _ = run.wait();
        let now = in_force();
        assert!(now == old || now == new, "round {round}: a mix of both: {now:#?}");
        if now == old {
            olds += 1
        } else {
            news += 1
        }
        site.apply();
        assert_eq!(in_force(), new, "round {round}: the next apply finishes the change");
        assert_eq!(site.json(&["status"]).1["kernel"], "holds it", "round {round}: nothing is left over");
    }
    println!("killed {kills} times: {olds} old, {news} new, no mix");
}

#[test]
fn a_full_disk_refuses_the_change_and_leaves_what_runs() {
    if ran_inside(Namespace::Network, "a_full_disk_refuses_the_change_and_leaves_what_runs") {
        return;
    }
    let site = Site::new();
    std::fs::create_dir(site.path("state")).unwrap();
    // A private mount of the test's own namespaces.
    let state = site.path("state");
    let script = "mount -t tmpfs -o size=64k tmpfs \"$1\" && shift && \"$@\" && dd if=/dev/zero of=\"$STATE/filler\" bs=1k 2>/dev/null; \
                  nft -s list ruleset >\"$LIST.before\"; sed -i s/ssh-in/console/ \"$SITE\"; \"$@\"; status=$?; \
                  nft -s list ruleset >\"$LIST.after\"; exit $status";
    let mut command = Command::new("unshare");
    let flags = if nix::unistd::geteuid().is_root() { "-m" } else { "-rm" };
    command.args([flags, "bash", "-c", script, "bash"]).arg(&state);
    command
        .arg(env!("CARGO_BIN_EXE_portgrave"))
        .args(["apply", "--json", "--config"])
        .arg(site.path("portgrave.toml"));
    command.arg("--policy").arg(site.path("site.toml")).arg("--names").arg(site.path("names.toml"));
    command.env("STATE", &state).env("LIST", site.path("list")).env("SITE", site.path("site.toml"));
    let (status, text) = outcome(&command.output().unwrap());
    assert_eq!(status, 1, "{text}");
    assert!(text.contains("\"outcome\": \"refused\"") && text.contains("No space left"), "{text}");
    let read = |name: &str| std::fs::read_to_string(site.path(name)).unwrap();
    assert!(read("list.before").contains("ssh-in"));
    assert_eq!(without_lives(&read("list.before")), without_lives(&read("list.after")));
}

#[test]
fn broken_state_is_named_and_nothing_is_changed() {
    if ran_inside(Namespace::Network, "broken_state_is_named_and_nothing_is_changed") {
        return;
    }
    let site = Site::new();
    site.apply();
    let before = listing();
    for broken in ["", "{", "{\"format\":7}"] {
        site.write("state/generation.json", broken);
        let (status, text) = site.run(&["apply"]);
        assert!(status == 1 && text.contains("generation.json is not what portgrave wrote"), "{text}");
        assert_eq!(before, listing());
    }
    std::fs::remove_file(site.path("state/generation.json")).unwrap();
    site.write("state/names.json", "junk");
    site.apply();
    assert_eq!(site.json(&["status"]).0, 3);
}

#[test]
fn a_list_too_large_to_be_read_back_is_followed_by_count_and_content() {
    if ran_inside(Namespace::Network, "a_list_too_large_to_be_read_back_is_followed_by_count_and_content") {
        return;
    }
    let site = Site::new();
    let list = |count: u32| -> String {
        (0..count).map(|n| format!("{}\n", std::net::Ipv4Addr::from(0xc633_0000_u32 + n * 2))).collect()
    };
    site.write("block.txt", &list(20_000));
    let policy = format!(
        "language = 1\n[hosts]\nblock = {{ file = \"{}\" }}\n{}\n[[rule]]\nname = \"block\"\ndirection = \"in\"\n\
         ports = [\"any\"]\npeers = \"@block\"\naction = \"deny\"\n",
        site.path("block.txt").display(),
        SITE.trim_start_matches("language = 1\n")
    );
    site.write("site.toml", &policy);
    let (_, first) = site.json(&["apply"]);
    assert!(first["summary"]["elements_added"].as_u64().unwrap() >= 20_000, "{first}");
    assert_eq!(site.json(&["apply"]).1["outcome"], "unchanged");
    site.write("block.txt", &list(20_001));
    let (status, plan) = site.json(&["plan"]);
    assert_eq!((status, &plan["summary"]["elements_added"]), (2, &Value::from(1)), "{plan}");
    let (_, second) = site.json(&["apply"]);
    assert_eq!(second["summary"]["elements_added"], 1, "{second}");
    nft(&["flush set inet portgrave list4.block"]);
    assert_eq!(site.json(&["status"]).0, 1);
    assert_eq!(site.json(&["apply"]).1["summary"]["elements_added"], 20_001);
    nft(&["delete element inet portgrave list4.block { 198.51.0.2 }"]);
    let (_, mended) = site.json(&["apply"]);
    assert_eq!(mended["outcome"], "applied", "{mended}");
    // A set that is filled again is made beside the old one, under its second name.
    nft(&["get element inet portgrave list4.block/b { 198.51.0.2 }"]);
    assert!(Path::new(&site.path("state/lists")).read_dir().unwrap().count() == 1);
}

#[test]
fn flush_removes_the_table_and_nothing_else() {
    if ran_inside(Namespace::Network, "flush_removes_the_table_and_nothing_else") {
        return;
    }
    let site = Site::new();
    nft(&["add table ip other; add chain ip other c"]);
    site.apply();
    assert_eq!(site.run(&["flush"]).0, 0);
    assert_eq!(nft(&["list", "ruleset"]), "table ip other {\n\tchain c {\n\t}\n}\n");
    assert_eq!(site.json(&["flush"]), (0, serde_json::json!({ "changed": false })));
    assert_eq!(site.run(&["counters"]).0, 1);
    assert_eq!(site.json(&["status"]).0, 1);
}

/// The first step of a migration: what no rule allows still passes, and is counted as what would be denied.
#[test]
fn with_an_output_in_audit_mode_everything_passes_and_is_counted_as_what_would_be_denied() {
    if ran_inside(
        Namespace::Network,
        "with_an_output_in_audit_mode_everything_passes_and_is_counted_as_what_would_be_denied",
    ) {
        return;
    }
    for arguments in [
        "link add eth1 type veth peer name far",
        "address add 192.0.2.1/24 dev eth1",
        "link set eth1 up",
        "link set far up",
        "neigh replace 192.0.2.9 lladdr 02:00:00:00:00:09 dev eth1 nud permanent",
        "route add default via 192.0.2.9",
    ] {
        let status = std::process::Command::new("ip").args(arguments.split(' ')).status().expect("ip");
        assert!(status.success(), "ip {arguments}");
    }
    let site = Site::new();
    let sent = |to: &str| std::net::UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"x", to);
    let counted = |name: &str| {
        let counters = site.json(&["counters"]).1;
        let all = counters["counters"].as_array().unwrap().clone();
        let of_name = all.iter().find(|counter| counter["name"] == name && counter["direction"] == "out");
        let counter = of_name.unwrap_or_else(|| panic!("{name}: {all:?}"));
        (counter["packets"].as_u64().unwrap(), counter["audit"].as_bool().unwrap())
    };
    let audit_rule = "[[rule]]\nname = \"no-web\"\ndirection = \"out\"\nports = [\"udp/443\"]\npeers = \"any\"\n\
                      action = \"deny\"\nmode = \"audit\"\n";
    let audit = SITE.replace("language = 1\n", "language = 1\n[default]\nout = \"audit\"\n");
    site.write("site.toml", &format!("{audit}\n{audit_rule}"));
    site.apply();
    assert!(sent("203.0.113.9:99").is_ok() && sent("203.0.113.9:443").is_ok());
    assert_eq!((counted("default.out"), counted("no-web")), ((2, true), (1, true)));
    site.write("site.toml", SITE);
    site.apply();
    assert!(sent("203.0.113.9:99").is_err(), "denied packets are refused to their sender");
    assert_eq!(counted("default.out"), (3, false));
}
