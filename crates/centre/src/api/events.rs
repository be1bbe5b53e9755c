//! Logs over HTTP: in any format that is known, as shippers for Elasticsearch send them, and as OpenTelemetry does.
//!
//! An answer of success says that all of it is on the disk. Where there is no room it is 429 at once, before the body is read:
//! the sender comes again, and nothing of it was taken.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cresset_event::{Source, SourceIdentity};
use cresset_ingest::Content;
use cresset_intake::body::{Encoding, unpack, unpacked_bytes_max};
use cresset_intake::bulk::{self, Action, Bulk, BulkError, Outcome};
use cresset_intake::greeting::{PRODUCT, small_answer};
use cresset_intake::{Answer, otlp};
use http_body_util::{BodyExt, Limited};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Asked, BODY_WITHIN, Named};
use crate::app::App;
use crate::auth::Caller;
use crate::intake::{NotTaken, Room, Taken};
use crate::once::key_in;
use crate::problem::Problem;
use crate::rights::Right;

/// How long a sender waits where there is no room.
const RETRY_AFTER_SECONDS: u64 = 1;
/// Longest name of a source.
const NAME_CHARS_MAX: usize = 200;
/// Records that could not be read that an answer names; the rest are counted.
const SKIPPED_SHOWN_MAX: usize = 100;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(take))
}

/// What shippers speak beside our own API. It is described by whoever made those protocols.
pub(crate) fn foreign() -> axum::Router<Arc<App>> {
    use axum::routing::{any, post};
    axum::Router::new()
        .route("/_bulk", post(bulk).put(bulk))
        .route("/{index}/_bulk", post(bulk_index).put(bulk_index))
        .route("/{index}/{type}/_bulk", post(bulk_type).put(bulk_type))
        .route("/{index}/_doc", any(document))
        .route("/{index}/_doc/{id}", any(document))
        .route("/{index}/_create/{id}", any(document))
        .route("/{index}/{type}", any(document))
        .route(OTLP_ROUTE, post(logs))
        .route("/_license", any(ask))
        .route("/_xpack", any(ask))
        .route("/_cluster/health", any(ask))
        .route("/_cluster/{*rest}", any(ask))
        .route("/_nodes/{*rest}", any(ask))
        .route("/_cat/{*rest}", any(ask))
        .route("/_template/{*rest}", any(ask))
        .route("/_index_template/{*rest}", any(ask))
        .route("/_component_template/{*rest}", any(ask))
        .route("/_ilm/{*rest}", any(ask))
        .route("/_ingest/{*rest}", any(ask))
        .route("/_data_stream/{*rest}", any(ask))
        .route("/_alias/{*rest}", any(ask))
}

/// Whether a route, as it is written above, takes logs in. How many of those come is not bounded by their number: each waits
/// until it is on the disk, and there is room for so much of it.
pub(crate) fn takes_logs(route: &str) -> bool {
    route == "/api/v1/events" || route == OTLP_ROUTE || is_elastic(route)
}

/// The route of OpenTelemetry.
const OTLP_ROUTE: &str = "/v1/logs";

fn is_elastic(route: &str) -> bool {
    route.starts_with("/_") || route.starts_with("/{index}/")
}

/// Refuses a request before it was looked at, in the words of the protocol that its route speaks: omelasticsearch loses what
/// is refused in other words.
pub(crate) fn refuse(route: &str, headers: &HeaderMap, problem: Problem) -> Response {
    if is_elastic(route) {
        return elastic_problem(&problem);
    }
    match otlp_encoding(headers).filter(|_| route == OTLP_ROUTE) {
        Some(encoding) => otlp_problem(encoding, &problem),
        None => problem.into_response(),
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TakeQuery {
    /// What the source is called, to be counted by; the token's name where none is given.
    #[param(nullable = false, min_length = 1, max_length = 200)]
    source: Option<String>,
}

/// What became of a delivery.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Accepted {
    /// Events that were read, matched, and are on the disk.
    events: u64,
    /// Records that could not be read.
    skipped: u64,
    /// The first hundred of them.
    reasons: Vec<SkippedItem>,
}

/// A record that could not be read.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SkippedItem {
    /// Its number in the delivery; for lines, that of the line.
    record: u64,
    /// Why.
    reason: String,
}

impl From<Taken> for Accepted {
    fn from(taken: Taken) -> Self {
        let skipped = taken.skipped.len() as u64 + taken.skipped_more;
        let shown = taken.skipped.into_iter().take(SKIPPED_SHOWN_MAX);
        Self {
            events: taken.events,
            skipped,
            reasons: shown.map(|(record, reason)| SkippedItem { record, reason }).collect(),
        }
    }
}

