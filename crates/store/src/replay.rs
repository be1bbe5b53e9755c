//! Reading back what a picture is made of, in the order in which it was made: detections, and what people did to it.

use cresset_detect::DetectionId;
use cresset_event::Timestamp;
use cresset_picture::{Facts, IncidentId, State};
use serde::Deserialize;
use sqlx::any::AnyRow;

use crate::error::StoreError;
use crate::sql::{Columns, Sql, as_number};
use crate::store::Store;

/// Most rows of one step: some tens of megabytes.
pub const REPLAY_ROWS_MAX: usize = 10_000;

/// Something that a picture took in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Its place: the next step goes on behind it.
    pub seq: u64,
    /// What.
    pub what: Told,
}

/// What a picture was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A detection; it was kept out of the picture where an exclusion or a silence withheld it.
    Detection {
        /// What the picture needs of it.
        facts: Box<Facts>,
        /// Whether it was withheld.
        withheld: bool,
    },
    /// A person made two incidents one.
    Merge {
        /// The one that stayed.
        into: IncidentId,
        /// The one that went up in it.
        from: IncidentId,
    },
    /// A person took detections out of an incident.
    Split {
        /// The incident.
        from: IncidentId,
        /// They.
        detections: Vec<DetectionId>,
    },
    /// It let go of what was over before this moment.
    Forget(Timestamp),
    /// A person moved an incident on.
    State {
        /// The incident.
        incident: IncidentId,
        /// Its new state.
        state: State,
    },
}

impl Store {
    /// Returns what the picture was told behind a place (0 is the beginning), in order, at most so much; nothing more is there once
    /// it is empty. What is told meanwhile comes behind.
    pub async fn replay(&self, after_seq: u64, limit: usize) -> Result<Vec<Replayed>, StoreError> {
        // One query sees one moment: two could miss what is committed between them. Each part is bounded by itself: PostgreSQL sorts
        // all that is behind the place otherwise.
        let sql = Sql::new(
            "select * from (select seq, facts as told, '' as act, '' as incident, \
             case when withheld_by is null then 0 else 1 end as withheld \
             from detections where seq > ? order by seq limit ?) as found \
             union all select * from (select seq, detail, act, incident, 0 \
             from history where replayed = 1 and seq > ? order by seq limit ?) as done \
             union all select * from (select seq, cast(moment as text), 'forget', '', 0 \
             from forgotten where seq > ? order by seq limit ?) as let_go \
             order by 1 limit ?",
        );
        let after = as_number(after_seq);
        let limit = limit.clamp(1, REPLAY_ROWS_MAX) as i64;
        let bounded = (0..3).fold(sql, |sql, _| sql.number(after).number(limit));
        let rows = bounded.number(limit).rows(self.readers()).await?;
        rows.iter().map(|row| Ok(Replayed { seq: row.count("seq")?, what: told_of(row)? })).collect()
    }

    /// Notes that the picture let go of what was over before a moment: one that is rebuilt does so in the same place.
    pub async fn forget(&self, moment: Timestamp) -> Result<(), StoreError> {
        let mut writing = self.write(1).await?;
        let insert = Sql::new("insert into forgotten (seq, moment) values (?, ?)").number(writing.first).time(moment);
        writing.run(insert).await?;
        writing.commit().await
    }
}

#[derive(Deserialize)]
struct MergeDetail {
    from: IncidentId,
}

#[derive(Deserialize)]
struct SplitDetail {
    detections: Vec<String>,
}

#[derive(Deserialize)]
struct StateDetail {
    state: State,
}

fn told_of(row: &AnyRow) -> Result<Told, StoreError> {
    let incident = || row.parsed("incident", IncidentId::parse);
    match row.text("act")?.as_str() {
        "" => Ok(Told::Detection { facts: row.json("told")?, withheld: row.number("withheld")? != 0 }),
        "merge" => Ok(Told::Merge { into: incident()?, from: row.json::<MergeDetail>("told")?.from }),
        "split" => {
            let ids = row.json::<SplitDetail>("told")?.detections;
            let detections = ids.iter().map(|id| DetectionId::parse(id)).collect::<Option<_>>();
            let detections = detections.ok_or_else(|| StoreError::damaged("a split of what are no detections"))?;
            Ok(Told::Split { from: incident()?, detections })
        }
        "forget" => row.parsed("told", |nanos| nanos.parse().ok().map(Timestamp::from_nanos)).map(Told::Forget),
        "set_state" => Ok(Told::State { incident: incident()?, state: row.json::<StateDetail>("told")?.state }),
        other => Err(StoreError::damaged(format!("history tells of `{other}`"))),
    }
}
