//! What happens, as it happens, as server-sent events (HTML, section 9.2).
//!
//! The id of an event is the place of a detection among all that was recorded. A client that comes again with `Last-Event-ID`,
//! as browsers do by themselves, is given what it missed first, up to a bound; past that it is told to read the lists.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use cresset_event::Timestamp;
use cresset_store::{DetectionRow, Store, StoreError};
use futures_util::stream::{self, Stream, StreamExt};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::sleep;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::types::DetectionItem;
use crate::app::App;
use crate::auth::Caller;
use crate::live::{Happened, REVOKED, revoked};
use crate::problem::Problem;
use crate::rights::Right;

/// Detections that a client is given which it missed.
const MISSED_MAX: usize = 500;
/// A connection that is quiet is written to so often: neither side takes it for dead, and who listens notices where something on
/// the way holds it back.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(stream))
}

/// Tells of detections and incidents as they come
///
/// Server-sent events: `detection` and `incident`, each with the JSON of a list's item; `merged` where an incident (`id`) went up
/// in another (`into`); `missed` where the client was too slow or away for too long: it reads the lists then; and `alive` every five
/// seconds in which there is nothing else to tell.
#[utoipa::path(get, path = "/api/v1/stream", tag = "detections", operation_id = "stream",
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen")),
    responses((status = 200, body = String, content_type = "text/event-stream")))]
async fn stream(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    caller.must(Right::Read)?;
    // Listened to before the store is asked: nothing falls between the two.
    let listener = app.live.listen();
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse::<u64>().ok());
    let (missed, seen) = missed(&app.store, last).await.map_err(Problem::of_store)?;
    let revoked = revoked(&caller.token.id);
    let live = Listening { listener, stop: app.stop.clone(), seen, revoked, expires: caller.token.issued.expires };
    let live = stream::unfold(live, Listening::next);
    let events = stream::iter(missed).chain(live);
    let alive = Event::default().event("alive").data("{}");
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE).event(alive)))
}

/// Returns what a client is told first of what it missed since `last`, and up to where that is.
async fn missed(store: &Store, last: Option<u64>) -> Result<(Vec<Result<Event, Infallible>>, u64), StoreError> {
    let Some(last) = last else { return Ok((Vec::new(), 0)) };
    let newest = store.last_detection().await?;
    let missed = store.detections_behind(last, MISSED_MAX + 1).await?;
    let seen = missed.last().map_or(last.min(newest), |row| row.seq);
    // What it saw last is not there where the records are those of a backup: it has others.
    if missed.len() > MISSED_MAX || last > newest {
        return Ok((vec![Ok(Event::default().event("missed").id(seen.to_string()).data("{}"))], seen));
    }
    let event = |row: DetectionRow| {
        let (seq, item) = (row.seq, DetectionItem::from(row));
        let data = serde_json::to_string(&item).expect("texts and numbers");
        Ok(Event::default().event("detection").id(seq.to_string()).data(data))
    };
    Ok((missed.into_iter().map(event).collect(), seen))
}

struct Listening {
    listener: broadcast::Receiver<Happened>,
    stop: watch::Receiver<bool>,
    /// What was told up to here.
    seen: u64,
    /// What is told where the token is taken back.
    revoked: String,
    /// Until when the token holds.
    expires: Option<Timestamp>,
}

/// Waits until a token holds no more.
async fn expiry(expires: Option<Timestamp>) {
    let Some(expires) = expires else { return pending().await };
    let nanos = expires.as_nanos().saturating_sub(Timestamp::now().as_nanos());
    sleep(Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))).await;
}

impl Listening {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            let happened = tokio::select! {
                happened = self.listener.recv() => happened,
                _ = self.stop.wait_for(|stop| *stop) => return None,
                () = expiry(self.expires) => return None,
            };
            match happened {
                Ok(Happened { event: REVOKED, data, .. }) if *data == *self.revoked => return None,
                Ok(Happened { event: REVOKED, .. }) => {}
                Ok(Happened { seq: Some(seq), .. }) if seq <= self.seen => {}
                Ok(Happened { event, seq, data }) => {
                    let told = Event::default().event(event).data(data);
                    let told = seq.map_or(told.clone(), |seq| told.id(seq.to_string()));
                    return Some((Ok(told), self));
                }
                Err(RecvError::Lagged(missed)) => {
                    let told = Event::default().event("missed").data(format!("{{\"events\":{missed}}}"));
                    return Some((Ok(told), self));
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
