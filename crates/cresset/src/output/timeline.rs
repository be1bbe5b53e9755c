//! Detections over time, counted in buckets that widen as the span grows: few, however long the logs are.

use std::collections::BTreeMap;
use std::mem;

use cresset_event::Timestamp;

/// Most buckets that are kept. Past it each bucket becomes twice as wide, which still draws a hundred columns well.
const BUCKETS_MAX: usize = 4096;

const SECOND_NANOS: i64 = 1_000_000_000;

/// Counts over time.
#[derive(Debug)]
pub(crate) struct Timeline {
    bucket_seconds: i64,
    /// Counts by bucket, numbered from 1970.
    buckets: BTreeMap<i64, u64>,
}

/// A timeline as it is drawn.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) counts: Vec<u64>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { bucket_seconds: 1, buckets: BTreeMap::new() }
    }
}

impl Timeline {
    /// Counts a detection.
    pub(crate) fn add(&mut self, time: Timestamp) {
        let bucket = time.as_nanos().div_euclid(SECOND_NANOS).div_euclid(self.bucket_seconds);
        *self.buckets.entry(bucket).or_default() += 1;
        while self.buckets.len() > BUCKETS_MAX {
            self.bucket_seconds *= 2;
            for (bucket, count) in mem::take(&mut self.buckets) {
                *self.buckets.entry(bucket.div_euclid(2)).or_default() += count;
            }
        }
    }

    /// Returns the counts between the first and the last detection in at most `width` columns; `None` without any.
    pub(crate) fn columns(&self, width: usize) -> Option<Columns> {
        let (first, last) = (*self.buckets.keys().next()?, *self.buckets.keys().next_back()?);
        let span = last - first + 1;
        let width = i64::try_from(width).ok()?.min(span);
        let mut counts = vec![0; usize::try_from(width).ok()?];
        for (bucket, count) in &self.buckets {
            // In 128 bits: a span of 584 years in seconds, times the width, need not fit 64.
            let column = i128::from(bucket - first) * i128::from(width) / i128::from(span);
            counts[usize::try_from(column).unwrap_or(0)] += count;
        }
        let moment = |bucket: i64| {
            Timestamp::from_nanos(bucket.saturating_mul(self.bucket_seconds).saturating_mul(SECOND_NANOS))
        };
        Some(Columns { first: moment(first), last: moment(last + 1), counts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(seconds: impl IntoIterator<Item = i64>) -> Timeline {
        let mut timeline = Timeline::default();
        seconds.into_iter().for_each(|second| timeline.add(Timestamp::from_nanos(second * SECOND_NANOS)));
        timeline
    }

    #[test]
    fn a_short_span_has_a_column_a_second() {
        assert_eq!(timeline([]).columns(48), None);
        let columns = timeline([100, 100, 103]).columns(48).expect("columns");
        assert_eq!(columns.counts, [2, 0, 0, 1]);
        assert_eq!(columns.first, Timestamp::from_nanos(100 * SECOND_NANOS));
        assert_eq!(columns.last, Timestamp::from_nanos(104 * SECOND_NANOS));
    }

    #[test]
    fn a_long_span_loses_none_and_stays_small() {
        let timeline = timeline((0..20_000).map(|day| day * 86_400));
        assert!(timeline.buckets.len() <= BUCKETS_MAX);
        let counts = timeline.columns(48).expect("columns").counts;
        assert_eq!(counts.len(), 48);
        assert_eq!(counts.iter().sum::<u64>(), 20_000);
        assert!(counts.iter().all(|count| (400..=430).contains(count)), "{counts:?}");
    }

    #[test]
    fn the_ends_of_time_fit() {
        let mut timeline = Timeline::default();
        [i64::MIN, 0, i64::MAX].into_iter().for_each(|nanos| timeline.add(Timestamp::from_nanos(nanos)));
        assert_eq!(timeline.columns(3).expect("columns").counts, [1, 1, 1]);
    }
}
