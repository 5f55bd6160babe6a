//! The program under test, with directories of its own.

use super::world::{Family, Host, address};
use super::{Ns, World};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub struct Agent {
    dir: PathBuf,
    config: PathBuf,
}

impl Agent {
    /// Settings that keep everything in the world's temporary directory and ask the world's DNS server.
    pub fn new(world: &World) -> Self {
        let servers = Family::BOTH.map(|family| format!("\"{}\"", address(Host::Dns, family)));
        Self::at(world.dir.path(), &format!("[resolver]\nservers = [{}]\n", servers.join(", ")))
    }

    /// Settings in `dir`, with `more` text of portgrave.toml.
    pub fn at(dir: &Path, more: &str) -> Self {
        let dir = dir.join("agent");
        for part in ["vendor", "policy.d", "state", "run"] {
            std::fs::create_dir_all(dir.join(part)).expect("a directory of the test's own");
        }
        let config = dir.join("portgrave.toml");
        let paths = format!(
            "[paths]\nvendor-dir = \"{0}/vendor\"\npolicy-dir = \"{0}/policy.d\"\n\
             state-dir = \"{0}/state\"\nruntime-dir = \"{0}/run\"\n\n",
            dir.display()
        );
        std::fs::write(&config, format!("{paths}{more}")).expect("a settings file");
        Self { dir, config }
    }

    /// Writes a policy file, for `--policy`.
    pub fn policy(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.join(format!("{name}.toml"));
        std::fs::write(&path, text).expect("a policy file");
        path
    }

    /// `portgrave VERB --config … --policy …`
    pub fn command(&self, verb: &str, policies: &[&Path]) -> Command {
        let mut command = Command::new(program());
        command.arg(verb).arg("--config").arg(&self.config);
        for policy in policies {
            command.arg("--policy").arg(policy);
        }
        command
    }

    /// Applies policies, each a layer above the one before, and returns what was printed.
    ///
    /// # Panics
    /// If they are refused.
    pub fn apply(&self, ns: &Ns, policies: &[&Path]) -> String {
        let output = self.try_apply(ns, policies);
        let text = printed(&output);
        assert!(output.status.success(), "apply {policies:?}: {}\n{text}", output.status);
        text
    }

    pub fn try_apply(&self, ns: &Ns, policies: &[&Path]) -> Output {
        ns.output(&mut self.command("apply", policies))
    }

    pub fn flush(&self, ns: &Ns) {
        let output = ns.output(&mut self.command("flush", &[]));
        assert!(output.status.success(), "flush: {}", printed(&output));
    }
}

/// Both outputs of a command.
pub fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The binary that cargo built, or the one that PORTGRAVE_BIN names.
pub fn program() -> PathBuf {
    std::env::var_os("PORTGRAVE_BIN").map_or_else(|| env!("CARGO_BIN_EXE_portgrave").into(), PathBuf::from)
}
