//! Who asks: a token in `Authorization: Bearer`, or in the cookie of the page.
//!
//! A cookie is sent by the browser whoever made it ask, so that with one only reads are answered unless the browser says that
//! the request is from our own page (`Sec-Fetch-Site`, or `Origin`).

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use cresset_event::Timestamp;
use cresset_store::{By, Token};

use crate::app::App;
use crate::problem::Problem;
use crate::rights::{Right, may};
use crate::server::Peer;

/// The page's cookie. The prefix binds it to this host, and to TLS where that is on (RFC 6265bis, section 4.1.3).
pub(crate) const COOKIE: &str = "cresset";

/// Whoever asks, signed in.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) token: Arc<Token>,
    /// What was asked, where it is to be done once (`once.rs`).
    pub(crate) once: Option<cresset_store::Request>,
}

impl Caller {
    /// Refuses who may not do that.
    pub(crate) fn must(&self, right: Right) -> Result<(), Problem> {
        if may(&self.token, right) { Ok(()) } else { Err(Problem::forbidden(right.as_str())) }
    }

    /// Returns what is written down of an act: who did it, and when.
    pub(crate) fn now(&self) -> By {
        By { actor: self.token.id.clone(), at: Timestamp::now() }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::unauthenticated)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

/// Tells who asks, and counts it. What is not signed in goes on without a caller: what needs one refuses it.
pub(crate) async fn identify(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let address = request.extensions().get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.ip());
    match caller(&app, address, request.method(), request.headers()).await {
        Ok(Some(caller)) => {
            if let Err(wait) = app.limits.ask(&caller.token.id) {
                return Problem::too_many(wait.as_secs() + 1).into_response();
            }
            request.extensions_mut().insert(caller);
        }
        Ok(None) => {}
        Err(problem) => return problem.into_response(),
    }
    next.run(request).await
}

async fn caller(app: &App, address: IpAddr, method: &Method, headers: &HeaderMap) -> Result<Option<Caller>, Problem> {
    let Some(presented) = presented(method, headers)? else { return Ok(None) };
    app.limits.may_try(address).map_err(|wait| Problem::too_many(wait.as_secs() + 1))?;
    match app.store.token_of(presented, Timestamp::now()).await.map_err(Problem::of_store)? {
        Some(token) => Ok(Some(Caller { token: Arc::new(token), once: None })),
        None => {
            app.limits.was_wrong(address);
            if app.limits.may_try(address).is_err() {
                app.tell_own("locked_out", &[("source.ip", &address.to_string())]);
            }
            Err(Problem::unauthenticated())
        }
    }
}

/// Returns the token that a request presents. `ApiKey` is how shippers for Elasticsearch send one.
fn presented<'h>(method: &Method, headers: &'h HeaderMap) -> Result<Option<&'h str>, Problem> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let value = value.to_str().map_err(|_| Problem::unauthenticated())?;
        let token = value
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("apikey"));
        return token.map(|(_, token)| Some(token.trim())).ok_or_else(Problem::unauthenticated);
    }
    let Some(token) = cookie(headers) else { return Ok(None) };
    if method.is_safe() || is_own_page(headers) { Ok(Some(token)) } else { Err(Problem::unauthenticated()) }
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// Whether the browser says that a request is from our own page.
pub(crate) fn is_own_page(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match text("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => {
            let origin = text("origin").and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
            origin.is_some() && origin == text("host")
        }
    }
}
