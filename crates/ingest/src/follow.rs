//! A file that grows and is rotated: its whole lines as they come, from the beginning on.
//!
//! A line counts once its end is there. A file that was renamed is read on for [`RENAMED_FOR`], then its last line counts without an end
//! too; meanwhile the one that has the name now is read from its beginning. One that has become shorter (`copytruncate`) is read from
//! its beginning again.

use std::fs::{self, File, Metadata};
use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};

use cresset_event::SourceIdentity;

use crate::lines::LINE_BYTES_MAX;
use crate::opener::{OpenError, Opener};
use crate::reader::{LinePlace, Reader};

/// Bytes that are read at once.
const READ_BYTES: usize = 1 << 16;

/// How long a file that was renamed is read on: who writes to it learns of that a moment later.
const RENAMED_FOR: Duration = if cfg!(test) { Duration::from_millis(100) } else { Duration::from_secs(10) };

/// A name whose file is followed, whichever it is.
pub struct Followed {
    opener: Opener,
    path: PathBuf,
    /// The one that has it, and those that had it and are not read to their end yet.
    files: Vec<Growing>,
    was_open: bool,
    /// The file of this name that cannot be followed: it is not tried again.
    refused: Option<FileIdentity>,
}

/// How far a file was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The name that it had.
    pub path: PathBuf,
    /// Which file that was.
    pub file: SourceIdentity,
    /// The place in it.
    pub place: LinePlace,
}

/// A file that is read as it grows.
struct Growing {
    reader: Box<dyn Reader>,
    identity: SourceIdentity,
    file: FileIdentity,
    /// Since when it has another name.
    renamed: Option<Instant>,
    /// What is still to come of it.
    future: Arc<Future>,
    /// How far it was when nothing was to come any more, the last time that was asked.
    last_place: Option<LinePlace>,
}

/// What is still to come of a file.
#[derive(Debug, Default)]
struct Future(AtomicU8);

/// More may be added.
const GROWS: u8 = 0;
/// Nothing is added any more: what there is is all.
const OVER: u8 = 1;
/// What was not read yet is gone, and other things are in its place.
const CUT: u8 = 2;

impl Future {
    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, future: u8) {
        self.0.store(future, Ordering::Relaxed);
    }
}

/// What tells a file from another: an inode is given to the next once its file is gone, so that also counts when it was made, in
/// nanoseconds since 1970; 0 where that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) born_nanos: u64,
}

impl Followed {
    /// Follows the file that has a name, now or later.
    pub fn new(opener: &Opener, path: &Path) -> Self {
        Self { opener: opener.clone(), path: path.to_owned(), files: Vec::new(), was_open: false, refused: None }
    }

    /// Returns the name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether any file of this name was read.
    pub fn was_open(&self) -> bool {
        self.was_open
    }

    /// Returns readers, each of which gives what has come since it was asked last, and then nothing more for now: of files that had
    /// the name, and of the one that has it once there is a whole line in it. An error is told once.
    pub fn poll(&mut self) -> Result<impl Iterator<Item = &mut (dyn Reader + 'static)>, OpenError> {
        self.files.retain_mut(|file| !file.is_done());
        let now = fs::metadata(&self.path).ok();
        for file in &mut self.files {
            file.look(now.as_ref());
        }
        let is_open = self.files.iter().any(|file| file.renamed.is_none() && file.future.get() == GROWS);
        if let Some(now) = now.filter(|_| !is_open)
            && self.refused != Some(FileIdentity::of(&now))
        {
            let opened = self.open(&self.path, None);
            self.files.extend(opened.inspect_err(|_| self.refused = Some(FileIdentity::of(&now)))?);
        }
        self.was_open |= !self.files.is_empty();
        Ok(self.files.iter_mut().map(|file| &mut *file.reader))
    }

    /// Goes on where a file of this name was read to, under whatever name it lies in its folder now. One that is not there any more,
    /// or was cut since, is left: what has the name is read from its beginning.
    pub fn go_on_from(&mut self, position: &Position) {
        if let Ok(Some(file)) = self.open(&self.path, Some(position)) {
            self.files.push(file);
            return;
        }
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let others = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let renamed =
            others.filter(|path| path.is_file()).find_map(|path| self.open(&path, Some(position)).ok().flatten());
        self.files.extend(renamed.map(|file| Growing { renamed: Some(Instant::now()), ..file }));
    }

