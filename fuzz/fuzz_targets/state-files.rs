//! The files of the state directory: each input is the generation in force, the learned addresses and the lists held back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portgrave::compile::Features;
use portgrave::policy::Settings;
use portgrave::resolver::names::{Keeping, Names};
use portgrave::site::{Context, names::wanted as wanted_by};
use portgrave::store::{self, ContentHash, Moment, Store, remaining};
use portgrave_fuzz::names::{never, sound, wanted};
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

const NOW: Duration = Duration::from_secs(2_000_000);
/// The longest TTL and the longest grace that settings allow.
const LONGEST: Duration = Duration::from_secs(60 * 86_400);

/// A directory whose files all are one.
static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    let directory = std::env::temp_dir().join(format!("portgrave-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(directory.join("lists")).expect("a directory");
    std::fs::write(directory.join("content"), r#"{"format":1,"lists":[]}"#).expect("it is written");
    for file in ["generation.json", "names.json", "held-back.json"] {
        std::fs::hard_link(directory.join("content"), directory.join(file)).expect("a link");
    }
    assert_eq!(Store::read_only(&directory).held_back().expect("the store reads such files"), []);
    let mut hash = ContentHash::default();
    hash.update(LIST);
    std::fs::write(directory.join("lists").join(hash.finish()), LIST).expect("a list");
    directory
});

/// The one list that there is, which a seed has.
const LIST: &[u8] = b"198.51.100.0/24\n";

fuzz_target!(|data: &[u8]| {
    std::fs::write(DIRECTORY.join("content"), data).expect("it is written");
    let store = Store::read_only(&DIRECTORY);
    generation(&store);
    names(&store);
    let _ = store.held_back();
});

/// What loads is compiled, or refused; what can be kept again is the same.
fn generation(store: &Store) {
    let Ok(Some(generation)) = store.in_force() else { return };
    let json = serde_json::to_string(&generation).expect("it can be written");
    assert_eq!(serde_json::from_str::<store::Generation>(&json).expect("and read"), generation);
    let paths = Settings { state_dir: DIRECTORY.clone(), ..Settings::default() };
    let Some(context) = Context::stored(&generation, store, &paths, &Default::default()) else { return };
    assert_eq!(context.settings.state_dir, *DIRECTORY, "paths are those of now");
    let mut names = Names::new(7);
    names.want(wanted_by(&context), NOW);
    if let Ok(ruleset) = context.compile(&Features::ALL) {
        assert!(ruleset.to_string().contains("table inet portgrave"));
    }
}

fn names(store: &Store) {
    let Ok(kept) = store.names() else { return };
    let Some(written) = &kept.written else { return };
    let later = |seconds| Moment {
        since_boot: written.since_boot.saturating_add(Duration::from_secs(seconds)),
        wall: written.wall.saturating_add(seconds),
        ..written.clone()
    };
    let moments = [
        later(0),
        later(90),
        Moment { boot_id: "another".into(), ..later(90) },
        Moment { since_boot: Duration::ZERO, wall: 0, ..written.clone() },
        Moment { boot_id: "another".into(), since_boot: Duration::ZERO, wall: 0 },
    ];
    for moment in moments {
        let left = remaining(&kept, &moment);
        let held = left.values().flatten();
        assert!(
            held.clone().all(|held| held.remaining <= LONGEST && held.remaining >= Duration::from_secs(1))
        );
        let (mut names, wanted) = (Names::new(7), wanted());
        names.want(wanted.clone(), NOW);
        let change = names.recall(&left, &never, NOW);
        let lives = names.addresses(&change.addresses, NOW);
        names.written(&lives, NOW);
        // Ages are the file's word; the life is bounded.
        let of_file = |_: &Keeping| Duration::MAX;
        sound(&names, &wanted, NOW, of_file);
        assert!(names.kept(NOW).values().flatten().all(|held| held.remaining <= LONGEST));
    }
}
