//! Where a centre is, and what lets us in: what was typed, the environment, or what the centre of a folder has written down.

use std::env;
use std::net::IpAddr;

use cresset_centre::Local;
use hyper::Uri;

use super::ClientError;
use super::tls::Tls;
use crate::args::CentreArgs;

/// Where a centre is.
pub(super) struct Place {
    /// As a person writes it.
    pub(super) url: String,
    /// Host and port, as they stand in a request.
    pub(super) authority: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) token: String,
    /// What TLS is spoken with; none in clear.
    pub(super) tls: Option<Tls>,
}

impl Place {
    pub(super) fn of(args: &CentreArgs) -> Result<Self, ClientError> {
        let url = args.url.clone().or_else(|| env::var("CRESSET_URL").ok());
        let token = args.token.clone().or_else(|| env::var("CRESSET_TOKEN").ok());
        let (url, token, fingerprint) = match (url, token) {
            (Some(url), Some(token)) => (url, token, None),
            (Some(_), None) => {
                let wanted = "a centre at an address wants a token: --token, or CRESSET_TOKEN in the environment";
                return Err(ClientError::Args(wanted.into()));
            }
            (None, token) => {
                let local = Local::load(&args.data).ok_or_else(|| ClientError::Nowhere { data: args.data.clone() })?;
                (local.url, token.unwrap_or(local.token), local.fingerprint)
            }
        };
        let mut place = Self::parse(&url, token)?;
        if place.tls.is_some() {
            place.tls = Some(Tls::new(args.ca.as_deref(), args.fingerprint.as_ref().or(fingerprint.as_ref()))?);
        }
        Ok(place)
    }

    fn parse(url: &str, token: String) -> Result<Self, ClientError> {
        let wrong = |why: &str| ClientError::Args(format!("`{url}`: {why}; write https://centre.example:8420"));
        let uri: Uri = url.parse().map_err(|_| wrong("no address"))?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong("neither http nor https")),
        };
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let authority = authority.ok_or_else(|| wrong("no host"))?;
        if uri.path_and_query().is_some_and(|path| path.as_str() != "/") {
            return Err(wrong("something behind host and port"));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        if !is_tls && !is_this_machine(&host) {
            return Err(wrong("a token is not sent in clear off this machine"));
        }
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let tls = is_tls.then(Tls::none);
        Ok(Self { url: url.to_owned(), authority: authority.to_string(), host, port, token, tls })
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Returns a text as a part of an address.
pub(crate) fn percent(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => written.push(char::from(byte)),
            byte => written.push_str(&format!("%{byte:02X}")),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_nowhere_in_clear() {
        let place = |url: &str| Place::parse(url, "t".into());
        for url in ["http://127.0.0.1:8420", "http://[::1]:8420/", "http://localhost", "https://centre.example"] {
            assert!(place(url).is_ok(), "{url}");
        }
        for url in ["http://centre.example:8420", "http://192.0.2.1", "ftp://localhost", "centre", "https://a@b"] {
            assert!(place(url).is_err(), "{url}");
        }
        assert_eq!(
            place("https://[2001:db8::1]:1").map(|place| (place.host, place.port)).ok(),
            Some(("2001:db8::1".into(), 1))
        );
    }

    #[test]
    fn a_part_of_an_address_is_only_that() {
        assert_eq!(percent("a b&c=d/ü"), "a%20b%26c%3Dd%2F%C3%BC");
    }
}
