//! Logs over HTTP: in any format that is known, as shippers for Elasticsearch send them, and as OpenTelemetry does.
//!
//! An answer of success says that all of it is on the disk. Where there is no room it is 429 at once, before the body is read:
//! the sender comes again, and nothing of it was taken.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cresset_event::{Source, SourceIdentity};
use cresset_ingest::Content;
use cresset_intake::body::{Encoding, unpack};
use cresset_intake::bulk::{self, Bulk, Outcome};
use cresset_intake::greeting::small_answer;
use cresset_intake::{Answer, otlp};
use http_body_util::{BodyExt, Limited};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Asked, Named};
use crate::app::App;
use crate::auth::Caller;
use crate::intake::{NotTaken, Room, Taken};
use crate::once::read_key;
use crate::problem::Problem;
use crate::rights::Right;

/// How long a body may take to come: at the bound of 32 MiB some 9 Mbit/s.
const BODY_WITHIN: Duration = Duration::from_secs(30);
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
        .route("/v1/logs", post(logs))
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
    let key = request.headers().get("idempotency-key").map(read_key).transpose()?.map(str::to_owned);
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
    // What it comes to unpacked is not known before.
    let expected = match encoding {
        Encoding::Identity => declared.unwrap_or(bytes_max),
        _ => bytes_max,
    };
    let room = app.intake.room(expected).map_err(Problem::of_not_taken)?;
    let packed = read(body, bytes_max).await?;
    if encoding == Encoding::Identity {
        return Ok((room, packed.into()));
    }
    // A second's work at the most, and not for the threads that serve.
    let unpacked = spawn_blocking(move || unpack(encoding, &packed, bytes_max).map(|bytes| bytes.into_owned())).await;
    let bytes = unpacked.map_err(|_| Problem::internal())?.map_err(|error| Problem::of_body(&error))?;
    Ok((room, bytes))
}

async fn read(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let read = timeout(BODY_WITHIN, Limited::new(body, bytes_max).collect()).await;
    let collected = read.map_err(|_| Problem::timeout())?;
    match collected {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Problem::too_large(bytes_max)),
        Err(_) => Err(Problem::invalid("the body broke off")),
    }
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

async fn take_bulk(app: Arc<App>, caller: Option<Caller>, index: &str, request: Request) -> Response {
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
    let bulk = match Bulk::parse(&bytes, index) {
        Ok(bulk) => bulk,
        Err(error) => return answer(error.answer()),
    };
    let name = format!("bulk:{}", caller.token.issued.name);
    app.sources.add_bytes(&name, bytes.len() as u64);
    drop(bytes);
    let outcomes = match deliver_bulk(&app, &caller, name, room, &bulk).await {
        Ok(outcomes) => outcomes,
        Err(_) => return answer(bulk::busy()),
    };
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let made = app.intake.own_key();
    answer(bulk.respond(took_ms, &outcomes, |document| format!("{made}-{document}")))
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
    for (record, reason) in taken.skipped {
        if let Some(outcome) = usize::try_from(record).ok().and_then(|record| outcomes.get_mut(record.wrapping_sub(1)))
        {
            *outcome = Outcome::Unreadable(reason);
        }
    }
    Ok(outcomes)
}

/// A problem as shippers for Elasticsearch understand it.
fn elastic_problem(problem: &Problem) -> Response {
    let kind = match problem.status() {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => return answer(bulk::busy()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "security_exception",
        _ => "illegal_argument_exception",
    };
    answer(bulk::refusal(problem.status().as_u16(), kind, problem.detail()))
}

/// Answers the small questions that shippers ask before they send.
pub(crate) async fn ask(request: Request) -> Response {
    match small_answer(request.method().as_str(), request.uri().path()) {
        Some(known) => answer(known),
        None => Problem::not_found("page").into_response(),
    }
}

/// Sends an answer of a protocol that is not ours.
pub(crate) fn answer(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, answer.body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    // Clients of Elasticsearch ask for it; others do not see it.
    response.headers_mut().insert("x-elastic-product", HeaderValue::from_static("Elasticsearch"));
    response
}

async fn logs(State(app): State<Arc<App>>, caller: Option<Caller>, request: Request) -> Response {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let Some(encoding) = otlp::Encoding::parse(kind) else {
        return Problem::unsupported("send application/x-protobuf or application/json").into_response();
    };
    match take_logs(&app, caller, encoding, request).await {
        Ok(response) => response,
        Err(problem) => match problem.status() {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                let mut response = answer(otlp::busy(encoding));
                response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS.into());
                response
            }
            status => answer(otlp::refuse(encoding, status.as_u16(), problem.detail())),
        },
    }
}

async fn take_logs(
    app: &App,
    caller: Option<Caller>,
    encoding: otlp::Encoding,
    request: Request,
) -> Result<Response, Problem> {
    let caller = caller.ok_or_else(Problem::unauthenticated)?;
    caller.must(Right::Ingest)?;
    let (room, bytes) = body(app, request).await?;
    let mut logs = match otlp::Logs::parse(encoding, &bytes) {
        Ok(logs) => logs,
        Err(error) => return Ok(answer(error.answer(encoding))),
    };
    let name = format!("otlp:{}", caller.token.issued.name);
    app.sources.add_bytes(&name, bytes.len() as u64);
    drop(bytes);
    let docs = Content::JsonLines { bytes: std::mem::take(&mut logs.docs), keys: Vec::new() };
    let texts = Content::Any(std::mem::take(&mut logs.texts));
    // What is in both is on the disk before anything is said; a sender that comes again because of the second gives the first
    // again, which OTLP allows.
    let room_of_texts = app.intake.room(0).map_err(Problem::of_not_taken)?;
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
