//! Writing a log.

use crate::{
    Error, LogConfig, Rotation,
    encode::{Encoder, Piece},
    files::rotated,
    record::Stream,
    split::Splitter,
    timestamp,
};
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::PathBuf,
};

/// Encoded bytes after which a write is made even inside one chunk.
const BATCH: usize = 128 << 10;

/// Writes one container's log. Each call of [`Writer::write`] makes one write(2), more only for very large chunks.
#[derive(Debug)]
pub struct Writer {
    sink: Option<Sink>,
    stdout: Splitter,
    stderr: Splitter,
}

/// The file behind a writer.
#[derive(Debug)]
struct Sink {
    path: PathBuf,
    rotation: Rotation,
    encoder: Encoder,
    file: File,
    /// Bytes of whole records in the file.
    size: u64,
    /// The size at which a new file is begun.
    limit: u64,
    /// Encoded records that are not yet written.
    batch: Vec<u8>,
    /// The first failure of the present call: what follows it is still tried.
    failed: Option<Error>,
}

impl Writer {
    /// Opens the log to append to it. A record torn by a crash is taken off its end.
    ///
    /// # Errors
    /// When the file can't be made, read or written.
    pub fn open(config: &LogConfig) -> Result<Self, Error> {
        let sink = config.driver.rotation().map(|rotation| Sink::open(config, rotation)).transpose()?;
        Ok(Self { sink, stdout: Splitter::default(), stderr: Splitter::default() })
    }

    /// Takes the next bytes of a stream. Lines are in the file when this returns; the beginning of one is held back.
    ///
    /// # Errors
    /// When the file can't be written. What could not be written is lost, the file holds whole records only, and
    /// the next call tries again.
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), Error> {
        let Some(sink) = &mut self.sink else { return Ok(()) };
        let splitter = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        // What came at once bears one time: that of its arrival.
        let now = timestamp::now();
        splitter.feed(bytes, || now, |text, piece, at| sink.record(text, piece, stream, at));
        sink.flush();
        sink.failed.take().map_or(Ok(()), Err)
    }

    /// The stream ended: what was held back is written as a piece without newline.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn end(&mut self, stream: Stream) -> Result<(), Error> {
        let Some(sink) = &mut self.sink else { return Ok(()) };
        let splitter = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        splitter.end(timestamp::now, |text, piece, at| sink.record(text, piece, stream, at));
        sink.flush();
        sink.failed.take().map_or(Ok(()), Err)
    }

    /// Gives back memory that is not needed until more output comes.
    pub fn shrink(&mut self) {
        self.stdout.shrink();
        self.stderr.shrink();
        if let Some(sink) = &mut self.sink {
            sink.batch = Vec::new();
        }
    }
}

impl Sink {
    fn open(config: &LogConfig, rotation: Rotation) -> Result<Self, Error> {
        let file = open_file(&config.path).map_err(Error::io(&config.path, "open"))?;
        let size = mend(&file).map_err(Error::io(&config.path, "cut off torn record"))?;
        Ok(Self {
            path: config.path.clone(),
            rotation,
            encoder: Encoder::new(&config.attrs),
            file,
            size,
            limit: rotation.max_size.unwrap_or(u64::MAX),
            batch: Vec::new(),
            failed: None,
        })
    }

    fn record(&mut self, text: &[u8], piece: Piece, stream: Stream, at: i64) {
        if self.size + self.batch.len() as u64 >= self.limit {
            self.flush();
            let max = self.rotation.max_size.unwrap_or(u64::MAX);
            match self.rotate() {
                Ok(()) => {
                    self.size = 0;
                    self.limit = max;
                }
                Err(e) => {
                    self.limit = self.size.saturating_add(max);
                    self.failed.get_or_insert(e);
                }
            }
        }
        self.encoder.record(text, piece, stream, at, &mut self.batch);
        if self.batch.len() >= BATCH {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        match self.file.write_all(&self.batch) {
            Ok(()) => self.size += self.batch.len() as u64,
            Err(e) => {
                // A part may have been written. Cut it off; if even that fails, the reader skips the damaged line.
                let _ = self.file.set_len(self.size);
                self.failed.get_or_insert(Error::io(&self.path, "write")(e));
            }
        }
        self.batch.clear();
    }

    /// Begins a new file. When that fails, the old one goes on, and the next try comes a whole `max_size` later.
    fn rotate(&mut self) -> Result<(), Error> {
        if self.rotation.max_file == 1 {
            return self.file.set_len(0).map_err(Error::io(&self.path, "empty"));
        }
        for n in (0..self.rotation.max_file - 1).rev() {
            let from = rotated(&self.path, n);
            match std::fs::rename(&from, rotated(&self.path, n + 1)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(Error::io(from, "rotate")(e)),
                _ => {}
            }
        }
        self.file = open_file(&self.path).map_err(Error::io(&self.path, "open after rotation"))?;
        Ok(())
    }
}

fn open_file(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .read(true)
        .create(true)
        .mode(0o640)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
}

/// Cuts off bytes after the last newline; answers the size then.
fn mend(file: &File) -> io::Result<u64> {
    let size = file.metadata()?.len();
    let mut end = size;
    let mut block = [0u8; 4096];
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        // Not longer than the block.
        let part = &mut block[..(end - start) as usize];
        file.read_exact_at(part, start)?;
        if let Some(newline) = memchr::memrchr(b'\n', part) {
            end = start + newline as u64 + 1;
            break;
        }
        end = start;
    }
    if end != size {
        file.set_len(end)?;
    }
    Ok(end)
}
