use super::*;
use crate::model::LearnedAddress;
use std::time::Duration;

fn generation(number: u64, text: &str) -> Generation {
    let input = Input { name: "50-site.toml".into(), layer: 1, text: text.into() };
    let list = ListText { path: "/lists/a.txt".into(), text: format!("192.0.2.{number}\n") };
    Generation::new(number, 1_800_000_000, vec![input], vec![list], Facts::default())
}

fn moment(boot: &str, since_boot: u64, wall: u64) -> Moment {
    Moment { boot_id: boot.into(), since_boot: Duration::from_secs(since_boot), wall }
}

fn names(written: Moment, seconds: u64) -> Names {
    let learned =
        LearnedAddress { address: "93.184.216.34".parse().unwrap(), remaining: Duration::from_secs(seconds) };
    Names { written: Some(written), names: [("repo.example.net".parse().unwrap(), vec![learned])].into() }
}

fn left(names: &Names, now: &Moment) -> Option<u64> {
    remaining(names, now).values().flatten().next().map(|learned| learned.remaining.as_secs())
}

#[test]
fn the_generation_in_force_is_the_last_one_kept_with_its_texts() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.in_force().unwrap(), None);
    for number in 1..=3 {
        store.prepare(&generation(number, "language = 1")).unwrap();
        store.keep().unwrap();
    }
    assert_eq!(store.in_force().unwrap().unwrap(), generation(3, "language = 1"));
    assert_eq!(std::fs::read_dir(dir.path().join("lists")).unwrap().count(), 1);
}

#[test]
fn what_is_only_prepared_is_not_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.prepare(&generation(1, "one")).unwrap();
    store.keep().unwrap();
    store.prepare(&generation(2, "two")).unwrap();
    assert_eq!(store.in_force().unwrap().unwrap().number, 1);
    store.discard().unwrap();
    assert_eq!(store.in_force().unwrap().unwrap().number, 1);
}

#[test]
fn a_file_that_was_cut_short_or_is_another_s_is_named_and_never_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.prepare(&generation(1, "one")).unwrap();
    store.keep().unwrap();
    let path = dir.path().join("generation.json");
    let whole = std::fs::read_to_string(&path).unwrap();
    let other_format = whole.replace("\"format\":1", "\"format\":9");
    let list = std::fs::read_dir(dir.path().join("lists")).unwrap().next().unwrap().unwrap().path();
    for broken in [&whole[..whole.len() / 2], "", "{}", "[1,2", &other_format] {
        std::fs::write(&path, broken).unwrap();
        assert!(matches!(store.in_force(), Err(StoreError::Corrupt { .. })), "{broken}");
    }
    std::fs::write(&path, &whole).unwrap();
    std::fs::write(list, "198.51.100.1\n").unwrap();
    assert!(matches!(store.in_force(), Err(StoreError::Corrupt { .. })));
}

#[test]
fn the_lock_is_held_by_one_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let first = Store::open(dir.path()).unwrap();
    let path = dir.path().to_owned();
    let (sender, receiver) = std::sync::mpsc::channel();
    let second = std::thread::spawn(move || {
        let store = Store::open(&path).unwrap();
        sender.send(store.in_force().unwrap().map(|generation| generation.number)).unwrap();
    });
    first.prepare(&generation(1, "one")).unwrap();
    assert!(receiver.try_recv().is_err());
    first.keep().unwrap();
    drop(first);
    assert_eq!(receiver.recv().unwrap(), Some(1));
    second.join().unwrap();
}

#[test]
fn names_survive_with_what_is_left_of_their_lives() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.names().unwrap(), Names::default());
    let written = names(moment("a", 100, 1_800_000_000), 300);
    store.keep_names(&written).unwrap();
    let read = store.names().unwrap();
    assert_eq!(read, written);
    assert_eq!(left(&read, &moment("a", 150, 0)), Some(250));
    assert_eq!(left(&read, &moment("a", 400, 1_800_000_000)), None);
}

#[test]
fn after_another_boot_the_wall_clock_counts_if_it_is_sane() {
    let written = names(moment("a", 100, 1_800_000_000), 7200);
    assert_eq!(left(&written, &moment("b", 5, 1_800_003_000)), Some(4200));
    assert_eq!(left(&written, &moment("b", 5, 1_800_100_000)), Some(60));
    assert_eq!(left(&written, &moment("b", 5, 0)), Some(3600));
    assert_eq!(left(&names(moment("a", 100, 0), 7200), &moment("b", 5, 1_800_000_000)), Some(3600));
}

#[test]
fn a_hostile_names_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for junk in ["", "{", "{\"format\":2}", "{\"format\":1,\"written\":{},\"names\":{}}", "\u{0}\u{1}"] {
        std::fs::write(dir.path().join("names.json"), junk).unwrap();
        assert!(matches!(store.names(), Err(StoreError::Corrupt { .. })), "{junk:?}");
    }
}
