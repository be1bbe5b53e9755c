//! What a watch found, in one transaction: either all of it is on the disk, and how far its sources were read with it, or none.

use std::collections::HashMap;

use cresset_event::Timestamp;
use cresset_picture::{Incident, IncidentId};

use crate::detections::{INSERT_ROWS, NewDetection, insert};
use crate::error::StoreError;
use crate::history::PICTURE;
use crate::sql::{Columns, Sql};
use crate::store::{Store, Writing};

/// Two incidents that the picture found to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merge {
    /// The one that stays.
    pub into: IncidentId,
    /// The one that goes up in it.
    pub from: IncidentId,
}

/// What a watch found, and how far it has read.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// When it is recorded.
    pub at: Timestamp,
    /// Detections, in the order in which the picture took them in. Those that are there already are left as they are.
    pub detections: Vec<NewDetection>,
    /// Incidents that are new or have changed, as the picture has them after all of the batch, each once.
    pub incidents: Vec<Incident>,
    /// Incidents that went up in others, in the order in which they did.
    pub merges: Vec<Merge>,
    /// How far each source was read: a name and whatever its reader needs to go on from there.
    pub marks: Vec<(String, Vec<u8>)>,
}

/// What was recorded of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Detections that were not there before.
    pub detections_new: u64,
    /// The number of the last row: a rebuild that has come here has the batch.
    pub last_seq: u64,
}

impl Store {
    /// Records a batch. Once this returns it is on the disk.
    pub async fn record(&self, batch: &Batch) -> Result<Recorded, StoreError> {
        let rows = batch.incidents.len() + batch.merges.len() + batch.detections.len();
        let mut writing = self.write(rows).await?;
        // Detections refer to incidents, and merges to both.
        let merges_first = writing.first + batch.incidents.len() as i64;
        let detections_first = merges_first + batch.merges.len() as i64;
        writing.save_incidents(writing.first, &batch.incidents).await?;
        writing.save_merges(merges_first, batch).await?;
        let detections_new = writing.save_detections(detections_first, batch).await?;
        writing.save_marks(&batch.marks).await?;
        let last_seq = (writing.first + rows as i64 - 1).unsigned_abs();
        writing.commit().await?;
        Ok(Recorded { detections_new, last_seq })
    }

    /// Returns how far each source was read, by name.
    pub async fn marks(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let rows = Sql::new("select name, value from marks order by name").rows(self.readers()).await?;
        rows.iter().map(|row| Ok((row.text("name")?, row.bytes("value")?))).collect()
    }
}

impl Writing<'_> {
    async fn save_merges(&mut self, first_seq: i64, batch: &Batch) -> Result<(), StoreError> {
        for (merge, seq) in batch.merges.iter().zip(first_seq..) {
            // An incident that the same batch opened was never stored.
            if self.merge(merge.into, merge.from).await? {
                let detail = serde_json::json!({ "from": merge.from });
                self.history(seq, merge.into, batch.at, &PICTURE, "merge", &detail).await?;
            }
        }
        Ok(())
    }

    async fn save_detections(&mut self, first_seq: i64, batch: &Batch) -> Result<u64, StoreError> {
        let merged: HashMap<IncidentId, IncidentId> =
            batch.merges.iter().map(|merge| (merge.from, merge.into)).collect();
        let place = |new| (new, placed(new, &merged));
        let detections: Vec<_> = batch.detections.iter().map(place).collect();
        let mut inserted = 0;
        for (detections, at) in detections.chunks(INSERT_ROWS).zip(0..) {
            inserted += self.run(insert(self.places, first_seq + at * INSERT_ROWS as i64, detections)).await?;
        }
        Ok(inserted)
    }

    async fn save_marks(&mut self, marks: &[(String, Vec<u8>)]) -> Result<(), StoreError> {
        for (name, value) in marks {
            let insert =
                "insert into marks (name, value) values (?, ?) on conflict (name) do update set value = excluded.value";
            self.run(Sql::new(insert).text(name).bytes(value)).await?;
        }
        Ok(())
    }
}

/// Returns the incident that a detection is in after all merges of its batch.
fn placed(new: &NewDetection, merged: &HashMap<IncidentId, IncidentId>) -> Option<IncidentId> {
    let mut incident = new.incident?;
    // No more steps than there are merges, should they ever form a ring.
    for _ in 0..merged.len() {
        let Some(into) = merged.get(&incident) else { break };
        incident = *into;
    }
    Some(incident)
}
