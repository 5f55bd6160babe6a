//! What [`resolve`](super::resolve) makes of policies, and what it finds in them.

use super::testing::{SITE, VENDOR, Written, sound};
use super::{Action, BaselineRule, NamePolicy, Policy, Rule, Source};
use crate::diag::{FileId, Span};
use crate::policy::{Peer, PortTerm, Spanned};
use std::time::Duration;

fn rule<'p>(policy: &'p Policy, name: &str) -> &'p Rule {
    policy.rules.iter().find(|rule| rule.name.as_str() == name).unwrap()
}

fn ports(policy: &Policy, name: &str) -> Vec<String> {
    rule(policy, name).ports.iter().map(ToString::to_string).collect()
}

fn ranges(policy: &Policy, name: &str) -> Vec<String> {
    let parts = rule(policy, name).peers.parts.iter();
    parts.filter(|part| matches!(part.source, Source::Range(_))).map(ToString::to_string).collect()
}

#[test]
fn a_sound_policy_has_no_finding() {
    assert_eq!(sound().codes(), [""; 0]);
}

#[test]
fn rules_are_sorted_by_name() {
    let policy = sound().rule("b in tcp/1 192.0.2.1").rule("a in tcp/2 192.0.2.1").policy();
    let names: Vec<&str> = policy.rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "ssh-in"]);
}

#[test]
fn a_site_replaces_a_group_of_the_vendor_and_both_may_add() {
    let policy = Written::in_layer(SITE)
        .group("admins", "192.0.2.1")
        .file(VENDOR)
        .group("admins", "198.51.100.1")
        .add("admins", "203.0.113.1")
        .rule("ssh-in in ssh @admins")
        .file(SITE)
        .add("admins", "203.0.113.2")
        .policy();
    assert_eq!(ranges(&policy, "ssh-in"), ["192.0.2.1", "203.0.113.1", "203.0.113.2"]);
}

#[test]
fn a_group_may_consist_of_additions_alone() {
    let policy = Written::in_layer(SITE).add("a", "192.0.2.1").rule("ssh-in in ssh @a").policy();
    assert_eq!(ranges(&policy, "ssh-in"), ["192.0.2.1"]);
}

#[test]
fn a_site_replaces_services_switches_and_baseline_of_the_vendor() {
    let policy = sound()
        .feature("x", true)
        .baseline("echo", true)
        .service("relay", "tcp/587", "", "")
        .file(VENDOR)
        .feature("x", false)
        .baseline("echo", false)
        .baseline("dhcp", false)
        .service("relay", "tcp/25", "", "")
        .rule("smtp-out out relay any")
        .when("x")
        .policy();
    assert_eq!(ports(&policy, "smtp-out"), ["tcp/587"]);
    let changed: Vec<BaselineRule> = BaselineRule::ALL
        .into_iter()
        .filter(|rule| policy.baseline.has(*rule) != rule.is_default())
        .collect();
    assert_eq!(changed, [BaselineRule::Dhcp]);
}

#[test]
fn two_definitions_in_one_layer_are_an_error_unless_equal() {
    let twice =
        |second: &str| sound().group("a", "192.0.2.1").rule("b out dns @a").file(SITE).group("a", second);
    assert_eq!(twice("192.0.2.1").codes(), [""; 0]);
    let finding = twice("192.0.2.2").finding();
    assert_eq!(finding.code, "PG301");
    assert_eq!((finding.place.unwrap().file.0, finding.also[0].0.file.0), (1, 0));

    let features =
        sound().feature("x", true).rule("b out dns 192.0.2.1").when("x").file(SITE).feature("x", false);
    assert_eq!(features.codes(), ["PG301"]);
    let service = |ports| sound().service("x", ports, "", "").file(SITE).service("x", "tcp/1", "", "");
    assert_eq!(service("tcp/1").rule("b out x 192.0.2.1").codes(), [""; 0]);
    assert_eq!(service("tcp/2").rule("b out x 192.0.2.1").codes(), ["PG301"]);
}

