//! What is done with each piece that was read, on whichever thread: its records are decoded where they are not yet, events
//! are matched, and those that nothing fits are counted and done with.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cresset_archive::{Keep, Packer};
use cresset_detect::{EventMatcher, RuleSet};
use cresset_event::{Event, Origin, Source, Timestamp};
use cresset_ingest::{Block, Decoder, Decoders, Record};

use crate::read::{Pace, Piece, Step};
use crate::report::Report;

/// Takes a step. Gives back an event that nobody needs any more, so that its memory is used again.
pub(crate) type Take<'t> = dyn FnMut(Step) -> io::Result<Option<Event>> + 't;

/// What all workers of a watch share.
pub(crate) struct Work<'w> {
    /// Whether an event is looked at.
    pub(crate) wants: &'w (dyn Fn(&Event) -> bool + Sync),
    /// Events that were matched so far, for the progress.
    pub(crate) events: &'w AtomicU64,
    /// What the archive keeps of each event, where there is one.
    pub(crate) keep: Option<Keep>,
}

/// One that decodes and matches.
pub(crate) struct Worker<'w> {
    work: &'w Work<'w>,
    matcher: EventMatcher,
    /// What decodes the blocks at hand, and what made it.
    decoder: Option<(Decoders, Box<dyn Decoder>)>,
    /// What packs events for the archive, where there is one.
    packer: Option<Packer>,
    /// What of a source was matched and is still to be told.
    seen: Option<Seen>,
    report: Report,
}

/// How many events of a source were matched.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The source.
    pub source: Arc<Source>,
    /// How many.
    pub events: u64,
    /// The latest time that any of them says it happened.
    pub latest: Option<Timestamp>,
}

impl<'w> Worker<'w> {
    pub(crate) fn new(work: &'w Work<'w>, matcher: EventMatcher) -> Self {
        let packer = work.keep.map(Packer::new);
        Self { work, matcher, decoder: None, packer, seen: None, report: Report::default() }
    }

    /// Passes on what is packed for the archive, where it has so many bytes.
    pub(crate) fn hand_on_pack(&mut self, bytes_min: usize, pace: Pace, take: &mut Take<'_>) -> io::Result<()> {
        self.tell_seen(take)?;
        match &mut self.packer {
            Some(packer) if !packer.is_empty() && packer.byte_len() >= bytes_min => {
                take(Step::Pack(packer.take(), pace)).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Passes what is to be told of a piece to `take`, and gives back an event that the reader can use.
    pub(crate) fn look(&mut self, piece: Piece, take: &mut Take<'_>) -> io::Result<Option<Event>> {
        let before = self.report.events;
        let spare = match piece {
            Piece::Event(event, format) => self.look_at(event, format, take),
            Piece::Block(block, decoders) => self.decode(block, &decoders, take).map(|()| None),
            Piece::Step(step) => {
                if let Step::Rules(rules) = &step {
                    self.change_rules(rules);
                }
                self.tell_seen(take)?;
                take(step)
            }
        };
        self.work.events.fetch_add(self.report.events - before, Ordering::Relaxed);
        spare
    }

    /// Matches with other rules from now on.
    pub(crate) fn change_rules(&mut self, rules: &Arc<RuleSet>) {
        self.matcher.change_rules(rules);
    }

    /// Returns what was counted.
    pub(crate) fn into_report(self) -> Report {
        self.report
    }

    fn look_at(&mut self, event: Event, format: &'static str, take: &mut Take<'_>) -> io::Result<Option<Event>> {
        if !(self.work.wants)(&event) {
            self.report.events_outside += 1;
            return Ok(Some(event));
        }
        self.report.add(format, &event);
        self.see(&event, take)?;
        if let Some(packer) = &mut self.packer {
            packer.add(&event);
        }
        let matches = self.matcher.matches(&event);
        if matches.is_empty() { Ok(Some(event)) } else { take(Step::Found(event, matches)) }
    }

    fn see(&mut self, event: &Event, take: &mut Take<'_>) -> io::Result<()> {
        let Origin { source, time, .. } = event.origin();
        if !self.seen.as_ref().is_some_and(|seen| Arc::ptr_eq(&seen.source, source)) {
            self.tell_seen(take)?;
        }
        let seen = self.seen.get_or_insert_with(|| Seen { source: Arc::clone(source), events: 0, latest: None });
        seen.events += 1;
        seen.latest = seen.latest.max(time.known());
        Ok(())
    }

    fn tell_seen(&mut self, take: &mut Take<'_>) -> io::Result<()> {
        self.seen.take().map_or(Ok(()), |seen| take(Step::Seen(seen)).map(drop))
    }

    fn decode(&mut self, mut block: Block, decoders: &Decoders, take: &mut Take<'_>) -> io::Result<()> {
        let known = self.decoder.take().filter(|(made_by, _)| made_by.are(decoders));
        let (made_by, mut decoder) = known.unwrap_or_else(|| (decoders.clone(), decoders.decoder()));
        while let Some(record) = decoder.next_record(&mut block) {
            let spare = match record {
                Record::Event(event) => self.look_at(event, decoder.format(), take)?,
                Record::Skipped(skipped) => take(Step::Skipped(skipped))?,
            };
            spare.into_iter().for_each(|event| decoder.recycle(event));
        }
        self.decoder = Some((made_by, decoder));
        Ok(())
    }
}
