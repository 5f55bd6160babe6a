//! What agent and worker read of each other: whatever comes is refused, or is a message that is written again as it was read; and
//! what the worker says of names never gets more into the agent's book than a policy allows.
//!
//! Each line is a packet, both ways. A line that is a number lets so many seconds pass; "died" ends the worker.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portgrave::resolver::names::{Names, Wanted};
use portgrave::worker::{FromWorker, Message, ToWorker, Unfit, decode, encode};
use portgrave_fuzz::names::{after_an_answer, never, sound, wanted};
use std::fmt::Debug;
use std::time::Duration;

fuzz_target!(|data: &[u8]| {
    let mut agent = Agent::new();
    for line in data.split(|octet| *octet == b'\n') {
        if let Some(message) = read::<FromWorker>(line) {
            agent.take(&message);
        }
        read::<ToWorker>(line);
        agent.pass(line);
    }
});

/// What can be read can be written, and is then read as the same.
fn read<M: Message + Debug + PartialEq>(packet: &[u8]) -> Option<M> {
    match decode::<M>(packet) {
        Ok(message) => {
            let again = encode(&message).expect("what was read can be written");
            assert_eq!(decode::<M>(&again).as_ref(), Ok(&message));
            Some(message)
        }
        Err(unfit) => {
            told(unfit);
            None
        }
    }
}

/// Nothing of the packet is repeated: letters, digits and signs of our own only.
fn told(unfit: Unfit) {
    assert!(unfit.to_string().chars().all(|c| c.is_ascii_alphanumeric() || " ,()".contains(c)), "{unfit}");
}

struct Agent {
    names: Names,
    wanted: Wanted,
    now: Duration,
}

impl Agent {
    fn new() -> Self {
        let (mut names, wanted, now) = (Names::new(7), wanted(), Duration::from_secs(1_000));
        names.want(wanted.clone(), now);
        Self { names, wanted, now }
    }

    fn take(&mut self, message: &FromWorker) {
        let FromWorker::Ended { name, family, lookup } = message else { return };
        // Whatever it says is the answer to a question in flight.
        let asked = self.names.all(self.now);
        let before = self.names.kept(self.now);
        let change = self.names.answered(name, *family, lookup, &never, self.now);
        if !asked.iter().any(|ask| ask.name == *name && ask.family == *family) {
            assert!(change.is_empty(), "{name} was not asked for");
            assert_eq!(self.names.kept(self.now), before);
        }
        for warning in &change.warnings {
            assert!(!warning.to_string().contains(char::is_control), "{warning:?}");
        }
        self.write(&change.addresses);
        self.check();
    }

    fn pass(&mut self, line: &[u8]) {
        let text = std::str::from_utf8(line).unwrap_or_default();
        if let Ok(seconds) = text.parse::<u16>() {
            self.now += Duration::from_secs(seconds.into());
            let due = self.names.due(self.now);
            self.write(&due.change.addresses);
            self.check();
        }
        if text == "died" {
            let change = self.names.worker_died(self.now);
            self.write(&change.addresses);
            self.check();
        }
    }

    fn write(&mut self, addresses: &std::collections::BTreeSet<std::net::IpAddr>) {
        let lives = self.names.addresses(addresses, self.now);
        self.names.written(&lives, self.now);
    }

    fn check(&self) {
        sound(&self.names, &self.wanted, self.now, after_an_answer);
        assert!(
            self.names.next_due(self.now).is_none_or(|due| due < self.now + Duration::from_secs(7 * 86_400))
        );
    }
}
