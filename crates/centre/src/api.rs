//! The API: its routes, its description, and what holds for every request.
//!
//! Each part of it is a file below; the description (OpenAPI 3.1) is made from the same code and served with it. The page uses
//! nothing but this API.

mod audit;
mod backup;
pub(crate) mod detections;
pub(crate) mod events;
mod extract;
pub(crate) mod incidents;
pub(crate) mod status;
mod stream;
mod tokens;
mod tuning;
pub(crate) mod types;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, OpenApi, SecurityRequirement};
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::auth::identify;
use crate::page;
use crate::problem::Problem;

/// Headers of every answer: nothing is loaded from elsewhere, nothing is put into another's page, nothing is kept by caches.
const HEADERS: &[(&str, &str)] = &[
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
];

/// Returns everything that is served.
pub(crate) fn router(app: Arc<App>) -> Router {
    let (api, description) = described();
    let description = Arc::new(description);
    let is_tls = app.is_tls;
    api.route("/api/v1/openapi.json", get(move || async move { Json(OpenApi::clone(&description)) }))
        .route("/healthz", get(status::healthz))
        .route("/readyz", get(status::readyz))
        .route("/metrics", get(status::metrics))
        .merge(events::foreign())
        .merge(page::routes())
        .fallback(|| async { Problem::not_found("page") })
        .method_not_allowed_fallback(|| async { Problem::method() })
        .layer(DefaultBodyLimit::max(extract::BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), identify))
        .layer(middleware::from_fn(move |request: Request, next: Next| with_headers(is_tls, request, next)))
        .with_state(app)
}

/// Returns the description of the API, as it is served.
pub fn openapi() -> OpenApi {
    described().1
}

fn described() -> (Router<Arc<App>>, OpenApi) {
    let (router, mut description) = OpenApiRouter::new()
        .merge(incidents::routes())
        .merge(detections::routes())
        .merge(stream::routes())
        .merge(events::routes())
        .merge(tuning::routes())
        .merge(tokens::routes())
        .merge(audit::routes())
        .merge(backup::routes())
        .merge(status::routes())
        .split_for_parts();
    "Cresset".clone_into(&mut description.info.title);
    env!("CARGO_PKG_VERSION").clone_into(&mut description.info.version);
    let components = description.components.get_or_insert_with(Components::new);
    components.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    description.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
    problems::describe(&mut description);
    (router, description)
}

async fn with_headers(is_tls: bool, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    if is_tls {
        let value = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    response
}

mod problems {
    //! What every operation can answer beside what it is asked for.

    use utoipa::openapi::{Content, OpenApi, RefOr, ResponseBuilder};
    use utoipa::{PartialSchema, ToSchema};

    use crate::problem::Problem;

    /// Statuses, and what they say.
    const STATUSES: &[(&str, &str)] = &[
        ("400", "The request is not valid"),
        ("401", "Nobody is signed in"),
        ("403", "Not allowed"),
        ("404", "Not found"),
        ("408", "Too slow"),
        ("409", "Conflict"),
        ("413", "Too large"),
        ("415", "Format not known"),
        ("422", "Idempotency key used before"),
        ("429", "Too many requests"),
        ("503", "Not available now"),
    ];

    /// Adds them to each operation.
    pub(super) fn describe(description: &mut OpenApi) {
        let components = description.components.get_or_insert_default();
        components.schemas.insert(Problem::name().into_owned(), Problem::schema());
        let mut schemas = Vec::new();
        Problem::schemas(&mut schemas);
        components.schemas.extend(schemas);
        for item in description.paths.paths.values_mut() {
            let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
            for operation in operations.into_iter().flatten() {
                for (status, says) in STATUSES {
                    let schema = utoipa::openapi::Ref::from_schema_name(Problem::name());
                    let content = Content::new(Some(RefOr::Ref(schema)));
                    let response =
                        ResponseBuilder::new().description(*says).content("application/problem+json", content);
                    operation.responses.responses.insert((*status).to_owned(), RefOr::T(response.build()));
                }
            }
        }
    }
}
