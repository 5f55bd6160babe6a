//! Questions that wait for a free place: a queue for each list of servers, so that busy servers hold up nobody who asks others.

use super::Id;
use std::collections::VecDeque;
use std::net::SocketAddr;

#[derive(Default)]
pub(super) struct Waiting {
    /// The queue whose turn it is comes first. None is empty.
    queues: VecDeque<Queue>,
}

pub(super) struct Queue {
    servers: Vec<SocketAddr>,
    fresh: VecDeque<Id>,
    /// Questions that a server has left without an answer.
    slow: VecDeque<Id>,
}

impl Waiting {
    pub(super) fn last(&mut self, servers: &[SocketAddr], slow: bool, id: Id) {
        self.queue(servers).line(slow).push_back(id);
    }

    pub(super) fn first(&mut self, servers: &[SocketAddr], slow: bool, id: Id) {
        self.queue(servers).line(slow).push_front(id);
    }

    /// The queue whose turn it is.
    pub(super) fn turn(&mut self) -> Option<Queue> {
        self.queues.pop_front()
    }

    /// It has had its turn.
    pub(super) fn behind(&mut self, queue: Queue) {
        if !queue.is_empty() {
            self.queues.push_back(queue);
        }
    }

    /// Its servers were busy: the next turn is its own.
    pub(super) fn before(&mut self, queue: Queue) {
        if !queue.is_empty() {
            self.queues.push_front(queue);
        }
    }

    fn queue(&mut self, servers: &[SocketAddr]) -> &mut Queue {
        let known = self.queues.iter().position(|queue| queue.servers == servers);
        let place = known.unwrap_or_else(|| {
            let (fresh, slow) = (VecDeque::new(), VecDeque::new());
            self.queues.push_back(Queue { servers: servers.to_vec(), fresh, slow });
            self.queues.len() - 1
        });
        &mut self.queues[place]
    }
}

impl Queue {
    pub(super) fn line(&mut self, slow: bool) -> &mut VecDeque<Id> {
        if slow { &mut self.slow } else { &mut self.fresh }
    }

    fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.slow.is_empty()
    }
}
