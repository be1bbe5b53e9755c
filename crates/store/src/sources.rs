//! What was read of each source, as it is shown: the sums so far.

use cresset_event::Timestamp;

use crate::error::StoreError;
use crate::sql::{Columns, Sql, as_number};
use crate::store::Store;

/// What was read of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRow {
    /// Its name.
    pub name: String,
    /// The kind of thing that it is, in the words of whoever reads it.
    pub kind: String,
    /// Events that it gave.
    pub events: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Records that could not be read.
    pub skipped: u64,
    /// Records that never came, where the source tells.
    pub lost: u64,
    /// When its last event happened.
    pub last_event: Option<Timestamp>,
}

impl Store {
    /// Keeps what was read of sources, in place of what was kept of them before.
    pub async fn save_sources(&self, sources: &[SourceRow]) -> Result<(), StoreError> {
        let mut writing = self.write(0).await?;
        for source in sources {
            let insert = "insert into sources (name, kind, events, bytes, skipped, lost, last_event) \
                          values (?, ?, ?, ?, ?, ?, ?) on conflict (name) do update set kind = excluded.kind, \
                          events = excluded.events, bytes = excluded.bytes, skipped = excluded.skipped, \
                          lost = excluded.lost, last_event = excluded.last_event";
            let sql = Sql::new(insert).text(&source.name).text(&source.kind).number(as_number(source.events));
            let sql = sql.number(as_number(source.bytes)).number(as_number(source.skipped));
            writing.run(sql.number(as_number(source.lost)).time_or_null(source.last_event)).await?;
        }
        writing.commit().await
    }

    /// Returns what was read of each source, by name.
    pub async fn sources(&self) -> Result<Vec<SourceRow>, StoreError> {
        let rows = Sql::new("select * from sources order by name").rows(self.readers()).await?;
        let read = |row: &sqlx::any::AnyRow| {
            Ok(SourceRow {
                name: row.text("name")?,
                kind: row.text("kind")?,
                events: row.count("events")?,
                bytes: row.count("bytes")?,
                skipped: row.count("skipped")?,
                lost: row.count("lost")?,
                last_event: row.time_or_null("last_event")?,
            })
        };
        rows.iter().map(read).collect()
    }
}
