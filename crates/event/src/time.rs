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
        if let Some(moment) = parse_plain(text.as_bytes()) {
            return Ok(moment);
        }
        Self::parse_by_jiff(text)
    }

    fn parse_by_jiff(text: &str) -> Result<Self, UnknownTime> {
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

/// Parses a time as nearly all logs write it, `2020-04-30T00:06:39.82437Z`, with `T` or a space, with `Z` or nothing; `None`
/// is for `jiff` to decide. Leap seconds are, and years at the ends of the range.
fn parse_plain(text: &[u8]) -> Option<Timestamp> {
    let (&[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T' | b' ', h1, h2, b':', n1, n2, b':', s1, s2], rest) =
        text.split_first_chunk()?
    else {
        return None;
    };
    let (year, month, day) = (number(&[y1, y2, y3, y4])?, number(&[m1, m2])?, number(&[d1, d2])?);
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[n1, n2])?, number(&[s1, s2])?);
    if !(1700..2200).contains(&year) || !(1..=days_in(year, usize::try_from(month).ok()?)?).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let nanos = match rest.strip_suffix(b"Z").unwrap_or(rest) {
        [] => 0,
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => number(digits)? * 10_i64.pow(9 - digits.len() as u32),
        _ => return None,
    };
    let seconds = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(Timestamp(seconds * 1_000_000_000 + nanos))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
}

/// How many days a month has, counted from 1; `None` where there is no such month.
fn days_in(year: i64, month: usize) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = if is_leap { 29 } else { 28 };
    [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].get(month.wrapping_sub(1)).copied()
}

/// Counts years from March, so that a leap day is the last of its year (Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `days_from_civil`).
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
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
    use proptest::prelude::*;

    use super::*;

    /// Checks that the parser of plain times leaves a text to `jiff`, or says what it says.
    #[track_caller]
    fn check_as_jiff(text: &str) {
        let plain = parse_plain(text.as_bytes());
        assert!(plain.is_none() || plain.map(Ok) == Some(Timestamp::parse_by_jiff(text)), "{text:?}");
    }

    #[test]
    fn every_day_is_the_one_it_is_to_jiff() {
        for year in 1699..=2200 {
            for (month, day) in (0..=13).flat_map(|month| (0..=32).map(move |day| (month, day))) {
                check_as_jiff(&format!("{year:04}-{month:02}-{day:02}T12:34:56Z"));
            }
        }
        assert!(parse_plain(b"2000-02-29 12:34:56.7").is_some());
    }

    proptest! {
        #[test]
        fn plain_times_are_what_they_are_to_jiff(
            text in "(1[6-9]|2[0-2])[0-9]{2}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9]([.][0-9]{0,10})?Z?",
            spoilt in any::<prop::sample::Index>(),
            with in "[-+:.TZtz 0-9é]",
        ) {
            check_as_jiff(&text);
            let at = spoilt.index(text.len());
            check_as_jiff(&format!("{}{with}{}", &text[..at], &text[at + 1..]));
            check_as_jiff(&format!("{}{with}{}", &text[..at], &text[at..]));
        }
    }

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
