//! Sending logs on: one task for each container whose log driver is another machine's or program's. It reads the
//! container's log file from where it was left and sends what is new; where that is, is written down after each batch, so
//! that no daemon that dies loses a line. A receiver that does not answer holds up nobody: lines wait in the file, as
//! far as its rotation keeps them.

mod connection;
mod facts;
mod place;
mod watcher;

use crate::{
    actor::{Handle, Snapshot},
    core::Core,
    error::Result,
    record::ContainerRecord,
    start,
};
use brig_core::Id;
use brig_logs::{
    LogConfig, LogReader, Step,
    remote::{Facts, Message, Remote},
};
use connection::Connection;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    time::Instant,
};
use watcher::Watcher;

/// Records that are sent before it is written down that they were.
const BATCH: usize = 512;
/// Or so many bytes of them.
const BATCH_BYTES: usize = 256 << 10;
/// The first and the longest wait after a failure.
const RETRY: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(10)];
/// How long a container that is removed waits for its last lines to be sent.
const LAST_LINES: Duration = Duration::from_secs(3);

/// Those that send.
#[derive(Debug, Default)]
pub(crate) struct Shipping {
    watcher: OnceLock<Arc<Watcher>>,
    running: Mutex<HashMap<Id, mpsc::Sender<oneshot::Sender<()>>>>,
}

impl Shipping {
    /// Waits until all that a container wrote is sent, for a while: it is removed then.
    pub(crate) async fn finish(&self, id: Id) {
        let Some(ask) = self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&id) else {
            return;
        };
        let (done, sent) = oneshot::channel();
        let all = async {
            // Closed when it has ended by itself, having nothing left.
            if ask.send(done).await.is_ok() {
                let _ = sent.await;
            }
        };
        if tokio::time::timeout(LAST_LINES, all).await.is_err() {
            tracing::warn!(container = %id, "its log driver's receiver does not answer: the last lines are lost with it");
        }
    }
}

/// The receiver of a container's log, if it has one.
pub(crate) fn remote_of(record: &ContainerRecord) -> Result<Option<Remote>> {
    let log = &record.host_config.log_config;
    // Most containers have none: nothing is copied for them.
    if matches!(log.driver.as_str(), "" | "json-file" | "local" | "none") {
        return Ok(None);
    }
    Ok(Remote::from_docker(&log.driver, &log.config.clone().unwrap_or_default())?)
}

/// Begins to send a container's log, if its driver does.
pub(crate) fn begin(core: &Arc<Core>, handle: &Handle) {
    let snapshot = handle.snapshot();
    let record = &snapshot.record;
    let begun = remote_of(record).and_then(|remote| {
        let Some(remote) = remote else { return Ok(()) };
        let log = start::log_config(core, record)?;
        let facts = facts::of(record)?;
        let (ask, asked) = mpsc::channel(1);
        core.shipping.running.lock().unwrap_or_else(PoisonError::into_inner).insert(record.id, ask);
        let watcher = core.shipping.watcher.get_or_init(Watcher::new).clone();
        let shipper = Shipper {
            id: record.id,
            place: place::path(&core.config.paths.container(&record.id)),
            connection: Connection::new(remote.clone()),
            remote,
            facts,
            log,
            reader: None,
            sent: 0,
            failing: false,
        };
        tokio::spawn(shipper.run(watcher, asked, handle.watch()));
        Ok(())
    });
    if let Err(error) = begun {
        tracing::error!(container = %record.id, %error, "its log can't be sent on");
    }
}

struct Shipper {
    id: Id,
    remote: Remote,
    facts: Facts,
    log: LogConfig,
    place: std::path::PathBuf,
    reader: Option<LogReader>,
    connection: Connection,
    /// Messages so far.
    sent: u64,
    /// The receiver could not be reached at the last try.
    failing: bool,
}

/// Why a wait is over.
enum Woken {
    /// There may be more.
    Again,
    /// Somebody waits for all to be sent.
    Asked(oneshot::Sender<()>),
    /// The container is gone.
    Gone,
}

impl Shipper {
    async fn run(
        mut self,
        watcher: Arc<Watcher>,
        mut asked: mpsc::Receiver<oneshot::Sender<()>>,
        mut snapshots: watch::Receiver<Arc<Snapshot>>,
    ) {
        let changed = Arc::new(Notify::new());
        let folder = self.log.path.parent().map(std::path::Path::to_path_buf).unwrap_or_default();
        // Until then the folder may not be there.
        let watched = watcher.watch(&folder, &changed);
        if let Err(error) = &watched {
            tracing::error!(container = %self.id, %error, "its log can't be watched");
            return;
        }
        let mut pause = RETRY[0];
        let mut waiting: Vec<oneshot::Sender<()>> = Vec::new();
        loop {
            let outcome = self.batch().await;
            let woken = match outcome {
                Ok(true) => {
                    pause = RETRY[0];
                    continue;
                }
                Ok(false) => {
                    // Who asked has all: they ended the container before.
                    for done in waiting.drain(..) {
                        let _ = done.send(());
                    }
                    wait(None, &changed, &mut asked, &mut snapshots).await
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        tracing::warn!(
                            container = %self.id, driver = ?self.remote.addresses().first(), error,
                            "its log is not sent on; tried again"
                        );
                    }
                    let until = Instant::now() + pause;
                    pause = (pause * 2).min(RETRY[1]);
                    wait(Some(until), &changed, &mut asked, &mut snapshots).await
                }
            };
            match woken {
                Woken::Again => {}
                Woken::Asked(done) => waiting.push(done),
                Woken::Gone => return,
            }
        }
    }

    /// Sends what is new, up to so many records; whether there was anything.
    async fn batch(&mut self) -> std::result::Result<bool, String> {
        // Where this fails, what follows begins from the place that is written down.
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => {
                let from = place::read(&self.place).map_err(|e| e.to_string())?;
                LogReader::resume(&self.log, from).map_err(|e| e.to_string())?
            }
        };
        let mut messages: Vec<Message> = Vec::new();
        let (mut records, mut bytes) = (0, 0);
        while records < BATCH && bytes < BATCH_BYTES {
            match reader.step().map_err(|e| e.to_string())? {
                Step::Record(record) => {
                    records += 1;
                    bytes += record.text.len();
                    self.sent += 1;
                    messages.extend(self.remote.message(&self.facts, &record, self.sent));
                }
                Step::Wait | Step::End => break,
            }
        }
        if records == 0 {
            self.reader = Some(reader);
            return Ok(false);
        }
        self.connection.send(&messages).await?;
        if std::mem::take(&mut self.failing) {
            tracing::info!(container = %self.id, "its log is sent on again");
        }
        if let Some(cursor) = reader.cursor() {
            place::write(&self.place, &cursor).map_err(|e| format!("write down what was sent: {e}"))?;
        }
        self.reader = Some(reader);
        Ok(true)
    }
}

/// Waits for more to send, until a time when something was not sent: then more of it changes nothing.
async fn wait(
    until: Option<Instant>,
    changed: &Notify,
    asked: &mut mpsc::Receiver<oneshot::Sender<()>>,
    snapshots: &mut watch::Receiver<Arc<Snapshot>>,
) -> Woken {
    loop {
        let timer = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = timer => return Woken::Again,
            () = changed.notified(), if until.is_none() => return Woken::Again,
            ask = asked.recv(), if !asked.is_closed() || !asked.is_empty() => {
                if let Some(done) = ask {
                    return Woken::Asked(done);
                }
            }
            change = snapshots.changed() => {
                if change.is_err() {
                    return Woken::Gone;
                }
            }
        }
    }
}
