//! Queries that both databases take, and the columns of their rows.
//!
//! A place is written `?` and numbered as it comes, for PostgreSQL wants `$1`. No query has a `?` elsewhere, and none holds a
//! value: those are bound.

use std::borrow::Cow;

use cresset_event::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::{Any, Arguments, AssertSqlSafe, Executor, Row};

use crate::error::StoreError;

/// How the places of a query are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Places {
    /// `$1`: both databases take it.
    #[default]
    Numbered,
    /// `?`, for SQLite: there `$1` is a name that is looked for among all names of the query, which of thousands costs more than
    /// the rows themselves.
    Plain,
}

/// A query and the values for its places.
#[derive(Default)]
pub(crate) struct Sql {
    written: Places,
    text: String,
    places: usize,
    arguments: AnyArguments,
}

impl Sql {
    /// Begins a query.
    pub(crate) fn new(text: &str) -> Self {
        let mut sql = Self::default();
        sql.push(text);
        sql
    }

    /// Begins a query of many rows.
    pub(crate) fn of_many(written: Places, text: &str) -> Self {
        let mut sql = Self { written, ..Self::default() };
        sql.push(text);
        sql
    }

    /// Adds to the query's text.
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        if self.written == Places::Plain {
            self.text.push_str(text);
            return self;
        }
        for part in text.split_inclusive('?') {
            match part.strip_suffix('?') {
                Some(before) => {
                    self.places += 1;
                    self.text.push_str(before);
                    self.text.push('$');
                    self.text.push_str(&self.places.to_string());
                }
                None => self.text.push_str(part),
            }
        }
        self
    }

    /// Binds the next place to a text.
    pub(crate) fn text(mut self, text: &str) -> Self {
        self.add_text(text);
        self
    }

    /// Binds the next place to a number.
    pub(crate) fn number(mut self, number: i64) -> Self {
        self.add_number(number);
        self
    }

    /// Binds the next place to a moment.
    pub(crate) fn time(self, time: Timestamp) -> Self {
        self.number(time.as_nanos())
    }

    /// Binds the next place to a text or nothing.
    pub(crate) fn text_or_null(mut self, text: Option<&str>) -> Self {
        self.add_text_or_null(text);
        self
    }

    /// Binds the next place to a moment or nothing.
    pub(crate) fn time_or_null(mut self, time: Option<Timestamp>) -> Self {
        self.add(time.map(Timestamp::as_nanos));
        self
    }

    /// Binds the next place to bytes.
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.add(bytes.to_vec());
        self
    }

    pub(crate) fn add_text(&mut self, text: &str) -> &mut Self {
        self.add(storable(text).into_owned());
        self
    }

    pub(crate) fn add_text_or_null(&mut self, text: Option<&str>) -> &mut Self {
        self.add(text.map(|text| storable(text).into_owned()));
        self
    }

    pub(crate) fn add_number(&mut self, number: i64) -> &mut Self {
        self.add(number);
        self
    }

    /// Asks how SQLite would run the query.
    #[cfg(test)]
    pub(crate) fn explained(mut self) -> Self {
        self.text.insert_str(0, "explain query plan ");
        self
    }

    fn add<'v>(&mut self, value: impl sqlx::Encode<'v, Any> + sqlx::Type<Any>) {
        self.arguments.add(value).expect("texts, numbers and bytes can be bound");
    }

    /// Runs the query and returns how many rows it changed.
    pub(crate) async fn run<'e>(self, on: impl Executor<'e, Database = Any>) -> Result<u64, StoreError> {
        let done = sqlx::query_with(AssertSqlSafe(self.text), self.arguments).execute(on).await?;
        Ok(done.rows_affected())
    }

    /// Runs the query and returns its rows.
    pub(crate) async fn rows<'e>(self, on: impl Executor<'e, Database = Any>) -> Result<Vec<AnyRow>, StoreError> {
        Ok(sqlx::query_with(AssertSqlSafe(self.text), self.arguments).fetch_all(on).await?)
    }

    /// Runs the query and returns its first row, if it has one.
    pub(crate) async fn row<'e>(self, on: impl Executor<'e, Database = Any>) -> Result<Option<AnyRow>, StoreError> {
        Ok(sqlx::query_with(AssertSqlSafe(self.text), self.arguments).fetch_optional(on).await?)
    }
}

