//! One watch: every source is read to its end, every event matched, everything that comes of it passed on.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use cresset_detect::{Detection, Detector};
use cresset_event::{Event, FieldNames, Timestamp};
use cresset_ingest::{OpenError, Opener, Reader, Record, Skipped};

use crate::report::{Report, Unreadable};
use crate::sources::SourcePath;

/// Records between two looks at the progress: often enough for the eye, too seldom to cost.
const RECORDS_A_STEP: u64 = 512;

/// Where everything goes that a watch finds. The watch ends where it cannot be taken any more.
pub trait Sink {
    /// Takes a detection.
    fn detection(&mut self, detection: Detection) -> io::Result<()>;

    /// Takes a record that could not be read.
    fn skipped(&mut self, skipped: &Skipped) -> io::Result<()>;

    /// Takes a source that could not be read.
    fn unreadable(&mut self, unreadable: &Unreadable) -> io::Result<()>;

    /// Takes note of how far the watch is.
    fn progress(&mut self, progress: &Progress<'_>);
}

/// How far a watch is.
#[derive(Debug)]
pub struct Progress<'p> {
    /// The source that is being read.
    pub source: &'p str,
    /// Bytes read of all sources.
    pub bytes: u64,
    /// Events read.
    pub events: u64,
}

/// What of the events is looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct WatchOptions {
    /// Events before this are left out.
    pub since_inclusive: Option<Timestamp>,
    /// Events from this on are left out.
    pub until_exclusive: Option<Timestamp>,
}

impl WatchOptions {
    /// Whether the event is looked at. One whose time is unknown is: leaving it out could hide it.
    fn wants(&self, event: &Event) -> bool {
        event.origin().time.known().is_none_or(|time| {
            self.since_inclusive.is_none_or(|since| since <= time)
                && self.until_exclusive.is_none_or(|until| time < until)
        })
    }
}

/// A watch that can be run over sources.
#[derive(Debug)]
pub struct Watch {
    opener: Opener,
    detector: Detector,
    options: WatchOptions,
}

impl Watch {
    /// Returns a watch that numbers field names in `names`.
    pub fn new(names: Arc<FieldNames>, detector: Detector, options: WatchOptions) -> Self {
        Self { opener: Opener::new(names), detector, options }
    }

    /// Returns what events are matched against.
    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    /// Reads every source to its end. `Err` only where the sink fails.
    pub fn run(&mut self, sources: &[SourcePath], sink: &mut dyn Sink) -> io::Result<Report> {
        let began = Instant::now();
        let mut report = Report::default();
        for source in sources {
            let (name, opened) = self.open(source);
            match opened {
                Ok(reader) => self.read(&name, reader, &mut report, sink)?,
                // An empty log is read to its end.
                Err(OpenError::Empty { .. }) => report.sources += 1,
                Err(error) => {
                    let unreadable = Unreadable { source: name, reason: reason(&error) };
                    sink.unreadable(&unreadable)?;
                    report.unreadable.push(unreadable);
                }
            }
        }
        report.took = began.elapsed();
        Ok(report)
    }

    fn open(&self, source: &SourcePath) -> (String, Result<Box<dyn Reader>, OpenError>) {
        match source {
            SourcePath::File(path, _) => (path.display().to_string(), self.opener.open_file(Path::new(path))),
            SourcePath::Stdin => ("-".into(), self.opener.open_stream("-", Box::new(io::stdin()))),
        }
    }

    fn read(
        &mut self,
        name: &str,
        mut reader: Box<dyn Reader>,
        report: &mut Report,
        sink: &mut dyn Sink,
    ) -> io::Result<()> {
        let bytes_before = report.bytes;
        let mut records = 0;
        while let Some(record) = reader.next_record() {
            match record {
                Record::Event(event) => {
                    self.look_at(&event, reader.format(), report, sink)?;
                    reader.recycle(event);
                }
                Record::Skipped(skipped) => {
                    report.skipped += 1;
                    sink.skipped(&skipped)?;
                }
            }
            records += 1;
            if records % RECORDS_A_STEP == 0 {
                report.bytes = bytes_before + reader.bytes_taken();
                sink.progress(&Progress { source: name, bytes: report.bytes, events: report.events });
            }
        }
        report.sources += 1;
        report.bytes = bytes_before + reader.bytes_taken();
        sink.progress(&Progress { source: name, bytes: report.bytes, events: report.events });
        Ok(())
    }

    fn look_at(
        &mut self,
        event: &Event,
        format: &'static str,
        report: &mut Report,
        sink: &mut dyn Sink,
    ) -> io::Result<()> {
        if !self.options.wants(event) {
            report.events_outside += 1;
            return Ok(());
        }
        report.add(format, event);
        let mut result = Ok(());
        self.detector.detect(event, |detection| {
            if result.is_ok() {
                result = sink.detection(detection);
            }
        });
        result
    }
}

/// An error with its cause, for a person.
fn reason(error: &OpenError) -> String {
    match error {
        OpenError::Io { cause, .. } => cause.to_string(),
        OpenError::UnknownFormat { .. } => "in no format that is known; `cresset formats` lists them".into(),
        OpenError::Empty { .. } => "empty".into(),
    }
}
