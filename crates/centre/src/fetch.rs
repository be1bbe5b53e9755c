//! Feeds that are fetched: asked for again and again, and put where the centre looks for indicators.
//!
//! On a thread of their own, a task each, so that what is written and unpacked holds nobody up. An answer is written beside, whole, and
//! read once; only one of which something can be used takes the place of the last (`indicators/fetched/NAME`), and what looks for
//! changed feeds does the rest (`retro.rs`). So a server that fails, lies or is gone costs nothing but freshness, which is told
//! (`standing.rs`): in the status, in the figures, and after some failures as an event of the centre's own.

mod standing;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use cresset_archive::with_causes;
use cresset_event::Timestamp;
use cresset_ingest::unpacked;
use cresset_intel::FeedKind;
use cresset_outbound::{Answer, Ask, Client, Credentials, CredentialsError, FetchError, Proxy, Tls, Validators};
use cresset_pipeline::find_feeds;
use cresset_pipeline::whole_file::{Beside, Readers};
use serde::de::IgnoredAny;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;
use tracing::{info, warn};

pub(crate) use self::standing::{FeedStanding, Standings};
use self::standing::{Kept, digest_of_url};
use crate::app::App;
use crate::config::{Config, Plan, PlannedFeed};
use crate::retro::digest_of;
use crate::serve::ServeError;

/// Where answers are written, and what is known of feeds is kept, in the centre's folder.
const FOLDER: &str = "fetched";
/// Time before a feed is asked for again that could not be had; doubled each time, up to the time between two that could.
const AGAIN: Duration = Duration::from_secs(60);
/// Doublings of that: half a day.
const DOUBLINGS_MAX: u32 = 10;
/// Failures in a row after which it is told as an event: with an hour between two, after a quarter of an hour.
const FAILURES_TOLD: u32 = 5;
/// How long what is under way has to end once the centre stops.
const END_WITHIN: Duration = Duration::from_secs(2);
/// What some begin UTF-8 with.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Longest secret that is read of a file, and some more so that it is refused.
const SECRET_BYTES_MAX: u64 = 10 << 10;

/// Why a feed was not had.
#[derive(Debug, thiserror::Error)]
enum FeedError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("the server answers {status}{}", hint(*.status))]
    Status { status: u16, retry_after: Option<Duration> },
    #[error("what came is a page, not a feed: see whether the address wants credentials")]
    Page,
    #[error("nothing of what came can be used as indicators: {0}")]
    Unusable(String),
    #[error("what came is damaged JSON, or it breaks off")]
    Torn(#[source] serde_json::Error),
    #[error("what came is packed, and damaged")]
    Packed(#[source] io::Error),
    #[error("the secret in `{}` cannot be read", .file.display())]
    Secret {
        file: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error("cannot write `{}`", .path.display())]
    Disk {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
}

fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => ": it wants credentials, or others",
        404 | 410 => ": there is nothing at this address",
        429 => ": it is asked too often",
        300..=399 => ": it redirects, and does not say where to",
        _ => "",
    }
}

/// A feed that is fetched.
#[derive(Clone)]
struct Fetcher {
    feed: Arc<PlannedFeed>,
    /// Without the proxy.
    client: Client,
    /// The proxy, and the file of its name and password.
    proxy: Option<(Proxy, Option<PathBuf>)>,
    /// The folder of answers that are on their way.
    folder: PathBuf,
    /// Where the feed lies.
    file: PathBuf,
    /// Held while an answer is read, all of which is in memory then: by one at a time.
    reading: Arc<Semaphore>,
}

/// Feeds that are fetched once they are started.
pub(crate) struct Fetching {
    fetchers: Vec<Fetcher>,
    pub(crate) standings: Arc<Standings>,
}

