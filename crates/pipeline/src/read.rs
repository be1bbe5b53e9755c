//! Sources read one after another, in steps.

use std::io;
use std::path::Path;
use std::sync::Arc;

use cresset_archive::Pack;
use cresset_detect::{Matches, RuleSet};
use cresset_event::Event;
use cresset_ingest::{Block, Decoders, OpenError, Opener, Position, Reader, Record, Skipped};
use crossbeam_channel::Receiver;

use crate::follow::{Delivered, Follower, Following, Settling};
use crate::report::Unreadable;
use crate::sources::SourcePath;
use crate::worker::Seen;

/// Records between two looks at the progress: often enough for the eye, too seldom to cost.
const RECORDS_A_STEP: u64 = 512;

/// What is read at once.
pub(crate) enum Piece {
    /// A record, and its format.
    Event(Event, &'static str),
    /// Records that are still to be decoded, and what makes decoders for them.
    Block(Block, Decoders),
    /// Something to be told.
    Step(Step),
}

/// Something that the watch tells or counts, in the order of reading.
pub(crate) enum Step {
    /// An event that something fits.
    Found(Event, Matches),
    /// A record that could not be read.
    Skipped(Skipped),
    /// A source that could not be.
    Unreadable(Unreadable),
    /// How far the reading is: the source, and the bytes of all sources so far.
    Progress(Arc<str>, u64),
    /// Events for the archive.
    Pack(Pack, Pace),
    /// How many events of a source were matched since this was said last.
    Seen(Seen),
    /// A delivery was read, all of it.
    Delivered(Delivered),
    /// There is nothing more for now: what was read is to be settled.
    AllForNow(Settling),
    /// How far each file that is followed was read.
    Mark(Vec<Position>),
    /// A source was read to its end.
    SourceEnd,
    /// The rules for all that follows.
    Rules(Arc<RuleSet>),
}

/// Whether more of a source is there already, or may be long in coming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    Stored,
    Live,
}

/// Takes pieces. Gives back an event that nobody needs any more, so that its memory is used again; an error ends the reading.
pub(crate) type Emit<'e, E> = dyn FnMut(Piece, Pace) -> Result<Option<Event>, E> + 'e;

/// What is read.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) opener: Opener,
    pub(crate) sources: Vec<SourcePath>,
    /// Rules that arrive hold from the next record or block on.
    pub(crate) rules: Receiver<Arc<RuleSet>>,
    /// Follows files in place of reading each to its end.
    pub(crate) following: Option<Following>,
}

impl Reading {
    /// Reads every source to its end, or follows it.
    pub(crate) fn run<E>(&self, emit: &mut Emit<'_, E>) -> Result<(), E> {
        // After something was read and not before it, which may have been long in coming.
        let emit = &mut |piece: Piece, pace: Pace| {
            if let Some(rules) = self.rules.try_iter().last() {
                emit(Piece::Step(Step::Rules(rules)), pace)?;
            }
            emit(piece, pace)
        };
        match &self.following {
            Some(following) => Follower::new(&self.opener, &self.sources, following).run(emit),
            None => read_all(&self.opener, &self.sources, emit),
        }
    }
}

/// Reads every source to its end.
fn read_all<E>(opener: &Opener, sources: &[SourcePath], emit: &mut Emit<'_, E>) -> Result<(), E> {
    let mut bytes = 0;
    for (at, source) in sources.iter().enumerate() {
        let (name, opened) = open(opener, source);
        let pace = source.pace();
        // What was found in this source must not wait for the next.
        let pace_behind = sources.get(at + 1).map_or(Pace::Live, SourcePath::pace);
        match opened {
            Ok(mut reader) => {
                let mut progress = |read: u64| Piece::Step(Step::Progress(Arc::clone(&name), bytes + read));
                read_of(&mut *reader, Most::ALL, pace, &mut progress, emit)?;
                emit(progress(reader.bytes_taken()), pace)?;
                emit(Piece::Step(Step::SourceEnd), pace_behind)?;
                bytes += reader.bytes_taken();
            }
            // An empty log is read to its end.
            Err(OpenError::Empty { .. }) => drop(emit(Piece::Step(Step::SourceEnd), pace_behind)?),
            Err(error) => {
                let reason = reason(&error);
                let unreadable = Step::Unreadable(Unreadable { source: name.to_string(), reason });
                emit(Piece::Step(unreadable), pace_behind)?;
            }
        }
    }
    Ok(())
}

