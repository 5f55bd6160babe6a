//! A netlink socket to nf_tables: requests with their answers, and batches with their refusals.

use super::attr::{Malformed, Writer};
use super::batch::Batch;
use super::message::{self, Answer, Header, Messages};
use super::wire::{NLMSG_DONE, NLMSG_ERROR, flag};
use super::{KernelError, Refusal, sys};
use mnl::{Bus, Socket};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::sys::socket::{MsgFlags, NetlinkAddr, recvmsg, sendmsg, setsockopt, sockopt};
use nix::sys::time::TimeVal;
use std::io::{IoSlice, IoSliceMut};
use std::ops::ControlFlow;
use std::os::fd::AsRawFd;

/// The kernel fills at most 32 KiB of a dump at a time.
const DATAGRAM_MAX: usize = 64 * 1024;
/// The kernel answers at once; a wait this long means that it never will.
const ANSWER_SECONDS: i64 = 10;
/// An answer takes its place in the socket's buffer with the kernel's own overhead.
const ANSWER_SIZE: usize = 2048;
const RECEIVE_MIN: usize = 256 * 1024;
const RECEIVE_MAX: usize = 64 * 1024 * 1024;

/// One socket, for batches and requests one after the other.
pub struct Connection {
    socket: Socket,
    port: u32,
    seq: u32,
    buffer: Vec<u8>,
}

/// Takes one message of an answer, and breaks when it has seen enough.
pub type Each<'a> = &'a mut dyn FnMut(Header, &[u8]) -> Result<ControlFlow<()>, Malformed>;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// 0 for success.
    pub errno: i32,
    /// Somebody committed while the kernel dumped (`NLM_F_DUMP_INTR`).
    pub interrupted: bool,
    /// The caller has seen enough: the rest of the answer was left unread.
    pub stopped: bool,
}

enum Received {
    Datagram(usize),
    Nothing,
    /// The socket's buffer was full: answers are missing.
    Lost,
}

