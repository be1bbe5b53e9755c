//! Who asks: a token in `Authorization: Bearer`, or in the cookie of the page.
//!
//! A cookie is sent by the browser whoever made it ask, so that with one only reads are answered unless the browser says that
//! the request is from our own page (`Sec-Fetch-Site`, or `Origin`).

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, OptionalFromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cresset_event::Timestamp;
use cresset_store::{By, Token};

use crate::api::events;
use crate::app::App;
use crate::problem::Problem;
use crate::rights::{Right, may};
use crate::server::Peer;

/// Returns the name of the page's cookie. Over TLS its prefix binds it to this very host: no neighbour can put another in its place
/// (RFC 6265bis, section 4.1.3).
const fn cookie_name(is_tls: bool) -> &'static str {
    if is_tls { "__Host-cresset" } else { "cresset" }
}

/// Returns the cookie of who comes in with a token, or goes. One is sent along where a link from elsewhere leads here, too: what
/// changes anything is asked for by our own page alone ([`is_own_page`]).
pub(crate) fn set_cookie(is_tls: bool, token: Option<&str>) -> String {
    let name = cookie_name(is_tls);
    let secure = if is_tls { "; Secure" } else { "" };
    let gone = if token.is_none() { "; Max-Age=0" } else { "" };
    format!("{name}={}; Path=/; HttpOnly; SameSite=Lax{secure}{gone}", token.unwrap_or_default())
}

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
    let address = address_of(request.extensions().get::<Peer>());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("", MatchedPath::as_str);
    let called = caller(&app, address, request.method(), request.headers()).await;
    let called = called.and_then(|caller| match &caller {
        Some(known) if !events::takes_logs(route) => {
            app.limits.ask(&known.token.id).map_err(|wait| Problem::too_many(wait.as_secs() + 1))?;
            Ok(caller)
        }
        _ => Ok(caller),
    });
    match called {
        Ok(caller) => caller.into_iter().for_each(|caller| drop(request.extensions_mut().insert(caller))),
        Err(problem) => return events::refuse(route, request.headers(), problem),
    }
    next.run(request).await
}

async fn caller(app: &App, address: IpAddr, method: &Method, headers: &HeaderMap) -> Result<Option<Caller>, Problem> {
    let Some(presented) = presented(app.is_tls, method, headers)? else { return Ok(None) };
    may_try(app, address)?;
    match app.store.token_of(&presented, Timestamp::now()).await.map_err(Problem::of_store)? {
        Some(token) => Ok(Some(Caller { token: Arc::new(token), once: None })),
        None => {
            was_wrong(app, address);
            // A browser goes on sending a cookie whose token holds no more: it must still come to where one signs in.
            if headers.contains_key(header::AUTHORIZATION) { Err(Problem::unauthenticated()) } else { Ok(None) }
        }
    }
}

/// Returns the address that wrong tokens count for.
pub(crate) fn address_of(peer: Option<&Peer>) -> IpAddr {
    peer.map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.ip())
}

/// Refuses an address from which too many tokens were none.
pub(crate) fn may_try(app: &App, address: IpAddr) -> Result<(), Problem> {
    app.limits.may_try(address).map_err(|wait| Problem::too_many(wait.as_secs() + 1))
}

/// Counts a token that is none, and tells where an address is locked out by it.
pub(crate) fn was_wrong(app: &App, address: IpAddr) {
    app.limits.was_wrong(address);
    if app.limits.may_try(address).is_err() {
        app.tell_own("locked_out", &[("source.ip", &address.to_string())]);
    }
}

/// Returns the token that a request presents. `ApiKey` is how shippers for Elasticsearch send one, and Basic with the token for
/// a password where they know nothing else.
fn presented<'h>(is_tls: bool, method: &Method, headers: &'h HeaderMap) -> Result<Option<Cow<'h, str>>, Problem> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let value = value.to_str().map_err(|_| Problem::unauthenticated())?;
        let (scheme, token) = value.split_once(' ').ok_or_else(Problem::unauthenticated)?;
        let token = match scheme.to_ascii_lowercase().as_str() {
            "bearer" | "apikey" => Some(Cow::Borrowed(token.trim())),
            "basic" => password(token.trim()).map(Cow::Owned),
            _ => None,
        };
        return token.map(Some).ok_or_else(Problem::unauthenticated);
    }
    let Some(token) = cookie(is_tls, headers) else { return Ok(None) };
    if method.is_safe() || is_own_page(headers) { Ok(Some(token.into())) } else { Err(Problem::unauthenticated()) }
}

/// Returns the password of Basic (RFC 7617): what stands behind the first colon.
fn password(encoded: &str) -> Option<String> {
    let pair = String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}

/// Returns the token in the page's cookie.
pub(crate) fn cookie(is_tls: bool, headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == cookie_name(is_tls)).map(|(_, value)| value)
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

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn over_tls_no_neighbour_can_put_another_cookie_in_its_place() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("cresset=theirs; __Host-cresset=ours"));
        assert_eq!((cookie(true, &headers), cookie(false, &headers)), (Some("ours"), Some("theirs")));
        assert_eq!(set_cookie(true, Some("t")), "__Host-cresset=t; Path=/; HttpOnly; SameSite=Lax; Secure");
        assert_eq!(set_cookie(false, None), "cresset=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    }
}
