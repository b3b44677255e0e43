//! Connections, plain or by TLS.

use super::Registry;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{convert::Infallible, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// For a request's head, and for a handshake.
const HEAD_WITHIN: Duration = Duration::from_secs(30);

/// A registry's certificate and key.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Reads files in PEM.
    ///
    /// # Errors
    /// When they hold no certificate and its key.
    pub fn open(certificate: &Path, key: &Path) -> io::Result<Self> {
        let bad = |path: &Path, why: String| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()))
        };
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|e| bad(certificate, e.to_string()))?;
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|e| bad(key, e.to_string()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret))
            .map_err(|e| bad(certificate, e.to_string()))?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

/// A registry that listens.
#[derive(Debug)]
pub struct Listening {
    /// Where.
    pub address: SocketAddr,
    /// Ends with an error only.
    pub serving: tokio::task::JoinHandle<io::Error>,
}

/// Listens, and serves in the background.
///
/// # Errors
/// When the address can't be listened on.
pub async fn serve(registry: Arc<Registry>, address: SocketAddr, tls: Option<Tls>) -> io::Result<Listening> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let serving = tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(connection(registry.clone(), stream, tls.clone()))),
                Err(e) if is_passing(&e) => {
                    tracing::warn!(error = %e, "a connection could not be accepted");
                    // Descriptors come back when others end.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(e) => return e,
            }
        }
    });
    Ok(Listening { address, serving })
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
        || matches!(error.raw_os_error(), Some(23 | 24))
}

async fn connection(registry: Arc<Registry>, stream: TcpStream, tls: Option<Tls>) {
    // Without it small answers wait for acknowledgements; one that can't be set is no reason to hang up.
    let _ = stream.set_nodelay(true);
    let ended = match tls {
        None => talk(registry, TokioIo::new(stream)).await,
        Some(tls) => match tokio::time::timeout(HEAD_WITHIN, tls.0.accept(stream)).await {
            Ok(Ok(stream)) => talk(registry, TokioIo::new(stream)).await,
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err("no handshake came".into()),
        },
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

type Ended = Result<(), Box<dyn std::error::Error + Send + Sync>>;

async fn talk<I>(registry: Arc<Registry>, io: I) -> Ended
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let registry = registry.clone();
        async move { Ok::<http::Response<UnsyncBoxBody<_, _>>, Infallible>(registry.handle(request).await) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    builder.serve_connection(io, service).await
}
