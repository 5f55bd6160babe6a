//! Files that are shipped are files that are tested: the settings, the policies, the README's first policy.
#![cfg(all(feature = "kernel", feature = "daemon"))]

use portgrave::diag::SourceMap;
use portgrave::policy::{Settings, parse_settings};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;

const SETTINGS: &str = include_str!("../packaging/portgrave.toml");
const README: &str = include_str!("../README.md");

fn settings(text: &str) -> Result<Settings, String> {
    let mut sources = SourceMap::default();
    let file = sources.add("portgrave.toml", text);
    parse_settings(&sources, Some(file)).map_err(|findings| format!("{findings:?}"))
}

/// The setting that a commented line holds.
fn commented(line: &str) -> Option<&str> {
    line.strip_prefix('#')
        .filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()) && rest.contains(" = "))
}

/// The keys that a section takes, as the finding on an unknown one lists them.
fn keys_of(section: &str) -> BTreeSet<String> {
    let refused = settings(&format!("{section}\nqqqqqqqq = 1\n")).unwrap_err();
    let (_, list) = refused.split_once("known here: ").expect("the finding lists the keys");
    list.split('"').next().unwrap_or_default().split(", ").map(str::to_owned).collect()
}

#[test]
fn the_shipped_settings_change_nothing() {
    assert_eq!(settings(SETTINGS).unwrap(), Settings::default());
}

#[test]
fn every_commented_setting_shows_its_default_and_every_key_is_there() {
    let mut section = "";
    let mut shown = BTreeSet::new();
    for line in SETTINGS.lines() {
        if line.starts_with('[') || line.starts_with("#[[") {
            section = line;
        }
        let Some(setting) = commented(line) else { continue };
        // A list of tables is empty unless one is written: what is shown is an example.
        if section.starts_with('#') {
            continue;
        }
        let read = settings(&format!("{section}\n{setting}\n")).unwrap();
        let mut wanted = Settings::default();
        if setting.starts_with("servers") {
            wanted.resolver.servers = Some(vec![SocketAddr::from(([192, 0, 2, 53], 53))]);
        }
        assert_eq!(read, wanted, "{setting}");
        shown.insert((section, setting.split(' ').next().unwrap_or_default().to_owned()));
    }
    for section in ["", "[paths]", "[resolver]", "[control]", "[log]"] {
        let mut keys = keys_of(section);
        keys.retain(|key| !["paths", "resolver", "control", "log", "domain"].contains(&key.as_str()));
        let of_section = shown.iter().filter(|(of, _)| *of == section).map(|(_, key)| key.clone()).collect();
        assert_eq!(keys, of_section, "{section}");
    }
    let whole = |line: &'static str| line.strip_prefix('#').filter(|rest| rest.starts_with("[["));
    let uncommented = |line| commented(line).or(whole(line)).unwrap_or(line).to_owned() + "\n";
    let all: String = SETTINGS.lines().map(uncommented).collect();
    assert!(settings(&all).is_ok(), "all together");
}

#[test]
fn the_commented_domain_of_the_shipped_settings_has_every_key() {
    let (_, rest) = SETTINGS.split_once("#[[resolver.domain]]\n").expect("a domain");
    let lines: Vec<&str> = rest.lines().map_while(|line| line.strip_prefix('#')).collect();
    let read = settings(&format!("[[resolver.domain]]\n{}\n", lines.join("\n"))).unwrap();
    assert_eq!(read.resolver.domains.len(), 1);
    let key = |line: &&str| line.split(' ').next().unwrap_or_default().to_owned();
    assert_eq!(lines.iter().map(key).collect::<BTreeSet<_>>(), keys_of("[[resolver.domain]]"));
}

/// The text of a fenced block of the README.
fn block(language: &str) -> &'static str {
    let (_, rest) = README.split_once(&format!("```{language}\n")).expect("the README has such a block");
    rest.split("```").next().unwrap_or_default()
}

/// What `check` says of a text as a policy file, with the shipped policy below it or alone.
fn check(text: &str, below: &[&str]) -> (bool, String) {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("a mode");
        path
    };
    let config = write("portgrave.toml", "[resolver]\nservers = [\"192.0.2.53\"]\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_portgrave"));
    command.arg("check").arg("--config").arg(config);
    for (index, text) in below.iter().chain([&text]).enumerate() {
        command.arg("--policy").arg(write(&format!("{index}.toml"), text));
    }
    let output = command.output().expect("the program starts");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn the_policy_of_the_readme_is_sound() {
    let (sound, said) = check(block("toml"), &[]);
    assert!(sound && !said.contains("warning["), "{said}");
    let (sound, _) = check(&block("toml").replace("\"in\"", "\"inn\""), &[]);
    assert!(!sound, "a check that cannot fail");
}

#[test]
fn every_shipped_policy_and_example_is_sound() {
    let shipped = include_str!("../policy/clearswift-seg.toml");
    assert!(check(shipped, &[]).0);
    let (sound, said) = check(include_str!("../policy/management.toml"), &[]);
    assert!(sound && !said.contains("warning["), "{said}");
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/examples/clearswift-seg");
    let mut count = 0;
    for entry in std::fs::read_dir(directory).expect("there are examples") {
        let path = entry.expect("an entry").path();
        let example = std::fs::read_to_string(&path).expect("a text");
        let (sound, said) = check(&example, &[shipped]);
        assert!(sound, "{}: {said}", path.display());
        count += 1;
    }
    assert!(count >= 3, "{count} examples");
}
