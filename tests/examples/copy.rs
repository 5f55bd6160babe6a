//! An example as it is on a machine: its files where they belong, but under a directory of the test's own.

use super::rig::{self, Ns, printed};
use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub struct Copy {
    dir: tempfile::TempDir,
    name: &'static str,
}

/// Where the examples are.
pub fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples")
}

/// Every file below a directory, as paths from there, sorted.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(part) = waiting.pop() {
        let entries = std::fs::read_dir(directory.join(&part)).expect("a directory of the examples");
        for entry in entries.map(|entry| entry.expect("an entry")) {
            let path = part.join(entry.file_name());
            if entry.path().is_dir() { waiting.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

impl Copy {
    /// The example with the modes that policies must have, whatever those of the checkout are.
    pub fn of(name: &'static str) -> Self {
        let copy = Self { dir: tempfile::tempdir().expect("a temporary directory"), name };
        let from = examples().join(name);
        for file in files_below(&from) {
            let text = std::fs::read_to_string(from.join(&file)).expect("a text");
            copy.write(&file, &text);
        }
        let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("policy");
        for file in ["clearswift-seg.toml", "management.toml"] {
            let text = std::fs::read_to_string(policy.join(file)).expect("a shipped policy");
            copy.write(&Path::new("vendor").join(file), &text);
        }
        copy.write(Path::new("root/etc/portgrave/lists/README"), "");
        copy
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn write(&self, name: &Path, text: &str) {
        let path = self.dir.path().join(name);
        let directory = path.parent().expect("a directory");
        DirBuilder::new().recursive(true).mode(0o755).create(directory).expect("a directory");
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("a mode");
    }

    /// Renders the templates over the committed files, with some variables at other values.
    pub fn render(&self, settings: &[&str]) {
        let mut command = Command::new(rig::servers::PYTHON);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/render.py"));
        command.args(["templates", "vars.yml", "policy.d"].map(|name| self.path(name))).args(settings);
        let output = command.output().expect("python3 is installed (tests/PACKAGES)");
        assert!(output.status.success(), "{}: {}", self.name, printed(&output));
    }

    /// Runs a block of the README in the directory of the example.
    pub fn shell(&self, block: &str) -> Output {
        let bin = rig::program();
        let bin = bin.parent().expect("a directory of programs").display();
        let path = std::env::var("PATH").expect("a PATH");
        let text = block
            .replace("/usr/share/portgrave/policy", &self.path("vendor").display().to_string())
            .replace("/tmp/proxy", &self.path("root").display().to_string());
        let mut command = Command::new("sh");
        command.args(["-euc", &format!("umask 022\n{text}")]).env("PATH", format!("{bin}:{path}"));
        command.current_dir(self.dir.path()).output().expect("sh starts")
    }

    /// A verb, with the layers as they are installed.
    pub fn command(&self, verb: &str) -> Command {
        let of_the_test = format!(
            "[paths]\nvendor-dir = \"{0}/vendor\"\npolicy-dir = \"{0}/policy.d\"\n\
             state-dir = \"{0}/state\"\nruntime-dir = \"{0}/run\"\n",
            self.dir.path().display()
        );
        self.write(Path::new("portgrave.d/99-paths.toml"), &of_the_test);
        let mut command = Command::new(rig::program());
        command.arg(verb).arg("--config").arg(self.path("portgrave.toml"));
        command.arg("--root").arg(self.path("root"));
        if self.path("names.toml").exists() {
            command.arg("--names").arg(self.path("names.toml"));
        }
        command
    }

    pub fn apply(&self, ns: &Ns) -> Output {
        ns.output(self.command("apply").args(["--names-wait", "0s"]))
    }
}
