//! Where a request goes: an address that somebody typed, read as browsers read it, and judged before anything is sent.
//!
//! Every odd spelling of a host (`2130706433`, `0x7f.1`, full-width digits, capitals, a dot behind) is one of three things here: an
//! IPv4 address, an IPv6 address, or a name in lower case. So what is judged is what is gone to.

use std::fmt;

use hyper::Uri;
use hyper::http::uri::Authority;
use url::{Host, Url};

use crate::address::Reach;
use crate::permit::{Permit, address_of};

/// Longest address that is read: RFC 9110 §4.1 wants 8,000 octets to be taken. A longer one is refused.
const URL_BYTES_MAX: usize = 8000;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    url: Url,
    host: Host,
    port: u16,
}

/// Why one does not go there.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no address.
    #[error("`{url}` is no address of the web: write https://feeds.example/list.csv")]
    NoUrl {
        /// What stands there, shortened.
        url: String,
        /// Why not.
        #[source]
        cause: Option<url::ParseError>,
    },
    /// It is neither `https` nor `http`.
    #[error("`{0}:` is not gone to: write https://")]
    Scheme(String),
    /// It would go in clear.
    #[error("`{0}` is not spoken to in clear: write https://, or list `{0}` under `clear`")]
    Clear(String),
    /// It holds a name and a password.
    #[error("name and password do not belong in the address of `{0}`, which is shown and logged: write them in a file")]
    UserInfo(String),
    /// It leads where nobody has listed.
    #[error("`{host}` leads to {address} ({}), where one does not go{}", .reach.as_str(), remedy(*.reach, .address))]
    Address {
        /// The host.
        host: String,
        /// Where it leads.
        address: std::net::IpAddr,
        /// What that is.
        reach: Reach,
    },
    /// It redirects to somebody else.
    #[error("`{from}` redirects to `{to}`, and to another host nothing is followed: write that address if it is meant")]
    OtherHost {
        /// Who redirects.
        from: String,
        /// Where to.
        to: String,
    },
    /// It redirects from TLS to clear.
    #[error("`{0}` redirects from https to http, which is not followed")]
    Downgrade(String),
}

fn remedy(reach: Reach, address: &std::net::IpAddr) -> String {
    match reach {
        Reach::Nobody => String::new(),
        _ => format!(": list {address} under `private` if it is meant"),
    }
}

impl Destination {
    /// Reads an address. What is wrong with it is told; where its host leads is judged when it is resolved, and at once where it is
    /// an address itself.
    pub fn parse(text: &str, permit: &Permit) -> Result<Self, Refused> {
        let no_url = |cause| Refused::NoUrl { url: text.chars().take(200).collect(), cause };
        if text.len() > URL_BYTES_MAX {
            return Err(no_url(None));
        }
        let url = Url::parse(text).map_err(|cause| no_url(Some(cause)))?;
        Self::of(url, permit)
    }

