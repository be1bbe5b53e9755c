//! Tokens: who may do what.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use cresset_event::Timestamp;
use cresset_store::{Act, Issued, NewToken, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::detections::moment;
use super::extract::{Given, Named};
use super::incidents::{NAME_CHARS_MAX, filled, short};
use super::types::{List, TokenItem};
use crate::app::App;
use crate::auth::Caller;
use crate::desk::Order;
use crate::once::{json, nothing, respond};
use crate::problem::Problem;
use crate::rights::Right;

/// Scopes of a token, and clearances.
const LISTED_MAX: usize = 32;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, issue)).routes(routes!(revoke)).routes(routes!(whoami))
}

/// Lists tokens, without their secrets
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", operation_id = "list_tokens", responses((status = 200, body = List<TokenItem>)))]
async fn list(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<List<TokenItem>>, Problem> {
    caller.must(Right::Tokens)?;
    let tokens = app.store.tokens().await.map_err(Problem::of_store)?;
    Ok(Json(List { items: tokens.into_iter().map(TokenItem::from).collect(), next: None }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Issue {
    /// What people call it.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// `viewer`, `analyst`, `watch_officer`, `intelligence_officer`, `exercise_director` or `administrator`.
    #[schema(pattern = "^(viewer|analyst|watch_officer|intelligence_officer|exercise_director|administrator)$")]
    role: String,
    /// The rights that it has of those of its role; empty: all of them.
    #[serde(default)]
    #[schema(max_items = 32)]
    scopes: Vec<Right>,
    /// The member whose person it is.
    #[schema(max_length = 200)]
    member: Option<String>,
    /// The person's nationality.
    #[schema(max_length = 200)]
    nationality: Option<String>,
    /// What the person is cleared for.
    #[serde(default)]
    #[schema(max_items = 32)]
    clearances: Vec<String>,
    /// Until when it holds (RFC 3339).
    #[schema(format = DateTime)]
    expires: Option<String>,
}

/// A token that was just issued, and its secret, which is told this once.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct IssuedToken {
    /// The token.
    token: TokenItem,
    /// What to present behind `Authorization: Bearer`.
    secret: String,
}

/// Issues a token
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", operation_id = "issue_token", request_body = Issue,
    responses((status = 201, body = IssuedToken)))]
async fn issue(State(app): State<Arc<App>>, caller: Caller, Given(given): Given<Issue>) -> Result<Response, Problem> {
    caller.must(Right::Tokens)?;
    if given.scopes.len().max(given.clearances.len()) > LISTED_MAX {
        return Err(Problem::invalid(format!("scopes and clearances: {LISTED_MAX} at most")));
    }
    if given.clearances.iter().any(|clearance| clearance.chars().count() > NAME_CHARS_MAX) {
        return Err(Problem::content(format!("clearances: {NAME_CHARS_MAX} characters each at most")));
    }
    let new = NewToken {
        name: filled("name", given.name, NAME_CHARS_MAX)?,
        role: given.role.parse::<Role>().map_err(Problem::invalid)?,
        scopes: given.scopes.iter().map(|right| right.as_str().to_owned()).collect(),
        member: given.member.map(|member| short("member", member, NAME_CHARS_MAX)).transpose()?,
        nationality: given.nationality.map(|of| short("nationality", of, NAME_CHARS_MAX)).transpose()?,
        clearances: given.clearances,
        expires: given.expires.map(|time| moment("expires", &time)).transpose()?,
    };
    if new.expires.is_some_and(|expires| expires <= Timestamp::now()) {
        return Err(Problem::content("expires: a moment that is to come"));
    }
    let issued = Issued::new(&caller.now(), new).map_err(Problem::of_store)?;
    let told = json(
        StatusCode::CREATED,
        &IssuedToken { token: issued.token.clone().into(), secret: issued.secret.reveal().to_owned() },
    );
    let again = json(StatusCode::CONFLICT, &Problem::told_once(&issued.token.id));
    let kept = again.clone();
    let answer = app.order(&caller, Order::Beside(Act::IssueToken(Box::new(issued))), move |_| kept).await?;
    // A secret is not kept: where the request comes again, or comes twice, only one answer tells it.
    Ok(respond(if answer == again { told } else { answer }))
}

/// Takes a token back, at once
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "tokens", operation_id = "revoke_token",
    params(("id" = String, Path, description = "Its id")), responses((status = 204)))]
async fn revoke(State(app): State<Arc<App>>, caller: Caller, Named(id): Named<String>) -> Result<Response, Problem> {
    caller.must(Right::Tokens)?;
    app.order(&caller, Order::Beside(Act::RevokeToken { id }), |_| nothing()).await.map(respond)
}

/// Shows the token that asks
#[utoipa::path(get, path = "/api/v1/whoami", tag = "tokens", operation_id = "whoami", responses((status = 200, body = TokenItem)))]
async fn whoami(caller: Caller) -> Json<TokenItem> {
    Json(TokenItem::from((*caller.token).clone()))
}
