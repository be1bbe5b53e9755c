//! Incidents: their list, one of them, and what people do to them.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use cresset_detect::DetectionId;
use cresset_picture::{IncidentId, PriorityClass, State as IncidentState};
use cresset_store::{Act, Cursor, IncidentFilter, IncidentOrder, IncidentRow, OwnerFilter, StateFilter};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Asked, Given, Named};
use super::types::{IncidentFull, IncidentItem, List, Made};
use crate::app::App;
use crate::auth::Caller;
use crate::desk::Order;
use crate::problem::Problem;
use crate::rights::Right;

/// Items of a part of a list, where nothing else is asked for, and at most.
pub(crate) const LIMIT: usize = 50;
pub(crate) const LIMIT_MAX: usize = 500;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(one))
        .routes(routes!(assign))
        .routes(routes!(note))
        .routes(routes!(add_task))
        .routes(routes!(finish_task))
        .routes(routes!(set_state))
        .routes(routes!(merge))
        .routes(routes!(split))
        .routes(routes!(add_evidence))
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
    state: Option<String>,
    /// `P1` to `P4`.
    priority: Option<String>,
    /// Who works on them; empty for those on which nobody works.
    owner: Option<String>,
    /// What their title has in it.
    q: Option<String>,
    /// Their order.
    order: Option<OrderBy>,
    /// How many, 1 to 500; 50 where it is not said.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// Where to go on: the `next` of the part before.
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

/// Reads the id of an incident.
pub(crate) fn incident_id(text: &str) -> Result<IncidentId, Problem> {
    IncidentId::parse(text).ok_or_else(|| Problem::invalid("an incident's id is `incident--` and a UUID"))
}

/// Reads the id of a detection.
pub(crate) fn detection_id(text: &str) -> Result<DetectionId, Problem> {
    DetectionId::parse(text).ok_or_else(|| Problem::invalid("a detection's id is a UUID"))
}

/// Lists incidents
#[utoipa::path(get, path = "/api/v1/incidents", tag = "incidents", params(ListQuery),
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
#[utoipa::path(get, path = "/api/v1/incidents/{id}", tag = "incidents",
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
async fn ordered(app: &App, caller: &Caller, right: Right, order: Order) -> Result<Json<Made>, Problem> {
    caller.must(right)?;
    let acted = app.order(caller.now(), order).await?;
    Ok(Json(Made { number: acted.seq, incident: acted.incident.map(|id| id.to_string()) }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Assign {
    /// Who works on it from now on; `null`: nobody.
    #[schema(max_length = 200)]
    owner: Option<String>,
}

/// Hands an incident to somebody
#[utoipa::path(post, path = "/api/v1/incidents/{id}/assign", tag = "incidents", request_body = Assign,
    params(("id" = String, Path, description = "Its id")), responses((status = 200, body = Made)))]
async fn assign(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(id): Named<String>,
    Given(given): Given<Assign>,
) -> Result<Json<Made>, Problem> {
    let act = Act::Assign { incident: incident_id(&id)?, owner: given.owner };
    ordered(&app, &caller, Right::Work, Order::Beside(act)).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewNote {
    /// What to write down.
    #[schema(min_length = 1)]
    text: String,
}

/// Writes something down
#[utoipa::path(post, path = "/api/v1/incidents/{id}/notes", tag = "incidents", request_body = NewNote,
    params(("id" = String, Path, description = "Its id")), responses((status = 200, body = Made)))]
async fn note(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(id): Named<String>,
    Given(given): Given<NewNote>,
) -> Result<Json<Made>, Problem> {
    let act = Act::Note { incident: incident_id(&id)?, text: filled("text", given.text)? };
    ordered(&app, &caller, Right::Work, Order::Beside(act)).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTask {
    /// What is to be done.
    #[schema(min_length = 1, max_length = 200)]
    title: String,
}

/// Says what is to be done
#[utoipa::path(post, path = "/api/v1/incidents/{id}/tasks", tag = "incidents", request_body = NewTask,
    params(("id" = String, Path, description = "Its id")), responses((status = 200, body = Made)))]
