//! Answers a [`Question`]: the verdict for each address that it is about. What is left out and decides is an error.

use super::matching::{Asked, Far, Missing, matching};
use super::subjects::{Asking, Subject};
use super::verdict::named;
use super::{AddressBook, Decision, ForwardDefault, Host, Packet, Policy, Question, User, Verdict, Way};
use crate::types::{AddrRange, Direction, Family, PortMatch, RuleName};
use std::collections::BTreeSet;

/// What becomes of the packets of a question that have one verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The question, about these addresses alone.
    pub packet: Question,
    pub verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecided {
    #[error("{} decides here: rule \"{rule}\" asks for it", .missing.words())]
    Missing { rule: RuleName, missing: Missing },
    #[error("unknown group \"@{0}\"")]
    UnknownGroup(String),
    /// Nothing would be said about anybody.
    #[error("group \"@{0}\" has nobody whom the packet could come from or go to")]
    Nobody(String),
    #[error("the exceptions of group \"@{0}\" are nested too deep")]
    Tangled(String),
}

impl Undecided {
    /// What to write.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Missing { missing, .. } => missing.help(),
            Self::UnknownGroup(_) => "write the name of a group under [hosts]",
            Self::Nobody(_) | Self::Tangled(_) => "ask about an address",
        }
    }
}

impl Missing {
    fn words(self) -> &'static str {
        match self {
            Self::Port => "the port",
            Self::IcmpType => "the type of ICMP",
            Self::Interface => "the interface",
            Self::OwnAddress => "the address of this machine",
            Self::SourcePort => "the port that the packet comes from",
            Self::User => "the user",
            Self::Uid => "the uid of the user",
            Self::Family => "the family of addresses",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Port => "write it after the address: \"self:22\"",
            Self::IcmpType => "add it: \"echo-request\"",
            Self::Interface => "add \"on IFACE\"",
            Self::OwnAddress => "write it in place of \"self\"",
            Self::SourcePort => "write it after the address: \"10.20.1.5:68\"",
            Self::User => "add \"as USER\"",
            Self::Uid => "add the number: \"as 1000\"",
            Self::Family => "write an address of this machine in place of \"self\"",
        }
    }
}

/// Every address that the question is about, in as few answers as there are neighbours with one verdict.
pub fn answer(policy: &Policy, book: &AddressBook, question: &Question) -> Result<Vec<Answer>, Undecided> {
    let mut answers: Vec<(Subject, Verdict)> = Vec::new();
    for subject in (Asking { policy, book, question }).subjects()? {
        let verdict = decide(policy, book, question, &subject)?;
        let joined = answers
            .last_mut()
            .filter(|(_, known)| *known == verdict)
            .is_some_and(|(before, _)| join(before, &subject));
        if !joined {
            answers.push((subject, verdict));
        }
    }
    let about = |(subject, verdict)| Answer { packet: question.about(subject), verdict };
    Ok(answers.into_iter().map(about).collect())
}

/// Widens a range by its neighbour.
fn join(before: &mut Subject, next: &Subject) -> bool {
    let (Subject::Range(before), Subject::Range(next)) = (before, next) else { return false };
    let ((first, last), (start, end)) = (before.bits(), next.bits());
    let neighbours = before.family() == next.family() && last.checked_add(1) == Some(start);
    if neighbours {
        *before = AddrRange::from_bits(before.family(), first, end);
    }
    neighbours
}

impl Question {
    fn about(&self, subject: Subject) -> Self {
        let host = match subject {
            Subject::Range(range) => Host::Range(range),
            Subject::Name(name) => Host::Name(name),
        };
        let mut question = self.clone();
        match self.way {
            Way::In | Way::Forward => question.from.host = host,
            Way::Out => question.to.host = host,
        }
        question
    }
}

/// The verdict where everybody of the subject has the same.
fn decide(
    policy: &Policy,
    book: &AddressBook,
    question: &Question,
    subject: &Subject,
) -> Result<Verdict, Undecided> {
    let direction = match question.way {
        Way::In => Direction::In,
        Way::Out => Direction::Out,
        Way::Forward => return Ok(forwarded(policy)),
    };
    let families: Vec<Family> = match (subject, question.family()) {
        (Subject::Range(range), _) => vec![range.family()],
        (Subject::Name(_), Some(family)) => vec![family],
        (Subject::Name(_), None) => Family::BOTH.to_vec(),
    };
    let mut of_all = Vec::new();
    for family in families {
        let packet = packet(book, question, direction, subject, family);
        let mut of_family = Vec::new();
        for packet in packets(policy, question, packet) {
            of_family.push(weigh(policy, book, question, subject, &packet)?);
        }
        let missing = if question.has_ports() { Missing::Port } else { Missing::IcmpType };
        of_all.push(one_of(of_family, missing)?);
    }
    one_of(of_all, Missing::Family)
}