impl Fetching {
    /// Makes the folders, and takes out of them the feeds that are not fetched any more.
    pub(crate) fn prepare(config: &Config) -> Result<Self, ServeError> {
        let Plan { permit, proxy, feeds } = Plan::of(config).map_err(ServeError::Config)?;
        let (folder, files) = (config.data.join(FOLDER), config.data.join("indicators").join(FOLDER));
        for (folder, suffix) in [(&folder, standing::SUFFIX), (&files, "")] {
            let names = feeds.iter().map(|feed| format!("{}{suffix}", feed.name)).collect();
            let made = fs::create_dir_all(folder).and_then(|()| remove_others(folder, &names));
            made.map_err(|cause| ServeError::Folder { folder: folder.clone(), cause })?;
        }
        let (mut fetchers, reading) = (Vec::new(), Arc::new(Semaphore::new(1)));
        for feed in feeds {
            let client = Client::new(permit.clone(), Tls::load(&feed.authorities)?);
            let proxy = proxy.clone();
            let file = files.join(&feed.name);
            let reading = Arc::clone(&reading);
            fetchers.push(Fetcher { feed: Arc::new(feed), client, proxy, folder: folder.clone(), file, reading });
        }
        let standings = fetchers.iter().map(|fetcher| {
            FeedStanding::new(&fetcher.feed.name, &fetcher.feed.to, &fetcher.kept().unwrap_or_default())
        });
        Ok(Self { standings: Arc::new(Standings::new(standings.collect())), fetchers })
    }

    /// Starts them on a thread of their own; it ends when the centre does.
    pub(crate) fn start(self, app: Arc<App>) -> io::Result<thread::JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = move || {
            let mut stop = app.stop.clone();
            runtime.block_on(async {
                let mut feeds = JoinSet::new();
                for (at, fetcher) in self.fetchers.into_iter().enumerate() {
                    feeds.spawn(fetcher.run(at, Arc::clone(&app)));
                }
                // What is under way is dropped: the last good files are whole.
                let _ = stop.wait_for(|stop| *stop).await;
            });
            runtime.shutdown_timeout(END_WITHIN);
        };
        thread::Builder::new().name("fetch".into()).spawn(run)
    }
}

