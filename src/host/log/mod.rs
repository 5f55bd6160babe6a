//! Where log lines go: to the journal with their fields, or as text to standard error (docs/logging.md).

mod journal;

use journal::Journal;
use nix::sys::stat::fstat;
use std::io::{self, IsTerminal};
use std::path::Path;
use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, registry};

/// What is logged, in the syntax of tracing's `EnvFilter`.
const FILTER: &str = "PORTGRAVE_LOG";

/// Logs from now on what PORTGRAVE_LOG says; if it is not set, what the default says, or nothing. Once a process.
pub fn start(default: Option<&str>) {
    let Some(filter) = std::env::var(FILTER).ok().or_else(|| default.map(str::to_owned)) else { return };
    let filter = EnvFilter::builder().parse_lossy(filter);
    let journal = if stderr_is_the_journal() { Journal::open(Path::new(journal::SOCKET)).ok() } else { None };
    let started = match journal {
        Some(journal) => registry().with(filter).with(journal).try_init(),
        None => as_text(filter, io::stderr, wants_colours()).try_init(),
    };
    // Whoever started logging before has the word.
    let _ = started;
}

/// A log that cannot be written is no reason to fail, nor to write of it where nothing can be written.
fn as_text<W>(filter: EnvFilter, writer: W, colours: bool) -> impl Subscriber + Send + Sync + 'static
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let text =
        tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colours).log_internal_errors(false);
    registry().with(filter).with(text)
}

fn wants_colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// systemd says which file the journal is; a process further down may have put another in its place.
fn stderr_is_the_journal() -> bool {
    let named = std::env::var("JOURNAL_STREAM").ok();
    let stderr = fstat(io::stderr()).ok().map(|file| (file.st_dev, file.st_ino));
    named.is_some_and(|named| stderr.is_some() && journal_stream(&named) == stderr)
}

/// `DEVICE:INODE` in decimal.
fn journal_stream(text: &str) -> Option<(u64, u64)> {
    let (device, inode) = text.split_once(':')?;
    Some((device.parse().ok()?, inode.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn a_journal_stream_is_a_device_and_an_inode() {
        assert_eq!(journal_stream("8:1234567"), Some((8, 1_234_567)));
        for broken in ["", "8", "8:", ":1", "8:x", "8:1:2", "-8:1"] {
            assert_eq!(journal_stream(broken), None, "{broken}");
        }
    }

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn text_has_the_fields_and_colours_only_on_request() {
        for colours in [false, true] {
            let written = Written::default();
            let writer = written.clone();
            let log = as_text(EnvFilter::new("info"), move || writer.clone(), colours);
            tracing::subscriber::with_default(log, || {
                tracing::info!(rule = "smtp-out", generation = 7, "applied");
                tracing::debug!("not asked for");
            });
            let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
            assert_eq!(text.lines().count(), 1, "{text}");
            assert_eq!(text.contains('\u{1b}'), colours, "{text}");
            if !colours {
                assert!(
                    text.contains("INFO") && text.contains("applied rule=\"smtp-out\" generation=7"),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn a_log_that_cannot_be_written_harms_nobody() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let log = as_text(EnvFilter::new("info"), Mutex::new(full), false);
        tracing::subscriber::with_default(log, || tracing::info!("nobody reads this"));
    }
}
