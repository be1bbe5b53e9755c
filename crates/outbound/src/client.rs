//! The client: one request, from an address to a body, within its bounds.
//!
//! A name is resolved once, every address that comes of it is judged, and the connection goes to one of those very addresses: nothing is
//! resolved again behind the judgement. `Host` and the certificate are by the name. Redirects come back here and are judged anew.
//! `tests/it/main.rs` proves it against servers that lie.

use std::io::Write;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, DATE, ETAG, HOST, HeaderMap, HeaderName, HeaderValue,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION, RETRY_AFTER, USER_AGENT,
};
use hyper::{Method, Request, Response, StatusCode};
use tokio::time::timeout;

use crate::body::{ACCEPTED, Body, BodyError};
use crate::connect::{Connection, Connector, Proxy, Resolver};
use crate::credentials::Credentials;
use crate::destination::{Destination, Refused};
use crate::permit::Permit;
use crate::tls::Tls;

/// Redirects that are followed, one behind the other. Within one host more than two are a loop.
const REDIRECTS_MAX: usize = 5;
/// Longest validator that is kept: they are made of digests and times.
const VALIDATOR_BYTES_MAX: usize = 1024;
/// Longest time that an answer can ask us to wait.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// How long things may take. What takes longer is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// A connection to one address; TLS over it; a name resolved: each.
    pub connect: Duration,
    /// The beginning of an answer.
    pub answer: Duration,
    /// Between two parts of a body.
    pub quiet: Duration,
    /// Everything, redirects included: a gigabyte at 10 Mbit/s takes 14 minutes.
    pub whole: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(10), answer: seconds(30), quiet: seconds(30), whole: seconds(20 * 60) }
    }
}

/// What a server said of a version of a thing, by which it knows later whether it has another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    /// `ETag`.
    pub etag: Option<String>,
    /// `Last-Modified`.
    pub last_modified: Option<String>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Where.
    pub to: &'a Destination,
    /// What lets us in.
    pub credentials: Option<&'a Credentials>,
    /// Of the version that is here already; empty where none is.
    pub known: &'a Validators,
    /// Longest body that is taken, in bytes, as it comes and unpacked, inclusive.
    pub bytes_max: u64,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The thing itself: it was written, whole.
    Whole {
        /// Bytes that were written.
        bytes: u64,
        /// What to ask with the next time.
        validators: Validators,
    },
    /// What is here already is what there is.
    Unchanged,
    /// Something else.
    Status {
        /// The status of HTTP.
        status: u16,
        /// How long the server asks us to wait.
        retry_after: Option<Duration>,
    },
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// One does not go there.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The name leads nowhere.
    #[error("`{host}` cannot be resolved")]
    Resolve {
        /// The name.
        host: String,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// Nobody takes the connection.
    #[error("cannot connect to `{host}`")]
    Connect {
        /// The host.
        host: String,
        /// What the system said of the last address.
        #[source]
        cause: std::io::Error,
    },
    /// No TLS comes about: mostly, nobody vouches for the certificate.
    #[error("no TLS with `{host}`; if its authority is one of your own, name it with `ca`")]
    Tls {
        /// The host.
        host: String,
        /// What is wrong.
        #[source]
        cause: std::io::Error,
    },
    /// The proxy does not let us through.
    #[error("the proxy `{proxy}` answers {status} for `{host}`{}", if *.status == 407 { ": it wants a name and a password, or others" } else { "" })]
    Proxy {
        /// The proxy.
        proxy: String,
        /// The status of its answer.
        status: u16,
        /// The host.
        host: String,
    },
    /// What comes is no HTTP, or breaks off.
    #[error("the answer is no HTTP, or breaks off")]
    Broken(#[from] hyper::Error),
    /// It takes too long.
    #[error("{what} takes longer than {} s", .within.as_secs_f32())]
    Late {
        /// What does.
        what: &'static str,
        /// How long it may take.
        within: Duration,
    },
    /// Redirects lead on and on.
    #[error("more than {REDIRECTS_MAX} redirects, one behind the other")]
    Redirects,
    /// The body cannot be had.
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// Waits within a bound.
pub(crate) async fn within<T>(
    within: Duration,
    what: &'static str,
    future: impl Future<Output = T>,
) -> Result<T, FetchError> {
    timeout(within, future).await.map_err(|_| FetchError::Late { what, within })
}

/// The client.
#[derive(Debug, Clone)]
pub struct Client {
    connector: Connector,
    bounds: Bounds,
    user_agent: HeaderValue,
}

impl Client {
    /// Returns a client that goes where `permit` lets it, and names itself `cresset/VERSION`.
    pub fn new(permit: Permit, tls: Tls) -> Self {
        let bounds = Bounds::default();
        let user_agent = HeaderValue::from_static(concat!("cresset/", env!("CARGO_PKG_VERSION")));
        Self {
            connector: Connector { permit, tls, resolver: Resolver::system(), proxy: None, bounds },
            bounds,
            user_agent,
        }
    }

    /// Sets other bounds.
    #[must_use]
    pub fn with_bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self.connector.bounds = bounds;
        self
    }

    /// Has names resolved by somebody else than the system.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Resolver) -> Self {
        self.connector.resolver = resolver;
        self
    }

    /// Goes through a proxy, but to what is listed as private, which is reached from here.
    #[must_use]
    pub fn with_proxy(mut self, proxy: Option<Proxy>) -> Self {
        self.connector.proxy = proxy;
        self
    }

    /// Asks for a thing, and writes it to `sink` as it comes, unpacked. What was written counts only where the answer is
    /// [`Answer::Whole`].
    pub async fn fetch(&self, ask: Ask<'_>, sink: &mut (dyn Write + Send)) -> Result<Answer, FetchError> {
        within(self.bounds.whole, "all of it", self.follow(ask, sink)).await?
    }

    async fn follow(&self, ask: Ask<'_>, sink: &mut (dyn Write + Send)) -> Result<Answer, FetchError> {
        let mut to = ask.to.clone();
        for _ in 0..=REDIRECTS_MAX {
            let (connection, answer) = self.ask(&to, ask).await?;
            match location(&answer) {
                Some(location) => to = to.redirected(&location, &self.connector.permit)?,
                None => return self.take(connection, answer, ask, sink).await,
            }
        }
        Err(FetchError::Redirects)
    }

    /// Sends the request, and returns the beginning of its answer, and what keeps the rest coming.
    async fn ask(&self, to: &Destination, ask: Ask<'_>) -> Result<(Connection, Response<Incoming>), FetchError> {
        let mut connection = self.connector.connect(to).await?;
        let answer = within(self.bounds.answer, "the answer", connection.send(self.request(to, ask))).await??;
        Ok((connection, answer))
    }

    fn request(&self, to: &Destination, ask: Ask<'_>) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = to.path().parse().expect("it was read as one");
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, self.user_agent.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED));
        let known = [(IF_NONE_MATCH, &ask.known.etag), (IF_MODIFIED_SINCE, &ask.known.last_modified)];
        let known = known.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?.parse().ok()?)));
        headers.extend(known.map(|(name, value): (HeaderName, HeaderValue)| (name, value)));
        headers.extend(ask.credentials.and_then(|credentials| credentials.header(to)));
        headers.insert(HOST, to.authority().parse().expect("it was read as one"));
        request
    }

    async fn take(
        &self,
        connection: Connection,
        answer: Response<Incoming>,
        ask: Ask<'_>,
        sink: &mut (dyn Write + Send),
    ) -> Result<Answer, FetchError> {
        let (head, mut incoming) = answer.into_parts();
        let is_conditional = *ask.known != Validators::default();
        match head.status {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if is_conditional => return Ok(Answer::Unchanged),
            status => return Ok(Answer::Status { status: status.as_u16(), retry_after: retry_after(&head.headers) }),
        }
        let length = text(&head.headers, &CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        if length.is_some_and(|length| length > ask.bytes_max) {
            return Err(BodyError::TooLong { bytes_max: ask.bytes_max }.into());
        }
        let encoding =
            head.headers.get_all(CONTENT_ENCODING).iter().map(|name| String::from_utf8_lossy(name.as_bytes()));
        let encoding = encoding.collect::<Vec<_>>().join(", ");
        let mut body = Body::new(Some(&encoding), ask.bytes_max, sink)?;
        while let Some(frame) = within(self.bounds.quiet, "the next part of the answer", incoming.frame()).await? {
            if let Ok(data) = frame?.into_data() {
                body.take(&data)?;
            }
        }
        let bytes = body.finish()?;
        drop(connection);
        Ok(Answer::Whole { bytes, validators: validators(&head.headers) })
    }
}

