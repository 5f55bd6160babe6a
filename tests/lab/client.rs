//! A client of DNS servers, as programs on the gateway are.

use super::PATIENCE;
use super::wire::{Query, name, rtype};
use crate::rig::Ns;
use domain::base::Message;
use domain::base::iana::Rcode;
use domain::rdata::{A, Aaaa};
use portgrave::types::Family;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};

const ID: u16 = 0x1234;

/// A message as a library reads it that has nothing to do with the laboratory's encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub rcode: Rcode,
    pub truncated: bool,
    /// All addresses of the answer section, each with its TTL.
    pub addresses: Vec<(IpAddr, u32)>,
    pub octets: Vec<u8>,
}

impl Answer {
    pub fn read(octets: &[u8]) -> Self {
        let message = Message::from_octets(octets).expect("a DNS message");
        let mut addresses = Vec::new();
        for record in message.answer().expect("an answer section") {
            let record = record.expect("a record");
            let v4 = record.to_record::<A>().expect("an address").map(|v4| v4.data().addr().into());
            let v6 = record.to_record::<Aaaa>().expect("an address").map(|v6| v6.data().addr().into());
            addresses.extend(v4.or(v6).map(|address: IpAddr| (address, record.ttl().as_secs())));
        }
        let header = message.header();
        Self { rcode: header.rcode(), truncated: header.tc(), addresses, octets: octets.to_vec() }
    }
}

pub fn query(text: &str, family: Family) -> Query {
    Query::new(ID, text, rtype(family))
}

/// The next datagrams that come back for a question, with where they come from.
pub fn datagrams(ns: &Ns, server: SocketAddr, query: &Query, count: usize) -> Vec<(Vec<u8>, SocketAddr)> {
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = ns.enter(|| UdpSocket::bind(any)).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    socket.send_to(&query.octets(), server).expect("the question is sent");
    let mut buffer = [0; 65535];
    let mut next = || socket.recv_from(&mut buffer).map(|(length, from)| (buffer[..length].to_vec(), from));
    (0..count).map(|_| next().unwrap_or_else(|error| panic!("{server}: {}: {error}", query.text()))).collect()
}

pub fn ask(ns: &Ns, server: SocketAddr, name: &str, family: Family) -> Answer {
    Answer::read(&datagrams(ns, server, &query(name, family), 1)[0].0)
}

/// What comes back by TCP until the answer is whole or the connection ends.
pub fn stream(ns: &Ns, server: SocketAddr, query: &Query) -> io::Result<Vec<u8>> {
    let mut stream = ns.enter(|| TcpStream::connect_timeout(&server, PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let octets = query.octets();
    stream.write_all(&u16::try_from(octets.len()).expect("a short query").to_be_bytes())?;
    stream.write_all(&octets)?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

pub fn ask_by_tcp(ns: &Ns, server: SocketAddr, name: &str, family: Family) -> io::Result<Answer> {
    stream(ns, server, &query(name, family)).map(|octets| Answer::read(&octets))
}
