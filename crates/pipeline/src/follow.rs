//! Reading that does not end: files as they grow, and what is delivered while the watch runs.
//!
//! One thread looks at everything in turn, a bounded stretch of each, so that nothing waits for what is busier. Behind what it
//! read it asks that all of it be settled ([`Step::AllForNow`]), again only when that is done: the more comes meanwhile, the
//! more is settled at once. Whoever waits for a delivery hears of it then.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cresset_event::Source;
use cresset_ingest::{Content, Followed, OpenError, Opener, Position, Reader};
use crossbeam_channel::{Receiver, never};

use crate::read::{Emit, Most, Pace, Piece, Step, read_of, reason};
use crate::report::Unreadable;
use crate::sources::SourcePath;

/// Time between two looks at files that are followed, where there was nothing new in any.
const LOOK_PAUSE: Duration = Duration::from_millis(200);
/// Time between two looks for new files.
const FIND_PAUSE: Duration = Duration::from_secs(2);
/// How long more is waited for while what was read is being settled.
const SETTLING_PAUSE: Duration = Duration::from_millis(1);
/// How often it is told how far files were read, where there was anything.
const MARK_EVERY: Duration = Duration::from_secs(5);
/// What is read of one file that is followed before the next is looked at.
const FOLLOWED_MOST: Most = Most { records: 1024, blocks: 16 };
/// Deliveries that are read before files are looked at again.
const DELIVERIES_A_TURN: usize = 256;
/// Most files that are followed: a process may have 1,024 open unless it was told otherwise.
const FILES_MAX: usize = 800;

/// Records that somebody hands to a watch while it runs. It says when they are settled.
#[derive(Debug)]
pub struct Delivery {
    /// What the sink hears when it was read ([`Sink::delivered`](crate::Sink::delivered)).
    pub number: u64,
    /// Where the records are from.
    pub source: Source,
    /// The records.
    pub content: Content,
}

/// A delivery that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The number that it came with.
    pub number: u64,
    /// Why none of it could be read, for a person; `None` where that is not so.
    pub refused: Option<String>,
}

/// How files are followed, and where deliveries come from.
#[derive(Clone)]
pub struct Following {
    /// Says that it is enough.
    pub is_enough: Arc<AtomicBool>,
    /// Where to go on, as an earlier watch said.
    pub positions: Vec<Position>,
    /// What is delivered; bounded by whoever made the channel.
    pub deliveries: Receiver<Delivery>,
    /// Finds the files again, so that new ones are followed as well.
    pub find: Arc<dyn Fn() -> Vec<SourcePath> + Send + Sync>,
}

impl Following {
    /// Follows the files that are there until it is enough, from their beginnings.
    pub fn new(is_enough: Arc<AtomicBool>) -> Self {
        Self { is_enough, positions: Vec::new(), deliveries: never(), find: Arc::new(Vec::new) }
    }
}

impl fmt::Debug for Following {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Following").field("positions", &self.positions).finish_non_exhaustive()
    }
}

/// That something is being settled: until this goes.
#[derive(Debug)]
pub(crate) struct Settling(Arc<AtomicBool>);

impl Drop for Settling {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Reads all that comes, until it is enough.
pub(crate) struct Follower<'f> {
    opener: &'f Opener,
    following: &'f Following,
    files: Vec<Followed>,
    known: HashSet<PathBuf>,
    /// What was read last.
    last: Arc<str>,
    /// Bytes of everything that was read.
    bytes: u64,
    marked: u64,
    marked_at: Instant,
    found_at: Instant,
    /// Whether anything was read since it was asked last that all be settled.
    is_unsettled: bool,
    is_settling: Arc<AtomicBool>,
}

impl<'f> Follower<'f> {
    pub(crate) fn new(opener: &'f Opener, sources: &[SourcePath], following: &'f Following) -> Self {
        let now = Instant::now();
        let mut follower = Self {
            opener,
            following,
            files: Vec::new(),
            known: HashSet::new(),
            last: "".into(),
            bytes: 0,
            marked: 0,
            marked_at: now,
            found_at: now,
            is_unsettled: false,
            is_settling: Arc::default(),
        };
        follower.add(sources.iter().cloned());
        for position in &following.positions {
            if let Some(file) = follower.files.iter_mut().find(|file| file.path() == position.path) {
                file.go_on_from(position);
            }
        }
        follower
    }

    /// Reads until it is enough, and then what was delivered before.
    pub(crate) fn run<E>(mut self, emit: &mut Emit<'_, E>) -> Result<(), E> {
        let mut is_quiet = true;
        while !self.following.is_enough.load(Ordering::Relaxed) {
            let before = self.bytes;
            let pause = match (self.is_unsettled, is_quiet) {
                (true, _) => SETTLING_PAUSE,
                (false, true) => LOOK_PAUSE,
                (false, false) => Duration::ZERO,
            };
            self.take_deliveries(pause, emit)?;
            self.look_at_files(emit)?;
            self.find_files();
            self.settle(emit)?;
            self.mark(emit)?;
            is_quiet = self.bytes == before;
        }
        while let Ok(delivery) = self.following.deliveries.try_recv() {
            self.read_delivery(delivery, emit)?;
        }
        self.hand_on(emit)?;
        emit(Piece::Step(Step::AllForNow(Settling(Arc::default()))), Pace::Live)?;
        emit(self.positions(), Pace::Live)?;
        let read = self.files.iter().filter(|file| file.was_open());
        read.into_iter().try_for_each(|_| emit(Piece::Step(Step::SourceEnd), Pace::Live).map(drop))
    }