/// Takes logs in any format that is known
///
/// The format is told by the content (`cresset formats`), compressed or not. With an `Idempotency-Key` a delivery can be sent
/// again as often as it takes: what of it was taken before is not taken twice.
#[utoipa::path(post, path = "/api/v1/events", tag = "intake", operation_id = "deliver_events",
    params(TakeQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = Accepted)))]
async fn take(
    State(app): State<Arc<App>>,
    caller: Caller,
    Asked(query): Asked<TakeQuery>,
    request: Request,
) -> Result<Json<Accepted>, Problem> {
    caller.must(Right::Ingest)?;
    let called = query.source.unwrap_or_else(|| caller.token.issued.name.clone());
    check_name("source", &called)?;
    let key = key_in(request.headers())?;
    let (room, bytes) = body(&app, request).await?;
    let name = format!("http:{called}");
    app.sources.add_bytes(&name, bytes.len() as u64);
    // Without a key it is like no other.
    let key = key.map_or_else(|| format!("own {}", app.intake.own_key()), |key| format!("key {key}"));
    let identity = SourceIdentity::of_request(&caller.token.id, &key);
    let taken = app.intake.deliver(room, Source { name, identity }, Content::Any(bytes)).await;
    let taken = taken.map_err(Problem::of_not_taken)?;
    match taken.refused {
        Some(reason) => Err(Problem::unsupported(reason)),
        None => Ok(Json(taken.into())),
    }
}

/// Refuses a name that is empty, too long, or has control characters.
fn check_name(field: &str, name: &str) -> Result<(), Problem> {
    if !(1..=NAME_CHARS_MAX).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        return Err(Problem::content(format!("{field}: 1 to {NAME_CHARS_MAX} characters of printable text")));
    }
    Ok(())
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Problem> {
    let value = headers.get(name).map(HeaderValue::to_str).transpose();
    value.map_err(|_| Problem::invalid(format!("{name}: printable ASCII")))
}

/// Takes room for a body and reads it, unpacked.
async fn body(app: &App, request: Request) -> Result<(Room, Vec<u8>), Problem> {
    let bytes_max = app.config.intake.body_bytes_max;
    let (parts, body) = request.into_parts();
    let encoding =
        Encoding::parse(text(&parts.headers, "content-encoding")?).map_err(|error| Problem::of_body(&error))?;
    let declared = text(&parts.headers, "content-length")?.and_then(|length| length.parse::<usize>().ok());
    if declared.is_some_and(|length| length > bytes_max) {
        return Err(Problem::too_large(bytes_max));
    }
    let mut room = app.intake.room(0).map_err(Problem::of_not_taken)?;
    if declared.is_some_and(|length| length > app.intake.room_bytes()) {
        return Err(Problem::of_not_taken(NotTaken::Full));
    }
    let packed = timeout(BODY_WITHIN, read(app, &mut room, body)).await.map_err(|_| Problem::timeout())??;
    if encoding == Encoding::Identity {
        return Ok((room, packed));
    }
    let _turn = app.intake.unpacking.acquire().await.map_err(|_| Problem::internal())?;
    let unpacked_max = unpacked_bytes_max(encoding, packed.len(), bytes_max);
    app.intake.grow(&mut room, unpacked_max).map_err(Problem::of_not_taken)?;
    // A second's work at the most, and not for the threads that serve.
    let unpacked = spawn_blocking(move || unpack(encoding, &packed, bytes_max).map(|bytes| bytes.into_owned())).await;
    let bytes = unpacked.map_err(|_| Problem::internal())?.map_err(|error| Problem::of_body(&error))?;
    room.shrink(bytes.len());
    Ok((room, bytes))
}

