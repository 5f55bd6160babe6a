//! What a message is to a question: its answer, a failure, or nothing at all.

use super::chain::{Data, Key, Record, Walk, meant, walk};
use super::outcome::{Answer, Failure};
use super::question::{Question, UDP_SIZE};
use crate::types::Family;
use domain::base::iana::{Class, Opcode, OptRcode, Rtype};
use domain::base::message::RecordSection;
use domain::base::wire::ParseError;
use domain::base::{Message, ParsedName, ParsedRecord, ToName};
use domain::rdata::{A, Aaaa, Cname, Soa};
use std::net::IpAddr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// Not an answer to this question: waiting goes on.
    Ignored(Ignored),
    /// The question came back in lower case: the server does not keep the spelling, so TCP must vouch for it.
    LowerCased,
    /// The content is ignored: TCP is asked.
    Truncated,
    Answered(Answer),
    /// NOERROR, and nothing else: lame, or no data said in the oldest way. Another server may know better.
    Empty,
    Failed(Failure),
}

/// Why a message is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    Id,
    NotAnAnswer,
    Question,
    Case,
    Unreadable,
}

/// Judges a message. The first error anywhere in it rejects the whole: by UDP it is ignored, by TCP a failure.
pub fn judge(bytes: &[u8], question: &Question, transport: Transport) -> Judged {
    let rejected = |why| match transport {
        Transport::Udp => Judged::Ignored(why),
        Transport::Tcp => Judged::Failed(Failure::Malformed),
    };
    let Ok(message) = Message::from_slice(bytes) else { return rejected(Ignored::Unreadable) };
    match spelling(message, question) {
        Ok(Spelling::Kept) => {}
        Ok(_) if transport == Transport::Tcp => {}
        Ok(Spelling::Lowered) => return Judged::LowerCased,
        Ok(Spelling::Changed) => return Judged::Ignored(Ignored::Case),
        Err(why) => return rejected(why),
    }
    if transport == Transport::Udp && (message.header().tc() || bytes.len() > UDP_SIZE.into()) {
        return Judged::Truncated;
    }
    match (Content::read(message, question.family), message.header().tc()) {
        (Ok(content), false) => content.verdict(message, question),
        _ => rejected(Ignored::Unreadable),
    }
}

enum Spelling {
    Kept,
    Lowered,
    Changed,
}

/// Whether the message answers the question at all, and how it spells the name.
fn spelling(message: &Message<[u8]>, question: &Question) -> Result<Spelling, Ignored> {
    let header = message.header();
    if header.id() != question.id {
        return Err(Ignored::Id);
    }
    if !header.qr() || header.opcode() != Opcode::QUERY {
        return Err(Ignored::NotAnAnswer);
    }
    if message.header_counts().qdcount() != 1 {
        return Err(Ignored::Question);
    }
    let asked = message.sole_question().map_err(|_| Ignored::Unreadable)?;
    if asked.qtype() != question.rtype() || asked.qclass() != Class::IN {
        return Err(Ignored::Question);
    }
    let (theirs, ours) = (wire(asked.qname()), question.name.as_slice());
    if theirs == ours {
        Ok(Spelling::Kept)
    } else if !theirs.eq_ignore_ascii_case(ours) {
        Err(Ignored::Question)
    } else if theirs.to_ascii_lowercase() == theirs {
        Ok(Spelling::Lowered)
    } else {
        Ok(Spelling::Changed)
    }
}

/// What counts in a message, read to its last record.
#[derive(Default)]
struct Content {
    /// Of the answer section.
    records: Vec<Record>,
    /// The shorter of TTL and minimum of the SOA in the authority section (RFC 2308, 5).
    negative: Option<u32>,
    /// Name servers in the authority section.
    referral: bool,
}

impl Content {
    fn read(message: &Message<[u8]>, family: Family) -> Result<Self, ParseError> {
        let mut content = Self::default();
        let answer = message.answer()?;
        for record in answer {
            content.records.extend(answer_record(&record?, family)?);
        }
        let authority = following(answer)?;
        for record in authority {
            content.authority_record(&record?)?;
        }
        for record in following(authority)? {
            record?;
        }
        Ok(content)
    }

    fn authority_record(&mut self, record: &ParsedRecord<'_, [u8]>) -> Result<(), ParseError> {
        if let Some(soa) = record.to_record::<Soa<ParsedName<&[u8]>>>()? {
            self.negative = Some(meant(soa.ttl().as_secs()).min(meant(soa.data().minimum().as_secs())));
        }
        self.referral |= record.rtype() == Rtype::NS;
        Ok(())
    }

    fn verdict(&self, message: &Message<[u8]>, question: &Question) -> Judged {
        let header = message.header();
        Judged::Failed(match message.opt_rcode() {
            OptRcode::NOERROR => match walk(&lowered(&question.name), &self.records) {
                Err(failure) => failure,
                Ok(Walk { addresses, .. }) if !addresses.is_empty() => {
                    return Judged::Answered(Answer::of(addresses));
                }
                Ok(Walk { aliased, .. }) if aliased || self.negative.is_some() => {
                    Failure::NoData { seconds: self.negative }
                }
                Ok(_) if self.referral || !(header.ra() || header.aa()) => Failure::Lame,
                Ok(_) => return Judged::Empty,
            },
            OptRcode::NXDOMAIN => Failure::NxDomain { seconds: self.negative },
            OptRcode::SERVFAIL => Failure::ServFail,
            OptRcode::REFUSED => Failure::Refused,
            OptRcode::FORMERR => Failure::FormErr,
            OptRcode::NOTIMP => Failure::NotImp,
            other => Failure::OtherCode { code: other.to_int() },
        })
    }
}

fn following<'a>(section: RecordSection<'a, [u8]>) -> Result<RecordSection<'a, [u8]>, ParseError> {
    section.next_section()?.ok_or(ParseError::ShortInput)
}

fn answer_record(record: &ParsedRecord<'_, [u8]>, family: Family) -> Result<Option<Record>, ParseError> {
    let data = if let Some(alias) = record.to_record::<Cname<ParsedName<&[u8]>>>()? {
        Some(Data::Alias(lowered(alias.data().cname())))
    } else {
        address(record)?.filter(|address| Family::of(*address) == family).map(Data::Address)
    };
    let ours = data.filter(|_| record.class() == Class::IN);
    Ok(ours.map(|data| Record { owner: lowered(&record.owner()), ttl: record.ttl().as_secs(), data }))
}

fn address(record: &ParsedRecord<'_, [u8]>) -> Result<Option<IpAddr>, ParseError> {
    if let Some(v4) = record.to_record::<A>()? {
        return Ok(Some(v4.data().addr().into()));
    }
    Ok(record.to_record::<Aaaa>()?.map(|v6| v6.data().addr().into()))
}

pub(super) fn wire(name: &impl ToName) -> Vec<u8> {
    name.to_vec().as_slice().to_vec()
}

/// Length octets are at most 63 and so are no letters.
fn lowered(name: &impl ToName) -> Key {
    wire(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
