//! All that is known of one incident, as one page shows it.

use std::collections::{BTreeMap, BTreeSet};

use cresset_event::Timestamp;
use cresset_picture::{Incident, IncidentId};
use sqlx::any::AnyRow;
use sqlx::{Any, Transaction};

use crate::error::StoreError;
use crate::history::HistoryRow;
use crate::incidents::IncidentRow;
use crate::sql::{Columns, Sql, as_number};
use crate::store::Store;

/// Most notes, tasks, files and history rows of a page: the last ones. The counts say how many there are.
const PAGE_PARTS_MAX: i64 = 1000;

/// All that is known of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentPage {
    /// What lists show.
    pub row: IncidentRow,
    /// What the picture worked out.
    pub incident: Incident,
    /// What people wrote down, in order; the last thousand.
    pub notes: Vec<NoteRow>,
    /// What is to be done, in order; the last thousand.
    pub tasks: Vec<TaskRow>,
    /// Files, in order; the last thousand.
    pub evidence: Vec<EvidenceRow>,
    /// What happened to it and to those that went up in it, in order; the last thousand.
    pub history: Vec<HistoryRow>,
    /// Incidents that went up in it.
    pub merged: Vec<IncidentId>,
    /// How many there are of each.
    pub counts: IncidentCounts,
    /// What those are called who did any of it: the names of their tokens, by id.
    pub names: BTreeMap<String, String>,
}

/// How much hangs on an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IncidentCounts {
    /// Detections that are stored of it.
    pub detections: u64,
    /// Notes.
    pub notes: u64,
    /// Tasks.
    pub tasks: u64,
    /// Tasks that are not done.
    pub tasks_open: u64,
    /// Files.
    pub evidence: u64,
    /// History rows.
    pub history: u64,
}

/// Something that a person wrote down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteRow {
    /// Its number.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub author: String,
    /// What.
    pub text: String,
}

/// Something that is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRow {
    /// Its number.
    pub seq: u64,
    /// When it was added.
    pub at: Timestamp,
    /// By whom.
    pub author: String,
    /// What it is.
    pub title: String,
    /// When it was done, and by whom.
    pub done: Option<(Timestamp, String)>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceRow {
    /// Its number.
    pub seq: u64,
    /// When it was added.
    pub at: Timestamp,
    /// By whom.
    pub author: String,
    /// The digest of its bytes, in hexadecimal digits.
    pub sha256: String,
    /// What it is called.
    pub name: String,
    /// How long it is.
    pub bytes: u64,
}

impl Store {
    /// Returns all that is known of an incident, as it is at one moment. One that went up in another is there still, and says
    /// in which.
    pub async fn incident(&self, id: IncidentId) -> Result<IncidentPage, StoreError> {
        let mut reading = self.read().await?;
        let sql = Sql::new("select * from incidents where id = ?").text(&id.to_string());
        let row = sql.row(&mut *reading).await?.ok_or_else(|| StoreError::not_found("incident", id))?;
        let merged = Sql::new("select id from incidents where merged_into = ? order by seq").text(&id.to_string());
        let merged = merged.rows(&mut *reading).await?;
        let history = parts(&mut reading, "history", id, HistoryRow::of).await?;
        Ok(IncidentPage {
            row: IncidentRow::of(&row)?,
            incident: row.json("record")?,
            notes: parts(&mut reading, "notes", id, note_of).await?,
            tasks: parts(&mut reading, "tasks", id, task_of).await?,
            evidence: parts(&mut reading, "evidence", id, evidence_of).await?,
            names: names(&mut reading, &history).await?,
            history,
            merged: merged.iter().map(|row| row.parsed("id", IncidentId::parse)).collect::<Result<_, _>>()?,
            counts: counts(&mut reading, id).await?,
        })
    }

    /// Returns a file of an incident, or of one that went up in it, by its number.
    pub async fn evidence(&self, incident: IncidentId, number: u64) -> Result<EvidenceRow, StoreError> {
        let id = incident.to_string();
        let sql = Sql::new(&format!("select * from evidence where seq = ? and {ITS}")).number(as_number(number));
        let row = sql.text(&id).text(&id).row(self.readers()).await?;
        evidence_of(&row.ok_or_else(|| StoreError::not_found("file", number))?)
    }
}

/// What belongs to an incident: its own rows, and those of the incidents that went up in it.
const ITS: &str = "incident in (select ? union all select id from incidents where merged_into = ?)";

/// Reads the last rows of a table that hang on an incident, the first of them first.
async fn parts<T>(
    reading: &mut Transaction<'static, Any>,
    table: &str,
    id: IncidentId,
    read: impl Fn(&AnyRow) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let id = id.to_string();
    let sql = Sql::new(&format!("select * from {table} where {ITS} order by seq desc limit ?"));
    let rows = sql.text(&id).text(&id).number(PAGE_PARTS_MAX).rows(&mut **reading).await?;
    rows.iter().rev().map(read).collect()
}

/// Returns the names of those who are in a history: who adds a note, a task or a file, or does one, is.
async fn names(
    reading: &mut Transaction<'static, Any>,
    history: &[HistoryRow],
) -> Result<BTreeMap<String, String>, StoreError> {
    let mut names = BTreeMap::new();
    let ids: BTreeSet<&str> = history.iter().filter_map(|row| row.actor.as_deref()).collect();
    for id in ids {
        let row = Sql::new("select name from tokens where id = ?").text(id).row(&mut **reading).await?;
        if let Some(row) = row {
            names.insert(id.to_owned(), row.text("name")?);
        }
    }
    Ok(names)
}

async fn counts(reading: &mut Transaction<'static, Any>, id: IncidentId) -> Result<IncidentCounts, StoreError> {
    let id = id.to_string();
    let count = |table: &str| format!("(select count(*) from {table} where {ITS})");
    let mut sql = Sql::new("select ");
    for (table, name) in [
        ("detections", "detections"),
        ("notes", "notes"),
        ("tasks", "tasks"),
        ("evidence", "evidence"),
        ("history", "history"),
    ] {
        sql.push(&count(table)).push(" as ").push(name).push(", ").add_text(&id).add_text(&id);
    }
    sql.push(&format!("(select count(*) from tasks where {ITS} and done_at is null) as tasks_open"));
    sql.add_text(&id).add_text(&id);
    let row = sql.row(&mut **reading).await?.ok_or_else(|| StoreError::damaged("nothing can be counted"))?;
    Ok(IncidentCounts {
        detections: row.count("detections")?,
        notes: row.count("notes")?,
        tasks: row.count("tasks")?,
        tasks_open: row.count("tasks_open")?,
        evidence: row.count("evidence")?,
        history: row.count("history")?,
    })
}

fn note_of(row: &AnyRow) -> Result<NoteRow, StoreError> {
    let (seq, at) = (row.count("seq")?, row.time("at")?);
    Ok(NoteRow { seq, at, author: row.text("author")?, text: row.text("text")? })
}

fn task_of(row: &AnyRow) -> Result<TaskRow, StoreError> {
    Ok(TaskRow {
        seq: row.count("seq")?,
        at: row.time("at")?,
        author: row.text("author")?,
        title: row.text("title")?,
        done: row.time_or_null("done_at")?.zip(row.text_or_null("done_by")?),
    })
}

fn evidence_of(row: &AnyRow) -> Result<EvidenceRow, StoreError> {
    Ok(EvidenceRow {
        seq: row.count("seq")?,
        at: row.time("at")?,
        author: row.text("author")?,
        sha256: row.text("sha256")?,
        name: row.text("name")?,
        bytes: row.count("bytes")?,
    })
}
