//! A blob, read by code that blocks: verified on the way, gone on with where it broke off.

use super::{
    config::Limits,
    repository::Repository,
    retry::Tries,
    transport::{self, Request},
};
use crate::error::{Error, Result};
use brig_core::Digest;
use bytes::Bytes;
use http::{StatusCode, header};
use reqwest::Response;
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    time::{Duration, Instant},
};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// A blob of a repository.
#[derive(Debug)]
pub struct Blob {
    repository: Repository,
    digest: Digest,
    size: u64,
    /// Where else it may be found.
    urls: Vec<String>,
}

impl Blob {
    pub(super) fn new(repository: Repository, digest: Digest, size: u64) -> Self {
        Self { repository, digest, size, urls: Vec::new() }
    }

    /// The same, which may be found elsewhere too (foreign layers).
    #[must_use]
    pub fn with_urls(mut self, urls: Vec<String>) -> Self {
        self.urls = urls;
        self
    }

    /// Reads all of a small blob, a configuration.
    ///
    /// # Errors
    /// [`Error::TooLong`] beyond `limit`, [`Error::Unverified`] for other bytes than those asked for.
    pub async fn document(&self, limit: u64) -> Result<Bytes> {
        if self.size > limit {
            return Err(Error::TooLong { what: self.digest.to_string(), limit });
        }
        let limits = self.repository.inner.limits.clone();
        let mut tries = Tries::new(&limits);
        loop {
            let read = async {
                let response = self.open(0).await?;
                transport::read(response, "an image's configuration", self.size, limits.answer).await
            };
            match read.await {
                Ok(bytes) if Digest::of(&bytes) == self.digest => return Ok(bytes),
                Ok(_) => return Err(Error::Unverified { what: "image config", digest: self.digest }),
                Err(Error::TooLong { .. }) => {
                    return Err(Error::Size {
                        digest: self.digest,
                        expected: self.size,
                        actual: self.size + 1,
                    });
                }
                Err(error) => tries.again(error).await?,
            }
        }
    }

    /// A reader for a thread that may block. `partial` keeps what has come; what is in it already is not asked for
    /// again.
    ///
    /// # Errors
    /// What the file system says of `partial`.
    pub fn reader(self, mut partial: Option<File>, cancelled: CancellationToken) -> io::Result<BlobReader> {
        let limits = self.repository.inner.limits.clone();
        let resumed = match &mut partial {
            Some(file) => rewind(file, self.size)?,
            None => 0,
        };
        Ok(BlobReader {
            tries: Tries::new(&limits),
            pace: Pace::default(),
            limits,
            source: match partial {
                Some(file) => Source::File(file),
                None => Source::Closed,
            },
            blob: self,
            keep: None,
            at: 0,
            hash: Some(brig_core::digest::Hashing::new(io::sink())),
            cancelled,
            failure: None,
            resumed,
            runtime: Handle::current(),
        })
    }

    /// Asks for the blob from `offset` on.
    async fn open(&self, offset: u64) -> Result<Response> {
        let inner = &self.repository.inner;
        let url = inner.url(&format!("blobs/{}", self.digest))?;
        let request = |url| {
            let request = Request::get(url);
            if offset == 0 { request } else { request.header(header::RANGE, &format!("bytes={offset}-")) }
        };
        let error = match inner.succeed(request(url)).await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        // Foreign layers: their own addresses, without credentials.
        for url in &self.urls {
            let Ok(url) = url.parse::<reqwest::Url>() else { continue };
            if matches!(url.scheme(), "http" | "https")
                && let Ok(response) = inner.transport.send(request(url)).await
                && response.status().is_success()
            {
                return Ok(response);
            }
        }
        Err(error)
    }
}

/// Reads a blob. The end is told only when all of it has come and is what it should be; a reader that fails can be
/// asked why by [`BlobReader::failure`].
#[derive(Debug)]
pub struct BlobReader {
    blob: Blob,
    limits: Limits,
    tries: Tries,
    pace: Pace,
    source: Source,
    /// Takes what comes.
    keep: Option<File>,
    /// Bytes that were read.
    at: u64,
    hash: Option<brig_core::digest::Hashing<io::Sink>>,
    cancelled: CancellationToken,
    failure: Option<Error>,
    /// Bytes that an earlier try has left.
    resumed: u64,
    runtime: Handle,
}

#[derive(Debug)]
enum Source {
    /// What an earlier try has left.
    File(File),
    /// To be asked for.
    Closed,
    Open {
        response: Response,
        piece: Bytes,
        skip: u64,
    },
    End,
}

/// How much has come of late, and how long it was waited for. What the reader itself takes does not count.
#[derive(Debug, Default)]
struct Pace {
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// Whether so little has come that it is not worth waiting on; begins anew when the time is over.
    fn is_over(&mut self, limits: &Limits) -> Result<(), ()> {
        if self.waited < limits.window {
            return Ok(());
        }
        let enough = self.bytes >= limits.bytes_per_window;
        *self = Self::default();
        if enough { Ok(()) } else { Err(()) }
    }
}

impl BlobReader {
    /// Why reading failed, if it did.
    #[must_use]
    pub fn failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    /// Bytes that an earlier try has left.
    #[must_use]
    pub fn resumed(&self) -> u64 {
        self.resumed
    }

