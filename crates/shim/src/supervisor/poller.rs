//! epoll with roles instead of descriptors.

use super::{ClientKey, ProcessKey};
use brig_logs::Stream;
use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
};
use std::{
    collections::BTreeMap,
    io,
    ops::Deref,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

/// What a descriptor is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Accepts connections.
    Listener,
    /// Becomes readable when the process ends.
    ProcessEnd(ProcessKey),
    /// Output of a process; for terminals input as well.
    Output(ProcessKey, Stream),
    /// Input of a process.
    Input(ProcessKey),
    /// A connection.
    Client(ClientKey),
    /// Tells of memory running out.
    Memory,
}

/// A descriptor that may be in the epoll set.
#[derive(Debug)]
pub(super) struct Watched<F> {
    inner: F,
    registered: Option<(u64, EventFlags)>,
}

impl<F> Watched<F> {
    pub(super) fn new(inner: F) -> Self {
        Self { inner, registered: None }
    }
}

impl<F> Deref for Watched<F> {
    type Target = F;

    fn deref(&self) -> &F {
        &self.inner
    }
}

/// An epoll set. Each registration has a token of its own that is never used again, so that a late event of a
/// closed descriptor is recognised.
#[derive(Debug)]
pub(super) struct Poller {
    epoll: OwnedFd,
    roles: BTreeMap<u64, Role>,
    next: u64,
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)?, roles: BTreeMap::new(), next: 1 })
    }

    /// Watches for exactly `interest`; with none, not at all, so that a hung-up peer does not wake us for ever.
    ///
    /// Adding can fail for want of kernel memory only; then the descriptor is as good as hung up.
    pub(super) fn watch<F: AsFd>(&mut self, fd: &mut Watched<F>, role: Role, interest: EventFlags) {
        match fd.registered {
            Some((_, now)) if now == interest => {}
            Some(_) if interest.is_empty() => self.forget(fd),
            Some((token, _)) => {
                let changed = epoll::modify(&self.epoll, &fd.inner, EventData::new_u64(token), interest);
                if changed.is_ok() {
                    fd.registered = Some((token, interest));
                }
            }
            None if interest.is_empty() => {}
            None => {
                let token = self.next;
                self.next += 1;
                if epoll::add(&self.epoll, &fd.inner, EventData::new_u64(token), interest).is_ok() {
                    self.roles.insert(token, role);
                    fd.registered = Some((token, interest));
                }
            }
        }
    }

    /// As [`Poller::watch`] for what must not be missed.
    pub(super) fn must_watch<F: AsFd>(
        &mut self,
        fd: &mut Watched<F>,
        role: Role,
        interest: EventFlags,
    ) -> io::Result<()> {
        self.watch(fd, role, interest);
        match fd.registered {
            Some(_) => Ok(()),
            None => Err(io::Error::other("no room for another watched descriptor")),
        }
    }

    /// Takes a descriptor out; to be called before it is closed.
    pub(super) fn forget<F: AsFd>(&mut self, fd: &mut Watched<F>) {
        if let Some((token, _)) = fd.registered.take() {
            self.roles.remove(&token);
            // Fails only for a descriptor that is not in the set.
            let _ = epoll::delete(&self.epoll, &fd.inner);
        }
    }

    pub(super) fn role(&self, token: u64) -> Option<Role> {
        self.roles.get(&token).copied()
    }

    /// What is ready, by token; empty when the time has passed.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> io::Result<Vec<(u64, EventFlags)>> {
        let timeout = timeout.map(|t| Timespec {
            tv_sec: i64::try_from(t.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: t.subsec_nanos().into(),
        });
        let mut ready: Vec<Event> = Vec::with_capacity(32);
        loop {
            match epoll::wait(&self.epoll, spare_capacity(&mut ready), timeout.as_ref()) {
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
                // The struct is packed: fields are copied out.
                Ok(_) => return Ok(ready.iter().map(|e| ({ e.data }.u64(), { e.flags })).collect()),
            }
        }
    }
}
