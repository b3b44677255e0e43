//! Requests to one host: connections, redirections, bounded answers, errors in Go's words.

use super::{
    config::{RegistryConfig, host_name},
    names::Names,
    tls,
};
use crate::error::{Error, Refusal, Result};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use reqwest::{Client, Response, Url, redirect};
use std::{error::Error as _, io, time::Duration};

/// Most redirections that are followed.
const REDIRECTIONS: usize = 10;
/// Longest error that is read.
const ERROR_BYTES: u64 = 64 << 10;

/// Connections to one host (and to those that it redirects to). All of them end when it is dropped.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    client: Client,
    answer: Duration,
}

impl Transport {
    /// For the registry at `host` (`name:port`).
    pub(super) fn new(config: &RegistryConfig, host: &str) -> Result<Self> {
        let insecure = config.is_insecure(host);
        let name = host_name(host);
        let mut builder = Client::builder()
            .use_preconfigured_tls(tls::config(&config.certs, host, insecure)?)
            .user_agent(&config.user_agent)
            .connect_timeout(config.limits.connect)
            .redirect(redirect::Policy::custom(follow))
            .referer(false)
            .http1_only()
            .tcp_nodelay(true);
        if name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()) {
            builder = builder.no_proxy();
        }
        match Names::open() {
            Ok(names) => builder = builder.dns_resolver(std::sync::Arc::new(names)),
            // Addresses and what a proxy resolves can do without.
            Err(error) => tracing::warn!(%error, "names of hosts can't be resolved"),
        }
        let client = builder.build().map_err(|e| Error::Config(chain(&e)))?;
        Ok(Self { client, answer: config.limits.answer })
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(&self, request: Request) -> Result<Response> {
        let Request { method, url, headers, body } = request;
        let shown = (method.clone(), url.clone());
        let mut sending = self.client.request(method, url).headers(headers);
        let streams = matches!(body, Body::Stream(_));
        sending = match body {
            Body::None => sending,
            Body::Bytes(bytes) => sending.body(bytes),
            Body::Stream(body) => sending.body(body),
        };
        let sending = sending.send();
        let answered = if streams {
            // However long the body takes.
            sending.await
        } else {
            let timeout = tokio::time::timeout(self.answer, sending).await;
            timeout.map_err(|_| Error::Unreachable {
                method: go_name(&shown.0),
                url: shown.1.to_string(),
                reason: "net/http: timeout awaiting response headers".to_owned(),
                again: true,
            })?
        };
        answered.map_err(|e| unreachable(&shown.0, &shown.1, &e))
    }
}

/// A request that may be sent again.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

/// What is sent.
#[derive(Debug)]
pub(super) enum Body {
    None,
    Bytes(Bytes),
    Stream(reqwest::Body),
}

impl Request {
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: Body::None }
    }

    pub(super) fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    /// The same with a header; a value that can't be sent is left out.
    pub(super) fn header(mut self, name: header::HeaderName, value: &str) -> Self {
        if let Ok(value) = value.parse() {
            self.headers.append(name, value);
        }
        self
    }
}

/// Redirections lose the credentials when they lead to another host (which `reqwest` sees to), never lead from TLS to
/// plain text, and end somewhere.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let from = attempt.previous().last().map(|url| url.scheme().to_owned()).unwrap_or_default();
    if attempt.previous().len() > REDIRECTIONS {
        return attempt.error(format!("stopped after {REDIRECTIONS} redirects"));
    }
    match (from.as_str(), attempt.url().scheme()) {
        ("https", "http") => attempt.error("a redirection from https to http is not followed"),
        (_, "http" | "https") => attempt.follow(),
        _ => attempt.error("a redirection to an unknown protocol is not followed"),
    }
}

/// `Get`, as Go names methods in errors.
pub(super) fn go_name(method: &Method) -> String {
    let text = method.as_str();
    text[..1].to_owned() + &text[1..].to_lowercase()
}

/// A failure to get an answer in Go's words.
fn unreachable(method: &Method, url: &Url, error: &reqwest::Error) -> Error {
    let text = chain(error);
    let system = source::<io::Error>(error);
    let address = || {
        let port = url.port_or_known_default().unwrap_or_default();
        format!("{}:{port}", url.host_str().unwrap_or_default())
    };
    let tls = error.is_connect() && (text.contains("InvalidContentType") || text.contains("corrupt message"));
    let (reason, again) = match system.map(io::Error::kind) {
        _ if tls => ("http: server gave HTTP response to HTTPS client".to_owned(), false),
        Some(io::ErrorKind::ConnectionRefused) => {
            (format!("dial tcp {}: connect: connection refused", address()), false)
        }
        _ if error.is_timeout() => (format!("dial tcp {}: i/o timeout", address()), true),
        _ if error.is_redirect() => (innermost(error), false),
        _ if text.contains("invalid peer certificate") => (certificate(&innermost(error)), false),
        Some(io::ErrorKind::InvalidData) => (format!("tls: {}", innermost(error)), false),
        _ if text.contains("no such host") => (format!("dial tcp: {}", innermost(error)), false),
        Some(io::ErrorKind::UnexpectedEof) => ("EOF".to_owned(), true),
        _ => (innermost(error), !error.is_builder()),
    };
    Error::Unreachable { method: go_name(method), url: url.to_string(), reason, again }
}

