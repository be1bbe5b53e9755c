//! A crew of threads: one reads, several decode and match, and the caller's own takes what comes of it in the order of
//! reading. Where records cannot be decoded apart from the reading the one that reads decodes them.
//!
//! Steps go from thread to thread in batches. At most [`IN_FLIGHT_MAX`] batches are between reading and taking, whatever
//! hangs: the reader waits for a slot, and a slot is given back when a batch has been taken. Where nobody takes any more the
//! workers end; the reader may wait for a quiet pipe, so it is left behind, and ends with the next that it reads.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread::{self, Builder};

use cresset_detect::{EventMatcher, RuleSet};
use cresset_event::Event;
use crossbeam_channel::{Receiver, Sender, bounded, select, unbounded};

use crate::read::{Pace, Piece, Reading, Step};
use crate::report::Report;
use crate::worker::{Take, Work, Worker};

/// Most batches that were read and not taken. With the bounds below a few megabytes, and at the worst a record or block of the
/// longest kind in each: some 4 MiB (`ingest`).
const IN_FLIGHT_MAX: usize = 16;
/// A batch is handed on at so many pieces or bytes of text, and with each block.
const BATCH_PARTS: usize = 256;
const BATCH_BYTES: usize = 1 << 18;

/// Pieces or steps that go together, and their place in the order.
struct Batch<T> {
    number: u64,
    parts: Vec<T>,
}

/// A batch, what its events are matched against, and whether more of it may be long in coming.
type Ruled = (Arc<RuleSet>, Pace, Batch<Piece>);

/// Nobody takes anything any more.
struct Gone;

/// Reads sources on one thread, matches on as many as there are matchers, and passes everything to `take` in order.
pub(crate) fn run(
    reading: Reading,
    rules: Arc<RuleSet>,
    matchers: Vec<EventMatcher>,
    work: &Work<'_>,
    take: &mut Take<'_>,
) -> io::Result<Report> {
    let (slots, free) = bounded(IN_FLIGHT_MAX);
    let (read, to_match) = unbounded();
    let (matched, to_take) = unbounded();
    let (used, spare) = bounded(IN_FLIGHT_MAX);
    let (open, closed) = bounded::<()>(0);
    let mut outlet = Outlet { slots, read, spares: Spares::new(&spare), batch: Batch::new(0), bytes: 0, rules };
    let reader = Builder::new().name("read".into()).spawn(move || {
        // An error says that nobody takes steps any more, and whoever stopped knows why.
        let _ = reading.run(&mut |piece, pace| outlet.put(piece, pace));
        let _ = outlet.hand_on(Pace::Stored);
    })?;
    let seen = thread::scope(|scope| {
        let workers = matchers.into_iter().map(|matcher| {
            let inlet = Inlet { to_match: to_match.clone(), closed: closed.clone() };
            let (matched, used) = (matched.clone(), used.clone());
            let (worker, spares) = (Worker::new(work, matcher), Spares::new(&spare));
            let run = move || run_worker(worker, spares, &inlet, &matched, &used);
            Builder::new().name("match".into()).spawn_scoped(scope, run)
        });
        let workers = workers.collect::<io::Result<Vec<_>>>()?;
        drop((to_match, matched, spare));
        let taken = take_in_order(to_take, free, used, open, take);
        let seen = workers.into_iter().map(|worker| worker.join().map_err(|_| lost()));
        let seen = seen.collect::<io::Result<Vec<_>>>();
        taken.and(seen)
    })?;
    reader.join().map_err(|_| lost())?;
    let mut report = Report::default();
    seen.into_iter().for_each(|seen| report.merge(seen));
    Ok(report)
}

/// The reader's end.
struct Outlet {
    slots: Sender<()>,
    read: Sender<Ruled>,
    spares: Spares,
    batch: Batch<Piece>,
    /// How much text is in the batch.
    bytes: usize,
    /// What its events are matched against.
    rules: Arc<RuleSet>,
}

/// The workers' end.
struct Inlet {
    to_match: Receiver<Ruled>,
    /// Closed once nobody takes anything any more.
    closed: Receiver<()>,
}

