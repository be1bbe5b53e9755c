//! Detections: their list, and one of them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use cresset_detect::{DetectionId, Level};
use cresset_event::Timestamp;
use cresset_store::{Cursor, DetectionFilter, DetectionRow};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Asked, Named};
use super::incidents::{cursor, detection_id, incident_id, limit};
use super::types::{DetectionFull, DetectionItem, LinkItem, List};
use crate::app::App;
use crate::auth::Caller;
use crate::problem::Problem;
use crate::rights::Right;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// The least level: `informational`, `low`, `medium`, `high` or `critical`.
    #[param(nullable = false, pattern = "^(informational|low|medium|high|critical)$")]
    level: Option<String>,
    /// The incident that they are in.
    #[param(nullable = false)]
    incident: Option<String>,
    /// The machine.
    #[param(nullable = false)]
    host: Option<String>,
    /// The id of the rule or indicator.
    #[param(nullable = false)]
    cause: Option<String>,
    /// Those that were found in the past by a hunt, or those that were not.
    #[param(nullable = false)]
    retro: Option<bool>,
    /// Those from this moment on (RFC 3339).
    #[param(nullable = false, format = DateTime)]
    from: Option<String>,
    /// Those before this moment (RFC 3339).
    #[param(nullable = false, format = DateTime)]
    until: Option<String>,
    /// What their title has in it.
    #[param(nullable = false)]
    q: Option<String>,
    /// How many, 1 to 500; 50 where it is not said.
    #[param(nullable = false, minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// Where to go on: the `next` of the part before.
    #[param(nullable = false, pattern = r"^d(\.-?[0-9]{1,18}){1,3}$")]
    cursor: Option<String>,
}

impl ListQuery {
    fn filter(self) -> Result<DetectionFilter, Problem> {
        Ok(DetectionFilter {
            level_min: self.level.map(|level| level.parse::<Level>().map_err(Problem::invalid)).transpose()?,
            incident: self.incident.as_deref().map(incident_id).transpose()?,
            host: self.host,
            cause: self.cause,
            retro: self.retro,
            from_inclusive: self.from.map(|time| moment("from", &time)).transpose()?,
            until_exclusive: self.until.map(|time| moment("until", &time)).transpose()?,
            title: self.q,
        })
    }
}

/// Reads a moment.
pub(crate) fn moment(field: &str, text: &str) -> Result<Timestamp, Problem> {
    Timestamp::parse_rfc3339(text)
        .map_err(|_| Problem::content(format!("{field}: a moment in RFC 3339, of the years 1678 to 2261")))
}

/// Lists detections, the newest first
#[utoipa::path(get, path = "/api/v1/detections", tag = "detections", operation_id = "list_detections", params(ListQuery),
    responses((status = 200, body = List<DetectionItem>)))]
async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Asked(query): Asked<ListQuery>,
) -> Result<Json<List<DetectionItem>>, Problem> {
    caller.must(Right::Read)?;
    let (cursor, limit) = (cursor(query.cursor.as_ref())?, limit(query.limit)?);
    listed(&app, &query.filter()?, cursor.as_ref(), limit).await.map(Json)
}

/// Returns a part of a list, as the API gives it and the page shows it.
pub(crate) async fn listed(
    app: &App,
    filter: &DetectionFilter,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<List<DetectionItem>, Problem> {
    let page = app.store.detections(filter, after, limit).await.map_err(Problem::of_store)?;
    let next = page.next.map(|cursor| cursor.to_string());
    Ok(List { items: page.rows.into_iter().map(DetectionItem::from).collect(), next })
}

/// Returns detections, the newest first, each with why it is in its incident.
pub(crate) async fn linked(
    app: &App,
    filter: &DetectionFilter,
    limit: usize,
) -> Result<Vec<(DetectionItem, Vec<LinkItem>)>, Problem> {
    let rows = app.store.detections(filter, None, limit).await.map_err(Problem::of_store)?.rows;
    let ids: Vec<DetectionId> = rows.iter().map(|row| row.id).collect();
    let mut links = app.store.links(&ids).await.map_err(Problem::of_store)?;
    let with_links = |row: DetectionRow| {
        let links = links.remove(&row.id).unwrap_or_default();
        (DetectionItem::from(row), links.iter().map(LinkItem::from).collect())
    };
    Ok(rows.into_iter().map(with_links).collect())
}

/// Shows a detection
#[utoipa::path(get, path = "/api/v1/detections/{id}", tag = "detections", operation_id = "show_detection",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = DetectionFull)))]
async fn one(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<DetectionFull>, Problem> {
    caller.must(Right::Read)?;
    found(&app, &id).await.map(Json)
}

/// Returns all that is kept of a detection.
async fn found(app: &App, id: &str) -> Result<DetectionFull, Problem> {
    let stored = app.store.detection(detection_id(id)?).await.map_err(Problem::of_store)?;
    let record = serde_json::from_str(&stored.detail).map_err(|error| {
        tracing::error!(%error, id, "the record of a detection cannot be read");
        Problem::internal()
    })?;
    let links = stored.links.iter().map(LinkItem::from).collect();
    Ok(DetectionFull { detection: stored.row.into(), links, record })
}
