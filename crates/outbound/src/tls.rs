//! Whose certificates are believed: the system's authorities, and those of a file, beside them or in their place.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// Whose certificates are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorities {
    /// Those that the system believes.
    System,
    /// Those, and those in a file: of whoever looks into TLS at the border.
    SystemAnd(PathBuf),
    /// Those in a file alone.
    Only(PathBuf),
}

/// Why nobody can be believed.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file holds no certificates.
    #[error("`{}` holds no certificates in PEM", .file.display())]
    Pem {
        /// The file.
        file: PathBuf,
        /// What is wrong with it, where it is not just empty.
        #[source]
        cause: Option<pem::Error>,
    },
    /// A certificate cannot be that of an authority.
    #[error("`{}` holds a certificate that cannot be believed", .file.display())]
    Certificate {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: rustls::Error,
    },
    /// TLS itself cannot be had.
    #[error("no TLS can be spoken")]
    Tls(#[from] rustls::Error),
}

/// TLS, with whoever these authorities vouch for.
#[derive(Clone)]
pub struct Tls(TlsConnector);

impl Tls {
    /// Loads the authorities.
    pub fn load(authorities: &Authorities) -> Result<Self, TlsError> {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions()?;
        let mut config = builder.with_root_certificates(load_roots(authorities)?).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    pub(crate) fn connector(&self) -> &TlsConnector {
        &self.0
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// Loads the certificates of authorities.
pub fn load_roots(authorities: &Authorities) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    if !matches!(authorities, Authorities::Only(_)) {
        // Those that cannot be read vouch for nobody.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if let Authorities::SystemAnd(file) | Authorities::Only(file) = authorities {
        add_file(&mut roots, file)?;
    }
    Ok(roots)
}

fn add_file(roots: &mut RootCertStore, file: &Path) -> Result<(), TlsError> {
    let no_pem = |cause| TlsError::Pem { file: file.to_owned(), cause };
    let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|cause| no_pem(Some(cause)))?;
    if certificates.is_empty() {
        return Err(no_pem(None));
    }
    certificates.into_iter().try_for_each(|certificate| {
        roots.add(certificate).map_err(|cause| TlsError::Certificate { file: file.to_owned(), cause })
    })
}
