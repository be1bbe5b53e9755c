//! The page: signing in, and the watch floor.
//!
//! Rendered here with types (`maud` escapes by type), live through the API's stream, styled and moved by two files that are
//! served from here; nothing is loaded from elsewhere.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use cresset_event::Timestamp;
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;

use crate::api::events::ask;
use crate::app::App;
use crate::auth::{COOKIE, Caller, is_own_page};
use crate::problem::Problem;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(floor).head(ask).put(ask))
        .route("/sign-in", get(sign_in_page).post(sign_in))
        .route("/sign-out", axum::routing::post(sign_out))
        .route("/first-run", get(first_run_page).post(first_run))
}

fn frame(title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Cresset" }
            }
            body { (body) }
        }
    }
}

fn wants_html(headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accepts.contains("text/html")
}

async fn floor(State(_app): State<Arc<App>>, caller: Option<Caller>, request: Request) -> Response {
    if !wants_html(request.headers()) {
        return ask(request).await;
    }
    let Some(_caller) = caller else { return Redirect::to("/sign-in").into_response() };
    frame("Watch floor", html! { h1 { "Watch floor" } }).into_response()
}

async fn sign_in_page() -> Markup {
    frame(
        "Sign in",
        html! {
            h1 { "Sign in" }
            form method="post" action="/sign-in" {
                label { "Token " input name="token" type="password" autocomplete="current-password" required; }
                button { "Sign in" }
            }
        },
    )
}

#[derive(Deserialize)]
struct SignIn {
    token: String,
}

async fn sign_in(State(app): State<Arc<App>>, headers: HeaderMap, Form(form): Form<SignIn>) -> Response {
    if !is_own_page(&headers) {
        return Problem::unauthenticated().into_response();
    }
    match app.store.token_of(&form.token, Timestamp::now()).await {
        Ok(Some(_)) => signed_in(&app, &form.token),
        Ok(None) => (StatusCode::UNAUTHORIZED, frame("Sign in", html! { p { "That is no token that is valid." } }))
            .into_response(),
        Err(error) => Problem::of_store(error).into_response(),
    }
}

fn signed_in(app: &App, token: &str) -> Response {
    let secure = if app.is_tls { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict{secure}");
    let mut response = Redirect::to("/").into_response();
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

async fn sign_out() -> Response {
    let mut response = Redirect::to("/sign-in").into_response();
    let gone = HeaderValue::from_static("cresset=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    response.headers_mut().insert(header::SET_COOKIE, gone);
    response
}

#[derive(Deserialize)]
struct FirstRun {
    secret: String,
    name: Option<String>,
}

async fn first_run_page(Query(query): Query<FirstRun>) -> Markup {
    frame(
        "First administrator",
        html! {
            h1 { "First administrator" }
            form method="post" action="/first-run" {
                input type="hidden" name="secret" value=(query.secret);
                label { "Your name " input name="name" required maxlength="200"; }
                button { "Make my token" }
            }
        },
    )
}

async fn first_run(State(app): State<Arc<App>>, headers: HeaderMap, Form(form): Form<FirstRun>) -> Response {
    if !is_own_page(&headers) {
        return Problem::unauthenticated().into_response();
    }
    let name = form.name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| "administrator".to_owned());
    match app.store.use_first_run(&form.secret, &name, Timestamp::now()).await {
        Ok(Some(issued)) => {
            let token = issued.secret.reveal();
            let mut response = frame(
                "First administrator",
                html! {
                    h1 { "Your token" }
                    p { "It is shown this once." }
                    pre { (token) }
                    a href="/" { "To the watch floor" }
                },
            )
            .into_response();
            if let Some(cookie) = signed_in(&app, token).headers().get(header::SET_COOKIE) {
                response.headers_mut().insert(header::SET_COOKIE, cookie.clone());
            }
            response
        }
        Ok(None) => Problem::not_found("link, or it was used, or is too old").into_response(),
        Err(error) => Problem::of_store(error).into_response(),
    }
}