#[test]
fn two_rules_of_one_name_are_an_error_unless_the_higher_one_replaces_the_lower() {
    let twice = |layer, second| sound().rule("a out dns 192.0.2.1").file(layer).rule(second);
    assert_eq!(twice(SITE, "a out dns 192.0.2.1").codes(), [""; 0]);
    assert_eq!(twice(SITE, "a out ntp 192.0.2.1").codes(), ["PG302"]);
    let finding = twice(VENDOR, "a out dns 192.0.2.1").finding();
    assert_eq!(finding.code, "PG302");
    assert!(finding.help.unwrap().contains("`replaces = true`"));
}

#[test]
fn the_order_of_files_and_rules_changes_nothing() {
    let vendor = |w: Written| w.file(VENDOR).feature("x", false).group("a", "192.0.2.1,@b").group("b", "");
    let rules = |w: Written| w.file(VENDOR).rule("d out dns @a").when("x").rule("c in ssh @b");
    let site = |w: Written| w.file(SITE).group("b", "198.51.100.0/24").feature("x", true);
    let more = |w: Written| w.file(SITE).add("b", "2001:db8::1").rule("a in any mail.example.net");
    let orders: [Written; 3] = [
        more(site(rules(vendor(Written::in_layer(VENDOR))))),
        rules(vendor(site(more(Written::in_layer(SITE))))),
        vendor(more(rules(site(Written::in_layer(SITE))))),
    ];
    let means: Vec<Vec<String>> = orders
        .iter()
        .map(|written| {
            let policy = written.policy();
            policy.rules.iter().map(|r| format!("{} {:?} {:?}", r.name, r.ports, r.peers)).collect()
        })
        .collect();
    assert_eq!(means[0].len(), 3);
    assert!(means.iter().all(|other| *other == means[0]), "{means:#?}");
}

#[test]
fn groups_within_groups_are_one_set() {
    let policy = Written::in_layer(SITE)
        .group("all", "@some,mail.example.net,any")
        .group("some", "192.0.2.0/24,@deep")
        .group("deep", "2001:db8::1,192.0.2.0/24")
        .rule("ssh-in in ssh @all,192.0.2.0/24")
        .policy();
    assert_eq!(ranges(&policy, "ssh-in"), ["192.0.2.0/24", "2001:db8::1"]);
    let peers = &rule(&policy, "ssh-in").peers;
    assert!(peers.has(&Source::Any) && !peers.has(&Source::Broadcast));
    assert_eq!(peers.written, ["@all", "192.0.2.0/24"]);
    assert_eq!(policy.names.keys().map(ToString::to_string).collect::<Vec<_>>(), ["mail.example.net"]);
}

#[test]
fn a_group_that_includes_itself_is_an_error_with_the_chain() {
    let finding = Written::in_layer(SITE)
        .group("a", "@b")
        .group("b", "192.0.2.1,@c")
        .group("c", "@b")
        .rule("ssh-in in ssh @a")
        .finding();
    assert_eq!(finding.code, "PG304");
    assert!(finding.message.ends_with("@b -> @c -> @b"), "{}", finding.message);
    let two =
        Written::in_layer(SITE).group("a", "@a,@b").group("b", "@b").rule("ssh-in in ssh @a,@b,192.0.2.1");
    assert_eq!(two.codes(), ["PG304", "PG304"]);
}

#[test]
fn a_chain_of_a_hundred_thousand_groups_is_resolved() {
    let mut written = Written::in_layer(SITE).rule("ssh-in in ssh @g0");
    for index in 0..100_000 {
        written = written.group(&format!("g{index}"), &format!("@g{}", index + 1));
    }
    assert_eq!(ranges(&written.group("g100000", "192.0.2.1").policy(), "ssh-in"), ["192.0.2.1"]);
}

