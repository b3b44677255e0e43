//! Building and sending requests.

use super::{Body, Client, Error, Hijacked, Response, hijack};
use crate::version::{self, ApiVersion};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;
use serde::{Serialize, de::DeserializeOwned};
use std::io;

/// A request under construction. Errors of building it are told when it is sent.
#[must_use = "a request does nothing until it is sent"]
#[derive(Debug)]
pub struct RequestBuilder<'a> {
    client: &'a Client,
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Content,
    versioned: bool,
    failure: Option<Error>,
}

#[derive(Debug)]
enum Content {
    None,
    Whole(Bytes),
    Stream(Body),
}

impl<'a> RequestBuilder<'a> {
    pub(super) fn new(client: &'a Client, method: Method, path: &str) -> Self {
        Self {
            client,
            method,
            path: escape_path(path),
            query: Vec::new(),
            headers: Vec::new(),
            body: Content::None,
            versioned: true,
            failure: None,
        }
    }

    /// Without the version in the path.
    pub fn unversioned(mut self) -> Self {
        self.versioned = false;
        self
    }

    /// Adds a query parameter.
    pub fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a query parameter, unless its value is empty.
    pub fn query_nonempty(self, name: &str, value: impl Into<String>) -> Self {
        let value = value.into();
        if value.is_empty() { self } else { self.query(name, value) }
    }

    /// Adds a query parameter `name=1`, if it is on.
    pub fn query_flag(self, name: &str, on: bool) -> Self {
        if on { self.query(name, "1") } else { self }
    }

    /// Adds a header, such as `X-Registry-Auth`.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => self.headers.push((name, value)),
            Err(e) => self.failure = Some(Error::Request(e.into())),
        }
        self
    }

    /// Sends JSON.
    pub fn body_json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        match crate::json::to_line(value) {
            Ok(line) => self.body = Content::Whole(line.into()),
            Err(e) => self.failure = Some(Error::Encode(e)),
        }
        self.headers.push((header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
        self
    }

    /// Sends a stream of this media type, `application/x-tar` mostly, as it comes.
    pub fn body_stream(
        mut self,
        media_type: &'static str,
        stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Self {
        self.headers.push((header::CONTENT_TYPE, HeaderValue::from_static(media_type)));
        let frames = stream.map(|piece| piece.map(Frame::data));
        self.body = Content::Stream(BodyExt::boxed_unsync(StreamBody::new(frames)));
        self
    }

    /// Sends it, and reads the answer to its end as JSON.
    ///
    /// # Errors
    /// When the daemon can't be reached, refuses, or answers something else.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        self.response().await?.json().await
    }

    /// Sends it, and drops the answer's body.
    ///
    /// # Errors
    /// When the daemon can't be reached, or refuses.
    pub async fn send(self) -> Result<(), Error> {
        self.response().await?.finish().await
    }

    /// Sends it; the answer's headers have arrived, its body is still to be read. Statuses of 400 and more are
    /// errors, others (304 too) are not.
    ///
    /// # Errors
    /// When the daemon can't be reached, or refuses.
    pub async fn response(mut self) -> Result<Response<'a>, Error> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let client = self.client;
        if !self.versioned {
            return self.attempt(String::new()).await?.checked().await;
        }
        let settled = match (client.version.get(), &self.body) {
            (Some(version), _) => Some(*version),
            // A stream can't be sent once more.
            (None, Content::Stream(_)) => Some(Box::pin(client.version()).await?),
            (None, _) => None,
        };
        if let Some(version) = settled {
            return self.attempt(format!("/v{version}")).await?.checked().await;
        }
        let response = self.attempt(format!("/v{}", version::MAX)).await?;
        let newest = response.header("api-version").and_then(ApiVersion::parse);
        match response.checked().await {
            Err(Error::Response { status: StatusCode::BAD_REQUEST, message })
                if let Some(newest) = ApiVersion::of_refusal(&message) =>
            {
                client.settle(newest);
                self.attempt(format!("/v{}", ApiVersion::negotiated(newest))).await?.checked().await
            }
            answer => {
                // A server that does not tell took what was sent.
                client.settle(newest.unwrap_or(version::MAX));
                answer
            }
        }
    }

    /// Sends it once, to the path behind `prefix`. A body that is a stream is gone afterwards.
    async fn attempt(&mut self, prefix: String) -> Result<Response<'a>, Error> {
        let target = self.target(prefix);
        let client = self.client;
        let request = self.head(&target)?.map(|()| self.body.send());
        let mut sender = client.connection(self.method.as_str(), &target).await?;
        let http = |source| Error::Http { host: client.endpoint().to_string(), source };
        let response = match sender.try_send_request(request).await {
            Ok(response) => response,
            // A kept connection that the daemon closed meanwhile: nothing was sent, so once more.
            Err(mut failed) => match failed.take_message() {
                Some(unsent) => {
                    sender = client.connect(self.method.as_str(), &target).await?;
                    sender.send_request(unsent).await.map_err(http)?
                }
                None => return Err(http(failed.into_error())),
            },
        };
        Ok(Response::new(client, sender, response, target))
    }

    /// Sends it and takes the connection over, as attach and exec do: bytes both ways from then on.
    ///
    /// # Errors
    /// When the daemon can't be reached, refuses, or keeps the connection.
    pub async fn hijack(mut self) -> Result<Hijacked, Error> {
        self.headers.push((header::CONNECTION, HeaderValue::from_static("Upgrade")));
        self.headers.push((header::UPGRADE, HeaderValue::from_static("tcp")));
        let response = self.response().await?;
        hijack::take_over(response).await
    }

    /// Path and query, behind the version's prefix.
    fn target(&self, prefix: String) -> String {
        let mut target = prefix;
        target.push_str(&self.path);
        for (n, (name, value)) in self.query.iter().enumerate() {
            target.push(if n == 0 { '?' } else { '&' });
            target.push_str(&escape_query(name));
            target.push('=');
            target.push_str(&escape_query(value));
        }
        target
    }

    fn head(&self, target: &str) -> Result<http::Request<()>, Error> {
        let mut request = http::Request::builder()
            .method(self.method.clone())
            .uri(target)
            .header(header::HOST, self.client.endpoint().host_header())
            .header(header::USER_AGENT, &self.client.user_agent);
        for (name, value) in self.client.headers.iter().chain(&self.headers) {
            request = request.header(name, value);
        }
        Ok(request.body(())?)
    }
}

impl Content {
    /// What is sent. A stream is taken out, all else can be sent again.
    fn send(&mut self) -> Body {
        match self {
            Self::Whole(bytes) => Full::new(bytes.clone()).map_err(|never| match never {}).boxed_unsync(),
            Self::None | Self::Stream(_) => match std::mem::replace(self, Self::None) {
                Self::Stream(body) => body,
                _ => Empty::new().map_err(|never| match never {}).boxed_unsync(),
            },
        }
    }
}

fn escape(text: &str, plain: impl Fn(u8) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || plain(byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// A path with what can't stand in one escaped; slashes stay.
fn escape_path(path: &str) -> String {
    escape(path, |b| b"/-_.~:@$&+=,;!'()*".contains(&b))
}

/// A name or value of a query.
pub(super) fn escape_query(text: &str) -> String {
    escape(text, |b| b"-_.~".contains(&b))
}
