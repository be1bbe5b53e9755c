//! A store of which a call fails: what was acknowledged is there, once, whichever call it was.
//!
//! `FAULTS` says how many packs are written while each call fails in turn (`./prove`: 23); without it they are three, and
//! each fifth call fails.

use std::future::Future;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use std::{fmt, fs, io, thread};

use arrow_array::builder::FixedSizeBinaryBuilder;
use arrow_array::{RecordBatch, TimestampNanosecondArray};
use arrow_schema::Schema;
use async_trait::async_trait;
use bytes::Bytes;
use cresset_event::{Event, EventBuilder, EventTime, FieldNames, Matcher, Origin, Timestamp, Value};
use futures_util::FutureExt;
use futures_util::stream::{self, BoxStream, StreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Name;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};

use crate::archive::Archive;
use crate::error::ArchiveError;
use crate::pack::Keep;
use crate::scan::Scan;
use crate::segment;
use crate::storage::Storage;
use crate::table_rows::TableRows;
use crate::writer::{Writer, WriterOptions};

/// Events of a pack.
const EVENTS: u64 = 4;
/// Tries of one thing: as many as a call after another may fail, and one more.
const TRIES: u64 = FAULTS_IN_A_ROW + 1;
/// Calls that fail one after another where the disk is full for a while.
const FAULTS_IN_A_ROW: u64 = 4;
/// A segment for each pack.
const SMALL: WriterOptions = WriterOptions { keep: Keep::Raw, log_bytes: 20, sync_bytes: 1 };

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// There is no room for a while.
    Full,
    /// A call is not done.
    Refused,
    /// A call is done and said to have failed. What was put is gone with the power, unless it was put again.
    Unsure,
}

/// A folder of which some calls fail.
#[derive(Debug)]
struct Faulty {
    folder: LocalFileSystem,
    faults: Arc<Faults>,
}

/// Which calls fail.
#[derive(Debug)]
struct Faults {
    fault: Fault,
    /// The first call that fails, from 0.
    fails_at: AtomicU64,
    calls: AtomicU64,
    /// What is not on the disk.
    unsure: Mutex<Option<Name>>,
    /// Files that are written piece by piece, merged ones, wait for this.
    merging: Mutex<()>,
}

impl Faulty {
    fn new(folder: &Path, fault: Fault, fails_at: u64) -> Arc<Self> {
        let folder = LocalFileSystem::new_with_prefix(folder).expect("a folder");
        let (fails_at, calls) = (AtomicU64::new(fails_at), AtomicU64::new(0));
        let faults = Arc::new(Faults { fault, fails_at, calls, unsure: Mutex::default(), merging: Mutex::default() });
        Arc::new(Self { folder, faults })
    }

    fn calls(&self) -> u64 {
        self.faults.calls.load(Ordering::Relaxed)
    }

    fn fail(&self) {
        self.faults.fails_at.store(self.calls(), Ordering::Relaxed);
    }

    fn cut_power(&self, folder: &Path) {
        if let Some(name) = self.faults.unsure.lock().expect("no panic").take() {
            // It may have been put aside or taken away meanwhile.
            let _ = fs::remove_file(folder.join(name.as_ref()));
        }
    }
}

impl Faults {
    fn error(&self) -> Error {
        let kind = if self.fault == Fault::Full { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
        Error::Generic { store: "faulty", source: io::Error::from(kind).into() }
    }

    fn fails(&self) -> bool {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let faults = if self.fault == Fault::Full { FAULTS_IN_A_ROW } else { 1 };
        call.checked_sub(self.fails_at.load(Ordering::Relaxed)).is_some_and(|past| past < faults)
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        match self.fails() {
            true if self.fault == Fault::Unsure => call.await.and_then(|_| Err(self.error())),
            true => Err(self.error()),
            false => call.await,
        }
    }

    /// Puts a file, which may not be on the disk then.
    async fn put<T>(&self, at: &Name, put: impl Future<Output = Result<T>>) -> Result<T> {
        let put = async {
            let put = put.await;
            self.unsure.lock().expect("no panic").take_if(|unsure| put.is_ok() && unsure == at);
            put
        };
        let (before, put) = (self.calls.load(Ordering::Relaxed), self.call(put).await);
        if put.is_err() && self.fault == Fault::Unsure && before == self.fails_at.load(Ordering::Relaxed) {
            *self.unsure.lock().expect("no panic") = Some(at.clone());
        }
        put
    }
}

/// A file that is written piece by piece.
#[derive(Debug)]
struct FaultyUpload {
    upload: Box<dyn MultipartUpload>,
    at: Name,
    faults: Arc<Faults>,
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (part, faults) = (self.upload.put_part(data), Arc::clone(&self.faults));
        async move { faults.call(part).await }.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.faults.put(&self.at, self.upload.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.faults.call(self.upload.abort()).await
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a folder of which some calls fail")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn get_opts(&self, at: &Name, options: GetOptions) -> Result<GetResult> {
        self.faults.call(self.folder.get_opts(at, options)).await
    }

