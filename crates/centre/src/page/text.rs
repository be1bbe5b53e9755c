//! Values as people read them: bounded, and nothing in them that a browser obeys.
//!
//! `maud` escapes what is markup. Characters that turn the direction of writing or cannot be seen are no markup and still lie
//! about what is there: they are shown as their numbers. `page.js` does the same with what comes later.

use cresset_event::Timestamp;

use crate::api::incidents::NOTE_CHARS_MAX;

/// Longest text that is shown of a value; the rest is in the API.
pub(super) const TEXT_CHARS_MAX: usize = 300;

/// Returns a value as it is shown: one line.
pub(super) fn shown(text: &str) -> String {
    shown_but(text, TEXT_CHARS_MAX, |_| false)
}

/// Returns what a person wrote, as it is shown: whole, in its lines.
pub(super) fn written(text: &str) -> String {
    shown_but(&text.replace("\r\n", "\n"), NOTE_CHARS_MAX, |char| matches!(char, '\n' | '\t'))
}

fn shown_but(text: &str, chars_max: usize, stays: impl Fn(char) -> bool) -> String {
    let mut shown = String::new();
    let mut chars = text.chars();
    for char in chars.by_ref().take(chars_max) {
        if is_deceptive(char) && !stays(char) {
            shown.push_str(&format!("\\u{{{:x}}}", u32::from(char)));
        } else {
            shown.push(char);
        }
    }
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

fn is_deceptive(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Returns a moment to the second, with its day where that is not today, and to the minute with its year where that is another.
pub(super) fn clock(time: &str, now: Timestamp) -> String {
    let today = now.to_string();
    let part = |range| time.get(range).unwrap_or(time);
    match (time.get(..10), time.get(..4)) {
        (Some(day), _) if today.starts_with(day) => part(11..19).to_owned(),
        (_, Some(year)) if today.starts_with(year) => format!("{} {}", part(5..10), part(11..19)),
        _ => format!("{} {}", part(0..10), part(11..16)),
    }
}

/// Returns how long ago a moment is.
pub(super) fn age(time: &str, now: Timestamp) -> String {
    let Ok(time) = Timestamp::parse_rfc3339(time) else { return "unknown".into() };
    span(now.as_nanos().saturating_sub(time.as_nanos()).max(0) / 1_000_000_000)
}

/// Returns a length of time in the largest unit that it fills.
pub(super) fn span(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Returns a rate, as exact as it is worth.
pub(super) fn rate(rate: f64) -> String {
    match rate {
        ..0.005 => "0".into(),
        ..10.0 => format!("{rate:.2}"),
        _ => format!("{rate:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_turns_writing_round_is_shown_as_its_number() {
        assert_eq!(shown("a\u{202e}b\u{0}"), "a\\u{202e}b\\u{0}");
        assert_eq!(shown(&"x".repeat(100_000)).chars().count(), TEXT_CHARS_MAX + 1);
    }

    #[test]
    fn what_a_person_wrote_is_shown_whole_and_in_its_lines() {
        assert_eq!(written("a\r\n\tb\u{202e}\r"), "a\n\tb\\u{202e}\\u{d}");
        assert_eq!(written(&"x".repeat(NOTE_CHARS_MAX)).chars().count(), NOTE_CHARS_MAX);
    }

    #[test]
    fn a_moment_says_no_more_than_it_must() {
        let now = Timestamp::parse_rfc3339("2026-11-24T07:00:00Z").expect("a moment");
        let said =
            ["2026-11-24T06:59:58.25Z", "2026-11-23T06:59:58Z", "2025-11-24T06:59:58Z"].map(|time| clock(time, now));
        assert_eq!(said, ["06:59:58", "11-23 06:59:58", "2025-11-24 06:59"]);
    }

    #[test]
    fn spans_are_in_the_largest_unit_that_they_fill() {
        let spans = [0, 59, 60, 3600, 172_799, 172_800].map(span);
        assert_eq!(spans, ["0 s", "59 s", "1 min", "1 h", "47 h", "2 d"]);
    }
}
