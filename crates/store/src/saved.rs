//! A picture that is kept beside the records that it is made of: a start reads it, and replays only what came behind it.

use crate::error::StoreError;
use crate::sql::{Columns, Sql};
use crate::store::Store;

/// Bytes of a part.
const PART_BYTES: usize = 1 << 20;

/// A picture that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedPicture {
    /// Its place: [`Store::replay`] goes on behind it.
    pub seq: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Store {
    /// Keeps a picture that was told all that is recorded, in place of the one that was kept before.
    pub async fn save_picture(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let mut writing = self.write(1).await?;
        let seq = writing.first;
        writing.run(Sql::new("delete from saved_picture")).await?;
        for (part, bytes) in (0..).zip(bytes.chunks(PART_BYTES)) {
            let insert = Sql::new("insert into saved_picture (part, seq, bytes) values (?, ?, ?)");
            writing.run(insert.number(part).number(seq).bytes(bytes)).await?;
        }
        writing.commit().await
    }

    /// Returns the picture that was kept last.
    pub async fn saved_picture(&self) -> Result<Option<SavedPicture>, StoreError> {
        let rows = Sql::new("select seq, bytes from saved_picture order by part").rows(self.readers()).await?;
        let mut saved = None;
        for row in rows {
            let kept = saved.get_or_insert(SavedPicture { seq: row.count("seq")?, bytes: Vec::new() });
            kept.bytes.extend(row.bytes("bytes")?);
        }
        Ok(saved)
    }
}
