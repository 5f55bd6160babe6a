//! Files that a request hands over: memfds that nobody can change any more, their sender included.

use super::{MOST_FILE, MOST_LISTS};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};

/// What `apply` hands over: the policy files as they were read, and the list files that they name.
#[derive(Debug)]
pub struct Handed {
    pub policy: Vec<PolicyText>,
    /// Each with the path under which the policy names it.
    pub lists: Vec<(String, Sealed)>,
}

/// One policy file; the layer above has the greater number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyText {
    pub name: String,
    pub layer: u32,
    pub text: String,
}

/// The first file of a request.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    policy: Vec<PolicyText>,
    /// The paths of the files that follow, in their order.
    lists: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum HandedError {
    #[error("file {number}: {source}")]
    File { number: usize, source: io::Error },
    #[error("file {number} is no memfd with the seals shrink, grow, write and seal")]
    NotSealed { number: usize },
    #[error("file {number} has {octets} octets; {MOST_FILE} are allowed")]
    TooLong { number: usize, octets: u64 },
    #[error("no document came with the request")]
    NoDocument,
    #[error("the document is not understood: {0}")]
    Document(serde_json::Error),
    #[error("the document names {named} list files, and {received} came with it")]
    OtherNumber { named: usize, received: usize },
    #[error("{0} list files; {MOST_LISTS} are allowed")]
    TooMany(usize),
}

impl Handed {
    /// The files to send with [`super::Request::Apply`].
    pub fn seal<R: Read>(
        policy: &[PolicyText],
        lists: impl IntoIterator<Item = (String, R)>,
    ) -> Result<Vec<OwnedFd>, HandedError> {
        let (mut paths, mut files) = (Vec::new(), Vec::new());
        for (path, content) in lists {
            files.push(seal_numbered(files.len() + 1, content)?);
            paths.push(path);
        }
        if files.len() > MOST_LISTS {
            return Err(HandedError::TooMany(files.len()));
        }
        let document = Document { policy: policy.to_vec(), lists: paths };
        let text = serde_json::to_vec(&document).map_err(HandedError::Document)?;
        files.insert(0, seal_numbered(0, text.as_slice())?);
        Ok(files)
    }

    /// Reads what came with a request.
    pub fn read(files: Vec<Sealed>) -> Result<Self, HandedError> {
        let mut files = files.into_iter();
        let document = files.next().ok_or(HandedError::NoDocument)?;
        let text = document.read().map_err(|source| HandedError::File { number: 0, source })?;
        let document: Document = serde_json::from_slice(&text).map_err(HandedError::Document)?;
        if document.lists.len() != files.len() {
            let (named, received) = (document.lists.len(), files.len());
            return Err(HandedError::OtherNumber { named, received });
        }
        Ok(Self { policy: document.policy, lists: document.lists.into_iter().zip(files).collect() })
    }
}

/// A memfd with all its seals, opened again: its sender cannot change it, nor move the place where it is read.
#[derive(Debug)]
pub struct Sealed {
    file: File,
    octets: u64,
}

impl Sealed {
    /// Takes the file with this number of a request.
    pub fn check(number: usize, descriptor: &OwnedFd) -> Result<Self, HandedError> {
        let wanted =
            SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SEAL;
        // Other files than memfds have no seals: an error, or the seal that forbids seals alone.
        let seals = fcntl(descriptor, FcntlArg::F_GET_SEALS).map(SealFlag::from_bits_truncate);
        if !seals.is_ok_and(|seals| seals.contains(wanted)) {
            return Err(HandedError::NotSealed { number });
        }
        let failed = |source| HandedError::File { number, source };
        let file = File::open(format!("/proc/self/fd/{}", descriptor.as_raw_fd())).map_err(failed)?;
        let octets = file.metadata().map_err(failed)?.len();
        if octets > MOST_FILE {
            return Err(HandedError::TooLong { number, octets });
        }
        Ok(Self { file, octets })
    }

    pub fn octets(&self) -> u64 {
        self.octets
    }

    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut content = vec![0; usize::try_from(self.octets).map_err(io::Error::other)?];
        std::os::unix::fs::FileExt::read_exact_at(&self.file, &mut content, 0)?;
        Ok(content)
    }

    /// To be read in pieces, from its beginning.
    pub fn into_file(self) -> File {
        self.file
    }
}

/// A sealed memfd with this content.
pub fn seal(content: impl Read) -> Result<OwnedFd, HandedError> {
    seal_numbered(0, content)
}

fn seal_numbered(number: usize, content: impl Read) -> Result<OwnedFd, HandedError> {
    let failed = |source| HandedError::File { number, source };
    let mut file = File::from(memfd().map_err(|errno| failed(errno.into()))?);
    let octets = io::copy(&mut content.take(MOST_FILE + 1), &mut file).map_err(failed)?;
    if octets > MOST_FILE {
        return Err(HandedError::TooLong { number, octets });
    }
    file.flush().map_err(failed)?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::all() - SealFlag::F_SEAL_FUTURE_WRITE))
        .map_err(|errno| failed(errno.into()))?;
    Ok(file.into())
}

/// Hardened systems refuse memfds that could be executed (vm.memfd_noexec), kernels before 6.3 do not know the flag.
fn memfd() -> nix::Result<OwnedFd> {
    const MFD_NOEXEC_SEAL: MFdFlags = MFdFlags::from_bits_retain(0x0008);
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    memfd_create("portgrave", flags | MFD_NOEXEC_SEAL).or_else(|errno| match errno == Errno::EINVAL {
        true => memfd_create("portgrave", flags),
        false => Err(errno),
    })
}
