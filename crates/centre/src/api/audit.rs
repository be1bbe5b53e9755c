//! The audit log: every act, in a chain of digests.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use cresset_store::{AuditCheck, AuditRow};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::Asked;
use super::incidents::{cursor, limit};
use super::types::List;
use crate::app::App;
use crate::auth::Caller;
use crate::problem::Problem;
use crate::rights::Right;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(verify))
}

/// A line of the audit log. Values are in it as salted hashes alone.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AuditItem {
    /// Its number: 1 is the first, and none is left out.
    number: u64,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// Who: the id of a token.
    actor: String,
    /// What was done.
    act: String,
    /// To what.
    object: String,
    /// The rest: ids, numbers and salted hashes.
    detail: String,
    /// The digest of the line before.
    previous: String,
    /// The digest of this line.
    hash: String,
}

impl From<AuditRow> for AuditItem {
    fn from(row: AuditRow) -> Self {
        let AuditRow { seq, at, actor, act, object, detail, previous, hash } = row;
        Self { number: seq, at: at.to_string(), actor, act, object, detail, previous, hash }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// How many, 1 to 500; 50 where it is not said.
    #[param(nullable = false, minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// Where to go on: the `next` of the part before.
    #[param(nullable = false, pattern = r"^a(\.-?[0-9]{1,18}){1,3}$")]
    cursor: Option<String>,
}

/// Lists the audit log, the newest first
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", operation_id = "list_audit", params(ListQuery),
    responses((status = 200, body = List<AuditItem>)))]
async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Asked(query): Asked<ListQuery>,
) -> Result<Json<List<AuditItem>>, Problem> {
    caller.must(Right::Audit)?;
    let (cursor, limit) = (cursor(query.cursor.as_ref())?, limit(query.limit)?);
    let page = app.store.audit(cursor.as_ref(), limit).await.map_err(Problem::of_store)?;
    let next = page.next.map(|cursor| cursor.to_string());
    Ok(Json(List { items: page.rows.into_iter().map(AuditItem::from).collect(), next }))
}

/// What looking at every line of the audit log came to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Verified {
    /// Whether nothing was changed.
    whole: bool,
    /// How many lines are as they were written.
    lines: u64,
    /// The digest of the last of them: note it elsewhere, for a log that is cut off at its end is whole otherwise.
    head: Option<String>,
    /// What is wrong with the first line that is.
    wrong: Option<String>,
}

/// Looks at every line of the audit log
#[utoipa::path(get, path = "/api/v1/audit/verify", tag = "audit", operation_id = "verify_audit", responses((status = 200, body = Verified)))]
async fn verify(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Verified>, Problem> {
    caller.must(Right::Audit)?;
    Ok(Json(match app.store.audit_verify(None).await.map_err(Problem::of_store)? {
        AuditCheck::Whole(head) => Verified { whole: true, lines: head.count, head: Some(head.hash), wrong: None },
        AuditCheck::Wrong(fault) => {
            Verified { whole: false, lines: fault.seq.saturating_sub(1), head: None, wrong: Some(fault.to_string()) }
        }
    }))
}
