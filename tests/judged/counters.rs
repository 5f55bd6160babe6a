//! Reads every counter of the namespace, quickly: of a dump only what changed since the last one is taken apart.

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, send, socket,
};
use portgrave::netlink::attr::Nest;
use portgrave::netlink::message::{self, Messages};
use portgrave::netlink::wire::{GENMSG, NLMSG_DONE, NLMSG_ERROR, flag, msg, object};
use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, OwnedFd};

pub struct Counters {
    socket: OwnedFd,
    seq: u32,
    buffer: Vec<u8>,
    /// The messages of the last dump, each with its counter's name and packets.
    last: Vec<(Vec<u8>, String, u64)>,
}

impl Counters {
    pub fn new() -> Self {
        let protocol = SockProtocol::NetlinkNetFilter;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)
            .expect("a netlink socket");
        nix::sys::socket::bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))
            .expect("a netlink socket is bound");
        Self { socket, seq: 0, buffer: vec![0; 64 * 1024], last: Vec::new() }
    }

    /// Forgets what was read: the counters are others now.
    pub fn restart(&mut self) {
        self.last.clear();
        self.moved();
    }

    /// By how much each counter has moved since the last call, those that have.
    pub fn moved(&mut self) -> BTreeMap<String, u64> {
        self.seq = self.seq.wrapping_add(1);
        let mut request = Vec::new();
        message::write(&mut request, message::kind(msg::GETOBJ), flag::DUMP, self.seq, |_| {});
        send(self.socket.as_raw_fd(), &request, MsgFlags::empty()).expect("nf_tables is asked");
        let mut moved = BTreeMap::new();
        let mut index = 0;
        while self.take(&mut index, &mut moved) {}
        assert_eq!(index, self.last.len(), "counters went away");
        moved
    }

    /// Takes a datagram; false at the dump's end.
    fn take(&mut self, index: &mut usize, moved: &mut BTreeMap<String, u64>) -> bool {
        let length = recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::empty()).expect("an answer");
        for message in Messages::new(&self.buffer[..length]) {
            let (header, body) = message.expect("a whole message");
            assert_eq!(header.seq, self.seq, "an answer to another question");
            if header.kind == NLMSG_DONE {
                return false;
            }
            assert_ne!(header.kind, NLMSG_ERROR, "{:?}", message::Answer::parse(header, body));
            match self.last.get_mut(*index) {
                Some((known, ..)) if known == body => {}
                Some(known) => {
                    let (name, packets) = counter(body);
                    assert_eq!(name, known.1, "the counters are in another order");
                    if packets != known.2 {
                        moved.insert(name.clone(), packets - known.2);
                    }
                    *known = (body.to_vec(), name, packets);
                }
                None => {
                    let (name, packets) = counter(body);
                    self.last.push((body.to_vec(), name, packets));
                }
            }
            *index += 1;
        }
        true
    }
}

/// A counter's name and packets. Objects of other kinds have none, and never move.
fn counter(body: &[u8]) -> (String, u64) {
    let attrs = Nest::parse(&body[GENMSG..]).expect("attributes");
    let name = attrs.string(object::NAME).expect("a name").unwrap_or("").to_owned();
    let data = attrs.nest(object::DATA).expect("the object's own attributes");
    let kind = attrs.be32(object::TYPE).expect("a kind");
    let packets = if kind == Some(object::COUNTER) {
        data.be64(object::COUNTER_PACKETS).expect("a number").unwrap_or(0)
    } else {
        0
    };
    (name, packets)
}