    fn of(mut url: Url, permit: &Permit) -> Result<Self, Refused> {
        if !matches!(url.scheme(), "https" | "http") {
            return Err(Refused::Scheme(url.scheme().to_owned()));
        }
        let no_host = |url: &Url| Refused::NoUrl { url: url.to_string(), cause: Some(url::ParseError::EmptyHost) };
        url.set_fragment(None);
        // The dot says that the name is whole, which it always is here; no certificate has it.
        if let Some(name) = url.domain().and_then(|name| name.strip_suffix('.')).map(str::to_owned) {
            url.set_host(Some(&name)).map_err(|_| no_host(&url))?;
        }
        let host = url.host().ok_or_else(|| no_host(&url))?.to_owned();
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::UserInfo(host.to_string()));
        }
        if url.scheme() == "http" && !permit.is_clear(&host) {
            return Err(Refused::Clear(host.to_string()));
        }
        let port = url.port_or_known_default().ok_or_else(|| no_host(&url))?;
        let destination = Self { url, host, port };
        // Browsers let more stand in a name than HTTP does.
        if destination.authority().parse::<Authority>().is_err() || destination.path().parse::<Uri>().is_err() {
            return Err(Refused::NoUrl { url: destination.to_string(), cause: None });
        }
        if let Some(address) = address_of(&destination.host) {
            destination.check(address, permit)?;
        }
        Ok(destination)
    }

    /// Judges an address that the host leads to.
    pub(crate) fn check(&self, address: std::net::IpAddr, permit: &Permit) -> Result<(), Refused> {
        let refused = |reach| Refused::Address { host: self.host.to_string(), address, reach };
        permit.check(&self.host, address).map_err(refused)
    }

    /// Returns where an answer redirects to: the same host by the same scheme and port, or from clear to TLS.
    pub(crate) fn redirected(&self, location: &str, permit: &Permit) -> Result<Self, Refused> {
        let no_url = |cause| Refused::NoUrl { url: location.chars().take(200).collect(), cause };
        if location.len() > URL_BYTES_MAX {
            return Err(no_url(None));
        }
        let url = self.url.join(location).map_err(|cause| no_url(Some(cause)))?;
        if self.is_tls() && url.scheme() == "http" {
            return Err(Refused::Downgrade(self.host.to_string()));
        }
        let to = Self::of(url, permit)?;
        let is_same = to.host == self.host && (to.port == self.port || !self.is_tls() && to.is_tls());
        if is_same { Ok(to) } else { Err(Refused::OtherHost { from: self.authority(), to: to.authority() }) }
    }

    /// Returns whether TLS is spoken there.
    pub fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Returns the whole address. Keys may stand in it: people are shown it as it is displayed.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// Returns the host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns host and port, as `Host` and CONNECT want them.
    pub(crate) fn authority(&self) -> String {
        match self.url.port() {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.to_string(),
        }
    }

    /// Returns path and query.
    pub(crate) fn path(&self) -> &str {
        &self.url[url::Position::BeforePath..url::Position::AfterQuery]
    }
}

