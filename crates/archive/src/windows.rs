//! When something can have happened at all: times in which all values were seen that it needs, by the index.

use cresset_event::{Matcher, Timestamp};

use crate::archive::Archive;
use crate::error::ArchiveError;
use crate::index::{IndexFile, Wanted};

/// Times, in order and apart from each other: first and last, nanoseconds since 1970. An event whose time is not known can be in any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Windows(Vec<(i64, i64)>);

impl Windows {
    /// Joins times in any order.
    fn of(mut times: Vec<(i64, i64)>) -> Self {
        times.sort_unstable();
        let mut windows: Vec<(i64, i64)> = Vec::new();
        for (first, last) in times {
            match windows.last_mut().filter(|window| first <= window.1.saturating_add(1)) {
                Some(window) => window.1 = window.1.max(last),
                None => windows.push((first, last)),
            }
        }
        Self(windows)
    }

    /// Returns whether a time is in one of them.
    pub(crate) fn has(&self, time: Timestamp) -> bool {
        self.has_any_of((time.as_nanos(), time.as_nanos()))
    }

    /// Returns whether any time from the first to the last is in one of them.
    pub(crate) fn has_any_of(&self, (first, last): (i64, i64)) -> bool {
        let begins = self.0.partition_point(|window| window.1 < first);
        self.0.get(begins).is_some_and(|window| window.0 <= last)
    }
}

impl Archive {
    /// Returns when an event can have been that has what one of several things needs: of each of its lists one value. Where a file
    /// of the index cannot be read, or the archive was begun by a program whose index had less in it, nothing can be said.
    pub fn windows(&self, wanted: &[Vec<Vec<Matcher>>]) -> Result<Windows, Vec<ArchiveError>> {
        if self.manifest.index_lacks_names {
            return Err(Vec::new());
        }
        let keys: Vec<Wanted> = wanted.iter().flatten().flatten().map(Wanted::of).collect();
        let (mut times, mut failed) = (Vec::new(), Vec::new());
        for file in self.index_files() {
            match file.and_then(|file| seen_in(&file, &keys)) {
                Ok(seen) => {
                    let mut seen = seen.into_iter();
                    times.extend(wanted.iter().filter_map(|lists| {
                        let each = lists.iter().map(|list| one_of(seen.by_ref().take(list.len())));
                        // All are taken, whatever the first comes to.
                        together(each.collect::<Vec<_>>())
                    }));
                }
                Err(error) => failed.push(error),
            }
        }
        if failed.is_empty() { Ok(Windows::of(times)) } else { Err(failed) }
    }
}

/// First and last time at which something was seen; none where it was not, or at times that are not known.
type SeenAt = Option<(i64, i64)>;

fn seen_in(file: &IndexFile, keys: &[Wanted]) -> Result<Vec<SeenAt>, ArchiveError> {
    let mut seen: Vec<SeenAt> = vec![None; keys.len()];
    file.look_up(keys, |at, _, sighting| seen[at] = one_of([seen[at], sighting.times].into_iter()))?;
    Ok(seen)
}

/// When one of several was seen.
fn one_of(seen: impl Iterator<Item = SeenAt>) -> SeenAt {
    seen.flatten().reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
}

