//! The API: its routes, its description, and what holds for every request.
//!
//! Each part of it is a file below; the description (OpenAPI 3.1) is made from the same code and served with it. What the page
//! does, and hears live, is this API.

mod audit;
mod backup;
pub(crate) mod detections;
pub(crate) mod events;
pub(crate) mod extract;
mod files;
pub(crate) mod incidents;
pub(crate) mod status;
mod stream;
mod tokens;
mod tuning;
pub(crate) mod types;

use std::sync::Arc;

use axum::extract::Request;
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
use crate::once::once;
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
    ("referrer-policy", "same-origin"),
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
        .layer(middleware::from_fn_with_state(Arc::clone(&app), once))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), identify))
        .layer(middleware::from_fn(page::for_people))
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
        .merge(files::routes())
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
    links::describe(&mut description);
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

    use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
    use utoipa::openapi::schema::{ObjectBuilder, Type};
    use utoipa::openapi::{Content, OpenApi, RefOr, Required, ResponseBuilder};
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
        ("422", "What is said cannot be used, or the idempotency key was used before"),
        ("429", "Too many requests"),
        ("503", "Not available now"),
    ];

    /// The key by which a request is known when it comes again.
    fn key() -> Parameter {
        let schema = ObjectBuilder::new().schema_type(Type::String).max_length(Some(200)).pattern(Some("^[!-~]+$"));
        let says = "By which the request is known when it comes again: what it asks is done once";
        let parameter = ParameterBuilder::new().name("Idempotency-Key").parameter_in(ParameterIn::Header);
        parameter.description(Some(says)).required(Required::False).schema(Some(schema)).build()
    }

    /// Adds them to each operation, and the key to those that change something.
    pub(super) fn describe(description: &mut OpenApi) {
        let components = description.components.get_or_insert_default();
        components.schemas.insert(Problem::name().into_owned(), Problem::schema());
        let mut schemas = Vec::new();
        Problem::schemas(&mut schemas);
        components.schemas.extend(schemas);
        for item in description.paths.paths.values_mut() {
            for operation in [&mut item.put, &mut item.post, &mut item.delete].into_iter().flatten() {
                operation.parameters.get_or_insert_default().push(RefOr::T(key()));
            }
            let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
            for operation in operations.into_iter().flatten() {
                if let Some(RefOr::T(body)) = &mut operation.request_body
                    && body.content.contains_key("application/octet-stream")
                {
                    // A file, or a delivery, may be empty.
                    body.required = Some(Required::False);
                }
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

mod links {
    //! Where ids come from that operations take: whoever reads the description can go from one to the next.

    use utoipa::openapi::link::Link;
    use utoipa::openapi::path::Operation;
    use utoipa::openapi::{OpenApi, RefOr};

    /// What an answer has, and the operations that take it: the operation and its status, a pointer into its body, the
    /// parameter, and the operations.
    const LINKS: &[(&str, &str, &str, &str, &[&str])] = &[
        ("list_detections", "200", "/items/0/id", "id", &["show_detection"]),
        (
            "list_incidents",
            "200",
            "/items/0/id",
            "id",
            &[
                "show_incident",
                "assign_incident",
                "add_note",
                "add_task",
                "set_state",
                "split_incident",
                "add_evidence",
            ],
        ),
        ("add_evidence", "201", "/number", "number", &["fetch_evidence"]),
        ("add_task", "200", "/number", "number", &["finish_task", "reopen_task"]),
        ("issue_token", "201", "/token/id", "id", &["revoke_token"]),
        ("add_exclusion", "201", "/id", "id", &["end_exclusion"]),
        ("add_silence", "201", "/id", "id", &["end_silence"]),
        ("put_rules", "200", "/name", "name", &["delete_rules"]),
        ("put_indicators", "200", "/name", "name", &["delete_indicators"]),
    ];

    pub(super) fn describe(description: &mut OpenApi) {
        for item in description.paths.paths.values_mut() {
            let operations = [&mut item.get, &mut item.put, &mut item.post];
            operations.into_iter().flatten().for_each(describe_operation);
        }
    }

    fn describe_operation(operation: &mut Operation) {
        let is_it = |id: &str| operation.operation_id.as_deref() == Some(id);
        let Some((_, status, pointer, parameter, targets)) = LINKS.iter().find(|(id, ..)| is_it(id)) else { return };
        let Some(RefOr::T(response)) = operation.responses.responses.get_mut(*status) else { return };
        for target in *targets {
            let expression = format!("$response.body#{pointer}");
            let link = Link::builder().operation_id(*target).parameter(*parameter, expression).build();
            response.links.insert((*target).to_owned(), RefOr::T(link));
        }
    }
}
