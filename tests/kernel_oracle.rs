//! Our batch against nft's, and against the kernel's own account of what it holds.
#![cfg(feature = "kernel")]

#[path = "common/nft.rs"]
mod nft;
#[path = "common/ns.rs"]
mod ns;
#[path = "common/sample.rs"]
mod sample;

use portgrave::netlink::fake::FakeKernel;
use portgrave::netlink::{Kernel, NfTables, kernel_count};
use portgrave::ruleset::{ElementKey, Elements};
use sample::{plan_of, ruleset};

const LIMIT: u32 = 4096;

#[test]
fn our_batch_lists_like_nfts() {
    if ns::ran_inside(ns::Namespace::Network, "our_batch_lists_like_nfts") {
        return;
    }
    NfTables.commit(&plan_of(&ruleset()), None).unwrap();
    let (ours, nfts) = (nft::listing(), nft::listing_of_text(sample::NFT));
    assert!(ours.lines().count() > 150, "{ours}");
    for (our, nft) in ours.lines().zip(nfts.lines()) {
        assert_eq!(our, nft);
    }
    assert_eq!(ours, nfts);
}

#[test]
fn what_nft_lists_of_our_batch_loads_and_lists_again() {
    if ns::ran_inside(ns::Namespace::Network, "what_nft_lists_of_our_batch_loads_and_lists_again") {
        return;
    }
    NfTables.commit(&plan_of(&ruleset()), None).unwrap();
    let ours = nft::listing();
    assert_eq!(nft::listing_of_text(&ours), ours);
}

#[test]
fn what_is_read_is_what_was_committed() {
    if ns::ran_inside(ns::Namespace::Network, "what_is_read_is_what_was_committed") {
        return;
    }
    assert_eq!(NfTables.read(LIMIT).unwrap(), None);
    let wanted = ruleset();
    NfTables.commit(&plan_of(&wanted), None).unwrap();
    let held = NfTables.read(LIMIT).unwrap().unwrap();
    assert_eq!(held.objects, wanted.objects);
    for (name, set) in &wanted.sets {
        assert_eq!(&held.sets[name], set, "{name}");
    }
    for (name, chain) in &wanted.chains {
        assert_eq!(&held.chains[name], chain, "{name}");
    }
    assert_eq!(held, wanted);
}

#[test]
fn what_nft_loads_is_read_as_what_we_would_have_committed() {
    if ns::ran_inside(ns::Namespace::Network, "what_nft_loads_is_read_as_what_we_would_have_committed") {
        return;
    }
    nft::load(sample::NFT);
    let (held, wanted) = (NfTables.read(LIMIT).unwrap().unwrap(), ruleset());
    assert_eq!(held.objects, wanted.objects);
    assert_eq!(held.sets, wanted.sets);
    let differing: Vec<_> =
        wanted.chains.iter().filter(|(name, chain)| held.chains[*name] != **chain).collect();
    // nft 1.0.6 converts the byte order of fields of one octet in the keys of interval sets, which changes nothing in
    // them; nft 1.1.3 does not, but writes a range of ports as one expression.
    let names: Vec<_> = differing.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names == ["input", "port"] || names == ["related"], "{names:?}");
}

#[test]
fn every_element_is_found_by_its_key_and_no_other_is() {
    if ns::ran_inside(ns::Namespace::Network, "every_element_is_found_by_its_key_and_no_other_is") {
        return;
    }
    let wanted = ruleset();
    NfTables.commit(&plan_of(&wanted), None).unwrap();
    let mut found = 0;
    for (name, set) in &wanted.sets {
        for (key, value) in set.elements.known().unwrap() {
            assert_eq!(
                NfTables.lookup(name, &set.head(), key).unwrap().as_ref(),
                Some(value),
                "{name} {key:?}"
            );
            found += 1;
            for other in neighbours(key) {
                assert_eq!(NfTables.lookup(name, &set.head(), &other).unwrap(), None, "{name} {other:?}");
            }
        }
    }
    assert_eq!(found, 29);
}

/// Keys that are almost the one given: of a range one that ends earlier or later, else one with another octet.
fn neighbours(key: &ElementKey) -> Vec<ElementKey> {
    let Some(last) = &key.last else {
        let mut first = key.first.clone();
        first[0] ^= 1;
        return vec![ElementKey { first, last: None }];
    };
    let mut ends = vec![];
    if *last != key.first {
        ends.push(changed(last, |octet| octet.checked_sub(1)));
    }
    ends.push(changed(last, |octet| octet.checked_add(1)));
    let with_end = |last| ElementKey { first: key.first.clone(), last: Some(last) };
    ends.into_iter().flatten().map(with_end).collect()
}

/// The key with the last octet that is not padding changed, where it can be.
fn changed(key: &[u8], change: impl Fn(u8) -> Option<u8>) -> Option<Box<[u8]>> {
    let mut key = key.to_vec();
    let low = key.iter().rposition(|octet| *octet != 0)?;
    key[low] = change(key[low])?;
    Some(key.into_boxed_slice())
}

#[test]
fn the_kernel_counts_elements_as_we_say_it_does() {
    if ns::ran_inside(ns::Namespace::Network, "the_kernel_counts_elements_as_we_say_it_does") {
        return;
    }
    let wanted = ruleset();
    NfTables.commit(&plan_of(&wanted), None).unwrap();
    let unread = NfTables.read(0).unwrap().unwrap();
    let mut fake = FakeKernel::holding(wanted.clone());
    let of_fake = fake.read(0).unwrap().unwrap();
    for (name, set) in &wanted.sets {
        // Kernels before 6.16 say nothing.
        if let Elements::Unread(Some(count)) = unread.sets[name].elements {
            assert_eq!(count, kernel_count(set), "{name}");
            assert_eq!(of_fake.sets[name].elements, unread.sets[name].elements, "{name}");
        }
    }
}

#[test]
fn a_missing_table_set_or_element_is_no_error_to_look_up() {
    if ns::ran_inside(ns::Namespace::Network, "a_missing_table_set_or_element_is_no_error_to_look_up") {
        return;
    }
    let wanted = ruleset();
    let set = &wanted.sets["never4"];
    let (key, _) = set.elements.known().unwrap().first_key_value().unwrap();
    assert_eq!(NfTables.lookup("never4", &set.head(), key).unwrap(), None);
    NfTables.commit(&plan_of(&wanted), None).unwrap();
    assert_eq!(NfTables.lookup("no-such-set", &set.head(), key).unwrap(), None);
    assert!(NfTables.lookup("never4", &set.head(), key).unwrap().is_some());
}
