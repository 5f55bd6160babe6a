//! How many rules a packet was held against, read from `nft monitor trace`.
//!
//! A trace names only rules that matched. What was evaluated is counted by position: in each chain that a packet
//! enters, every rule from the head to the one that leaves it.

use super::{Ns, Process, eventually};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

/// Marks probes for tracing; a table of its own.
const TRACER: &str = "table inet tracer {
  chain in { type filter hook prerouting priority -350; policy accept; th sport 20000-39999 meta nftrace set 1; }
  chain out { type filter hook output priority -350; policy accept; th sport 20000-39999 meta nftrace set 1; }
}
";

pub struct Tracer<'a> {
    ns: &'a Ns,
    lines: Arc<Mutex<Vec<String>>>,
    _monitor: Process,
}

/// The base chain after which the packet comes to another.
const EARLY: &str = "prerouting";

/// What a packet went through in one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Rules evaluated.
    pub rules: usize,
    /// The chains entered, in order, with the number of rules evaluated in each.
    pub chains: Vec<(String, usize)>,
    /// `accept`, `drop`, or `policy` of the base chain.
    pub verdict: String,
}

impl<'a> Tracer<'a> {
    /// Traces packets whose source port is a probe's. Rules must be in place: the monitor names rules that it knew
    /// when it started, or has heard of since.
    pub fn start(ns: &'a Ns) -> Self {
        ns.nft(TRACER);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let mut command = Command::new("nft");
        command
            .args(["-a", "monitor", "trace"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut monitor = ns.start(&mut command);
        let output = monitor.child.stdout.take().expect("a pipe");
        let store = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                store.lock().expect("a list of lines").push(line);
            }
        });
        Self { ns, lines, _monitor: monitor }
    }

    /// Sends canaries until one is heard of.
    pub fn ready(&self, canary: impl Fn()) {
        eventually(|| {
            canary();
            if self.lines.lock().expect("a list of lines").is_empty() { Err("no trace yet") } else { Ok(()) }
        });
    }

    /// What the packet from this source port went through in a table.
    pub fn depth(&self, table: &str, source_port: u16) -> Depth {
        let chains = chains(&self.ns.nft_list(&["-a", "-t", "list", "table", "inet", table]));
        eventually(|| {
            let lines = self.lines.lock().expect("a list of lines");
            let events = events(&lines, table, source_port);
            walk(&chains, &events).ok_or_else(|| format!("no whole trace of port {source_port}: {events:?}"))
        })
    }
}

/// The handles of the rules of each chain, in order.
type Chains = BTreeMap<String, Vec<u64>>;

fn chains(listing: &str) -> Chains {
    let mut chains = Chains::new();
    let mut current = None;
    for line in listing.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["chain", name, "{", ..] => {
                current = Some((*name).to_owned());
                chains.insert((*name).to_owned(), Vec::new());
            }
            ["}"] => current = None,
            [first, ..] if *first != "type" => {
                let handle = line.rsplit_once("# handle ").and_then(|(_, handle)| handle.trim().parse().ok());
                if let (Some(chain), Some(handle)) = (&current, handle) {
                    chains.entry(chain.clone()).or_default().push(handle);
                }
            }
            _ => {}
        }
    }
    chains
}

/// A rule of a chain that matched, or the policy of a base chain.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Event {
    chain: String,
    /// `None`: the policy.
    handle: Option<u64>,
    verdict: Vec<String>,
}

fn events(lines: &[String], table: &str, source_port: u16) -> Vec<Event> {
    let port = format!("sport {source_port} ");
    let id_of = |line: &str| line.split_whitespace().nth(2).map(str::to_owned);
    let Some(id) = lines
        .iter()
        .find(|line| line.contains(&port) && line.contains(" packet: "))
        .and_then(|line| id_of(line))
    else {
        return Vec::new();
    };
    let place = format!(" inet {table} ");
    let own = lines.iter().filter(|line| id_of(line).as_ref() == Some(&id) && line.contains(&place));
    own.filter_map(|line| event(line.split_once(&place)?.1)).collect()
}

