//! How it stands with each feed that is fetched: what is kept of it over a restart, and what is told.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cresset_event::{Timestamp, hex};
use cresset_outbound::Destination;
use cresset_pipeline::whole_file::{self, Readers};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What the names of files end with in which it is kept what is known of a feed.
pub(super) const SUFFIX: &str = ".json";
const NANOS_A_SECOND: i64 = 1_000_000_000;

/// What is kept of a feed beside it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Kept {
    /// The digest of the address that it came from.
    pub(super) url: String,
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
    /// When it was had last, changed or not.
    pub(super) fetched: Option<String>,
    pub(super) bytes: u64,
    pub(super) indicators: u64,
}

impl Kept {
    /// Loads what an earlier fetch wrote. What cannot be read is fetched anew.
    pub(super) fn load(folder: &Path, name: &str) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join(format!("{name}{SUFFIX}"))).ok()?).ok()
    }

    pub(super) fn write(&self, folder: &Path, name: &str) -> io::Result<()> {
        let json = serde_json::to_vec(self).expect("texts and numbers");
        whole_file::write(&folder.join(format!("{name}{SUFFIX}")), Readers::Owner, &json)
    }

    fn fetched(&self) -> Option<Timestamp> {
        Timestamp::parse_rfc3339(self.fetched.as_deref()?).ok()
    }
}

/// Returns the digest of an address, whose keys are written nowhere else.
pub(super) fn digest_of_url(to: &Destination) -> String {
    hex(&Sha256::digest(to.as_str()))
}

/// How it stands with a feed.
#[derive(Debug, Clone)]
pub(crate) struct FeedStanding {
    pub(crate) name: String,
    /// Where it comes from: scheme and host. Behind them keys may stand.
    pub(crate) url: String,
    /// When it was had last, changed or not.
    pub(crate) last_success: Option<Timestamp>,
    /// When it could not be had last, and why; gone once it can be.
    pub(crate) last_error: Option<(Timestamp, String)>,
    /// Failures in a row.
    pub(crate) failures: u32,
    pub(crate) bytes: u64,
    pub(crate) indicators: u64,
}

impl FeedStanding {
    pub(super) fn new(name: &str, to: &Destination, kept: &Kept) -> Self {
        let standing = Self {
            name: name.to_owned(),
            url: to.to_string(),
            last_success: None,
            last_error: None,
            failures: 0,
            bytes: 0,
            indicators: 0,
        };
        standing.with(kept)
    }

    fn with(self, kept: &Kept) -> Self {
        Self { last_success: kept.fetched(), bytes: kept.bytes, indicators: kept.indicators, ..self }
    }

    /// Returns for how long it could not be had; `None` where it never was.
    pub(crate) fn age_seconds(&self, now: Timestamp) -> Option<u64> {
        let nanos = now.as_nanos().saturating_sub(self.last_success?.as_nanos());
        Some(u64::try_from(nanos / NANOS_A_SECOND).unwrap_or(0))
    }
}

/// How it stands with all of them, in the order of the configuration.
#[derive(Debug)]
pub(crate) struct Standings(Mutex<Vec<FeedStanding>>);

impl Standings {
    pub(super) fn new(feeds: Vec<FeedStanding>) -> Self {
        Self(Mutex::new(feeds))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<FeedStanding>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns all of them.
    pub(crate) fn all(&self) -> Vec<FeedStanding> {
        self.lock().clone()
    }

    /// Returns how long to wait after a start: what was had a while ago is asked for when its time has come.
    pub(super) fn first_pause(&self, at: usize, every: Duration, now: Timestamp) -> Duration {
        let age = self.lock()[at].age_seconds(now).map(Duration::from_secs);
        age.map_or(Duration::ZERO, |age| every.saturating_sub(age))
    }

    pub(super) fn succeeded(&self, at: usize, kept: &Kept, now: Timestamp) {
        let mut feeds = self.lock();
        let standing = FeedStanding { last_error: None, failures: 0, ..feeds[at].clone() }.with(kept);
        feeds[at] = FeedStanding { last_success: Some(now), ..standing };
    }

    /// Takes note of a failure, and returns how many there were in a row.
    pub(super) fn failed(&self, at: usize, why: &str, now: Timestamp) -> u32 {
        let feed = &mut self.lock()[at];
        feed.failures = feed.failures.saturating_add(1);
        feed.last_error = Some((now, why.to_owned()));
        feed.failures
    }
}

#[cfg(test)]
mod tests {
    use cresset_outbound::Permit;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * NANOS_A_SECOND)
    }

    #[test]
    fn what_was_had_before_a_restart_is_asked_for_when_its_time_has_come() {
        let to =
            Destination::parse("https://feeds.example/secret/list?key=secret", &Permit::default()).expect("an address");
        let kept = Kept { fetched: Some(at(1000).to_string()), bytes: 5, indicators: 1, ..Kept::default() };
        let feeds = [Kept::default(), kept].map(|kept| FeedStanding::new("a", &to, &kept));
        let standings = Standings::new(feeds.into());
        let pause = |feed, now| standings.first_pause(feed, Duration::from_secs(60), at(now)).as_secs();
        assert_eq!((pause(0, 1010), pause(1, 1010), pause(1, 1060), pause(1, 900)), (0, 50, 0, 60));
        assert_eq!(standings.all()[1].age_seconds(at(1010)), Some(10));
        assert!(!standings.all()[1].url.contains("secret"));
    }

    #[test]
    fn failures_are_counted_until_it_can_be_had() {
        let to = Destination::parse("https://feeds.example/", &Permit::default()).expect("an address");
        let standings = Standings::new(vec![FeedStanding::new("a", &to, &Kept::default())]);
        assert_eq!([standings.failed(0, "late", at(1)), standings.failed(0, "gone", at(2))], [1, 2]);
        let [feed] = &standings.all()[..] else { panic!("one feed") };
        assert_eq!((feed.last_success, feed.last_error.clone()), (None, Some((at(2), "gone".into()))));
        standings.succeeded(0, &Kept { bytes: 7, ..Kept::default() }, at(3));
        let [feed] = &standings.all()[..] else { panic!("one feed") };
        let (success, error, failures) = (feed.last_success, &feed.last_error, feed.failures);
        assert_eq!((success, error, failures, feed.bytes), (Some(at(3)), &None, 0, 7));
    }
}
