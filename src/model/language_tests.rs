//! What the layers of texts come to: replaced and overridden rules, defaults, zones, exceptions and networks of names.

use super::resolve;
use crate::diag::SourceMap;
use crate::policy::{Layer, parse};

/// The policy as text, and the codes of what is said of it.
fn of(layers: &[(u32, &str)]) -> (String, Vec<&'static str>) {
    let mut sources = SourceMap::default();
    let files: Vec<_> = layers
        .iter()
        .map(|(layer, text)| (sources.add("x.toml", format!("language = 1\n{text}")), Layer(*layer)))
        .collect();
    let (policy, findings) = resolve(&parse(&sources, &files).unwrap());
    (policy.to_string(), findings.iter().map(|finding| finding.code).collect())
}

/// The policy, which must have no finding.
fn clean(layers: &[(u32, &str)]) -> String {
    let (policy, codes) = of(layers);
    assert_eq!(codes, [""; 0], "{policy}");
    policy
}

fn rule(name: &str, more: &str) -> String {
    format!(
        "[[rule]]\nname = \"{name}\"\ndirection = \"in\"\nservice = \"ssh\"\npeers = \"192.0.2.1\"\n{more}\n"
    )
}

#[test]
fn a_rule_that_replaces_takes_the_place_of_all_lower_ones() {
    let vendor = rule("a", "action = \"deny\"\npurpose = \"x\"");
    let site =
        "[[rule]]\nname = \"a\"\nreplaces = true\ndirection = \"in\"\nservice = \"ssh\"\npeers = \"any\"\n";
    let runtime = "[[rule]]\nname = \"a\"\nreplaces = true\ndirection = \"in\"\nservice = \"ssh\"\npeers = \"192.0.2.9\"\n";
    assert_eq!(clean(&[(0, &vendor), (1, site)]), "a: in allow tcp/22 peers any\n");
    assert_eq!(clean(&[(0, &vendor), (1, site), (2, runtime)]), "a: in allow tcp/22 peers 192.0.2.9\n");
    assert_eq!(clean(&[(0, &vendor), (2, runtime)]), "a: in allow tcp/22 peers 192.0.2.9\n");
    assert_eq!(clean(&[(0, &vendor), (1, site), (1, site)]), "a: in allow tcp/22 peers any\n");
}

#[test]
fn overrides_change_single_keys_layer_by_layer() {
    let vendor = rule("a", "") + &rule("b", "local = [\"192.0.2.2\"]");
    let site =
        "[override.a]\nports = [\"tcp/2222\"]\npeers = [\"192.0.2.7\"]\n[override.b]\nenabled = false\n";
    let runtime = "[override.a]\naction = \"reject\"\nmode = \"audit\"\n[override.b]\nenabled = true\nuser = \"x\"\ndirection = \"out\"\n";
    let way_in = rule("ssh-in", "local = [\"192.0.2.3\"]");
    let all = [(0, vendor.as_str()), (1, site), (1, &way_in), (2, runtime)];
    assert_eq!(
        clean(&all),
        "a: in reject (audit) tcp/2222 peers 192.0.2.7\n\
         b: out allow tcp/22 local 192.0.2.2 user x peers 192.0.2.1\n\
         ssh-in: in allow tcp/22 local 192.0.2.3 peers 192.0.2.1\n"
    );
    let back = "[override.a]\nservice = \"ssh\"\n";
    let again = clean(&[(0, &vendor), (1, site), (2, back)]);
    assert_eq!(again, "a: in allow tcp/22 peers 192.0.2.7\n");
}

#[test]
fn an_override_below_a_rule_that_replaces_is_gone_with_the_rule() {
    let replaced = rule("a", "replaces = true\npurpose = \"y\"");
    let layers = [(0, rule("a", "")), (1, "[override.a]\naction = \"deny\"\n".into()), (2, replaced)];
    let layers: Vec<(u32, &str)> = layers.iter().map(|(layer, text)| (*layer, text.as_str())).collect();
    assert_eq!(clean(&layers), "a: in allow tcp/22 peers 192.0.2.1\n");
}

#[test]
fn equal_overrides_of_one_layer_are_fine_and_others_are_not() {
    let vendor = rule("a", "") + &rule("ssh-in", "").replace("192.0.2.1", "any");
    let change = |key: &str| format!("[override.a]\n{key}\n");
    let with = |first: &str, second: &str| of(&[(0, &vendor), (1, &change(first)), (1, &change(second))]).1;
    assert_eq!(
        with("peers = [\"192.0.2.7\", \"192.0.2.8\"]", "peers = [\"192.0.2.8\", \"192.0.2.7\"]"),
        [""; 0]
    );
    assert_eq!(with("purpose = \"x\"", "rows = [\"R1\"]"), [""; 0]);
    assert_eq!(with("purpose = \"x\"", "purpose = \"y\""), ["PG319"]);
    assert_eq!(with("service = \"ssh\"\npurpose = \"x\"", "ports = [\"tcp/2222\"]"), ["PG346", "PG319"]);
}

