//! What may be left in a state directory, by accident or by somebody who means harm.

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

pub struct Hostile {
    pub what: &'static str,
    pub spoils: fn(&Path),
    /// The file that is moved away.
    pub set_aside: Option<&'static str>,
}

const GENERATION: &str = "generation.json";
const NAMES: &str = "names.json";

const fn aside(what: &'static str, spoils: fn(&Path), file: &'static str) -> Hostile {
    Hostile { what, spoils, set_aside: Some(file) }
}

const fn ignored(what: &'static str, spoils: fn(&Path)) -> Hostile {
    Hostile { what, spoils, set_aside: None }
}

pub const HOSTILE: &[Hostile] = &[
    aside("half a generation", |state| halve(&state.join(GENERATION)), GENERATION),
    aside("an empty generation", |state| write(state, GENERATION, b""), GENERATION),
    aside("octets", |state| write(state, GENERATION, &[0xff; 1000]), GENERATION),
    aside("deep JSON", |state| write(state, GENERATION, "[".repeat(1_000_000).as_bytes()), GENERATION),
    aside("a very large file", |state| large(state, GENERATION), GENERATION),
    aside("another format", |state| change(state, GENERATION, "\"format\":1", "\"format\":2"), GENERATION),
    aside("number 0", |state| change(state, GENERATION, "\"number\":1", "\"number\":0"), GENERATION),
    aside(
        "the last number",
        |state| {
            change(state, GENERATION, "\"number\":1", &format!("\"number\":{}", u64::MAX));
        },
        GENERATION,
    ),
    aside(
        "a directory",
        |state| instead(state, GENERATION, |path| fs::create_dir(path).expect("a directory")),
        GENERATION,
    ),
    aside(
        "a FIFO",
        |state| instead(state, GENERATION, |path| mkfifo(path, Mode::S_IRWXU).expect("a FIFO")),
        GENERATION,
    ),
    aside(
        "a link to nowhere",
        |state| instead(state, GENERATION, |path| symlink("/dev/zero", path).expect("a link")),
        GENERATION,
    ),
    aside("a list that is away", |state| fs::remove_file(a_list(state)).expect("a list"), GENERATION),
    aside(
        "a list with another content",
        |state| fs::write(a_list(state), "0.0.0.0/0\n").expect("a list"),
        GENERATION,
    ),
    aside(
        "a list by a path",
        |state| {
            let list = a_list(state).file_name().expect("a name").to_string_lossy().into_owned();
            change(state, GENERATION, &list, "../../../../etc/passwd");
        },
        GENERATION,
    ),
    ignored("a policy of another language", |state| {
        change(state, GENERATION, "language = 1", "language = 99")
    }),
    aside("half the names", |state| halve(&state.join(NAMES)), NAMES),
    aside(
        "a FIFO for names",
        |state| instead(state, NAMES, |path| mkfifo(path, Mode::S_IRWXU).expect("a FIFO")),
        NAMES,
    ),
    aside("a very large file for names", |state| large(state, NAMES), NAMES),
    ignored("lists held back that are no JSON", |state| write(state, "held-back.json", b"{")),
    ignored("lists held back that were never", |state| {
        write(state, "held-back.json", b"{\"format\":1,\"lists\":[{\"path\":\"/x\",\"why\":\"y\"}]}");
    }),
    ignored("a generation that was only prepared", |state| {
        fs::copy(state.join(GENERATION), state.join("prepared.json")).expect("a copy");
        change(state, "prepared.json", "tcp/8443", "tcp/1");
    }),
    ignored("leavings of a crash", |state| {
        for name in ["generation.json.new", "names.json.new", "prepared.json", "lists/x.new", "lists/junk"] {
            write(state, name, b"garbage");
        }
    }),
];

fn write(state: &Path, name: &str, content: &[u8]) {
    fs::write(state.join(name), content).expect("a state file");
}

fn halve(path: &Path) {
    let text = fs::read(path).expect("a state file");
    fs::write(path, &text[..text.len() / 2]).expect("a state file");
}

fn change(state: &Path, name: &str, from: &str, to: &str) {
    let text = fs::read_to_string(state.join(name)).expect("a state file");
    assert!(text.contains(from), "{name} has no {from}: {text}");
    write(state, name, text.replace(from, to).as_bytes());
}

fn large(state: &Path, name: &str) {
    let file = fs::File::create(state.join(name)).expect("a state file");
    file.set_len(1 << 40).expect("a sparse file");
}

fn instead(state: &Path, name: &str, put: fn(&Path)) {
    let path = state.join(name);
    fs::remove_file(&path).expect("a state file");
    put(&path);
}

fn a_list(state: &Path) -> PathBuf {
    let entry = fs::read_dir(state.join("lists")).expect("lists").next().expect("a list").expect("an entry");
    entry.path()
}
