use super::*;
use crate::model::{Kept, Seen};
use std::io::Write;
use std::time::Duration;

fn generation(number: u64, text: &str) -> Generation {
    let input = Input { name: "50-site.toml".into(), layer: 1, text: text.into() };
    let list = list(&format!("192.0.2.{number}\n"));
    let files = Files { inputs: vec![input], settings: Vec::new(), lists: vec![list] };
    Generation::new(number, 1_800_000_000, files, Facts::default())
}

fn list(content: &str) -> ListFile {
    let mut hash = ContentHash::default();
    hash.update(content.as_bytes());
    ListFile { path: "/lists/a.txt".into(), sha256: hash.finish() }
}

/// A list file that is open; what it holds may be another content than the one of its hash.
fn source(list: ListFile, content: &str) -> ListSource {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    ListSource { list, content: file }
}

/// Writes a generation with its list.
fn prepare(store: &Store, generation: &Generation) {
    let content = format!("192.0.2.{}\n", generation.number);
    let sources = generation.lists.iter().map(|list| source(list.clone(), &content)).collect::<Vec<_>>();
    store.prepare(generation, &sources).unwrap();
}

fn moment(boot: &str, since_boot: u64, wall: u64) -> Moment {
    Moment { boot_id: boot.into(), since_boot: Duration::from_secs(since_boot), wall }
}

fn kept(seconds: u64) -> Kept {
    let seen = Seen { first: Duration::from_secs(7_000), last: Duration::from_secs(20) };
    Kept {
        address: "93.184.216.34".parse().unwrap(),
        remaining: Duration::from_secs(seconds),
        seen: Some(seen),
        server: Some("192.0.2.53".parse().unwrap()),
    }
}

fn names(written: Moment, seconds: u64) -> Names {
    Names {
        written: Some(written),
        names: [("repo.example.net".parse().unwrap(), vec![kept(seconds)])].into(),
    }
}

fn only(names: &Names, now: &Moment) -> Option<Kept> {
    remaining(names, now).into_values().flatten().next()
}

/// The ages of the first and the last answer.
fn ages(names: &Names, now: &Moment) -> (u64, u64) {
    let seen = only(names, now).unwrap().seen.unwrap();
    (seen.first.as_secs(), seen.last.as_secs())
}

fn left(names: &Names, now: &Moment) -> Option<u64> {
    only(names, now).map(|kept| kept.remaining.as_secs())
}

#[test]
fn the_generation_in_force_is_the_last_one_kept_with_its_texts() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.in_force().unwrap(), None);
    for number in 1..=3 {
        prepare(&store, &generation(number, "language = 1"));
        store.keep().unwrap();
    }
    assert_eq!(store.in_force().unwrap().unwrap(), generation(3, "language = 1"));
    assert_eq!(std::fs::read_dir(dir.path().join("lists")).unwrap().count(), 1);
}

#[test]
fn what_is_only_prepared_is_not_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    prepare(&store, &generation(1, "one"));
    store.keep().unwrap();
    prepare(&store, &generation(2, "two"));
    assert_eq!(store.in_force().unwrap().unwrap().number, 1);
    store.discard().unwrap();
    assert_eq!(store.in_force().unwrap().unwrap().number, 1);
}

#[test]
fn a_file_that_was_cut_short_or_is_another_s_is_named_and_never_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    prepare(&store, &generation(1, "one"));
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
fn a_list_is_kept_by_content_and_read_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    prepare(&store, &generation(1, "one"));
    store.keep().unwrap();
    let kept = store.in_force().unwrap().unwrap().lists[0].clone();
    let contents = store.list(&kept).unwrap();
    assert_eq!((contents.entries, contents.list.contains("192.0.2.1".parse().unwrap())), (1, true));
    // What stays is kept from the store's own file.
    let mut next = generation(1, "two");
    next.number = 2;
    store.prepare(&next, &[store.list_source(&kept).unwrap()]).unwrap();
    store.keep().unwrap();
    assert_eq!(store.in_force().unwrap(), Some(next));
    let other = list("198.51.100.1\n");
    assert!(matches!(store.list(&other), Err(StoreError::Corrupt { .. })), "it is not kept");
}

#[test]
fn a_list_that_changes_while_it_is_read_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let generation = generation(1, "one");
    let changed = source(generation.lists[0].clone(), "192.0.2.1\n192.0.2.2\n");
    assert!(matches!(store.prepare(&generation, &[changed]), Err(StoreError::Changed { .. })));
    assert_eq!(std::fs::read_dir(dir.path().join("lists")).unwrap().count(), 0);
}

