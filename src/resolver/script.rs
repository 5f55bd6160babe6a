//! For tests: messages as servers write them, and a server on loopback that answers as it is told.

use super::Transport;
use crate::types::Family;
use domain::base::iana::{Class, Rcode, Rtype};
use domain::base::message_builder::{AdditionalBuilder, MessageBuilder};
use domain::base::{Message, Name, Record, Serial, Ttl};
use domain::rdata::{A, Aaaa, Cname, Ns, Soa, Txt};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

#[derive(Clone)]
enum Data {
    Address(IpAddr),
    Alias(&'static str),
    NameServer,
    Soa(u32),
    Text(usize),
}

type Entry = (String, u32, Class, Data);

/// An answer under construction. It begins as NOERROR, recursion available, with the question as it was asked.
#[derive(Clone)]
pub(super) struct Reply {
    id: u16,
    question: Option<(Name<Vec<u8>>, Rtype)>,
    rcode: Rcode,
    flags: (bool, bool, bool),
    answer: Vec<Entry>,
    authority: Vec<Entry>,
    additional: Vec<Entry>,
}

impl Reply {
    pub(super) fn to(query: &[u8]) -> Self {
        let message = Message::from_slice(query).unwrap();
        let asked = message.sole_question().unwrap();
        let name = Name::from_octets(super::judge::wire(asked.qname())).unwrap();
        Self {
            id: message.header().id(),
            question: Some((name, asked.qtype())),
            rcode: Rcode::NOERROR,
            flags: (true, false, true),
            answer: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
        }
    }

    pub(super) fn other_id(mut self) -> Self {
        self.id = self.id.wrapping_add(1);
        self
    }

    pub(super) fn rcode(mut self, rcode: Rcode) -> Self {
        self.rcode = rcode;
        self
    }

    /// Whether it is an answer, is truncated, and offers recursion.
    pub(super) fn flags(mut self, qr: bool, tc: bool, ra: bool) -> Self {
        self.flags = (qr, tc, ra);
        self
    }

    pub(super) fn truncated(self) -> Self {
        self.flags(true, true, true)
    }

    /// The asked name with its spelling changed.
    pub(super) fn respelt(mut self, change: impl Fn(&mut u8)) -> Self {
        let (name, rtype) = self.question.unwrap();
        let mut wire = name.as_slice().to_vec();
        wire.iter_mut().filter(|byte| byte.is_ascii_alphabetic()).for_each(change);
        self.question = Some((Name::from_octets(wire).unwrap(), rtype));
        self
    }

    pub(super) fn question(mut self, question: Option<(&str, Rtype)>) -> Self {
        self.question = question.map(|(name, rtype)| (Name::from_str(name).unwrap(), rtype));
        self
    }

    pub(super) fn address(mut self, owner: &str, ttl: u32, address: &str) -> Self {
        self.answer.push((owner.into(), ttl, Class::IN, Data::Address(address.parse().unwrap())));
        self
    }

    /// An address in CHAOS.
    pub(super) fn chaos(mut self, owner: &str, address: &str) -> Self {
        self.answer.push((owner.into(), 60, Class::CH, Data::Address(address.parse().unwrap())));
        self
    }

    pub(super) fn alias(mut self, owner: &str, ttl: u32, target: &'static str) -> Self {
        self.answer.push((owner.into(), ttl, Class::IN, Data::Alias(target)));
        self
    }

    pub(super) fn soa(mut self, ttl: u32, minimum: u32) -> Self {
        self.authority.push(("example".into(), ttl, Class::IN, Data::Soa(minimum)));
        self
    }

    pub(super) fn referral(mut self) -> Self {
        self.authority.push(("example".into(), 60, Class::IN, Data::NameServer));
        self
    }

    /// An address in the authority and additional sections.
    pub(super) fn aside(mut self, owner: &str, address: &str) -> Self {
        let entry = (owner.to_string(), 60, Class::IN, Data::Address(address.parse().unwrap()));
        self.authority.push(entry.clone());
        self.additional.push(entry);
        self
    }

