//! What is left out of incidents, and what is worth protecting.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use cresset_event::{IdDigest, Timestamp};
use cresset_picture::{Exclusion, Silence, Tuning};
use cresset_store::{Acted, NewTuning, TuningKind, TuningRow};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::detections::moment;
use super::extract::{Given, Named};
use super::incidents::{filled, short};
use super::types::{List, Made};
use crate::app::App;
use crate::auth::Caller;
use crate::desk::Order;
use crate::once::{json, nothing, respond};
use crate::problem::Problem;
use crate::rights::Right;
use crate::tuned;

/// Conditions on fields of an exclusion.
const FIELDS_MAX: usize = 32;
/// Characters of a condition or a reason, as the description says.
const VALUE_CHARS_MAX: usize = 1000;

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

async fn ended(app: &App, caller: &Caller, kind: TuningKind, id: String) -> Result<Response, Problem> {
    caller.must(Right::Tune)?;
    app.order(caller, Order::RemoveTuning(kind, id), |_| nothing()).await.map(respond)
}

/// Lists exclusions, those that were taken back among them
#[utoipa::path(get, path = "/api/v1/exclusions", tag = "tuning", operation_id = "list_exclusions", responses((status = 200, body = List<TuningItem>)))]
async fn exclusions(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<List<TuningItem>>, Problem> {
    listed(&app, &caller, TuningKind::Exclusion).await
}

/// Lists silences, those that were taken back among them
#[utoipa::path(get, path = "/api/v1/silences", tag = "tuning", operation_id = "list_silences", responses((status = 200, body = List<TuningItem>)))]
async fn silences(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<List<TuningItem>>, Problem> {
    listed(&app, &caller, TuningKind::Silence).await
}

/// A field and its value.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldValue {
    /// The field, as detections show it.
    #[schema(max_length = 1000)]
    field: String,
    /// The whole value, whatever the case of its letters.
    #[schema(max_length = 1000)]
    value: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewExclusion {
    /// The id of the rule or indicator; without one any.
    #[schema(max_length = 1000)]
    cause: Option<String>,
    /// The machine.
    #[schema(max_length = 1000)]
    host: Option<String>,
    /// The account.
    #[schema(max_length = 1000)]
    user: Option<String>,
    /// The program.
    #[schema(max_length = 1000)]
    process: Option<String>,
    /// Fields that the detection shows, and their values. All conditions must hold.
    #[serde(default)]
    #[schema(max_items = 32)]
    fields: Vec<FieldValue>,
    /// Why.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
    /// Until when it holds (RFC 3339).
    #[schema(format = DateTime)]
    expires: String,
}

/// Leaves detections out of incidents that are known and harmless
#[utoipa::path(post, path = "/api/v1/exclusions", tag = "tuning", operation_id = "add_exclusion", request_body = NewExclusion,
    responses((status = 201, body = TuningMade)))]
async fn exclude(
    State(app): State<Arc<App>>,
    caller: Caller,
    Given(given): Given<NewExclusion>,
) -> Result<Response, Problem> {
    caller.must(Right::Tune)?;
    add(&app, &caller, given.tuning(&app, &caller)?).await
}

impl NewExclusion {
    /// Returns it as it is kept.
    pub(super) fn tuning(self, app: &App, caller: &Caller) -> Result<NewTuning, Problem> {
        let id = new_id("exclusion", app);
        let expires = until("expires", &self.expires)?;
        if self.fields.len() > FIELDS_MAX {
            return Err(Problem::invalid(format!("fields: {FIELDS_MAX} at most")));
        }
        let condition =
            |name: &str, value: Option<String>| value.map(|value| short(name, value, VALUE_CHARS_MAX)).transpose();
        let field = |part: FieldValue| {
            let field = short("field", part.field, VALUE_CHARS_MAX)?;
            Ok((field, short("value", part.value, VALUE_CHARS_MAX)?))
        };
        let exclusion = Exclusion {
            id: id.clone(),
            cause: condition("cause", self.cause)?,
            host: condition("host", self.host)?,
            user: condition("user", self.user)?,
            process: condition("process", self.process)?,
            fields: self.fields.into_iter().map(field).collect::<Result<_, Problem>>()?,
            owner: caller.token.issued.name.clone(),
            reason: filled("reason", self.reason, VALUE_CHARS_MAX)?,
            expires,
        };
        let definition = serde_json::to_string(&exclusion).expect("texts");
        Tuning::new(vec![exclusion], Vec::new()).map_err(|error| Problem::content(error.to_string()))?;
        Ok(NewTuning { kind: TuningKind::Exclusion, id, definition, until: Some(expires) })
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSilence {
    /// The id of the rule or indicator.
    #[schema(min_length = 1, max_length = 1000)]
    cause: String,
    /// Why.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
    /// Until when it holds (RFC 3339).
    #[schema(format = DateTime)]
    until: String,
}

/// Leaves all detections of a rule out of incidents for a while
#[utoipa::path(post, path = "/api/v1/silences", tag = "tuning", operation_id = "add_silence", request_body = NewSilence,
    responses((status = 201, body = TuningMade)))]
