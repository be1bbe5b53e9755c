//! Incidents: their list, one of them, and what people do to them.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use cresset_detect::DetectionId;
use cresset_picture::{IncidentId, PriorityClass, State as IncidentState, Verdict};
use cresset_store::{Act, Acted, Cursor, IncidentFilter, IncidentOrder, IncidentRow, OwnerFilter, StateFilter};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Asked, Given, Named};
use super::tuning::NewExclusion;
use super::types::{IncidentFull, IncidentItem, List, Made};
use crate::app::App;
use crate::auth::Caller;
use crate::desk::Order;
use crate::evidence;
use crate::once::{json, key_in, of_file, respond};
use crate::problem::Problem;
use crate::rights::Right;

/// Items of a part of a list, where nothing else is asked for, and at most.
pub(crate) const LIMIT: usize = 50;
pub(crate) const LIMIT_MAX: usize = 500;
/// Characters of a name or a title, as the description says: with four bytes each they fit the store's bound.
pub(crate) const NAME_CHARS_MAX: usize = 200;
/// Characters of a note, likewise.
pub(crate) const NOTE_CHARS_MAX: usize = 16_000;
/// Detections that are split off at once: an incident of more is told apart by what they have in common, and not one by one.
const SPLIT_MAX: usize = 1000;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(one))
        .routes(routes!(assign))
        .routes(routes!(note))
        .routes(routes!(add_task))
        .routes(routes!(finish_task))
        .routes(routes!(reopen_task))
        .routes(routes!(set_state))
        .routes(routes!(merge))
        .routes(routes!(split))
        .routes(routes!(add_evidence))
        .routes(routes!(fetch_evidence))
}

/// The order of a list of incidents.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum OrderBy {
    /// Those where something happened last come first.
    #[default]
    Last,
    /// Those of the highest priority come first.
    Priority,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// `open`, `closed`, or a state such as `triage` or `closed:false-positive`.
    #[param(
        nullable = false,
        pattern = r"^(open|closed|new|triage|contained|eradicated|recovered|closed:(true-positive|benign-positive|false-positive|undetermined|duplicate))$"
    )]
    state: Option<String>,
    /// `P1` to `P4`.
    #[param(nullable = false, pattern = "^P[1-4]$")]
    priority: Option<String>,
    /// Who works on them; empty for those on which nobody works.
    #[param(nullable = false)]
    owner: Option<String>,
    /// What their title has in it.
    #[param(nullable = false)]
    q: Option<String>,
    /// Their order.
    #[param(inline, nullable = false)]
    order: Option<OrderBy>,
    /// How many, 1 to 500; 50 where it is not said.
    #[param(nullable = false, minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// Where to go on: the `next` of the part before.
    #[param(nullable = false, pattern = r"^[lp](\.-?[0-9]{1,18}){1,3}$")]
    cursor: Option<String>,
}

impl ListQuery {
    fn filter(&self) -> Result<IncidentFilter, Problem> {
        let state = |text: &String| match text.as_str() {
            "open" => Ok(StateFilter::Open),
            "closed" => Ok(StateFilter::Closed),
            word => word.parse::<IncidentState>().map(StateFilter::Is).map_err(Problem::invalid),
        };
        let class = |text: &String| {
            let found = PriorityClass::ALL.into_iter().find(|class| class.as_str() == text);
            found.ok_or_else(|| Problem::invalid("priority: one of P1, P2, P3 and P4"))
        };
        let owner = |owner: &String| match owner.as_str() {
            "" => OwnerFilter::Nobody,
            name => OwnerFilter::Is(name.to_owned()),
        };
        Ok(IncidentFilter {
            state: self.state.as_ref().map(state).transpose()?,
            class: self.priority.as_ref().map(class).transpose()?,
            owner: self.owner.as_ref().map(owner),
            title: self.q.clone(),
        })
    }
}

/// Reads a limit.
pub(crate) fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    let limit = asked.unwrap_or(LIMIT);
    if (1..=LIMIT_MAX).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::invalid(format!("limit: a number from 1 to {LIMIT_MAX}")))
}

/// Reads a cursor.
pub(crate) fn cursor(asked: Option<&String>) -> Result<Option<Cursor>, Problem> {
    asked.map(|text| Cursor::parse(text)).transpose().map_err(Problem::of_store)
}

