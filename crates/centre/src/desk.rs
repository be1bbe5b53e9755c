//! The desk: the one place where what was found, and what people do, becomes records.
//!
//! It takes one thing after another: what a stretch of the watch found, or an order of a person. Each goes through the picture
//! and into the store in one transaction; only then is it told to those who listen, and a delivery acknowledged. The picture
//! is never ahead of the store for longer than that: where the store refuses an order, the picture is built anew from it.
//!
//! What the watch found is tried again until it is stored. Meanwhile the watch waits, the room of the intake fills, and senders
//! are told to come again.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cresset_detect::{Detection, DetectionId, DetectionRecord};
use cresset_event::Timestamp;
use cresset_picture::{Facts, IncidentId, Picture, State, Tuning};
use cresset_pipeline::save_state;
use cresset_store::{
    Act, Acted, Answer, Batch, By, DetectionRow, Merge, NewDetection, NewTuning, Request, Store, StoreError, TuningKind,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tracing::{error, warn};

use crate::api::types::{DetectionItem, IncidentChange, IncidentMerged};
use crate::floor::{Found, Part};
use crate::intake::Waiting;
use crate::live::{Live, REVOKED};
use crate::pictured::picture_of;
use crate::problem::Problem;
use crate::sources::Sources;
use crate::tuned;

/// Time between two tries to store what was found.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// For how long an incident in which nothing happens is linked with what comes: the picture holds no older ones. What is stored
/// stays.
const LINKED_NANOS: i64 = 30 * 24 * 3600 * 1_000_000_000;
/// How often the picture forgets what is older, and is kept, in nanoseconds.
const FORGET_EVERY_NANOS: i64 = 3600 * 1_000_000_000;
/// What was told to the picture since it was kept, at the least, for it to be kept again while the centre runs: less is told again
/// in a moment.
const KEEP_AFTER: u64 = 10_000;
/// Orders that wait for the desk.
pub(crate) const ORDERS_MAX: usize = 256;

/// What a person orders.
#[derive(Debug)]
pub(crate) enum Order {
    /// An act that the picture has nothing to do with.
    Beside(Act),
    /// Moves an incident on, and leaves out what is like it from now on.
    SetState(IncidentId, State, Option<NewTuning>),
    /// Makes two incidents one.
    Merge {
        /// The one that stays.
        into: IncidentId,
        /// The one that goes up in it.
        from: IncidentId,
    },
    /// Makes an incident of some detections of another.
    Split(IncidentId, Vec<DetectionId>),
    /// Adds an exclusion or a silence.
    AddTuning(NewTuning),
    /// Takes one back.
    RemoveTuning(TuningKind, String),
    /// Puts another list of assets in force, written in this form.
    SetAssets(String, String),
}

impl Order {
    /// The incidents that the picture must have for it.
    fn incidents(&self) -> Vec<IncidentId> {
        match self {
            Self::SetState(id, ..) | Self::Split(id, _) => vec![*id],
            Self::Merge { into, from } => vec![*into, *from],
            _ => Vec::new(),
        }
    }

    /// Whether the picture is another once it is done.
    fn is_pictured(&self) -> bool {
        matches!(self, Self::SetState(..) | Self::Merge { .. } | Self::Split(..) | Self::SetAssets(..))
    }
}

/// An order, whose it is, and who waits for what came of it.
pub(crate) struct Ordered {
    pub(crate) by: By,
    pub(crate) order: Order,
    /// The request that it came with, where that is to be done once.
    pub(crate) once: Option<Request>,
    /// Makes the answer.
    pub(crate) answer: Box<dyn FnOnce(&Acted) -> Answer + Send>,
    pub(crate) reply: oneshot::Sender<Result<Answer, Problem>>,
}

/// What the desk says of itself, for health and metrics.
#[derive(Debug, Default)]
pub(crate) struct DeskState {
    /// Whether the last thing that was to be stored could be.
    pub(crate) is_stuck: AtomicBool,
    /// Whether the watch has ended of itself.
    pub(crate) has_watch_failed: AtomicBool,
    pub(crate) detections: AtomicU64,
    pub(crate) withheld: AtomicU64,
}

/// The desk.
pub(crate) struct Desk {
    pub(crate) store: Store,
    pub(crate) picture: Picture,
    /// How much was told to it since it was kept.
    pub(crate) told_since: u64,
    pub(crate) tuning: Tuning,
    pub(crate) waiting: Arc<Waiting>,
    pub(crate) sources: Arc<Sources>,
    pub(crate) live: Live,
    pub(crate) state: Arc<DeskState>,
    /// When the picture forgot last what is too old.
    pub(crate) forgot_at: Timestamp,
    /// Where it is kept how far files were read, and what correlations remember.
    pub(crate) state_file: PathBuf,
}

impl Desk {
    /// Takes what comes until the watch has ended.
    pub(crate) async fn run(mut self, mut parts: mpsc::Receiver<Part>, mut orders: mpsc::Receiver<Ordered>) {
        loop {
            tokio::select! {
                part = parts.recv() => match part {
                    Some(Part::Found(found)) => self.take(found).await,
                    Some(Part::Wait(tell)) => {
                        // Who went away does not hear it.
                        let _ = tell.send(());
                    }
                    Some(Part::Mark(positions, snapshot)) => {
                        // What cannot be kept now is tried again in some seconds.
                        if let Err(error) = save_state(&self.state_file, &positions, &snapshot) {
                            warn!(%error, file = %self.state_file.display(), "cannot be written");
                        }
                    }
                    None => break,
                },
                Some(ordered) = orders.recv() => {
                    let Ordered { by, order, once, answer, reply } = ordered;
                    // Who went away was told nothing, and may ask again.
                    if reply.is_closed() {
                        continue;
                    }
                    let done = self.carry_out(&by, order, once.as_ref(), answer).await;
                    // Who went away does not hear it.
                    let _ = reply.send(done);
                }
            }
        }
        self.waiting.give_up();
        self.keep(1).await;
    }

    /// Keeps the picture for the next start, where so much was told to it since.
    async fn keep(&mut self, least: u64) {
        if self.told_since < least {
            return;
        }
        match self.store.save_picture(&self.picture.save()).await {
            Ok(()) => self.told_since = 0,
            Err(error) => {
                warn!(
                    error = cresset_archive::with_causes(&error),
                    "the picture cannot be kept: the next start takes longer"
                );
            }
        }
    }

    async fn take(&mut self, found: Found) {
        let Found { is_retro, detections, delivered, read } = found;
        let now = Timestamp::now();
        read.iter().for_each(|(name, read)| self.sources.add(name, read, now));
        if !detections.is_empty() {
            self.record(&detections, is_retro, now).await;
        }
        delivered.into_iter().for_each(|(number, taken)| self.waiting.tell(number, taken));
        self.forget(now).await;
    }

    /// Lets the picture go of what is over, from time to time. It is noted where: a picture that is rebuilt does so there as well.
    async fn forget(&mut self, now: Timestamp) {
        if now < self.forgot_at.saturating_add_nanos(FORGET_EVERY_NANOS) {
            return;
        }
        self.forgot_at = now;
        let moment = now.saturating_add_nanos(-LINKED_NANOS);
        if self.picture.forget_before(moment) {
            let store = self.store.clone();
            self.until_stored(|| store.forget(moment)).await;
            self.told_since += 1;
        }
        self.keep(KEEP_AFTER).await;
    }

    /// Brings detections that are new into the picture and the store, and tells of them.
    async fn record(&mut self, detections: &[Detection], is_retro: bool, now: Timestamp) {
        let fresh = self.fresh(detections).await;
        if fresh.is_empty() {
            return;
        }
        let mut batch = Batch { at: now, ..Batch::default() };
        let mut changed = BTreeSet::new();
        for detection in fresh {
            let new = self.place(detection, is_retro, now, &mut changed, &mut batch.merges);
            batch.detections.push(new);
        }
        batch.incidents = changed.iter().filter_map(|id| self.picture.incident(*id)).collect();
        let store = self.store.clone();
        let recorded = self.until_stored(|| store.record(&batch)).await;
        let first = (recorded.last_seq + 1).saturating_sub(batch.detections.len() as u64);
        for (new, seq) in batch.detections.iter().zip(first..) {
            self.live.tell("detection", Some(seq), &DetectionItem::from(row_of(new, seq)));
        }
        batch.merges.iter().for_each(|merge| self.tell_merged(merge.from, merge.into));
        batch.incidents.iter().for_each(|incident| self.live.tell("incident", None, &IncidentChange::from(incident)));
        self.state.detections.fetch_add(batch.detections.len() as u64, Ordering::Relaxed);
        self.told_since += batch.detections.len() as u64;
    }

    /// Returns the detections that are not stored yet, each once.
    async fn fresh<'d>(&self, detections: &'d [Detection]) -> Vec<&'d Detection> {
        let ids: Vec<DetectionId> = detections.iter().map(Detection::id).collect();
        let known = self.until_stored(|| self.store.known(&ids)).await;
        let mut seen = HashSet::new();
        let fresh = detections.iter().zip(ids).zip(known);
        fresh.filter(|((_, id), is_known)| !is_known && seen.insert(*id)).map(|((detection, _), _)| detection).collect()
    }

    /// Finds the place of a detection in the picture.
    fn place(
        &mut self,
        detection: &Detection,
        retro: bool,
        now: Timestamp,
        changed: &mut BTreeSet<IncidentId>,
        merges: &mut Vec<Merge>,
    ) -> NewDetection {
        let facts = Facts::of(detection).with_assets(self.picture.assets());
        let detail = serde_json::to_string(&DetectionRecord::new(detection)).expect("texts, numbers and lists of them");
        let withheld_by = tuned::withheld_by(&self.tuning, &facts, now);
        let (kind, incident, links) = (detection.kind(), None, Vec::new());
        let new = NewDetection { facts, kind, retro, incident, links, withheld_by, detail };
        if new.withheld_by.is_some() {
            self.state.withheld.fetch_add(1, Ordering::Relaxed);
            return new;
        }
        let placed = self.picture.add(&new.facts);
        if let Some(into) = placed.incident {
            changed.insert(into);
            for from in placed.merged {
                changed.remove(&from);
                merges.push(Merge { into, from });
            }
        }
        NewDetection { incident: placed.incident, links: placed.links, ..new }
    }

    /// Tries until it is done.
    async fn until_stored<T, F: Future<Output = Result<T, StoreError>>>(&self, mut attempt: impl FnMut() -> F) -> T {
        loop {
            match attempt().await {
                Ok(done) => {
                    self.state.is_stuck.store(false, Ordering::Relaxed);
                    return done;
                }
                Err(error) => {
                    if !self.state.is_stuck.swap(true, Ordering::Relaxed) {
                        error!(
                            error = cresset_archive::with_causes(&error),
                            "cannot be stored; it is tried again until it is"
                        );
                    }
                    sleep(STORE_PAUSE).await;
                }
            }
        }
    }

    /// Does an order, and keeps its answer with it; one that was done before is answered and not done again.
    async fn carry_out(
        &mut self,
        by: &By,
        order: Order,
        once: Option<&Request>,
        answer: Box<dyn FnOnce(&Acted) -> Answer + Send>,
    ) -> Result<Answer, Problem> {
        // Orders are carried out one after the other: what is not answered here is answered by nobody meanwhile.
        if let Some(request) = once
            && let Some(earlier) = self.store.answer_to(by, request).await.map_err(Problem::of_store)?
        {
            return Ok(earlier);
        }
        let is_pictured = order.is_pictured();
        let act = self.picture_act(order).await?;
        let mut done = None;
        let answer = |acted: &Acted| {
            done = Some(acted.clone());
            answer(acted)
        };
        let answered = match once {
            Some(request) => self.store.act_once(by, &act, request, answer).await,
            None => self.store.act(by, &act).await.map(|acted| answer(&acted)),
        };
        match answered {
            Ok(answered) => {
                self.told_since += u64::from(is_pictured);
                if let Some(acted) = done {
                    self.tell_changed(&act, &acted).await;
                }
                Ok(answered)
            }
            Err(error) => {
                if is_pictured {
                    self.rebuild().await;
                }
                Err(Problem::of_store(error))
            }
        }
    }

    /// Does an order in the picture, and returns the act for the store.
    async fn picture_act(&mut self, order: Order) -> Result<Act, Problem> {
        // What is nowhere is not found; what the picture let go of is over.
        for id in order.incidents() {
            if self.picture.incident(id).is_none() {
                self.store.incident(id).await.map_err(Problem::of_store)?;
                return Err(Problem::conflict(format!(
                    "{id} is over: it was closed, and nothing happened for a month"
                )));
            }
        }
        let picture = &mut self.picture;
        let refused = |reason: &dyn std::fmt::Display| Problem::conflict(reason.to_string());
        let incident = |picture: &Picture, id| {
            picture.incident(id).map(Box::new).ok_or_else(|| Problem::not_found("incident that is open"))
        };
        match order {
            Order::Beside(act) => Ok(act),
            Order::SetState(id, state, exclude) => {
                picture.set_state(id, state).map_err(|error| refused(&error))?;
                Ok(Act::SetState { incident: incident(picture, id)?, exclude })
            }
            Order::Merge { into, from } => {
                let merged = picture.merge(into, from).map_err(|error| refused(&error))?;
                Ok(Act::Merge { into: incident(picture, merged.into)?, from: merged.from, link: merged.link })
            }
            Order::Split(from, detections) => {
                // Some that had gone up in the one are found in the other now.
                let merged = self.store.incident(from).await.map_err(Problem::of_store)?.merged;
                let into = picture.split(from, &detections).map_err(|error| refused(&error))?;
                let (from, into) = (incident(picture, from)?, incident(picture, into)?);
                let is_in = |id: &IncidentId| picture.incident(*id).is_some_and(|found| found.id == into.id);
                let regained = merged.into_iter().filter(is_in).collect();
                Ok(Act::Split { from, into, detections, regained })
            }
            Order::AddTuning(new) => Ok(Act::AddTuning(new)),
            Order::RemoveTuning(kind, id) => Ok(Act::RemoveTuning { kind, id }),
            Order::SetAssets(form, text) => {
                let assets = tuned::assets(&form, &text)?;
                let changed = picture.set_assets(assets);
                let changed = changed.into_iter().filter_map(|id| picture.incident(id)).collect();
                Ok(Act::SetAssets { form, text, changed })
            }
        }
    }

    /// Tells of what an act has changed, and takes over what is to be left out.
    async fn tell_changed(&mut self, act: &Act, acted: &Acted) {
        if matches!(act, Act::AddTuning(_) | Act::RemoveTuning { .. } | Act::SetState { exclude: Some(_), .. }) {
            match tuned::load(&self.store).await {
                Ok(tuning) => self.tuning = tuning,
                Err(error) => error!(error = cresset_archive::with_causes(&error), "exclusions cannot be read"),
            }
        }
        if let Act::RevokeToken { id } = act {
            self.live.tell(REVOKED, None, id);
        }
        if let Act::SetAssets { changed, .. } = act {
            changed.iter().for_each(|incident| self.live.tell("incident", None, &IncidentChange::from(incident)));
        }
        if let Act::Merge { into, from, .. } = act {
            self.tell_merged(*from, into.id);
        }
        if let Act::Split { into, regained, .. } = act {
            self.live.tell("incident", None, &IncidentChange::from(&**into));
            regained.iter().for_each(|from| self.tell_merged(*from, into.id));
        }
        if let Some(incident) = acted.incident.and_then(|id| self.picture.incident(id)) {
            self.live.tell("incident", None, &IncidentChange::from(&incident));
        }
    }

    fn tell_merged(&self, from: IncidentId, into: IncidentId) {
        self.live.tell("merged", None, &IncidentMerged::new(from, into));
    }

    /// Builds the picture anew from the store.
    async fn rebuild(&mut self) {
        let store = self.store.clone();
        (self.picture, self.told_since) = self.until_stored(|| picture_of(&store)).await;
    }
}

/// Returns a detection as lists show it.
fn row_of(new: &NewDetection, seq: u64) -> DetectionRow {
    let Facts { id, time, arrived, level, title, cause, host, user, process, .. } = new.facts.clone();
    let kind = new.kind.to_owned();
    let (incident, retro, withheld_by) = (new.incident, new.retro, new.withheld_by.clone());
    DetectionRow {
        seq,
        id,
        time,
        arrived,
        level,
        title,
        cause,
        kind,
        host,
        user,
        process,
        incident,
        retro,
        withheld_by,
    }
}
