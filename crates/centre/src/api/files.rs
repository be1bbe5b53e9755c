//! Rules and indicators as files of the centre's own folder, which are added, replaced and taken away over the API.
//!
//! A file is written whole or not at all. It is audited before it is written: a change without its line is not possible, a line
//! without its change is where the disk failed meanwhile. What is written is found by who looks at the folders (`rules.rs`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use cresset_detect::{RuleFilter, RuleSources, Rulebook};
use cresset_event::{FieldNames, hex};
use cresset_intel::Feed;
use cresset_pipeline::whole_file::{self, Readers};
use cresset_store::{Act, Answer};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Named, whole};
use super::types::List;
use crate::app::App;
use crate::auth::Caller;
use crate::desk::Order;
use crate::disk::on_disk;
use crate::once::{json, nothing, respond};
use crate::problem::Problem;
use crate::rights::Right;

/// Longest name of a file: what file systems allow is 255 bytes, and a file that is being written has a longer name.
const NAME_BYTES_MAX: usize = 100;
/// Reasons that are told why a file is refused; the rest is counted.
const REFUSED_SHOWN_MAX: usize = 10;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(rules))
        .routes(routes!(put_rules, delete_rules))
        .routes(routes!(indicators))
        .routes(routes!(put_indicators, delete_indicators))
}

/// A kind of file.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Rules,
    Indicators,
}

impl Kind {
    fn folder(self, app: &App) -> PathBuf {
        app.config.data.join(match self {
            Self::Rules => "rules",
            Self::Indicators => "indicators",
        })
    }

    /// The words for putting and deleting one in the audit log.
    const fn acts(self) -> (&'static str, &'static str) {
        match self {
            Self::Rules => ("put_rules", "delete_rules"),
            Self::Indicators => ("put_indicators", "delete_indicators"),
        }
    }

    /// Returns why a file cannot be used.
    fn refused(self, name: &str, bytes: &[u8]) -> Vec<String> {
        match self {
            Self::Rules => refused_rules(name, bytes),
            Self::Indicators => refused_indicators(&cresset_intel::read(name, bytes, drop)),
        }
    }
}

fn refused_rules(name: &str, bytes: &[u8]) -> Vec<String> {
    if !(name.ends_with(".yml") || name.ends_with(".yaml")) {
        return vec![format!("{name}: rules are in files that end in .yml or .yaml")];
    }
    let mut sources = RuleSources::default();
    sources.parse(name, bytes);
    if sources.is_empty() {
        return vec![format!("{name}:1: there is no rule in it")];
    }
    let book = Rulebook::new([(name.to_owned(), sources)], RuleFilter::default(), &Arc::new(FieldNames::new()));
    book.refused().iter().map(|refused| format!("{}:{}: {}", refused.file, refused.line, refused.reason)).collect()
}

fn refused_indicators(feed: &Feed) -> Vec<String> {
    if feed.indicators > 0 {
        return Vec::new();
    }
    vec![format!("{}: there is no indicator in it that can be used", feed.file)]
}

/// A file.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FileItem {
    /// Its name.
    name: String,
    /// How long it is.
    bytes: u64,
}

/// A file that was written.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FilePut {
    /// Its name.
    name: String,
    /// The SHA-256 of its bytes.
    sha256: String,
}

/// Lists the files of rules of the centre's own folder
#[utoipa::path(get, path = "/api/v1/rules", tag = "rules", operation_id = "list_rules",
    responses((status = 200, body = List<FileItem>)))]
async fn rules(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<List<FileItem>>, Problem> {
    listed(&app, &caller, Kind::Rules).await
}

/// Lists the files of indicators of the centre's own folder
#[utoipa::path(get, path = "/api/v1/indicators", tag = "rules", operation_id = "list_indicators",
    responses((status = 200, body = List<FileItem>)))]
async fn indicators(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<List<FileItem>>, Problem> {
    listed(&app, &caller, Kind::Indicators).await
}

/// Puts a file of Sigma rules in force, in place of the one of that name
#[utoipa::path(put, path = "/api/v1/rules/{name}", tag = "rules", operation_id = "put_rules",
    params(("name" = String, Path, description = "Its name, which ends in .yml or .yaml", max_length = 100,
        pattern = r"^[a-z0-9_-][a-z0-9._-]*$")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = FilePut)))]
async fn put_rules(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(name): Named<String>,
    body: Body,
) -> Result<Response, Problem> {
    put(&app, &caller, Kind::Rules, name, body).await
}

/// Keeps a file of indicators: a STIX 2.1 bundle, a CSV feed or a plain list
#[utoipa::path(put, path = "/api/v1/indicators/{name}", tag = "rules", operation_id = "put_indicators",
    params(("name" = String, Path, description = "Its name", max_length = 100, pattern = r"^[a-z0-9_-][a-z0-9._-]*$")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = FilePut)))]
async fn put_indicators(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(name): Named<String>,
    body: Body,
) -> Result<Response, Problem> {
    put(&app, &caller, Kind::Indicators, name, body).await
}

