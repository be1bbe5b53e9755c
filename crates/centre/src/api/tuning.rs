//! What is left out of incidents, and what is worth protecting.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use cresset_event::{IdDigest, Timestamp, write_uuid};
use cresset_picture::{Exclusion, Silence, Tuning};
use cresset_store::{NewTuning, TuningKind, TuningRow};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::detections::moment;
use super::extract::{Given, Named};
use super::incidents::filled;
use super::types::{List, Made};
use crate::app::App;
use crate::auth::Caller;
use crate::desk::Order;
use crate::problem::Problem;
use crate::rights::Right;
use crate::tuned;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(exclusions, exclude))
        .routes(routes!(end_exclusion))
        .routes(routes!(silences, silence))
        .routes(routes!(end_silence))
        .routes(routes!(assets, set_assets))
}

/// An exclusion or a silence.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TuningItem {
    /// Its id.
    id: String,
    /// What it leaves out.
    #[schema(value_type = Object)]
    definition: Value,
    /// When it was added.
    #[schema(format = DateTime)]
    at: String,
    /// By whom.
    author: String,
    /// Until when it holds.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// When it was taken back.
    #[schema(format = DateTime)]
    removed_at: Option<String>,
    /// By whom.
    removed_by: Option<String>,
}

impl From<TuningRow> for TuningItem {
    fn from(row: TuningRow) -> Self {
        let (removed_at, removed_by) = row.removed.map(|(at, by)| (at.to_string(), by)).unzip();
        Self {
            id: row.tuning.id,
            definition: serde_json::from_str(&row.tuning.definition).unwrap_or_default(),
            at: row.at.to_string(),
            author: row.author,
            until: row.tuning.until.map(|until| until.to_string()),
            removed_at,
            removed_by,
        }
    }
}

async fn listed(app: &App, caller: &Caller, kind: TuningKind) -> Result<Json<List<TuningItem>>, Problem> {
    caller.must(Right::Read)?;
    let rows = app.store.tunings().await.map_err(Problem::of_store)?;
    let items = rows.into_iter().filter(|row| row.tuning.kind == kind).map(TuningItem::from).collect();
    Ok(Json(List { items, next: None }))
}

async fn ended(app: &App, caller: &Caller, kind: TuningKind, id: String) -> Result<StatusCode, Problem> {
    caller.must(Right::Tune)?;
    app.order(caller.now(), Order::RemoveTuning(kind, id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists exclusions, those that were taken back among them
#[utoipa::path(get, path = "/api/v1/exclusions", tag = "tuning", responses((status = 200, body = List<TuningItem>)))]
async fn exclusions(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<List<TuningItem>>, Problem> {
    listed(&app, &caller, TuningKind::Exclusion).await
}

/// Lists silences, those that were taken back among them
#[utoipa::path(get, path = "/api/v1/silences", tag = "tuning", responses((status = 200, body = List<TuningItem>)))]
async fn silences(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<List<TuningItem>>, Problem> {
    listed(&app, &caller, TuningKind::Silence).await
}

/// A field and its value.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FieldValue {
    /// The field, as detections show it.
    field: String,
    /// The whole value, whatever the case of its letters.
    value: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewExclusion {
    /// The id of the rule or indicator; without one any.
    cause: Option<String>,
    /// The machine.
    host: Option<String>,
    /// The account.
    user: Option<String>,
    /// The program.
    process: Option<String>,
    /// Fields that the detection shows, and their values. All conditions must hold.
    #[serde(default)]
    #[schema(max_items = 32)]
    fields: Vec<FieldValue>,
    /// Why.
    #[schema(min_length = 1)]
    reason: String,
    /// Until when it holds (RFC 3339).
    #[schema(format = DateTime)]
    expires: String,
}

/// Leaves detections out of incidents that are known and harmless
#[utoipa::path(post, path = "/api/v1/exclusions", tag = "tuning", request_body = NewExclusion,
    responses((status = 201, body = TuningMade)))]
async fn exclude(
    State(app): State<Arc<App>>,
    caller: Caller,
    Given(given): Given<NewExclusion>,
) -> Result<(StatusCode, Json<TuningMade>), Problem> {
    caller.must(Right::Tune)?;
    let id = new_id("exclusion", &app);
    let expires = until("expires", &given.expires)?;
    let exclusion = Exclusion {
        id: id.clone(),
        cause: given.cause,
        host: given.host,
        user: given.user,
        process: given.process,
        fields: given.fields.into_iter().map(|part| (part.field, part.value)).collect(),
        owner: caller.token.issued.name.clone(),
        reason: filled("reason", given.reason)?,
        expires,
    };
    let definition = serde_json::to_string(&exclusion).expect("texts");
    Tuning::new(vec![exclusion], Vec::new()).map_err(|error| Problem::invalid(error.to_string()))?;
    add(&app, &caller, NewTuning { kind: TuningKind::Exclusion, id, definition, until: Some(expires) }).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSilence {
    /// The id of the rule or indicator.
    #[schema(min_length = 1)]
    cause: String,
    /// Why.
    #[schema(min_length = 1)]
    reason: String,
    /// Until when it holds (RFC 3339).
    #[schema(format = DateTime)]
    until: String,
}

/// Leaves all detections of a rule out of incidents for a while
#[utoipa::path(post, path = "/api/v1/silences", tag = "tuning", request_body = NewSilence,
    responses((status = 201, body = TuningMade)))]
async fn silence(
    State(app): State<Arc<App>>,
    caller: Caller,
    Given(given): Given<NewSilence>,
) -> Result<(StatusCode, Json<TuningMade>), Problem> {
    caller.must(Right::Tune)?;
    let id = new_id("silence", &app);
    let until = until("until", &given.until)?;
    let silence = Silence {
        cause: filled("cause", given.cause)?,
        until,
        reason: filled("reason", given.reason)?,
        owner: caller.token.issued.name.clone(),
    };
    let definition = serde_json::to_string(&silence).expect("texts");
    Tuning::new(Vec::new(), vec![silence]).map_err(|error| Problem::invalid(error.to_string()))?;
    add(&app, &caller, NewTuning { kind: TuningKind::Silence, id, definition, until: Some(until) }).await
}

/// What was added.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TuningMade {
    /// Its id.
    id: String,
}

async fn add(app: &App, caller: &Caller, new: NewTuning) -> Result<(StatusCode, Json<TuningMade>), Problem> {
    let id = new.id.clone();
    app.order(caller.now(), Order::AddTuning(new)).await?;
    Ok((StatusCode::CREATED, Json(TuningMade { id })))
}

fn until(field: &str, text: &str) -> Result<Timestamp, Problem> {
    let until = moment(field, text)?;
    if until <= Timestamp::now() {
        return Err(Problem::invalid(format!("{field}: a moment that is to come")));
    }
    Ok(until)
}

/// Returns an id that nothing else of this centre has.
fn new_id(kind: &str, app: &App) -> String {
    let mut digest = IdDigest::new(kind);
    digest.part(app.intake.own_key().as_bytes());
    let id = digest.finish();
    struct Shown([u8; 16]);
    impl std::fmt::Display for Shown {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write_uuid(&self.0, f)
        }
    }
    Shown(id).to_string()
}

