//! Which logs have grown: one descriptor for all of them, since a user has few.

use rustix::{
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    io::Errno,
};
use std::{
    collections::HashMap,
    io,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    path::Path,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::{net::unix::pipe, sync::Notify};

/// Tells who waits for changes in folders.
#[derive(Debug)]
pub(super) struct Watcher {
    /// `None` where there is none to be had.
    fd: Option<OwnedFd>,
    waiting: Mutex<HashMap<i32, Weak<Notify>>>,
}

impl Watcher {
    pub(super) fn new() -> Arc<Self> {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK);
        let watcher = Arc::new(Self { fd: fd.ok(), waiting: Mutex::default() });
        let same = Arc::downgrade(&watcher);
        tokio::spawn(async move {
            if let Err(error) = listen(&same).await {
                tracing::error!(%error, "logs that grow are not noticed any more");
            }
        });
        watcher
    }

    /// Wakes `notify` at each change in a folder, while it is held.
    pub(super) fn watch(&self, folder: &Path, notify: &Arc<Notify>) -> io::Result<()> {
        let fd = self.fd.as_ref().ok_or(Errno::MFILE)?;
        let flags = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, notify| notify.strong_count() > 0);
        waiting.insert(inotify::add_watch(fd, folder, flags)?, Arc::downgrade(notify));
        Ok(())
    }

    fn tell(&self, watch: i32) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(notify) = waiting.get(&watch).and_then(Weak::upgrade) {
            notify.notify_one();
        }
    }

    fn tell_all(&self) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.values().filter_map(Weak::upgrade).for_each(|notify| notify.notify_one());
    }
}

async fn listen(watcher: &Weak<Watcher>) -> io::Result<()> {
    let Some(copy) = watcher.upgrade().and_then(|w| w.fd.as_ref().map(|fd| fd.try_clone())) else {
        return Ok(());
    };
    let ready = pipe::Receiver::from_owned_fd_unchecked(copy?)?;
    let mut space = [MaybeUninit::uninit(); 4096];
    loop {
        ready.readable().await?;
        let Some(watcher) = watcher.upgrade() else { return Ok(()) };
        let Some(fd) = watcher.fd.as_ref() else { return Ok(()) };
        let mut reader = inotify::Reader::new(fd, &mut space);
        loop {
            match reader.next() {
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => watcher.tell_all(),
                Ok(event) => watcher.tell(event.wd()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(e) => return Err(e.into()),
            }
        }
        // Says that there is nothing now, so that the next wait is one.
        let mut nothing = [0u8; 4096];
        match ready.try_read(&mut nothing) {
            // Came just now, and is not known to be whose.
            Ok(_) => watcher.tell_all(),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
}
