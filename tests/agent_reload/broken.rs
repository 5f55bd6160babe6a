//! Ways to break a site's files, and what must be said of each.

use crate::lab::Site;
use crate::lab::agent::head;
use Breaks::{By, Rule, Settings, Text};
use std::os::unix::fs::{PermissionsExt, chown, symlink};

pub struct Broken {
    pub what: &'static str,
    breaks: Breaks,
    /// The code of the finding, and words that say where it is.
    pub code: &'static str,
    pub place: &'static str,
}

enum Breaks {
    /// The text of [`FILE`].
    Text(&'static str),
    /// The rest of a rule in [`FILE`], from its sixth line on.
    Rule(&'static str),
    /// The settings, which begin with the paths.
    Settings(&'static str),
    By(fn(&Site)),
}

const fn broken(what: &'static str, breaks: Breaks, code: &'static str, place: &'static str) -> Broken {
    Broken { what, breaks, code, place }
}

impl Broken {
    pub fn breaks(&self, site: &Site) {
        match self.breaks {
            Text(wrong) => text(site, wrong),
            Rule(rest) => text(
                site,
                &format!("language = 1\n\n[[rule]]\nname = \"broken\"\ndirection = \"out\"\n{rest}\n"),
            ),
            Settings(wrong) => site.settings(wrong),
            By(breaks) => breaks(site),
        }
    }
}

/// The file that is broken, beside the sound one.
const FILE: &str = "policy.d/broken.toml";

fn text(site: &Site, text: &str) {
    site.policy("broken", text);
}

fn mode(site: &Site, file: &str, mode: u32) {
    std::fs::set_permissions(site.path(file), std::fs::Permissions::from_mode(mode)).expect("a mode");
}

pub const BROKEN: &[Broken] = &[
    broken("no TOML", Text("language = 1\n[[rule\n"), "PG101", "broken.toml:2:"),
    broken(
        "a key that nobody knows",
        Rule("ports = [\"tcp/1\"]\npeerz = \"any\""),
        "PG102",
        "broken.toml:7:1",
    ),
    broken("no language", Text("[default]\nout = \"deny\"\n"), "PG104", "broken.toml:1:"),
    broken("a language of the future", Text("language = 99\n"), "PG106", "broken.toml:1:"),
    broken("a rule without peers", Rule("ports = [\"tcp/1\"]"), "PG108", "broken.toml:4:"),
    broken("a number for a list", Rule("ports = 25\npeers = \"any\""), "PG201", "broken.toml:6:9"),
    broken(
        "an address that is none",
        Rule("ports = [\"tcp/1\"]\npeers = [\"192.0.2.300\"]"),
        "PG2",
        "broken.toml:7:",
    ),
    broken(
        "a prefix with host bits",
        Rule("ports = [\"tcp/1\"]\npeers = [\"192.0.2.1/24\"]"),
        "PG202",
        "broken.toml:7:",
    ),
    broken(
        "a port that is none",
        Rule("ports = [\"tcp/65536\"]\npeers = \"any\""),
        "PG203",
        "broken.toml:6:",
    ),
    broken("ports backwards", Rule("ports = [\"tcp/9-1\"]\npeers = \"any\""), "PG204", "broken.toml:6:"),
    broken(
        "a direction that is none",
        Text(
            "language = 1\n\n[[rule]]\nname = \"broken\"\ndirection = \"up\"\nports = [\"tcp/1\"]\npeers = \"any\"\n",
        ),
        "PG212",
        "broken.toml:5:",
    ),
    broken(
        "two rules of one name",
        By(|site| text(site, &head().replace("direction = \"in\"", "direction = \"out\""))),
        "PG302",
        "broken.toml:",
    ),
    broken(
        "a group that nobody defines",
        Rule("ports = [\"tcp/1\"]\npeers = [\"@nobody\"]"),
        "PG303",
        "broken.toml:7:",
    ),
    broken(
        "a service that nobody defines",
        Rule("service = \"sssh\"\npeers = \"any\""),
        "PG305",
        "broken.toml:6:",
    ),
    broken(
        "a name that is denied",
        Rule("action = \"deny\"\nports = [\"tcp/1\"]\npeers = [\"a.example.net\"]"),
        "PG310",
        "broken.toml:8:",
    ),
    broken(
        "a group in itself",
        Text(
            "language = 1\n[hosts]\na = [\"@a\"]\n[[rule]]\nname = \"broken\"\ndirection = \"out\"\nports = [\"tcp/1\"]\npeers = [\"@a\"]\n",
        ),
        "PG304",
        "broken.toml:3:",
    ),
    broken(
        "a directory in its place",
        By(|site| {
            std::fs::create_dir(site.path(FILE)).expect("a directory");
        }),
        "PG407",
        FILE,
    ),
    broken(
        "a link in its place",
        By(|site| {
            symlink(site.path("elsewhere.toml"), site.path(FILE)).expect("a link");
        }),
        "PG407",
        FILE,
    ),
    broken(
        "written by everybody",
        By(|site| {
            text(site, "language = 1\n");
            mode(site, FILE, 0o666);
        }),
        "PG409",
        FILE,
    ),
    broken(
        "another's",
        By(|site| {
            text(site, "language = 1\n");
            chown(site.path(FILE), Some(1), None).expect("root may give a file away");
        }),
        "PG408",
        FILE,
    ),
    broken(
        "a directory that everybody may write",
        By(|site| mode(site, "policy.d", 0o777)),
        "PG409",
        "policy.d",
    ),
    broken(
        "octets that are no text",
        By(|site| {
            std::fs::write(site.path(FILE), b"language = 1\n# \xff\n").expect("a file");
        }),
        "PG411",
        FILE,
    ),
    broken(
        "over 64 MiB",
        By(|site| {
            let file = std::fs::File::create(site.path(FILE)).expect("a file");
            file.set_len((64 << 20) + 1).expect("a sparse file");
        }),
        "PG410",
        FILE,
    ),
    broken("a list that is not there", By(|site| list(site, "")), "PG402", "broken.txt"),
    broken(
        "a list with a line that is no address",
        By(|site| {
            std::fs::write(site.path("broken.txt"), "192.0.2.1\nnonsense\n").expect("a list");
            list(site, "");
        }),
        "PG406",
        "broken.txt",
    ),
    broken(
        "a list that is too short",
        By(|site| {
            std::fs::write(site.path("broken.txt"), "192.0.2.1\n").expect("a list");
            list(site, ", min-entries = 10");
        }),
        "PG415",
        "broken.txt",
    ),
    broken("settings that are no TOML", Settings("[resolver\n"), "PG101", "portgrave.toml:"),
    broken("settings that nobody knows", Settings("nonsense = 1\n"), "PG102", "portgrave.toml:"),
    broken(
        "a server that is no address",
        Settings("[resolver]\nservers = [\"dns.example.net\"]\n"),
        "PG213",
        "portgrave.toml:",
    ),
    broken(
        "no settings",
        By(|site| {
            std::fs::remove_file(site.config()).expect("the settings");
        }),
        "PG402",
        "portgrave.toml",
    ),
    broken(
        "settings that everybody may write",
        By(|site| mode(site, "portgrave.toml", 0o666)),
        "PG409",
        "portgrave.toml",
    ),
    broken(
        "a drop-in with an error",
        By(|site| {
            std::fs::create_dir(site.path("portgrave.d")).expect("a directory");
            std::fs::write(site.path("portgrave.d/10.toml"), "nonsense = 1\n").expect("a drop-in");
        }),
        "PG102",
        "portgrave.d/10.toml:1:",
    ),
    broken(
        "a vendor policy that is not there",
        By(|site| {
            let text = std::fs::read_to_string(site.config()).expect("the settings");
            std::fs::write(site.config(), format!("policy = [\"none\"]\n{text}")).expect("the settings");
        }),
        "PG401",
        "portgrave.toml:1:",
    ),
];

fn list(site: &Site, more: &str) {
    let path = site.path("broken.txt").display().to_string();
    text(
        site,
        &format!(
            "language = 1\n[hosts]\nlisted = {{ file = \"{path}\"{more} }}\n[[rule]]\nname = \"broken\"\ndirection = \"out\"\n\
         ports = [\"tcp/1\"]\npeers = [\"@listed\"]\n"
        ),
    );
}

/// Everything as it was.
pub fn mend(site: &Site, settings: &str) {
    let path = site.path(FILE);
    let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path));
    let _ = std::fs::remove_file(site.path("broken.txt"));
    let _ = std::fs::remove_dir_all(site.path("portgrave.d"));
    mode(site, "policy.d", 0o755);
    let _ = std::fs::remove_file(site.config());
    site.settings(settings);
}
