//! The packets of a README: what is written in its block of text, a line each.

use std::net::IpAddr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proto {
    Tcp,
    Udp,
    Vrrp,
}

#[derive(Clone, Debug)]
pub struct Probe {
    pub written: String,
    pub is_in: bool,
    pub proto: Proto,
    pub interface: String,
    /// The far end.
    pub peer: IpAddr,
    /// An address of this machine, where it is not the one of the interface.
    pub local: Option<IpAddr>,
    pub port: u16,
    pub user: String,
    pub passes: bool,
    /// The agent's counter that it moves.
    pub counter: String,
}

/// The probes of the one block of text.
///
/// # Panics
/// If a line is none.
pub fn of(readme: &str) -> Vec<Probe> {
    let [text] = blocks(readme, "text").try_into().expect("one block of text: the probes");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| parse(line).unwrap_or_else(|| panic!("no probe: {line}"))).collect()
}

/// The fenced blocks of a language.
pub fn blocks(readme: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let after = readme.split(fence.as_str()).skip(1);
    after.map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// `in tcp 192.0.2.9 -> self:25 on eth0 as root   allow  smtp-in`; root where nobody is named.
fn parse(line: &str) -> Option<Probe> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (packet, user, verdict, rule) = match words.as_slice() {
        [packet @ .., "as", user, verdict, rule] => (packet, *user, *verdict, *rule),
        [packet @ .., verdict, rule] => (packet, "root", *verdict, *rule),
        _ => return None,
    };
    let [direction, proto, from, "->", to, "on", interface] = packet else { return None };
    let is_in = one_of(direction, [("in", true), ("out", false)])?;
    let proto = one_of(proto, [("tcp", Proto::Tcp), ("udp", Proto::Udp), ("vrrp", Proto::Vrrp)])?;
    let (to, port) = match proto {
        Proto::Vrrp => (*to, 0),
        Proto::Tcp | Proto::Udp => {
            to.rsplit_once(':').and_then(|(to, port)| Some((to, port.parse().ok()?)))?
        }
    };
    let (peer, local) = if is_in { (*from, to) } else { (to, *from) };
    Some(Probe {
        written: words.join(" "),
        is_in,
        proto,
        interface: (*interface).to_owned(),
        peer: address(peer)?,
        local: if local == "self" { None } else { Some(address(local)?) },
        port,
        user: user.to_owned(),
        passes: one_of(verdict, [("allow", true), ("deny", false)])?,
        counter: format!("{direction}.{rule}"),
    })
}

fn one_of<T, const N: usize>(word: &str, known: [(&str, T); N]) -> Option<T> {
    known.into_iter().find(|(name, _)| *name == word).map(|(_, value)| value)
}

fn address(text: &str) -> Option<IpAddr> {
    text.trim_matches(['[', ']']).parse().ok()
}
