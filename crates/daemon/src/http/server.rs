//! Connections: accepted, read as HTTP/1.1, routed, taken over where a route wants it, and ended in order.

use super::{
    Answer, ApiError, Router, Takeover,
    body::RequestBody,
    endless::{Endless, UntilStop},
    response,
    response::Response,
};
use brig_api::client::Transport;
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    fmt, io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::watch,
};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// Headers of every answer.
pub const COMMON_HEADERS: [(&str, &str); 4] = [
    ("Api-Version", "1.51"),
    ("Docker-Experimental", "false"),
    ("Ostype", "linux"),
    ("Server", concat!("brig/", env!("CARGO_PKG_VERSION"), " (linux)")),
];

/// How long a client may take for the head of a request, as dockerd has it.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// How long to wait after an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A socket that is listened on.
#[derive(Debug)]
pub enum Listener {
    /// A unix socket.
    Unix(UnixListener),
    /// A TCP socket.
    Tcp(TcpListener),
}

impl Listener {
    async fn accept(&self) -> io::Result<Transport> {
        Ok(match self {
            Self::Unix(listener) => Transport::Unix(listener.accept().await?.0),
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Transport::Tcp(stream)
            }
        })
    }
}

/// Serves requests until it is told to stop.
#[derive(Debug)]
pub struct Server<S> {
    router: Router<S>,
    state: Arc<S>,
    stop: watch::Sender<bool>,
    connections: TaskTracker,
    requests: AtomicU64,
}

impl<S: Send + Sync + 'static> Server<S> {
    /// A server of these routes.
    #[must_use]
    pub fn new(router: Router<S>, state: Arc<S>) -> Arc<Self> {
        Arc::new(Self {
            router,
            state,
            stop: watch::Sender::new(false),
            connections: TaskTracker::new(),
            requests: AtomicU64::new(0),
        })
    }

    /// Accepts connections from a socket until [`Server::stop`].
    pub async fn serve(self: Arc<Self>, listener: Listener) {
        let mut stop = self.stop.subscribe();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            match accepted {
                Ok(transport) => {
                    self.connections.spawn(Arc::clone(&self).connection(transport));
                }
                // A client that gave up meanwhile concerns nobody; a lack of descriptors passes, and
                // accepting again at once would only burn time.
                Err(error) => {
                    if error.kind() != io::ErrorKind::ConnectionAborted {
                        tracing::warn!(%error, "accepting a connection failed");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
    }

    /// Accepts no more, lets requests under way finish for a while, then drops what is left.
    pub async fn stop(&self, patience: Duration) {
        self.stop.send_replace(true);
        self.connections.close();
        if tokio::time::timeout(patience, self.connections.wait()).await.is_err() {
            tracing::debug!(connections = self.connections.len(), "connections are cut");
        }
    }

    async fn connection(self: Arc<Self>, transport: Transport) {
        let wish: Arc<Mutex<Option<Takeover>>> = Arc::default();
        let service = service_fn(|request: http::Request<Incoming>| {
            let (server, wish) = (Arc::clone(&self), Arc::clone(&wish));
            // Boxed, since hyper gives the connection back only for services whose futures can be moved.
            Box::pin(async move {
                match server.answer(request).await {
                    Answer::Http(response) => Ok(response),
                    Answer::Takeover(takeover) => {
                        *wish.lock().unwrap_or_else(PoisonError::into_inner) = Some(takeover);
                        // hyper gives the connection back without having written anything.
                        Err(TakenOver)
                    }
                }
            })
        });
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .title_case_headers(true)
            .serve_connection(TokioIo::new(transport), service);
        let mut stop = self.stop.subscribe();
        let ended = tokio::select! {
            ended = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)) => Some(ended),
            _ = stop.wait_for(|stop| *stop) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                Pin::new(&mut connection).graceful_shutdown();
                std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)).await
            }
        };
        let takeover = wish.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (takeover, ended) {
            (Some(takeover), _) => {
                let parts = connection.into_parts();
                let work = takeover.run(parts.io.into_inner(), parts.read_buf);
                let done = tokio::select! {
                    done = work => done,
                    _ = stop.wait_for(|stop| *stop) => Ok(()),
                };
                if let Err(error) = done {
                    tracing::debug!(%error, "the client left before it was attached");
                }
            }
            (None, Err(error)) => tracing::debug!(%error, "connection ended"),
            (None, Ok(())) => {}
        }
    }

    async fn answer(&self, request: http::Request<Incoming>) -> Answer {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let (head, body) = request.into_parts();
        let span =
            tracing::debug_span!("request", id = number, method = %head.method, path = head.uri.path());
        let began = Instant::now();
        async {
            let label = format!("{} {}", head.method, head.uri.path());
            let handled = match self.router.route(
                Arc::clone(&self.state),
                head.method,
                &head.uri,
                head.headers,
                Some(RequestBody::new(body)),
            ) {
                Ok(handling) => handling.await,
                Err(error) => Err(error),
            };
            let answer = handled.unwrap_or_else(|error| {
                log_failure(&label, &error);
                Answer::Http(response::error(&error))
            });
            let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            match answer {
                Answer::Http(response) => {
                    tracing::debug!(status = response.status().as_u16(), micros, "answered");
                    let response = if response.extensions().get::<Endless>().is_some() {
                        response.map(|body| UntilStop::new(body, self.stop.subscribe()).boxed_unsync())
                    } else {
                        response
                    };
                    Answer::Http(with_common_headers(response))
                }
                Answer::Takeover(takeover) => {
                    tracing::debug!(micros, "connection taken over");
                    Answer::Takeover(takeover)
                }
            }
        }
        .instrument(span)
        .await
    }
}

fn log_failure(label: &str, error: &ApiError) {
    if error.status() == http::StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(status = error.status().as_u16(), "handler for {label} failed: {}", error.message());
    } else {
        tracing::debug!(status = error.status().as_u16(), "handler for {label} refused: {}", error.message());
    }
}

fn with_common_headers(mut response: Response) -> Response {
    for (name, value) in COMMON_HEADERS {
        let name = http::HeaderName::from_bytes(name.as_bytes());
        if let Ok(name) = name {
            response.headers_mut().insert(name, http::HeaderValue::from_static(value));
        }
    }
    response
}

/// Tells hyper to stop without an answer.
#[derive(Debug)]
struct TakenOver;

impl fmt::Display for TakenOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection was taken over")
    }
}

impl std::error::Error for TakenOver {}

#[cfg(test)]
mod tests;
