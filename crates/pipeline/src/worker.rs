//! What is done with each piece that was read, on whichever thread: its records are decoded where they are not yet, and
//! events are matched.

use std::io;
use std::sync::Arc;

use cresset_detect::{EventMatcher, Matches};
use cresset_event::Event;
use cresset_ingest::{Block, Decoder, Decoders};

use crate::read::{Piece, Step};

/// Takes a step, and what fits the event in it; `None` where it has none that is looked at. Gives back an event that nobody
/// needs any more, so that its memory is used again.
pub(crate) type Take<'t> = dyn FnMut(Step, Option<Matches>) -> io::Result<Option<Event>> + 't;

/// One that decodes and matches.
pub(crate) struct Worker<'w> {
    matcher: EventMatcher,
    wants: &'w (dyn Fn(&Event) -> bool + Sync),
    /// What decodes the blocks of the source at hand, and what made it.
    decoder: Option<(Decoders, Box<dyn Decoder>)>,
}

impl<'w> Worker<'w> {
    /// Returns a worker that looks at the events that are wanted.
    pub(crate) fn new(matcher: EventMatcher, wants: &'w (dyn Fn(&Event) -> bool + Sync)) -> Self {
        Self { matcher, wants, decoder: None }
    }

    /// Passes the steps of a piece to `take`, and gives back an event that the reader can use.
    pub(crate) fn look(&mut self, piece: Piece, take: &mut Take<'_>) -> io::Result<Option<Event>> {
        match piece {
            Piece::Step(step) => self.match_step(step, take),
            Piece::Block(block, decoders) => self.decode(block, &decoders, take).map(|()| None),
        }
    }

    fn match_step(&mut self, step: Step, take: &mut Take<'_>) -> io::Result<Option<Event>> {
        let matches = match &step {
            Step::Event(event, _) if (self.wants)(event) => Some(self.matcher.matches(event)),
            _ => None,
        };
        take(step, matches)
    }

    fn decode(&mut self, mut block: Block, decoders: &Decoders, take: &mut Take<'_>) -> io::Result<()> {
        let known = self.decoder.take().filter(|(made_by, _)| Arc::ptr_eq(made_by, decoders));
        let (made_by, mut decoder) = known.unwrap_or_else(|| (Arc::clone(decoders), decoders()));
        while let Some(record) = decoder.next_record(&mut block) {
            if let Some(event) = self.match_step(Step::of(record, decoder.format()), take)? {
                decoder.recycle(event);
            }
        }
        self.decoder = Some((made_by, decoder));
        Ok(())
    }
}
