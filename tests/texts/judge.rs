//! What a text is answered with: parse, resolve and compile as `check` does, then the kernel.

use super::compiled::{Found, compiled_text};
use super::ns::passes_limits;
use portgrave::apply::settle;
use portgrave::netlink::{Kernel, KernelError, NfTables};
use portgrave::plan::{Op, Plan, diff};
use portgrave::ruleset::Ruleset;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// No text may take longer to be compiled; nearly all take a thousandth of it.
const BOUND: Duration = Duration::from_secs(60);
/// What the main thread of the program has.
const STACK: usize = 8 << 20;

/// What came of a text that did not fail.
#[derive(Debug)]
pub enum Answer {
    Findings(Found),
    Rules,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    Panic(String),
    Slow,
    Refused(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panic(message) => write!(f, "a panic: {message}"),
            Self::Slow => write!(f, "no answer within {BOUND:?}"),
            Self::Refused(errors) => write!(f, "the kernel does not take the rules: {errors}"),
        }
    }
}

impl Failure {
    fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// A thread that compiles, with somebody who looks at the clock.
pub struct Judge {
    texts: Sender<String>,
    compiled: Receiver<Result<Result<Ruleset, Found>, String>>,
    now: PathBuf,
    planted: Option<&'static str>,
}

impl Judge {
    pub fn new() -> Self {
        let (texts, to_compile) = channel::<String>();
        let (done, compiled) = channel();
        let compiler = move || {
            for text in to_compile {
                let answer = catch_unwind(AssertUnwindSafe(|| compiled_text(&text)));
                let answer = answer.map_err(|panic| {
                    let text = panic.downcast_ref::<String>().cloned();
                    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                        .unwrap_or_default()
                });
                if done.send(answer).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().stack_size(STACK).spawn(compiler).expect("a thread");
        let now =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("texts-now-{}.toml", std::process::id()));
        Self { texts, compiled, now, planted: None }
    }

    /// Every text with this in it fails.
    pub fn plant(&mut self, what: &'static str) {
        self.planted = Some(what);
    }

    /// `settles`: the rules are put in the place of those of the text before, as `apply` does, and not loaded afresh.
    pub fn answer(&mut self, text: &str, settles: bool) -> Result<Answer, Failure> {
        if self.planted.is_some_and(|planted| text.contains(planted)) {
            return Err(Failure::Panic("planted".into()));
        }
        // In case the process dies of it. Where an ordinary user may not write there, there is no such file.
        let _ = std::fs::write(&self.now, text);
        self.texts.send(text.to_owned()).expect("the thread compiles");
        let compiled = match self.compiled.recv_timeout(BOUND) {
            Ok(compiled) => compiled,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Err(Failure::Slow),
        };
        match compiled.map_err(Failure::Panic)? {
            Err(found) => Ok(Answer::Findings(found)),
            Ok(ruleset) => loaded(&ruleset, settles).map(|()| Answer::Rules),
        }
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.now);
    }
}

fn loaded(ruleset: &Ruleset, settles: bool) -> Result<(), Failure> {
    let result = if settles {
        settle(&mut NfTables, ruleset, &mut || None, &mut Vec::new)
            .map(drop)
            .map_err(|error| format!("{error:?}"))
    } else {
        let mut ops = vec![Op::AddTable, Op::DeleteTable];
        ops.extend(diff(ruleset, None).ops);
        match NfTables.commit(&Plan { ops }, None) {
            // An ordinary user runs this in a user namespace, where net.core.wmem_max may be too little.
            Err(KernelError::TooLarge { .. }) if !passes_limits() => Ok(()),
            Err(KernelError::Refused(refusals)) => Err(format!("{refusals:?}")),
            other => other.map_err(|error| error.to_string()),
        }
    };
    result.map_err(Failure::Refused)
}

/// The text less all lines that it fails without.
pub fn shrunk(text: &str, failure: &Failure, judge: &mut Judge) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    if *failure == Failure::Slow {
        return text.to_owned();
    }
    let mut piece = lines.len().div_ceil(2);
    while piece > 0 {
        let mut start = 0;
        while start < lines.len() {
            let end = (start + piece).min(lines.len());
            let less: Vec<String> = lines[..start].iter().chain(&lines[end..]).cloned().collect();
            match judge.answer(&less.concat(), false) {
                Err(same) if same.is_like(failure) => lines = less,
                _ => start = end,
            }
        }
        piece /= 2;
    }
    lines.concat()
}
