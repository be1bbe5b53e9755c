//! TLS to a centre: whom its certificate is believed from.

use std::io;
use std::path::Path;
use std::sync::Arc;

use cresset_archive::with_causes;
use cresset_outbound::{Authorities, load_roots};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{self, CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::ClientError;

/// What TLS is spoken with.
pub(super) struct Tls(Option<TlsConnector>);

impl Tls {
    /// Speaks with nobody yet.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Believes the certificate of this SHA-256, or those that the authorities in this file signed, or the system's.
    pub(super) fn new(ca: Option<&Path>, fingerprint: Option<&String>) -> Result<Self, ClientError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let wrong = |error: Error| ClientError::Args(format!("no TLS can be spoken: {error}"));
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(wrong)?;
        let config = match (fingerprint, ca) {
            (Some(fingerprint), None) => {
                let pinned = Pinned { sha256: parse_fingerprint(fingerprint)?, provider };
                builder.dangerous().with_custom_certificate_verifier(Arc::new(pinned)).with_no_client_auth()
            }
            (_, ca) => builder.with_root_certificates(roots(ca)?).with_no_client_auth(),
        };
        Ok(Self(Some(TlsConnector::from(Arc::new(config)))))
    }

    pub(super) async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let connector = self.0.as_ref().ok_or_else(|| io::Error::other("nobody is believed"))?;
        connector.connect(name, stream).await
    }
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, ClientError> {
    let authorities = ca.map_or(Authorities::System, |file| Authorities::Only(file.to_owned()));
    load_roots(&authorities).map_err(|error| ClientError::Args(with_causes(&error)))
}

/// Reads a SHA-256 in hexadecimal, with or without colons.
fn parse_fingerprint(text: &str) -> Result<[u8; 32], ClientError> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
    let byte = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    let sha256 = bytes.and_then(|bytes| bytes.try_into().ok());
    sha256.ok_or_else(|| ClientError::Args(format!("`{text}` is no SHA-256: `cresset serve` prints that of a centre")))
}

/// Believes one certificate, whoever signed it and whatever name it has.
#[derive(Debug)]
struct Pinned {
    sha256: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found: [u8; 32] = Sha256::digest(certificate).into();
        if found == self.sha256 {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_serve_prints_it() {
        let printed = vec!["AB"; 32].join(":");
        assert_eq!(parse_fingerprint(&printed).ok(), Some([0xab; 32]));
        assert_eq!(parse_fingerprint(&"ab".repeat(32)).ok(), Some([0xab; 32]));
        for wrong in ["", "AB", &"ab".repeat(33), &"zz".repeat(32), &"ü".repeat(32)] {
            assert!(parse_fingerprint(wrong).is_err(), "{wrong}");
        }
    }
}