#[test]
fn the_lists_that_were_held_back_are_those_of_the_last_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.held_back().unwrap(), []);
    let held = [HeldBack { path: "/lists/a.txt".into(), why: "3 entries".into() }];
    store.keep_held_back(&held).unwrap();
    assert_eq!(store.held_back().unwrap(), held);
    std::fs::write(dir.path().join("held-back.json"), "{").unwrap();
    assert!(matches!(store.held_back(), Err(StoreError::Corrupt { .. })));
    store.keep_held_back(&held).unwrap();
    assert_eq!(store.held_back().unwrap(), held);
    store.keep_held_back(&[]).unwrap();
    assert_eq!(store.held_back().unwrap(), []);
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
    prepare(&first, &generation(1, "one"));
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
fn ages_go_on_with_whatever_clock_is_known_and_not_where_none_is() {
    let written = names(moment("a", 100, 1_800_000_000), 7200);
    assert_eq!(ages(&written, &moment("a", 150, 0)), (7_050, 70));
    assert_eq!(ages(&written, &moment("b", 5, 1_800_003_000)), (10_000, 3_020));
    assert_eq!(ages(&written, &moment("b", 5, 0)), (7_000, 20));
}

#[test]
fn a_file_from_the_future_is_known_for_an_hour_at_most() {
    let written = |seconds| names(moment("a", 100, 1_800_000_000), seconds);
    assert_eq!(left(&written(7200), &moment("a", 99, 1_800_000_000)), Some(3600));
    assert_eq!(left(&written(900), &moment("a", 99, 1_800_000_000)), Some(900));
    assert_eq!(left(&written(7200), &moment("b", 5, 1_799_999_999)), Some(3600));
    assert_eq!(left(&written(7200), &moment("b", 5, 1_800_000_000)), Some(7200));
    assert_eq!(left(&written(5), &moment("b", 5, 1_799_999_999)), Some(60));
}

#[test]
fn a_clock_that_was_not_set_says_nothing_however_little_has_passed() {
    let (before, sane) = (1_704_067_199, 1_704_067_200);
    assert_eq!(left(&names(moment("a", 100, before), 7200), &moment("b", 5, sane)), Some(3600));
    assert_eq!(left(&names(moment("a", 100, sane), 7200), &moment("b", 5, sane + 100)), Some(7100));
}

#[test]
fn a_names_file_is_text_that_people_can_read_and_old_ones_without_ages_load() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let now = moment("a", 100, 1_800_000_000);
    store.keep_names(&names(now.clone(), 300)).unwrap();
    let path = dir.path().join("names.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let more = ",\"first_seen_seconds_ago\":7000,\"last_seen_seconds_ago\":20,\"server\":\"192.0.2.53\"";
    let entry = format!("{{\"address\":\"93.184.216.34\",\"remaining_seconds\":300{more}}}");
    assert!(text.contains(&entry), "{text}");
    std::fs::write(&path, text.replace(more, "")).unwrap();
    let old = store.names().unwrap();
    assert_eq!(only(&old, &now), Some(Kept { seen: None, server: None, ..kept(300) }));
}

#[test]
fn ages_that_contradict_each_other_and_lives_without_end_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let now = moment("a", 100, 1_800_000_000);
    let mut hostile = names(now.clone(), u64::MAX);
    let first = Seen { first: Duration::from_secs(1), last: Duration::from_secs(u64::MAX) };
    hostile.names.values_mut().flatten().for_each(|kept| kept.seen = Some(first));
    store.keep_names(&hostile).unwrap();
    let read = store.names().unwrap();
    assert_eq!(left(&read, &now), Some(60 * 86_400));
    assert_eq!(ages(&read, &moment("a", 200, 0)), (u64::MAX, u64::MAX));
}

#[test]
fn more_addresses_than_are_ever_written_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let of_name = |name: u32, count: u32| {
        let address = |index: u32| std::net::Ipv4Addr::from(0x0b00_0000 + index).into();
        let kept = (0..count).map(|index| Kept { address: address(index), ..kept(300) }).collect();
        (format!("n{name}.example.net").parse().unwrap(), kept)
    };
    let mut names = Names { written: Some(moment("a", 100, 0)), names: [of_name(0, 65_536)].into() };
    store.keep_names(&names).unwrap();
    assert!(store.names().is_ok());
    names.names = [of_name(0, 65_537)].into();
    store.keep_names(&names).unwrap();
    assert!(matches!(store.names(), Err(StoreError::Corrupt { .. })), "one too many");
    names.names = (0..5).map(|name| of_name(name, 250)).collect();
    store.keep_names(&names).unwrap();
    assert!(store.names().is_ok(), "names share addresses");
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