/// Takes an exclusion back
#[utoipa::path(delete, path = "/api/v1/exclusions/{id}", tag = "tuning",
    params(("id" = String, Path, description = "Its id")), responses((status = 204)))]
async fn end_exclusion(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<StatusCode, Problem> {
    ended(&app, &caller, TuningKind::Exclusion, id).await
}

/// Takes a silence back
#[utoipa::path(delete, path = "/api/v1/silences/{id}", tag = "tuning",
    params(("id" = String, Path, description = "Its id")), responses((status = 204)))]
async fn end_silence(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<StatusCode, Problem> {
    ended(&app, &caller, TuningKind::Silence, id).await
}

/// The list of assets.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AssetList {
    /// What it is written in: `toml` or `csv`.
    form: AssetForm,
    /// The list (`docs/incidents.md`).
    text: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum AssetForm {
    /// Tables `[[asset]]`.
    Toml,
    /// A header, and a line each.
    Csv,
}

/// Shows what is worth protecting
#[utoipa::path(get, path = "/api/v1/assets", tag = "tuning", responses((status = 200, body = AssetList)))]
async fn assets(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<AssetList>, Problem> {
    caller.must(Right::Read)?;
    let row = app.store.assets().await.map_err(Problem::of_store)?;
    let (form, text) = row.map_or(("toml".into(), String::new()), |row| (row.form, row.text));
    let form = if form == "csv" { AssetForm::Csv } else { AssetForm::Toml };
    Ok(Json(AssetList { form, text }))
}

/// Says what is worth protecting, in place of what was said before
#[utoipa::path(put, path = "/api/v1/assets", tag = "tuning", request_body = AssetList,
    responses((status = 200, body = Made)))]
async fn set_assets(
    State(app): State<Arc<App>>,
    caller: Caller,
    Given(given): Given<AssetList>,
) -> Result<Json<Made>, Problem> {
    caller.must(Right::Assets)?;
    let form = match given.form {
        AssetForm::Toml => "toml",
        AssetForm::Csv => "csv",
    };
    tuned::assets(form, &given.text)?;
    let acted = app.order(caller.now(), Order::SetAssets(form.to_owned(), given.text)).await?;
    Ok(Json(Made { number: acted.seq, incident: None }))
}