async fn silence(
    State(app): State<Arc<App>>,
    caller: Caller,
    Given(given): Given<NewSilence>,
) -> Result<Response, Problem> {
    caller.must(Right::Tune)?;
    let id = new_id("silence", &app);
    let until = until("until", &given.until)?;
    let silence = Silence {
        cause: filled("cause", given.cause, VALUE_CHARS_MAX)?,
        until,
        reason: filled("reason", given.reason, VALUE_CHARS_MAX)?,
        owner: caller.token.issued.name.clone(),
    };
    let definition = serde_json::to_string(&silence).expect("texts");
    Tuning::new(Vec::new(), vec![silence]).map_err(|error| Problem::content(error.to_string()))?;
    add(&app, &caller, NewTuning { kind: TuningKind::Silence, id, definition, until: Some(until) }).await
}

/// What was added.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TuningMade {
    /// Its id.
    id: String,
}

async fn add(app: &App, caller: &Caller, new: NewTuning) -> Result<Response, Problem> {
    let made = json(StatusCode::CREATED, &TuningMade { id: new.id.clone() });
    app.order(caller, Order::AddTuning(new), move |_| made).await.map(respond)
}

fn until(field: &str, text: &str) -> Result<Timestamp, Problem> {
    let until = moment(field, text)?;
    if until <= Timestamp::now() {
        return Err(Problem::content(format!("{field}: a moment that is to come")));
    }
    Ok(until)
}

/// Returns an id that nothing else of this centre has.
fn new_id(kind: &str, app: &App) -> String {
    let mut digest = IdDigest::new(kind);
    digest.part(app.intake.own_key().as_bytes());
    digest.finish_text()
}

/// Takes an exclusion back
#[utoipa::path(delete, path = "/api/v1/exclusions/{id}", tag = "tuning", operation_id = "end_exclusion",
    params(("id" = String, Path, description = "Its id")), responses((status = 204)))]
async fn end_exclusion(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Response, Problem> {
    ended(&app, &caller, TuningKind::Exclusion, id).await
}

/// Takes a silence back
#[utoipa::path(delete, path = "/api/v1/silences/{id}", tag = "tuning", operation_id = "end_silence",
    params(("id" = String, Path, description = "Its id")), responses((status = 204)))]
async fn end_silence(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Response, Problem> {
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
#[utoipa::path(get, path = "/api/v1/assets", tag = "tuning", operation_id = "show_assets", responses((status = 200, body = AssetList)))]
async fn assets(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<AssetList>, Problem> {
    caller.must(Right::Read)?;
    let row = app.store.assets().await.map_err(Problem::of_store)?;
    let (form, text) = row.map_or(("toml".into(), String::new()), |row| (row.form, row.text));
    let form = if form == "csv" { AssetForm::Csv } else { AssetForm::Toml };
    Ok(Json(AssetList { form, text }))
}

/// Says what is worth protecting, in place of what was said before
#[utoipa::path(put, path = "/api/v1/assets", tag = "tuning", operation_id = "set_assets", request_body = AssetList,
    responses((status = 200, body = Made)))]
async fn set_assets(
    State(app): State<Arc<App>>,
    caller: Caller,
    Given(given): Given<AssetList>,
) -> Result<Response, Problem> {
    caller.must(Right::Assets)?;
    let form = match given.form {
        AssetForm::Toml => "toml",
        AssetForm::Csv => "csv",
    };
    tuned::assets(form, &given.text)?;
    let made = |acted: &Acted| json(StatusCode::OK, &Made { number: acted.seq, incident: None });
    app.order(&caller, Order::SetAssets(form.to_owned(), given.text), made).await.map(respond)
}
