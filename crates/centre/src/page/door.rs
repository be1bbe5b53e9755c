//! The door: signing in and out, and the first administrator.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use cresset_archive::with_causes;
use cresset_event::Timestamp;
use cresset_picture::IncidentId;
use cresset_store::{Act, By};
use maud::{Markup, html};
use serde::Deserialize;
use tracing::warn;

use super::frame;
use crate::api::extract::{Asked, Filled};
use crate::app::App;
use crate::auth::{address_of, cookie, is_own_page, may_try, set_cookie, was_wrong};
use crate::problem::Problem;
use crate::server::Peer;

/// Where who is not in was on the way to, as it is passed on until that one is.
#[derive(Deserialize)]
pub(super) struct Way {
    /// The id of an incident; what is none is passed over, so that nobody is led elsewhere.
    incident: Option<String>,
}

impl Way {
    fn incident(&self) -> Option<IncidentId> {
        IncidentId::parse(self.incident.as_deref()?)
    }

    /// Returns the page that is shown behind the door.
    fn page(&self) -> String {
        self.incident().map_or_else(|| "/".into(), |id| format!("/incidents/{id}"))
    }
}

/// What is shown to who is not in: a card by itself.
pub(super) fn door(title: &str, body: Markup) -> Markup {
    frame(title, "door", html! { main .card { p .brand { (super::mark()) "Cresset" } h1 { (title) } (body) } })
}

fn sign_in_form(way: &Way, wrong: Option<&str>) -> Markup {
    door(
        "Sign in",
        html! {
            @if let Some(wrong) = wrong { p .wrong role="alert" { (wrong) } }
            form method="post" action="/sign-in" {
                // By it password managers know what they keep.
                input type="text" autocomplete="username" value="cresset" hidden;
                @if let Some(id) = way.incident() { input type="hidden" name="incident" value=(id); }
                label for="token" { "Token" }
                input #token name="token" type="password" autocomplete="current-password" required autofocus;
                button { "Sign in" }
            }
            p .muted { "Whoever administers this centre issues tokens." }
        },
    )
}

pub(super) async fn sign_in_page(Asked(way): Asked<Way>) -> Markup {
    sign_in_form(&way, None)
}

#[derive(Deserialize)]
pub(super) struct SignIn {
    token: String,
    #[serde(flatten)]
    way: Way,
}

pub(super) async fn sign_in(
    State(app): State<Arc<App>>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    form: Result<Filled<SignIn>, Problem>,
) -> Result<Response, Problem> {
    let (Filled(form), address) = (form?, may_come_in(&app, peer, &headers)?);
    let token = form.token.trim();
    match app.store.token_of(token, Timestamp::now()).await.map_err(Problem::of_store)? {
        Some(known) => {
            note_sign_in(&app, known.id).await;
            Ok(signed_in(&app, token, &form.way.page()))
        }
        None => {
            was_wrong(&app, address);
            let again = sign_in_form(&form.way, Some("That is no token that is valid."));
            Ok((StatusCode::UNAUTHORIZED, again).into_response())
        }
    }
}

/// Returns whose form it is, where that one may try: it comes from our own page, and was not wrong too often.
fn may_come_in(app: &App, peer: Option<Extension<Peer>>, headers: &HeaderMap) -> Result<IpAddr, Problem> {
    if !is_own_page(headers) {
        return Err(Problem::unauthenticated());
    }
    let address = address_of(peer.as_deref());
    may_try(app, address)?;
    Ok(address)
}

/// Tells the audit log who came in. Where that is full people come in all the same: they may come to make room.
async fn note_sign_in(app: &App, id: String) {
    let act = Act::Noted { what: "sign_in", object: id.clone(), sha256: None };
    if let Err(error) = app.store.act(&By { actor: id, at: Timestamp::now() }, &act).await {
        warn!(error = with_causes(&error), "a sign-in cannot be audited");
    }
}

fn signed_in(app: &App, token: &str, page: &str) -> Response {
    with_cookie(app, Some(token), Redirect::to(page).into_response())
}

fn with_cookie(app: &App, token: Option<&str>, mut response: Response) -> Response {
    // A token that is valid has no character that a header has not.
    if let Ok(value) = HeaderValue::from_str(&set_cookie(app.is_tls, token)) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

/// Ends being signed in.
pub(super) async fn sign_out(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    if !is_own_page(&headers) {
        return Problem::unauthenticated().into_response();
    }
    to_the_door(&app, &headers, None)
}

/// Leads to the door, and from there to an incident. A token that holds no more the browser is to forget.
pub(super) fn to_the_door(app: &App, headers: &HeaderMap, incident: Option<&str>) -> Response {
    let way = Way { incident: incident.map(Into::into) }.incident();
    let door = way.map_or_else(|| "/sign-in".into(), |id| format!("/sign-in?incident={id}"));
    let door = Redirect::to(&door).into_response();
    if cookie(app.is_tls, headers).is_some() { with_cookie(app, None, door) } else { door }
}

#[derive(Deserialize)]
pub(super) struct FirstRun {
    secret: String,
    name: Option<String>,
}

pub(super) async fn first_run_page(Asked(query): Asked<FirstRun>) -> Markup {
    door(
        "First administrator",
        html! {
            p { "Nobody is known to this centre yet. You become its administrator, and get a token to sign in with." }
            form method="post" action="/first-run" {
                input type="hidden" name="secret" value=(query.secret);
                label for="name" { "Your name" }
                input #name name="name" required maxlength="200" autocomplete="name" autofocus;
                button { "Make my token" }
            }
        },
    )
}

pub(super) async fn first_run(
    State(app): State<Arc<App>>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    form: Result<Filled<FirstRun>, Problem>,
) -> Result<Response, Problem> {
    let (Filled(form), address) = (form?, may_come_in(&app, peer, &headers)?);
    let name = form.name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| "administrator".to_owned());
    let issued = app.store.use_first_run(&form.secret, &name, Timestamp::now()).await.map_err(Problem::of_store)?;
    let Some(issued) = issued else {
        was_wrong(&app, address);
        return Err(Problem::not_found("link, or it was used, or is too old"));
    };
    let token = issued.secret.reveal();
    Ok(with_cookie(&app, Some(token), token_page(&app, &headers, token).into_response()))
}

fn token_page(app: &App, headers: &HeaderMap, token: &str) -> Markup {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1:8420");
    let scheme = if app.is_tls { "https" } else { "http" };
    let bearer = format!("curl -H 'Authorization: Bearer {token}'");
    door(
        "Your token",
        html! {
            p { strong { "It is shown this once." } " Keep it where you keep passwords; you are signed in with it already." }
            pre #token-text tabindex="0" { (token) }
            button .quiet #copy type="button" hidden { "Copy" }
            h2 { "Deliver a log" }
            pre tabindex="0" { (bearer) " --data-binary @/var/log/auth.log " (scheme) "://" (host) "/api/v1/events" }
            h2 { "Ask for what is open" }
            pre tabindex="0" { (bearer) " '" (scheme) "://" (host) "/api/v1/incidents?state=open'" }
            p { a .go href="/" { "To the watch floor" } }
        },
    )
}