    /// Returns how far each file that has or had the name was read.
    pub fn positions(&self) -> impl Iterator<Item = Position> {
        let read = self.files.iter().filter(|file| file.future.get() != CUT);
        read.filter_map(|file| {
            Some(Position { path: self.path.clone(), file: file.identity, place: file.reader.place()? })
        })
    }

    fn open(&self, path: &Path, from: Option<&Position>) -> Result<Option<Growing>, OpenError> {
        let io_error = |cause| OpenError::Io { name: path.display().to_string(), cause };
        let metadata = match fs::metadata(path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            metadata => metadata.map_err(io_error)?,
        };
        // Opening a pipe would wait for whoever writes to it.
        if !metadata.is_file() {
            return Err(OpenError::NotLines { name: path.display().to_string() });
        }
        let file = File::open(path).map_err(io_error)?;
        let metadata = file.metadata().map_err(io_error)?;
        let future = Arc::new(Future::default());
        let lines =
            WholeLines { file, bytes: Vec::new(), given: 0, taken: Arc::default(), future: Arc::clone(&future) };
        let opened = self.opener.open_growing(path, &metadata, lines, from)?;
        let file = FileIdentity::of(&metadata);
        Ok(opened.map(|(reader, identity)| Growing { reader, identity, file, renamed: None, future, last_place: None }))
    }
}

impl Growing {
    /// Notes what has become of the file, by what has its name now.
    fn look(&mut self, now: Option<&Metadata>) {
        // A name that leads nowhere is about to lead to the next file.
        let Some(now) = now else { return };
        let is_renamed = FileIdentity::of(now) != self.file;
        let is_cut = !is_renamed && now.len() < self.reader.bytes_taken();
        self.renamed = is_renamed.then(|| self.renamed.unwrap_or_else(Instant::now));
        let is_left = self.renamed.is_some_and(|since| since.elapsed() >= RENAMED_FOR);
        if is_cut {
            self.future.set(CUT);
        } else if is_left && self.future.get() == GROWS {
            self.future.set(OVER);
        }
    }

    /// Returns whether all of it was given: nothing is to come, and nothing has come since this was asked last.
    fn is_done(&mut self) -> bool {
        if self.future.get() == GROWS {
            return false;
        }
        let place = self.reader.place();
        self.last_place.replace(place.unwrap_or_default()) == place
    }
}

impl FileIdentity {
    /// Returns that of a file.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let (device, inode) = device_and_inode(metadata);
        let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self { device, inode, born_nanos: born.map_or(0, |since| since.as_nanos() as u64) }
    }
}