/// Takes a file of rules away
#[utoipa::path(delete, path = "/api/v1/rules/{name}", tag = "rules", operation_id = "delete_rules",
    params(("name" = String, Path, description = "Its name")), responses((status = 204)))]
async fn delete_rules(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(name): Named<String>,
) -> Result<Response, Problem> {
    delete(&app, &caller, Kind::Rules, name).await
}

/// Takes a file of indicators away
#[utoipa::path(delete, path = "/api/v1/indicators/{name}", tag = "rules", operation_id = "delete_indicators",
    params(("name" = String, Path, description = "Its name")), responses((status = 204)))]
async fn delete_indicators(
    State(app): State<Arc<App>>,
    caller: Caller,
    Named(name): Named<String>,
) -> Result<Response, Problem> {
    delete(&app, &caller, Kind::Indicators, name).await
}

async fn listed(app: &App, caller: &Caller, kind: Kind) -> Result<Json<List<FileItem>>, Problem> {
    caller.must(Right::Read)?;
    let folder = kind.folder(app);
    let items = on_disk(move || {
        let mut items = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let (name, metadata) = (entry.file_name(), entry.metadata()?);
            if let Some(name) = name.to_str().filter(|name| metadata.is_file() && is_name(name)) {
                items.push(FileItem { name: name.to_owned(), bytes: metadata.len() });
            }
        }
        items.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(items)
    });
    Ok(Json(List { items: items.await?, next: None }))
}

async fn put(app: &App, caller: &Caller, kind: Kind, name: String, body: Body) -> Result<Response, Problem> {
    caller.must(Right::Arm)?;
    if !is_name(&name) {
        return Err(Problem::invalid(format!(
            "name: 1 to {NAME_BYTES_MAX} of a-z, 0-9, `-`, `_` and `.`, and no `.` at the front"
        )));
    }
    let path = kind.folder(app).join(&name);
    if path.is_dir() {
        return Err(Problem::conflict(format!("`{name}` is a folder of the centre's: take another name")));
    }
    let bytes = whole(body).await?;
    let (checked, checked_name) = (bytes.clone(), name.clone());
    let refused = spawn_blocking(move || kind.refused(&checked_name, &checked)).await;
    let refused = refused.map_err(|_| Problem::internal())?;
    if !refused.is_empty() {
        let more = refused.len().saturating_sub(REFUSED_SHOWN_MAX);
        let shown = refused[..refused.len() - more].join("\n");
        return Err(Problem::content(if more > 0 { format!("{shown}\nand {more} more") } else { shown }));
    }
    let sha256: [u8; 32] = Sha256::digest(&bytes).into();
    if let Some(earlier) = noted(app, caller, kind.acts().0, &name, Some(sha256)).await? {
        return Ok(respond(earlier));
    }
    on_disk(move || whole_file::write(&path, Readers::Owner, &bytes)).await?;
    let sha256 = hex(&sha256);
    answered(app, caller, json(axum::http::StatusCode::OK, &FilePut { name, sha256 })).await
}

async fn delete(app: &App, caller: &Caller, kind: Kind, name: String) -> Result<Response, Problem> {
    caller.must(Right::Arm)?;
    let path = kind.folder(app).join(&name);
    if !is_name(&name) || !path.is_file() {
        return Err(Problem::not_found("file"));
    }
    if let Some(earlier) = noted(app, caller, kind.acts().1, &name, None).await? {
        return Ok(respond(earlier));
    }
    on_disk(move || remove(&path)).await?;
    answered(app, caller, nothing()).await
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        // Another was faster.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Tells the audit log what is about to be done, if it was not done before; else returns what was answered then.
async fn noted(
    app: &App,
    caller: &Caller,
    what: &'static str,
    name: &str,
    sha256: Option<[u8; 32]>,
) -> Result<Option<Answer>, Problem> {
    if let Some(request) = &caller.once
        && let Some(earlier) = app.store.answer_to(&caller.now(), request).await.map_err(Problem::of_store)?
    {
        return Ok(Some(earlier));
    }
    let act = Act::Noted { what, object: name.to_owned(), sha256 };
    // Its answer is kept once the file is there.
    let each_time = Caller { once: None, ..caller.clone() };
    app.order(&each_time, Order::Beside(act), |_| nothing()).await.map(|_| None)
}

/// Answers, and keeps the answer where the request is to be done once.
async fn answered(app: &App, caller: &Caller, answer: Answer) -> Result<Response, Problem> {
    let Some(request) = &caller.once else { return Ok(respond(answer)) };
    app.store.save_answer(&caller.now(), request, answer).await.map(respond).map_err(Problem::of_store)
}

/// Whether it can be a file's name here: nothing that leads elsewhere, is hidden, or is written otherwise elsewhere.
fn is_name(name: &str) -> bool {
    let is_known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(is_known) && !name.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_else() {
        for name in ["a", "a.yml", "0-_.", "-"] {
            assert!(is_name(name), "{name}");
        }
        let long = "a".repeat(NAME_BYTES_MAX + 1);
        for name in ["", ".", "..", "../a", "a/b", ".hidden", "A", "a b", "a\0", "ä", &long] {
            assert!(!is_name(name), "{name}");
        }
    }
}
