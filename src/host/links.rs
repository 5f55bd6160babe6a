//! Changes of this machine's interfaces and addresses, as the kernel tells of them by rtnetlink(7).

use super::netlink::{
    NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, dump_request, malformed, messages, refusal, u32_at,
};
use crate::frames::Attrs;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, send, socket,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Hears of links and addresses in the network namespace in which it was opened.
#[derive(Debug)]
pub struct Links {
    socket: OwnedFd,
    sequence: u32,
    known: Known,
}

// Groups of messages, and kinds, as in the kernel's rtnetlink.h.
const RTMGRP_LINK: u32 = 0x1;
const RTMGRP_IPV4_IFADDR: u32 = 0x10;
const RTMGRP_IPV6_IFADDR: u32 = 0x100;
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const LINK_HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;
const IFLA_IFNAME: u16 = 3;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFF_UP: u32 = 0x1;
const IFF_BROADCAST: u32 = 0x2;

/// How long the kernel may take for a part of a list that it is asked for.
const PATIENCE: u16 = 5000; // ms
/// How often a list that changes while it is read is asked for again. After that what is known of it has to do: the next
/// message about the rest counts as a change.
const TRIES: u32 = 4;
const BUFFER: usize = 64 * 1024;

impl Links {
    /// # Errors
    /// What the kernel says to the socket, or to reading the interfaces that there are.
    pub fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Netlink, SockType::Datagram, flags, SockProtocol::NetlinkRoute)?;
        let groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        let mut links = Self { socket, sequence: 0, known: Known::default() };
        links.learn()?;
        Ok(links)
    }

    /// Ready to read when the kernel has told something.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether an interface or an address has come, gone or become another since the last call, or may have: the kernel
    /// tells when it had to drop messages. Counters, carriers and renewed lifetimes do not count. Does not wait.
    pub fn changed(&mut self) -> io::Result<bool> {
        let mut buffer = vec![0; BUFFER];
        let mut changed = false;
        loop {
            match self.receive(&mut buffer) {
                Ok(length) => changed |= self.known.take_all(&buffer[..length]),
                Err(Errno::EAGAIN) => return Ok(changed),
                Err(Errno::EINTR) => {}
                Err(Errno::ENOBUFS) => {
                    changed = true;
                    self.learn()?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The length of the next datagram; none, if it is not the kernel's, which alone has port 0.
    fn receive(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let (length, sender) = recvfrom::<NetlinkAddr>(self.socket.as_raw_fd(), buffer)?;
        Ok(if sender.is_some_and(|sender| sender.pid() != 0) { 0 } else { length })
    }

    /// Reads what there is now, so that what does not change it is known as such.
    fn learn(&mut self) -> io::Result<()> {
        for _ in 0..TRIES {
            self.known = Known::default();
            let links = self.dump(RTM_GETLINK, LINK_HEADER)?;
            if links && self.dump(RTM_GETADDR, ADDRESS_HEADER)? {
                break;
            }
        }
        Ok(())
    }

    /// False if the list changed meanwhile.
    fn dump(&mut self, kind: u16, header: usize) -> io::Result<bool> {
        self.sequence += 1;
        let request = dump_request(kind, self.sequence, &vec![0; header]);
        send(self.socket.as_raw_fd(), &request, MsgFlags::empty())?;
        let mut buffer = vec![0; BUFFER];
        let mut whole = true;
        loop {
            self.wait()?;
            let length = match self.receive(&mut buffer) {
                Err(Errno::EINTR | Errno::EAGAIN) => continue,
                Err(Errno::ENOBUFS) => {
                    whole = false;
                    continue;
                }
                received => received?,
            };
            for (header, body) in messages(&buffer[..length]).ok_or_else(malformed)? {
                let answer = header.seq == self.sequence;
                whole &= !(answer && header.flags & NLM_F_DUMP_INTR != 0);
                match header.kind {
                    NLMSG_DONE if answer => return Ok(whole),
                    NLMSG_ERROR if answer => return Err(refusal(body)),
                    kind => self.known.take(kind, body).map(drop).ok_or_else(malformed)?,
                }
            }
        }
    }

    fn wait(&self) -> io::Result<()> {
        match poll(&mut [PollFd::new(self.fd(), PollFlags::POLLIN)], PATIENCE) {
            Ok(0) => Err(ErrorKind::TimedOut.into()),
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// What is known of the interfaces, as far as the agent's facts depend on it.
#[derive(Debug, Default)]
struct Known {
    /// Name and flags by index.
    links: BTreeMap<u32, (Vec<u8>, u32)>,
    addresses: BTreeSet<Address>,
}

/// The index of the interface, the length of the prefix, and the address, the local one and that of broadcasts.
type Address = (u32, u8, [Vec<u8>; 3]);

impl Known {
    /// Whether a datagram changes anything. What cannot be read may have.
    fn take_all(&mut self, datagram: &[u8]) -> bool {
        let Some(messages) = messages(datagram) else { return true };
        let mut changed = false;
        for (header, body) in messages {
            changed |= self.take(header.kind, body).unwrap_or(true);
        }
        changed
    }

    fn take(&mut self, kind: u16, body: &[u8]) -> Option<bool> {
        match kind {
            RTM_NEWLINK | RTM_DELLINK => self.link(kind == RTM_NEWLINK, body),
            RTM_NEWADDR | RTM_DELADDR => self.address(kind == RTM_NEWADDR, body),
            _ => Some(false),
        }
    }

    /// From an `ifinfomsg`: family, type, index, flags, and what of them changed.
    fn link(&mut self, new: bool, body: &[u8]) -> Option<bool> {
        // A bridge tells of its ports under its own family.
        if *body.first()? != AddressFamily::Unspec as u8 {
            return Some(false);
        }
        let (index, flags) = (u32_at(body, 4)?, u32_at(body, 8)? & (IFF_UP | IFF_BROADCAST));
        let [name] = attributes(body.get(LINK_HEADER..)?, [IFLA_IFNAME])?;
        Some(if new {
            let link = (name, flags);
            self.links.insert(index, link.clone()) != Some(link)
        } else {
            self.links.remove(&index);
            true
        })
    }

    /// From an `ifaddrmsg`: family, prefix length, flags, scope, index.
    fn address(&mut self, new: bool, body: &[u8]) -> Option<bool> {
        let (length, index) = (*body.get(1)?, u32_at(body, 4)?);
        let kinds = [IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST];
        let address = (index, length, attributes(body.get(ADDRESS_HEADER..)?, kinds)?);
        Some(if new {
            self.addresses.insert(address)
        } else {
            self.addresses.remove(&address);
            true
        })
    }
}

/// The contents of attributes of some kinds, empty where there is none; `None` if a length does not fit.
fn attributes<const N: usize>(bytes: &[u8], kinds: [u16; N]) -> Option<[Vec<u8>; N]> {
    let mut found = [const { Vec::new() }; N];
    for attribute in Attrs::new(bytes) {
        let (kind, content) = attribute.ok()?;
        if let Some(at) = kinds.iter().position(|wanted| *wanted == kind) {
            content.clone_into(&mut found[at]);
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests;
