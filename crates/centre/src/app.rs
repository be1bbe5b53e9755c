//! What every request can reach.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use cresset_event::{Source, SourceIdentity, Timestamp};
use cresset_ingest::Content;
use cresset_store::{Acted, Answer, By, Store};
use serde_json::{Map, Value};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::auth::Caller;
use crate::config::Config;
use crate::desk::{DeskState, Order, Ordered};
use crate::fetch::Standings;
use crate::intake::Intake;
use crate::limits::Limits;
use crate::live::Live;
use crate::problem::Problem;
use crate::rules::RulesState;
use crate::sources::{OWN, Sources};

/// What every request can reach.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) intake: Intake,
    pub(crate) sources: Arc<Sources>,
    pub(crate) live: Live,
    pub(crate) limits: Limits,
    pub(crate) desk: Arc<DeskState>,
    pub(crate) orders: mpsc::Sender<Ordered>,
    pub(crate) rules: Arc<RulesState>,
    /// How it stands with feeds that are fetched.
    pub(crate) fetched: Arc<Standings>,
    pub(crate) began: Timestamp,
    /// Whether the centre is ending.
    pub(crate) stop: watch::Receiver<bool>,
    /// Whether pages and API are served over TLS.
    pub(crate) is_tls: bool,
    /// Who makes a backup holds it: one at a time.
    pub(crate) backups: Arc<Semaphore>,
    /// Held while a file of evidence arrives.
    pub(crate) arriving: Semaphore,
}

impl App {
    /// Gives an order to the desk, and waits until it is done, or until it is known that it was done before. Then the answer
    /// is that which was given, and not what `answer` makes of it.
    pub(crate) async fn order(
        &self,
        caller: &Caller,
        order: Order,
        answer: impl FnOnce(&Acted) -> Answer + Send + 'static,
    ) -> Result<Answer, Problem> {
        self.order_by(caller.now(), caller.once.clone(), order, answer).await
    }

    /// Does the same for somebody who is no caller.
    pub(crate) async fn order_by(
        &self,
        by: By,
        once: Option<cresset_store::Request>,
        order: Order,
        answer: impl FnOnce(&Acted) -> Answer + Send + 'static,
    ) -> Result<Answer, Problem> {
        if self.desk.is_stuck.load(Ordering::Relaxed) {
            return Err(Problem::unavailable("records cannot be written now"));
        }
        let (reply, replied) = oneshot::channel();
        let stopped = || Problem::unavailable("the centre is stopping");
        let answer = Box::new(answer);
        self.orders.send(Ordered { by, order, once, answer, reply }).await.map_err(|_| stopped())?;
        replied.await.map_err(|_| stopped())?
    }

    /// Returns the folder where files of evidence lie, under their digests.
    pub(crate) fn evidence(&self) -> PathBuf {
        self.config.data.join("evidence")
    }

    /// Delivers an event of the centre's own, without waiting for it. Where there is no room it is not delivered: what is full
    /// is told elsewhere.
    pub(crate) fn tell_own(self: &App, event: &str, fields: &[(&str, &str)]) {
        let Ok(room) = self.intake.room(0) else { return };
        let mut record = Map::new();
        record.insert("@timestamp".into(), Timestamp::now().to_string().into());
        record.insert("cresset.event".into(), event.into());
        record.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))));
        let bytes = Value::Object(record).to_string().into_bytes();
        let name = format!("{OWN}centre");
        let identity = SourceIdentity::of_request(&name, &self.intake.own_key());
        self.intake.deliver_and_forget(room, Source { name, identity }, Content::JsonLines { bytes, keys: Vec::new() });
    }
}