/// `CHAIN rule TEXT # handle N (verdict V)`, `CHAIN policy V`.
fn event(text: &str) -> Option<Event> {
    let (chain, rest) = text.split_once(' ')?;
    let chain = chain.to_owned();
    if let Some(policy) = rest.trim().strip_prefix("policy ") {
        return Some(Event { chain, handle: None, verdict: vec![policy.trim().to_owned()] });
    }
    let (rule, verdict) = rest.strip_prefix("rule ")?.rsplit_once("(verdict ")?;
    let handle = rule.rsplit_once("# handle ")?.1.trim().parse().ok();
    let verdict = verdict.trim().trim_end_matches(')').split_whitespace().map(str::to_owned).collect();
    Some(Event { chain, handle, verdict })
}

/// Counts the rules between the events. `None`: the trace is not complete yet.
fn walk(chains: &Chains, events: &[Event]) -> Option<Depth> {
    let mut depth = Depth { rules: 0, chains: Vec::new(), verdict: String::new() };
    // The chain that is being evaluated and those to return to, each with the number of rules already evaluated.
    let mut stack: Vec<(String, usize)> = Vec::new();
    for event in events {
        if stack.is_empty() {
            stack.push((event.chain.clone(), 0));
        }
        while stack.last()?.0 != event.chain {
            let (chain, done) = stack.pop()?;
            depth.count(&chain, chains.get(&chain)?.len() - done);
        }
        let done = stack.last()?.1;
        let rules = chains.get(&event.chain)?;
        let position = match event.handle {
            Some(handle) => rules.iter().position(|known| *known == handle)? + 1,
            None => rules.len(),
        };
        depth.count(&event.chain, position - done);
        stack.last_mut()?.1 = position;
        match event.verdict.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["jump", target] => stack.push(((*target).to_owned(), 0)),
            ["goto", target] => *stack.last_mut()? = ((*target).to_owned(), 0),
            ["return"] => {
                stack.pop();
            }
            ["continue"] => {}
            // Accepted at one hook: the next one is asked.
            ["accept"] if event.chain == EARLY => stack.clear(),
            [verdict, ..] => {
                depth.verdict = (*verdict).to_owned();
                return Some(depth);
            }
            [] => return None,
        }
    }
    None
}

impl Depth {
    fn count(&mut self, chain: &str, rules: usize) {
        self.rules += rules;
        match self.chains.last_mut() {
            Some((last, count)) if last == chain => *count += rules,
            _ => self.chains.push((chain.to_owned(), rules)),
        }
    }

    /// `input 3 + in4.tcp 2 = 5`
    pub fn written(&self) -> String {
        let parts: Vec<String> =
            self.chains.iter().map(|(chain, rules)| format!("{chain} {rules}")).collect();
        format!("{} = {} rules, {}", parts.join(" + "), self.rules, self.verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_did_not_match_are_counted_by_position() {
        let chains = chains(
            "table inet t { # handle 1\n\tchain input { # handle 1\n\t\ttype filter hook input priority filter; policy drop;\n\
             \t\ta # handle 5\n\t\tb # handle 6\n\t\tc # handle 9\n\t}\n\tchain x { # handle 2\n\t\td # handle 7\n\t\te # handle 8\n\t}\n}\n",
        );
        assert_eq!(chains["input"], [5, 6, 9]);
        let lines = [
            "trace id 1f inet t input packet: iif \"up0\" tcp sport 20001 tcp dport 25 ",
            "trace id 1f inet t input rule b # handle 6 (verdict jump x)",
            "trace id 1f inet t input rule c # handle 9 (verdict accept)",
        ];
        let events = events(&lines.map(str::to_owned), "t", 20001);
        let depth = walk(&chains, &events).expect("a whole trace");
        // a and b, both of x without a match, and c.
        assert_eq!(depth.rules, 5);
        assert_eq!(depth.written(), "input 2 + x 2 + input 1 = 5 rules, accept");
    }
}
