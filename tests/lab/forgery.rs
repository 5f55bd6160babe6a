//! Datagrams of somebody who would like to be the server.

use super::act::Asked;
use super::dns::From;
use super::wire::{CHAOS, Message, QR, Record, TXT, name};
use portgrave::types::Family;
use std::net::IpAddr;

/// What is wrong with a datagram that otherwise says that the name has the forger's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgery {
    WrongId,
    OtherPort,
    OtherAddress(IpAddr),
    WrongQuestion,
    WrongType,
    WrongClass,
    /// Every letter the other way round than it was asked.
    OtherCase,
    NoQuestion,
    /// It is a query, not an answer.
    NotAnAnswer,
    OtherOpcode,
    Unreadable,
    Short,
}

impl Forgery {
    /// All that come from the server's own address and port.
    pub const FROM_THE_SERVER: [Self; 10] = [
        Self::WrongId,
        Self::WrongQuestion,
        Self::WrongType,
        Self::WrongClass,
        Self::OtherCase,
        Self::NoQuestion,
        Self::NotAnAnswer,
        Self::OtherOpcode,
        Self::Unreadable,
        Self::Short,
    ];

    /// The address that forged messages give to the name.
    pub fn address(family: Family) -> IpAddr {
        match family {
            Family::V4 => [66, 66, 66, 66].into(),
            Family::V6 => "2a06:6666::66".parse().expect("an address"),
        }
    }

    pub(super) fn datagram(self, asked: &Asked<'_>) -> (Vec<u8>, From) {
        let family = asked.query.family().unwrap_or(Family::V4);
        let mut message = Message::to(asked.query);
        message.answer.push(Record::address(&asked.name, 3600, Self::address(family)));
        let mut from = From::Server;
        match self {
            Self::WrongId => message.id ^= 0x5555,
            Self::OtherPort => from = From::OtherPort,
            Self::OtherAddress(address) => from = From::Address(address),
            Self::WrongQuestion => message.question[0].0 = name("forged.example.net"),
            Self::WrongType => message.question[0].1 = TXT,
            Self::WrongClass => message.question[0].2 = CHAOS,
            Self::OtherCase => swap_case(&mut message.question[0].0),
            Self::NoQuestion => message.question.clear(),
            Self::NotAnAnswer => message.flags &= !QR,
            Self::OtherOpcode => message.flags |= 4 << 11,
            Self::Unreadable | Self::Short => {}
        }
        let mut octets = message.octets();
        match self {
            Self::Unreadable => octets.truncate(octets.len() - 3),
            Self::Short => octets.truncate(7),
            Self::WrongId
            | Self::OtherPort
            | Self::OtherAddress(_)
            | Self::WrongQuestion
            | Self::WrongType
            | Self::WrongClass
            | Self::OtherCase
            | Self::NoQuestion
            | Self::NotAnAnswer
            | Self::OtherOpcode => {}
        }
        (octets, from)
    }
}

/// Letters only: the length octets of labels are no letters.
pub(super) fn swap_case(name: &mut [u8]) {
    for octet in name.iter_mut().filter(|octet| octet.is_ascii_alphabetic()) {
        *octet ^= 0x20;
    }
}