/// Why a certificate is not trusted, as Go says it.
fn certificate(why: &str) -> String {
    let why = why.strip_prefix("invalid peer certificate: ").unwrap_or(why);
    let known = if why.contains("UnknownIssuer") || why.contains("CaUsedAsEndEntity") {
        "certificate signed by unknown authority"
    } else if why.contains("Expired") || why.contains("expired") {
        "certificate has expired or is not yet valid"
    } else {
        why
    };
    format!("tls: failed to verify certificate: x509: {known}")
}

/// A failure in the middle of a body.
pub(super) fn broken(url: &Url, error: &reqwest::Error) -> Error {
    Error::Unreachable {
        method: "Get".to_owned(),
        url: url.to_string(),
        reason: innermost(error),
        again: true,
    }
}

fn source<T: std::error::Error + 'static>(error: &reqwest::Error) -> Option<&T> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

fn innermost(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = error.to_string();
        next = error.source();
    }
    text
}

fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(&format!(": {error}"));
        next = error.source();
    }
    text
}

/// Reads an answer up to a limit.
pub(super) async fn read(response: Response, what: &str, limit: u64, within: Duration) -> Result<Bytes> {
    let too_long = || Error::TooLong { what: what.to_owned(), limit };
    if response.content_length().is_some_and(|length| length > limit) {
        return Err(too_long());
    }
    let url = response.url().clone();
    let mut response = response;
    let reading = async {
        let mut all = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|e| broken(&url, &e))? {
            if all.len() as u64 + piece.len() as u64 > limit {
                return Err(too_long());
            }
            all.extend_from_slice(&piece);
        }
        Ok(Bytes::from(all))
    };
    match tokio::time::timeout(within, reading).await {
        Ok(read) => read,
        Err(_) => Err(Error::Stalled(what.to_owned())),
    }
}

/// The refusal that an answer is; its body is read as far as errors go.
pub(super) async fn refusal(response: Response, within: Duration) -> Refusal {
    let status = response.status();
    let retry_after = response
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.trim().parse().ok());
    // A body that can't be read tells nothing; the status does.
    let body = read(response, "an error", ERROR_BYTES, within).await.unwrap_or_default();
    let errors = errors_of(&body);
    Refusal { status: status.as_u16(), otherwise: otherwise(status, &body), errors, retry_after }
}

/// `{"errors": [{"code": …, "message": …}]}`, or the other form of token servers, `{"details": …}`.
fn errors_of(body: &[u8]) -> Vec<(String, String)> {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) else { return Vec::new() };
    let text = |value: &serde_json::Value, name: &str| {
        value.get(name).and_then(|text| text.as_str()).unwrap_or_default().to_owned()
    };
    value
        .get("errors")
        .and_then(|errors| errors.as_array())
        .into_iter()
        .flatten()
        .map(|error| (text(error, "code"), text(error, "message")))
        .filter(|(code, _)| !code.is_empty())
        .collect()
}

/// What is said of an answer without errors in its body.
fn otherwise(status: StatusCode, body: &[u8]) -> String {
    let details = serde_json::from_slice::<serde_json::Value>(body)
        .ok()
        .and_then(|value| value.get("details")?.as_str().map(str::to_owned));
    let shown = String::from_utf8_lossy(&body[..body.len().min(512)]).trim().to_owned();
    let reason = status.canonical_reason().unwrap_or_default();
    match (status.as_u16(), details) {
        (401, Some(details)) => format!("unauthorized: {details}"),
        (401, None) => "unauthorized: authentication required".to_owned(),
        (403, None) => "denied: requested access to the resource is denied".to_owned(),
        (429, None) => "toomanyrequests: too many requests".to_owned(),
        (code, _) if code < 500 && !shown.is_empty() => {
            format!("error parsing HTTP {code} response body: {shown:?}")
        }
        (code, _) if shown.is_empty() => format!("received unexpected HTTP status: {code} {reason}"),
        (code, _) => format!("received unexpected HTTP status: {code} {reason}: {shown}"),
    }
}
