//! The rules of all layers: which one of each name is in force, and what higher layers change in it.

use super::rule_form::{self, Form};
use crate::diag::{Finding, Findings, Span, did_you_mean};
use crate::policy::{Layer, OverrideEntry, ParsedPolicy, RuleEntry};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct InForce<'a> {
    /// In the order of the layers and files; where two wrongly have one name both, so that all of both is judged.
    pub(super) entries: Vec<Cow<'a, RuleEntry>>,
    /// What stood in the place of these before a higher layer replaced or changed it.
    pub(super) superseded: Vec<&'a RuleEntry>,
}

pub(super) fn in_force<'a>(parsed: &'a ParsedPolicy, findings: &mut Findings) -> InForce<'a> {
    let layers: BTreeSet<Layer> = parsed.files.iter().map(|file| file.layer).collect();
    let mut rules = Rules { parsed, entries: Vec::new(), held: BTreeMap::new(), superseded: Vec::new() };
    for layer in layers {
        let of_layer = || parsed.files.iter().filter(move |file| file.layer == layer);
        for rule in of_layer().flat_map(|file| &file.rules) {
            rules.take(layer, rule, findings);
        }
        let mut changes = Changes::default();
        for change in of_layer().flat_map(|file| &file.overrides) {
            rules.change(layer, change, &mut changes, findings);
        }
    }
    InForce { entries: rules.entries.into_iter().flatten().collect(), superseded: rules.superseded }
}

struct Rules<'a> {
    parsed: &'a ParsedPolicy,
    /// `None`: another one has taken its place.
    entries: Vec<Option<Cow<'a, RuleEntry>>>,
    /// By name: the layer of the one in force, and where it is among the entries.
    held: BTreeMap<&'a str, (Layer, usize)>,
    superseded: Vec<&'a RuleEntry>,
}

/// What the overrides of one layer have said so far.
#[derive(Default)]
struct Changes<'a> {
    /// The rules as they were before.
    before: BTreeMap<&'a str, Form>,
    said: BTreeMap<(&'a str, &'static str), (Span, Vec<String>)>,
}

impl<'a> Rules<'a> {
    fn take(&mut self, layer: Layer, rule: &'a RuleEntry, findings: &mut Findings) {
        let name = rule.name.value.as_str();
        let held = self.held.get(name).copied();
        let first = held.and_then(|(layer, index)| Some((layer, index, self.entries.get(index)?.as_ref()?)));
        match (first, rule.replaces) {
            (None, replaces) => {
                if let Some(place) = replaces {
                    findings.push(self.nothing_to_replace(rule, layer, place));
                }
                self.put(layer, rule);
            }
            (Some((of, _, first)), _) if of == layer => {
                if !rule_form::same(first, rule) {
                    findings.push(two_in_a_layer(first, rule));
                    self.entries.push(Some(Cow::Borrowed(rule)));
                }
            }
            (Some((_, index, _)), Some(_)) => {
                let replaced = self.entries[index].take();
                self.superseded.extend(replaced.as_ref().and_then(as_written));
                self.put(layer, rule);
            }
            (Some((_, _, first)), None) => {
                findings.push(not_replaced(first, rule));
                self.entries.push(Some(Cow::Borrowed(rule)));
            }
        }
    }

    fn put(&mut self, layer: Layer, rule: &'a RuleEntry) {
        self.held.insert(rule.name.value.as_str(), (layer, self.entries.len()));
        self.entries.push(Some(Cow::Borrowed(rule)));
    }

    fn change(
        &mut self,
        layer: Layer,
        change: &'a OverrideEntry,
        changes: &mut Changes<'a>,
        findings: &mut Findings,
    ) {
        let name = change.rule.value.as_str();
        let held = self.held.get(name).copied();
        let Some((_, index)) = held.filter(|(of, _)| *of < layer) else {
            findings.push(self.no_lower_rule(change, layer, held.map(|(_, index)| index)));
            return;
        };
        let Some(Some(entry)) = self.entries.get_mut(index) else { return };
        let before = changes.before.entry(name).or_insert_with(|| rule_form::of_rule(entry));
        for (key, place, form) in rule_form::of_keys(&change.keys) {
            match changes.said.get(&(name, key)) {
                Some((_, same)) if *same == form => {}
                Some((first, _)) => findings.push(changed_twice(name, key, *first, place)),
                None => {
                    if before.get(key) == Some(&form) {
                        findings.push(changes_nothing(entry, key, place));
                    }
                    changes.said.insert((name, key), (place, form));
                }
            }
        }
        self.superseded.extend(as_written(entry));
        rule_form::change(entry.to_mut(), change.keys.clone());
    }

