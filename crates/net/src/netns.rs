//! Network namespaces: the calling thread goes there, works, and comes back.
//!
//! A thread of its own for each visit would be the plainer way, but starting one costs 50 µs on an idle machine and
//! half a millisecond on a busy one, for work that takes less.

use crate::Error;
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Comes back when dropped.
struct Visit<'a> {
    home: BorrowedFd<'a>,
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        if let Err(e) = move_into_link_name_space(self.home, Some(LinkNameSpaceType::Network)) {
            // The thread goes on to serve others, who would find a container's network. setns(2) into a namespace
            // that is held open fails only when there is no memory at all.
            tracing::error!("network namespace: come back: {e}");
            std::process::abort();
        }
    }
}

/// Runs `work` on the calling thread inside `netns`, and comes back to `home`.
///
/// # Errors
/// When the thread can't enter, and whatever `work` answers.
pub(crate) fn inside<T>(
    home: BorrowedFd<'_>,
    netns: BorrowedFd<'_>,
    work: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    move_into_link_name_space(netns, Some(LinkNameSpaceType::Network))
        .map_err(|e| Error::Netns { step: "enter", source: e.into() })?;
    let _visit = Visit { home };
    work()
}

/// Runs `work` on the calling thread inside a new network namespace, whose descriptor it is given and comes back too,
/// and comes back to `home`.
///
/// # Errors
/// When the kernel refuses, and whatever `work` answers.
pub(crate) fn create<T>(
    home: BorrowedFd<'_>,
    work: impl FnOnce(BorrowedFd<'_>) -> Result<T, Error>,
) -> Result<(OwnedFd, T), Error> {
    // SAFETY: only the network namespace is unshared, which is the calling thread's alone: no file descriptor table,
    // memory or credentials of other threads change.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
        .map_err(|e| Error::Netns { step: "create", source: e.into() })?;
    let _visit = Visit { home };
    let netns = current()?;
    let worked = work(netns.as_fd())?;
    Ok((netns, worked))
}

/// The calling thread's network namespace.
///
/// # Errors
/// When /proc is not there.
pub(crate) fn current() -> Result<OwnedFd, Error> {
    let file = std::fs::File::open("/proc/thread-self/ns/net")
        .map_err(|source| Error::Netns { step: "open", source })?;
    Ok(file.into())
}

/// As [`inside`], from wherever the calling thread is.
#[cfg(test)]
pub(crate) fn visit<T>(netns: &OwnedFd, work: impl FnOnce() -> T) -> T {
    let home = current().unwrap();
    inside(home.as_fd(), netns.as_fd(), || Ok(work())).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> std::path::PathBuf {
        std::fs::read_link("/proc/thread-self/ns/net").unwrap()
    }

    #[test]
    fn there_and_back_whatever_happens() {
        let (home, before) = (current().unwrap(), name());
        let (netns, inner) = create(home.as_fd(), |_| Ok(name())).unwrap();
        assert_ne!(inner, before);
        assert_eq!(name(), before);
        assert_eq!(inside(home.as_fd(), netns.as_fd(), || Ok(name())).unwrap(), inner);
        assert_eq!(name(), before);
        let failed = || -> Result<(), Error> { Err(Error::PoolsExhausted) };
        assert!(inside(home.as_fd(), netns.as_fd(), failed).is_err());
        assert!(create(home.as_fd(), |_| failed()).is_err());
        assert_eq!(name(), before);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            visit(&netns, || panic!("on purpose"));
        }));
        assert!(panicked.is_err());
        assert_eq!(name(), before);
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(matches!(
            inside(home.as_fd(), file.as_fd(), || Ok(())),
            Err(Error::Netns { step: "enter", .. })
        ));
    }
}