fn forwarded(policy: &Policy) -> Verdict {
    let action = match policy.default.forward {
        ForwardDefault::Untouched => Decision::Unfiltered,
        ForwardDefault::Deny => Decision::DefaultDeny,
    };
    Verdict { action, rule: None, also: Vec::new(), audit: Vec::new() }
}

/// The verdict that names the same rule whatever is missing, with what all have beside it.
fn one_of(verdicts: Vec<Verdict>, missing: Missing) -> Result<Verdict, Undecided> {
    let mut verdicts = verdicts.into_iter();
    let none = Verdict { action: Decision::DefaultDeny, rule: None, also: Vec::new(), audit: Vec::new() };
    let mut first = verdicts.next().unwrap_or(none);
    for other in verdicts {
        if let Some(rule) = other.rule.as_ref().or(first.rule.as_ref()).filter(|_| other.rule != first.rule) {
            return Err(Undecided::Missing { rule: rule.clone(), missing });
        }
        first.also.retain(|rule| other.also.contains(rule));
        first.audit.retain(|rule| other.audit.contains(rule));
    }
    Ok(first)
}

pub(super) fn packet(
    book: &AddressBook,
    question: &Question,
    direction: Direction,
    subject: &Subject,
    family: Family,
) -> Packet {
    let peer = match subject {
        Subject::Range(range) => range.first(),
        Subject::Name(_) => AddrRange::all(family).first(),
    };
    let local = match &question.own().host {
        Host::Range(range) => Some(range.first()),
        Host::Own | Host::Group(_) | Host::Name(_) => None,
    };
    let user = question.user.as_ref().and_then(|user| match user {
        User::Uid(uid) => Some(*uid),
        User::Name(name) if name == "root" => Some(0),
        User::Name(name) => book.users.get(name).copied().flatten(),
    });
    Packet {
        direction,
        protocol: question.protocol,
        peer,
        local,
        port: question.to.port,
        source_port: question.from.port,
        icmp_type: question.icmp_type,
        interface: question.interface.clone(),
        user,
    }
}

/// The packet with every port or type between which rules tell apart, where it says none.
fn packets(policy: &Policy, question: &Question, packet: Packet) -> Vec<Packet> {
    let entries = || policy.rules.iter().flat_map(|rule| rule.ports.iter().copied());
    if question.has_ports() && packet.port.is_none() {
        let mut ports = BTreeSet::from([0]);
        for entry in entries() {
            if let PortMatch::Ports(protocol, range) = entry {
                if protocol.number() == packet.protocol {
                    ports.insert(range.first());
                    ports.extend(range.last().checked_add(1));
                }
            }
        }
        return ports.into_iter().map(|port| Packet { port: Some(port), ..packet.clone() }).collect();
    }
    let is_icmp = Family::of(packet.peer).icmp() == packet.protocol;
    if is_icmp && packet.icmp_type.is_none() {
        let of_type = |kind| Packet { icmp_type: Some(kind), ..packet.clone() };
        return (0..=u8::MAX).map(of_type).collect();
    }
    vec![packet]
}

/// The verdict on one packet, if nothing is missing that decides.
fn weigh(
    policy: &Policy,
    book: &AddressBook,
    question: &Question,
    subject: &Subject,
    packet: &Packet,
) -> Result<Verdict, Undecided> {
    let mut matches = matching(policy, book, &asked(question, subject, packet));
    if let Some(first) = matches.iter().find(|found| found.rule.decides()) {
        if let Some(missing) = first.missing {
            return Err(Undecided::Missing { rule: first.rule.name.clone(), missing });
        }
    }
    matches.retain(|found| found.missing.is_none());
    Ok(named(policy, packet, matches))
}

