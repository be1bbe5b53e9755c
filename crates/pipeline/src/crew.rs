//! A crew of threads: one reads, several match, and the caller's own takes what comes of it in the order of reading.
//!
//! Steps go from thread to thread in batches. At most [`IN_FLIGHT_MAX`] batches are between reading and taking, whatever
//! hangs: the reader waits for a slot, and a slot is given back when a batch has been taken.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread;

use cresset_detect::{EventMatcher, Matches, RuleSet};
use cresset_event::Event;
use cresset_ingest::Opener;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::read::{Pace, Step, read_all};
use crate::sources::SourcePath;

/// Most batches that were read and not taken. With the bounds below a few megabytes, and at the worst a record of the
/// longest kind in each.
const IN_FLIGHT_MAX: usize = 16;
/// A batch is handed on at so many steps or bytes of text.
const BATCH_STEPS: usize = 256;
const BATCH_BYTES: usize = 1 << 18;

/// A step, and what fits the event in it; `None` where it has none that is looked at.
type Looked = (Step, Option<Matches>);

/// Steps that go together, and their place in the order.
struct Batch {
    number: u64,
    /// What its events are matched against.
    rules: Arc<RuleSet>,
    steps: Vec<Looked>,
    bytes: usize,
}

/// Nobody takes anything any more.
struct Gone;

/// Reads sources on one thread, matches on as many as there are matchers, and passes everything to `take` in order. All go
/// over from `rules` to those that arrive at the same record.
pub(crate) fn run(
    opener: &Opener,
    sources: &[SourcePath],
    reloads: &Receiver<Arc<RuleSet>>,
    rules: &Arc<RuleSet>,
    matchers: Vec<EventMatcher>,
    wants: &(impl Fn(&Event) -> bool + Sync),
    take: &mut dyn FnMut(Step, Option<Matches>) -> io::Result<Option<Event>>,
) -> io::Result<()> {
    let (slots, free) = bounded(IN_FLIGHT_MAX);
    let (read, to_match) = unbounded();
    let (matched, to_take) = unbounded();
    let (used, spare) = bounded(IN_FLIGHT_MAX);
    thread::scope(|scope| {
        let mut outlet = Outlet { slots, read, spare, spares: Vec::new(), batch: Batch::new(0, rules) };
        scope.spawn(move || {
            // An error says that nobody takes steps any more, and whoever stopped knows why.
            let _ = read_all(opener, sources, reloads, &mut |step, pace| outlet.put(step, pace));
            let _ = outlet.hand_on();
        });
        for matcher in matchers {
            let (to_match, matched) = (to_match.clone(), matched.clone());
            scope.spawn(move || match_batches(matcher, wants, &to_match, &matched));
        }
        drop((to_match, matched));
        take_in_order(to_take, free, used, take)
    })
}

/// The reader's end.
struct Outlet {
    slots: Sender<()>,
    read: Sender<Batch>,
    spare: Receiver<Vec<Event>>,
    /// Events whose memory can be used again.
    spares: Vec<Event>,
    batch: Batch,
}

impl Outlet {
    fn put(&mut self, step: Step, pace: Pace) -> Result<Option<Event>, Gone> {
        match &step {
            Step::Event(event, _) => self.batch.bytes += event.byte_len(),
            Step::Rules(rules) => {
                self.hand_on()?;
                self.batch.rules = Arc::clone(rules);
            }
            _ => {}
        }
        self.batch.steps.push((step, None));
        // What comes live is not kept waiting for more.
        if pace == Pace::Live || self.batch.steps.len() >= BATCH_STEPS || self.batch.bytes >= BATCH_BYTES {
            self.hand_on()?;
        }
        if self.spares.is_empty()
            && let Ok(spares) = self.spare.try_recv()
        {
            self.spares = spares;
        }
        Ok(self.spares.pop())
    }

    fn hand_on(&mut self) -> Result<(), Gone> {
        let next = Batch::new(self.batch.number + 1, &self.batch.rules);
        let batch = std::mem::replace(&mut self.batch, next);
        self.slots.send(()).map_err(|_| Gone)?;
        self.read.send(batch).map_err(|_| Gone)
    }
}

impl Batch {
    fn new(number: u64, rules: &Arc<RuleSet>) -> Self {
        Self { number, rules: Arc::clone(rules), steps: Vec::new(), bytes: 0 }
    }
}

/// Tells the taker that a thread is lost, so that it does not wait for what that thread had.
struct Alarm<'a>(&'a Sender<Option<Batch>>);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            // Where nobody hears it nobody waits.
            let _ = self.0.send(None);
        }
    }
}

fn match_batches(
    mut matcher: EventMatcher,
    wants: &impl Fn(&Event) -> bool,
    to_match: &Receiver<Batch>,
    matched: &Sender<Option<Batch>>,
) {
    let _alarm = Alarm(matched);
    for mut batch in to_match {
        matcher.change_rules(&batch.rules);
        for (step, matches) in &mut batch.steps {
            if let Step::Event(event, _) = step
                && wants(event)
            {
                *matches = Some(matcher.matches(event));
            }
        }
        if matched.send(Some(batch)).is_err() {
            return;
        }
    }
}

/// Takes its ends of the channels with it, whatever it ends with: that stops the other threads.
fn take_in_order(
    matched: Receiver<Option<Batch>>,
    free: Receiver<()>,
    used: Sender<Vec<Event>>,
    take: &mut dyn FnMut(Step, Option<Matches>) -> io::Result<Option<Event>>,
) -> io::Result<()> {
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    for batch in matched {
        let batch = batch.ok_or_else(|| io::Error::other("a thread that matches events was lost"))?;
        waiting.insert(batch.number, batch);
        while let Some(batch) = waiting.remove(&next) {
            let mut spares = Vec::with_capacity(batch.steps.len());
            for (step, matches) in batch.steps {
                spares.extend(take(step, matches)?);
            }
            next += 1;
            let _ = free.recv();
            // A reader that has spares enough lets these go.
            let _ = used.try_send(spares);
        }
    }
    Ok(())
}
