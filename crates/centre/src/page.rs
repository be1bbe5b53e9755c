//! The page: the door, the watch floor, and one incident.
//!
//! Rendered here with types (`maud` escapes by type), live through the API's stream, styled and moved by two files that are
//! served from here; nothing is loaded from elsewhere. What is shown comes from the functions that answer the API.
//! `crates/cresset/tests/it/serve/page.rs` opens it in a browser.

mod assets;
mod door;
mod floor;
mod incident;
mod problem;
mod text;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use cresset_event::Timestamp;
use maud::{DOCTYPE, Markup, html};

use self::floor::Floor;
use self::incident::IncidentView;
pub(crate) use self::problem::for_people;
use self::problem::prefers_html;
use crate::api::events::ask;
use crate::api::extract::Named;
use crate::app::App;
use crate::auth::Caller;
use crate::problem::Problem;
use crate::rights::{Right, may};

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(show_floor).head(ask).put(ask))
        .route("/incidents/{id}", get(show_incident))
        .route("/assets/{name}", get(assets::asset))
        .route("/sign-in", get(door::sign_in_page).post(door::sign_in))
        .route("/sign-out", post(door::sign_out))
        .route("/first-run", get(door::first_run_page).post(door::first_run))
}

/// What every page is in. `kind` is its class.
fn frame(title: &str, kind: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="dark light";
                title { (title) " · Cresset" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href=(assets::STYLE.path);
                script src=(assets::SCRIPT.path) {}
                @if kind == "on-floor" { noscript { meta http-equiv="refresh" content="15"; } }
            }
            body .(kind) { (body) }
        }
    }
}

/// The mark: a fire-basket.
fn mark() -> Markup {
    html! {
        svg .mark viewBox="0 0 24 24" aria-hidden="true" {
            path .flame d="M12 2c1 3 4 4.500 4 8a4 4 0 0 1-8 0c0-1.500.7-2.500 1.500-3.300C10 8 10.500 8.500 11 8.500 11.500 6.500 11 4 12 2z" {}
            path .basket d="M5 13h14l-2.500 5h-9zM11 18h2v5h-2z" {}
        }
    }
}

/// The bar above what is shown to who is signed in, and below it the sign that what is shown is old.
fn bar(caller: &Caller, figures: Option<Markup>) -> Markup {
    let now = Timestamp::now().to_string();
    html! {
        header .bar {
            a .brand href="/" aria-label="Cresset: watch floor" { (mark()) span { "Cresset" } }
            // It says something else each second: what matters of that is told aloud below.
            p #live .live { span .dot {} span #live-said { "Shown as of " (now.get(11..19).unwrap_or_default()) } }
            @if let Some(figures) = figures { (figures) } @else { a .back href="/" { "Watch floor" } }
            div .end {
                span .who { (text::shown(&caller.token.issued.name)) }
                button #theme .quiet type="button" aria-label="Dark or light" hidden { "Light" }
                form method="post" action="/sign-out" { button .quiet { "Sign out" } }
                time #clock .clock { (now.get(11..19).unwrap_or_default()) } span .zone { "UTC" }
            }
        }
        div #stale .stale role="alert" hidden { strong { "Not live" } " " span #stale-why {} }
    }
}

async fn show_floor(State(app): State<Arc<App>>, caller: Option<Caller>, request: Request) -> Response {
    if !prefers_html(request.headers()) {
        return ask(request).await;
    }
    let Some(caller) = caller else { return door::to_the_door(&app, request.headers(), None) };
    match floor_page(&app, &caller).await {
        Ok(page) => page.into_response(),
        Err(problem) => problem.into_response(),
    }
}

async fn floor_page(app: &App, caller: &Caller) -> Result<Markup, Problem> {
    caller.must(Right::Read)?;
    let floor = Floor::of(app).await?;
    let body = html! { (bar(caller, Some(floor::figures(&floor)))) (floor.markup()) };
    Ok(frame("Watch floor", "on-floor", body))
}

async fn show_incident(
    State(app): State<Arc<App>>,
    caller: Option<Caller>,
    Named(id): Named<String>,
    headers: HeaderMap,
) -> Response {
    let Some(caller) = caller else { return door::to_the_door(&app, &headers, Some(&id)) };
    match incident_page(&app, &caller, &id).await {
        Ok(page) => page.into_response(),
        Err(problem) => problem.into_response(),
    }
}

async fn incident_page(app: &App, caller: &Caller, id: &str) -> Result<Markup, Problem> {
    caller.must(Right::Read)?;
    let view = IncidentView::of(app, id, may(&caller.token, Right::Work)).await?;
    let body = html! { (bar(caller, None)) (view.markup()) };
    Ok(frame(&view.title(), "on-incident", body))
}
