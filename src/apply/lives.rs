//! The elements of one set of looked-up addresses, in little room: there may be tens of thousands, and few values.

use crate::ruleset::{Element, ElementKey, ElementValue};
use std::collections::BTreeMap;
use std::time::Duration;

/// Ends are moments since boot, in milliseconds.
type End = u64;

#[derive(Default)]
pub(super) struct Lives {
    /// What elements lead to, without their lives.
    values: Vec<ElementValue>,
    /// Indexes of values, by the name of what they lead to.
    named: BTreeMap<String, Vec<u32>>,
    /// By key: the index of the value, and the end.
    elements: BTreeMap<Box<[u8]>, (u32, End)>,
}

impl Lives {
    /// An element with what is left of its life from `now`.
    pub(super) fn insert(&mut self, key: &ElementKey, value: &ElementValue, now: Duration) {
        let end = milliseconds(now + value.timeout.unwrap_or_default());
        let index = self.index(value);
        self.elements.insert(key.first.clone(), (index, end));
    }

    fn index(&mut self, value: &ElementValue) -> u32 {
        let chain = value.verdict.as_ref().and_then(|verdict| verdict.chain());
        let name = value.object.as_deref().or(chain).unwrap_or_default();
        let same = |index: &&u32| self.values.get(**index as usize) == Some(value);
        if let Some(index) = self.named.get(name).and_then(|indexes| indexes.iter().find(same)) {
            return *index;
        }
        let index = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.values.push(value.clone());
        self.named.entry(name.to_owned()).or_default().push(index);
        index
    }

    /// What an element led to last.
    pub(super) fn value(&self, key: &ElementKey) -> Option<&ElementValue> {
        self.elements.get(&key.first).and_then(|(index, _)| self.values.get(*index as usize))
    }

    /// Whether an element was there and has ended.
    pub(super) fn has_ended(&self, key: &ElementKey, now: Duration) -> bool {
        self.elements.get(&key.first).is_some_and(|(_, end)| *end <= milliseconds(now))
    }

    /// The elements that have not ended, with what is left of their lives.
    pub(super) fn now(&self, now: Duration) -> impl Iterator<Item = Element> + '_ {
        let now = milliseconds(now);
        self.elements.iter().filter_map(move |(key, (index, end))| {
            let left = end.checked_sub(now).filter(|left| *left > 0)?;
            let value = self.values.get(*index as usize)?;
            let timeout = Some(Duration::from_millis(left));
            Some((ElementKey { first: key.clone(), last: None }, ElementValue { timeout, ..value.clone() }))
        })
    }

    /// Forgets what ended before a moment.
    pub(super) fn forget(&mut self, before: Duration) {
        let before = milliseconds(before);
        self.elements.retain(|_, (_, end)| *end > before);
    }

    /// All ends come later by so much.
    pub(super) fn put_off(&mut self, by: Duration) {
        let by = milliseconds(by);
        self.elements.values_mut().for_each(|(_, end)| *end = end.saturating_add(by));
    }
}

fn milliseconds(time: Duration) -> End {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(last: u8) -> ElementKey {
        ElementKey { first: [192, 0, 2, last].into(), last: None }
    }

    fn value(object: &str, seconds: u64) -> ElementValue {
        let timeout = Some(Duration::from_secs(seconds));
        ElementValue { object: Some(object.to_owned()), timeout, ..ElementValue::default() }
    }

    fn left(lives: &Lives, second: u64) -> Vec<(u8, String, u64)> {
        let one = |(key, value): Element| {
            (key.first[3], value.object.unwrap_or_default(), value.timeout.unwrap_or_default().as_secs())
        };
        lives.now(Duration::from_secs(second)).map(one).collect()
    }

    #[test]
    fn elements_live_until_their_ends_and_the_last_value_counts() {
        let mut lives = Lives::default();
        lives.insert(&key(1), &value("a", 10), Duration::from_secs(100));
        lives.insert(&key(2), &value("a", 20), Duration::from_secs(100));
        lives.insert(&key(2), &value("b", 30), Duration::from_secs(101));
        assert_eq!(left(&lives, 105), [(1, "a".into(), 5), (2, "b".into(), 26)]);
        assert_eq!(left(&lives, 110), [(2, "b".into(), 21)]);
        assert!(lives.has_ended(&key(1), Duration::from_secs(110)));
        assert!(!lives.has_ended(&key(3), Duration::from_secs(110)));
        assert_eq!(lives.value(&key(2)).and_then(|value| value.object.as_deref()), Some("b"));
        lives.put_off(Duration::from_secs(60));
        assert_eq!(left(&lives, 110).len(), 2);
        lives.forget(Duration::from_secs(175));
        assert_eq!(left(&lives, 110), [(2, "b".into(), 81)]);
    }
}