impl Inlet {
    /// Waits for the next batch; `None` where there is none, or nobody for what comes of it.
    fn next(&self) -> Option<Ruled> {
        select! {
            recv(self.to_match) -> batch => batch.ok(),
            recv(self.closed) -> _ => None,
        }
    }
}

/// Events whose memory can be used again.
struct Spares {
    more: Receiver<Vec<Event>>,
    events: Vec<Event>,
}

impl Spares {
    fn new(more: &Receiver<Vec<Event>>) -> Self {
        Self { more: more.clone(), events: Vec::new() }
    }

    fn take(&mut self) -> Option<Event> {
        if self.events.is_empty()
            && let Ok(more) = self.more.try_recv()
        {
            self.events = more;
        }
        self.events.pop()
    }
}

impl Outlet {
    fn put(&mut self, piece: Piece, pace: Pace) -> Result<Option<Event>, Gone> {
        if let Piece::Step(Step::Rules(rules)) = &piece {
            self.hand_on(pace)?;
            self.rules = Arc::clone(rules);
        }
        let is_block = matches!(piece, Piece::Block(..));
        if let Piece::Event(event, _) = &piece {
            self.bytes += event.byte_len();
        }
        self.batch.parts.push(piece);
        // What comes live is not kept waiting for more, and nobody knows yet how much is in a block.
        let is_full = is_block || self.batch.parts.len() >= BATCH_PARTS || self.bytes >= BATCH_BYTES;
        if pace == Pace::Live || is_full {
            self.hand_on(pace)?;
        }
        Ok(self.spares.take())
    }

    fn hand_on(&mut self, pace: Pace) -> Result<(), Gone> {
        let next = Batch::new(self.batch.number + 1);
        let batch = std::mem::replace(&mut self.batch, next);
        self.bytes = 0;
        self.slots.send(()).map_err(|_| Gone)?;
        self.read.send((Arc::clone(&self.rules), pace, batch)).map_err(|_| Gone)
    }
}

impl<T> Batch<T> {
    fn new(number: u64) -> Self {
        Self { number, parts: Vec::new() }
    }
}

/// Tells the taker that a thread is lost, so that it does not wait for what that thread had.
struct Alarm<'a>(&'a Sender<Option<Batch<Step>>>);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            // Where nobody hears it nobody waits.
            let _ = self.0.send(None);
        }
    }
}

fn lost() -> io::Error {
    io::Error::other("a thread that reads or matches events was lost")
}

fn run_worker(
    mut worker: Worker<'_>,
    mut spares: Spares,
    inlet: &Inlet,
    matched: &Sender<Option<Batch<Step>>>,
    used: &Sender<Vec<Event>>,
) -> Report {
    let _alarm = Alarm(matched);
    while let Some((rules, pace, batch)) = inlet.next() {
        worker.change_rules(&rules);
        let mut steps = Batch::new(batch.number);
        let mut unused = Vec::new();
        for piece in batch.parts {
            let mut take = |step| {
                steps.parts.push(step);
                Ok(spares.take())
            };
            // Nothing fails in `take`.
            unused.extend(worker.look(piece, &mut take).into_iter().flatten());
        }
        let mut take = |step| {
            steps.parts.push(step);
            Ok(None)
        };
        // Nor here.
        let _ = worker.hand_on_pack(0, pace, &mut take);
        // A reader that has spares enough lets these go.
        let _ = used.try_send(unused);
        if matched.send(Some(steps)).is_err() {
            break;
        }
    }
    worker.into_report()
}

/// Takes its ends of the channels with it, whatever it ends with: that stops the other threads.
fn take_in_order(
    matched: Receiver<Option<Batch<Step>>>,
    free: Receiver<()>,
    used: Sender<Vec<Event>>,
    _open: Sender<()>,
    take: &mut Take<'_>,
) -> io::Result<()> {
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    for batch in matched {
        let batch = batch.ok_or_else(lost)?;
        waiting.insert(batch.number, batch);
        while let Some(batch) = waiting.remove(&next) {
            let mut spares = Vec::with_capacity(batch.parts.len());
            for step in batch.parts {
                spares.extend(take(step)?);
            }
            next += 1;
            let _ = free.recv();
            // A reader that has spares enough lets these go.
            let _ = used.try_send(spares);
        }
    }
    Ok(())
}
