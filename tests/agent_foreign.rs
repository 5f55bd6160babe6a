//! Others that change the sets of looked-up names, or fill them, while a daemon keeps them.

mod lab;
mod rig;

use lab::kernel::{Sets, name_maps, room};
use lab::samples::{NAME, address, both, both_act, resolver};
use lab::{Daemon, Lab, Reached, SERVERS, Site, eventually};
use portgrave::types::Family;
use rig::isolated;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

fn learnt<'a>(lab: &'a Lab, site: &'a Site) -> Daemon<'a> {
    lab.dns.set(NAME, both_act(1, 1));
    site.policy_for(&[NAME]);
    let daemon = site.run(&lab.gw);
    daemon.holds(&[&both(1)[0], &both(1)[1]]);
    daemon
}

fn site(lab: &Lab) -> Site {
    let servers = lab.serve(&SERVERS[..1]);
    Site::new(lab, &resolver(&servers, "min-interval = \"1s\""))
}

/// Changes the map of an address's family by hand. Its name changes when the daemon makes it anew.
fn change(lab: &Lab, address: &str, text: impl Fn(&str) -> String) {
    let family = Family::of(address.parse().expect("an address"));
    eventually("the map is changed", || {
        let maps = name_maps(&lab.gw, family);
        let map = maps.keys().next().ok_or("no map")?;
        if lab.gw.try_nft(&text(map)) { Ok(()) } else { Err(map.clone()) }
    });
}

#[test]
fn an_element_that_others_put_in_or_take_out_is_as_it_was_soon_and_is_told_of() {
    isolated("an_element_that_others_put_in_or_take_out_is_as_it_was_soon_and_is_told_of", || {
        let lab = Lab::new();
        let site = site(&lab);
        let daemon = learnt(&lab, &site);
        let known: BTreeSet<IpAddr> = both(1).iter().map(|text| address(text)).collect();
        for (index, timeout) in [" timeout 1h", " timeout 0s", ""].into_iter().enumerate() {
            for text in both(70) {
                change(&lab, &text, |map| {
                    format!(
                        "add element inet portgrave {map} {{ {text} . tcp . 443{timeout} : \"out.web\" }}"
                    )
                });
            }
            let sets = daemon.sets_are("hold what was learnt alone", |sets| sets.addresses() == known);
            sets.all_end_within(360);
            assert_eq!(lab.connect(address(&both(70)[0])), Reached::Refused);
            daemon.line(&["WARN", "others have changed the table"], index + 1);
        }
        for text in both(1) {
            change(&lab, &text, |map| {
                format!("delete element inet portgrave {map} {{ {text} . tcp . 443 }}")
            });
        }
        let whole = |sets: &Sets| both(1).iter().all(|text| sets.of(address(text)).len() == 2);
        daemon.sets_are("hold what was taken out", whole).all_end_within(360);
        for text in both(1) {
            change(&lab, &text, |map| format!("flush map inet portgrave {map}"));
        }
        daemon.sets_are("hold what was flushed", whole).all_end_within(360);
        assert_eq!(lab.connect(address(&both(1)[0])), Reached::Yes);
    });
}

/// Fills the sets of names to the last element, again and again.
fn fill(lab: &Lab, stop: &AtomicBool) {
    for turn in 0_u32.. {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        for family in Family::BOTH {
            let Some((map, left)) = room(&lab.gw, family) else { continue };
            let element = |number: u32| {
                let port = 1 + (turn * 1_000 + number) % 60_000;
                let address = if family == Family::V4 { "93.184.99.99" } else { "2606:2800:99::99" };
                format!("{address} . tcp . {port} timeout 1h : \"out.web\"")
            };
            let elements: Vec<String> = (0..u32::try_from(left).expect("a small set")).map(element).collect();
            if !elements.is_empty() {
                let text = format!("add element inet portgrave {map} {{ {} }}\n", elements.join(", "));
                // It may have changed meanwhile: whatever is refused is tried again.
                lab.gw.try_nft(&text);
            }
        }
    }
}

#[test]
fn what_is_learnt_while_others_fill_the_sets_comes_in_when_there_is_room() {
    isolated("what_is_learnt_while_others_fill_the_sets_comes_in_when_there_is_room", || {
        let lab = Lab::new();
        let site = site(&lab);
        let daemon = learnt(&lab, &site);
        let worker = daemon.children();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| fill(&lab, &stop));
            for index in 2..10 {
                lab.dns.set(NAME, both_act(index, 1));
                for family in Family::BOTH {
                    // The first may have been answered before.
                    lab.dns.asked_again(NAME, family, 2);
                }
            }
            stop.store(true, Ordering::SeqCst);
        });
        let known: BTreeSet<IpAddr> = (1..10).flat_map(both).map(|text| address(&text)).collect();
        let sets =
            daemon.sets_are("hold all that was learnt, and nothing else", |sets| sets.addresses() == known);
        sets.all_end_within(360);
        assert_eq!(lab.connect(address(&both(9)[0])), Reached::Yes);
        assert_eq!(daemon.children(), worker, "nothing ended");
    });
}
