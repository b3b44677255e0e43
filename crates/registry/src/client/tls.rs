//! Whom to trust: the system's certificates, those of a registry's own folder, and the client's own.
//!
//! As Docker has it, a folder named for the registry (`certs.d/host:port`) holds `*.crt`, authorities that are trusted
//! for this registry, and pairs of `*.cert` and `*.key`, of which the first proves who asks.

use crate::error::{Error, Result};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// What the folders of a registry hold.
#[derive(Debug, Default)]
struct Found {
    authorities: Vec<PathBuf>,
    pairs: Vec<(PathBuf, PathBuf)>,
}

/// The TLS of connections to one host.
pub(super) fn config(folders: &[PathBuf], host: &str, insecure: bool) -> Result<ClientConfig> {
    let found = look(folders, host)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::Config(format!("tls: {e}")))?;
    let builder = if insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
    } else {
        builder.with_root_certificates(roots(&found.authorities)?)
    };
    match found.pairs.first() {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|e| unusable(key, e))?;
            builder.with_client_auth_cert(chain, secret).map_err(|e| unusable(certificate, e))
        }
    }
}

fn look(folders: &[PathBuf], host: &str) -> Result<Found> {
    let mut found = Found::default();
    for folder in folders.iter().map(|folder| folder.join(host)) {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(unusable(&folder, e)),
        };
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| entry.map(|e| e.path()))
            .collect::<std::io::Result<_>>()
            .map_err(|e| unusable(&folder, e))?;
        paths.sort();
        for path in paths {
            match path.extension().and_then(|e| e.to_str()) {
                Some("crt") => found.authorities.push(path),
                Some("cert") => {
                    let key = path.with_extension("key");
                    if !key.exists() {
                        let (key, path) = (name(&key), name(&path));
                        return Err(Error::Config(format!(
                            "missing key {key} for client certificate {path}. CA certificates must use the \
                             extension .crt"
                        )));
                    }
                    found.pairs.push((path, key));
                }
                Some("key") if !path.with_extension("cert").exists() => {
                    let (certificate, key) = (name(&path.with_extension("cert")), name(&path));
                    return Err(Error::Config(format!(
                        "missing client certificate {certificate} for key {key}"
                    )));
                }
                _ => {}
            }
        }
    }
    Ok(found)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn unusable(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::Config(format!("{}: {why}", path.display()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<_, _>>)
        .map_err(|e| unusable(path, e))
}

fn roots(own: &[PathBuf]) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::debug!(%error, "a certificate of the system's can't be read");
    }
    // Single broken ones among the many of a system are nobody's fault here.
    roots.add_parsable_certificates(system.certs);
    for path in own {
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|e| unusable(path, e))?;
        }
    }
    Ok(roots)
}

/// Trusts anybody: for registries that the configuration calls insecure.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_pairs_are_told() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("r.example:5000");
        std::fs::create_dir(&folder).unwrap();
        let folders = [top.path().to_owned()];
        std::fs::write(folder.join("a.cert"), "").unwrap();
        let error = look(&folders, "r.example:5000").unwrap_err().to_string();
        assert_eq!(
            error,
            "missing key a.key for client certificate a.cert. CA certificates must use the extension .crt"
        );
        std::fs::rename(folder.join("a.cert"), folder.join("a.key")).unwrap();
        let error = look(&folders, "r.example:5000").unwrap_err().to_string();
        assert_eq!(error, "missing client certificate a.cert for key a.key");
        assert!(look(&folders, "other").unwrap().pairs.is_empty());
    }
}