/// For people: scheme, host and port. Behind them keys may stand, in the path as well.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_bare = self.url.path() == "/" && self.url.query().is_none();
        write!(f, "{}://{}/{}", self.url.scheme(), self.authority(), if is_bare { "" } else { "…" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn permit(private: &[&str], clear: &[&str]) -> Permit {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        Permit::parse(&owned(private), &owned(clear)).expect("places")
    }

    fn refused(url: &str) -> String {
        let refused = Destination::parse(url, &permit(&[], &["10.0.0.1", "127.0.0.1", "localhost"]));
        refused.expect_err(url).to_string()
    }

    #[test]
    fn every_spelling_of_this_machine_is_this_machine() {
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "017700000001",
            "0177.0.0.1",
            "127.0.0.1.",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::7f00:1]",
            "１２７.０.０.１",
            "127。0。0。1",
            "%31%32%37.0.0.1",
        ] {
            let told = refused(&format!("https://{host}/feed"));
            assert!(told.contains("this machine"), "{host}: {told}");
        }
    }

    #[test]
    fn what_is_refused_says_why_and_what_to_do() {
        for (url, part) in [
            ("feeds.example/list", "write https://feeds.example"),
            ("", "no address"),
            ("https://", "no address"),
            ("https:///", "no address"),
            ("https://a b/", "no address"),
            ("https://[fe80::1%25eth0]/", "no address"),
            ("https://a.example:99999/", "no address"),
            ("https://a\"b.example/", "no address"),
            ("https://a{b}.example/", "no address"),
            ("ftp://a.example/", "`ftp:` is not gone to"),
            ("file:///etc/passwd", "`file:` is not gone to"),
            ("gopher://127.0.0.1:6379/_", "`gopher:` is not gone to"),
            ("http://a.example/", "list `a.example` under `clear`"),
            ("https://user:secret@a.example/", "write them in a file"),
            ("https://user@a.example/", "write them in a file"),
            ("https://10.0.0.1/", "list 10.0.0.1 under `private`"),
            ("http://10.0.0.1/", "list 10.0.0.1 under `private`"),
            ("https://169.254.169.254/latest", "a cloud's metadata service"),
            ("https://0.0.0.0/", "no machine in particular"),
            ("https://0/", "no machine in particular"),
        ] {
            let told = refused(url);
            assert!(told.contains(part), "{url}: {told}");
            assert!(!told.contains("secret"), "{told}");
        }
        assert!(refused(&format!("https://a.example/{}", "a".repeat(URL_BYTES_MAX))).len() < 400);
    }

    #[test]
    fn a_name_is_one_name_however_it_is_written() {
        for (url, host, port) in [
            ("https://Feeds.Example", "feeds.example", 443),
            ("https://feeds.example.:8443/a", "feeds.example", 8443),
            ("https://bücher.example/", "xn--bcher-kva.example", 443),
            ("https://feeds.example:443/", "feeds.example", 443),
            ("HTTPS:\\\\feeds.example\\a", "feeds.example", 443),
        ] {
            let destination = Destination::parse(url, &Permit::default()).expect(url);
            assert_eq!((destination.host().to_string(), destination.port()), (host.to_owned(), port), "{url}");
        }
    }

    #[test]
    fn a_redirect_stays_with_its_host() {
        let permit = permit(&[], &["a.example"]);
        let at = |url: &str| Destination::parse(url, &permit).expect(url);
        let to = |from: &str, location: &str| at(from).redirected(location, &permit).map(|to| to.url.to_string());
        assert_eq!(to("https://a.example/x/y?z", "../w#f"), Ok("https://a.example/w".into()));
        assert_eq!(to("https://a.example/x", "//a.example:443/y"), Ok("https://a.example/y".into()));
        assert_eq!(to("http://a.example/x", "https://A.example/x"), Ok("https://a.example/x".into()));
        for (from, location) in [
            ("https://a.example/", "https://b.example/"),
            ("https://a.example/", "//b.example/"),
            ("https://a.example/", "https://a.example:8443/"),
            ("https://a.example/", "https://a.example.evil.example/"),
            ("https://a.example/", "http://a.example/"),
            ("http://a.example/", "http://a.example:81/"),
            ("https://a.example/", "https://127.0.0.1/"),
            ("https://a.example/", "file:///etc/passwd"),
            ("https://a.example/", "https://a.example@b.example/"),
            ("https://a.example/", "https://user@a.example/"),
            ("https://a.example/", "\\\\b.example\\x"),
        ] {
            assert!(to(from, location).is_err(), "{from} {location}");
        }
    }

    #[test]
    fn keys_in_an_address_are_not_shown() {
        for path in ["/feed?key=secret", "/exports/secret/recent.csv", "/?secret"] {
            let destination = Destination::parse(&format!("https://a.example:8443{path}"), &Permit::default());
            let destination = destination.expect(path);
            assert_eq!(destination.to_string(), "https://a.example:8443/…", "{path}");
            assert_eq!(destination.path(), path);
        }
        let bare = Destination::parse("https://a.example/", &Permit::default()).expect("an address");
        assert_eq!(bare.to_string(), "https://a.example/");
    }

    proptest! {
        /// Whatever is typed, what is gone to without a list is public, by name or in fact, and over TLS.
        #[test]
        fn nothing_private_is_reached_by_spelling(text in "(https?:)?[/\\\\]{0,3}[0-9a-fx.:\\[\\]@%]{1,24}/?") {
            if let Ok(destination) = Destination::parse(&text, &Permit::default()) {
                prop_assert!(destination.is_tls());
                if let Some(address) = address_of(destination.host()) {
                    prop_assert_eq!(Reach::of(address), Reach::Public, "{}", text);
                }
            }
        }

        /// Every number that is an IPv4 address in some notation is that address.
        #[test]
        fn numbers_are_addresses(bits in any::<u32>()) {
            let address = std::net::Ipv4Addr::from_bits(bits);
            for host in [format!("{bits}"), format!("0x{bits:x}"), format!("0{bits:o}"), format!("{address}.")] {
                let read = Destination::parse(&format!("https://{host}/"), &Permit::default());
                let judged = Destination::parse(&format!("https://{address}/"), &Permit::default());
                prop_assert_eq!(read, judged, "{}", host);
            }
        }

        #[test]
        fn what_is_read_can_be_asked_for(host in "[!-~]{1,20}", path in "[ -~]{0,40}") {
            if let Ok(to) = Destination::parse(&format!("https://{host}.example/{path}"), &Permit::default()) {
                let uri: Uri = to.path().parse().expect("a path");
                prop_assert_eq!(uri.to_string(), to.path());
            }
        }

        #[test]
        fn any_text_is_an_address_or_an_error(text in "\\PC{0,60}", location in "\\PC{0,60}") {
            let _ = Destination::parse(&text, &Permit::default());
            let at = Destination::parse("https://a.example/", &Permit::default()).expect("an address");
            if let Ok(to) = at.redirected(&location, &Permit::default()) {
                prop_assert_eq!((to.host(), to.port(), to.is_tls()), (at.host(), at.port(), true));
            }
        }
    }
}
