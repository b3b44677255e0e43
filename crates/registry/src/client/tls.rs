//! Whom to trust: the system's certificates, those of a registry's own folder, and the client's own.
//!
//! As Docker has it, a folder named for the registry (`certs.d/host:port`) holds `*.crt`, authorities that are trusted
//! for this registry, and pairs of `*.cert` and `*.key`, of which the first proves who asks.

use crate::error::{Error, Result};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
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
        let (roots, own) = roots(&found.authorities)?;
        if own.is_empty() {
            builder.with_root_certificates(roots)
        } else {
            let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|e| Error::Config(format!("tls: {e}")))?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Known { chains, own }))
        }
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

/// Whom to trust, and the certificates of the registry's own folder among them.
fn roots(paths: &[PathBuf]) -> Result<(RootCertStore, Vec<CertificateDer<'static>>)> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::debug!(%error, "a certificate of the system's can't be read");
    }
    // Single broken ones among the many of a system are nobody's fault here.
    roots.add_parsable_certificates(system.certs);
    let mut own = Vec::new();
    for path in paths {
        for certificate in certificates(path)? {
            roots.add(certificate.clone()).map_err(|e| unusable(path, e))?;
            own.push(certificate);
        }
    }
    Ok((roots, own))
}

/// Trusts what the authorities vouch for, and the very certificates of the registry's own folder: one that was signed
/// by itself, as small registries have it, is an authority and no server's to the chain's rules.
#[derive(Debug)]
struct Known {
    chains: Arc<WebPkiServerVerifier>,
    own: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.chains.verify_server_cert(certificate, between, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(why))
                if is_about_authority(&why) && self.own.iter().any(|own| own == certificate) =>
            {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

/// Whether a certificate is refused for being an authority's and for nothing else.
fn is_about_authority(why: &CertificateError) -> bool {
    // The library has no other name for it.
    matches!(why, CertificateError::Other(_)) && format!("{why:?}").contains("CaUsedAsEndEntity")
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
