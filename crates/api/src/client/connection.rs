//! Connections to a daemon.

use super::{Body, Client, Endpoint, Error};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};

/// A connected socket.
#[derive(Debug)]
pub enum Transport {
    /// A unix socket.
    Unix(UnixStream),
    /// A TCP socket.
    Tcp(TcpStream),
}

impl Endpoint {
    /// Connects.
    ///
    /// # Errors
    /// The system's error.
    pub async fn connect(&self) -> io::Result<Transport> {
        Ok(match self {
            Self::Unix(path) => Transport::Unix(UnixStream::connect(path).await?),
            Self::Tcp { host, port } => {
                let stream = connect_tcp(host.clone(), *port).await?;
                // Key strokes are to go out one by one.
                stream.set_nodelay(true)?;
                Transport::Tcp(stream)
            }
        })
    }
}

/// Tries a host's addresses one after the other.
async fn connect_tcp(host: String, port: u16) -> io::Result<TcpStream> {
    let looked_up = tokio::task::spawn_blocking(move || brig_core::host_names::resolve(&host, port));
    let mut refused = io::Error::from(io::ErrorKind::NotFound);
    for address in looked_up.await.map_err(io::Error::other)?? {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(e) => refused = e,
        }
    }
    Err(refused)
}

impl Client {
    /// A connection that is ready for a request: the one kept from the last request, or a new one.
    pub(super) async fn connection(&self, method: &str, path: &str) -> Result<SendRequest<Body>, Error> {
        let kept = self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(mut kept) = kept
            && kept.ready().await.is_ok()
        {
            return Ok(kept);
        }
        self.connect(method, path).await
    }

    /// A new connection.
    pub(super) async fn connect(&self, method: &str, path: &str) -> Result<SendRequest<Body>, Error> {
        let host = || self.endpoint.to_string();
        let transport = self.endpoint.connect().await.map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied => Error::Permission {
                host: host(),
                method: go_method(method),
                url: self.endpoint.url(path),
                dial: self.endpoint.dial(),
            },
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                Error::NoDaemon { host: host(), source }
            }
            _ => Error::Connect { host: host(), source },
        })?;
        let (sender, connection) = handshake(TokioIo::new(transport))
            .await
            .map_err(|source| Error::Http { host: host(), source })?;
        // It ends when the sender and the response's body are gone, or the connection was handed over; its
        // errors are those of the request, which has them too.
        tokio::spawn(async move {
            let _ = connection.with_upgrades().await;
        });
        Ok(sender)
    }

    /// Keeps a connection for the next request.
    pub(super) fn keep(&self, sender: SendRequest<Body>) {
        if !sender.is_closed() {
            *self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(sender);
        }
    }
}

/// A method as Go's errors spell it: `Get`.
fn go_method(method: &str) -> String {
    let (first, rest) = method.split_at(1.min(method.len()));
    format!("{first}{}", rest.to_ascii_lowercase())
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(s) => Pin::new(s).poll_read(cx, buf),
            Self::Tcp(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(s) => Pin::new(s).poll_write(cx, buf),
            Self::Tcp(s) => Pin::new(s).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(s) => Pin::new(s).poll_write_vectored(cx, bufs),
            Self::Tcp(s) => Pin::new(s).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(s) => Pin::new(s).poll_flush(cx),
            Self::Tcp(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(s) => Pin::new(s).poll_shutdown(cx),
            Self::Tcp(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}