/// Reads a body, and takes room for it as it comes.
async fn read(app: &App, room: &mut Room, body: Body) -> Result<Vec<u8>, Problem> {
    let bytes_max = app.config.intake.body_bytes_max;
    let mut body = Limited::new(body, bytes_max);
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match error.is::<http_body_util::LengthLimitError>() {
            true => Problem::too_large(bytes_max),
            false => Problem::invalid("the body broke off"),
        })?;
        // What is no data are trailers, which say nothing here.
        if let Ok(data) = frame.into_data() {
            app.intake.grow(room, bytes.len() + data.len()).map_err(Problem::of_not_taken)?;
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

async fn bulk(state: State<Arc<App>>, caller: Option<Caller>, request: Request) -> Response {
    take_bulk(state.0, caller, "logs", request).await
}

async fn bulk_index(
    state: State<Arc<App>>,
    caller: Option<Caller>,
    Named(index): Named<String>,
    request: Request,
) -> Response {
    take_bulk(state.0, caller, &index, request).await
}

async fn bulk_type(
    state: State<Arc<App>>,
    caller: Option<Caller>,
    Named((index, _)): Named<(String, String)>,
    request: Request,
) -> Response {
    take_bulk(state.0, caller, &index, request).await
}

/// Takes one document by itself, as senders do that know no bulk; all else about documents is answered as not known.
async fn document(State(app): State<Arc<App>>, caller: Option<Caller>, request: Request) -> Response {
    let path = request.uri().path().trim_matches('/').to_owned();
    let parts: Vec<&str> = path.split('/').collect();
    let (index, id) = (unescaped(parts[0]), parts.get(2).map(|id| unescaped(id)));
    let asks_create = request.uri().query().is_some_and(|query| query.split('&').any(|part| part == "op_type=create"));
    let action = match (request.method().as_str(), parts.get(1)) {
        ("POST" | "PUT", Some(&"_create")) => Action::Create,
        // Those are ours, or Elasticsearch's for something else.
        (_, Some(kind)) if index == "api" || (kind.starts_with('_') && *kind != "_doc") => return ask(request).await,
        ("POST" | "PUT", Some(_)) if asks_create => Action::Create,
        ("POST" | "PUT", Some(_)) => Action::Index,
        _ => return ask(request).await,
    };
    take_documents(app, caller, request, move |body| Ok(Bulk::parse_one(action, &index, id.as_deref(), body))).await
}

/// Undoes the escapes of a part of a path; what is none stays.
fn unescaped(part: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), part.as_bytes());
    while let [first, behind @ ..] = rest {
        let code = behind.get(..2).filter(|_| *first == b'%').and_then(|code| std::str::from_utf8(code).ok());
        let byte = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn take_bulk(app: Arc<App>, caller: Option<Caller>, index: &str, request: Request) -> Response {
    let index = index.to_owned();
    take_documents(app, caller, request, move |body| Bulk::parse(body, &index)).await
}

/// Takes the documents that a body is read as.
async fn take_documents(
    app: Arc<App>,
    caller: Option<Caller>,
    request: Request,
    parse: impl FnOnce(&[u8]) -> Result<Bulk, BulkError> + Send + 'static,
) -> Response {
    let began = Instant::now();
    let caller = match caller.ok_or_else(Problem::unauthenticated).and_then(|caller| {
        caller.must(Right::Ingest)?;
        Ok(caller)
    }) {
        Ok(caller) => caller,
        Err(problem) => return elastic_problem(&problem),
    };
    let (room, bytes) = match body(&app, request).await {
        Ok(body) => body,
        Err(problem) => return elastic_problem(&problem),
    };
    let name = format!("bulk:{}", caller.token.issued.name);
    app.sources.add_bytes(&name, bytes.len() as u64);
    let bulk = match spawn_blocking(move || parse(&bytes)).await {
        Ok(Ok(bulk)) => bulk,
        Ok(Err(error)) => return elastic(error.answer()),
        Err(_) => return elastic_problem(&Problem::internal()),
    };
    let outcomes = match deliver_bulk(&app, &caller, name, room, &bulk).await {
        Ok(outcomes) => outcomes,
        Err(_) => return elastic(bulk::busy()),
    };
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let made = app.intake.own_key();
    elastic(bulk.respond(took_ms, &outcomes, |document| format!("{made}-{document}")))
}

/// Delivers the documents of a request, and returns what became of each.
async fn deliver_bulk(
    app: &App,
    caller: &Caller,
    name: String,
    room: Room,
    bulk: &Bulk,
) -> Result<Vec<Outcome>, NotTaken> {
    let mut outcomes = vec![Outcome::Stored; bulk.documents()];
    if outcomes.is_empty() {
        return Ok(outcomes);
    }
    let made = app.intake.own_key();
    let documents = bulk.items.iter().filter_map(|item| Some((item, *item.line.as_ref().ok()?)));
    let keys = documents.map(|(item, line)| {
        let key = match &item.id {
            Some(id) => format!("id {}\n{id}", item.index),
            // Without an id it is like no other.
            None => format!("own {made}-{line}"),
        };
        SourceIdentity::key_bits(&key)
    });
    let content = Content::JsonLines { bytes: bulk.docs.clone(), keys: keys.collect() };
    let identity = SourceIdentity::of_keyed(&caller.token.id, "bulk");
    let taken = app.intake.deliver(room, Source { name, identity }, content).await?;
    let known = taken.known.into_iter().map(|record| (record, Outcome::Known));
    let unreadable = taken.skipped.into_iter().map(|(record, reason)| (record, Outcome::Unreadable(reason)));
    for (record, became) in known.chain(unreadable) {
        // A record is a document, and counted from 1.
        if let Some(outcome) = usize::try_from(record).ok().and_then(|record| outcomes.get_mut(record.wrapping_sub(1)))
        {
            *outcome = became;
        }
    }
    Ok(outcomes)
}

/// A problem as shippers for Elasticsearch understand it.
fn elastic_problem(problem: &Problem) -> Response {
    let kind = match problem.status() {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => return elastic(bulk::busy()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "security_exception",
        _ => "illegal_argument_exception",
    };
    elastic(bulk::refusal(problem.status().as_u16(), kind, problem.detail()))
}

/// Answers the small questions that shippers ask before they send.
pub(crate) async fn ask(request: Request) -> Response {
    match small_answer(request.method().as_str(), request.uri().path()) {
        Some(known) => elastic(known),
        None => Problem::not_found("page").into_response(),
    }
}

/// Sends an answer to a client of Elasticsearch, which asks for a header of its own.
fn elastic(of: Answer) -> Response {
    let mut response = answer(of);
    response.headers_mut().insert(HeaderName::from_static(PRODUCT.0), HeaderValue::from_static(PRODUCT.1));
    response
}

/// Sends an answer of a protocol that is not ours.
fn answer(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, answer.body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    response
}

fn otlp_encoding(headers: &HeaderMap) -> Option<otlp::Encoding> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    otlp::Encoding::parse(kind)
}

fn otlp_problem(encoding: otlp::Encoding, problem: &Problem) -> Response {
    match problem.status() {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            let mut response = answer(otlp::busy(encoding));
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS.into());
            response
        }
        status => answer(otlp::refuse(encoding, status.as_u16(), problem.detail())),
    }
}

