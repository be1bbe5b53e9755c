//! Sources read one after another, in steps.

use std::io;
use std::path::Path;
use std::sync::Arc;

use cresset_detect::RuleSet;
use cresset_event::Event;
use cresset_ingest::{OpenError, Opener, Reader, Record, Skipped};
use crossbeam_channel::Receiver;

use crate::report::Unreadable;
use crate::sources::SourcePath;

/// Records between two looks at the progress: often enough for the eye, too seldom to cost.
const RECORDS_A_STEP: u64 = 512;

/// One step of reading.
pub(crate) enum Step {
    /// A record, and its format.
    Event(Event, &'static str),
    /// A record that could not be read.
    Skipped(Skipped),
    /// A source that could not be.
    Unreadable(Unreadable),
    /// How far the reading is: the source, and the bytes of all sources so far.
    Progress(Arc<str>, u64),
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

/// Takes steps. Gives back an event that nobody needs any more, so that its memory is used again; an error ends the reading.
pub(crate) type Emit<'e, E> = dyn FnMut(Step, Pace) -> Result<Option<Event>, E> + 'e;

/// Reads every source to its end. Rules that arrive hold from the next record on.
pub(crate) fn read_all<E>(
    opener: &Opener,
    sources: &[SourcePath],
    rules: &Receiver<Arc<RuleSet>>,
    emit: &mut Emit<'_, E>,
) -> Result<(), E> {
    let mut bytes = 0;
    for source in sources {
        let (name, pace, opened) = open(opener, source);
        match opened {
            Ok(reader) => bytes += read_one(&name, pace, reader, bytes, rules, emit)?,
            // An empty log is read to its end.
            Err(OpenError::Empty { .. }) => drop(emit(Step::SourceEnd, pace)?),
            Err(error) => {
                let reason = reason(&error);
                emit(Step::Unreadable(Unreadable { source: name.to_string(), reason }), pace)?;
            }
        }
    }
    Ok(())
}

fn open(opener: &Opener, source: &SourcePath) -> (Arc<str>, Pace, Result<Box<dyn Reader>, OpenError>) {
    match source {
        SourcePath::File(path, bytes) => {
            // A pipe has no size.
            let pace = if *bytes == 0 { Pace::Live } else { Pace::Stored };
            (path.display().to_string().into(), pace, opener.open_file(Path::new(path)))
        }
        SourcePath::Stdin => ("-".into(), Pace::Live, opener.open_stream("-", Box::new(io::stdin()))),
    }
}

/// Reads one source, and returns how many bytes it had.
fn read_one<E>(
    name: &Arc<str>,
    pace: Pace,
    mut reader: Box<dyn Reader>,
    bytes_before: u64,
    rules: &Receiver<Arc<RuleSet>>,
    emit: &mut Emit<'_, E>,
) -> Result<u64, E> {
    let mut records = 0;
    while let Some(record) = reader.next_record() {
        // After the record and not before it, which may have been long in coming.
        if let Some(rules) = rules.try_iter().last() {
            emit(Step::Rules(rules), pace)?;
        }
        let step = match record {
            Record::Event(event) => Step::Event(event, reader.format()),
            Record::Skipped(skipped) => Step::Skipped(skipped),
        };
        if let Some(event) = emit(step, pace)? {
            reader.recycle(event);
        }
        records += 1;
        if records % RECORDS_A_STEP == 0 {
            emit(Step::Progress(Arc::clone(name), bytes_before + reader.bytes_taken()), pace)?;
        }
    }
    emit(Step::Progress(Arc::clone(name), bytes_before + reader.bytes_taken()), pace)?;
    emit(Step::SourceEnd, pace)?;
    Ok(reader.bytes_taken())
}

/// An error with its cause, for a person.
fn reason(error: &OpenError) -> String {
    match error {
        OpenError::Io { cause, .. } => cause.to_string(),
        OpenError::UnknownFormat { .. } => "in no format that is known; `cresset formats` lists them".into(),
        OpenError::Empty { .. } => "empty".into(),
    }
}
