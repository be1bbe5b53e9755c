//! What goes wrong, as programs get it: problem details (RFC 9457).
//!
//! There are two messages: [`Problem`] is for whoever asked; what only the operator may know is logged where it happens and
//! never gets in here.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cresset_intake::body::BodyError;
use cresset_store::StoreError;
use serde::Serialize;
use tracing::{error, warn};
use utoipa::ToSchema;

use crate::intake::NotTaken;
use cresset_archive::with_causes;

/// A problem, for whoever asked (RFC 9457). What `type` says is documented in `docs/api.md`.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Problem {
    /// What kind of problem it is: `/problems/` and a word.
    #[serde(rename = "type")]
    kind: String,
    /// The kind, for people.
    title: String,
    /// The status of the answer.
    status: u16,
    /// What is wrong here, and the remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<String>,
    #[serde(skip)]
    retry_after_seconds: Option<u64>,
}

impl Problem {
    fn new(status: StatusCode, kind: &str, title: &str, detail: impl Into<String>) -> Self {
        let detail = Some(detail.into()).filter(|detail| !detail.is_empty());
        let kind = format!("/problems/{kind}");
        Self { kind, title: title.into(), status: status.as_u16(), detail, retry_after_seconds: None }
    }

    /// The request is wrong as it stands.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", "The request is not valid", detail)
    }

    /// Nobody is signed in, or not any more.
    pub(crate) fn unauthenticated() -> Self {
        let detail = "send `Authorization: Bearer` with a token that is valid";
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Nobody is signed in", detail)
    }

    /// Whoever is signed in may not do that.
    pub(crate) fn forbidden(right: &str) -> Self {
        let detail = format!("the token's role or scopes do not have the right `{right}`");
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail)
    }

    /// There is no such thing.
    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", format!("there is no such {what}"))
    }

    /// The way is there, and not for this method.
    pub(crate) fn method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", "Method not allowed", "")
    }

    /// It does not go together with how things are.
    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "Conflict", detail)
    }

    /// A secret was told before, and is not kept.
    pub(crate) fn told_once(token: &str) -> Self {
        let detail = format!("token {token} was issued, and its secret told, once: revoke it, and issue another");
        Self::new(StatusCode::CONFLICT, "told-once", "Told once", detail)
    }

    /// The body is too large.
    pub(crate) fn too_large(bytes_max: usize) -> Self {
        let detail = format!("a body may have {bytes_max} bytes, as it comes and unpacked; send it in parts");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Too large", detail)
    }

    /// A file of evidence is too large.
    pub(crate) fn file_too_large(bytes_max: u64) -> Self {
        let detail = format!(
            "a file may have {bytes_max} bytes (`bytes_max` under `[evidence]` of the configuration): pack it, or send it in parts"
        );
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Too large", detail)
    }

    /// The body is in no format that is known.
    pub(crate) fn unsupported(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported", "Format not known", detail)
    }

    /// What is said is understood, and cannot be used.
    pub(crate) fn content(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "content", "What is said cannot be used", detail)
    }

    /// There was too much of late.
    pub(crate) fn too_many(retry_after_seconds: u64) -> Self {
        let detail = format!("send it again in {retry_after_seconds} s");
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many", "Too many requests", detail);
        Self { retry_after_seconds: Some(retry_after_seconds), ..problem }
    }

    /// It cannot be done now.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available now", detail);
        Self { retry_after_seconds: Some(1), ..problem }
    }

    /// There is no room on the disk.
    pub(crate) fn full() -> Self {
        let detail = "the centre's disk has no room for it: make room, and send it again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "full", "No room", detail)
    }

    /// We are wrong: what it was is in our log.
    pub(crate) fn internal() -> Self {
        let detail = "the centre's log says more";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
    }

    /// The body took too long to come.
    pub(crate) fn timeout() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", "Too slow", "the body did not come in time")
    }

    /// A delivery was not taken.
    pub(crate) fn of_not_taken(not_taken: NotTaken) -> Self {
        match not_taken {
            NotTaken::Full => Self::too_many(1),
            NotTaken::Stopped => Self::unavailable("the centre is stopping"),
        }
    }

    /// A body cannot be unpacked.
    pub(crate) fn of_body(error: &BodyError) -> Self {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
        Self::new(status, "body", "The body cannot be unpacked", with_causes(error))
    }

    /// The store cannot do it. What only the operator may know is logged.
    pub(crate) fn of_store(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { what, .. } => Self::not_found(what),
            StoreError::Conflict { reason } => Self::conflict(reason),
            StoreError::KeyReused { .. } => {
                let detail = "the idempotency key was used for another request: take a new key for each";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "key-reused", "Idempotency key used before", detail)
            }
            StoreError::TooLong { .. } | StoreError::Cursor => Self::content(error.to_string()),
            StoreError::Full(_) | StoreError::Busy(_) => {
                warn!(error = with_causes(&error), "the store cannot do it now");
                Self::unavailable("the records cannot be written now")
            }
            other => {
                error!(error = with_causes(&other), "the store failed");
                Self::internal()
            }
        }
    }

    /// Returns the status.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Returns what kind of problem it is, for a person.
    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    /// Returns what is wrong, for a person.
    pub(crate) fn detail(&self) -> &str {
        self.detail.as_deref().unwrap_or(&self.title)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).expect("texts and numbers");
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        // For `page/problem.rs`, which makes a page of it where a person asked.
        response.extensions_mut().insert(self);
        response
    }
}
