//! Taking in: what was delivered waits in a bounded queue for the watch, and whoever delivered it for the word that it is on
//! the disk.
//!
//! There is room for so many bytes that are not on the disk yet, whoever brought them. Who finds none is told so at once and
//! comes again: nothing is queued without a bound, and nothing dropped without a word.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cresset_event::{Source, Timestamp};
use cresset_ingest::Content;
use cresset_pipeline::Delivery;
use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Deliveries that wait for the watch. What they hold is bounded by bytes; this bounds what they cost beside that.
const DELIVERIES_MAX: usize = 4096;
/// Least room that a delivery takes, so that many small ones are bounded as well.
const DELIVERY_BYTES_MIN: usize = 4096;
/// Bodies that are unpacked at once: each may become as large as a body may be, for a moment.
const UNPACKING_MAX: usize = 2;
/// Records that are told one by one: as many as a bulk request may have.
const RECORDS_TOLD_MAX: usize = cresset_intake::bulk::ITEMS_MAX;

/// What became of a delivery.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Events that were read, matched and kept.
    pub(crate) events: u64,
    /// The place of the first of them among all that were seen, counted from 0.
    pub(crate) first: u64,
    /// The numbers of records of which an event was there before, in order; the first of them.
    pub(crate) known: Vec<u64>,
    /// Records that could not be read, the first of them: number and reason.
    pub(crate) skipped: Vec<(u64, String)>,
    /// How many more there were.
    pub(crate) skipped_more: u64,
    /// Why nothing of it could be read at all.
    pub(crate) refused: Option<String>,
}

impl Taken {
    /// Notes a record that could not be read.
    pub(crate) fn skip(&mut self, record: u64, reason: String) {
        if self.skipped.len() < RECORDS_TOLD_MAX {
            self.skipped.push((record, reason));
        } else {
            self.skipped_more += 1;
        }
    }

    /// Notes a record of which an event was there before.
    pub(crate) fn know(&mut self, record: u64) {
        if self.known.len() < RECORDS_TOLD_MAX && self.known.last() != Some(&record) {
            self.known.push(record);
        }
    }

    /// Whether an event, by its place among all that were seen, is of this delivery.
    pub(crate) fn has(&self, event: u64) -> bool {
        (self.first..self.first + self.events).contains(&event)
    }
}

/// Why a delivery was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotTaken {
    /// There is no room.
    #[error("too much is waiting for the disk")]
    Full,
    /// The centre is ending, or its watch has failed.
    #[error("the centre is stopping")]
    Stopped,
}

/// Room for a delivery that is on its way. It is given back when dropped.
#[derive(Debug)]
pub(crate) struct Room(OwnedSemaphorePermit);

impl Room {
    /// Gives back what so many bytes do not need.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let more = self.0.num_permits().saturating_sub(bytes.max(DELIVERY_BYTES_MIN));
        drop(self.0.split(more));
    }
}

/// The way in.
#[derive(Debug)]
pub(crate) struct Intake {
    deliveries: Sender<Delivery>,
    room: Arc<Semaphore>,
    /// Held while a body is unpacked.
    pub(crate) unpacking: Semaphore,
    waiting: Arc<Waiting>,
    /// The number of the next delivery, and what makes those of this run unlike those of any other.
    next: AtomicU64,
    began: Timestamp,
}

/// Those who wait for their deliveries, and the room that these take: also of one whose sender has gone away meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Mutex<HashMap<u64, (oneshot::Sender<Taken>, Room)>>);

impl Waiting {
    fn add(&self, number: u64, room: Room) -> oneshot::Receiver<Taken> {
        let (tell, told) = oneshot::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(number, (tell, room));
        told
    }

    /// Tells whoever waits for a delivery what became of it.
    pub(crate) fn tell(&self, number: u64, taken: Taken) {
        if let Some((tell, room)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&number) {
            // Its sender, once it is told, finds room for the next.
            drop(room);
            // Who went away does not hear it.
            let _ = tell.send(taken);
        }
    }

