//! Certificates made for one test: an authority, and names it vouches for.

use std::path::PathBuf;
use std::sync::Arc;

use pinhole::upstream::tls;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// An authority with one certificate, as files and as acceptors.
pub struct Certificates {
    folder: TempDir,
    chain: Vec<rustls::pki_types::CertificateDer<'static>>,
    key: KeyPair,
    authority: rustls::pki_types::CertificateDer<'static>,
}

impl Certificates {
    /// For one name.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, authority_key).expect("an authority");
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &authority).expect("a certificate");
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("a file");
        };
        write("ca.pem", &authority.as_ref().pem());
        write("cert.pem", &certificate.pem());
        write("key.pem", &key.serialize_pem());
        Self {
            chain: vec![certificate.der().clone()],
            authority: authority.as_ref().der().clone(),
            key,
            folder,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The server's side.
    pub fn acceptor(&self, protocols: &[&str]) -> TlsAcceptor {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).expect("a key");
        let mut config = rustls::ServerConfig::builder_with_provider(tls::crypto())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), key)
            .expect("a certificate with its key");
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    /// A client that trusts this authority alone.
    pub fn connector(&self, protocols: &[&str]) -> TlsConnector {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.authority.clone()).expect("an authority");
        let mut config = rustls::ClientConfig::builder_with_provider(tls::crypto())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }
}
