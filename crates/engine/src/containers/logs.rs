//! `GET /containers/{id}/logs`.

use crate::{
    core::Core,
    engine::Engine,
    error::{Error, Result},
    options::LogOptions,
    record::ContainerRecord,
    start,
    streams::ByteStream,
};
use brig_api::stream::{StreamType, header};
use brig_logs::{LogReader, ReadOptions, Record, Step, Stream};
use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use std::{io, os::fd::OwnedFd, sync::Arc};
use tokio::{
    net::unix::pipe,
    sync::{mpsc, watch},
};

/// How many chunks wait for a slow client.
const CHUNKS: usize = 8;
/// Records are put together into chunks of about this size.
const CHUNK: usize = 16 << 10;

/// A container's log.
#[derive(Debug)]
pub struct LogStream {
    /// Whether the container has a terminal: then the bytes are raw, else framed as stdcopy does.
    pub tty: bool,
    /// The bytes.
    pub bytes: ByteStream,
}

impl Engine {
    /// A container's log.
    ///
    /// # Errors
    /// When neither stream was asked for, or the container's log driver can't be read from.
    pub async fn container_logs(&self, name: &str, options: LogOptions) -> Result<LogStream> {
        if !options.stdout && !options.stderr {
            return Err(Error::Invalid("Bad parameters: you must choose at least one stream".to_owned()));
        }
        let handle = self.core().registry.resolve(name)?;
        let snapshot = handle.snapshot();
        let record = &snapshot.record;
        let follow = options.follow.then(|| handle.watch());
        let bytes = open(self.core(), record, &options, follow)?;
        Ok(LogStream { tty: record.config.tty, bytes })
    }
}

/// Opens a container's log; with `follow`, it goes on until that container does not run any more.
pub(super) fn open(
    core: &Core,
    record: &ContainerRecord,
    options: &LogOptions,
    follow: Option<watch::Receiver<Arc<crate::actor::Snapshot>>>,
) -> Result<ByteStream> {
    let config = start::log_config(core, record)?;
    if start::keeps_no_log(record) {
        return Err(brig_logs::Error::NotReadable.into());
    }
    let nanos = |at: Option<Timestamp>| at.map(|at| brig_api::Time(at).unix_nano());
    let read = ReadOptions {
        tail: options.tail,
        since: nanos(options.since),
        until: nanos(options.until),
        follow: follow.is_some(),
    };
    let reader = LogReader::open(&config, &read)?;
    let (sender, stream) = ByteStream::channel(CHUNKS);
    let format = Format {
        tty: record.config.tty,
        stdout: options.stdout,
        stderr: options.stderr,
        timestamps: options.timestamps,
        details: options.details,
    };
    tokio::spawn(async move {
        if let Err(error) = send(reader, &format, follow, &sender).await {
            // A client that went away needs no error.
            let _ = sender.send(Err(error)).await;
        }
    });
    Ok(stream)
}

struct Format {
    tty: bool,
    stdout: bool,
    stderr: bool,
    timestamps: bool,
    details: bool,
}

impl Format {
    fn put(&self, record: &Record, out: &mut BytesMut) {
        let (wanted, kind) = match record.stream {
            Stream::Stdout => (self.stdout, StreamType::Stdout),
            Stream::Stderr => (self.stderr, StreamType::Stderr),
        };
        if !wanted {
            return;
        }
        let mut line = Vec::with_capacity(record.text.len() + 40);
        if self.timestamps {
            line.extend_from_slice(brig_logs::timestamp::fixed(record.time).as_bytes());
            line.push(b' ');
        }
        if self.details {
            line.extend_from_slice(record.details().as_bytes());
            line.push(b' ');
        }
        line.extend_from_slice(record.text.as_bytes());
        if !self.tty {
            out.extend_from_slice(&header(kind, u32::try_from(line.len()).unwrap_or(u32::MAX)));
        }
        out.extend_from_slice(&line);
    }
}

async fn send(
    mut reader: LogReader,
    format: &Format,
    mut follow: Option<watch::Receiver<Arc<crate::actor::Snapshot>>>,
    sender: &mpsc::Sender<io::Result<Bytes>>,
) -> io::Result<()> {
    // A copy of the descriptor, so that it is registered and closed by itself. What is read from it is of no
    // interest, only that there is something: as with a pipe.
    let watched: Option<OwnedFd> = reader.as_fd().map(|fd| fd.try_clone_to_owned()).transpose()?;
    let watched = watched.map(pipe::Receiver::from_owned_fd_unchecked).transpose()?;
    let mut told = [0u8; 4096];
    let mut out = BytesMut::new();
    loop {
        // Seen first, read then: what was written before the end is not missed.
        let running = follow.as_mut().is_some_and(|f| f.borrow_and_update().record.state.is_running());
        if !running {
            reader.stop_following();
        }
        let step = loop {
            match reader.step().map_err(io::Error::other)? {
                Step::Record(record) => {
                    format.put(&record, &mut out);
                    if out.len() >= CHUNK && sender.send(Ok(out.split().freeze())).await.is_err() {
                        return Ok(());
                    }
                }
                other => break other,
            }
        };
        if !out.is_empty() && sender.send(Ok(out.split().freeze())).await.is_err() {
            return Ok(());
        }
        let (Step::Wait, Some(watched), Some(state)) = (step, &watched, &mut follow) else { return Ok(()) };
        tokio::select! {
            () = sender.closed() => return Ok(()),
            ready = watched.readable() => {
                ready?;
                match watched.try_read(&mut told) {
                    Ok(_) => {}
                    // The reader took it before.
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                    Err(e) => return Err(e),
                }
            }
            changed = state.changed() => {
                if changed.is_err() {
                    // The container is gone, and its log with it: what was read is all.
                    reader.stop_following();
                    follow = None;
                }
            }
        }
    }
}
