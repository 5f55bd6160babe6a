//! What a server does when it is asked for a name.

use super::cache::Cache;
use super::dns::{From, Transport};
use super::forgery::{Forgery, swap_case};
use super::wire::{Message, NXDOMAIN, Query, RA, Record, TC};
use portgrave::types::Family;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A question as the server got it.
pub struct Asked<'a> {
    pub query: &'a Query,
    /// In lower case, with dots.
    pub name: String,
    pub transport: Transport,
    pub server: SocketAddr,
    /// How often this name was asked for in this family before, over all servers and transports.
    pub before: usize,
    pub now: Instant,
}

/// What becomes of a question by TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tcp {
    /// The answer that UDP would give, whole.
    Whole,
    /// As long as it says, and no DNS message.
    Unreadable,
    /// The connection ends without an answer.
    Closed,
    /// It ends in the middle of the answer.
    Cut,
    /// The connection stands and nothing comes.
    Silent,
}

pub(super) struct Datagram {
    pub octets: Vec<u8>,
    pub from: From,
    pub after: Duration,
}

/// What is written to a TCP connection, and whether it is held open afterwards.
pub(super) struct Written {
    pub octets: Vec<u8>,
    pub after: Duration,
    pub held: bool,
}

type Answer = dyn Fn(&Asked<'_>) -> Option<Message> + Send + Sync;
type Change = dyn Fn(&mut Message) + Send + Sync;
type Mangling = dyn Fn(&mut Vec<u8>) + Send + Sync;

#[derive(Clone)]
pub struct Act {
    answer: Arc<Answer>,
    changes: Vec<Arc<Change>>,
    mangling: Option<Arc<Mangling>>,
    forgeries: Vec<Forgery>,
    only_forged: bool,
    truncated: bool,
    delay: Duration,
    tcp: Tcp,
}

impl Act {
    /// The escape hatch: any message, or silence.
    pub fn of(answer: impl Fn(&Asked<'_>) -> Option<Message> + Send + Sync + 'static) -> Self {
        Self {
            answer: Arc::new(answer),
            changes: Vec::new(),
            mangling: None,
            forgeries: Vec::new(),
            only_forged: false,
            truncated: false,
            delay: Duration::ZERO,
            tcp: Tcp::Whole,
        }
    }

    /// Says nothing, by UDP or by TCP.
    pub fn silent() -> Self {
        Self { tcp: Tcp::Silent, ..Self::of(|_| None) }
    }

    /// These addresses, those of the family that is asked for, with no data for one of which there is none.
    pub fn addresses(addresses: &[&str], ttl: u32) -> Self {
        Self::sets(&[addresses], move |_, _, _| (0, ttl))
    }

    /// One of these RRsets after the other, a new one with each query.
    pub fn rotating(sets: &[&[&str]], ttl: u32) -> Self {
        let count = sets.len();
        Self::sets(sets, move |_, before, _| (before % count, ttl))
    }

    /// One of these RRsets after the other as a real cache gives them.
    pub fn cached(sets: &[&[&str]], ttl: u32) -> Self {
        let (count, caches) = (sets.len(), Mutex::new(BTreeMap::new()));
        Self::sets(sets, move |family, _, now| {
            let mut caches = caches.lock().expect("no poison");
            caches.entry(family).or_insert_with(Cache::new).ask(count, ttl, now)
        })
    }

    fn sets(
        sets: &[&[&str]],
        choose: impl Fn(Family, usize, Instant) -> (usize, u32) + Send + Sync + 'static,
    ) -> Self {
        let parsed = |set: &&[&str]| set.iter().map(|text| text.parse().expect("an address")).collect();
        let sets: Vec<Vec<IpAddr>> = sets.iter().map(parsed).collect();
        Self::of(move |asked| {
            let mut message = Message::to(asked.query);
            let Some(family) = asked.query.family() else { return Some(no_data(message, 60)) };
            let (index, ttl) = choose(family, asked.before, asked.now);
            let those = sets[index].iter().filter(|address| Family::of(**address) == family);
            message.answer = those.map(|address| of_the_question(ttl, *address)).collect();
            Some(if message.answer.is_empty() { no_data(message, 60) } else { message })
        })
    }

    /// The answer section as it stands, whatever is asked.
    pub fn records(records: Vec<Record>) -> Self {
        Self::of(move |asked| Some(Message { answer: records.clone(), ..Message::to(asked.query) }))
    }

    pub fn rcode(rcode: u16) -> Self {
        Self::of(move |asked| Some(Message::to(asked.query).rcode(rcode)))
    }

    /// NXDOMAIN, with the SOA's minimum where there is one.
    pub fn no_such_name(minimum: Option<u32>) -> Self {
        Self::of(move |asked| {
            let message = Message::to(asked.query).rcode(NXDOMAIN);
            Some(minimum.into_iter().fold(message, no_data))
        })
    }

    /// NOERROR and no record of the answer, with the SOA's minimum where there is one.
    pub fn no_data(minimum: Option<u32>) -> Self {
        Self::of(move |asked| Some(minimum.into_iter().fold(Message::to(asked.query), no_data)))
    }

    /// NOERROR, nothing, and no recursion available.
    pub fn lame() -> Self {
        Self::no_data(None).changed(|message| message.flags &= !RA)
    }

    /// NOERROR, nothing but the servers of the zone.
    pub fn referral() -> Self {
        Self::no_data(None).changed(|message| {
            message.authority.push(Record::name_server("example.net", 60, "ns.example.net"));
        })
    }

    pub fn changed(mut self, change: impl Fn(&mut Message) + Send + Sync + 'static) -> Self {
        self.changes.push(Arc::new(change));
        self
    }

    /// The octets of the datagrams, changed in whatever way.
    pub fn mangled(self, mangling: impl Fn(&mut Vec<u8>) + Send + Sync + 'static) -> Self {
        Self { mangling: Some(Arc::new(mangling)), ..self }
    }

    /// The name in the question as the server spells it, not as it was asked.
    pub fn lower_cased(self) -> Self {
        self.changed(|message| message.question.iter_mut().for_each(|(name, ..)| name.make_ascii_lowercase()))
    }

    pub fn other_case(self) -> Self {
        self.changed(|message| message.question.iter_mut().for_each(|(name, ..)| swap_case(name)))
    }

    /// With text in the additional section.
    pub fn padded(self, octets: usize) -> Self {
        self.changed(move |message| message.additional.push(Record::text("pad.example.net", octets)))
    }

    /// By UDP it is marked as truncated, and says something wrong.
    pub fn truncated(self) -> Self {
        Self { truncated: true, ..self }
    }

    pub fn tcp(self, tcp: Tcp) -> Self {
        Self { tcp, ..self }
    }

    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Forged datagrams come before the answer.
    pub fn forged(mut self, forgeries: &[Forgery]) -> Self {
        self.forgeries.extend(forgeries);
        self
    }

    /// And no answer follows by UDP.
    pub fn only_forged(self) -> Self {
        Self { only_forged: true, ..self }
    }

    fn message(&self, asked: &Asked<'_>) -> Option<Message> {
        let mut message = (self.answer)(asked)?;
        self.changes.iter().for_each(|change| change(&mut message));
        Some(message)
    }

    pub(super) fn datagrams(&self, asked: &Asked<'_>) -> Vec<Datagram> {
        let forged = self.forgeries.iter().map(|forgery| forgery.datagram(asked));
        let mut datagrams: Vec<(Vec<u8>, From)> = forged.collect();
        if let Some(mut message) = self.message(asked).filter(|_| !self.only_forged) {
            if self.truncated {
                let family = asked.query.family().unwrap_or(Family::V4);
                message.flags |= TC;
                message.answer = vec![of_the_question(3600, Forgery::address(family))];
            }
            let mut octets = message.octets();
            if let Some(mangling) = &self.mangling {
                mangling(&mut octets);
            }
            datagrams.push((octets, From::Server));
        }
        datagrams.into_iter().map(|(octets, from)| Datagram { octets, from, after: self.delay }).collect()
    }

    pub(super) fn written(&self, asked: &Asked<'_>) -> Written {
        let octets = match (self.tcp, self.message(asked)) {
            (Tcp::Whole, Some(message)) => framed(&message.octets()),
            (Tcp::Cut, Some(message)) => {
                let whole = framed(&message.octets());
                whole[..whole.len() / 2].to_vec()
            }
            (Tcp::Unreadable, _) => framed(&[0xff; 40]),
            (Tcp::Closed | Tcp::Silent, _) | (Tcp::Whole | Tcp::Cut, None) => Vec::new(),
        };
        Written { octets, after: self.delay, held: matches!(self.tcp, Tcp::Whole | Tcp::Silent) }
    }
}

/// An address of the name that was asked for.
fn of_the_question(ttl: u32, address: IpAddr) -> Record {
    Record::address("", ttl, address).owned_by(&super::wire::QUESTION)
}

fn no_data(mut message: Message, minimum: u32) -> Message {
    message.authority.push(Record::soa("example.net", 3600, minimum));
    message
}

fn framed(octets: &[u8]) -> Vec<u8> {
    let length = u16::try_from(octets.len()).expect("a message of at most 65535 octets");
    [&length.to_be_bytes()[..], octets].concat()
}
