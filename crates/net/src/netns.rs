//! Network namespaces: made and entered by short-lived threads, so that no other thread ever changes its own.

use crate::Error;
use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

/// Runs `work` on a thread inside `netns`.
///
/// # Errors
/// When the thread can't be made or can't enter, and whatever `work` answers.
pub(crate) fn inside<T: Send>(
    netns: BorrowedFd<'_>,
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    on_a_thread(|| {
        rustix::thread::move_into_link_name_space(netns, Some(rustix::thread::LinkNameSpaceType::Network))
            .map_err(|e| Error::Netns { step: "enter", source: e.into() })?;
        work()
    })
}

/// Runs `work` on a thread inside a new network namespace, whose descriptor comes back too.
pub(crate) fn create<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<(OwnedFd, T), Error> {
    on_a_thread(|| {
        // SAFETY: only the network namespace is unshared, on a thread that nobody else runs on; no file descriptor
        // table, memory or credentials of other threads change.
        unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }
            .map_err(|e| Error::Netns { step: "create", source: e.into() })?;
        let fd = std::fs::File::open("/proc/thread-self/ns/net")
            .map_err(|source| Error::Netns { step: "open", source })?;
        Ok((fd.into(), work()?))
    })
}

fn on_a_thread<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("brig: netns".to_owned())
            .stack_size(256 << 10)
            .spawn_scoped(scope, work)
            .map_err(|source| Error::Netns { step: "start a thread", source })?;
        thread.join().unwrap_or_else(|_| {
            Err(Error::Netns { step: "work on a thread", source: io::Error::other("it panicked") })
        })
    })
}