    /// Bytes read so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.at
    }

    /// Whether all was read and is right.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!(self.source, Source::End)
    }

    fn verify(&mut self) -> Result<()> {
        let Some(hash) = self.hash.take() else { return Ok(()) };
        let (_, actual, _) = hash.finish();
        if actual == self.blob.digest {
            Ok(())
        } else {
            Err(Error::Unverified { what: "filesystem layer", digest: self.blob.digest })
        }
    }

    fn next(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            if self.cancelled.is_cancelled() {
                return Err(Error::Cancelled);
            }
            match &mut self.source {
                Source::End => return Ok(0),
                Source::File(file) => {
                    let n = file
                        .read(buffer)
                        .map_err(|source| Error::Io { step: "read a partial blob", source })?;
                    if n > 0 {
                        return Ok(n);
                    }
                    if let Source::File(file) = std::mem::replace(&mut self.source, Source::Closed) {
                        self.keep = Some(file);
                    }
                }
                Source::Closed if self.at == self.blob.size => {
                    // Nothing is missing; whether there is more has been seen where it came from.
                    self.source = Source::End;
                    self.verify()?;
                }
                Source::Closed => match self.runtime.clone().block_on(self.reopen()) {
                    Ok(()) => {}
                    Err(error) => self.pause(error)?,
                },
                Source::Open { .. } => match self.runtime.clone().block_on(self.piece()) {
                    Ok(true) => {
                        let Source::Open { piece, .. } = &mut self.source else { continue };
                        let n = piece.len().min(buffer.len());
                        buffer[..n].copy_from_slice(&piece.split_to(n));
                        return Ok(n);
                    }
                    Ok(false) => self.source = Source::Closed,
                    Err(error) => {
                        self.source = Source::Closed;
                        self.pause(error)?;
                    }
                },
            }
        }
    }

    fn pause(&mut self, error: Error) -> Result<()> {
        let cancelled = self.cancelled.clone();
        let tries = &mut self.tries;
        self.runtime.block_on(async {
            tokio::select! {
                () = cancelled.cancelled() => Err(Error::Cancelled),
                again = tries.again(error) => again,
            }
        })
    }

    async fn reopen(&mut self) -> Result<()> {
        let at = self.at;
        let cancelled = self.cancelled.clone();
        let response = tokio::select! {
            () = cancelled.cancelled() => return Err(Error::Cancelled),
            response = self.blob.open(at) => response?,
        };
        // A registry that knows no ranges sends all of it: what is there already is passed over.
        let skip = if at > 0 && response.status() == StatusCode::PARTIAL_CONTENT {
            let start = range_start(&response);
            if start != Some(at) {
                return Err(Error::BadAnswer(format!(
                    "{}: the registry sends another range",
                    self.blob.digest
                )));
            }
            0
        } else {
            at
        };
        self.pace = Pace::default();
        self.source = Source::Open { response, piece: Bytes::new(), skip };
        Ok(())
    }

    /// Has a piece at hand; `false` when the answer has ended.
    async fn piece(&mut self) -> Result<bool> {
        let Source::Open { response, piece, skip } = &mut self.source else { return Ok(false) };
        while piece.is_empty() {
            let left = self.limits.window.saturating_sub(self.pace.waited);
            let begun = Instant::now();
            let next = tokio::select! {
                () = self.cancelled.cancelled() => return Err(Error::Cancelled),
                next = tokio::time::timeout(left, response.chunk()) => next,
            };
            self.pace.waited += begun.elapsed();
            let next = match next {
                Err(_) => None,
                Ok(next) => Some(next.map_err(|e| transport::broken(response.url(), &e))?),
            };
            if let Some(Some(bytes)) = &next {
                self.pace.bytes += bytes.len() as u64;
            }
            self.pace.is_over(&self.limits).map_err(|()| Error::Stalled(self.blob.digest.to_string()))?;
            let Some(next) = next else { continue };
            let Some(mut next) = next else {
                if self.at < self.blob.size {
                    return Err(Error::Unreachable {
                        method: "Get".to_owned(),
                        url: response.url().to_string(),
                        reason: "unexpected EOF".to_owned(),
                        again: true,
                    });
                }
                return Ok(false);
            };
            let passed = usize::try_from(*skip).unwrap_or(usize::MAX).min(next.len());
            let _ = next.split_to(passed);
            *skip -= passed as u64;
            *piece = next;
        }
        Ok(true)
    }

    /// Notes what comes; more than there is to come is an error.
    fn note(&mut self, bytes: &[u8], from_file: bool) -> Result<()> {
        self.at += bytes.len() as u64;
        if self.at > self.blob.size {
            return Err(Error::Size { digest: self.blob.digest, expected: self.blob.size, actual: self.at });
        }
        let kept = |source| Error::Io { step: "hash", source };
        if let Some(hash) = &mut self.hash {
            hash.write_all(bytes).map_err(kept)?;
        }
        if !from_file {
            self.tries.start_over();
            if let Some(file) = &mut self.keep
                && let Err(error) = file.write_all(bytes)
            {
                // The blob itself does not depend on it.
                tracing::warn!(%error, "a partial blob can't be kept");
                if let Err(error) = file.set_len(0) {
                    tracing::warn!(%error, "nor removed");
                }
                self.keep = None;
            }
        }
        Ok(())
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let from_file = matches!(self.source, Source::File(_));
        let read = self.next(buffer).and_then(|n| {
            let from_file = from_file && matches!(self.source, Source::File(_));
            self.note(&buffer[..n], from_file).map(|()| n)
        });
        read.map_err(|error| {
            self.source = Source::Closed;
            let told = io::Error::other(error.to_string());
            self.failure.get_or_insert(error);
            told
        })
    }
}

/// Makes the file of a partial blob fit to be read: at its beginning, and no longer than the blob.
fn rewind(file: &mut File, size: u64) -> io::Result<u64> {
    let mut length = file.metadata()?.len();
    if length > size {
        file.set_len(0)?;
        length = 0;
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(length)
}

/// Where `Content-Range: bytes 5-9/10` begins.
fn range_start(response: &Response) -> Option<u64> {
    let text = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    text.trim().strip_prefix("bytes")?.trim().split('-').next()?.parse().ok()
}
