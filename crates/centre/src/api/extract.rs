//! What a request brings, read into types; what does not fit is a problem that says where.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Form, FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header;
use axum::http::request::Parts;
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::problem::Problem;

/// Longest body of a request that is no delivery. Lists of assets are the longest.
const BODY_BYTES_MAX: usize = 4 << 20;
/// Longest form of a page: anybody may send one.
const FORM_BYTES_MAX: usize = 8 << 10;
/// How long a body may take to come, whoever sends it.
pub(crate) const BODY_WITHIN: Duration = Duration::from_secs(30);

/// Reads a body that is no delivery.
pub(crate) async fn whole(body: Body) -> Result<Bytes, Problem> {
    read(body, BODY_BYTES_MAX).await
}

async fn read(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let bytes = timeout(BODY_WITHIN, to_bytes(body, bytes_max)).await.map_err(|_| Problem::timeout())?;
    bytes.map_err(|error| {
        let is_too_large = std::error::Error::source(&error).is_some_and(|cause| cause.is::<LengthLimitError>());
        if is_too_large { Problem::too_large(bytes_max) } else { Problem::invalid("the body broke off") }
    })
}

/// The query of a request.
pub(crate) struct Asked<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(asked)| Self(asked)).map_err(|error| Problem::invalid(error.body_text()))
    }
}

/// The part of a path that names something; what cannot be a name of it is not found.
pub(crate) struct Named<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(named)| Self(named)).map_err(|_| Problem::not_found("thing"))
    }
}

/// A body in JSON.
pub(crate) struct Given<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Given<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_owned();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Problem::unsupported("send `Content-Type: application/json`"));
        }
        let bytes = whole(request.into_body()).await?;
        Json::from_bytes(&bytes).map(|Json(given)| Self(given)).map_err(|error| Problem::invalid(error.body_text()))
    }
}

/// A form of a page.
pub(crate) struct Filled<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Filled<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read(body, FORM_BYTES_MAX).await?;
        let form = Form::<T>::from_request(Request::from_parts(parts, Body::from(bytes)), state).await;
        form.map(|Form(filled)| Self(filled)).map_err(|_| Problem::invalid("the form is none of this centre's pages"))
    }
}
