//! Connections that were taken over from HTTP: bytes both ways, closed one way at a time.

use super::{Error, Raw, Response, Transport};
use http::StatusCode;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;

/// What came of asking for a connection: its bytes, and what they are.
#[derive(Debug)]
pub struct Hijacked {
    media_type: Option<String>,
    /// The bytes. Shutting the writing side down ends the process' stdin and leaves its output open.
    pub stream: Raw,
}

impl Hijacked {
    /// The media type of what comes: [`crate::stream::RAW_STREAM`] or [`crate::stream::MULTIPLEXED_STREAM`].
    /// Daemons of before API 1.42 call both raw.
    #[must_use]
    pub fn media_type(&self) -> Option<&str> {
        self.media_type.as_deref()
    }
}

/// Takes over the connection of an answer 101.
pub(super) async fn take_over(response: Response<'_>) -> Result<Hijacked, Error> {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(Error::NoUpgrade(response.status()));
    }
    let media_type = response.header("content-type").map(str::to_owned);
    let host = response.host();
    let upgraded: Upgraded =
        hyper::upgrade::on(response.inner).await.map_err(|source| Error::Http { host, source })?;
    match upgraded.downcast::<TokioIo<Transport>>() {
        Ok(parts) => Ok(Hijacked { media_type, stream: Raw::new(parts.read_buf, parts.io.into_inner()) }),
        // The connection was made from this very type.
        Err(_) => Err(Error::NoUpgrade(StatusCode::SWITCHING_PROTOCOLS)),
    }
}