/// Reads the id of an incident. What cannot be one names nothing.
pub(crate) fn incident_id(text: &str) -> Result<IncidentId, Problem> {
    IncidentId::parse(text).ok_or_else(|| Problem::not_found("incident: its id is `incident--` and a UUID"))
}

/// Reads the id of a detection.
pub(crate) fn detection_id(text: &str) -> Result<DetectionId, Problem> {
    DetectionId::parse(text).ok_or_else(|| Problem::not_found("detection: its id is a UUID"))
}

/// Lists incidents
#[utoipa::path(get, path = "/api/v1/incidents", tag = "incidents", operation_id = "list_incidents", params(ListQuery),
    responses((status = 200, body = List<IncidentItem>)))]
async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Asked(query): Asked<ListQuery>,
) -> Result<Json<List<IncidentItem>>, Problem> {
    caller.must(Right::Read)?;
    let order = match query.order.unwrap_or_default() {
        OrderBy::Last => IncidentOrder::Last,
        OrderBy::Priority => IncidentOrder::Priority,
    };
    let (filter, cursor, limit) = (query.filter()?, cursor(query.cursor.as_ref())?, limit(query.limit)?);
    listed(&app, &filter, order, cursor.as_ref(), limit).await.map(Json)
}

/// Returns a part of a list, as the API gives it and the page shows it.
pub(crate) async fn listed(
    app: &App,
    filter: &IncidentFilter,
    order: IncidentOrder,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<List<IncidentItem>, Problem> {
    let page = app.store.incidents(filter, order, after, limit).await.map_err(Problem::of_store)?;
    let ids: Vec<IncidentId> = page.rows.iter().map(|row| row.id).collect();
    let mut reach = app.store.reach(&ids).await.map_err(Problem::of_store)?;
    let item = |row: IncidentRow| {
        let reach = reach.remove(&row.id).unwrap_or_default();
        IncidentItem::new(row, reach)
    };
    Ok(List { items: page.rows.into_iter().map(item).collect(), next: page.next.map(|cursor| cursor.to_string()) })
}

/// Shows an incident
#[utoipa::path(get, path = "/api/v1/incidents/{id}", tag = "incidents", operation_id = "show_incident",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = IncidentFull)))]
async fn one(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<IncidentFull>, Problem> {
    caller.must(Right::Read)?;
    found(&app, &id).await.map(Json)
}

/// Returns all that is known of an incident.
pub(crate) async fn found(app: &App, id: &str) -> Result<IncidentFull, Problem> {
    let page = app.store.incident(incident_id(id)?).await.map_err(Problem::of_store)?;
    Ok(page.into())
}

/// Gives an order and answers with what it made.
async fn ordered(app: &App, caller: &Caller, status: StatusCode, order: Order) -> Result<Response, Problem> {
    let made = move |acted: &Acted| {
        json(status, &Made { number: acted.seq, incident: acted.incident.map(|id| id.to_string()) })
    };
    app.order(caller, order, made).await.map(respond)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Assign {
    /// Who works on it from now on; `null`: nobody.
    #[schema(max_length = 200)]
    owner: Option<String>,
}

/// Hands an incident to somebody
#[utoipa::path(post, path = "/api/v1/incidents/{id}/assign", tag = "incidents", operation_id = "assign_incident", request_body = Assign,
    params(("id" = String, Path, description = "Its id")), responses((status = 200, body = Made)))]
async fn assign(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(id): Named<String>,
    Given(given): Given<Assign>,
) -> Result<Response, Problem> {
    caller.must(Right::Work)?;
    let owner = given.owner.map(|owner| short("owner", owner, NAME_CHARS_MAX)).transpose()?;
    let act = Act::Assign { incident: incident_id(&id)?, owner };
    ordered(&app, &caller, StatusCode::OK, Order::Beside(act)).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewNote {
    /// What to write down.
    #[schema(min_length = 1, max_length = 16000)]
    text: String,
}

/// Writes something down
#[utoipa::path(post, path = "/api/v1/incidents/{id}/notes", tag = "incidents", operation_id = "add_note", request_body = NewNote,
    params(("id" = String, Path, description = "Its id")), responses((status = 200, body = Made)))]
