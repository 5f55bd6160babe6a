//! Datagrams of the log to records, and to the number of those that never came.

use super::packet::Packet;
use super::record::Record;
use super::wire::{BUFFER, PACKET, attributes, chunk, messages, receive};
use crate::types::{Direction, LogLabel};
use nix::errno::Errno;
use std::io;
use std::os::fd::BorrowedFd;

const INDEV: u16 = 4;
const OUTDEV: u16 = 5;
const PAYLOAD: u16 = 9;
const PREFIX: u16 = 10;
const SEQUENCE: u16 = 12;

/// What a datagram says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    pub records: Vec<Record>,
    /// Packets that the kernel logged and that did not come, or not in a form that can be read.
    pub lost: u64,
}

/// Keeps the kernel's sequence number from one datagram to the next.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    next: Option<u32>,
}

impl Decoder {
    /// Takes any octets. What other rules log to the same group is passed over.
    pub fn decode(&mut self, datagram: &[u8]) -> Decoded {
        let mut decoded = Decoded::default();
        for (_, body) in messages(datagram).filter(|(header, _)| header.kind == PACKET) {
            let logged = Logged::read(body);
            decoded.lost += logged.sequence.map_or(0, |sequence| self.missed(sequence));
            if let Some(label) = logged.label() {
                match logged.record(label) {
                    Some(record) => decoded.records.push(record),
                    None => decoded.lost += 1,
                }
            }
        }
        decoded
    }

    /// How many numbers were left out before this one. A step back is a new beginning.
    fn missed(&mut self, sequence: u32) -> u64 {
        let expected = self.next.replace(sequence.wrapping_add(1)).unwrap_or(sequence);
        let missed = sequence.wrapping_sub(expected);
        if missed <= u32::MAX / 2 { missed.into() } else { 0 }
    }
}

/// The attributes of a logged packet that are looked at.
#[derive(Default)]
struct Logged<'a> {
    sequence: Option<u32>,
    indev: Option<u32>,
    outdev: Option<u32>,
    payload: &'a [u8],
    prefix: &'a [u8],
}

impl<'a> Logged<'a> {
    fn read(body: &'a [u8]) -> Self {
        let mut logged = Self::default();
        for (kind, value) in attributes(body) {
            let number = || chunk(value, 0).map(u32::from_be_bytes);
            match kind {
                INDEV => logged.indev = number(),
                OUTDEV => logged.outdev = number(),
                PAYLOAD => logged.payload = value,
                PREFIX => logged.prefix = value,
                SEQUENCE => logged.sequence = number(),
                _ => {}
            }
        }
        logged
    }

    fn label(&self) -> Option<LogLabel> {
        let text = self.prefix.split(|octet| *octet == 0).next()?;
        LogLabel::parse(std::str::from_utf8(text).ok()?)
    }

    fn record(&self, label: LogLabel) -> Option<Record> {
        let packet = Packet::read(self.payload)?;
        let interface = match label.direction {
            Direction::In => self.indev,
            Direction::Out => self.outdev,
        };
        Some(Record {
            what: label.outcome,
            rule: label.decider,
            direction: label.direction,
            interface: interface.unwrap_or(0),
            protocol: packet.protocol,
            source: packet.source,
            destination: packet.destination,
            source_port: packet.ports.map(|(source, _)| source),
            destination_port: packet.ports.map(|(_, destination)| destination),
            icmp_type: packet.icmp_type,
            length: packet.length,
        })
    }
}

/// Reads a socket by [`open`](super::open), which may have been handed on.
#[derive(Debug)]
pub struct Reader {
    decoder: Decoder,
    buffer: Vec<u8>,
}

impl Default for Reader {
    fn default() -> Self {
        Self { decoder: Decoder::default(), buffer: vec![0; BUFFER] }
    }
}

impl Reader {
    /// One datagram; `None` if none waits. What had no room in the socket shows as lost with the next that has.
    ///
    /// # Errors
    /// Those of recvfrom(2), less the ones that only say: try again.
    pub fn read(&mut self, socket: BorrowedFd<'_>) -> io::Result<Option<Decoded>> {
        match receive(socket, &mut self.buffer) {
            Ok(length) => Ok(Some(self.decoder.decode(&self.buffer[..length]))),
            Err(Errno::EAGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