/// Returns a text as both databases keep it: PostgreSQL has no room for U+0000 in text, which logs do hold.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{2400}")) } else { Cow::Borrowed(text) }
}

/// Characters of a title that a search looks at: an index of PostgreSQL has room for no more (`migrations/0003_titles.sql`).
const SEARCHED_CHARS_MAX: usize = 256;

/// Returns a title as it is searched.
pub(crate) fn searched(title: &str) -> String {
    title.chars().take(SEARCHED_CHARS_MAX).map(cresset_event::fold_char).collect()
}

/// Returns the pattern for `like … escape '!'` that finds what contains the text, in whatever case.
pub(crate) fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in storable(text).chars().map(cresset_event::fold_char) {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// The columns of a row, by name.
pub(crate) trait Columns {
    fn text(&self, name: &str) -> Result<String, StoreError>;
    fn text_or_null(&self, name: &str) -> Result<Option<String>, StoreError>;
    fn number(&self, name: &str) -> Result<i64, StoreError>;
    fn number_or_null(&self, name: &str) -> Result<Option<i64>, StoreError>;
    fn bytes(&self, name: &str) -> Result<Vec<u8>, StoreError>;

    fn time(&self, name: &str) -> Result<Timestamp, StoreError> {
        self.number(name).map(Timestamp::from_nanos)
    }

    fn time_or_null(&self, name: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.number_or_null(name)?.map(Timestamp::from_nanos))
    }

    /// Reads a count, which is never below zero.
    fn count(&self, name: &str) -> Result<u64, StoreError> {
        u64::try_from(self.number(name)?).map_err(|_| StoreError::damaged(format!("`{name}` is below zero")))
    }

    /// Reads what was kept as JSON.
    fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, StoreError> {
        serde_json::from_str(&self.text(name)?).map_err(|error| StoreError::damaged(format!("`{name}`: {error}")))
    }

    /// Reads what was kept as a text of its own form.
    fn parsed<T>(&self, name: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, StoreError> {
        let text = self.text(name)?;
        parse(&text).ok_or_else(|| StoreError::damaged(format!("`{name}` cannot be `{text}`")))
    }
}

impl Columns for AnyRow {
    fn text(&self, name: &str) -> Result<String, StoreError> {
        Ok(self.try_get(name)?)
    }

    fn text_or_null(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(self.try_get(name)?)
    }

    fn number(&self, name: &str) -> Result<i64, StoreError> {
        Ok(self.try_get(name)?)
    }

    fn number_or_null(&self, name: &str) -> Result<Option<i64>, StoreError> {
        Ok(self.try_get(name)?)
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        Ok(self.try_get(name)?)
    }
}

/// Returns a value as the JSON that is kept of it.
pub(crate) fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("our own types have text for keys")
}

/// Returns a count as the number that is kept of it: held at the end of the range, which no count reaches.
pub(crate) fn as_number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_numbered_as_they_come() {
        let mut sql = Sql::new("select ? where a = ?");
        sql.push(" and b = ?");
        assert_eq!(sql.text, "select $1 where a = $2 and b = $3");
    }

    #[test]
    fn what_a_person_types_is_no_pattern() {
        assert_eq!(containing("50%_Off!"), "%50!%!_off!!%");
    }

    #[test]
    fn a_title_is_searched_as_far_as_an_index_has_room() {
        let searched = searched(&"Ä\u{10400}".repeat(1000));
        assert_eq!(searched, "ä\u{10428}".repeat(128));
    }

    #[test]
    fn a_null_character_is_shown_as_its_symbol() {
        assert_eq!(storable("a\0b"), "a␀b");
    }
}
