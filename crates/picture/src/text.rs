//! How ids, times and words are written: as the text that people read, in JSON as on a page.
//!
//! `detect` and `event` know nothing of serde; what is kept of theirs is read back by the same words that they show.
//! `#[serde(with = "text")]` takes any [`Word`].

use std::fmt;

use cresset_detect::{DetectionId, Level};
use cresset_event::{ObservableKind, Timestamp};
use serde::de::{Deserializer, Error, Visitor};
use serde::ser::Serializer;

/// What is shown as a text and can be read from it again.
pub(crate) trait Word: Sized + fmt::Display {
    /// What it is, for the message about a text that is none.
    const WHAT: &'static str;

    /// Reads it as it is shown.
    fn read(text: &str) -> Option<Self>;
}

impl Word for DetectionId {
    const WHAT: &'static str = "the id of a detection";

    fn read(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

impl Word for Timestamp {
    const WHAT: &'static str = "a time as RFC 3339 has it, between 1677 and 2262";

    fn read(text: &str) -> Option<Self> {
        Self::parse_rfc3339(text).ok()
    }
}

impl Word for Level {
    const WHAT: &'static str = "a level: informational, low, medium, high or critical";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Word for ObservableKind {
    const WHAT: &'static str = "a type of observable as STIX 2.1 names it";

    fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.stix_path() == text)
    }
}

pub(crate) fn serialize<T: Word, S: Serializer>(word: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(word)
}

pub(crate) fn deserialize<'de, T: Word, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Reading<T>(std::marker::PhantomData<T>);

    impl<T: Word> Visitor<'_> for Reading<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(T::WHAT)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            T::read(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
        }
    }

    deserializer.deserialize_str(Reading(std::marker::PhantomData))
}
