//! Times as feeds write them: RFC 3339, a bare date, seconds since 1970.
//!
//! A time that does not fit a [`Timestamp`] (`9999-12-31` is a common "for ever", `0001-01-01` a common "always") is held
//! at that end of the range, which as a bound of validity means the same.

use cresset_event::Timestamp;

/// Reads a moment; `None` where it is in no form that we read. A bare date is its midnight, UTC.
pub(crate) fn parse_moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let text = text.strip_suffix(" UTC").unwrap_or(text);
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits && text.len() == 8 {
        return parse_moment(&format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..]));
    }
    if digits && (9..=10).contains(&text.len()) {
        return Timestamp::parse_epoch_seconds(text).ok();
    }
    if let Ok(moment) = Timestamp::parse_rfc3339(text) {
        return Some(moment);
    }
    held_at_the_end(text)
}

/// A calendar date whose year is outside of 1678 to 2261.
fn held_at_the_end(text: &str) -> Option<Timestamp> {
    let mut parts = text.get(..10)?.split('-');
    let mut number = |digits: usize| parts.next().filter(|part| part.len() == digits)?.parse::<u16>().ok();
    let (year, month, day) = (number(4)?, number(2)?, number(2)?);
    let is_date = (1..=12).contains(&month) && (1..=31).contains(&day);
    match year {
        _ if !is_date => None,
        ..=1677 => Some(Timestamp::from_nanos(i64::MIN)),
        2262.. => Some(Timestamp::from_nanos(i64::MAX)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_feeds() {
        let expected = Timestamp::parse_rfc3339("2024-05-01T00:00:00Z").ok();
        for text in ["2024-05-01T00:00:00.000Z", "2024-05-01", "20240501", "1714521600", "2024-05-01 00:00:00 UTC"] {
            assert_eq!(parse_moment(text), expected, "{text}");
        }
        for text in ["", "soon", "2024-13-01", "20241301", "12", "2024-05-01T25:00:00Z", "9999-99-99", "日本語日本語"]
        {
            assert_eq!(parse_moment(text), None, "{text}");
        }
    }

    #[test]
    fn for_ever_and_always_are_held_at_the_ends() {
        assert_eq!(parse_moment("9999-12-31T23:59:59Z"), Some(Timestamp::from_nanos(i64::MAX)));
        assert_eq!(parse_moment("0001-01-01T00:00:00Z"), Some(Timestamp::from_nanos(i64::MIN)));
    }
}
