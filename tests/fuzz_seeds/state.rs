//! The files of a state directory.

use super::Seeds;
use portgrave::compile::Features;
use portgrave::model::{Kept, Seen};
use portgrave::policy::Settings;
use portgrave::site::Context;
use portgrave::store::{
    ContentHash, Facts, Files, Generation, HeldBack, Input, ListFile, ListSource, Moment, Names, Store,
};
use std::io::Write;
use std::time::Duration;

/// What the target has in its directory.
const LIST: &str = "198.51.100.0/24\n";

const POLICY: &str = "language = 1\n[hosts]\nmirrors = [\"a.example\", \"192.0.2.7\"]\n\
                      blocked = { members = [], file = \"/lists/blocked.txt\" }\n\
                      [[rule]]\nname = \"ssh-in\"\ndirection = \"in\"\nservice = \"ssh\"\npeers = [\"192.0.2.0/24\"]\n\
                      [[rule]]\nname = \"mirrors-out\"\ndirection = \"out\"\nports = [\"tcp/443\"]\npeers = \"@mirrors\"\n\
                      [[rule]]\nname = \"blocked\"\naction = \"deny\"\ndirection = \"both\"\nports = [\"any\"]\npeers = \"@blocked\"\n";

pub fn files() -> Seeds {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path()).expect("a store");
    let list = list();
    store.prepare(&generation(list.list.clone()), &[list]).and_then(|()| store.keep()).expect("it is kept");
    store.keep_names(&names()).expect("they are kept");
    assert_eq!(store.names().expect("they are read"), names());
    let held = HeldBack { path: "/lists/blocked.txt".into(), why: "line 3 is no address".into() };
    store.keep_held_back(&[held]).expect("it is kept");
    compiles(&store);
    let read = |file: &str| std::fs::read(directory.path().join(file)).expect("a file of the store");
    [
        ("generation", read("generation.json")),
        ("names", read("names.json")),
        ("held-back", read("held-back.json")),
    ]
    .into()
}

/// What the generation begins with goes all the way.
fn compiles(store: &Store) {
    let generation = store.in_force().expect("it is read").expect("it is there");
    let context = Context::stored(&generation, store, &Settings::default(), &Default::default());
    let ruleset = context.expect("it is sound").compile(&Features::ALL).expect("a ruleset");
    assert!(["ssh-in", "mirrors-out", "blocked"].iter().all(|rule| ruleset.to_string().contains(rule)));
}

fn list() -> ListSource {
    let mut hash = ContentHash::default();
    hash.update(LIST.as_bytes());
    let mut content = tempfile::tempfile().expect("a file");
    content.write_all(LIST.as_bytes()).expect("it is written");
    ListSource { list: ListFile { path: "/lists/blocked.txt".into(), sha256: hash.finish() }, content }
}

fn generation(list: ListFile) -> Generation {
    let input = |name: &str, text: &str| Input { name: name.into(), layer: 1, text: text.into() };
    let settings = "[resolver]\nservers = [\"192.0.2.53\"]\nttl-floor = \"90s\"\n";
    let files = Files {
        inputs: vec![input("50-site.toml", POLICY)],
        settings: vec![input("portgrave.toml", settings)],
        lists: vec![list],
    };
    let address = |text: &str| text.parse().expect("an address");
    let facts = Facts {
        resolv_conf: vec![address("192.0.2.53")],
        dns_servers: vec!["192.0.2.53:53".parse().expect("a server")],
        own: vec![address("192.0.2.1"), address("2001:db8::1")],
        connected: vec!["192.0.2.0/24".into(), "2001:db8::/64".into()],
        broadcast: vec![address("192.0.2.255")],
        agent_uid: 990,
        users: [("mail".to_owned(), Some(8)), ("nobody-here".to_owned(), None)].into(),
    };
    Generation::new(7, 1_800_000_000, files, facts)
}

fn names() -> Names {
    let kept = |text: &str, seconds, last: Option<u64>| Kept {
        address: text.parse().expect("an address"),
        remaining: Duration::from_secs(seconds),
        seen: last.map(|last| Seen { first: Duration::from_secs(7_000), last: Duration::from_secs(last) }),
        server: last.map(|_| "192.0.2.53".parse().expect("a server")),
    };
    let many = (1..=8).map(|last| kept(&format!("93.184.216.{last}"), 300 + last, Some(20))).collect();
    let of = |name: &str, list: Vec<Kept>| (name.parse().expect("a name"), list);
    let boot_id = "7b5a7f5e-6c1f-4a43-9d0e-5a2c8e9d1b34".into();
    Names {
        written: Some(Moment { boot_id, since_boot: Duration::from_secs(5_000), wall: 1_800_000_000 }),
        names: [
            of("a.example", many),
            of("b.example", vec![kept("10.0.0.9", 80, None)]),
            of("c.example", vec![kept("10.0.0.9", 80, None), kept("2606:2800::1", 5_184_000, Some(1))]),
            of("gone.example", Vec::new()),
        ]
        .into(),
    }
}
