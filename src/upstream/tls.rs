//! TLS towards providers: the system's trust store, a provider's own authorities, the protocols offered.

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::{BuilderVerifierExt, Verifier};

use crate::upstream::provider::{HttpVersion, TlsOptions};

/// Why no TLS configuration could be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("ca_file {path} cannot be read: {reason}")]
    CaFile { path: String, reason: String },
    #[error("the system's trust store cannot be used: {0}")]
    Verifier(rustls::Error),
}

/// The crypto provider linked into this binary.
pub fn crypto() -> Arc<CryptoProvider> {
    CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

/// A client configuration for one provider.
pub(crate) fn client_config(
    options: &TlsOptions,
    version: HttpVersion,
) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(crypto())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Verifier)?;
    let mut config = match &options.ca_file {
        None => builder.with_platform_verifier().map_err(TlsError::Verifier)?.with_no_client_auth(),
        Some(path) => {
            let roots = read_certificates(path).map_err(|error| TlsError::CaFile {
                path: path.display().to_string(),
                reason: error.to_string(),
            })?;
            let verifier =
                Verifier::new_with_extra_roots(roots, crypto()).map_err(TlsError::Verifier)?;
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_no_client_auth()
        }
    };
    config.alpn_protocols = match version {
        HttpVersion::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        HttpVersion::Http1 => vec![b"http/1.1".to_vec()],
        HttpVersion::Http2 => vec![b"h2".to_vec()],
    };
    Ok(config)
}

fn read_certificates(path: &std::path::Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(io::Error::other)?
        .collect::<Result<_, _>>()
        .map_err(io::Error::other)?;
    if certificates.is_empty() {
        return Err(io::Error::other("it holds no certificate in PEM form"));
    }
    Ok(certificates)
}
