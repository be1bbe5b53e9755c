//! What lets us in at one host, and is sent to no other.
//!
//! Credentials are made for a destination, and know it: they go to its host and port, over TLS alone, whatever they are handed to.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use url::Host;

use crate::destination::Destination;

/// Longest secret: tokens of OpenID have some kilobytes.
const SECRET_BYTES_MAX: usize = 8 << 10;

/// In what form a secret is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// `Authorization: Bearer …` (RFC 6750).
    Bearer,
    /// `Authorization: Basic …` (RFC 7617), of `name:password`.
    Basic,
    /// In a header of this name.
    Header(HeaderName),
}

/// Why a secret cannot be sent. It is not quoted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// It is empty, too long, or has characters that no header can have.
    #[error("the secret is empty, longer than {SECRET_BYTES_MAX} bytes, or has characters that no header can have")]
    Secret,
    /// There is no colon between name and password.
    #[error("a name and a password are written as name:password")]
    Pair,
    /// The name of a header is none.
    #[error("`{0}` is no name of a header: write bearer, basic or a name such as X-Api-Key")]
    Name(String),
    /// It would go in clear.
    #[error("a secret is not sent in clear: write https://")]
    Clear,
}

impl Scheme {
    /// Reads `bearer`, `basic` or the name of a header.
    pub fn parse(text: &str) -> Result<Self, CredentialsError> {
        match text {
            "bearer" => Ok(Self::Bearer),
            "basic" => Ok(Self::Basic),
            name => name.parse().map(Self::Header).map_err(|_| CredentialsError::Name(name.to_owned())),
        }
    }

    /// Returns the header that a secret is sent in.
    pub(crate) fn header(&self, secret: &str) -> Result<(HeaderName, HeaderValue), CredentialsError> {
        let secret = secret.trim();
        if secret.is_empty() || secret.len() > SECRET_BYTES_MAX {
            return Err(CredentialsError::Secret);
        }
        let (name, value) = match self {
            Self::Bearer => (AUTHORIZATION, format!("Bearer {secret}")),
            Self::Basic if !secret.contains(':') => return Err(CredentialsError::Pair),
            Self::Basic => (AUTHORIZATION, format!("Basic {}", STANDARD.encode(secret))),
            Self::Header(name) => (name.clone(), secret.to_owned()),
        };
        let mut value = HeaderValue::try_from(value).map_err(|_| CredentialsError::Secret)?;
        value.set_sensitive(true);
        Ok((name, value))
    }
}

/// What lets us in at one host.
#[derive(Clone)]
pub struct Credentials {
    host: Host,
    port: u16,
    name: HeaderName,
    value: HeaderValue,
}

impl Credentials {
    /// Makes credentials of a secret for one destination.
    pub fn new(scheme: &Scheme, secret: &str, to: &Destination) -> Result<Self, CredentialsError> {
        if !to.is_tls() {
            return Err(CredentialsError::Clear);
        }
        let (name, value) = scheme.header(secret)?;
        Ok(Self { host: to.host().clone(), port: to.port(), name, value })
    }

    /// Returns the header for a destination, where it is the one that they were made for.
    pub(crate) fn header(&self, to: &Destination) -> Option<(HeaderName, HeaderValue)> {
        let is_for_it = to.is_tls() && *to.host() == self.host && to.port() == self.port;
        is_for_it.then(|| (self.name.clone(), self.value.clone()))
    }
}

/// Without the secret.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({} for {}:{})", self.name, self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Permit;

    fn to(url: &str) -> Destination {
        let permit = Permit::parse(&[], &["a.example".into()]).expect("places");
        Destination::parse(url, &permit).expect("an address")
    }

    #[test]
    fn a_secret_goes_to_its_host_over_tls_alone() {
        let credentials = Credentials::new(&Scheme::Bearer, "secret\n", &to("https://a.example/x")).expect("one");
        let header = credentials.header(&to("https://A.example:443/y")).expect("the same host");
        assert_eq!((header.0, header.1.to_str().expect("text")), (AUTHORIZATION, "Bearer secret"));
        for other in ["https://b.example/", "https://a.example:8443/", "https://b.a.example/", "http://a.example/"] {
            assert!(credentials.header(&to(other)).is_none(), "{other}");
        }
        let in_clear = Credentials::new(&Scheme::Bearer, "secret", &to("http://a.example/"));
        assert_eq!(in_clear.expect_err("in clear"), CredentialsError::Clear);
    }

    #[test]
    fn each_scheme_has_its_header() {
        let value = |scheme: &str, secret: &str| {
            let scheme = Scheme::parse(scheme)?;
            let credentials = Credentials::new(&scheme, secret, &to("https://a.example/"))?;
            let (name, value) = credentials.header(&to("https://a.example/")).expect("the same host");
            Ok::<_, CredentialsError>(format!("{name}: {}", value.to_str().expect("text")))
        };
        assert_eq!(
            value("basic", "Aladdin:open sesame").as_deref(),
            Ok("authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
        );
        assert_eq!(value("X-Api-Key", "k").as_deref(), Ok("x-api-key: k"));
        assert_eq!(value("basic", "alone"), Err(CredentialsError::Pair));
        assert_eq!(value("bearer", " \n"), Err(CredentialsError::Secret));
        assert_eq!(value("bearer", "two\nlines"), Err(CredentialsError::Secret));
        assert!(matches!(value("no header", "k"), Err(CredentialsError::Name(_))));
    }

    #[test]
    fn a_secret_is_shown_nowhere() {
        let credentials = Credentials::new(&Scheme::Bearer, "topsecret", &to("https://a.example/")).expect("one");
        let shown = format!("{credentials:?} {:?}", credentials.value);
        assert!(!shown.contains("topsecret"), "{shown}");
    }
}
