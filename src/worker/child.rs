//! The worker itself: raises its walls, then one loop around one `poll`.
//!
//! DNS comes first in each turn, and of the log only so much is read that the next turn is near. It ends with its agent.

use super::handle::{Received, receive, send_all};
use super::message::{FromWorker, MOST_LOST, MOST_OCTETS, MOST_RECORDS, ToWorker, Unfit, decode, encode};
use super::pace::Pace;
use super::walls::{self, Missing, missing};
use crate::observe::{Reader, Record};
use crate::resolver::{Client, Counters, Ended, Failure, Limits, Lookup};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::socket::{NetlinkAddr, SockType, getsockname, getsockopt, sockopt};
use nix::sys::stat::{SFlag, fstat, major, minor};
use std::collections::VecDeque;
use std::io::{self, Stdin, Stdout, stdin, stdout};
use std::os::fd::{AsFd, AsRawFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// While so many answers wait for room in the socket, no more questions are read.
const MOST_WAITING: usize = 1024;
/// Octets of waiting answers; an answer that comes then is given up.
const MOST_OCTETS_WAITING: usize = 8 * 1024 * 1024;
/// Waiting messages beyond which losses are counted on and not sent.
const FEW: usize = 16;
/// Questions that are read in one turn.
const ASKS: usize = 32;
/// Datagrams of the log that are read in one turn.
const DATAGRAMS: usize = 4;
/// Counters, and losses without a record, are told no more often.
const REPORT: Duration = Duration::from_secs(1);

/// Runs in place of the agent, in a process that [`Worker::start`](super::Worker::start) has started.
pub fn run() -> ExitCode {
    let agent = stdin();
    if getsockopt(&agent, sockopt::SockType) != Ok(SockType::SeqPacket) {
        eprintln!("portgrave: the worker is started by `portgrave run` alone");
        return ExitCode::FAILURE;
    }
    let served = Loop::begin(&agent)
        .map_err(|wall| refuse(&agent, &wall))
        .and_then(|mut running| running.serve().map_err(|_| ()));
    if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Says why there will be no worker.
fn refuse(agent: &Stdin, wall: &Missing) {
    let reason: String = wall.to_string().chars().filter(|c| !c.is_control()).take(120).collect();
    let packet = encode(&FromWorker::Refused { reason });
    let _ = send_all(agent.as_fd(), &mut packet.into_iter().collect());
}

struct Loop<'a> {
    agent: &'a Stdin,
    log: Option<Log>,
    client: Client,
    outbox: VecDeque<Vec<u8>>,
    inbox: Vec<u8>,
    lost: u64,
    told: Counters,
    last_report: Instant,
}

struct Log {
    socket: Stdout,
    reader: Reader,
    pace: Pace,
}

/// Whether the agent is still there.
#[derive(PartialEq)]
enum Agent {
    There,
    Gone,
}

impl<'a> Loop<'a> {
    fn begin(agent: &'a Stdin) -> Result<Self, Missing> {
        walls::inherit_nothing()?;
        let log = log()?;
        let client = Client::new(Limits::default()).map_err(|error| missing("randomness", error))?;
        let _ = prctl::set_name(c"portgraveworker");
        let raised = walls::raise()?;
        let mut begun = Self {
            agent,
            log,
            client,
            outbox: VecDeque::new(),
            inbox: vec![0; MOST_OCTETS],
            lost: 0,
            told: Counters::default(),
            last_report: Instant::now(),
        };
        begun.say(&FromWorker::Ready(raised)).map_err(|unfit| missing("message", unfit))?;
        Ok(begun)
    }

    fn serve(&mut self) -> io::Result<()> {
        loop {
            let ready = self.wait()?;
            let ended = self.client.advance(&ready.questions)?;
            ended.into_iter().for_each(|ended| self.end(ended));
            if ready.agent && self.hear()? == Agent::Gone {
                return Ok(());
            }
            if ready.log {
                self.read_log()?;
            }
            self.report();
            if send_all(self.agent.as_fd(), &mut self.outbox).is_err() {
                return Ok(());
            }
        }
    }

    fn wait(&self) -> io::Result<Ready> {
        let now = Instant::now();
        let rest = self.log.as_ref().and_then(|log| log.pace.rests_until(now));
        let mut sockets = vec![PollFd::new(self.agent.as_fd(), self.agent_flags())];
        if let Some(log) = self.log.as_ref().filter(|_| rest.is_none()) {
            sockets.push(PollFd::new(log.socket.as_fd(), PollFlags::POLLIN));
        }
        let first = sockets.len();
        sockets.extend(self.client.interests().into_iter().map(|(socket, flags)| PollFd::new(socket, flags)));
        let report = self.has_news().then(|| self.last_report + REPORT);
        let until = [self.client.next_deadline(), rest, report].into_iter().flatten().min();
        match poll(&mut sockets, until.map_or(PollTimeout::NONE, |until| timeout(until, now))) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let events: Vec<bool> = sockets.iter().map(|socket| socket.any().unwrap_or(true)).collect();
        Ok(Ready {
            agent: events[0],
            log: events[1..first].contains(&true),
            questions: events[first..].to_vec(),
        })
    }

    /// Also without any flag the kernel says that the agent is gone.
    fn agent_flags(&self) -> PollFlags {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::POLLIN, self.has_room());
        flags.set(PollFlags::POLLOUT, !self.outbox.is_empty());
        flags
    }

    fn has_room(&self) -> bool {
        self.outbox.len() < MOST_WAITING
    }

    /// Takes on questions.
    fn hear(&mut self) -> io::Result<Agent> {
        for _ in 0..ASKS {
            if !self.has_room() {
                break;
            }
            match receive(self.agent.as_fd(), &mut self.inbox) {
                Ok(Received::Nothing) => break,
                Ok(Received::End) => return Ok(Agent::Gone),
                Ok(Received::Packet(packet)) => {
                    let ToWorker::Ask { name, family, servers } =
                        packet.and_then(decode).map_err(io::Error::other)?;
                    self.client.ask(name, family, &servers);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Agent::There)
    }

    /// Answers are kept while the agent is slow, but not without end.
    fn end(&mut self, ended: Ended) {
        let Ended { name, family, mut lookup } = ended;
        if self.outbox.iter().map(Vec::len).sum::<usize>() > MOST_OCTETS_WAITING {
            lookup.outcome = Err(Failure::TooMany);
        }
        let answer = FromWorker::Ended { name: name.clone(), family, lookup };
        if self.say(&answer).is_err() {
            let lookup = Lookup { server: None, outcome: Err(Failure::Malformed) };
            let _ = self.say(&FromWorker::Ended { name, family, lookup });
        }
    }

    /// Reads some of what the kernel has logged. What is too much, or has no room, is counted.
    fn read_log(&mut self) -> io::Result<()> {
        let Some(log) = &mut self.log else { return Ok(()) };
        let mut records: Vec<Record> = Vec::new();
        for _ in 0..DATAGRAMS {
            let now = Instant::now();
            if log.pace.rests_until(now).is_some() {
                break;
            }
            let Some(mut decoded) = log.reader.read(log.socket.as_fd())? else { break };
            let came = decoded.records.len();
            decoded.records.truncate(log.pace.admit(came, now));
            self.lost += decoded.lost + (came - decoded.records.len()) as u64;
            records.append(&mut decoded.records);
        }
        while !records.is_empty() {
            let rest = records.split_off(records.len().min(MOST_RECORDS));
            self.tell(std::mem::replace(&mut records, rest));
        }
        Ok(())
    }

    fn tell(&mut self, records: Vec<Record>) {
        if self.outbox.len() >= FEW {
            self.lost += records.len() as u64;
            return;
        }
        let lost = self.lost.min(MOST_LOST);
        self.lost -= lost;
        let _ = self.say(&FromWorker::Denied { records, lost });
    }

    fn has_news(&self) -> bool {
        self.lost > 0 || self.client.counters() != self.told
    }

    /// Tells what has changed and goes with no other message.
    fn report(&mut self) {
        if !self.has_news() || self.last_report.elapsed() < REPORT {
            return;
        }
        self.last_report = Instant::now();
        if self.lost > 0 {
            self.tell(Vec::new());
        }
        if self.client.counters() != self.told && self.outbox.len() < FEW {
            self.told = self.client.counters();
            let _ = self.say(&FromWorker::Counters(self.told));
        }
    }

    fn say(&mut self, message: &FromWorker) -> Result<(), Unfit> {
        self.outbox.push_back(encode(message)?);
        Ok(())
    }
}

/// What a poll has seen.
struct Ready {
    agent: bool,
    log: bool,
    questions: Vec<bool>,
}

/// Rounded up: a wait that ends a moment early would spin.
fn timeout(until: Instant, now: Instant) -> PollTimeout {
    let wait = until.saturating_duration_since(now);
    let wait = if wait.is_zero() { wait } else { wait + Duration::from_millis(1) };
    PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)
}

/// The log's socket is the standard output, or there is none, and it is /dev/null.
fn log() -> Result<Option<Log>, Missing> {
    let socket = stdout();
    if getsockname::<NetlinkAddr>(socket.as_raw_fd()).is_ok() {
        let pace = Pace::new(Instant::now());
        return Ok(Some(Log { socket, reader: Reader::default(), pace }));
    }
    let output = fstat(&socket).map_err(|error| missing("log", error))?;
    let is_null = SFlag::from_bits_truncate(output.st_mode) & SFlag::S_IFMT == SFlag::S_IFCHR
        && (major(output.st_rdev), minor(output.st_rdev)) == NULL;
    if is_null {
        Ok(None)
    } else {
        Err(missing("log", "the standard output is neither the log's socket nor /dev/null"))
    }
}

/// Linux's number of /dev/null.
const NULL: (u64, u64) = (1, 3);