async fn note(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(id): Named<String>,
    Given(given): Given<NewNote>,
) -> Result<Response, Problem> {
    caller.must(Right::Work)?;
    let act = Act::Note { incident: incident_id(&id)?, text: filled("text", given.text, NOTE_CHARS_MAX)? };
    ordered(&app, &caller, StatusCode::OK, Order::Beside(act)).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTask {
    /// What is to be done.
    #[schema(min_length = 1, max_length = 200)]
    title: String,
}

/// Says what is to be done
#[utoipa::path(post, path = "/api/v1/incidents/{id}/tasks", tag = "incidents", operation_id = "add_task", request_body = NewTask,
    params(("id" = String, Path, description = "Its id")), responses((status = 200, body = Made)))]
async fn add_task(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(id): Named<String>,
    Given(given): Given<NewTask>,
) -> Result<Response, Problem> {
    caller.must(Right::Work)?;
    let act = Act::AddTask { incident: incident_id(&id)?, title: filled("title", given.title, NAME_CHARS_MAX)? };
    ordered(&app, &caller, StatusCode::OK, Order::Beside(act)).await
}

/// Says that a task is done
#[utoipa::path(post, path = "/api/v1/tasks/{number}/done", tag = "incidents", operation_id = "finish_task",
    params(("number" = u64, Path, description = "The task's number")), responses((status = 200, body = Made)))]
async fn finish_task(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(task): Named<u64>,
) -> Result<Response, Problem> {
    caller.must(Right::Work)?;
    ordered(&app, &caller, StatusCode::OK, Order::Beside(Act::FinishTask { task })).await
}

/// Says that a task is to be done after all
#[utoipa::path(post, path = "/api/v1/tasks/{number}/reopen", tag = "incidents", operation_id = "reopen_task",
    params(("number" = u64, Path, description = "The task's number")), responses((status = 200, body = Made)))]
async fn reopen_task(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(task): Named<u64>,
) -> Result<Response, Problem> {
    caller.must(Right::Work)?;
    ordered(&app, &caller, StatusCode::OK, Order::Beside(Act::ReopenTask { task })).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewState {
    /// `triage`, `contained`, `eradicated`, `recovered`, or `closed:` and a verdict: `true-positive`, `benign-positive`,
    /// `false-positive`, `undetermined` or `duplicate`.
    #[schema(
        pattern = r"^(new|triage|contained|eradicated|recovered|closed:(true-positive|benign-positive|false-positive|undetermined|duplicate))$"
    )]
    state: String,
    /// What is left out of incidents from now on, because this one is closed as a false positive: both are done, or neither.
    exclude: Option<NewExclusion>,
}

/// Moves an incident on, or closes it
#[utoipa::path(post, path = "/api/v1/incidents/{id}/state", tag = "incidents", operation_id = "set_state", request_body = NewState,
    params(("id" = String, Path, description = "Its id")), responses((status = 200, body = Made)))]
async fn set_state(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(id): Named<String>,
    Given(given): Given<NewState>,
) -> Result<Response, Problem> {
    caller.must(Right::Work)?;
    let state = given.state.parse::<IncidentState>().map_err(Problem::invalid)?;
    let exclude = match given.exclude {
        None => None,
        Some(_) if state != IncidentState::Closed(Verdict::FalsePositive) => {
            return Err(Problem::content("exclude: only what is closed as a false positive is left out from now on"));
        }
        Some(exclude) => {
            caller.must(Right::Tune)?;
            Some(exclude.tuning(&app, &caller)?)
        }
    };
    ordered(&app, &caller, StatusCode::OK, Order::SetState(incident_id(&id)?, state, exclude)).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MergeWith {
    /// The incident that goes up in this one.
    from: String,
}

/// Makes two incidents one
#[utoipa::path(post, path = "/api/v1/incidents/{id}/merge", tag = "incidents", operation_id = "merge_incident", request_body = MergeWith,
    params(("id" = String, Path, description = "Its id")), responses((status = 200, body = Made)))]
async fn merge(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(id): Named<String>,
    Given(given): Given<MergeWith>,
) -> Result<Response, Problem> {
    caller.must(Right::Work)?;
    let (into, from) = (incident_id(&id)?, incident_id(&given.from)?);
    ordered(&app, &caller, StatusCode::OK, Order::Merge { into, from }).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SplitOff {
    /// The detections that are to be an incident of their own.
    #[schema(min_items = 1, max_items = 1000)]
    detections: Vec<String>,
}

/// Makes an incident of some detections of this one
#[utoipa::path(post, path = "/api/v1/incidents/{id}/split", tag = "incidents", operation_id = "split_incident", request_body = SplitOff,
    params(("id" = String, Path, description = "Its id")), responses((status = 200, body = Made)))]