#[test]
fn defaults_are_layered_key_by_key() {
    let ssh = rule("ssh-in", "");
    let vendor = format!("[default]\nin = \"reject\"\nout = \"audit\"\n{ssh}");
    let site = "[default]\nout = \"deny\"\nforward = \"deny\"\n";
    let text = clean(&[(0, &vendor), (1, site)]);
    assert_eq!(text, "default in reject\ndefault forward deny\nssh-in: in allow tcp/22 peers 192.0.2.1\n");
}

#[test]
fn zones_are_replaced_by_name_and_a_rule_has_all_interfaces_of_its_zones() {
    let rules = rule("ssh-in", "zone = [\"inside\", \"outside\"]");
    let vendor = format!("[zones]\ninside = [\"eth9\"]\noutside = [\"eth0\", \"eth1\"]\n{rules}");
    let text = clean(&[(0, &vendor), (1, "[zones]\ninside = [\"eth1\", \"vlan*\"]\n")]);
    assert_eq!(text, "ssh-in: in allow tcp/22 on eth0,eth1,vlan* peers 192.0.2.1\n");
}

#[test]
fn an_exception_holds_on_the_ways_through_its_group_alone() {
    let rules = "[[rule]]\nname = \"ssh-in\"\ndirection = \"in\"\nservice = \"ssh\"\npeers = ";
    let groups = "[hosts]\nsome = { members = [\"@all\", \"192.0.2.7\"], except = [\"192.0.2.0/28\"] }\n\
                  all = [\"192.0.2.0/24\", \"@deep\"]\ndeep = { members = [\"10.0.0.0/8\"], except = [\"@odd\"] }\n\
                  odd = { members = [\"10.1.0.0/16\"], except = [\"10.1.1.1\"] }\n";
    let peers = |peers: &str| clean(&[(1, &format!("{groups}{rules}{peers}\n"))]);
    assert_eq!(
        peers("\"@some\""),
        "ssh-in: in allow tcp/22 peers 10.0.0.0/8 less @deep(10.1.0.0/16 less @odd(10.1.1.1)) less @some(192.0.2.0/28) \
         192.0.2.0/24 less @some(192.0.2.0/28) 192.0.2.7 less @some(192.0.2.0/28)\n"
    );
    assert_eq!(
        peers("[\"@some\", \"@all\"]"),
        "ssh-in: in allow tcp/22 peers 10.0.0.0/8 less @deep(10.1.0.0/16 less @odd(10.1.1.1)) 192.0.2.0/24 \
         192.0.2.7 less @some(192.0.2.0/28)\n"
    );
}

/// Each of these groups can be reached with or without the exception of each group above it.
#[test]
fn exceptions_in_a_million_ways_are_an_error_and_are_found_soon() {
    let mut groups = String::from("[hosts]\n");
    for level in 0..40 {
        let below = format!("[\"@a{}\", \"@b{}\"]", level + 1, level + 1);
        let except = format!("except = [\"10.0.0.{level}\"]");
        groups += &format!(
            "a{level} = {{ members = {below}, {except} }}\nb{level} = {{ members = {below}, {except} }}\n"
        );
    }
    groups += "a40 = [\"10.0.0.0/8\"]\nb40 = [\"10.0.0.0/8\"]\n";
    let rules =
        "[[rule]]\nname = \"ssh-in\"\ndirection = \"in\"\nservice = \"ssh\"\npeers = [\"@a0\", \"@b0\"]\n";
    assert_eq!(of(&[(1, &format!("{groups}{rules}"))]).1, ["PG327"]);
}

#[test]
fn networks_of_a_name_are_those_of_all_its_groups() {
    let groups = "[hosts]\na = { members = [\"mx.example.net\"], allow-net = [\"10.2.0.0/16\", \"10.1.0.0/16\"] }\n\
                  b = { members = [\"@a\"], allow-net = [\"fd00::/8\", \"10.1.0.0/16\"] }\n";
    let rules = "[[rule]]\nname = \"ssh-in\"\ndirection = \"in\"\nservice = \"ssh\"\npeers = \"@b\"\n";
    assert_eq!(
        clean(&[(1, &format!("{groups}{rules}"))]),
        "name mx.example.net may stand for 10.1.0.0/16 10.2.0.0/16 fd00::/8\nssh-in: in allow tcp/22 peers mx.example.net\n"
    );
}

#[test]
fn services_in_a_list_open_the_ports_of_all() {
    let rules = "[[rule]]\nname = \"ssh-in\"\ndirection = \"in\"\nservice = [\"ssh\", \"dns\", \"own\"]\npeers = \"any\"\n";
    let services = "[services]\nown = { ports = [\"tcp/990\"], passive = \"tcp/50000-50100\" }\n";
    let text = clean(&[(1, &format!("{services}{rules}"))]);
    assert_eq!(text, "ssh-in: in allow tcp/22 tcp/53 tcp/990 tcp/50000-50100 udp/53 peers any\n");
}
