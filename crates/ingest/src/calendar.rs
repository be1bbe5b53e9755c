//! Calendar times as logs write them, checked.

use cresset_event::UnknownTime;

/// Reads a month's English abbreviation.
pub(crate) fn month_number(name: &str) -> Result<i8, UnknownTime> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let at = MONTHS.iter().position(|month| *month == name).ok_or(UnknownTime::Unreadable)?;
    Ok(at as i8 + 1)
}

/// Makes a calendar time out of numbers that a log claims.
pub(crate) fn civil_time(
    year: i16,
    month: i8,
    day: i16,
    hour: i16,
    minute: i16,
    second: i16,
) -> Result<jiff::civil::DateTime, UnknownTime> {
    let small = |number: i16| i8::try_from(number).map_err(|_| UnknownTime::Unreadable);
    // A leap second is the last one that the calendar has.
    let second = small(second)?.min(59);
    jiff::civil::DateTime::new(year, month, small(day)?, small(hour)?, small(minute)?, second, 0)
        .map_err(|_| UnknownTime::Unreadable)
}
