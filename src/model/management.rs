//! The policy `management`, which holds while no file has a rule. The program carries it, so that it holds on a machine without
//! the package's files as well.

use crate::diag::{FileId, Finding, Findings, SourceMap, codes};
use crate::policy::{Layer, ParsedPolicy, parse};

/// The name of its text among the files of a policy.
pub const NAME: &str = "(built in) management";

/// What is shipped as `management.toml` in the vendor directory too.
pub const TEXT: &str = include_str!("../../policy/management.toml");

/// What it permits, for messages.
pub const SUMMARY: &str = "SSH in from anywhere, everything out, the rest denied";

const NEXT: &str = "\
write the site's rules in its policy directory, the way in for administrators first: with the first rule `management` is
gone, and what it let out with it. For instance /etc/portgrave/policy.d/50-site.toml:
    language = 1
    [[rule]]
    name = \"ssh-in\"
    direction = \"in\"
    service = \"ssh\"
    peers = [\"192.0.2.0/24\"]
or name a shipped policy in portgrave.toml: policy = [\"clearswift-seg\"]";

/// Where no file has a rule, makes `management` the lowest layer of all, and warns of it.
pub fn fall_back(
    sources: &mut SourceMap,
    files: &mut Vec<(FileId, Layer)>,
    parsed: &mut ParsedPolicy,
) -> Findings {
    if parsed.files.iter().any(|file| !file.rules.is_empty()) {
        return Findings::default();
    }
    if files.iter().any(|(_, layer)| *layer == Layer(0)) {
        let layers = files.iter_mut().map(|(_, layer)| layer);
        layers.chain(parsed.files.iter_mut().map(|file| &mut file.layer)).for_each(|layer| layer.0 += 1);
    }
    let lowest = (sources.add(NAME, TEXT), Layer(0));
    let management = parse(sources, &[lowest]).expect("the built-in policy is sound");
    files.insert(0, lowest);
    parsed.files.splice(0..0, management.files);
    let message = format!("no file has a rule, so the policy `management` holds: {SUMMARY}");
    Finding::warning(codes::NO_RULE, message).help(NEXT).into()
}

#[cfg(test)]
mod tests {
    use super::super::{Action, Policy, RuleDirection, Source, resolve};
    use super::*;

    /// The policy that holds where one file of each layer is written, and the codes of what is said of it.
    fn holding(layers: &[(u32, &str)]) -> (Policy, Vec<&'static str>, Vec<u32>) {
        let mut sources = SourceMap::default();
        let mut files: Vec<_> =
            layers.iter().map(|(layer, text)| (sources.add("x.toml", *text), Layer(*layer))).collect();
        let mut parsed = parse(&sources, &files).unwrap();
        let mut findings = fall_back(&mut sources, &mut files, &mut parsed);
        let (policy, more) = resolve(&parsed);
        findings.extend(more);
        let again: Vec<_> = parsed.files.iter().map(|file| (file.file, file.layer)).collect();
        assert_eq!(again, files, "what is stored is what is resolved");
        let codes = findings.iter().map(|finding| finding.code).collect();
        (policy, codes, files.iter().map(|(_, layer)| layer.0).collect())
    }

    #[test]
    fn without_a_rule_ssh_comes_in_and_everything_goes_out() {
        let (policy, codes, layers) = holding(&[]);
        assert_eq!((codes, layers), (vec!["PG313"], vec![0]));
        let rules: Vec<_> = policy.rules.iter().map(|rule| (rule.name.as_str(), rule.direction)).collect();
        assert_eq!(rules, [("all-out", RuleDirection::Out), ("ssh-in", RuleDirection::In)]);
        assert!(policy.rules.iter().all(|rule| rule.action == Action::Allow && rule.peers.has(&Source::Any)));
        assert_eq!(policy.rules[1].ports, ["tcp/22".parse().unwrap()]);
    }

    #[test]
    fn a_file_with_groups_and_switches_alone_is_empty_still_and_stands_above() {
        let groups = "language = 1\n[features]\nx = true\n[hosts]\nadmins = [\"192.0.2.1\"]\n";
        let (policy, codes, layers) = holding(&[(1, groups), (2, "language = 1\n")]);
        assert_eq!((codes, layers), (vec!["PG313", "PG331", "PG338"], vec![0, 1, 2]));
        assert_eq!(policy.rules.len(), 2);
        let own = "language = 1\n[services]\nssh = { ports = [\"tcp/2222\"] }\n";
        let (policy, _, layers) = holding(&[(0, own)]);
        assert_eq!((layers, &policy.rules[1].ports), (vec![0, 1], &vec!["tcp/2222".parse().unwrap()]));
    }

    #[test]
    fn an_override_alone_changes_management_which_is_a_lower_layer() {
        let text = "language = 1\n[override.ssh-in]\npeers = \"192.0.2.1\"\n";
        for layer in [0, 1] {
            let (policy, codes, _) = holding(&[(layer, text)]);
            assert_eq!(codes, ["PG313"]);
            let ssh = policy.rules.iter().find(|rule| rule.name.as_str() == "ssh-in");
            assert_eq!(ssh.map(|rule| rule.peers.has(&Source::Any)), Some(false));
        }
    }

    #[test]
    fn a_rule_that_is_off_is_a_rule() {
        let off = "language = 1\n[[rule]]\nname = \"a\"\ndirection = \"in\"\nservice = \"ssh\"\npeers = \"any\"\nenabled = false\n";
        let (policy, codes, layers) = holding(&[(1, off)]);
        assert_eq!((policy.rules.len(), codes, layers), (0, vec!["PG337"], vec![1]));
    }
}
