//! DNS messages as octets, written by hand: a test may write what no library would.

use portgrave::types::Family;
use std::net::IpAddr;

pub const A: u16 = 1;
pub const NS: u16 = 2;
pub const CNAME: u16 = 5;
pub const SOA: u16 = 6;
pub const TXT: u16 = 16;
pub const AAAA: u16 = 28;
pub const IN: u16 = 1;
pub const CHAOS: u16 = 3;

pub const QR: u16 = 0x8000;
pub const TC: u16 = 0x0200;
pub const RD: u16 = 0x0100;
pub const RA: u16 = 0x0080;

pub const NOERROR: u16 = 0;
pub const FORMERR: u16 = 1;
pub const SERVFAIL: u16 = 2;
pub const NXDOMAIN: u16 = 3;
pub const NOTIMP: u16 = 4;
pub const REFUSED: u16 = 5;

/// Where the name of the first question stands in a message.
pub const QUESTION: [u8; 2] = [0xc0, 12];

/// A name in the wire's form.
pub fn name(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for label in text.trim_end_matches('.').split('.').filter(|label| !label.is_empty()) {
        octets.push(u8::try_from(label.len()).expect("a label of at most 63 octets"));
        octets.extend(label.as_bytes());
    }
    octets.push(0);
    octets
}

pub fn rtype(family: Family) -> u16 {
    match family {
        Family::V4 => A,
        Family::V6 => AAAA,
    }
}

/// A query with one question and nothing else that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub id: u16,
    pub flags: u16,
    /// As it was spelt.
    pub name: Vec<u8>,
    pub rtype: u16,
    pub class: u16,
    /// It has an OPT record (EDNS): the largest datagram that the client takes.
    pub size: Option<u16>,
}

impl Query {
    pub fn new(id: u16, text: &str, rtype: u16) -> Self {
        Self { id, flags: RD, name: name(text), rtype, class: IN, size: Some(1232) }
    }

    pub fn read(octets: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u16::from_be_bytes(octets.get(at..at + 2)?.try_into().ok()?));
        let (id, flags, questions, more) = (word(0)?, word(2)?, word(4)?, word(10)?);
        if flags & QR != 0 || questions != 1 {
            return None;
        }
        let mut end = 12;
        while *octets.get(end)? != 0 {
            end += 1 + usize::from(octets[end]);
        }
        let name = octets.get(12..=end)?.to_vec();
        let opt = end + 5;
        let size = if more == 1 && octets.get(opt) == Some(&0) && word(opt + 1)? == OPT {
            Some(word(opt + 3)?)
        } else {
            None
        };
        Some(Self { id, flags, name, rtype: word(end + 1)?, class: word(end + 3)?, size })
    }

    pub fn octets(&self) -> Vec<u8> {
        let mut message = Message::to(self);
        message.flags = self.flags;
        let mut octets = message.octets();
        if let Some(size) = self.size {
            octets[11] = 1;
            octets.push(0);
            octets.extend(OPT.to_be_bytes());
            octets.extend(size.to_be_bytes());
            octets.extend([0; 6]);
        }
        octets
    }

    /// The name in lower case, with dots.
    pub fn text(&self) -> String {
        let mut labels = Vec::new();
        let mut at = 0;
        while at < self.name.len() && self.name[at] != 0 {
            let end = at + 1 + usize::from(self.name[at]);
            labels.push(String::from_utf8_lossy(&self.name[at + 1..end]).to_ascii_lowercase());
            at = end;
        }
        labels.join(".")
    }

    pub fn family(&self) -> Option<Family> {
        match self.rtype {
            A => Some(Family::V4),
            AAAA => Some(Family::V6),
            _ => None,
        }
    }
}

const OPT: u16 = 41;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// In the wire's form; [`QUESTION`] for the name that was asked.
    pub owner: Vec<u8>,
    pub rtype: u16,
    pub class: u16,
    pub ttl: u32,
    pub data: Vec<u8>,
}

impl Record {
    pub fn new(owner: &str, rtype: u16, ttl: u32, data: Vec<u8>) -> Self {
        Self { owner: name(owner), rtype, class: IN, ttl, data }
    }

    pub fn address(owner: &str, ttl: u32, address: IpAddr) -> Self {
        let (rtype, data) = match address {
            IpAddr::V4(v4) => (A, v4.octets().to_vec()),
            IpAddr::V6(v6) => (AAAA, v6.octets().to_vec()),
        };
        Self::new(owner, rtype, ttl, data)
    }

    pub fn alias(owner: &str, ttl: u32, target: &str) -> Self {
        Self::new(owner, CNAME, ttl, name(target))
    }

    pub fn name_server(owner: &str, ttl: u32, server: &str) -> Self {
        Self::new(owner, NS, ttl, name(server))
    }

    pub fn soa(zone: &str, ttl: u32, minimum: u32) -> Self {
        let mut data = [name("ns.example.net"), name("admin.example.net")].concat();
        for number in [2026, 3600, 600, 86_400, minimum] {
            data.extend(u32::to_be_bytes(number));
        }
        Self::new(zone, SOA, ttl, data)
    }

    /// Text that fills so many octets of data, in strings of 255 and what is left.
    pub fn text(owner: &str, octets: usize) -> Self {
        let mut data = Vec::new();
        while data.len() + 1 < octets {
            let length = (octets - data.len() - 1).min(255);
            data.push(u8::try_from(length).expect("at most 255"));
            data.extend(vec![b'x'; length]);
        }
        Self::new(owner, TXT, 60, data)
    }

    pub fn class(self, class: u16) -> Self {
        Self { class, ..self }
    }

    /// With an owner that is written as it stands, for pointers into the message.
    pub fn owned_by(self, owner: &[u8]) -> Self {
        Self { owner: owner.to_vec(), ..self }
    }

    fn write(&self, octets: &mut Vec<u8>) {
        octets.extend(&self.owner);
        octets.extend(self.rtype.to_be_bytes());
        octets.extend(self.class.to_be_bytes());
        octets.extend(self.ttl.to_be_bytes());
        octets.extend(u16::try_from(self.data.len()).expect("at most 65535 octets of data").to_be_bytes());
        octets.extend(&self.data);
    }
}

/// An answer under construction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub id: u16,
    /// With the response code in the last four bits.
    pub flags: u16,
    /// Name, type, class.
    pub question: Vec<(Vec<u8>, u16, u16)>,
    pub answer: Vec<Record>,
    pub authority: Vec<Record>,
    pub additional: Vec<Record>,
}

impl Message {
    /// NOERROR with recursion available, the question as it was asked, and nothing else.
    pub fn to(query: &Query) -> Self {
        Self {
            id: query.id,
            flags: QR | RA | (query.flags & RD),
            question: vec![(query.name.clone(), query.rtype, query.class)],
            answer: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
        }
    }

    pub fn rcode(mut self, rcode: u16) -> Self {
        self.flags = self.flags & !0x000f | rcode;
        self
    }

    pub fn octets(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        for word in [self.id, self.flags] {
            octets.extend(word.to_be_bytes());
        }
        let sections = [&self.answer, &self.authority, &self.additional];
        for count in [self.question.len(), sections[0].len(), sections[1].len(), sections[2].len()] {
            octets.extend(u16::try_from(count).expect("at most 65535 records").to_be_bytes());
        }
        for (name, rtype, class) in &self.question {
            octets.extend(name);
            octets.extend(rtype.to_be_bytes());
            octets.extend(class.to_be_bytes());
        }
        sections.into_iter().flatten().for_each(|record| record.write(&mut octets));
        octets
    }
}
