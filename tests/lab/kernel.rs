//! What the kernel holds of looked-up names, by nft's own listing.

use crate::rig::Ns;
use portgrave::netlink::{GenId, Kernel, NfTables};
use portgrave::ruleset::{ElementKey, Set, SetData};
use portgrave::types::Family;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// An element of a set of looked-up names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    pub set: String,
    pub address: IpAddr,
    /// Protocol and port, where the set's key has them.
    pub service: Option<(String, u64)>,
    /// The counter that it leads to.
    pub counter: Option<String>,
    /// Whole seconds of its life, and those that are left; `None` if it has no end.
    pub timeout: Option<u64>,
    pub expires: Option<u64>,
}

/// All elements of the sets of looked-up names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sets(pub Vec<Element>);

impl Sets {
    pub fn read(ns: &Ns) -> Self {
        let text = ns.nft_list(&["-j", "list", "table", "inet", "portgrave"]);
        let listing: Value = serde_json::from_str(&text).expect("nft prints JSON");
        let objects = listing["nftables"].as_array().expect("a list of objects");
        let sets = objects.iter().filter_map(|object| object.get("map").or_else(|| object.get("set")));
        let of_names = sets.filter(|set| is_of_names(set["name"].as_str().unwrap_or_default()));
        Self(of_names.flat_map(elements).collect())
    }

    pub fn addresses(&self) -> BTreeSet<IpAddr> {
        self.0.iter().map(|element| element.address).collect()
    }

    pub fn addresses_of(&self, family: Family) -> BTreeSet<IpAddr> {
        self.addresses().into_iter().filter(|address| Family::of(*address) == family).collect()
    }

    pub fn of(&self, address: IpAddr) -> Vec<&Element> {
        self.0.iter().filter(|element| element.address == address).collect()
    }

    pub fn holds(&self, address: &str) -> bool {
        self.left(address).is_some()
    }

    /// The least that is left of the lives of an address's elements, in whole seconds.
    ///
    /// # Panics
    /// If one of them has no end.
    pub fn left(&self, address: &str) -> Option<u64> {
        let elements = self.of(address.parse().expect("an address"));
        let left = |element: &&Element| element.expires.unwrap_or_else(|| panic!("permanent: {element:?}"));
        elements.iter().map(left).min()
    }

    /// Every element has an end, and no more than `most` seconds to it.
    pub fn all_end_within(&self, most: u64) {
        for element in &self.0 {
            let expires = element.expires.unwrap_or_else(|| panic!("permanent: {element:?}"));
            assert!(expires <= most, "too long: {element:?}");
            assert!(element.timeout.is_none_or(|timeout| timeout > 0), "permanent: {element:?}");
        }
    }
}

/// The sets that looked-up addresses are put into, under their first or second names.
fn is_of_names(set: &str) -> bool {
    set.contains(".names") || set.contains(".opened-names")
}

fn elements(set: &Value) -> Vec<Element> {
    let name = set["name"].as_str().expect("a set has a name");
    let all = set["elem"].as_array().cloned().unwrap_or_default();
    all.iter().map(|entry| element(name, entry)).collect()
}

/// `KEY`, `{elem: {val: KEY, timeout, expires}}`, or a pair of one of these and what it leads to.
fn element(set: &str, entry: &Value) -> Element {
    let (key, target) = match entry.as_array() {
        Some(pair) => (&pair[0], pair[1].as_str().map(str::to_owned)),
        None => (entry, None),
    };
    let inner = key.get("elem").unwrap_or(key);
    let value = inner.get("val").unwrap_or(inner);
    let parts = value.get("concat").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![value.clone()]);
    let text = parts[0].as_str().unwrap_or_else(|| panic!("no address: {entry}"));
    let service = match parts.as_slice() {
        [_, protocol, port, ..] => {
            let protocol = protocol.as_str().map_or_else(|| protocol.to_string(), str::to_owned);
            Some((protocol, port.as_u64().unwrap_or_default()))
        }
        _ => None,
    };
    Element {
        set: set.to_owned(),
        address: text.parse().unwrap_or_else(|_| panic!("no address: {entry}")),
        service,
        counter: target,
        timeout: inner.get("timeout").and_then(Value::as_u64),
        expires: inner.get("expires").and_then(Value::as_u64),
    }
}

/// The generation id of a namespace: it moves with every commit, of anybody.
pub fn generation(ns: &Ns) -> GenId {
    ns.enter(|| NfTables.generation()).expect("nf_tables answers")
}

/// The names of the sets for looked-up names of one family that hold address, protocol and port.
pub fn name_maps(ns: &Ns, family: Family) -> BTreeMap<String, String> {
    let text = ns.nft_list(&["-j", "list", "table", "inet", "portgrave"]);
    let listing: Value = serde_json::from_str(&text).expect("nft prints JSON");
    let digit = if family == Family::V4 { "4." } else { "6." };
    let maps = listing["nftables"].as_array().into_iter().flatten().filter_map(|object| object.get("map"));
    let named = maps.filter_map(|map| Some((map["name"].as_str()?, map["map"].as_str()?)));
    let of_names = named.filter(|(name, _)| is_of_names(name) && name.contains(digit));
    of_names.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

/// The first map of looked-up names of a family, and how many elements it has room for.
pub fn room(ns: &Ns, family: Family) -> Option<(String, u64)> {
    let name = name_maps(ns, family).into_keys().next()?;
    let listed = ns.nft_list(&["-j", "list", "table", "inet", "portgrave"]);
    let listing: Value = serde_json::from_str(&listed).expect("nft prints JSON");
    let mut maps = listing["nftables"].as_array()?.iter().filter_map(|object| object.get("map"));
    let map = maps.find(|map| map["name"] == name.as_str())?;
    let held = map["elem"].as_array().map_or(0, Vec::len);
    Some((name, map["size"].as_u64()?.saturating_sub(u64::try_from(held).expect("a small set"))))
}

/// Looks single addresses up in a map of looked-up names, without a listing.
pub struct Finder {
    set: String,
    head: Set,
}

impl Finder {
    pub fn new(ns: &Ns, family: Family) -> Self {
        let table = ns.enter(|| NfTables.read(0)).expect("nf_tables answers").expect("there is a table");
        let digit = if family == Family::V4 { "4." } else { "6." };
        let mut maps = table.sets.iter().filter(|(name, set)| {
            is_of_names(name) && name.contains(digit) && set.key.len() == 3 && set.data != SetData::None
        });
        let (set, head) = maps.next().expect("a map of names");
        Self { set: set.clone(), head: head.head() }
    }

    /// Whether the map holds the address with a port of TCP; `None` if the map is gone: it may have been made anew. The calling
    /// thread is in the namespace.
    pub fn holds(&self, kernel: &mut dyn Kernel, address: IpAddr, port: u16) -> Option<bool> {
        let mut key = match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        key.extend([6, 0, 0, 0]);
        key.extend(port.to_be_bytes());
        key.extend([0, 0]);
        let key = ElementKey { first: key.into_boxed_slice(), last: None };
        let found = kernel.lookup(&self.set, &self.head, &key);
        found.ok().map(|element| element.is_some())
    }
}
