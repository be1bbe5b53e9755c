//! Certificates: the operator's, or one that the centre makes for itself and keeps.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio_rustls::rustls::{self, ServerConfig};

use crate::config::Tls;
use cresset_pipeline::whole_file::{self, Readers};

/// Where the centre's own lies, in its folder.
const FOLDER: &str = "tls";

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("cannot use `{}`", .file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// A file holds no certificate, or no key.
    #[error("`{}` holds no certificate chain or private key in PEM", .file.display())]
    Pem {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        #[source]
        cause: pem::Error,
    },
    /// Certificate and key do not go together.
    #[error("certificate and key cannot be used together")]
    Pair(#[source] rustls::Error),
    /// No certificate could be made.
    #[error("cannot make a certificate for these names")]
    Make(#[source] rcgen::Error),
}

impl TlsError {
    fn pem(file: &Path) -> impl FnOnce(pem::Error) -> Self {
        move |cause| Self::Pem { file: file.to_owned(), cause }
    }

    fn io(file: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io { file: file.to_owned(), cause }
    }
}

/// What serves TLS, and how people can tell that it is ours.
#[derive(Clone)]
pub(crate) struct Certified {
    pub(crate) acceptor: TlsAcceptor,
    /// SHA-256 of the certificate, in hexadecimal with colons.
    pub(crate) fingerprint: String,
}

/// Loads the operator's certificate, or the centre's own, which is made where there is none yet.
pub(crate) fn load(tls: &Tls, data: &Path) -> Result<Certified, TlsError> {
    let (certificate, key) = match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
        _ => own(&tls.names, &data.join(FOLDER))?,
    };
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(&certificate).and_then(Iterator::collect).map_err(TlsError::pem(&certificate))?;
    let private = PrivateKeyDer::from_pem_file(&key).map_err(TlsError::pem(&key))?;
    let first = chain.first().ok_or(pem::Error::NoItemsFound).map_err(TlsError::pem(&certificate))?;
    let fingerprint = Sha256::digest(first).iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(TlsError::Pair)?;
    Ok(Certified { acceptor: TlsAcceptor::from(Arc::new(config)), fingerprint })
}

/// Returns the files of the centre's own certificate and key.
fn own(names: &[String], folder: &Path) -> Result<(PathBuf, PathBuf), TlsError> {
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    if certificate.exists() && key.exists() {
        return Ok((certificate, key));
    }
    fs::create_dir_all(folder).map_err(TlsError::io(folder))?;
    let mut subjects = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    subjects.extend(names.iter().cloned());
    let made = rcgen::generate_simple_self_signed(subjects).map_err(TlsError::Make)?;
    whole_file::write(&key, Readers::Owner, made.signing_key.serialize_pem().as_bytes()).map_err(TlsError::io(&key))?;
    whole_file::write(&certificate, Readers::Usual, made.cert.pem().as_bytes()).map_err(TlsError::io(&certificate))?;
    Ok((certificate, key))
}
