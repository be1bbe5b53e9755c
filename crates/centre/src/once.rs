//! Requests that are sent again: with an `Idempotency-Key` what they ask is done once.
//!
//! Here a request with a key is known again, by the digest of all that it asks, and answered as before. One that is new takes
//! its key along to the desk (`desk.rs`), which does orders one after the other and keeps the answer in the transaction of the
//! act: of two that come at the same moment one is done, and a kill leaves both or neither. An act that is refused was not
//! done, and is tried again. `tests/it/serve/once.rs` does all of it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use cresset_event::hex;
use cresset_store::{Answer, StoreError};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::api::extract::whole;
use crate::app::App;
use crate::auth::Caller;
use crate::problem::Problem;

/// Longest key.
const KEY_BYTES_MAX: usize = 200;
/// A delivery of logs has a meaning of its own for the key: its records are known by it, one by one.
const DELIVERIES: &str = "/api/v1/events";
/// Files that memory has no room for are known by their digest, once they are on the disk: [`of_file`].
const FILES: &str = "/api/v1/incidents/{id}/evidence";

/// Answers a request that was answered before, and lets others through.
pub(crate) async fn once(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match known(&app, request).await {
        Ok(Known::Answered(answer)) => respond(answer),
        Ok(Known::New(request)) => next.run(*request).await,
        Err(problem) => problem.into_response(),
    }
}

enum Known {
    Answered(Answer),
    New(Box<Request>),
}

async fn known(app: &App, request: Request) -> Result<Known, Problem> {
    let Some(key) = key_of(&request)? else { return Ok(Known::New(Box::new(request))) };
    let (mut parts, body) = request.into_parts();
    let Some(caller) = parts.extensions.get_mut::<Caller>() else { return Err(Problem::unauthenticated()) };
    let bytes = whole(body).await?;
    let asked = cresset_store::Request { key, digest: digest(&parts.method, &parts.uri.to_string(), &bytes) };
    match app.store.answer_to(&caller.now(), &asked).await {
        Ok(Some(answer)) => return Ok(Known::Answered(answer)),
        // It is refused where it would be done: what is wrong with it otherwise is told first.
        Ok(None) | Err(StoreError::KeyReused { .. }) => {}
        Err(error) => return Err(Problem::of_store(error)),
    }
    caller.once = Some(asked);
    Ok(Known::New(Box::new(Request::from_parts(parts, Body::from(bytes)))))
}

/// Returns the key of a request that changes something.
fn key_of(request: &Request) -> Result<Option<String>, Problem> {
    let path = request.uri().path();
    let is_file = request.extensions().get::<MatchedPath>().is_some_and(|route| route.as_str() == FILES);
    let is_act = !request.method().is_safe() && path.starts_with("/api/") && path != DELIVERIES && !is_file;
    if is_act { key_in(request.headers()) } else { Ok(None) }
}

/// Returns the key that a request brings.
pub(crate) fn key_in(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    headers.get("idempotency-key").map(|key| read_key(key).map(str::to_owned)).transpose()
}

/// Returns what is asked with a file of this digest, where it is to be done once.
pub(crate) fn of_file(key: Option<String>, uri: &Uri, sha256: &[u8; 32]) -> Option<cresset_store::Request> {
    key.map(|key| cresset_store::Request { key, digest: digest(&Method::POST, &uri.to_string(), sha256) })
}

/// Reads a key.
fn read_key(key: &HeaderValue) -> Result<&str, Problem> {
    let key = key.to_str().ok().filter(|key| (1..=KEY_BYTES_MAX).contains(&key.len()) && !key.contains([' ', '\t']));
    let invalid = || {
        Problem::invalid(format!("Idempotency-Key: 1 to {KEY_BYTES_MAX} characters of printable ASCII without a space"))
    };
    key.ok_or_else(invalid)
}

fn digest(method: &Method, uri: &str, body: &[u8]) -> String {
    let mut digest = Sha256::new();
    for part in [method.as_str().as_bytes(), uri.as_bytes(), body] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    hex(&digest.finalize())
}

/// Returns an answer in JSON.
pub(crate) fn json(status: StatusCode, what: &impl Serialize) -> Answer {
    Answer { status: status.as_u16(), body: serde_json::to_vec(what).expect("texts, numbers and lists of them") }
}

/// Returns the answer to what is done and gives nothing.
pub(crate) fn nothing() -> Answer {
    Answer { status: StatusCode::NO_CONTENT.as_u16(), body: Vec::new() }
}

/// Sends an answer.
pub(crate) fn respond(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = if status.is_success() { "application/json" } else { "application/problem+json" };
    let is_empty = answer.body.is_empty();
    let mut response = (status, answer.body).into_response();
    if is_empty {
        response.headers_mut().remove(header::CONTENT_TYPE);
    } else {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    response
}
