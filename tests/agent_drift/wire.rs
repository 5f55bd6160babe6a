//! What the daemon and the kernel say to each other over netlink, by strace.

use crate::lab::{Daemon, eventually};
use crate::rig::Process;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// strace at work on a daemon.
pub struct Wire {
    _process: Process,
    file: PathBuf,
}

impl Wire {
    /// From now on.
    pub fn of(daemon: &Daemon<'_>) -> Self {
        let file = daemon.site.path("strace");
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-e", "trace=sendto,sendmsg,recvfrom,recvmsg", "-o"]).arg(&file);
        command.arg("-p").arg(daemon.pid().to_string()).stdin(Stdio::null()).stderr(Stdio::null());
        let wire = Self { _process: daemon.ns.start(&mut command), file };
        wire.until("the first poll", |wire| wire.polls() > 0);
        wire
    }

    pub fn lines(&self) -> Vec<String> {
        std::fs::read_to_string(&self.file).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    pub fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        eventually(what, || if holds(self) { Ok(()) } else { Err(self.lines().len().to_string()) });
    }

    /// So many lines were written.
    pub fn mark(&self) -> usize {
        self.lines().len()
    }

    /// The service manager is told of each poll just before it.
    pub fn polls(&self) -> usize {
        self.lines().iter().filter(|line| is_poll(line)).count()
    }

    /// Readings of the table.
    pub fn looks(&self) -> usize {
        self.lines().iter().filter(|line| is_look(line)).count()
    }

    /// Polls that a look has followed.
    pub fn polls_with_look(&self) -> usize {
        let (mut polls, mut looked) = (0, true);
        for line in self.lines() {
            if is_poll(&line) {
                looked = false;
            } else if is_look(&line) && !looked {
                (polls, looked) = (polls + 1, true);
            }
        }
        polls
    }

    /// The polls before the first look that follows a mark.
    pub fn polls_before_look(&self, mark: usize) -> usize {
        let lines = self.lines();
        let look = lines.iter().skip(mark).position(|line| is_look(line)).expect("a look") + mark;
        lines[..look].iter().filter(|line| is_poll(line)).count()
    }

    /// Batches that were sent to the kernel.
    pub fn batches(&self) -> usize {
        self.lines().iter().filter(|line| is_sent(line) && line.contains("NFNL_MSG_BATCH_BEGIN")).count()
    }

    /// Questions for all elements of a set, by any of its names.
    pub fn dumps(&self, set: &str) -> usize {
        // An attribute with the name, as strace writes octets.
        let name: String = set.bytes().map(|octet| format!("\\x{octet:02x}")).collect();
        let asks = |line: &&String| is_sent(line) && is_dump(line) && line.contains(&name);
        self.lines().iter().filter(asks).count()
    }

    /// Octets that the kernel has sent.
    pub fn octets(&self) -> usize {
        let of_kernel = |line: &&String| line.contains("recvmsg(") && line.contains("nl_pid=0,");
        let octets = |line: &String| line.rsplit("= ").next().and_then(|count| count.parse::<usize>().ok());
        self.lines().iter().filter(of_kernel).filter_map(octets).sum()
    }
}

fn is_sent(line: &str) -> bool {
    line.contains(" sendmsg(") || line.contains(" sendto(")
}

fn is_poll(line: &str) -> bool {
    is_sent(line) && line.contains("WATCHDOG=1")
}

fn is_look(line: &str) -> bool {
    is_sent(line) && line.contains("NFT_MSG_GETRULE")
}

fn is_dump(line: &str) -> bool {
    line.contains("NFT_MSG_GETSETELEM") && line.contains("NLM_F_DUMP")
}
