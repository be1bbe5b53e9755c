//! How the centre is: an overview, its sources, its health and its figures.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use cresset_event::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::types::{FeedItem, List, SourceItem};
use crate::app::App;
use crate::auth::Caller;
use crate::problem::Problem;
use crate::rights::Right;
use crate::sources::Source;

/// Of the room for what is taken in less than this part is free: senders are about to be told to wait.
const NEARLY_FULL: usize = 10;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(status)).routes(routes!(sources))
}

/// How the centre is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Status {
    /// The version of the program.
    pub(crate) version: &'static str,
    /// Since when it runs.
    #[schema(format = DateTime)]
    pub(crate) began: String,
    /// What it says of the time.
    #[schema(format = DateTime)]
    pub(crate) now: String,
    /// Events that were read, of all sources and runs.
    pub(crate) events: u64,
    /// Events a second of the last minute.
    pub(crate) rate: f64,
    /// Detections since it began.
    pub(crate) detections: u64,
    /// Of them those that an exclusion or a silence withheld.
    pub(crate) withheld: u64,
    /// Rules that are loaded.
    pub(crate) rules: u64,
    /// Indicators that are loaded.
    pub(crate) indicators: u64,
    /// Rules that are refused: file, line and reason; the last hundred.
    pub(crate) rules_refused: Vec<String>,
    /// Feeds that are fetched.
    pub(crate) feeds: Vec<FeedItem>,
    /// Bytes that were taken in and are not on the disk yet.
    pub(crate) waiting_bytes: u64,
    /// What is wrong with it; empty where nothing is.
    pub(crate) troubles: Vec<String>,
}

impl Status {
    pub(crate) fn of(app: &App) -> Self {
        let now = Timestamp::now();
        let sources = app.sources.all();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            began: app.began.to_string(),
            now: now.to_string(),
            events: sources.iter().map(|source| source.row.events).sum(),
            // The sum of none would be -0.0.
            rate: sources.iter().map(|source| source.rate_at(now)).fold(0.0, std::ops::Add::add),
            detections: app.desk.detections.load(Ordering::Relaxed),
            withheld: app.desk.withheld.load(Ordering::Relaxed),
            rules: app.rules.rules.load(Ordering::Relaxed) as u64,
            indicators: app.rules.indicators.load(Ordering::Relaxed) as u64,
            rules_refused: app.rules.refused(),
            feeds: app.fetched.all().into_iter().map(|feed| FeedItem::new(feed, now)).collect(),
            waiting_bytes: waiting_bytes(app) as u64,
            troubles: troubles(app),
        }
    }
}

fn waiting_bytes(app: &App) -> usize {
    app.config.intake.waiting_bytes_max.saturating_sub(app.intake.room_bytes())
}

/// Returns what is wrong with the centre, for people.
fn troubles(app: &App) -> Vec<String> {
    let mut troubles = Vec::new();
    if app.desk.is_stuck.load(Ordering::Relaxed) {
        troubles.push("the records cannot be written; the log says why".into());
    }
    if app.desk.has_watch_failed.load(Ordering::Relaxed) {
        troubles.push("the watch has ended; the log says why".into());
    }
    if app.intake.room_bytes() < app.config.intake.waiting_bytes_max / NEARLY_FULL {
        troubles.push("more comes in than the disk takes; senders are told to wait".into());
    }
    troubles
}