#[cfg(unix)]
fn device_and_inode(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn device_and_inode(_: &Metadata) -> (u64, u64) {
    (0, 0)
}

/// What of a file is whole lines; all of it where nothing is added any more.
pub(crate) struct WholeLines {
    file: File,
    bytes: Vec<u8>,
    given: usize,
    /// Bytes that were taken of the file.
    taken: Arc<AtomicU64>,
    future: Arc<Future>,
}

impl WholeLines {
    /// Returns what counts the bytes that were taken.
    pub(crate) fn taken(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.taken)
    }

    /// Goes to a place between two lines.
    pub(crate) fn go_to(&mut self, bytes: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(bytes))?;
        self.bytes.clear();
        self.given = 0;
        self.taken.store(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Reads on; `false` where there is nothing more for now.
    fn read_on(&mut self) -> io::Result<bool> {
        self.bytes.drain(..self.given);
        self.given = 0;
        let before = self.bytes.len();
        self.bytes.resize(before + READ_BYTES, 0);
        let read = self.file.read(&mut self.bytes[before..]);
        self.bytes.truncate(before + read.as_ref().copied().unwrap_or(0));
        Ok(read? > 0)
    }
}

impl BufRead for WholeLines {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        loop {
            let left = &self.bytes[self.given..];
            let whole = memchr::memrchr(b'\n', left).map_or(0, |end| end + 1);
            // A line that is too long is told by the reader.
            let length = if left.len() > LINE_BYTES_MAX { left.len() } else { whole };
            if length > 0 {
                return Ok(&self.bytes[self.given..self.given + length]);
            }
            // Asked before the file is: else what is added between the two would be taken for a last line.
            let future = self.future.get();
            if future == CUT || !self.read_on()? {
                return Ok(if future == OVER { &self.bytes[self.given..] } else { &[] });
            }
        }
    }

    fn consume(&mut self, bytes: usize) {
        self.given += bytes;
        self.taken.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Read for WholeLines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::thread;

    use super::*;
    use crate::reader::Record;

    /// A log in a folder, and what follows it.
    struct Log {
        folder: tempfile::TempDir,
        followed: Followed,
    }

    impl Log {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let followed = Followed::new(&Opener::new(Arc::default()), &folder.path().join("a.log"));
            Self { folder, followed }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn add(&self, text: &str) {
            let file = fs::OpenOptions::new().create(true).append(true).open(self.path("a.log"));
            file.and_then(|mut file| file.write_all(text.as_bytes())).expect("room");
        }

        /// Returns the number and the value of each record that has come.
        fn poll(&mut self) -> Vec<String> {
            let mut records = Vec::new();
            for reader in self.followed.poll().expect("a log of lines") {
                while let Some(record) = reader.next_record() {
                    records.push(match record {
                        Record::Event(event) => {
                            format!("{} {}", event.origin().record, event.text("n").expect("a field"))
                        }
                        Record::Skipped(skipped) => skipped.reason,
                    });
                }
            }
            records
        }
    }

    fn lines(numbers: std::ops::Range<u32>) -> String {
        numbers.map(|number| format!("{{\"n\":{number}}}\n")).collect()
    }

    #[test]
    fn whole_lines_are_read_as_they_come() {
        let mut log = Log::new();
        assert_eq!(log.poll(), [""; 0]);
        log.add("");
        assert_eq!(log.poll(), [""; 0]);
        log.add(&lines(0..2));
        log.add("{\"n\":");
        assert_eq!(log.poll(), ["1 0", "2 1"]);
        assert_eq!(log.poll(), [""; 0]);
        log.add("2");
        assert_eq!(log.poll(), [""; 0]);
        log.add("}\n{\"n\":3}\n");
        assert_eq!(log.poll(), ["3 2", "4 3"]);
        assert!(log.followed.was_open());
    }

    #[test]
    fn a_log_that_is_renamed_is_read_to_its_end_and_the_next_from_its_beginning() {
        let mut log = Log::new();
        log.add(&lines(0..2));
        assert_eq!(log.poll(), ["1 0", "2 1"]);
        let old = fs::OpenOptions::new().append(true).open(log.path("a.log")).expect("a file");
        fs::rename(log.path("a.log"), log.path("a.log.1")).expect("a file");
        // Whoever writes to it knows nothing of that yet, and there is no next one.
        (&old).write_all(b"{\"n\":2}\n").expect("room");
        assert_eq!(log.poll(), ["3 2"]);
        log.add(&lines(10..11));
        (&old).write_all(b"{\"n\":3}\n{\"n\":4}").expect("room");
        assert_eq!(log.poll(), ["4 3", "1 10"]);
        log.add(&lines(11..12));
        thread::sleep(RENAMED_FOR);
        assert_eq!(log.poll(), ["5 4", "2 11"]);
        (&old).write_all(b"\n{\"n\":5}\n").expect("room");
        log.add(&lines(12..13));
        // Behind a blank line; it is let go of once it is quiet.
        assert_eq!(log.poll(), ["7 5", "3 12"]);
        assert_eq!((log.poll(), log.poll()), (Vec::new(), Vec::new()));
        assert_eq!(log.followed.files.len(), 1);
    }

    #[test]
    fn a_log_that_gets_its_name_back_is_read_on() {
        let mut log = Log::new();
        log.add(&lines(0..1));
        assert_eq!(log.poll(), ["1 0"]);
        let (name, other) = (log.path("a.log"), log.path("b.log"));
        fs::rename(&name, &other).expect("a file");
        log.add(&lines(5..6));
        assert_eq!(log.poll(), ["1 5"]);
        fs::rename(&other, &name).expect("a file");
        assert_eq!(log.poll(), [""; 0]);
        log.add(&lines(1..2));
        assert_eq!(log.poll(), ["2 1"]);
    }

    #[test]
    fn a_log_that_was_renamed_long_ago_is_given_to_its_end_however_little_is_taken_at_once() {
        let line = |number: u32| format!("2026-11-24T07:00:00+00:00 host app: {number}");
        let mut log = Log::new();
        log.add(&(0..19).map(|number| line(number) + "\n").collect::<String>());
        log.add(&line(19));
        assert_eq!(log.followed.poll().expect("a log").count(), 1);
        fs::rename(log.path("a.log"), log.path("a.log.1")).expect("a file");
        log.add("{\"message\":\"next\"}\n");
        let mut given = Vec::new();
        for _ in 0..30 {
            thread::sleep(RENAMED_FOR / 10);
            for reader in log.followed.poll().expect("a log") {
                if let Some(Record::Event(event)) = reader.next_record() {
                    given.push(event.text("message").expect("a field").into_owned());
                }
            }
        }
        given.retain(|message| message != "next");
        assert_eq!(given, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
        assert_eq!(log.followed.files.len(), 1);
    }

    #[test]
    fn a_log_that_is_cut_to_nothing_is_read_anew() {
        let mut log = Log::new();
        log.add(&lines(0..3));
        assert_eq!(log.poll().len(), 3);
        fs::File::create(log.path("a.log")).expect("a file");
        log.add(&lines(7..8));
        // The look at the old length, and the next.
        let mut records = log.poll();
        records.extend(log.poll());
        assert_eq!(records, ["1 7"]);
    }

    #[test]
    fn a_record_has_one_identity_however_long_the_log_was_when_it_was_read() {
        let mut log = Log::new();
        log.add(&lines(0..1));
        let mut ids = Vec::new();
        for (more, polled_anew) in [(0..0, false), (1..100, true)] {
            log.add(&lines(more));
            if polled_anew {
                log.followed = Followed::new(&Opener::new(Arc::default()), &log.path("a.log"));
            }
            let mut readers = log.followed.poll().expect("a log");
            let reader = readers.next().expect("it is open");
            let Some(Record::Event(event)) = reader.next_record() else { panic!("an event") };
            ids.push(event.id());
        }
        let Ok(mut reader) = Opener::new(Arc::default()).open_file(&log.path("a.log")) else { panic!("a log") };
        let Some(Record::Event(event)) = reader.next_record() else { panic!("an event") };
        ids.push(event.id());
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }

    #[test]
    fn what_is_no_log_of_lines_is_refused_once_until_it_is_another() {
        let mut log = Log::new();
        fs::create_dir(log.path("a.log")).expect("room");
        assert!(matches!(log.followed.poll().map(Iterator::count), Err(OpenError::NotLines { .. })));
        fs::remove_dir(log.path("a.log")).expect("it is empty");
        log.add("{\n\"n\": 1\n}\n");
        assert!(matches!(log.followed.poll().map(Iterator::count), Err(OpenError::NotLines { .. })));
        assert_eq!(log.poll(), [""; 0]);
        fs::rename(log.path("a.log"), log.path("a.log.1")).expect("a file");
        log.add(&"no format at all\n".repeat(20));
        assert!(matches!(log.followed.poll().map(Iterator::count), Err(OpenError::UnknownFormat { .. })));
        fs::rename(log.path("a.log"), log.path("a.log.2")).expect("a file");
        log.add(&lines(0..1));
        assert_eq!(log.poll(), ["1 0"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_told_and_the_next_ones_are_read() {
        let mut log = Log::new();
        log.add(&lines(0..1));
        log.add(&"x".repeat(LINE_BYTES_MAX + READ_BYTES));
        log.add(&format!("\n{}", lines(1..2)));
        let records = log.poll();
        assert_eq!(records.first().map(String::as_str), Some("1 0"));
        assert!(records[1].contains("the longest that is read"), "{records:?}");
        assert!(records.last().is_some_and(|last| last.ends_with(" 1")), "{records:?}");
    }
}
