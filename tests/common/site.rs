//! A site to run the built program for.
#![allow(dead_code)]

use super::ns;
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};

pub const SITE: &str = "language = 1\n\n[[rule]]\nname = \"ssh-in\"\ndirection = \"in\"\nservice = \"ssh\"\n\
                    peers = [\"10.0.0.0/8\", \"192.0.2.7\"]\n\n[[rule]]\nname = \"updates\"\ndirection = \"out\"\n\
                    service = \"http\"\npeers = \"repo.example.net\"\n";

/// A state directory, settings, addresses of names and a policy file of a test's own.
pub struct Site {
    dir: tempfile::TempDir,
}

impl Site {
    pub fn new() -> Self {
        let site = Self { dir: tempfile::tempdir().expect("a temporary directory") };
        let state = site.path("state");
        let config = format!(
            "[paths]\nstate-dir = \"{}\"\nruntime-dir = \"{}\"\n[resolver]\nservers = [\"127.0.0.1\"]\n",
            state.display(),
            site.path("run").display()
        );
        site.write("portgrave.toml", &config);
        site.write("site.toml", SITE);
        site.write("names.toml", "\"repo.example.net\" = [\"93.184.216.34\"]\n");
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("the file is written");
    }

    pub fn command(&self, verb: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portgrave"));
        command.args(verb).arg("--config").arg(self.path("portgrave.toml"));
        command.arg("--policy").arg(self.path("site.toml")).arg("--names").arg(self.path("names.toml"));
        command
    }

    pub fn run(&self, verb: &[&str]) -> (i32, String) {
        outcome(&self.command(verb).output().expect("portgrave starts"))
    }

    /// The one JSON object that a verb prints, and its exit status.
    pub fn json(&self, verb: &[&str]) -> (i32, Value) {
        let output = self.command(verb).arg("--json").output().expect("portgrave starts");
        let value = serde_json::from_slice(&output.stdout);
        (
            output.status.code().unwrap_or(-1),
            value.unwrap_or_else(|error| panic!("{verb:?}: {error}\n{output:?}")),
        )
    }

    pub fn apply(&self) -> String {
        let (status, text) = self.run(&["apply"]);
        assert_eq!(status, 0, "{text}");
        text
    }
}

pub fn outcome(output: &Output) -> (i32, String) {
    (output.status.code().unwrap_or(-1), ns::text(output))
}

pub fn nft(args: &[&str]) -> String {
    let output = Command::new("nft").args(args).output().expect("nft is installed");
    assert!(output.status.success(), "nft {args:?}: {}", ns::text(&output));
    String::from_utf8(output.stdout).expect("text")
}

/// The table with handles, less what time and packets change.
pub fn listing() -> String {
    let text = nft(&["-a", "-s", "list", "ruleset"]);
    let mut parts = text.split(" expires ");
    let mut kept = parts.next().unwrap_or("").to_owned();
    for part in parts {
        kept.push_str(part.trim_start_matches(|c: char| c.is_ascii_alphanumeric()));
    }
    kept
}
