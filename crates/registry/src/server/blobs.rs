//! Blobs on their way out.

use super::{
    Mode, Registry,
    answer::{self, Answer, Failure, digest_header},
    route::Name,
    storage::Kind,
};
use brig_core::Digest;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, StatusCode, header};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    sync::atomic::Ordering,
};
use tokio::task::block_in_place;

/// Bytes read at once.
const PIECE: usize = 256 << 10;

impl Registry {
    /// `GET` and `HEAD blobs/DIGEST`
    pub(super) async fn get_blob(
        &self,
        method: &Method,
        name: &Name,
        digest: &Digest,
        headers: &HeaderMap,
    ) -> Answer {
        if !self.storage.has_blob(name, digest)? {
            match &self.mode {
                Mode::PullThrough(upstream) => upstream.fetch_blob(self, name, digest).await?,
                _ => return Err(Failure::blob_unknown()),
            }
        }
        let file = File::open(self.storage.blob(digest))?;
        let size = file.metadata()?.len();
        let range = match headers.get(header::RANGE).and_then(|value| value.to_str().ok()) {
            Some(text) => range(text, size)?,
            None => None,
        };
        let sent = range.clone().unwrap_or(0..size);
        let response = if method == Method::HEAD {
            answer::with(answer::empty(StatusCode::OK), header::CONTENT_TYPE, "application/octet-stream")
        } else {
            self.metrics.sent.fetch_add(sent.end - sent.start, Ordering::Relaxed);
            answer::stream(pieces(file, sent.clone())?)
        };
        let response = answer::with(response, header::CONTENT_LENGTH, &(sent.end - sent.start).to_string());
        let response = answer::with(response, header::ACCEPT_RANGES, "bytes");
        let response = answer::with(response, header::ETAG, &format!("\"{digest}\""));
        let mut response = answer::with(response, digest_header(), &digest.to_string());
        if let Some(range) = range {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let text = format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1));
            response = answer::with(response, header::CONTENT_RANGE, &text);
        }
        Ok(response)
    }

    /// `DELETE blobs/DIGEST`: from this repository. The content goes when no repository has it.
    pub(super) async fn delete_blob(&self, name: &Name, digest: &Digest) -> Answer {
        let _here = self.changes.read().await;
        if !self.storage.remove_link(name, Kind::Blobs, digest)? {
            return Err(Failure::blob_unknown());
        }
        Ok(answer::empty(StatusCode::ACCEPTED))
    }
}

fn pieces(
    mut file: File,
    range: Range<u64>,
) -> io::Result<impl futures_util::Stream<Item = io::Result<Bytes>> + Send + 'static> {
    file.seek(SeekFrom::Start(range.start))?;
    Ok(stream::unfold((file, range.end - range.start), |(mut file, left)| async move {
        if left == 0 {
            return None;
        }
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
        let read = block_in_place(|| {
            let mut piece = vec![0; want];
            file.read_exact(&mut piece)?;
            Ok(Bytes::from(piece))
        });
        Some((read, (file, left - want as u64)))
    }))
}

/// One range of bytes; what is no such range means all.
fn range(text: &str, size: u64) -> Result<Option<Range<u64>>, Failure> {
    let Some((start, end)) = text.trim().strip_prefix("bytes=").and_then(|text| text.split_once('-')) else {
        return Ok(None);
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match (number(start), number(end)) {
        (Some(start), _) if start >= size => Err(Failure::bad_range()),
        (Some(start), end) => {
            Ok(Some(start..end.map_or(size, |end| end.saturating_add(1).min(size)).max(start)))
        }
        (None, Some(last)) if start.trim().is_empty() => Ok(Some(size.saturating_sub(last)..size)),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ranges() {
        for (text, expected) in [
            ("bytes=0-", Some(Some(0..10))),
            ("bytes=4-5", Some(Some(4..6))),
            ("bytes=4-99", Some(Some(4..10))),
            ("bytes=-3", Some(Some(7..10))),
            ("bytes=10-", None),
            ("bytes=5-2", Some(Some(5..5))),
            ("items=1-2", Some(None)),
            ("bytes=a-b", Some(None)),
        ] {
            assert_eq!(range(text, 10).ok(), expected, "{text}");
        }
    }
}
