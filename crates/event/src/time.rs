//! The two times of a record: when it says it happened, and when it arrived.
//!
//! UTC, nanoseconds since 1970 in 64 bits, which holds 1677 to 2262. A time that cannot be read or does not fit is
//! [`EventTime::Unknown`] with its reason and stays in the event as text; it never becomes 1970.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// A moment: nanoseconds since 1970-01-01T00:00:00Z, between 1677 and 2262.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Returns the moment that lies `nanos` nanoseconds after 1970-01-01T00:00:00Z.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Returns the nanoseconds since 1970-01-01T00:00:00Z.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Returns the wall clock's time. The only place where the project reads it.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX))
    }

    /// Parses an RFC 3339 time (a `T` or a space between date and time; without an offset it is taken as UTC).
    pub fn parse_rfc3339(text: &str) -> Result<Self, UnknownTime> {
        let text = text.trim();
        if let Ok(moment) = text.parse::<jiff::Timestamp>() {
            return Self::from_jiff(moment);
        }
        if let Ok(civil) = text.parse::<jiff::civil::DateTime>() {
            return Self::from_civil(civil);
        }
        // A date that is one, with an offset that takes it out of the calendar's range.
        let is_date = text.get(..19).is_some_and(|head| head.parse::<jiff::civil::DateTime>().is_ok());
        let is_last_year = text.starts_with("9999-12-3");
        Err(if is_date && is_last_year { UnknownTime::OutOfRange } else { UnknownTime::Unreadable })
    }

    /// Converts a date and time of day without an offset, taken as UTC.
    pub fn from_civil(civil: jiff::civil::DateTime) -> Result<Self, UnknownTime> {
        let moment = civil.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| UnknownTime::OutOfRange)?.timestamp();
        Self::from_jiff(moment)
    }

    /// Converts a moment of `jiff`, which reaches further than 64 bits of nanoseconds do.
    pub fn from_jiff(moment: jiff::Timestamp) -> Result<Self, UnknownTime> {
        i64::try_from(moment.as_nanosecond()).map(Self).map_err(|_| UnknownTime::OutOfRange)
    }

    /// Parses seconds since 1970 with an optional fraction, exactly (`1588205199.82437`), as Zeek writes them.
    pub fn parse_epoch_seconds(text: &str) -> Result<Self, UnknownTime> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
            return Err(UnknownTime::Unreadable);
        }
        let seconds: i64 = whole.parse().map_err(|_| UnknownTime::OutOfRange)?;
        let kept = &fraction[..fraction.len().min(9)];
        let nanos = kept.parse::<i64>().unwrap_or(0) * 10_i64.pow(9 - kept.len() as u32);
        let total = seconds
            .checked_mul(1_000_000_000)
            .and_then(|whole| whole.checked_add(nanos))
            .ok_or(UnknownTime::OutOfRange)?;
        Ok(Self(if negative { -total } else { total }))
    }

    /// Returns the moment as `jiff`'s, for its calendar.
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_nanosecond(i128::from(self.0)).expect("64 bits of nanoseconds lie within jiff's range")
    }

    /// Returns date and time of day, in UTC.
    pub fn to_civil(self) -> jiff::civil::DateTime {
        self.to_jiff().to_zoned(jiff::tz::TimeZone::UTC).datetime()
    }

    /// Returns the moment that lies `nanos` later (or earlier, where negative), held at the ends of the range.
    pub fn saturating_add_nanos(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, with as much of a fraction as there is: `2020-04-30T00:06:39.82437Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_jiff().fmt(f)
    }
}

/// When a record says it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventTime {
    /// It said so, and could be read.
    Known(Timestamp),
    /// It did not, and why. What it said is still among the event's fields.
    Unknown(UnknownTime),
}

/// Why a record's time is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownTime {
    /// The record carries none.
    Missing,
    /// It carries one that is not in a form we read.
    Unreadable,
    /// It carries one before 1677 or after 2262, such as the 1601 of an empty FILETIME.
    OutOfRange,
}

impl EventTime {
    /// Returns the moment where it is known.
    pub fn known(self) -> Option<Timestamp> {
        match self {
            Self::Known(moment) => Some(moment),
            Self::Unknown(_) => None,
        }
    }
}

impl From<Result<Timestamp, UnknownTime>> for EventTime {
    fn from(parsed: Result<Timestamp, UnknownTime>) -> Self {
        match parsed {
            Ok(moment) => Self::Known(moment),
            Err(reason) => Self::Unknown(reason),
        }
    }
}

impl fmt::Display for UnknownTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "the record carries no time",
            Self::Unreadable => "the record's time is not in a form that is read",
            Self::OutOfRange => "the record's time lies before 1677 or after 2262",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epoch_seconds_keep_every_digit_that_fits() {
        let parse = |text| Timestamp::parse_epoch_seconds(text).map(Timestamp::as_nanos);
        assert_eq!(parse("1588205199.82437"), Ok(1_588_205_199_824_370_000));
        assert_eq!(parse("0.0000000019"), Ok(1));
        assert_eq!(parse("-1.5"), Ok(-1_500_000_000));
        assert_eq!(parse("9223372036"), Ok(9_223_372_036_000_000_000));
        assert_eq!(parse("9223372037"), Err(UnknownTime::OutOfRange));
        for bad in ["", "-", ".5", "1e9", "12:30", "1.2.3", "99999999999999999999"] {
            assert!(parse(bad).is_err(), "{bad:?} was read as a time");
        }
    }

    #[test]
    fn rfc3339_in_the_forms_that_logs_have() {
        let expected = Timestamp::from_nanos(1_588_205_199_000_000_000);
        for text in [
            "2020-04-30T00:06:39Z",
            "2020-04-30T02:06:39+02:00",
            "2020-04-30 00:06:39",
            "2020-04-30T00:06:39.000",
            " 2020-04-30T00:06:39Z ",
        ] {
            assert_eq!(Timestamp::parse_rfc3339(text), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn times_that_do_not_fit_are_unknown_and_never_1970() {
        assert_eq!(Timestamp::parse_rfc3339("1601-01-01T00:00:00Z"), Err(UnknownTime::OutOfRange));
        assert_eq!(Timestamp::parse_rfc3339("9999-12-30T23:59:59Z"), Err(UnknownTime::OutOfRange));
        assert_eq!(Timestamp::parse_rfc3339("yesterday"), Err(UnknownTime::Unreadable));
    }
}
