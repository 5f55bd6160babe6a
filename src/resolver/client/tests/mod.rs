use super::*;
use crate::resolver::script::{Query, Reply};
use std::net::UdpSocket;

mod health;
mod long;
mod once;

/// Long enough for any machine: what is waited for comes.
const PATIENT: Duration = Duration::from_secs(60);
/// Short: what is waited for never comes.
const BRIEF: Duration = Duration::from_millis(60);

fn limits(wait: Duration) -> Limits {
    Limits { first_wait: wait, second_wait: wait, question: PATIENT, retry: PATIENT, ..Limits::default() }
}

fn name(text: &str) -> HostName {
    text.parse().unwrap()
}

fn numbered(prefix: &str, count: usize) -> Vec<HostName> {
    (0..count).map(|index| name(&format!("{prefix}{index}.example"))).collect()
}

/// The right answer to an IPv4 question; no data for IPv6.
fn right(query: &Query<'_>) -> Reply {
    match query.family {
        Family::V4 => query.reply().address(&query.name, 60, "192.0.2.1"),
        Family::V6 => query.reply().soa(60, 60),
    }
}

/// An address of loopback where nobody answers.
fn silence() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Moves the client on until so many questions have ended.
fn drive(client: &mut Client, count: usize) -> Vec<Ended> {
    let patience = Instant::now() + PATIENT;
    let mut all = Vec::new();
    while all.len() < count {
        assert!(Instant::now() < patience, "{} of {count} questions have ended", all.len());
        let ready = crate::resolver::once::ready(client, patience).unwrap();
        all.extend(client.advance(&ready).unwrap());
    }
    assert_eq!(all.len(), count);
    all
}

/// Asks one question to its end.
fn ask_one(client: &mut Client, text: &str, servers: &[SocketAddr]) -> Ended {
    client.ask(name(text), Family::V4, servers);
    drive(client, 1).remove(0)
}

fn address(ended: &Ended) -> Result<String, Failure> {
    ended.lookup.outcome.as_ref().map(|answer| answer.addresses[0].0.to_string()).map_err(|failure| *failure)
}
