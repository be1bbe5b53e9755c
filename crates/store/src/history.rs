//! What happened to an incident, in order: when, by whom, and what.

use cresset_event::Timestamp;
use cresset_picture::IncidentId;
use serde_json::Value;
use sqlx::any::AnyRow;

use crate::error::StoreError;
use crate::sql::{Columns, Sql};
use crate::store::Writing;

/// What happened to an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRow {
    /// Its place among all that was stored; that of the note, task or evidence that came with it.
    pub seq: u64,
    /// The incident that it happened to: one that went up in another keeps what happened to it before.
    pub incident: IncidentId,
    /// When.
    pub at: Timestamp,
    /// Who did it; `None` is the picture.
    pub actor: Option<String>,
    /// What: `assign`, `note`, `add_task`, `finish_task`, `reopen_task`, `set_state`, `merge`, `split`, `add_evidence`.
    pub act: String,
    /// The rest.
    pub detail: Value,
}

/// Who did something, and whether a picture that is rebuilt must be told of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doer<'a> {
    actor: Option<&'a str>,
    replayed: bool,
}

/// What the picture does by itself: it does it again when it is rebuilt.
pub(crate) const PICTURE: Doer<'static> = Doer { actor: None, replayed: false };

impl<'a> Doer<'a> {
    /// A person whose act changes nothing of the picture.
    pub(crate) fn beside_the_picture(actor: &'a str) -> Self {
        Self { actor: Some(actor), replayed: false }
    }

    /// A person whose act changes the picture.
    pub(crate) fn in_the_picture(actor: &'a str) -> Self {
        Self { actor: Some(actor), replayed: true }
    }
}

impl Writing<'_> {
    pub(crate) async fn history(
        &mut self,
        seq: i64,
        incident: IncidentId,
        at: Timestamp,
        doer: &Doer<'_>,
        act: &str,
        detail: &Value,
    ) -> Result<(), StoreError> {
        let insert =
            "insert into history (seq, incident, at, actor, act, detail, replayed) values (?, ?, ?, ?, ?, ?, ?)";
        let sql = Sql::new(insert).number(seq).text(&incident.to_string()).time(at).text_or_null(doer.actor);
        self.run(sql.text(act).text(&detail.to_string()).number(i64::from(doer.replayed))).await?;
        Ok(())
    }
}

impl HistoryRow {
    pub(crate) fn of(row: &AnyRow) -> Result<Self, StoreError> {
        Ok(Self {
            seq: row.count("seq")?,
            incident: row.parsed("incident", IncidentId::parse)?,
            at: row.time("at")?,
            actor: row.text_or_null("actor")?,
            act: row.text("act")?,
            detail: row.json("detail")?,
        })
    }
}
