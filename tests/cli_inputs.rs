//! What the built program reads, and what it makes of it: no rule at all, another root, services, reports of
//! `check`, a machine that forwards.
#![cfg(all(feature = "kernel", feature = "daemon"))]

#[path = "common/ns.rs"]
mod ns;
#[path = "common/site.rs"]
mod site;

use ns::{Namespace, ran_inside};
use serde_json::Value;
use site::{SITE, Site, nft, outcome};
use std::io::Write;
use std::process::{Command, Stdio};

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

/// A site whose policy asks for a list file and for the servers of resolv.conf, and what is under another root.
fn with_root() -> Site {
    let site = Site::new();
    site.write("portgrave.toml", "");
    let policy = "language = 1\n[hosts]\nblock = { file = \"/etc/lists/block.txt\" }\ndns = { resolv-conf = true }\n\
                  [[rule]]\nname = \"block\"\ndirection = \"in\"\nports = [\"any\"]\npeers = \"@block\"\naction = \"deny\"\n\
                  [[rule]]\nname = \"dns\"\ndirection = \"out\"\nservice = \"dns\"\npeers = \"@dns\"\n\
                  [[rule]]\nname = \"relay\"\ndirection = \"out\"\nservice = \"smtp\"\npeers = \"any\"\nuser = \"rig-relay\"\n\
                  [[rule]]\nname = \"ssh\"\ndirection = \"in\"\nservice = \"ssh\"\npeers = \"any\"\n";
    site.write("site.toml", policy);
    for directory in ["root/etc", "root/run/resolve", "root/srv/lists"] {
        std::fs::create_dir_all(site.path(directory)).expect("a directory");
    }
    std::os::unix::fs::symlink("/srv/lists", site.path("root/etc/lists")).expect("a link");
    std::os::unix::fs::symlink("/run/resolve/resolv.conf", site.path("root/etc/resolv.conf"))
        .expect("a link");
    site.write("root/srv/lists/block.txt", "198.51.100.7\n");
    site.write("root/etc/passwd", "root:x:0:0::/:/bin/sh\nrig-relay:x:4711:4711::/:/bin/sh\n");
    site.write("root/run/resolve/resolv.conf", "nameserver 192.0.2.99\n");
    site
}