impl Connection {
    pub fn open() -> Result<Self, KernelError> {
        let io = |what| move |error| KernelError::Io(what, error);
        let socket = Socket::open(Bus::Netfilter).map_err(io("open a netlink socket"))?;
        socket.bind(0, 0).map_err(io("bind a netlink socket"))?;
        let fd = sys::borrow(&socket);
        let set_up = || -> Result<(), std::io::Error> {
            fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
            setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(ANSWER_SECONDS, 0))?;
            // Errors come with the kernel's words, and without the message that they answer.
            sys::set_netlink_option(fd, libc::NETLINK_EXT_ACK)?;
            sys::set_netlink_option(fd, libc::NETLINK_CAP_ACK)
        };
        set_up().map_err(io("set up a netlink socket"))?;
        let port = socket.portid();
        Ok(Self { socket, port, seq: 0, buffer: vec![0; DATAGRAM_MAX] })
    }

    /// Asks and hands each message of the answer to `each`.
    pub fn request(
        &mut self,
        msg: u16,
        flags: u16,
        content: impl FnOnce(&mut Writer<'_>),
        each: Each<'_>,
    ) -> Result<Outcome, KernelError> {
        self.seq = self.seq.wrapping_add(1);
        // A dump ends with NLMSG_DONE, everything else with the acknowledgement.
        let flags = if flags & flag::DUMP == flag::DUMP { flags } else { flags | flag::ACK };
        let mut bytes = Vec::new();
        message::write(&mut bytes, message::kind(msg), flags, self.seq, content);
        self.send(&bytes).map_err(|errno| KernelError::Io("ask nf_tables", errno.into()))?;
        let mut outcome = Outcome { errno: 0, interrupted: false, stopped: false };
        loop {
            let len = match self.receive(MsgFlags::empty())? {
                Received::Datagram(len) => len,
                Received::Nothing => return Err(KernelError::Malformed("no answer")),
                Received::Lost => return Err(KernelError::Unknown),
            };
            if self.take(len, &mut outcome, each)?.is_break() {
                return Ok(outcome);
            }
        }
    }

    /// Goes through the messages of a datagram; breaks at the last of the answer.
    fn take(
        &self,
        len: usize,
        outcome: &mut Outcome,
        each: Each<'_>,
    ) -> Result<ControlFlow<()>, KernelError> {
        for message in Messages::new(&self.buffer[..len]) {
            let (header, body) = message?;
            if header.seq != self.seq || header.port != self.port {
                continue;
            }
            outcome.interrupted |= header.flags & flag::DUMP_INTR != 0;
            if matches!(header.kind, NLMSG_DONE | NLMSG_ERROR) {
                outcome.errno = Answer::parse(header, body)?.errno;
                return match outcome.errno {
                    libc::EPERM => Err(KernelError::Permission),
                    _ => Ok(ControlFlow::Break(())),
                };
            }
            if each(header, body)?.is_break() {
                outcome.stopped = true;
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Sends a batch as one datagram. The kernel works on it within the call: what it refuses is there to be read
    /// when the call returns, and if nothing is, all was taken.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), KernelError> {
        self.make_room(batch);
        match self.send(batch.as_bytes()) {
            Ok(()) => {}
            Err(Errno::EMSGSIZE) => return Err(KernelError::TooLarge { bytes: batch.as_bytes().len() }),
            Err(errno) => return Err(KernelError::Io("send a batch to nf_tables", errno.into())),
        }
        let mut refusals = Vec::new();
        let mut lost = false;
        loop {
            match self.receive(MsgFlags::MSG_DONTWAIT)? {
                Received::Datagram(len) => self.take_refusals(len, batch, &mut refusals)?,
                Received::Lost => lost = true,
                Received::Nothing => break,
            }
        }
        judge(refusals, lost)
    }

    fn take_refusals(
        &self,
        len: usize,
        batch: &Batch,
        refusals: &mut Vec<Refusal>,
    ) -> Result<(), KernelError> {
        for message in Messages::new(&self.buffer[..len]) {
            let (header, body) = message?;
            if header.kind != NLMSG_ERROR || header.port != self.port || !batch.holds(header.seq) {
                continue;
            }
            let Answer { errno, detail } = Answer::parse(header, body)?;
            if errno != 0 {
                refusals.push(Refusal { op: batch.op_of(header.seq), errno, detail });
            }
        }
        Ok(())
    }

    /// Buffers for the whole batch and for an answer to each message, as far as this process may have them: the
    /// kernel says if it is not enough.
    fn make_room(&self, batch: &Batch) {
        let fd = sys::borrow(&self.socket);
        let send = batch.as_bytes().len().min(i32::MAX as usize / 2);
        if setsockopt(&fd, sockopt::SndBufForce, &send).is_err() {
            let _ = setsockopt(&fd, sockopt::SndBuf, &send);
        }
        let receive = (batch.messages() * ANSWER_SIZE).clamp(RECEIVE_MIN, RECEIVE_MAX);
        if setsockopt(&fd, sockopt::RcvBufForce, &receive).is_err() {
            let _ = setsockopt(&fd, sockopt::RcvBuf, &receive);
        }
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Errno> {
        let kernel = NetlinkAddr::new(0, 0);
        loop {
            match sendmsg(
                self.socket.as_raw_fd(),
                &[IoSlice::new(bytes)],
                &[],
                MsgFlags::empty(),
                Some(&kernel),
            ) {
                Ok(sent) if sent == bytes.len() => return Ok(()),
                Ok(_) => return Err(Errno::EMSGSIZE),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// The next datagram that the kernel sent, whole.
    fn receive(&mut self, flags: MsgFlags) -> Result<Received, KernelError> {
        loop {
            let mut buffers = [IoSliceMut::new(&mut self.buffer)];
            let received = recvmsg::<NetlinkAddr>(self.socket.as_raw_fd(), &mut buffers, None, flags);
            match received {
                Ok(datagram) if datagram.flags.contains(MsgFlags::MSG_TRUNC) => {
                    return Err(KernelError::Malformed("a datagram of more than 64 KiB"));
                }
                Ok(datagram) if datagram.address.is_some_and(|from| from.pid() == 0) => {
                    return Ok(Received::Datagram(datagram.bytes));
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(Received::Nothing),
                Err(Errno::ENOBUFS) => return Ok(Received::Lost),
                Err(errno) => return Err(KernelError::Io("receive from nf_tables", errno.into())),
            }
        }
    }
}

/// What the answers to a batch mean. If the kernel refused one message, it applied none. Of an operation of several
/// messages the first refusal tells the cause.
fn judge(mut refusals: Vec<Refusal>, lost: bool) -> Result<(), KernelError> {
    let whole = |errno| refusals.iter().any(|refusal| refusal.op.is_none() && refusal.errno == errno);
    if refusals.is_empty() {
        return if lost { Err(KernelError::Unknown) } else { Ok(()) };
    }
    if whole(ERESTART) {
        return Err(KernelError::Stale);
    }
    if whole(libc::EPERM) {
        return Err(KernelError::Permission);
    }
    refusals.dedup_by(|next, first| next.op.is_some() && next.op == first.op);
    Err(KernelError::Refused(refusals))
}

/// Never seen by programs but here, and so not in libc.
const ERESTART: i32 = 85;

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(op: Option<usize>, errno: i32) -> Refusal {
        Refusal { op, errno, detail: None }
    }

    #[test]
    fn no_answer_is_success_unless_one_was_lost() {
        assert!(judge(vec![], false).is_ok());
        assert!(matches!(judge(vec![], true), Err(KernelError::Unknown)));
    }

    #[test]
    fn a_refusal_means_that_nothing_was_applied_even_if_others_were_lost() {
        let all = vec![refusal(Some(1), 2), refusal(Some(1), 16), refusal(Some(2), 2), refusal(None, 12)];
        match judge(all, true) {
            Err(KernelError::Refused(told)) => {
                assert_eq!(told, [refusal(Some(1), 2), refusal(Some(2), 2), refusal(None, 12)]);
            }
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn what_is_refused_of_the_batch_as_a_whole_is_staleness_or_permission() {
        assert!(matches!(judge(vec![refusal(None, ERESTART)], false), Err(KernelError::Stale)));
        assert!(matches!(judge(vec![refusal(None, libc::EPERM)], false), Err(KernelError::Permission)));
        // A table that another program owns refuses the operations on it, one by one.
        assert!(matches!(judge(vec![refusal(Some(0), libc::EPERM)], false), Err(KernelError::Refused(_))));
    }
}
