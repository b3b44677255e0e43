//! Files of containers as tar streams, out and in, by descriptors: whoever may change the files meanwhile, no name leads
//! out of the root that was given.

mod extract;
mod pack;

pub use extract::{Extraction, extract};
pub(crate) use pack::Packer;
pub use pack::{Packing, pack};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags},
    io::Errno,
};
use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

/// Attempts at a resolution that the kernel breaks off because something was renamed meanwhile.
const MAX_RETRIES: u32 = 128;

/// Opens a path inside a root. Links are followed inside the root; those of procfs that are none of text are refused.
///
/// # Errors
/// What the file system says.
pub fn open_in_root(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let path = if path.is_empty() { b"." } else { path };
    for _ in 0..MAX_RETRIES {
        let path = crate::tree::path_of(path);
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
    Err(Errno::AGAIN.into())
}
