//! From a destination to a connection that speaks HTTP: resolved once, judged, connected to that very address.
//!
//! Where a name has several addresses all of them must be allowed: one that mixes public and private ones is either wrong or lies, and
//! nothing of it is believed. Through a proxy it is the proxy that resolves, and that judges; an address that is typed as such is judged
//! here all the same.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::rustls::pki_types::ServerName;
use url::{Host, Url};

use crate::client::{Bounds, FetchError, within};
use crate::credentials::{CredentialsError, Scheme};
use crate::destination::{Destination, Refused};
use crate::permit::{Permit, address_of};
use crate::tls::Tls;

/// Addresses of a name that are tried, one behind the other: one of each kind, and one more of each.
const ADDRESSES_TRIED_MAX: usize = 4;
/// Addresses that a name may have. The largest pools answer with some tens.
const ADDRESSES_MAX: usize = 256;
/// Most headers of an answer, and most bytes of them. More ends the connection.
const HEADERS_MAX: usize = 100;
const HEADER_BYTES_MAX: usize = 64 << 10;

type Resolved = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Who turns names into addresses.
#[derive(Clone)]
pub struct Resolver(Arc<dyn Fn(String) -> Resolved + Send + Sync>);

impl Resolver {
    /// Returns the system's.
    pub fn system() -> Self {
        Self::new(|name| async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).take(ADDRESSES_MAX + 1).collect())
        })
    }

    /// Returns one that asks `resolve`.
    pub fn new<F>(resolve: impl Fn(String) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static,
    {
        Self(Arc::new(move |name| Box::pin(resolve(name))))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

/// A proxy that lets connections through (RFC 9110 §9.3.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    host: String,
    port: u16,
    /// What lets us in there.
    password: Option<HeaderValue>,
}

impl Proxy {
    /// Reads `http://HOST:PORT`. Where that leads is not judged: who writes the configuration has named it.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let no_proxy = |cause| Refused::NoUrl { url: text.chars().take(200).collect(), cause };
        let url = Url::parse(text).map_err(|cause| no_proxy(Some(cause)))?;
        let is_plain =
            url.scheme() == "http" && url.username().is_empty() && url.path() == "/" && url.query().is_none();
        match (url.host_str(), url.port_or_known_default()) {
            (Some(host), Some(port)) if is_plain => {
                Ok(Self { host: host.trim_matches(['[', ']']).to_owned(), port, password: None })
            }
            _ => Err(no_proxy(None)),
        }
    }

    /// Has it let us in by `name:password` (RFC 9110 §11.7.2, RFC 7617). They go to the proxy in clear, and to nobody else.
    pub fn with_password(self, pair: &str) -> Result<Self, CredentialsError> {
        let (_, value) = Scheme::Basic.header(pair)?;
        Ok(Self { password: Some(value), ..self })
    }
}

/// A connection that speaks HTTP; it ends when this is dropped.
pub(crate) struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    _running: JoinSet<()>,
}

impl Connection {
    pub(crate) async fn send(&mut self, request: Request<Empty<Bytes>>) -> Result<Response<Incoming>, hyper::Error> {
        self.sender.send_request(request).await
    }

    async fn begin(stream: Box<dyn Stream>) -> Result<Self, hyper::Error> {
        let mut builder = http1::Builder::new();
        builder.max_headers(HEADERS_MAX).max_buf_size(HEADER_BYTES_MAX);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        let mut running = JoinSet::new();
        // What it ends with is told by the answer as well.
        running.spawn(async move { drop(connection.with_upgrades().await) });
        Ok(Self { sender, _running: running })
    }
}

/// What bytes go over.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Makes connections.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    pub(crate) permit: Permit,
    pub(crate) tls: Tls,
    pub(crate) resolver: Resolver,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) bounds: Bounds,
}

impl Connector {
    pub(crate) async fn connect(&self, to: &Destination) -> Result<Connection, FetchError> {
        let proxy = self.proxy.as_ref().filter(|_| !self.permit.is_listed(to.host()));
        let stream: Box<dyn Stream> = match proxy {
            Some(proxy) => self.through(proxy, to).await?,
            None => Box::new(self.dial(to).await?),
        };
        let stream = if to.is_tls() { self.encrypt(to, stream).await? } else { stream };
        Ok(Connection::begin(stream).await?)
    }