    /// Lets all go that wait: there will be no word any more.
    pub(crate) fn give_up(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Intake {
    /// Returns a way in with room for so many bytes, what the watch takes deliveries from, and who waits for them.
    pub(crate) fn new(waiting_bytes_max: usize) -> (Self, Receiver<Delivery>, Arc<Waiting>) {
        let (deliveries, taken) = bounded(DELIVERIES_MAX);
        let (room, waiting) = (Arc::new(Semaphore::new(waiting_bytes_max)), Arc::new(Waiting::default()));
        let intake = Self {
            deliveries,
            room,
            unpacking: Semaphore::new(UNPACKING_MAX),
            waiting: Arc::clone(&waiting),
            next: AtomicU64::new(0),
            began: Timestamp::now(),
        };
        (intake, taken, waiting)
    }

    /// Takes room for so many bytes, if there is any.
    pub(crate) fn room(&self, bytes: usize) -> Result<Room, NotTaken> {
        let permits = u32::try_from(bytes.max(DELIVERY_BYTES_MIN)).map_err(|_| NotTaken::Full)?;
        Arc::clone(&self.room).try_acquire_many_owned(permits).map(Room).map_err(|_| NotTaken::Full)
    }

    /// Takes more room for a delivery, until it has so many bytes, if there is any: a sender holds what it has sent, however
    /// much it says that it will, so that a slow one does not keep out the others.
    pub(crate) fn grow(&self, room: &mut Room, bytes: usize) -> Result<(), NotTaken> {
        let more = bytes.saturating_sub(room.0.num_permits());
        if more > 0 {
            let more = u32::try_from(more).map_err(|_| NotTaken::Full)?;
            room.0.merge(Arc::clone(&self.room).try_acquire_many_owned(more).map_err(|_| NotTaken::Full)?);
        }
        Ok(())
    }

    /// Waits for room for so many bytes: for senders that are held up by not being read from.
    pub(crate) async fn wait_for_room(&self, bytes: usize) -> Result<Room, NotTaken> {
        let permits = u32::try_from(bytes.max(DELIVERY_BYTES_MIN)).map_err(|_| NotTaken::Full)?;
        let room = Arc::clone(&self.room).acquire_many_owned(permits);
        room.await.map(Room).map_err(|_| NotTaken::Stopped)
    }

    /// Returns a key that no other request has, for one whose sender gave it none.
    pub(crate) fn own_key(&self) -> String {
        format!("{}/{}", self.began.as_nanos(), self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Hands a delivery to the watch, and waits until all that came of it is on the disk.
    pub(crate) async fn deliver(&self, room: Room, source: Source, content: Content) -> Result<Taken, NotTaken> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let told = self.waiting.add(number, room);
        if let Err(error) = self.deliveries.try_send(Delivery { number, source, content }) {
            self.waiting.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
            return Err(if error.is_full() { NotTaken::Full } else { NotTaken::Stopped });
        }
        told.await.map_err(|_| NotTaken::Stopped)
    }

    /// Hands a delivery to the watch for which nobody waits.
    pub(crate) fn deliver_and_forget(&self, room: Room, source: Source, content: Content) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        // Its room is free again at once: these are few and small.
        drop(room);
        // Where the queue is full there is enough to tell already.
        let _ = self.deliveries.try_send(Delivery { number, source, content });
    }

    /// Returns how many bytes there is room for now.
    pub(crate) fn room_bytes(&self) -> usize {
        self.room.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_grows_with_what_came_and_is_given_back() {
        let (intake, _deliveries, _waiting) = Intake::new(100_000);
        let mut room = intake.room(0).expect("room");
        assert_eq!(intake.room_bytes(), 100_000 - DELIVERY_BYTES_MIN);
        intake.grow(&mut room, 90_000).expect("room");
        assert_eq!(intake.room_bytes(), 10_000);
        assert_eq!(intake.grow(&mut room, 100_001), Err(NotTaken::Full));
        assert_eq!(intake.room(10_001).map(drop), Err(NotTaken::Full));
        room.shrink(50_000);
        assert_eq!(intake.room_bytes(), 50_000);
        drop(room);
        assert_eq!(intake.room_bytes(), 100_000);
    }
    #[test]
    fn a_sender_that_goes_away_does_not_give_back_the_room_of_what_still_waits() {
        let (intake, deliveries, waiting) = Intake::new(100_000);
        let room = intake.room(50_000).expect("room");
        let source = Source { name: "a".into(), identity: cresset_event::SourceIdentity::of_request("a", "b") };
        let mut delivering = Box::pin(intake.deliver(room, source, Content::Any(vec![0; 50_000])));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(delivering.as_mut().poll(&mut context).is_pending());
        drop(delivering);
        assert_eq!(intake.room_bytes(), 50_000, "it is in the queue");
        let number = deliveries.try_recv().expect("the delivery").number;
        waiting.tell(number, Taken::default());
        assert_eq!(intake.room_bytes(), 100_000);
    }
}