#[test]
fn lists_resolv_conf_and_users_are_read_under_another_root_through_its_own_links() {
    let site = with_root();
    let root = site.path("root").display().to_string();
    let (status, shown) = site.run(&["show", "--root", &root]);
    assert_eq!(status, 0, "{shown}");
    for part in ["198.51.100.7", "192.0.2.99", "skuid 4711"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let (status, shown) = site.json(&["check"]);
    assert!(status == 1 && shown.to_string().contains("PG402"), "without it the machine's own: {shown}");
}

#[test]
fn what_is_missing_or_unsafe_under_the_root_is_said_with_its_path_outside() {
    let site = with_root();
    let root = site.path("root").display().to_string();
    let refused = |code: &str, words: &str| {
        let (status, checked) = site.json(&["check", "--root", &root]);
        let finding = &checked["findings"][0];
        assert_eq!((status, &finding["code"]), (1, &code.into()), "{checked}");
        assert!(finding["message"].as_str().is_some_and(|text| text.contains(words)), "{finding}");
    };
    let writable = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(site.path("root/srv/lists"), writable).expect("a mode");
    refused("PG409", &format!("{root}/etc/lists/block.txt: its directory may be written by others"));
    std::fs::remove_dir_all(site.path("root/srv")).expect("removed");
    refused("PG402", &format!("{root}/etc/lists/block.txt: there is no such file"));
    std::fs::remove_dir_all(&root).expect("removed");
    refused("PG402", &format!("{root}: there is no such file or directory"));
}

/// `portgrave services` as it is typed, without a policy.
fn services(args: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portgrave"));
    outcome(&command.arg("services").args(args).output().expect("portgrave starts"))
}

#[test]
fn services_prints_the_catalogue_or_one_of_it_by_any_of_its_names() {
    let (status, text) = services(&[]);
    assert!(status == 0 && text.lines().count() >= 80, "{text}");
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    for name in ["submissions", "smtps"] {
        let (status, text) = services(&[name]);
        assert_eq!(status, 0, "{text}");
        assert_eq!(words(&text)[..3], ["submissions,", "smtps", "tcp/465"], "{text}");
    }
    assert_eq!(words(&services(&["ftp"]).1)[..4], ["ftp", "tcp/21,", "helper", "ftp"]);
    let (status, text) = services(&["smpt"]);
    assert!(status == 1 && text.contains("unknown service \"smpt\"") && text.contains("\"smtp\"?"), "{text}");
    let (status, text) = services(&["--json", "qqqqqqqq"]);
    assert!(status == 1 && text.contains("\"PG305\"") && text.contains("`portgrave services`"), "{text}");
}

#[test]
fn services_of_the_policy_stand_among_the_catalogue_with_their_place() {
    let site = Site::new();
    let own = "language = 1\n[services]\nsmtps = { ports = [\"tcp/10465\"] }\n\
               backup = { ports = [\"tcp/990\"], passive = \"tcp/50000-50100\" }\n";
    site.write("site.toml", own);
    let service = |name: &str| site.json(&["services", name]).1["services"][0].clone();
    let place = |line: u32, column: u32| format!("{}:{line}:{column}", site.path("site.toml").display());
    assert_eq!(service("smtps")["ports"], serde_json::json!(["tcp/10465"]));
    assert_eq!(service("smtps")["place"], place(3, 1));
    assert_eq!(service("submissions")["also"], serde_json::json!([]));
    assert_eq!(service("backup")["ports"], serde_json::json!(["tcp/990", "tcp/50000-50100 (passive)"]));
    assert_eq!((&service("ssh")["place"], &service("ssh")["also"][0]), (&Value::Null, &"sftp".into()));
    site.write("site.toml", "language = 1\n[services]\nsmtps = { ports = [\"tcp/x\"] }\n");
    let (status, refused) = site.json(&["services", "smtp"]);
    assert_eq!((status, &refused["findings"][0]["code"]), (1, &"PG203".into()), "{refused}");
}

/// What a parser of XML finds in a document: each suite with its case's name, outcome, message and text.
fn parsed(xml: &str) -> Value {
    const PARSER: &str = "import json, sys, xml.etree.ElementTree as tree\n\
        root = tree.fromstring(sys.stdin.buffer.read())\n\
        counts = lambda e: {k: e.get(k) for k in ('tests', 'failures', 'skipped')}\n\
        case = lambda e: {**e.attrib, 'outcome': [[o.tag, o.get('type'), o.get('message'), o.text] for o in e]}\n\
        suites = [{'name': s.get('name'), **counts(s), 'cases': [case(c) for c in s]} for s in root]\n\
        print(json.dumps({**counts(root), 'suites': suites}))";
    let mut parser = Command::new("python3")
        .args(["-c", PARSER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    parser.stdin.take().expect("its input").write_all(xml.as_bytes()).expect("it reads");
    let output = parser.wait_with_output().expect("python3 ends");
    assert!(output.status.success(), "not XML:\n{xml}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn junit(site: &Site) -> (i32, Value) {
    let output = site.command(&["check", "--format", "junit"]).output().expect("portgrave starts");
    assert!(output.stderr.is_empty(), "{output:?}");
    (output.status.code().unwrap_or(-1), parsed(&String::from_utf8_lossy(&output.stdout)))
}

#[test]
fn a_junit_report_fails_a_case_for_each_error_with_place_code_and_remedy() {
    let site = Site::new();
    let wrong = SITE.replace("\"out\"", "\"side<ways>&\\u0001\"").replace("\"http\"", "[]");
    site.write("site.toml", &wrong);
    let (status, report) = junit(&site);
    assert_eq!((status, &report["failures"], &report["tests"]), (1, &"2".into(), &"4".into()), "{report}");
    let place = site.path("site.toml").display().to_string();
    let suites = report["suites"].as_array().unwrap();
    let suite = suites.iter().find(|suite| suite["name"] == place.as_str()).expect("the policy's suite");
    let case = &suite["cases"][0];
    assert_eq!((&case["line"], &case["file"]), (&"11".into(), &place.as_str().into()), "{case}");
    assert!(case["name"].as_str().unwrap().starts_with("error[PG212] at 11:13: "), "{case}");
    let outcome = &case["outcome"][0];
    assert_eq!((&outcome[0], &outcome[1]), (&"failure".into(), &"PG212".into()), "{case}");
    let text = outcome[3].as_str().unwrap();
    for part in [&format!("{place}:11:13"), "side<ways>&\\u0001", "= help: "] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_junit_report_of_a_sound_policy_has_passed_and_shows_its_warnings() {
    let site = Site::new();
    let (status, report) = junit(&site);
    assert_eq!((status, &report["failures"], &report["skipped"]), (0, &"0".into(), &"0".into()), "{report}");
    assert_eq!(report["tests"], "3", "the settings, the policy file and the whole: {report}");
    site.write("site.toml", &SITE.replace("service = \"ssh\"", "service = \"smtp\""));
    let (status, report) = junit(&site);
    assert_eq!((status, &report["failures"], &report["skipped"]), (0, &"0".into(), &"1".into()), "{report}");
    let outcome = &report["suites"][0]["cases"][0]["outcome"][0];
    assert_eq!((&outcome[0], &outcome[1]), (&"skipped".into(), &"PG337".into()), "{report}");
}

#[test]
fn formats_of_check_are_text_json_and_junit() {
    let site = Site::new();
    let said = |args: &[&str]| site.run(&[&["check"], args].concat());
    assert_eq!(said(&["--format", "json"]), said(&["--json"]));
    assert_eq!(said(&["--format", "text"]), said(&[]));
    let (status, text) = said(&["--format", "sarif"]);
    assert!(status == 64 && text.contains("not built yet"), "{text}");
}

/// Sets a sysctl of the network namespace that a test runs in.
fn sysctl(name: &str, value: &str) {
    let path = format!("/proc/sys/net/{name}");
    std::fs::write(&path, value).unwrap_or_else(|error| panic!("{path} cannot be written: {error}"));
}

#[test]
fn check_warns_of_forwarding_that_the_policy_leaves_alone_on_its_own_machine_only() {
    if ran_inside(
        Namespace::Network,
        "check_warns_of_forwarding_that_the_policy_leaves_alone_on_its_own_machine_only",
    ) {
        return;
    }
    let site = Site::new();
    let config = site.path("portgrave.toml").display().to_string();
    let directory = site.path("policy.d");
    std::fs::create_dir(&directory).expect("a directory");
    let settings = std::fs::read_to_string(&config).expect("the settings");
    let paths = format!("[paths]\npolicy-dir = \"{}\"\n", directory.display());
    site.write("portgrave.toml", &settings.replace("[paths]\n", &paths));
    let write = |default: &str| {
        site.write(
            "policy.d/50-site.toml",
            &SITE.replace("language = 1\n", &format!("language = 1\n{default}")),
        );
    };
    let check = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portgrave"));
        let output = command.args(["check", "--config", &config]).args(more).output();
        let (status, text) = outcome(&output.expect("portgrave starts"));
        assert_eq!(status, 0, "{text}");
        text.lines().find(|line| line.contains("PG416")).unwrap_or_default().to_owned()
    };
    write("");
    sysctl("ipv4/ip_forward", "0");
    sysctl("ipv6/conf/all/forwarding", "0");
    assert_eq!(check(&[]), "");
    sysctl("ipv4/ip_forward", "1");
    assert!(check(&[]).contains("forwards IPv4, and no chain"), "{}", check(&[]));
    sysctl("ipv6/conf/all/forwarding", "1");
    assert!(check(&[]).contains("forwards IPv4 and IPv6, and no chain"), "{}", check(&[]));
    let site_file = site.path("policy.d").display().to_string();
    assert_eq!(check(&["--policy", &site_file]), "", "a policy for any machine");
    assert_eq!(check(&["--root", &site_file]), "", "a policy for another machine");
    write("[default]\nforward = \"deny\"\n");
    assert_eq!(check(&[]), "");
}
