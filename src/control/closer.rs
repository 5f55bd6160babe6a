//! Closes what clients have sent, apart from the daemon's loop.
//!
//! Whoever may connect may send descriptors of any kind, and closing the last of some waits for others: a TCP socket with SO_LINGER for
//! its peer, a file of a FUSE file system for that file system's process. Even those that nobody has received are
//! closed with the connection that they wait in.

use rustix::net::{RecvFlags, Shutdown, recv, shutdown};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};

#[derive(Default)]
pub(super) struct Closer {
    /// To a thread that is there once there was something for it to do.
    queue: Option<Sender<Vec<OwnedFd>>>,
    waiting: Arc<AtomicUsize>,
}

/// So many may wait to be closed before no more connections are taken.
const MOST_WAITING: usize = 64;

impl Closer {
    /// Closes a connection, and what it has sent.
    pub(super) fn close(&mut self, socket: OwnedFd, mut files: Vec<OwnedFd>) {
        // From here on nothing more is put into its queue.
        let _ = shutdown(&socket, Shutdown::Both);
        let unread = recv(&socket, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        if files.is_empty() && !unread.is_ok_and(|(octets, _)| octets > 0) {
            return;
        }
        files.push(socket);
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let queue = self.queue.take().or_else(|| start(self.waiting.clone()));
        // Without a thread they are closed here.
        self.queue = queue.filter(|queue| queue.send(files).is_ok());
    }

    pub(super) fn is_overloaded(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) >= MOST_WAITING
    }
}

fn start(waiting: Arc<AtomicUsize>) -> Option<Sender<Vec<OwnedFd>>> {
    let (queue, files) = channel();
    let closing = move || {
        for files in files {
            drop(files);
            waiting.fetch_sub(1, Ordering::SeqCst);
        }
    };
    let started = std::thread::Builder::new().name("closer".into()).spawn(closing);
    started.is_ok().then_some(queue)
}