    fn add(&mut self, sources: impl IntoIterator<Item = SourcePath>) {
        for source in sources {
            if let SourcePath::File(path, _) = source
                && self.files.len() < FILES_MAX
                && self.known.insert(path.clone())
            {
                self.files.push(Followed::new(self.opener, &path));
            }
        }
    }

    /// Waits so long for the first delivery, and takes those that are there.
    fn take_deliveries<E>(&mut self, pause: Duration, emit: &mut Emit<'_, E>) -> Result<(), E> {
        let deliveries = &self.following.deliveries;
        let first = deliveries.recv_timeout(pause).ok();
        for delivery in first.into_iter().chain(deliveries.try_iter().take(DELIVERIES_A_TURN - 1)) {
            self.read_delivery(delivery, emit)?;
        }
        Ok(())
    }

    fn read_delivery<E>(&mut self, delivery: Delivery, emit: &mut Emit<'_, E>) -> Result<(), E> {
        let Delivery { number, source, content } = delivery;
        let name: Arc<str> = source.name.as_str().into();
        let refused = match self.opener.open_delivered(source, content) {
            Ok(mut reader) => {
                let before = self.bytes;
                let mut progress = |read| Piece::Step(Step::Progress(Arc::clone(&name), before + read));
                read_of(&mut *reader, Most::ALL, Pace::Stored, &mut progress, emit)?;
                self.bytes += reader.bytes_taken();
                None
            }
            Err(OpenError::Empty { .. }) => None,
            Err(error) => Some(reason(&error)),
        };
        // It was, if only as an effort.
        self.bytes += 1;
        self.last = name;
        self.is_unsettled = true;
        emit(Piece::Step(Step::Delivered(Delivered { number, refused })), Pace::Stored).map(drop)
    }

    fn look_at_files<E>(&mut self, emit: &mut Emit<'_, E>) -> Result<(), E> {
        let before = self.bytes;
        for file in &mut self.files {
            let name: Arc<str> = file.path().display().to_string().into();
            match file.poll() {
                Ok(readers) => {
                    for reader in readers {
                        self.bytes += read_on(reader, &name, self.bytes, emit)?;
                    }
                    self.last = name;
                }
                Err(error) => {
                    let unreadable = Unreadable { source: name.to_string(), reason: reason(&error) };
                    emit(Piece::Step(Step::Unreadable(unreadable)), Pace::Live)?;
                }
            }
        }
        self.is_unsettled |= self.bytes > before;
        Ok(())
    }

    fn find_files(&mut self) {
        if self.found_at.elapsed() >= FIND_PAUSE {
            let found = (self.following.find)();
            self.add(found);
            self.found_at = Instant::now();
        }
    }

    /// Asks that what was read be settled, unless that is being done with what was before.
    fn settle<E>(&mut self, emit: &mut Emit<'_, E>) -> Result<(), E> {
        if !self.is_unsettled || self.is_settling.swap(true, Ordering::Acquire) {
            return Ok(());
        }
        self.is_unsettled = false;
        self.hand_on(emit)?;
        emit(Piece::Step(Step::AllForNow(Settling(Arc::clone(&self.is_settling)))), Pace::Live).map(drop)
    }

    /// Ends the batch: events go to the archive behind its last step, and what follows is to find them there.
    fn hand_on<E>(&self, emit: &mut Emit<'_, E>) -> Result<(), E> {
        emit(Piece::Step(Step::Progress(Arc::clone(&self.last), self.bytes)), Pace::Live).map(drop)
    }

    fn mark<E>(&mut self, emit: &mut Emit<'_, E>) -> Result<(), E> {
        if self.bytes > self.marked && self.marked_at.elapsed() >= MARK_EVERY {
            self.hand_on(emit)?;
            emit(self.positions(), Pace::Live)?;
            (self.marked, self.marked_at) = (self.bytes, Instant::now());
        }
        Ok(())
    }

    fn positions(&self) -> Piece {
        Piece::Step(Step::Mark(self.files.iter().flat_map(Followed::positions).collect()))
    }
}

/// Reads what has come since of a file, and returns how many bytes that is. `before` are those of all files so far.
fn read_on<E>(reader: &mut dyn Reader, name: &Arc<str>, before: u64, emit: &mut Emit<'_, E>) -> Result<u64, E> {
    // What was read ahead to tell its format was not given yet.
    let given = |reader: &dyn Reader| reader.place().map_or(0, |place| place.bytes);
    let from = given(reader);
    let mut progress = |_| Piece::Step(Step::Progress(Arc::clone(name), before));
    read_of(reader, FOLLOWED_MOST, Pace::Stored, &mut progress, emit)?;
    let read = given(reader) - from;
    if read > 0 {
        emit(Piece::Step(Step::Progress(Arc::clone(name), before + read)), Pace::Stored)?;
    }
    Ok(read)
}