fn open(opener: &Opener, source: &SourcePath) -> (Arc<str>, Result<Box<dyn Reader>, OpenError>) {
    match source {
        SourcePath::File(path, _) => (path.display().to_string().into(), opener.open_file(Path::new(path))),
        SourcePath::Stdin => ("-".into(), opener.open_stream("-", Box::new(io::stdin()))),
    }
}

impl SourcePath {
    fn pace(&self) -> Pace {
        match self {
            // A pipe has no size.
            Self::File(_, 0) | Self::Stdin => Pace::Live,
            Self::File(..) => Pace::Stored,
        }
    }
}

/// How much is read of a source at most, by how it is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Most {
    pub(crate) records: u64,
    pub(crate) blocks: u64,
}

impl Most {
    pub(crate) const ALL: Self = Self { records: u64::MAX, blocks: u64::MAX };
}

/// Reads of a source what there is, but no more than this. `progress` makes a piece of the bytes that were read.
pub(crate) fn read_of<E>(
    reader: &mut dyn Reader,
    most: Most,
    pace: Pace,
    progress: &mut impl FnMut(u64) -> Piece,
    emit: &mut Emit<'_, E>,
) -> Result<(), E> {
    match reader.decoders().cloned() {
        Some(decoders) => read_blocks(reader, &decoders, most.blocks, pace, progress, emit),
        None => read_records(reader, most.records, pace, progress, emit),
    }
}

/// Reads so many records of a source at most. `progress` makes a piece of the bytes that were read.
fn read_records<E>(
    reader: &mut dyn Reader,
    records_max: u64,
    pace: Pace,
    progress: &mut impl FnMut(u64) -> Piece,
    emit: &mut Emit<'_, E>,
) -> Result<(), E> {
    for records in 1..=records_max {
        let Some(record) = reader.next_record() else { break };
        if let Some(event) = emit(Piece::of(record, reader.format()), pace)? {
            reader.recycle(event);
        }
        if records % RECORDS_A_STEP == 0 {
            emit(progress(reader.bytes_taken()), pace)?;
        }
    }
    Ok(())
}

/// Reads so many blocks of a source at most, without decoding them.
fn read_blocks<E>(
    reader: &mut dyn Reader,
    decoders: &Decoders,
    blocks_max: u64,
    pace: Pace,
    progress: &mut impl FnMut(u64) -> Piece,
    emit: &mut Emit<'_, E>,
) -> Result<(), E> {
    for _ in 0..blocks_max {
        let Some(block) = reader.next_block() else { break };
        let piece = match block {
            Ok(block) => Piece::Block(block, decoders.clone()),
            Err(skipped) => Piece::Step(Step::Skipped(skipped)),
        };
        emit(piece, pace)?;
        emit(progress(reader.bytes_taken()), pace)?;
    }
    Ok(())
}

impl Piece {
    /// Returns the piece that a record is.
    pub(crate) fn of(record: Record, format: &'static str) -> Self {
        match record {
            Record::Event(event) => Self::Event(event, format),
            Record::Skipped(skipped) => Self::Step(Step::Skipped(skipped)),
        }
    }
}

/// An error with its cause, for a person.
pub(crate) fn reason(error: &OpenError) -> String {
    match error {
        OpenError::Io { cause, .. } => cause.to_string(),
        OpenError::UnknownFormat { .. } => "in no format that is known; `cresset formats` lists them".into(),
        OpenError::NotLines { .. } => "no log of lines, and cannot be followed".into(),
        OpenError::Empty { .. } => "empty".into(),
    }
}