/// Takes away files that are called otherwise: a feed that was taken out of the configuration does not count any more.
fn remove_others(folder: &Path, names: &HashSet<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_ours = entry.file_name().to_str().is_some_and(|name| names.contains(name));
        if !is_ours && entry.file_type()?.is_file() {
            info!(file = %entry.path().display(), "belongs to no feed that is fetched, and is removed");
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

impl Fetcher {
    /// Fetches again and again.
    async fn run(self, at: usize, app: Arc<App>) {
        let standings = Arc::clone(&app.fetched);
        sleep(standings.first_pause(at, self.feed.every, Timestamp::now())).await;
        loop {
            let fetched = self.fetch().await;
            let now = Timestamp::now();
            let pause = match fetched {
                Ok(kept) => {
                    standings.succeeded(at, &kept, now);
                    pause(self.feed.every, 0, None)
                }
                Err(error) => {
                    let (name, told) = (&*self.feed.name, with_causes(&error));
                    let failures = standings.failed(at, &told, now);
                    warn!(feed = name, error = told, failures, "a feed could not be fetched; the last good one stays");
                    if failures == FAILURES_TOLD {
                        let failures = failures.to_string();
                        app.tell_own("feed_failing", &[("feed", name), ("error", &told), ("failures", &failures)]);
                    }
                    pause(self.feed.every, failures, error.retry_after())
                }
            };
            sleep(pause).await;
        }
    }

    /// Fetches once; what is kept of it then is on the disk.
    async fn fetch(&self) -> Result<Kept, FeedError> {
        let kept = self.kept().unwrap_or_default();
        let credentials = self.credentials()?;
        let disk = |cause| FeedError::Disk { path: self.folder.clone(), cause };
        let mut beside = BufWriter::new(Beside::new(&self.folder, Readers::Usual).map_err(disk)?);
        let known = Validators { etag: kept.etag.clone(), last_modified: kept.last_modified.clone() };
        let feed = &self.feed;
        let ask = Ask { to: &feed.to, credentials: credentials.as_ref(), known: &known, bytes_max: feed.bytes_max };
        let now = || Some(Timestamp::now().to_string());
        let client = self.client.clone().with_proxy(self.proxy()?);
        let kept = match client.fetch(ask, &mut beside).await? {
            Answer::Unchanged => Kept { fetched: now(), ..kept },
            Answer::Status { status, retry_after } => return Err(FeedError::Status { status, retry_after }),
            Answer::Whole { bytes, validators: Validators { etag, last_modified } } => {
                let beside = beside.into_inner().map_err(|error| disk(error.into_error()))?;
                let file = self.file.clone();
                let _permit = self.reading.acquire().await.expect("it is never closed");
                let bytes_max = feed.bytes_max;
                let taken = spawn_blocking(move || take(beside, &file, bytes_max)).await;
                let indicators = taken.map_err(|_| FeedError::Unusable("its reader was lost".into()))??;
                Kept { url: digest_of_url(&feed.to), etag, last_modified, fetched: now(), bytes, indicators }
            }
        };
        kept.write(&self.folder, &feed.name).map_err(disk)?;
        Ok(kept)
    }

    /// Returns what is known of the feed that is here, where it is the one that was fetched.
    fn kept(&self) -> Option<Kept> {
        let kept = Kept::load(&self.folder, &self.feed.name)?;
        let is_it = kept.url == digest_of_url(&self.feed.to);
        let is_there = fs::metadata(&self.file).is_ok_and(|found| found.len() == kept.bytes);
        (is_it && is_there).then_some(kept)
    }

    fn credentials(&self) -> Result<Option<Credentials>, FeedError> {
        let Some((file, scheme)) = &self.feed.credentials else { return Ok(None) };
        Ok(Some(Credentials::new(scheme, &secret_in(file)?, &self.feed.to)?))
    }

    fn proxy(&self) -> Result<Option<Proxy>, FeedError> {
        Ok(match self.proxy.clone() {
            Some((proxy, Some(file))) => Some(proxy.with_password(&secret_in(&file)?)?),
            proxy => proxy.map(|(proxy, _)| proxy),
        })
    }
}

/// Reads a secret.
fn secret_in(file: &Path) -> Result<String, FeedError> {
    let mut secret = String::new();
    let read = File::open(file).and_then(|file| file.take(SECRET_BYTES_MAX).read_to_string(&mut secret));
    read.map_err(|cause| FeedError::Secret { file: file.to_owned(), cause })?;
    Ok(secret)
}

impl FeedError {
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Puts what was fetched in its place, where something of it can be used; returns how many indicators it has. Where it is what is
/// there already, that stays.
fn take(mut beside: Beside, file: &Path, bytes_max: u64) -> Result<u64, FeedError> {
    let disk = |cause| FeedError::Disk { path: file.to_owned(), cause };
    beside.flush().map_err(disk)?;
    if is_page(beside.path())? {
        return Err(FeedError::Page);
    }
    // As it came it was bounded already.
    let unpacked =
        io::copy(&mut open(beside.path())?.take(bytes_max + 1), &mut io::sink()).map_err(FeedError::Packed)?;
    if unpacked > bytes_max {
        return Err(FeedError::Unusable(format!("unpacked it is longer than {bytes_max} bytes (bytes_max)")));
    }
    let indicators = usable(beside.path())?;
    let is_same = digest_of(file).is_ok_and(|there| digest_of(beside.path()).is_ok_and(|new| there == new));
    if !is_same {
        beside.put(file).map_err(disk)?;
        info!(file = %file.display(), indicators, "a feed was fetched");
    }
    Ok(indicators)
}

/// Returns how many indicators a file gives; one that gives none, and has something in it or nothing at all, is no feed.
fn usable(path: &Path) -> Result<u64, FeedError> {
    let sources = find_feeds(&[path.display().to_string()]);
    let source = sources.first().ok_or_else(|| FeedError::Unusable("it is gone".into()))?;
    let feed = source.read(|_| {});
    if feed.indicators > 0 {
        if feed.kind == FeedKind::Stix {
            read_to_end(path)?;
        }
        return Ok(feed.indicators as u64);
    }
    match feed.refused.first() {
        Some(refused) => Err(FeedError::Unusable(refused.reason.clone())),
        None if fs::metadata(path).is_ok_and(|found| found.len() == 0) => {
            Err(FeedError::Unusable("it is empty".into()))
        }
        // Comments, or objects of other kinds: it says that there is nothing now.
        None => Ok(0),
    }
}

/// Opens a file that may be packed.
fn open(path: &Path) -> Result<Box<dyn BufRead + Send>, FeedError> {
    let file = File::open(path).map_err(|cause| FeedError::Disk { path: path.to_owned(), cause })?;
    unpacked(Box::new(file)).map_err(FeedError::Packed)
}

/// Reads JSON to its end. What a bundle that breaks off lacks would else count as taken back, though it has indicators.
fn read_to_end(path: &Path) -> Result<(), FeedError> {
    let mut file = open(path)?;
    if file.fill_buf().map_err(FeedError::Packed)?.starts_with(BYTE_ORDER_MARK) {
        file.consume(BYTE_ORDER_MARK.len());
    }
    let mut values = serde_json::Deserializer::from_reader(file).into_iter::<IgnoredAny>();
    values.try_for_each(|value| value.map(drop)).map_err(FeedError::Torn)
}

/// Returns whether a file begins as pages and XML do, and no feed does.
fn is_page(path: &Path) -> Result<bool, FeedError> {
    let mut head = Vec::new();
    open(path)?.take(512).read_to_end(&mut head).map_err(FeedError::Packed)?;
    let head = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&head);
    Ok(head.trim_ascii_start().starts_with(b"<"))
}

/// Returns how long to wait after so many failures in a row: never exactly as long as others do, and no shorter than the server asks.
fn pause(every: Duration, failures: u32, asked: Option<Duration>) -> Duration {
    let plain = match failures.checked_sub(1) {
        None => every,
        Some(doublings) => every.min(AGAIN * 2_u32.pow(doublings.min(DOUBLINGS_MAX))),
    };
    // Without randomness all come at once, which is no harm of ours.
    let random = f64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) / f64::from(u32::MAX);
    plain.mul_f64(0.9 + 0.2 * random).max(asked.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const BYTES_MAX: u64 = 10_000;

    #[track_caller]
    fn check_pause(failures: u32, asked: Option<u64>, seconds: std::ops::RangeInclusive<u64>) {
        for _ in 0..100 {
            let pause = pause(HOUR, failures, asked.map(Duration::from_secs)).as_secs();
            assert!(seconds.contains(&pause), "{failures} {asked:?}: {pause}");
        }
    }

    #[test]
    fn one_that_fails_is_asked_soon_again_and_then_ever_more_seldom() {
        check_pause(0, None, 3239..=3960);
        check_pause(1, None, 53..=66);
        check_pause(3, None, 215..=264);
        check_pause(7, None, 3239..=3960);
        check_pause(u32::MAX, None, 3239..=3960);
        // As the server asks, but never sooner than without.
        check_pause(1, Some(600), 600..=600);
        check_pause(1, Some(0), 53..=66);
        check_pause(7, Some(86_400), 86_400..=86_400);
    }

    /// A bundle with an indicator, and something more.
    const STIX: &str = concat!(
        r#"{"type":"bundle","id":"bundle--1","objects":[{"type":"indicator","spec_version":"2.1","#,
        r#""id":"indicator--5b3ad8f1-6ab1-4e3c-9d5e-0f5a1a2b3c4d","pattern_type":"stix","#,
        r#""pattern":"[domain-name:value = 'evil.example']","valid_from":"2026-01-01T00:00:00Z"},{"type":"note"}]}"#
    );

    /// Writes an answer, and has it taken.
    fn taken(folder: &Path, answer: impl AsRef<[u8]>) -> Result<u64, FeedError> {
        let mut beside = Beside::new(folder, Readers::Usual).expect("room");
        beside.write_all(answer.as_ref()).expect("room");
        take(beside, &folder.join("feed"), BYTES_MAX)
    }

    fn packed(answer: &str) -> Vec<u8> {
        let mut packing = GzEncoder::new(Vec::new(), Compression::fast());
        packing.write_all(answer.as_bytes()).expect("a vector takes all");
        packing.finish().expect("a vector takes all")
    }

    #[test]
    fn what_is_packed_is_judged_by_what_is_in_it() {
        let folder = tempfile::tempdir().expect("a folder");
        for good in ["evil.example\n", STIX] {
            assert_eq!(taken(folder.path(), packed(good)).expect("a feed"), 1);
            assert_eq!(fs::read(folder.path().join("feed")).expect("a file"), packed(good), "it lies as it came");
        }
        let long = "evil.example\n".repeat(BYTES_MAX as usize / 10);
        for (answer, part) in [
            (packed("<!doctype html><p>evil.example"), "a page, not a feed"),
            (packed(&STIX[..STIX.len() - 3]), "it breaks off"),
            (packed(&long), "unpacked it is longer than 10000 bytes"),
            (packed("evil.example\n")[..24].to_vec(), "packed, and damaged"),
        ] {
            let error = taken(folder.path(), answer).expect_err(part);
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
        assert_eq!(fs::read(folder.path().join("feed")).expect("a file"), packed(STIX));
    }

    #[test]
    fn what_is_no_feed_takes_no_good_one_down() {
        let folder = tempfile::tempdir().expect("a folder");
        let there = || fs::read_to_string(folder.path().join("feed")).unwrap_or_default();
        assert_eq!(taken(folder.path(), "evil.example\n").expect("a feed"), 1);
        for (answer, part) in [
            ("", "it is empty"),
            ("\u{feff} <!doctype html><p>evil.example", "a page, not a feed"),
            ("{ no json\n", "nothing of what came can be used"),
            ("{\"error\":\"too many requests\"}", "nothing of what came can be used"),
            ("{\"status\":429,\"objects\":\"none\"}", "nothing of what came can be used"),
            ("Forbidden", "nothing of what came can be used"),
            ("Rate limit exceeded, see https://feeds.example/limits\n", "nothing of what came can be used"),
            ("not one of these\nlines is an indicator\n", "nothing of what came can be used"),
            (&STIX[..STIX.len() - 3], "it breaks off"),
        ] {
            let error = taken(folder.path(), answer).expect_err(answer);
            assert!(error.to_string().contains(part), "{answer}: {error}");
            assert_eq!(there(), "evil.example\n");
        }
        assert_eq!(taken(folder.path(), STIX).expect("a feed"), 1);
        // Nothing of them is left.
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
        for nothing in ["# nothing today\n", "{\"type\":\"bundle\",\"id\":\"bundle--1\",\"objects\":[]}"] {
            assert_eq!(taken(folder.path(), nothing).expect("a feed"), 0);
            assert_eq!(there(), nothing);
        }
    }

    #[test]
    fn what_is_there_already_is_not_written_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let changed = || fs::metadata(folder.path().join("feed")).and_then(|found| found.modified()).expect("a file");
        taken(folder.path(), "evil.example\n").expect("a feed");
        let before = changed();
        thread::sleep(Duration::from_millis(20));
        taken(folder.path(), "evil.example\n").expect("a feed");
        assert_eq!(changed(), before);
    }

    #[test]
    fn a_feed_that_is_configured_no_more_is_taken_away() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = |feeds: &str| {
            let text = format!("data = \"{}\"\n{feeds}", folder.path().display());
            Fetching::prepare(&Config::parse(&text).expect("a configuration")).expect("folders")
        };
        let feed = "[[feeds]]\nname = \"a\"\nurl = \"https://feeds.example/\"\n";
        config(feed);
        let files = ["indicators/fetched/a", "fetched/a.json", "indicators/fetched/b", "fetched/.cresset-x"];
        let files = files.map(|file| folder.path().join(file));
        files.iter().for_each(|file| fs::write(file, "x").expect("room"));
        config(feed);
        assert_eq!(files.each_ref().map(|file| file.exists()), [true, true, false, false]);
        config("");
        assert!(!files[0].exists() && !files[1].exists());
    }
}
