//! Where events come from: one `poll` over signals, the worker, the control socket, watched files and interfaces.

use super::StartError;
use super::carry::Hands;
use crate::control::{Handed, Incoming, refused};
use crate::daemon::event::{Event, Machine, Signal};
use crate::host::clock;
use crate::host::links::Links;
use crate::host::watch::{Watch, Watched};
use crate::worker::FromWorker;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Messages of the worker that are taken in one turn: the rest of the loop has its turn between.
const MESSAGES: usize = 256;

/// The clock of the boot runs through a sleep of the machine, the monotonic one does not.
const SLEPT: Duration = Duration::from_secs(1);

pub(super) struct Sources {
    hangup: UnixStream,
    stop: UnixStream,
    watch: Watch,
    links: Links,
    /// How much the machine has slept.
    asleep: Duration,
}

impl Sources {
    pub(super) fn open(root: &Path) -> Result<Self, StartError> {
        let failed = |what| move |error| StartError::Machine(what, error);
        let hangup = signals(&[SIGHUP]).map_err(failed("signals"))?;
        let stop = signals(&[SIGTERM, SIGINT]).map_err(failed("signals"))?;
        let watch = Watch::new(root).map_err(failed("watch resolv.conf and passwd"))?;
        let links = Links::open().map_err(failed("listen to changes of interfaces"))?;
        Ok(Self { hangup, stop, watch, links, asleep: asleep() })
    }

    /// Waits until something happens or the moment has come.
    pub(super) fn wait(&mut self, hands: &mut Hands, until: Duration) -> Vec<Event> {
        let now = clock::since_boot();
        let until = hands.server.next_deadline().map_or(until, |deadline| deadline.min(until));
        let ready = self.poll(hands, until.saturating_sub(now));
        let mut events = Vec::new();
        let slept = asleep();
        let by = slept.saturating_sub(self.asleep);
        if by > SLEPT {
            self.asleep = slept;
            events.push(Event::Suspended(by));
        }
        let [hangup, stop, watch, links, worker] =
            [0, 1, 2, 3, 4].map(|place| ready.get(place).copied().unwrap_or(false));
        if stop && drained(&mut self.stop) {
            events.push(Event::Signal(Signal::Stop));
        }
        if hangup && drained(&mut self.hangup) {
            events.push(Event::Signal(Signal::Reload));
        }
        if worker {
            events.extend(heard(hands));
        }
        if watch {
            events.extend(self.watched());
        }
        if links {
            events.extend(self.linked());
        }
        let of_clients = ready.get(5..).unwrap_or_default();
        for incoming in hands.server.advance(of_clients, clock::since_boot()) {
            events.extend(asked(incoming, hands));
        }
        events
    }

    /// Which of the five of our own, and then of the control socket's, have something.
    fn poll(&self, hands: &Hands, wait: Duration) -> Vec<bool> {
        let read = PollFlags::POLLIN;
        let mut places = vec![
            PollFd::new(self.hangup.as_fd(), read),
            PollFd::new(self.stop.as_fd(), read),
            PollFd::new(self.watch.fd(), read),
            PollFd::new(self.links.fd(), read),
        ];
        places.push(match &hands.worker {
            Some(worker) if worker.wants_write() => PollFd::new(worker.fd(), read | PollFlags::POLLOUT),
            Some(worker) => PollFd::new(worker.fd(), read),
            // Nothing to wait for in its place.
            None => PollFd::new(self.hangup.as_fd(), PollFlags::empty()),
        });
        places.extend(hands.server.interests().into_iter().map(|(fd, flags)| PollFd::new(fd, flags)));
        // Rounded up: a wait that ends a moment early would spin.
        let wait = wait + Duration::from_micros(999);
        match poll(&mut places, PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)) {
            Ok(_) => places.iter().map(|place| place.any().unwrap_or(false)).collect(),
            Err(Errno::EINTR) => vec![false; places.len()],
            Err(error) => {
                tracing::error!("poll: {error}");
                std::thread::sleep(Duration::from_secs(1));
                vec![false; places.len()]
            }
        }
    }

    /// A socket that fails is opened anew, and what it had to say is asked.
    fn linked(&mut self) -> Option<Event> {
        match self.links.changed() {
            Ok(false) => return None,
            Ok(true) => {}
            Err(error) => {
                tracing::error!("changes of interfaces cannot be listened to: {error}");
                if let Ok(links) = Links::open() {
                    self.links = links;
                }
            }
        }
        Some(Event::Machine(Machine::Interfaces))
    }

    fn watched(&mut self) -> Vec<Event> {
        match self.watch.changed() {
            Ok(changed) => changed
                .into_iter()
                .map(|file| {
                    Event::Machine(match file {
                        Watched::ResolvConf => Machine::Servers,
                        Watched::Passwd => Machine::Users,
                    })
                })
                .collect(),
            Err(error) => {
                tracing::error!("resolv.conf and passwd cannot be watched: {error}");
                vec![Event::Machine(Machine::Servers)]
            }
        }
    }
}

/// A pipe that has an octet after one of the signals.
fn signals(numbers: &[i32]) -> std::io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    read.set_nonblocking(true)?;
    write.set_nonblocking(true)?;
    for number in numbers {
        signal_hook::low_level::pipe::register(*number, write.try_clone()?)?;
    }
    Ok(read)
}

/// Several signals before this turn are one.
fn drained(pipe: &mut UnixStream) -> bool {
    let mut octets = [0; 64];
    let mut any = false;
    loop {
        match pipe.read(&mut octets) {
            Ok(0) => return any,
            Ok(_) => any = true,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return any,
        }
    }
}

fn heard(hands: &mut Hands) -> Vec<Event> {
    let mut events = Vec::new();
    for _ in 0..MESSAGES {
        let Some(worker) = &mut hands.worker else { break };
        let received = worker.flush().and_then(|()| worker.receive());
        match received {
            Ok(Some(message)) => {
                if is_another_user(&message, hands.engine.asks_as()) {
                    events.extend(hands.worker_gone("it runs as another user than it should".into()));
                    break;
                }
                events.push(Event::Worker(message));
            }
            Ok(None) => break,
            Err(problem) => {
                events.extend(hands.worker_gone(problem.to_string()));
                break;
            }
        }
    }
    events
}

/// The rules let out the queries of one user alone.
fn is_another_user(message: &FromWorker, asks_as: u32) -> bool {
    matches!(message, FromWorker::Ready(raised) if raised.uid != asks_as)
}

fn asked(incoming: Incoming, hands: &mut Hands) -> Vec<Event> {
    let Incoming { client, request, files, .. } = incoming;
    let handed = if request.hands_over_files() { Handed::read(files).map(Some) } else { Ok(None) };
    match handed {
        Ok(handed) => vec![Event::Asked { client, request, handed }],
        Err(error) => {
            let help = "send the policy as `portgrave apply` does: sealed memfds";
            hands.server.reply(client, &refused(&error.to_string(), help), clock::since_boot());
            Vec::new()
        }
    }
}

fn asleep() -> Duration {
    clock::since_boot().saturating_sub(clock::monotonic())
}