async fn split(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(id): Named<String>,
    Given(given): Given<SplitOff>,
) -> Result<Response, Problem> {
    caller.must(Right::Work)?;
    if !(1..=SPLIT_MAX).contains(&given.detections.len()) {
        return Err(Problem::invalid(format!("detections: 1 to {SPLIT_MAX}")));
    }
    let detections = given.detections.iter().map(|id| detection_id(id)).collect::<Result<_, _>>()?;
    ordered(&app, &caller, StatusCode::OK, Order::Split(incident_id(&id)?, detections)).await
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EvidenceQuery {
    /// What the file is called.
    #[param(min_length = 1, max_length = 200)]
    name: String,
}

/// Keeps a file as evidence
#[utoipa::path(post, path = "/api/v1/incidents/{id}/evidence", tag = "incidents", operation_id = "add_evidence",
    params(("id" = String, Path, description = "Its id"), EvidenceQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = Made)))]
async fn add_evidence(
    State(app): State<Arc<App>>,
    mut caller: Caller,
    Named(id): Named<String>,
    Asked(query): Asked<EvidenceQuery>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    caller.must(Right::Work)?;
    let (incident, key) = (incident_id(&id)?, key_in(&headers)?);
    let name = filled("name", query.name, NAME_CHARS_MAX)?;
    // An incident that is not there is not to leave a file behind.
    app.store.incident(incident).await.map_err(Problem::of_store)?;
    let arrived = evidence::receive(&app, body).await?;
    let (sha256, bytes) = (arrived.sha256, arrived.bytes);
    caller.once = of_file(key, &uri, &sha256);
    if let Some(asked) = &caller.once
        && let Some(earlier) = app.store.answer_to(&caller.now(), asked).await.map_err(Problem::of_store)?
    {
        return Ok(respond(earlier));
    }
    arrived.keep(app.evidence()).await?;
    let act = Act::AddEvidence { incident, sha256, name, bytes };
    ordered(&app, &caller, StatusCode::CREATED, Order::Beside(act)).await
}

/// Fetches a file of evidence
#[utoipa::path(get, path = "/api/v1/incidents/{id}/evidence/{number}", tag = "incidents", operation_id = "fetch_evidence",
    params(("id" = String, Path, description = "Its id"), ("number" = u64, Path, description = "The file's number")),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream",
        description = "The file as it was kept; what it holds may be hostile.")))]
async fn fetch_evidence(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named((id, number)): Named<(String, u64)>,
) -> Result<Response, Problem> {
    caller.must(Right::Work)?;
    let row = app.store.evidence(incident_id(&id)?, number).await.map_err(Problem::of_store)?;
    let (body, bytes) = evidence::open(app.evidence(), &row.sha256).await?;
    let kind = HeaderValue::from_static("application/octet-stream");
    let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_LENGTH, bytes.into())];
    Ok((headers, [(header::CONTENT_DISPOSITION, attachment(&row.name))], body).into_response())
}

/// Names a file that is to be saved and not shown (RFC 6266), whatever its name has in it (RFC 8187).
fn attachment(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    name.bytes().fold("attachment; filename*=UTF-8''".to_owned(), |mut text, byte| {
        if is_plain(byte) {
            text.push(byte.into());
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        text
    })
}

/// Refuses a text that is longer than the description says, or says nothing.
pub(crate) fn filled(field: &str, text: String, chars_max: usize) -> Result<String, Problem> {
    let text = short(field, text, chars_max)?;
    match text.chars().next() {
        None => Err(Problem::invalid(format!("{field}: it is empty"))),
        Some(_) if text.trim().is_empty() => Err(Problem::content(format!("{field}: it says nothing"))),
        Some(_) => Ok(text),
    }
}

/// Refuses a text that is longer than the description says.
pub(crate) fn short(field: &str, text: String, chars_max: usize) -> Result<String, Problem> {
    match text.chars().count() {
        chars if chars > chars_max => {
            Err(Problem::invalid(format!("{field}: it has {chars} characters, of which {chars_max} are taken at most")))
        }
        _ => Ok(text),
    }
}
