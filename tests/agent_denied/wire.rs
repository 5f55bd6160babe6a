//! Any packet, in through the link or out of the gateway; and a flood that costs its sender little.

use crate::lab::Lab;
use crate::packet::Packet;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, MultiHeaders, SockFlag, SockProtocol, SockType, SockaddrStorage, bind,
    send, sendmmsg, sendto, setsockopt, socket, sockopt,
};
use portgrave::types::Direction;
use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

/// The ends of the link: the gateway's, and the other side's.
const GATEWAY: &str = "up0";
const FAR: &str = "to-gw";

/// Frames that one system call sends.
const AT_ONCE: usize = 64;
/// Where in a frame the source of an IPv4 packet stands, and the checksum of its header.
const SOURCE: usize = 14 + 12;
const SUM: usize = 14 + 10;

pub struct Wire {
    /// A packet socket of the other side's end of the link.
    link: OwnedFd,
    /// Raw sockets of the gateway, for IPv4 and IPv6.
    own: [OwnedFd; 2],
    to_gateway: [u8; 6],
    from_far: [u8; 6],
}

impl Wire {
    pub fn new(lab: &Lab) -> Self {
        let gateway = lab.gw.enter(|| link_address(GATEWAY));
        let (link, far) = lab.far.enter(|| {
            let link = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)
                .expect("a packet socket");
            let address = link_address(FAR);
            bind(link.as_raw_fd(), &address).expect("a packet socket of the link");
            (link, address)
        });
        let own = lab.gw.enter(|| {
            [AddressFamily::Inet, AddressFamily::Inet6].map(|family| {
                let raw = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw)
                    .expect("a raw socket");
                setsockopt(&raw, sockopt::BindToDevice, &GATEWAY.into()).expect("a socket option");
                raw
            })
        });
        let mac = |address: LinkAddr| address.addr().expect("a hardware address");
        Self { link, own, to_gateway: mac(gateway), from_far: mac(far) }
    }

    pub fn send(&self, direction: Direction, packet: &Packet) {
        match direction {
            Direction::In => {
                let sent = send(self.link.as_raw_fd(), &self.frame(packet), MsgFlags::empty());
                sent.expect("a frame goes out");
            }
            Direction::Out => {
                let raw = &self.own[usize::from(packet.to.is_ipv6())];
                let to = SockaddrStorage::from(SocketAddr::new(packet.to, 0));
                // What is dropped on its way out gives EPERM; the log decides.
                let _ = sendto(raw.as_raw_fd(), &packet.bytes, &to, MsgFlags::empty());
            }
        }
    }

    /// Sends `count` times what is like this packet of IPv4, from one source after the other, and begins again after
    /// the last source.
    pub fn flood(&self, like: &Packet, source: impl Fn(usize) -> Ipv4Addr, sources: usize, count: usize) {
        let template = self.frame(like);
        let mut frames = vec![template; AT_ONCE];
        let mut headers = MultiHeaders::<()>::preallocate(AT_ONCE, None);
        let mut next = 0;
        while next < count {
            let now = AT_ONCE.min(count - next);
            for frame in &mut frames[..now] {
                come_from(frame, source(next % sources));
                next += 1;
            }
            let slices: Vec<[IoSlice<'_>; 1]> =
                frames[..now].iter().map(|frame| [IoSlice::new(frame)]).collect();
            let addresses = vec![None; now];
            let sent =
                sendmmsg(self.link.as_raw_fd(), &mut headers, &slices, addresses, [], MsgFlags::empty());
            assert_eq!(sent.expect("frames go out").count(), now, "all at once");
        }
    }

    fn frame(&self, packet: &Packet) -> Vec<u8> {
        let mut frame = [self.to_gateway, self.from_far].concat();
        frame.extend(if packet.from.is_ipv4() { [0x08, 0x00] } else { [0x86, 0xdd] });
        frame.extend(&packet.bytes);
        frame
    }
}

/// A datagram of IPv4 without a checksum, which may come from anywhere.
pub fn datagram(to: Ipv4Addr, ports: (u16, u16)) -> Packet {
    let from = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), ports.0);
    let mut packet = crate::packet::udp(from, SocketAddr::new(IpAddr::V4(to), ports.1));
    packet.bytes[26..28].fill(0);
    packet
}

fn come_from(frame: &mut [u8], source: Ipv4Addr) {
    frame[SOURCE..SOURCE + 4].copy_from_slice(&source.octets());
    frame[SUM..SUM + 2].fill(0);
    let words = frame[14..34].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).expect("folded twice");
    frame[SUM..SUM + 2].copy_from_slice(&sum.to_be_bytes());
}

fn link_address(link: &str) -> LinkAddr {
    let all = getifaddrs().expect("the addresses of the namespace");
    let of_link = all.filter(|entry| entry.interface_name == link).filter_map(|entry| entry.address);
    let mut links = of_link.filter_map(|address| address.as_link_addr().copied());
    links.next().unwrap_or_else(|| panic!("no link {link} here"))
}