async fn logs(State(app): State<Arc<App>>, caller: Option<Caller>, request: Request) -> Response {
    let Some(encoding) = otlp_encoding(request.headers()) else {
        return Problem::unsupported("send application/x-protobuf or application/json").into_response();
    };
    let taken = take_logs(&app, caller, encoding, request).await;
    taken.unwrap_or_else(|problem| otlp_problem(encoding, &problem))
}

async fn take_logs(
    app: &App,
    caller: Option<Caller>,
    encoding: otlp::Encoding,
    request: Request,
) -> Result<Response, Problem> {
    let caller = caller.ok_or_else(Problem::unauthenticated)?;
    caller.must(Right::Ingest)?;
    let (mut room, bytes) = body(app, request).await?;
    let name = format!("otlp:{}", caller.token.issued.name);
    app.sources.add_bytes(&name, bytes.len() as u64);
    let logs = spawn_blocking(move || otlp::Logs::parse(encoding, &bytes)).await;
    let mut logs = match logs.map_err(|_| Problem::internal())? {
        Ok(logs) => logs,
        Err(error) => return Ok(answer(error.answer(encoding))),
    };
    // Each record carries what is said once of all.
    app.intake.grow(&mut room, logs.docs.len()).map_err(Problem::of_not_taken)?;
    let room_of_texts = app.intake.room(logs.texts.len()).map_err(Problem::of_not_taken)?;
    let docs = Content::JsonLines { bytes: std::mem::take(&mut logs.docs), keys: Vec::new() };
    let texts = Content::Lines(std::mem::take(&mut logs.texts));
    // What is in both is on the disk before anything is said; a sender that comes again because of the second gives the first
    // again, which OTLP allows.
    for (content, room) in [(docs, room), (texts, room_of_texts)] {
        let identity = SourceIdentity::of_request(&caller.token.id, &format!("own {}", app.intake.own_key()));
        let taken = app.intake.deliver(room, Source { name: name.clone(), identity }, content).await;
        let taken = taken.map_err(Problem::of_not_taken)?;
        taken.skipped.into_iter().for_each(|(_, reason)| logs.rejected.add(reason));
        logs.rejected.records += taken.skipped_more;
        taken.refused.into_iter().for_each(|reason| logs.rejected.add(reason));
    }
    Ok(answer(otlp::answer(encoding, &logs.rejected)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_a_path_are_undone_once() {
        assert_eq!(unescaped("a%2Fb%25%zz%4"), "a/b%%zz%4");
    }

    #[test]
    fn a_route_tells_what_it_speaks() {
        for route in ["/_bulk", "/{index}/_bulk", "/{index}/{type}", OTLP_ROUTE, "/api/v1/events"] {
            assert!(takes_logs(route), "{route}");
        }
        for route in ["/api/v1/incidents", "/", "/sign-in"] {
            assert!(!takes_logs(route), "{route}");
        }
    }
}