    /// Connects to one of the addresses of a host, each of which was judged.
    async fn dial(&self, to: &Destination) -> Result<TcpStream, FetchError> {
        let addresses = self.resolve(to).await?;
        // Before any of them is tried: the order is the other's choice.
        addresses.iter().try_for_each(|address| to.check(*address, &self.permit))?;
        let mut failed = io::Error::from(io::ErrorKind::NotFound);
        for address in addresses.into_iter().take(ADDRESSES_TRIED_MAX) {
            let connecting = TcpStream::connect(SocketAddr::new(address, to.port()));
            match within(self.bounds.connect, "a connection", connecting).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failed = error,
                Err(late) => failed = io::Error::other(late),
            }
        }
        Err(FetchError::Connect { host: to.host().to_string(), cause: failed })
    }

    async fn resolve(&self, to: &Destination) -> Result<Vec<IpAddr>, FetchError> {
        let Host::Domain(name) = to.host() else { return Ok(address_of(to.host()).into_iter().collect()) };
        let unresolved = |cause| FetchError::Resolve { host: name.clone(), cause };
        let resolving = (self.resolver.0)(name.clone());
        let found = within(self.bounds.connect, "resolving a name", resolving).await?.map_err(unresolved)?;
        match found.len() {
            0 => Err(unresolved(io::Error::other("it has no address"))),
            1..=ADDRESSES_MAX => Ok(found),
            _ => Err(unresolved(io::Error::other("it has too many addresses"))),
        }
    }

    async fn encrypt(&self, to: &Destination, stream: Box<dyn Stream>) -> Result<Box<dyn Stream>, FetchError> {
        let no_tls = |cause| FetchError::Tls { host: to.host().to_string(), cause };
        let name = match to.host() {
            Host::Domain(name) => {
                ServerName::try_from(name.clone()).map_err(|error| no_tls(io::Error::other(error)))?
            }
            Host::Ipv4(address) => ServerName::from(IpAddr::from(*address)),
            Host::Ipv6(address) => ServerName::from(IpAddr::from(*address)),
        };
        let handshake = self.tls.connector().connect(name, stream);
        Ok(Box::new(within(self.bounds.connect, "the handshake", handshake).await?.map_err(no_tls)?))
    }

    /// Has a proxy connect.
    async fn through(&self, proxy: &Proxy, to: &Destination) -> Result<Box<dyn Stream>, FetchError> {
        let (address, shown) = ((&*proxy.host, proxy.port), format!("{}:{}", proxy.host, proxy.port));
        let stream = within(self.bounds.connect, "a connection to the proxy", TcpStream::connect(address)).await?;
        let stream = stream.map_err(|cause| FetchError::Connect { host: shown.clone(), cause })?;
        let mut connection = Connection::begin(Box::new(stream)).await?;
        let authority = format!("{}:{}", to.host(), to.port());
        let mut request = Request::new(Empty::new());
        *request.method_mut() = Method::CONNECT;
        *request.uri_mut() = authority.parse().expect("host and port are an authority");
        request.headers_mut().insert(HOST, HeaderValue::try_from(&authority).expect("a host is visible text"));
        if let Some(password) = &proxy.password {
            request.headers_mut().insert(PROXY_AUTHORIZATION, password.clone());
        }
        let answer = within(self.bounds.connect, "the proxy's answer", connection.send(request)).await??;
        if !answer.status().is_success() {
            let (status, host) = (answer.status().as_u16(), to.host().to_string());
            return Err(FetchError::Proxy { proxy: shown, status, host });
        }
        Ok(Box::new(TokioIo::new(hyper::upgrade::on(answer).await?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_host_and_port() {
        let proxy = |text: &str| Proxy::parse(text).map(|proxy| (proxy.host, proxy.port)).ok();
        assert_eq!(proxy("http://proxy.example:3128"), Some(("proxy.example".into(), 3128)));
        assert_eq!(proxy("http://[2001:db8::1]:8080/"), Some(("2001:db8::1".into(), 8080)));
        for wrong in ["proxy:3128", "https://proxy.example", "http://u@proxy.example", "http://proxy.example/x", ""] {
            assert_eq!(proxy(wrong), None, "{wrong}");
        }
    }
}
