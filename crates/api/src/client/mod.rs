//! The client of the Engine API, for brig's daemon and for any Docker.
//!
//! ```no_run
//! # async fn example() -> Result<(), brig_api::client::Error> {
//! use brig_api::client::{Client, Endpoint};
//! let client = Client::new(Endpoint::parse("unix:///run/brig/brig.sock")?);
//! let list: Vec<brig_api::ContainerSummary> =
//!     client.get("/containers/json").query("all", "1").json().await?;
//! # Ok(()) }
//! ```
//!
//! The first request is sent with the newest version of the API, and once more with the server's newest when it
//! refuses that: nobody waits for a question of what is spoken. What the first answer tells is remembered. A
//! connection is kept for the next request when the one before was read to its end; streams and hijacked
//! connections have their own.
mod connection;
mod endpoint;
mod error;
mod hijack;
mod raw;
mod request;
mod response;

pub use connection::Transport;
pub use endpoint::Endpoint;
pub use error::Error;
pub use hijack::Hijacked;
pub use raw::Raw;
pub use request::RequestBuilder;
pub use response::{BodyReader, JsonValues, Response};

use crate::version::{self, ApiVersion};
use http::Method;
use std::sync::Mutex;
use tokio::sync::OnceCell;

/// What a request is sent with.
pub type Body = http_body_util::combinators::UnsyncBoxBody<bytes::Bytes, std::io::Error>;

/// A client of one daemon. Requests may run side by side.
#[derive(Debug)]
pub struct Client {
    endpoint: Endpoint,
    user_agent: String,
    headers: Vec<(http::HeaderName, http::HeaderValue)>,
    version: OnceCell<ApiVersion>,
    idle: Mutex<Option<hyper::client::conn::http1::SendRequest<Body>>>,
}

/// What the server tells of itself before a version is settled (`/_ping`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ping {
    /// The newest version that it speaks; `None` for servers older than that header.
    pub api_version: Option<ApiVersion>,
    /// Its operating system.
    pub os_type: String,
    /// Experimental features are on.
    pub experimental: bool,
    /// The builder that it prefers: `1` or `2`; empty when it does not say.
    pub builder_version: String,
}

impl Client {
    /// A client that settles the version with the server by its first request.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            user_agent: concat!("brig/", env!("CARGO_PKG_VERSION")).to_owned(),
            headers: Vec::new(),
            version: OnceCell::new(),
            idle: Mutex::new(None),
        }
    }

    /// The same with a fixed version (`DOCKER_API_VERSION`).
    #[must_use]
    pub fn with_version(mut self, version: ApiVersion) -> Self {
        self.version = OnceCell::new_with(Some(version));
        self
    }

    /// The same with headers on every request (`HttpHeaders` of the config file).
    #[must_use]
    pub fn with_headers(mut self, headers: Vec<(http::HeaderName, http::HeaderValue)>) -> Self {
        self.headers = headers;
        self
    }

    /// Where the daemon is.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The version of the API; the server is asked when no request was answered yet.
    ///
    /// # Errors
    /// When the server can't be reached.
    pub async fn version(&self) -> Result<ApiVersion, Error> {
        let settle = async {
            // A server that does not tell is one of before 2016: 1.24 is what Docker takes it for.
            let ping = self.ping().await?;
            Ok(ping.api_version.map_or(version::MIN, ApiVersion::negotiated))
        };
        self.version.get_or_try_init(|| settle).await.copied()
    }

    /// Remembers the newest version that the server speaks, if none is settled yet.
    fn settle(&self, newest: ApiVersion) {
        // When a request beside this one was faster, it was told the same.
        let _ = self.version.set(ApiVersion::negotiated(newest));
    }

    /// Asks the server whether it is there, and what it speaks.
    ///
    /// # Errors
    /// When the server can't be reached or is unwell.
    pub async fn ping(&self) -> Result<Ping, Error> {
        let response = self.head("/_ping").unversioned().response().await?;
        let header = |name| response.header(name).unwrap_or_default().to_owned();
        let ping = Ping {
            api_version: ApiVersion::parse(&header("api-version")),
            os_type: header("ostype"),
            experimental: header("docker-experimental") == "true",
            builder_version: header("builder-version"),
        };
        response.finish().await?;
        Ok(ping)
    }

    /// A request of this method and path, such as `/containers/json`. The path is escaped where needed.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder<'_> {
        RequestBuilder::new(self, method, path)
    }

    /// A GET.
    pub fn get(&self, path: &str) -> RequestBuilder<'_> {
        self.request(Method::GET, path)
    }

    /// A HEAD.
    pub fn head(&self, path: &str) -> RequestBuilder<'_> {
        self.request(Method::HEAD, path)
    }

    /// A POST.
    pub fn post(&self, path: &str) -> RequestBuilder<'_> {
        self.request(Method::POST, path)
    }

    /// A PUT.
    pub fn put(&self, path: &str) -> RequestBuilder<'_> {
        self.request(Method::PUT, path)
    }

    /// A DELETE.
    pub fn delete(&self, path: &str) -> RequestBuilder<'_> {
        self.request(Method::DELETE, path)
    }
}

#[cfg(test)]
mod tests;
