//! A batch: the messages of one transaction in one buffer, each traceable to its operation.

use super::GenId;
use super::attr::Writer;
use super::message;
use super::wire::{BATCH_BEGIN, BATCH_END, NFNL_BATCH_GENID};

/// Messages of one transaction. Sequence numbers count up from the begin message's; `starts[i]` is the first of
/// operation `i`.
pub struct Batch {
    bytes: Vec<u8>,
    first: u32,
    next: u32,
    starts: Vec<u32>,
    ended: Option<u32>,
}

impl Batch {
    /// Starts a batch, to be taken only while `generation` is current, where one is given.
    pub fn begin(generation: Option<GenId>, first: u32) -> Self {
        let mut batch = Self { bytes: Vec::new(), first, next: first, starts: Vec::new(), ended: None };
        batch.message(BATCH_BEGIN, 0, |w| {
            if let Some(GenId(id)) = generation {
                w.be32(NFNL_BATCH_GENID, id);
            }
        });
        batch
    }

    /// What follows belongs to the next operation.
    pub fn start_op(&mut self) {
        self.starts.push(self.next);
    }

    /// The sequence number of the message that the caller appends itself, by [`Batch::append`].
    pub fn next_seq(&self) -> u32 {
        self.next
    }

    /// Appends a whole message that carries [`Batch::next_seq`].
    pub fn append(&mut self, message: &[u8]) {
        self.bytes.extend_from_slice(message);
        self.next = self.next.wrapping_add(1);
    }

    pub fn message(&mut self, kind: u16, flags: u16, content: impl FnOnce(&mut Writer<'_>)) {
        let start = self.start_message(kind, flags);
        content(&mut Writer::new(&mut self.bytes));
        self.finish_message(start);
    }

    /// Opens a message that [`Batch::writer`] fills, and returns where it starts.
    pub fn start_message(&mut self, kind: u16, flags: u16) -> usize {
        message::start(&mut self.bytes, kind, flags, self.next)
    }

    pub fn writer(&mut self) -> Writer<'_> {
        Writer::new(&mut self.bytes)
    }

    pub fn finish_message(&mut self, start: usize) {
        message::finish(&mut self.bytes, start);
        self.next = self.next.wrapping_add(1);
    }

    /// The end message. A batch without it is validated by the kernel and aborted.
    pub fn end(&mut self) {
        self.ended = Some(self.next);
        self.message(BATCH_END, 0, |_| {});
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// How many messages there are.
    pub fn messages(&self) -> usize {
        self.next.wrapping_sub(self.first) as usize
    }

    /// Whether an answer with this sequence number is one to this batch.
    pub fn holds(&self, seq: u32) -> bool {
        (seq.wrapping_sub(self.first) as usize) < self.messages()
    }

    /// The operation whose message has this number; `None` for the begin and the end.
    pub fn op_of(&self, seq: u32) -> Option<usize> {
        if !self.holds(seq) || self.ended == Some(seq) {
            return None;
        }
        let offset = |number: u32| number.wrapping_sub(self.first);
        self.starts.partition_point(|start| offset(*start) <= offset(seq)).checked_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_leads_to_its_operation_and_the_frame_to_none() {
        let first = u32::MAX - 1;
        let mut batch = Batch::begin(Some(GenId(1)), first);
        for messages in [1, 3, 2] {
            batch.start_op();
            for _ in 0..messages {
                batch.message(0, 0, |_| {});
            }
        }
        batch.end();
        let ops: Vec<_> = (0..10).map(|i| batch.op_of(first.wrapping_add(i))).collect();
        let (a, b, c) = (Some(0), Some(1), Some(2));
        assert_eq!(ops, [None, a, b, b, b, c, c, None, None, None]);
        assert!(batch.holds(first.wrapping_add(7)) && !batch.holds(first.wrapping_add(8)));
        assert_eq!(batch.messages(), 8);
    }
}