#[test]
fn unknown_references_are_errors_with_the_nearest_name_also_in_rules_that_are_off() {
    let off = |text: &str| {
        let known =
            sound().group("admins", "192.0.2.1").feature("pmm", true).rule("a out dns @admins").when("pmm");
        known.rule_with(text, |rule| rule.enabled = false)
    };
    let finding = off("b in ssh @admin").finding();
    assert_eq!((finding.code, finding.help.as_deref()), ("PG303", Some("did you mean \"admins\"?")));
    let finding = off("b in shh any").finding();
    assert!(finding.code == "PG305" && finding.help.unwrap().starts_with("did you mean \"ssh\"?"));
    let finding = off("b in ssh any").when("pm").finding();
    assert_eq!((finding.code, finding.help.as_deref()), ("PG306", Some("did you mean \"pmm\"?")));
}

#[test]
fn switches_turn_rules_on_and_off() {
    let names = |on| {
        let written = sound().feature("x", on).rule("a out dns 192.0.2.1").when("x");
        let policy = written.rule("b out dns 192.0.2.1").when("!x").policy();
        policy.rules.iter().map(|rule| rule.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(true), ["a", "ssh-in"]);
    assert_eq!(names(false), ["b", "ssh-in"]);
    assert!(sound().rule_with("a out dns any", |rule| rule.enabled = false).policy().rules.len() == 1);
}

#[test]
fn services_bring_their_helper_and_their_passive_ports() {
    let policy = sound()
        .service("ftps", "tcp/990", "", "50000-50100")
        .rule("a both ftp 192.0.2.1")
        .rule("b both ftps 192.0.2.1")
        .rule_with("c both ftp 192.0.2.2", |rule| rule.action.value = Action::Deny)
        .policy();
    assert_eq!(
        (ports(&policy, "a"), rule(&policy, "a").helper.as_deref()),
        (vec!["tcp/21".into()], Some("ftp"))
    );
    assert_eq!(ports(&policy, "b"), ["tcp/990", "tcp/50000-50100"]);
    assert_eq!(rule(&policy, "b").helper, None);
    assert_eq!(rule(&policy, "c").helper, None);
}

#[test]
fn a_service_that_no_kernel_can_help_is_an_error() {
    let of = |ports, helper, passive| {
        sound().service("x", ports, helper, passive).rule("a out x 192.0.2.1").codes()
    };
    assert_eq!(of("tcp/21", "ftp", ""), [""; 0]);
    assert_eq!(of("tcp/21,udp/21", "ftp", ""), ["PG308"]);
    assert_eq!(of("tcp/21", "ftp", "50000-50100"), ["PG308"]);
}

#[test]
fn times_of_a_name_are_the_longest_of_its_groups() {
    let seconds = |n| Some(Duration::from_secs(n));
    let written = sound()
        .group("inner", "mail.example.net")
        .group("outer", "@inner")
        .host("outer2", |host| {
            host.members = Some(Vec::new());
            host.grace = seconds(9);
        })
        .rule("a out smtp @outer,@outer2");
    assert_eq!(written.policy().names.values().next().unwrap(), &NamePolicy::default());

    let mut written = written;
    for (layer, grace, cap) in [(2, 10, 5), (3, 20, 4)] {
        written = written.file(layer);
        let members = Some(vec![]);
        written = written.host(if layer == 2 { "outer2" } else { "outer" }, |host| {
            host.members = members;
            host.grace = seconds(grace);
            host.ttl_cap = seconds(cap);
        });
        written = written.add(if layer == 2 { "outer2" } else { "outer" }, "@inner");
    }
    let policy = written.policy();
    let of = policy.names.values().next().unwrap();
    assert_eq!((of.grace, of.ttl_cap, of.ttl_floor), (seconds(20), seconds(5), None));
}

#[test]
fn times_without_members_are_an_error() {
    let times = |host: &mut crate::policy::HostGroup| host.grace = Some(Duration::from_secs(1));
    assert_eq!(
        sound().group("a", "192.0.2.1").rule("b out dns @a").file(2).host("a", times).codes(),
        ["PG315"]
    );
}

#[test]
fn times_that_contradict_each_other_or_hold_for_no_name_are_found() {
    let with = |members: &str, floor, cap| {
        let filled = Written::in_layer(SITE).group("m", members);
        let group = filled.host("a", |host| {
            host.members = Some(Vec::new());
            host.ttl_floor = Some(Duration::from_secs(floor));
            host.ttl_cap = Some(Duration::from_secs(cap));
        });
        group.file(SITE).add("a", "@m").rule("ssh-in in ssh @a").codes()
    };
    assert_eq!(with("mail.example.net", 1, 2), [""; 0]);
    assert_eq!(with("mail.example.net", 2, 1), ["PG316"]);
    assert_eq!(with("192.0.2.1", 1, 2), ["PG341"]);
}

#[test]
fn baseline_switches_are_known_names() {
    assert_eq!(sound().baseline("dhpc", false).finding().help.as_deref(), Some("did you mean \"dhcp\"?"));
    let always = sound().baseline("established", false).finding();
    assert_eq!((always.code, always.help.unwrap().contains("always on")), ("PG307", true));
}

#[test]
fn an_empty_group_in_use_is_a_warning_that_names_the_silenced_rules() {
    let with = |on| {
        sound().feature("x", on).group("a", "").rule("b out dns @a").when("x").rule("c out ntp @a").when("x")
    };
    assert_eq!(with(false).codes(), [""; 0]);
    let finding = with(true).finding();
    assert_eq!(finding.code, "PG330");
    assert!(finding.message.contains("\"a\"") && finding.message.contains("rules \"b\" and \"c\""));
    let filled = with(true).file(2).add("a", "192.0.2.1");
    assert_eq!(filled.codes(), [""; 0]);
    assert_eq!(sound().rule("b out dns @x").host("x", |host| host.resolv_conf = true).codes(), [""; 0]);
}

#[test]
fn what_no_rule_uses_is_a_warning_with_the_nearest_name() {
    let used = || sound().group("admins", "192.0.2.9").rule("a in ssh @admins");
    let finding = used().group("administrators", "192.0.2.1").finding();
    assert_eq!((finding.code, finding.help.as_deref()), ("PG331", Some("did you mean \"admins\"?")));
    let finding = used().feature("pmm", true).when("pmm").feature("pnm", true).finding();
    assert_eq!((finding.code, finding.help.as_deref()), ("PG338", Some("did you mean \"pmm\"?")));
    assert_eq!(used().service("ssh-alt", "tcp/2222", "", "").codes(), ["PG340"]);
}

#[test]
fn what_a_rule_used_before_a_higher_layer_changed_it_is_no_warning() {
    let vendor = || {
        let written = Written::in_layer(VENDOR).feature("x", true).group("relays", "@inner");
        let written = written.group("inner", "192.0.2.1").service("relay", "tcp/25", "", "");
        written.rule("a out relay @relays").when("x").file(SITE).rule("ssh-in in ssh 192.0.2.9")
    };
    assert_eq!(vendor().codes(), [""; 0]);
    let replaced = vendor().rule_with("a out ntp 192.0.2.2", |rule| rule.replaces = Some(rule.name.span));
    assert_eq!(replaced.codes(), [""; 0]);
    let overridden = vendor().overridden("a", |keys| {
        let span = Span { file: FileId(1), start: 0, end: 1 };
        let at = |value| Spanned { value, span };
        let port = PortTerm::Ports(vec![Spanned { value: "tcp/587".parse().unwrap(), span }]);
        keys.ports = Some(Spanned { value: port, span });
        keys.peers = Some(Spanned { value: vec![at(Peer::Any)], span });
    });
    assert_eq!(overridden.codes(), [""; 0]);
}

#[test]
fn any_beside_others_is_a_warning_and_stands_for_all() {
    let finding = sound().group("a", "any,192.0.2.1").rule("b in smtp @a").finding();
    assert_eq!(finding.code, "PG333");
    assert_eq!(sound().rule("b in smtp any,192.0.2.1").codes(), ["PG333"]);
    let both = sound().rule("b in tcp/25,any 192.0.2.1");
    assert_eq!((both.codes(), ports(&both.policy(), "b")), (vec!["PG334"], vec!["any".into()]));
}

#[test]
fn a_group_that_is_any_is_a_warning_that_says_how_to_narrow_it() {
    let with = |on| Written::in_layer(SITE).feature("x", on).group("a", "any").rule("b in ssh @a").when("x");
    assert_eq!(with(false).codes(), ["PG337"]);
    let finding = with(true).finding();
    assert_eq!(finding.code, "PG332");
    assert!(finding.help.unwrap().contains("a = [\"192.0.2.0/24\"]"));
}

#[test]
fn broadcast_is_for_sending() {
    assert_eq!(sound().rule("a both udp/1 192.0.2.1,broadcast").codes(), [""; 0]);
    assert_eq!(sound().rule("a out udp/1 broadcast").codes(), [""; 0]);
    assert_eq!(sound().rule("a in udp/1 192.0.2.1,broadcast").codes(), ["PG311"]);
}

#[test]
fn a_name_never_denies_not_even_through_groups() {
    for action in [Action::Deny, Action::Reject] {
        let with = |peers: &str| {
            let groups = sound().group("a", "@b,192.0.2.1").group("b", "mail.example.net");
            groups.rule_with(&format!("x out smtp {peers}"), |rule| rule.action.value = action)
        };
        assert_eq!(with("mail.example.net").rule("u out smtp @a").codes(), ["PG310"]);
        let finding = with("192.0.2.9,@a").finding();
        assert_eq!((finding.code, finding.also.len()), ("PG310", 1));
    }
}

#[test]
fn entries_that_stand_twice_are_a_warning_but_two_files_may_add_the_same() {
    assert_eq!(sound().group("a", "192.0.2.1,192.0.2.1").rule("b out dns @a").codes(), ["PG335"]);
    assert_eq!(sound().rule("b out udp/53,udp/53 192.0.2.1").codes(), ["PG335"]);
    assert_eq!(sound().rule("b out dns 192.0.2.1,192.0.2.1").codes(), ["PG335"]);
    let added = sound().add("a", "192.0.2.1").rule("b out dns @a").file(SITE).add("a", "192.0.2.1");
    assert_eq!(added.codes(), [""; 0]);
}

#[test]
fn names_that_differ_only_in_dots_are_a_warning() {
    let finding = sound().rule("a out http db11cat.example,db11.cat.example").finding();
    assert_eq!(finding.code, "PG336");
    assert!(finding.message.starts_with("\"db11cat.example\""));
}

#[test]
fn an_ipv4_address_in_ipv6_form_is_an_error() {
    let finding = sound().rule("a out http ::ffff:192.0.2.1").finding();
    assert_eq!((finding.code, finding.help.as_deref()), ("PG314", Some("write it as IPv4: \"192.0.2.1\"")));
}

#[test]
fn a_policy_without_a_way_in_is_a_warning() {
    assert_eq!(Written::in_layer(SITE).codes(), ["PG337"]);
    assert_eq!(Written::in_layer(SITE).rule("a out ssh 192.0.2.1").codes(), ["PG337"]);
    assert_eq!(Written::in_layer(SITE).rule("a in any 192.0.2.1").codes(), [""; 0]);
    assert_eq!(Written::in_layer(SITE).rule("a in tcp/20-30 mail.example.net").codes(), [""; 0]);
    let deny =
        Written::in_layer(SITE).rule_with("a in ssh 192.0.2.1", |rule| rule.action.value = Action::Deny);
    assert_eq!(deny.codes(), ["PG337"]);
}

#[test]
fn names_without_a_way_to_ask_are_a_warning() {
    let off = || sound().baseline("dns", false).rule("a out http mail.example.net");
    assert_eq!(off().codes(), ["PG339"]);
    assert_eq!(off().rule("b out dns 192.0.2.53").codes(), [""; 0]);
}

#[test]
fn an_empty_list_of_peers_is_a_warning() {
    assert_eq!(sound().rule_with("a in tcp/1 any", |rule| rule.peers.value.clear()).codes(), ["PG330"]);
}
