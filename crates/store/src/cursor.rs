//! Pages of lists, and where the next one begins.
//!
//! A page is read from the keys of the row before it, by an index, so that the thousandth costs what the first one costs and
//! what is added meanwhile shifts nothing. Callers hand a cursor on as the text that it is shown as.

use std::fmt;

use sqlx::any::AnyRow;

use crate::error::StoreError;

/// Most rows of a page: a screen has fifty, a program that fetches everything should not hold the database for long.
pub const PAGE_ROWS_MAX: usize = 500;
/// Keys that the order of a list has at most.
const KEYS_MAX: usize = 3;

/// A list in one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    Audit,
    Detections,
    IncidentsByLast,
    IncidentsByPriority,
}

impl List {
    const ALL: [Self; 4] = [Self::Audit, Self::Detections, Self::IncidentsByLast, Self::IncidentsByPriority];

    fn letter(self) -> char {
        match self {
            Self::Audit => 'a',
            Self::Detections => 'd',
            Self::IncidentsByLast => 'l',
            Self::IncidentsByPriority => 'p',
        }
    }
}

/// Where the next page of a list begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    list: List,
    keys: Vec<i64>,
}

impl Cursor {
    /// Reads a cursor as it is shown.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let mut parts = text.split('.');
        let letter = parts.next().unwrap_or_default();
        let list = List::ALL.into_iter().find(|list| list.letter().to_string() == letter).ok_or(StoreError::Cursor)?;
        let keys: Result<Vec<i64>, _> = parts.take(KEYS_MAX + 1).map(str::parse).collect();
        let keys = keys.ok().filter(|keys| (1..=KEYS_MAX).contains(&keys.len())).ok_or(StoreError::Cursor)?;
        Ok(Self { list, keys })
    }

    /// Returns the keys of a cursor, if it is one of this list.
    pub(crate) fn keys<const N: usize>(cursor: Option<&Self>, list: List) -> Result<Option<[i64; N]>, StoreError> {
        let Some(cursor) = cursor else { return Ok(None) };
        let keys = <[i64; N]>::try_from(cursor.keys.as_slice()).ok().filter(|_| cursor.list == list);
        keys.map(Some).ok_or(StoreError::Cursor)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.list.letter())?;
        self.keys.iter().try_for_each(|key| write!(f, ".{key}"))
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// Its rows.
    pub rows: Vec<T>,
    /// Where the next part begins; `None` behind the last.
    pub next: Option<Cursor>,
}

/// Returns how many rows to ask for: one more than the page has tells whether there is another page.
pub(crate) fn page_rows(limit: usize) -> i64 {
    limit.clamp(1, PAGE_ROWS_MAX) as i64 + 1
}

impl<T> Page<T> {
    /// Makes a page of the rows that [`page_rows`] asked for.
    pub(crate) fn of<const N: usize>(
        list: List,
        limit: usize,
        rows: &[AnyRow],
        read: impl Fn(&AnyRow) -> Result<T, StoreError>,
        keys: impl Fn(&AnyRow) -> Result<[i64; N], StoreError>,
    ) -> Result<Self, StoreError> {
        let shown = &rows[..rows.len().min(limit.clamp(1, PAGE_ROWS_MAX))];
        let last = shown.last().filter(|_| rows.len() > shown.len());
        let next = last.map(|row| Ok::<_, StoreError>(Cursor { list, keys: keys(row)?.to_vec() })).transpose()?;
        Ok(Self { rows: shown.iter().map(read).collect::<Result<_, _>>()?, next })
    }

    /// Lets the next page begin behind the last row that was looked at, where this one has shown all that it found.
    pub(crate) fn looked_until<const N: usize>(self, list: List, keys: [i64; N]) -> Self {
        Self { next: self.next.or_else(|| Some(Cursor { list, keys: keys.to_vec() })), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_is_shown_and_fits_its_own_list() {
        let cursor = Cursor { list: List::IncidentsByPriority, keys: vec![70, -5, i64::MAX] };
        let read = Cursor::parse(&cursor.to_string()).expect("a cursor");
        assert_eq!(read, cursor);
        let keys = Cursor::keys::<3>(Some(&read), List::IncidentsByPriority).expect("its list");
        assert_eq!(keys, Some([70, -5, i64::MAX]));
        assert!(Cursor::keys::<3>(Some(&read), List::IncidentsByLast).is_err());
        assert!(Cursor::keys::<2>(Some(&read), List::IncidentsByPriority).is_err());
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in ["", "d", "d.", "d.x", "x.1", "d.1.2.3.4", "d.9223372036854775808", "d.1 or 1=1"] {
            assert!(Cursor::parse(text).is_err(), "{text}");
        }
    }
}