pub(super) fn asked<'a>(question: &'a Question, subject: &'a Subject, packet: &'a Packet) -> Asked<'a> {
    let far = match subject {
        Subject::Range(_) => Far::Address(packet.peer),
        Subject::Name(name) => Far::Name(name),
    };
    let user = match &question.user {
        Some(User::Name(name)) if packet.user.is_none() => Some(name.as_str()),
        Some(User::Name(_) | User::Uid(_)) | None => None,
    };
    Asked { packet, far, user }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing::{SITE, Written};
    use crate::model::{DefaultAction, Group, LearnedAddress, Member, Source};
    use crate::policy::RuleEntry;
    use std::time::Duration;

    fn book() -> AddressBook {
        let learned = |text: &str| LearnedAddress {
            address: text.parse().unwrap(),
            remaining: Duration::from_secs(60),
        };
        AddressBook {
            names: [("repo.example.net".parse().unwrap(), vec![learned("8.8.4.4")])].into(),
            resolv_conf: vec!["8.8.4.53".parse().unwrap()],
            users: [("chrony".into(), Some(987)), ("ghost".into(), None)].into(),
            ..AddressBook::default()
        }
    }

    fn site() -> Written {
        Written::in_layer(SITE)
            .group("admins", "10.20.0.0/16,repo.example.net,2001:db8:5::/48")
            .group("nobody", "")
            .rule("ssh-in in tcp/22 @admins")
            .rule_with("block-a in tcp/20-30 10.20.3.0/24", |rule| {
                rule.action.value = crate::model::Action::Deny
            })
            .rule("web-out out tcp/443 repo.example.net")
            .rule("ping-in in icmp/echo-request any")
    }

    fn answers_of(policy: &Policy, text: &str) -> Result<Vec<String>, Undecided> {
        let answers = answer(policy, &book(), &text.parse().unwrap())?;
        Ok(answers.into_iter().map(|answer| format!("{} => {}", answer.packet, answer.verdict)).collect())
    }

    fn answers(text: &str) -> Vec<String> {
        answers_of(&site().policy(), text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn missing(policy: &Policy, text: &str) -> (String, Missing) {
        match answers_of(policy, text) {
            Err(Undecided::Missing { rule, missing }) => (rule.to_string(), missing),
            other => panic!("{text}: {other:?}"),
        }
    }

    fn with(text: &str, change: impl FnOnce(&mut RuleEntry)) -> Policy {
        Written::in_layer(SITE).rule("ssh-in in tcp/22 192.0.2.1").rule_with(text, change).policy()
    }

    #[test]
    fn an_address_has_one_answer() {
        assert_eq!(answers("in tcp 10.20.1.5 -> self:22"), ["in tcp 10.20.1.5 -> self:22 => allow ssh-in"]);
        assert_eq!(
            answers("in tcp 10.20.3.5:7 -> self:22"),
            ["in tcp 10.20.3.5:7 -> self:22 => deny block-a, also ssh-in"]
        );
        assert_eq!(answers("in tcp 10.21.0.1 -> self:22"), ["in tcp 10.21.0.1 -> self:22 => default-deny"]);
    }

    #[test]
    fn a_prefix_is_answered_in_the_pieces_that_rules_tell_apart() {
        assert_eq!(
            answers("in tcp 10.20.0.0/15 -> self:22"),
            [
                "in tcp 10.20.0.0-10.20.2.255 -> self:22 => allow ssh-in",
                "in tcp 10.20.3.0/24 -> self:22 => deny block-a, also ssh-in",
                "in tcp 10.20.4.0-10.20.255.255 -> self:22 => allow ssh-in",
                "in tcp 10.21.0.0/16 -> self:22 => default-deny",
            ]
        );
        assert_eq!(answers("in tcp ::/0 -> self:443"), ["in tcp [::/0] -> self:443 => default-deny"]);
    }

    #[test]
    fn a_group_is_answered_for_each_member_also_for_names_that_have_no_address() {
        assert_eq!(
            answers("in tcp @admins -> self:22"),
            [
                "in tcp 10.20.0.0-10.20.2.255 -> self:22 => allow ssh-in",
                "in tcp 10.20.3.0/24 -> self:22 => deny block-a, also ssh-in",
                "in tcp 10.20.4.0-10.20.255.255 -> self:22 => allow ssh-in",
                "in tcp [2001:db8:5::/48] -> self:22 => allow ssh-in",
                "in tcp repo.example.net -> self:22 => allow ssh-in",
            ]
        );
        assert_eq!(
            answers("in icmp @admins -> self echo-request")[0],
            "in icmp 10.20.0.0/16 -> self echo-request => allow ping-in"
        );
        let policy = site().policy();
        assert_eq!(answers_of(&policy, "in tcp @nobody -> self:22"), Err(Undecided::Nobody("nobody".into())));
        assert_eq!(answers_of(&policy, "in tcp @no -> self:22"), Err(Undecided::UnknownGroup("no".into())));
    }

    #[test]
    fn an_exception_is_no_member() {
        let mut policy = site().policy();
        let mut group = |name: &str, members: &[&str], except: &[&str]| {
            let member = |text: &&str| match text.strip_prefix('@') {
                Some(group) => Member::Group(group.into()),
                None => Member::Source(Source::Range(text.parse().unwrap())),
            };
            let [members, except] = [members, except].map(|texts| texts.iter().map(member).collect());
            policy.groups.insert(name.into(), Group { members, except });
        };
        group("half", &["10.20.0.0/16"], &["@low"]);
        group("low", &["10.20.0.0/17"], &["10.20.0.0/24"]);
        group("both", &["@half", "@low"], &["10.20.128.0/18"]);
        group("none", &["@low"], &["10.20.0.0/16"]);
        group("deep", &["10.20.0.0/16"], &["@deeper"]);
        group("deeper", &["10.20.0.0/16"], &["@deep"]);
        let named = |group: &str| {
            let answers = answers_of(&policy, &format!("in tcp @{group} -> self:22"))?;
            Ok(answers.into_iter().filter(|answer| !answer.contains("block-a")).collect::<Vec<_>>())
        };
        assert_eq!(
            named("half").unwrap(),
            [
                "in tcp 10.20.0.0/24 -> self:22 => allow ssh-in",
                "in tcp 10.20.128.0/17 -> self:22 => allow ssh-in",
            ]
        );
        assert_eq!(
            named("both").unwrap(),
            [
                "in tcp 10.20.0.0-10.20.2.255 -> self:22 => allow ssh-in",
                "in tcp 10.20.4.0-10.20.127.255 -> self:22 => allow ssh-in",
                "in tcp 10.20.192.0/18 -> self:22 => allow ssh-in",
            ]
        );
        assert_eq!(named("none"), Err(Undecided::Nobody("none".into())));
        assert_eq!(named("deep"), Err(Undecided::Tangled("deep".into())));
    }

    #[test]
    fn a_host_name_is_whom_those_hold_who_list_it() {
        assert_eq!(
            answers("out tcp self -> repo.example.net:443"),
            ["out tcp self -> repo.example.net:443 => allow web-out"]
        );
        assert_eq!(
            answers("out tcp self -> other.example.net:443"),
            ["out tcp self -> other.example.net:443 => default-deny"]
        );
        assert_eq!(answers("out tcp self -> 8.8.4.4:443"), ["out tcp self -> 8.8.4.4:443 => allow web-out"]);
    }

    #[test]
    fn a_port_or_type_that_is_left_out_and_decides_is_an_error() {
        let policy = site().policy();
        assert_eq!(missing(&policy, "in tcp 10.20.1.5 -> self"), ("ssh-in".into(), Missing::Port));
        assert_eq!(missing(&policy, "in icmp 10.20.1.5 -> self"), ("ping-in".into(), Missing::IcmpType));
        assert_eq!(answers("in udp 10.20.1.5 -> self"), ["in udp 10.20.1.5 -> self => default-deny"]);
        let any = Written::in_layer(SITE).rule("all-in in any 10.20.1.5").policy();
        assert_eq!(
            answers_of(&any, "in tcp 10.20.1.5 -> self").unwrap(),
            ["in tcp 10.20.1.5 -> self => allow all-in"]
        );
    }

    #[test]
    fn an_interface_or_an_own_address_that_is_left_out_and_decides_is_an_error() {
        let mut policy = with("b in tcp/25 any", |_| {});
        policy.rules[0].interfaces = Some(vec!["eth1".parse().unwrap()]);
        assert_eq!(missing(&policy, "in tcp 10.0.0.1 -> self:25"), ("b".into(), Missing::Interface));
        assert_eq!(
            answers_of(&policy, "in tcp 10.0.0.1 -> self:25 on eth1").unwrap(),
            ["in tcp 10.0.0.1 -> self:25 on eth1 => allow b"]
        );
        assert_eq!(
            answers_of(&policy, "in tcp 10.0.0.1 -> self:25 on eth10").unwrap(),
            ["in tcp 10.0.0.1 -> self:25 on eth10 => default-deny"]
        );
        policy.rules[0].interfaces = None;
        policy.rules[0].local = vec!["192.0.2.9".parse().unwrap()];
        assert_eq!(missing(&policy, "in tcp 10.0.0.1 -> self:25"), ("b".into(), Missing::OwnAddress));
        assert_eq!(
            answers_of(&policy, "in tcp 10.0.0.1 -> 192.0.2.9:25").unwrap(),
            ["in tcp 10.0.0.1 -> 192.0.2.9:25 => allow b"]
        );
        assert_eq!(
            answers_of(&policy, "in tcp [2001:db8::1] -> self:25").unwrap(),
            ["in tcp [2001:db8::1] -> self:25 => default-deny"]
        );
    }

    #[test]
    fn a_source_port_or_a_user_that_is_left_out_and_decides_is_an_error() {
        let mut policy = with("b in udp/68 any", |_| {});
        policy.rules[0].from_ports = vec![(crate::types::Protocol::Udp, crate::types::PortRange::single(67))];
        assert_eq!(missing(&policy, "in udp 10.0.0.1 -> self:68"), ("b".into(), Missing::SourcePort));
        assert_eq!(
            answers_of(&policy, "in udp 10.0.0.1:67 -> self:68").unwrap(),
            ["in udp 10.0.0.1:67 -> self:68 => allow b"]
        );
        let mut policy = with("b out udp/123 any", |_| {});
        policy.rules[0].users = vec![User::Name("chrony".into())];
        assert_eq!(missing(&policy, "out udp self -> 10.0.0.1:123"), ("b".into(), Missing::User));
        for (user, verdict) in [("chrony", "allow b"), ("987", "allow b"), ("root", "default-deny")] {
            let asked = format!("out udp self -> 10.0.0.1:123 as {user}");
            assert_eq!(answers_of(&policy, &asked).unwrap(), [format!("{asked} => {verdict}")]);
        }
        assert_eq!(missing(&policy, "out udp self -> 10.0.0.1:123 as other"), ("b".into(), Missing::Uid));
        policy.rules[0].users = vec![User::Name("ghost".into())];
        assert_eq!(
            answers_of(&policy, "out udp self -> 10.0.0.1:123 as ghost").unwrap(),
            ["out udp self -> 10.0.0.1:123 as ghost => allow b"]
        );
    }

    #[test]
    fn what_is_left_out_and_does_not_decide_is_no_error() {
        let mut policy =
            Written::in_layer(SITE).rule("a in tcp/22 192.0.2.1").rule("b in tcp/22 any").policy();
        policy.rules[1].interfaces = Some(vec!["eth1".parse().unwrap()]);
        assert_eq!(
            answers_of(&policy, "in tcp 192.0.2.1 -> self:22").unwrap(),
            ["in tcp 192.0.2.1 -> self:22 => allow a"]
        );
        policy.rules[1].interfaces = Some(Vec::new());
        assert_eq!(
            answers_of(&policy, "in tcp 192.0.2.2 -> self:22").unwrap(),
            ["in tcp 192.0.2.2 -> self:22 => default-deny"]
        );
    }

    #[test]
    fn forwarded_packets_are_not_filtered_unless_the_default_says_so() {
        let mut policy = site().policy();
        let asked = "fwd tcp 10.0.0.5 -> 192.0.2.25:25 on eth0 to eth1";
        assert_eq!(answers_of(&policy, asked).unwrap(), [format!("{asked} => unfiltered")]);
        policy.default.forward = ForwardDefault::Deny;
        assert_eq!(answers_of(&policy, asked).unwrap(), [format!("{asked} => default-deny")]);
    }

    #[test]
    fn the_default_may_be_another() {
        let mut policy = site().policy();
        policy.default.input = DefaultAction::Audit;
        assert_eq!(
            answers_of(&policy, "in tcp 10.21.0.1 -> self:22").unwrap(),
            ["in tcp 10.21.0.1 -> self:22 => default-audit"]
        );
    }
}