    pub(super) fn padded(mut self, octets: usize) -> Self {
        self.additional.push(("pad.example".into(), 0, Class::IN, Data::Text(octets)));
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut builder = MessageBuilder::new_vec();
        let (qr, tc, ra) = self.flags;
        let header = builder.header_mut();
        header.set_id(self.id);
        header.set_rcode(self.rcode);
        header.set_qr(qr);
        header.set_tc(tc);
        header.set_ra(ra);
        let mut builder = builder.question();
        if let Some((name, rtype)) = &self.question {
            builder.push((name, *rtype)).unwrap();
        }
        let mut counts = [0u16; 3];
        let mut builder = builder.additional();
        for (section, entries) in [&self.answer, &self.authority, &self.additional].into_iter().enumerate() {
            for entry in entries {
                push(&mut builder, entry);
                counts[section] += 1;
            }
        }
        let mut bytes = builder.finish();
        for (section, count) in counts.into_iter().enumerate() {
            bytes[6 + 2 * section..8 + 2 * section].copy_from_slice(&count.to_be_bytes());
        }
        bytes
    }
}

fn push(builder: &mut AdditionalBuilder<Vec<u8>>, (owner, ttl, class, data): &Entry) {
    let name = |text: &str| Name::<Vec<u8>>::from_str(text).unwrap();
    let (owner, class, ttl) = (name(owner), *class, Ttl::from_secs(*ttl));
    match data {
        Data::Address(IpAddr::V4(v4)) => builder.push(Record::new(owner, class, ttl, A::new(*v4))),
        Data::Address(IpAddr::V6(v6)) => builder.push(Record::new(owner, class, ttl, Aaaa::new(*v6))),
        Data::Alias(target) => builder.push(Record::new(owner, class, ttl, Cname::new(name(target)))),
        Data::NameServer => builder.push(Record::new(owner, class, ttl, Ns::new(name("ns.example")))),
        Data::Soa(minimum) => {
            let (serial, other) = (Serial(1), Ttl::from_secs(3600));
            let (mname, rname) = (name("ns.example"), name("admin.example"));
            let soa = Soa::new(mname, rname, serial, other, other, other, Ttl::from_secs(*minimum));
            builder.push(Record::new(owner, class, ttl, soa))
        }
        Data::Text(octets) => {
            let text = Txt::<Vec<u8>>::build_from_slice(&vec![b'x'; *octets]).unwrap();
            builder.push(Record::new(owner, class, ttl, text))
        }
    }
    .unwrap();
}

/// A query as the server sees it.
pub(super) struct Query<'a> {
    pub transport: Transport,
    pub name: String,
    pub family: Family,
    pub bytes: &'a [u8],
}

impl Query<'_> {
    pub(super) fn reply(&self) -> Reply {
        Reply::to(self.bytes)
    }
}

/// What the server sends for a query: any number of messages.
pub(super) type Script = dyn Fn(&Query<'_>) -> Vec<Vec<u8>> + Send + Sync;

/// A server on a port of 127.0.0.1, UDP and TCP, until it is dropped.
pub(super) struct Server {
    pub address: SocketAddr,
    asked: Arc<AtomicUsize>,
    spellings: Arc<Mutex<Vec<Vec<u8>>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    pub(super) fn run(script: impl Fn(&Query<'_>) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        let (udp, tcp) = both_on_one_port();
        let address = udp.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::new(AtomicUsize::new(0));
        let spellings = Arc::new(Mutex::new(Vec::new()));
        let serving = Serving {
            script: Arc::new(script),
            stop: stop.clone(),
            asked: asked.clone(),
            spellings: spellings.clone(),
        };
        let other = serving.clone();
        let threads =
            vec![std::thread::spawn(move || serving.udp(&udp)), std::thread::spawn(move || other.tcp(&tcp))];
        Self { address, asked, spellings, stop, threads }
    }

    /// How many queries came.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// The names of all queries in the wire's form, as they were spelt.
    pub(super) fn spellings(&self) -> Vec<Vec<u8>> {
        self.spellings.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let waker = UdpSocket::bind("127.0.0.1:0").unwrap();
        waker.send_to(&[], self.address).unwrap();
        drop(TcpStream::connect(self.address));
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the script failed");
        }
    }
}

fn both_on_one_port() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
            return (udp, tcp);
        }
    }
}

#[derive(Clone)]
struct Serving {
    script: Arc<Script>,
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    spellings: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Serving {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    fn udp(&self, socket: &UdpSocket) {
        let mut buffer = [0; 2048];
        loop {
            let (length, peer) = socket.recv_from(&mut buffer).unwrap();
            if self.stopped() {
                return;
            }
            for message in self.answers(Transport::Udp, &buffer[..length]) {
                socket.send_to(&message, peer).unwrap();
            }
        }
    }

    fn tcp(&self, listener: &TcpListener) {
        loop {
            let (mut stream, _) = listener.accept().unwrap();
            if self.stopped() {
                return;
            }
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut query = vec![0; u16::from_be_bytes(length).into()];
            stream.read_exact(&mut query).unwrap();
            for message in self.answers(Transport::Tcp, &query) {
                stream.write_all(&u16::try_from(message.len()).unwrap().to_be_bytes()).unwrap();
                // In two pieces: a reader must put them together.
                let (first, rest) = message.split_at(message.len() / 2);
                stream.write_all(first).unwrap();
                stream.write_all(rest).unwrap();
            }
        }
    }

    fn answers(&self, transport: Transport, query: &[u8]) -> Vec<Vec<u8>> {
        let message = Message::from_slice(query).unwrap();
        let asked = message.sole_question().unwrap();
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.spellings.lock().unwrap().push(super::judge::wire(asked.qname()));
        let family = if asked.qtype() == Rtype::A { Family::V4 } else { Family::V6 };
        let name = asked.qname().to_string().to_ascii_lowercase();
        (self.script)(&Query { transport, name, family, bytes: query })
    }
}