    async fn get_ranges(&self, at: &Name, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.faults.call(self.folder.get_ranges(at, ranges)).await
    }

    async fn put_opts(&self, at: &Name, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.faults.put(at, self.folder.put_opts(at, payload, options)).await
    }

    async fn put_multipart_opts(&self, at: &Name, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        drop(self.faults.merging.lock().expect("no panic"));
        let upload = self.faults.call(self.folder.put_multipart_opts(at, options)).await?;
        Ok(Box::new(FaultyUpload { upload, at: at.clone(), faults: Arc::clone(&self.faults) }))
    }

    fn delete_stream(&self, at: BoxStream<'static, Result<Name>>) -> BoxStream<'static, Result<Name>> {
        if self.faults.fails() {
            return stream::iter([Err(self.faults.error())]).boxed();
        }
        self.folder.delete_stream(at)
    }

    fn list(&self, prefix: Option<&Name>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.folder.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Name>) -> Result<ListResult> {
        self.faults.call(self.folder.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Name, to: &Name, options: CopyOptions) -> Result<()> {
        self.faults.call(self.folder.copy_opts(from, to, options)).await
    }

    async fn rename_opts(&self, from: &Name, to: &Name, options: RenameOptions) -> Result<()> {
        self.faults.call(self.folder.rename_opts(from, to, options)).await
    }
}

/// Returns an event of this number; each is a nanosecond later than the one before.
pub(crate) fn event(number: u64) -> Event {
    let mut builder = EventBuilder::new(Arc::new(FieldNames::new()));
    builder.push("src_ip", Value::Str(&format!("10.0.{}.{}", number / 256, number % 256)));
    builder.finish(Origin {
        record: number,
        time: EventTime::Known(Timestamp::from_nanos(1_795_000_000_000_000_000 + number as i64)),
        ..Origin::default()
    })
}

/// Appends a pack of this number, and the row of another table that goes with it.
fn append(writer: &mut Writer, number: u64) -> std::result::Result<(), ArchiveError> {
    let mut packer = writer.packer();
    (number * EVENTS..(number + 1) * EVENTS).for_each(|number| packer.add(&event(number)));
    writer.append(&packer.take())?;
    writer.append_rows(&row(number)).map(drop)
}

/// Returns the row of another table with this number.
fn row(number: u64) -> TableRows {
    let mut ids = FixedSizeBinaryBuilder::new(16);
    ids.append_value(u128::from(number).to_be_bytes()).expect("16 bytes");
    let times = TimestampNanosecondArray::from(vec![number as i64]).with_timezone("UTC");
    let schema = Arc::new(Schema::new(TableRows::columns().to_vec()));
    TableRows::new("rows", RecordBatch::try_new(schema, vec![Arc::new(ids.finish()), Arc::new(times)]).expect("a row"))
}

/// Returns the numbers of the rows of the other table, in order.
fn row_numbers(archive: &Archive) -> Vec<u64> {
    let batches = archive.files_of("rows").flat_map(|entry| segment::read(&archive.storage, entry).expect("a file"));
    let rows = batches.chain(archive.logged("rows").expect("rows")).map(|batch| TableRows::new("rows", batch));
    let ids = rows.flat_map(|rows| rows.identities().map(|(id, _)| id).collect::<Vec<_>>());
    let mut numbers: Vec<u64> = ids.map(|id| u128::from_be_bytes(*id.as_bytes()) as u64).collect();
    numbers.sort_unstable();
    numbers
}

/// Does something again as long as it fails, if it is to go on.
fn again<T>(tries: u64, mut what: impl FnMut() -> std::result::Result<T, ArchiveError>) -> Option<T> {
    (0..tries).find_map(|_| what().ok())
}

/// Writes packs, each a second time as well, and merges files; returns how many packs were acknowledged. What fails is tried
/// so many times; then it is given up.
fn write(folder: &Path, store: &Arc<Faulty>, packs: u64, tries: u64) -> u64 {
    let storage = || Storage::over(Arc::<Faulty>::clone(store), folder);
    let Some((mut writer, _)) = again(tries, || Writer::open_on(folder, storage(), SMALL)) else { return 0 };
    let mut acknowledged = 0;
    for number in 0..packs {
        for number in [number, number / 2] {
            if again(tries, || append(&mut writer, number).and_then(|()| writer.commit())).is_none() {
                return acknowledged;
            }
        }
        acknowledged = number + 1;
    }
    let merged = again(tries, || writer.compact());
    assert!(tries == 1 || merged.is_some(), "it does not heal");
    // Who went on until here is cut off.
    if tries == 1 && merged.is_some() {
        let _ = writer.close();
    }
    acknowledged
}

/// Checks that an archive is whole, and returns how many packs there are, each once.
#[track_caller]
fn check_whole(folder: &Path, context: &str) -> u64 {
    let archive = Archive::open(folder).expect("an archive");
    assert_eq!(archive.verify(|_| {}), [], "{context}");
    let mut numbers = Vec::new();
    let take = |event: Event| {
        numbers.push(event.origin().record);
        ControlFlow::Continue(())
    };
    archive.scan(&Scan::default(), &Arc::new(FieldNames::new()), take, |error| panic!("{error}, {context}"));
    numbers.sort_unstable();
    let count = numbers.len() as u64;
    assert_eq!(numbers, (0..count).collect::<Vec<_>>(), "{context}");
    let hunted = archive.hunt(&[Matcher::parse("10.0.0.0/8").expect("a range")]);
    assert!(hunted.damaged.is_empty(), "{:?}, {context}", hunted.damaged);
    assert_eq!(hunted.seen[0].as_ref().map_or(0, |seen| seen.count), count, "{context}");
    let rows = row_numbers(&archive);
    assert_eq!(rows, (0..rows.len() as u64).collect::<Vec<_>>(), "{context}");
    (count / EVENTS).min(rows.len() as u64)
}

fn new_archive() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    Writer::open(folder.path(), SMALL).expect("an archive").0.close().expect("room");
    folder
}

/// Lets one call after another fail, for archives of several sizes, and returns how many there are.
fn check_calls(fault: Fault, tries: u64) -> u64 {
    let asked = std::env::var("FAULTS").ok().and_then(|packs| packs.parse().ok());
    let (packs, step) = asked.map_or((3, 5), |packs| (packs, 1));
    [1, 2, packs].into_iter().map(|packs| check_calls_of(fault, tries, packs, step)).sum()
}

fn check_calls_of(fault: Fault, tries: u64, packs: u64, step: usize) -> u64 {
    for fails_at in (0..).step_by(step) {
        let context = format!("{fault:?}, call {fails_at}, {tries} tries, {packs} packs");
        let folder = new_archive();
        let folder = folder.path();
        let store = Faulty::new(folder, fault, fails_at);
        let acknowledged = write(folder, &store, packs, tries);
        let calls = store.calls();
        assert!(tries == 1 || acknowledged == packs, "{context}");
        assert!(check_whole(folder, &context) >= acknowledged, "{context}");
        // The power goes before the next program, or behind it.
        if tries > 1 {
            store.cut_power(folder);
            assert!(check_whole(folder, &context) >= acknowledged, "{context}");
        }
        write(folder, &store, packs, TRIES);
        store.cut_power(folder);
        assert_eq!(check_whole(folder, &context), packs, "{context}");
        write(folder, &store, packs, 1);
        assert_eq!(check_whole(folder, &context), packs, "{context}");
        if calls <= fails_at {
            return calls;
        }
    }
    0
}

#[test]
fn a_call_that_fails_is_made_again_and_nothing_is_lost_or_doubled() {
    for fault in [Fault::Full, Fault::Refused, Fault::Unsure] {
        assert!(check_calls(fault, TRIES) > 20);
    }
}

#[test]
fn a_program_that_ends_at_a_call_that_fails_leaves_what_it_acknowledged() {
    for fault in [Fault::Refused, Fault::Unsure] {
        assert!(check_calls(fault, 1) > 20);
    }
}

/// Opens an archive of which what is written to the log is lost; one pack was acknowledged before, and another was written.
#[track_caller]
fn lose_a_pack(folder: &Path, store: &Arc<Faulty>) -> Writer {
    let options = WriterOptions { sync_bytes: u64::MAX, ..WriterOptions::default() };
    let storage = Storage::over(Arc::<Faulty>::clone(store), folder);
    let (mut writer, _) = Writer::open_on(folder, storage, options).expect("an archive");
    append(&mut writer, 0).and_then(|()| writer.commit()).expect("room");
    writer.lose_log();
    append(&mut writer, 1).expect("it goes nowhere");
    writer.commit().expect_err("it is not on the disk");
    assert_eq!(check_whole(folder, "what was acknowledged"), 1);
    writer
}

#[test]
fn a_log_that_could_not_be_brought_to_the_disk_is_made_a_segment() {
    let folder = new_archive();
    let folder = folder.path();
    let mut writer = lose_a_pack(folder, &Faulty::new(folder, Fault::Full, u64::MAX));
    writer.commit().expect("room");
    assert_eq!(check_whole(folder, "acknowledged by another try"), 2);
    append(&mut writer, 2).and_then(|()| writer.commit()).expect("room");
    drop(writer);
    assert_eq!(check_whole(folder, "the next log"), 3);
}

#[test]
fn what_is_in_no_log_is_not_acknowledged_before_it_is_in_a_segment() {
    let folder = new_archive();
    let folder = folder.path();
    let store = Faulty::new(folder, Fault::Full, u64::MAX);
    let mut writer = lose_a_pack(folder, &store);
    store.fail();
    for _ in 0..FAULTS_IN_A_ROW {
        append(&mut writer, 1).expect("it is in memory");
        assert!(writer.commit().expect_err("no room").is_full());
        assert_eq!(check_whole(folder, "while there is no room"), 1);
    }
    writer.commit().expect("room");
    assert_eq!(check_whole(folder, "once there is"), 2);
}

#[test]
fn a_file_that_was_put_aside_by_a_list_that_is_gone_stays() {
    let folder = new_archive();
    let folder = folder.path();
    write(folder, &Faulty::new(folder, Fault::Refused, u64::MAX), 1, 1);
    let storage = Storage::open(folder).expect("a folder");
    for (file, _) in storage.list("events").expect("a folder") {
        storage.retire(&file).expect("a file");
    }
    Writer::open(folder, SMALL).expect("an archive").0.close().expect("room");
    assert_eq!(check_whole(folder, "put aside"), 1);
}

#[test]
fn what_is_written_does_not_wait_for_what_is_merged() {
    let folder = new_archive();
    let store = Faulty::new(folder.path(), Fault::Refused, u64::MAX);
    let storage = Storage::over(Arc::<Faulty>::clone(&store), folder.path());
    let (mut writer, _) = Writer::open_on(folder.path(), storage, SMALL).expect("an archive");
    let merging = store.faults.merging.lock().expect("no panic");
    let (written, is_written) = mpsc::channel();
    let writing = thread::spawn(move || {
        (0..30).for_each(|number| append(&mut writer, number).and_then(|()| writer.commit()).expect("room"));
        written.send(()).expect("somebody waits");
        writer.close().expect("room")
    });
    is_written.recv_timeout(Duration::from_secs(60)).expect("it is written meanwhile");
    assert_eq!(check_whole(folder.path(), "while it waits"), 30);
    drop(merging);
    assert!(writing.join().expect("no panic").is_none());
    assert_eq!(check_whole(folder.path(), "merged"), 30);
    assert!(Archive::open(folder.path()).expect("an archive").stats().index_files.0 < 10);
}
