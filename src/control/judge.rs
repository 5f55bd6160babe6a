//! Whether a request is passed on to the daemon.

use super::request::{Request, RequestError};
use super::sealed::{HandedError, Sealed};
use super::server::Peer;
use super::{MOST_REQUEST, PATIENCE};
use std::os::fd::OwnedFd;

pub(super) fn judge(
    line: &[u8],
    files: &[OwnedFd],
    peer: &Peer,
    may_change: &MayChange,
) -> Result<(Request, Vec<Sealed>), Fault> {
    let request = Request::parse(line)?;
    if request.changes() && !may_change.allows(peer) {
        return Err(Fault::Forbidden(may_change.words(peer)));
    }
    if !files.is_empty() && !request.hands_over_files() {
        return Err(Fault::FilesUnasked);
    }
    let sealed: Result<Vec<_>, _> =
        (0..).zip(files).map(|(number, file)| Sealed::check(number, file)).collect();
    Ok((request, sealed?))
}

/// Why a request is not passed on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the request has more than {MOST_REQUEST} octets")]
    TooLong,
    #[error("the request was not complete within {} seconds", PATIENCE.as_secs())]
    TooSlow,
    #[error("a connection carries one request: a line, and nothing after it")]
    MoreThanOne,
    #[error("more files came than a request may have")]
    TooManyFiles,
    #[error("the daemon could not take all the files")]
    FilesLost,
    #[error("only {0} may hand over files")]
    FilesForbidden(String),
    #[error("no files may come with this request")]
    FilesUnasked,
    #[error("only {0} may change what is in force")]
    Forbidden(String),
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Handed(#[from] HandedError),
}

impl Fault {
    pub(super) fn help(&self) -> &'static str {
        match self {
            Self::Forbidden(_) | Self::FilesForbidden(_) => "run the command as root, with sudo for one",
            Self::Request(_) => "the command and the daemon are not of one version: restart the daemon",
            Self::FilesLost => "it has too many open, or the kernel's security policy (SELinux) forbids them",
            Self::TooLong
            | Self::TooSlow
            | Self::MoreThanOne
            | Self::TooManyFiles
            | Self::FilesUnasked
            | Self::Handed(_) => "docs/control-protocol.md says what a request is",
        }
    }
}

/// Who may change things: root, and whoever runs the daemon.
pub(super) struct MayChange {
    pub own: u32,
}

impl MayChange {
    pub(super) fn allows(&self, peer: &Peer) -> bool {
        peer.uid == 0 || peer.uid == self.own
    }

    pub(super) fn words(&self, peer: &Peer) -> String {
        match self.own {
            0 => format!("root (not uid {})", peer.uid),
            own => format!("root and uid {own} (not uid {})", peer.uid),
        }
    }
}