async fn add_task(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(id): Named<String>,
    Given(given): Given<NewTask>,
) -> Result<Json<Made>, Problem> {
    let act = Act::AddTask { incident: incident_id(&id)?, title: filled("title", given.title)? };
    ordered(&app, &caller, Right::Work, Order::Beside(act)).await
}

/// Says that a task is done
#[utoipa::path(post, path = "/api/v1/tasks/{number}/done", tag = "incidents",
    params(("number" = u64, Path, description = "The task's number")), responses((status = 200, body = Made)))]
async fn finish_task(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(task): Named<u64>,
) -> Result<Json<Made>, Problem> {
    ordered(&app, &caller, Right::Work, Order::Beside(Act::FinishTask { task })).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewState {
    /// `triage`, `contained`, `eradicated`, `recovered`, or `closed:` and a verdict: `true-positive`, `benign-positive`,
    /// `false-positive`, `undetermined` or `duplicate`.
    state: String,
}

/// Moves an incident on, or closes it
#[utoipa::path(post, path = "/api/v1/incidents/{id}/state", tag = "incidents", request_body = NewState,
    params(("id" = String, Path, description = "Its id")), responses((status = 200, body = Made)))]
async fn set_state(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(id): Named<String>,
    Given(given): Given<NewState>,
) -> Result<Json<Made>, Problem> {
    let state = given.state.parse::<IncidentState>().map_err(Problem::invalid)?;
    ordered(&app, &caller, Right::Work, Order::SetState(incident_id(&id)?, state)).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MergeWith {
    /// The incident that goes up in this one.
    from: String,
}

/// Makes two incidents one
#[utoipa::path(post, path = "/api/v1/incidents/{id}/merge", tag = "incidents", request_body = MergeWith,
    params(("id" = String, Path, description = "Its id")), responses((status = 200, body = Made)))]
async fn merge(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(id): Named<String>,
    Given(given): Given<MergeWith>,
) -> Result<Json<Made>, Problem> {
    let (into, from) = (incident_id(&id)?, incident_id(&given.from)?);
    ordered(&app, &caller, Right::Work, Order::Merge { into, from }).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SplitOff {
    /// The detections that are to be an incident of their own.
    #[schema(min_items = 1, max_items = 10_000)]
    detections: Vec<String>,
}

/// Makes an incident of some detections of this one
#[utoipa::path(post, path = "/api/v1/incidents/{id}/split", tag = "incidents", request_body = SplitOff,
    params(("id" = String, Path, description = "Its id")), responses((status = 200, body = Made)))]
async fn split(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(id): Named<String>,
    Given(given): Given<SplitOff>,
) -> Result<Json<Made>, Problem> {
    let detections = given.detections.iter().map(|id| detection_id(id)).collect::<Result<_, _>>()?;
    ordered(&app, &caller, Right::Work, Order::Split(incident_id(&id)?, detections)).await
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
#[utoipa::path(post, path = "/api/v1/incidents/{id}/evidence", tag = "incidents",
    params(("id" = String, Path, description = "Its id"), EvidenceQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = Made)))]
async fn add_evidence(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(id): Named<String>,
    Asked(query): Asked<EvidenceQuery>,
    body: Bytes,
) -> Result<(StatusCode, Json<Made>), Problem> {
    caller.must(Right::Work)?;
    let incident = incident_id(&id)?;
    let (name, bytes) = (filled("name", query.name)?, body.len() as u64);
    // An incident that is not there is not to leave a file behind.
    app.store.incident(incident).await.map_err(Problem::of_store)?;
    let sha256: [u8; 32] = Sha256::digest(&body).into();
    crate::evidence::keep(app.evidence(), sha256, body).await?;
    let act = Act::AddEvidence { incident, sha256, name, bytes };
    let made = ordered(&app, &caller, Right::Work, Order::Beside(act)).await?;
    Ok((StatusCode::CREATED, made))
}

/// Refuses a text that says nothing.
pub(crate) fn filled(field: &str, text: String) -> Result<String, Problem> {
    if text.trim().is_empty() {
        return Err(Problem::invalid(format!("{field}: it is empty")));
    }
    Ok(text)
}