/// When all of several can have been seen in one event.
fn together(seen: Vec<SeenAt>) -> SeenAt {
    let seen = seen.into_iter().collect::<Option<Vec<_>>>()?;
    let (first, last) = seen.into_iter().reduce(|one, other| (one.0.max(other.0), one.1.min(other.1)))?;
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cresset_event::{EventBuilder, FieldNames, ObservableKinds, Origin, Value, fold};
    use proptest::prelude::*;

    use super::*;
    use crate::index::testing::contains;

    /// Fields that say what they hold, and some that do not.
    fn field() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "DestinationIp",
            "QueryName",
            "cs-host",
            "Image",
            "OriginalFileName",
            "TargetObject",
            "User",
            "md5",
            "sha256",
            "Hashes",
            "CommandLine",
            "url",
            "host",
            "EventID",
        ])
    }

    /// What rules ask of them.
    fn literal() -> impl Strategy<Value = String> {
        let plain = |text: &str| Just(text.to_owned());
        prop_oneof![
            plain("198.51.100.7"),
            plain("2001:db8::1"),
            plain("kiosk.evil.example"),
            plain("evil.example."),
            plain("kk:443"),
            plain(r"\kiosks.exe"),
            plain(r"c:\windows\system32\sc.exe"),
            plain("/usr/bin/sudo"),
            plain(r"\system32/task.dll"),
            plain(r"nt authority\system"),
            plain("kiosk"),
            plain(r"hkey_local_machine\software\run"),
            plain("d41d8cd98f00b204e9800998ecf8427e"),
            plain("md5=d41d8cd98f00b204e9800998ecf8427e"),
            plain("12"),
            plain("true"),
            plain(" "),
            plain(r"\"),
            r"[kKsS.\\/:=0-9a-f ]{0,12}",
        ]
    }

    /// A text that is the same but for its case.
    fn in_another_case(text: &str, picks: &[u8]) -> String {
        let picks = picks.iter().cycle();
        let letter = |(c, pick): (char, &u8)| match (c, pick % 3) {
            ('k', 1) => '\u{212a}',
            ('s', 1) => 'ſ',
            (_, 2) => c.to_ascii_uppercase(),
            _ => c,
        };
        text.chars().zip(picks).map(letter).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn what_a_rule_asks_of_a_field_the_index_knows_of_every_event_that_has_it(
            field in field(),
            literal in literal(),
            before in prop::option::of(prop::sample::select(vec!["", "c:", r"c:\a b", "/x/", "k"])),
            picks in prop::collection::vec(any::<u8>(), 1..20),
            is_second_name: bool,
        ) {
            let asked = fold(&literal);
            let text = format!("{}{}", before.unwrap_or_default(), in_another_case(&asked, &picks));
            prop_assert_eq!(before.is_some() || fold(&text) == asked, true);
            let names = Arc::new(FieldNames::new());
            let mut builder = EventBuilder::new(Arc::clone(&names));
            if is_second_name {
                builder.push("anything", Value::Str(&text));
                let id = |name: &str| names.intern(name).expect("room");
                builder.alias(id("anything"), id(field));
            } else {
                builder.push(field, Value::Str(&text));
            }
            let event = builder.finish(Origin::default());
            for matcher in Matcher::of_field(field, &asked, before.is_some()) {
                let (wanted, mut is_known) = (Wanted::of(&matcher), false);
                event.visit_raw_observables(ObservableKinds::ALL, |observable| is_known |= contains(&wanted, &observable));
                prop_assert!(is_known, "{matcher:?}, {text:?}");
            }
        }
    }

    #[test]
    fn times_are_joined_where_they_meet() {
        let windows = Windows::of(vec![(30, 40), (1, 5), (6, 10), (35, 38), (12, 12)]);
        assert_eq!(windows, Windows(vec![(1, 10), (12, 12), (30, 40)]));
        for (first, last, has) in [
            (0, 0, false),
            (0, 1, true),
            (10, 11, true),
            (11, 11, false),
            (11, 29, true),
            (13, 29, false),
            (41, 50, false),
        ] {
            assert_eq!(windows.has_any_of((first, last)), has, "{first} to {last}");
        }
        assert!(!Windows::default().has(Timestamp::from_nanos(0)));
    }

    #[test]
    fn several_values_are_together_where_their_times_meet() {
        assert_eq!(together(vec![Some((1, 5)), Some((3, 9))]), Some((3, 5)));
        assert_eq!(together(vec![Some((1, 5)), Some((6, 9))]), None);
        assert_eq!(together(vec![Some((1, 5)), None]), None);
        assert_eq!(one_of([None, Some((1, 5)), Some((7, 9))].into_iter()), Some((1, 9)));
    }
}