/// Shows how the centre is
#[utoipa::path(get, path = "/api/v1/status", tag = "status", operation_id = "show_status", responses((status = 200, body = Status)))]
async fn status(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Status>, Problem> {
    caller.must(Right::Read)?;
    Ok(Json(Status::of(&app)))
}

/// Lists the sources of logs
#[utoipa::path(get, path = "/api/v1/sources", tag = "status", operation_id = "list_sources", responses((status = 200, body = List<SourceItem>)))]
async fn sources(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<List<SourceItem>>, Problem> {
    caller.must(Right::Read)?;
    Ok(Json(all_sources(&app)))
}

/// Returns all sources, by name, as the API gives them and the page shows them.
pub(crate) fn all_sources(app: &App) -> List<SourceItem> {
    let now = Timestamp::now();
    let items = app.sources.all().into_iter().map(|source| SourceItem::new(source, now)).collect();
    List { items, next: None }
}

/// Whether the process runs: for whoever restarts it.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether it can do its work: for whoever sends it some.
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> impl IntoResponse {
    let troubles = troubles(&app);
    if troubles.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, troubles.join("\n") + "\n")
}

/// Figures for Prometheus (text format 0.0.4). They name sources, which are values of others: whoever may read may see them.
pub(crate) async fn metrics(State(app): State<Arc<App>>, caller: Caller) -> Result<impl IntoResponse, Problem> {
    caller.must(Right::Read)?;
    let mut text = String::new();
    let status = Status::of(&app);
    let mut one = |name: &str, kind: &str, help: &str, value: f64| {
        // Writing to a text does not fail.
        let _ = writeln!(text, "# HELP cresset_{name} {help}\n# TYPE cresset_{name} {kind}\ncresset_{name} {value}");
    };
    one("detections_total", "counter", "Detections since the start.", status.detections as f64);
    one(
        "detections_withheld_total",
        "counter",
        "Detections that an exclusion or silence withheld.",
        status.withheld as f64,
    );
    one("rules", "gauge", "Rules that are loaded.", status.rules as f64);
    one("indicators", "gauge", "Indicators that are loaded.", status.indicators as f64);
    one("intake_waiting_bytes", "gauge", "Bytes taken in that are not on the disk yet.", status.waiting_bytes as f64);
    one("troubles", "gauge", "Things that are wrong; /readyz names them.", status.troubles.len() as f64);
    of_sources(&mut text, &app);
    of_feeds(&mut text, &status.feeds);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text))
}

/// A figure: its name, its kind, what it is, and what it comes to for one of those that have it.
type Figure<T> = (&'static str, &'static str, &'static str, fn(&T, Timestamp) -> Option<f64>);

fn of_sources(text: &mut String, app: &App) {
    let figures: [Figure<Source>; 5] = [
        ("source_events_total", "counter", "Events that were read.", |source, _| Some(source.row.events as f64)),
        ("source_bytes_total", "counter", "Bytes that came.", |source, _| Some(source.row.bytes as f64)),
        ("source_skipped_total", "counter", "Records that could not be read.", |source, _| {
            Some(source.row.skipped as f64)
        }),
        ("source_lost_total", "counter", "Messages that were lost.", |source, _| Some(source.row.lost as f64)),
        ("source_silent_seconds", "gauge", "Time since it gave anything.", |source, now| {
            source.silent_seconds(now).map(|seconds| seconds as f64)
        }),
    ];
    write_figures(text, "source", &app.sources.all(), |source| &source.row.name, &figures);
}

fn of_feeds(text: &mut String, feeds: &[FeedItem]) {
    let figures: [Figure<FeedItem>; 4] = [
        ("feed_age_seconds", "gauge", "Time since it was fetched, changed or not.", |feed, _| {
            feed.age_seconds.map(|seconds| seconds as f64)
        }),
        ("feed_failures", "gauge", "Failures to fetch it in a row.", |feed, _| Some(f64::from(feed.failures))),
        ("feed_bytes", "gauge", "Bytes of the version that counts.", |feed, _| Some(feed.bytes as f64)),
        ("feed_indicators", "gauge", "Indicators in it.", |feed, _| Some(feed.indicators as f64)),
    ];
    write_figures(text, "feed", feeds, |feed| &feed.name, &figures);
}

/// Writes figures of several things, each with its name as a label.
fn write_figures<T>(text: &mut String, label: &str, things: &[T], name_of: fn(&T) -> &str, figures: &[Figure<T>]) {
    let now = Timestamp::now();
    for (name, kind, help, figure) in figures {
        // Writing to a text does not fail.
        let _ = writeln!(text, "# HELP cresset_{name} {help}\n# TYPE cresset_{name} {kind}");
        for thing in things {
            if let Some(value) = figure(thing, now) {
                let of = name_of(thing).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                let _ = writeln!(text, "cresset_{name}{{{label}=\"{of}\"}} {value}");
            }
        }
    }
}