/// Returns where an answer redirects to, where it does.
fn location(answer: &Response<Incoming>) -> Option<String> {
    let is_redirect = matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    text(answer.headers(), &LOCATION).filter(|_| is_redirect).map(str::to_owned)
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn validators(headers: &HeaderMap) -> Validators {
    let kept = |name| text(headers, name).filter(|value| value.len() <= VALIDATOR_BYTES_MAX).map(str::to_owned);
    Validators { etag: kept(&ETAG), last_modified: kept(&LAST_MODIFIED) }
}

/// Returns how long to wait: in seconds, or until a time by the server's own clock (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let wanted = text(headers, &RETRY_AFTER)?.trim();
    let wait = match wanted.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let time = |text: &str| httpdate::parse_http_date(text).ok();
            time(wanted)?.duration_since(time(text(headers, &DATE)?)?).unwrap_or_default()
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_may_ask_us_to_wait_in_seconds_or_until_a_time() {
        let wait = |headers: &[(HeaderName, &'static str)]| {
            retry_after(&headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect())
        };
        let date = (DATE, "Sun, 06 Nov 1994 08:49:37 GMT");
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(wait(&[(RETRY_AFTER, " 120 ")]), seconds(120));
        assert_eq!(wait(&[(RETRY_AFTER, "Sun, 06 Nov 1994 08:50:37 GMT"), date.clone()]), seconds(60));
        assert_eq!(wait(&[(RETRY_AFTER, "Sun, 06 Nov 1994 08:40:37 GMT"), date.clone()]), seconds(0));
        assert_eq!(wait(&[(RETRY_AFTER, "99999999999")]), Some(RETRY_AFTER_MAX));
        for none in ["soon", "-1", "Sun, 06 Nov 1994 08:50:37 GMT"] {
            assert_eq!(wait(&[(RETRY_AFTER, none)]), None, "{none}");
        }
    }
}