    /// Which rule of a lower layer is meant by a name that none has.
    fn meant(&self, name: &str, layer: Layer) -> String {
        let lower = self.held.iter().filter(|(_, (of, _))| *of < layer);
        let lower: Vec<&str> = lower.map(|(name, _)| *name).collect();
        if lower.is_empty() {
            return "lower layers have no rules".into();
        }
        did_you_mean("rule of a lower layer", name, lower)
    }

    fn nothing_to_replace(&self, rule: &RuleEntry, layer: Layer, place: Span) -> Finding {
        let name = rule.name.value.as_str();
        let message = format!("rule \"{name}\" replaces nothing: no lower layer has a rule of that name");
        let help = format!("leave `replaces` out if the rule is new; {}", self.meant(name, layer));
        Finding::error("PG317", message).at(place).help(help)
    }

    /// `same_layer`: the rule of that name, where the layer of the override has it.
    fn no_lower_rule(&self, change: &OverrideEntry, layer: Layer, same_layer: Option<usize>) -> Finding {
        const ITSELF: &str = "change the rule itself: an override changes a rule of a lower layer";
        let name = change.rule.value.as_str();
        if let Some(rule) = same_layer.and_then(|index| self.entries.get(index)?.as_ref()) {
            let message = format!("the override of \"{name}\" stands in the layer of the rule");
            let finding = Finding::error("PG318", message).at(change.rule.span);
            return finding.also(rule.name.span, "the rule is here").help(ITSELF);
        }
        let message = format!("no lower layer has a rule \"{name}\"");
        let finding = Finding::error("PG318", message).at(change.rule.span);
        let mut all = self.parsed.files.iter().flat_map(|file| &file.rules);
        match all.find(|rule| rule.name.value == change.rule.value) {
            Some(rule) => finding.also(rule.name.span, "a higher layer has it").help(ITSELF),
            None => finding.help(self.meant(name, layer)),
        }
    }
}

/// The rule of a file, where no override has changed it yet.
fn as_written<'a>(entry: &Cow<'a, RuleEntry>) -> Option<&'a RuleEntry> {
    match entry {
        Cow::Borrowed(rule) => Some(rule),
        Cow::Owned(_) => None,
    }
}

fn two_rules(first: &RuleEntry, second: &RuleEntry) -> Finding {
    Finding::error("PG302", format!("there are two rules \"{}\"", second.name.value))
        .at(second.name.span)
        .also(first.name.span, "the other one is here")
}

fn two_in_a_layer(first: &RuleEntry, second: &RuleEntry) -> Finding {
    two_rules(first, second).help("give one of the two another name")
}

fn not_replaced(first: &RuleEntry, second: &RuleEntry) -> Finding {
    let name = &second.name.value;
    two_rules(first, second).help(format!(
        "write `replaces = true` if this rule takes the place of the other, `[override.{name}]` to change single keys of \
         it, or another name"
    ))
}

fn changed_twice(name: &str, key: &str, first: Span, second: Span) -> Finding {
    Finding::error(
        "PG319",
        format!("`{key}` of rule \"{name}\" is changed twice in one layer, and differently"),
    )
    .at(second)
    .also(first, "first changed here")
    .help("keep one of the two")
}

fn changes_nothing(rule: &RuleEntry, key: &str, place: Span) -> Finding {
    Finding::warning(
        "PG346",
        format!("the override changes nothing: `{key}` of rule \"{}\" is so already", rule.name.value),
    )
    .at(place)
    .also(rule.name.span, "the rule")
    .help("take the key out")
}
