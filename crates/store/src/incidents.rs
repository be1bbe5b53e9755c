//! Incidents: rows that lists show, and how what the picture works out of them is kept.
//!
//! Columns are what lists show, filter and order by; `record` is the picture's own [`Incident`] as JSON. What people add (owner,
//! notes, tasks, evidence) is never touched by it.

use cresset_detect::Level;
use cresset_event::Timestamp;
use cresset_picture::{Incident, IncidentId, PriorityClass, State};
use sqlx::any::AnyRow;

use crate::cursor::{Cursor, List, Page, page_rows};
use crate::detections::{level_number, level_of};
use crate::error::StoreError;
use crate::sql::{Columns, Places, Sql, as_number, containing, searched, to_json};
use crate::store::{Store, Writing};

/// What lists read.
const LISTED: &str =
    "seq, id, title, level, score, class, first_time, last_time, aware_at, detections, state, owner, merged_into";
/// Rows of one insert: fourteen columns each.
const INSERT_ROWS: usize = 250;

/// An incident as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentRow {
    /// Its id.
    pub id: IncidentId,
    /// Its title.
    pub title: String,
    /// The highest level of its detections.
    pub level: Level,
    /// Its priority, 0 to 100.
    pub score: u8,
    /// What that means.
    pub class: PriorityClass,
    /// The earliest event.
    pub first: Timestamp,
    /// The latest event.
    pub last: Timestamp,
    /// When its first detection arrived.
    pub aware_at: Timestamp,
    /// How many detections it has.
    pub detections: u64,
    /// How far it has been worked.
    pub state: State,
    /// Who works on it.
    pub owner: Option<String>,
    /// The incident that it went up in.
    pub merged_into: Option<IncidentId>,
}

/// How far the incidents of a list have been worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateFilter {
    /// Not over.
    Open,
    /// Over, with whatever verdict.
    Closed,
    /// Just so far.
    Is(State),
}

/// Who works on the incidents of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnerFilter {
    /// This person.
    Is(String),
    /// Nobody.
    Nobody,
}

/// Which incidents a list shows. Those that went up in another are in none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IncidentFilter {
    /// How far they have been worked.
    pub state: Option<StateFilter>,
    /// How soon somebody should look at them.
    pub class: Option<PriorityClass>,
    /// Who works on them.
    pub owner: Option<OwnerFilter>,
    /// What their title has in it, in whatever case.
    pub title: Option<String>,
}

/// The order of a list of incidents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IncidentOrder {
    /// Those where something happened last come first.
    #[default]
    Last,
    /// Those of the highest priority come first; among equals, where something happened last.
    Priority,
}

impl Store {
    /// Returns incidents.
    pub async fn incidents(
        &self,
        filter: &IncidentFilter,
        order: IncidentOrder,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<IncidentRow>, StoreError> {
        let rows = list(filter, order, after, limit)?.rows(self.readers()).await?;
        let last = |row: &AnyRow| Ok([row.number("last_time")?, row.number("seq")?]);
        let priority = |row: &AnyRow| Ok([row.number("score")?, row.number("last_time")?, row.number("seq")?]);
        match order {
            IncidentOrder::Last => Page::of(List::IncidentsByLast, limit, &rows, IncidentRow::of, last),
            IncidentOrder::Priority => Page::of(List::IncidentsByPriority, limit, &rows, IncidentRow::of, priority),
        }
    }
}

/// Makes the query of a list.
pub(crate) fn list(
    filter: &IncidentFilter,
    order: IncidentOrder,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Sql, StoreError> {
    let mut sql = Sql::new(&format!("select {LISTED} from incidents where merged_into is null"));
    filter_by(&mut sql, filter);
    match order {
        IncidentOrder::Last => {
            if let Some([last, seq]) = Cursor::keys(after, List::IncidentsByLast)? {
                sql.push(" and (last_time, seq) < (?, ?)").add_number(last).add_number(seq);
            }
            sql.push(" order by last_time desc, seq desc");
        }
        IncidentOrder::Priority => {
            if let Some([score, last, seq]) = Cursor::keys(after, List::IncidentsByPriority)? {
                sql.push(" and (score, last_time, seq) < (?, ?, ?)").add_number(score).add_number(last).add_number(seq);
            }
            sql.push(" order by score desc, last_time desc, seq desc");
        }
    }
    sql.push(" limit ?").add_number(page_rows(limit));
    Ok(sql)
}

fn filter_by(sql: &mut Sql, filter: &IncidentFilter) {
    match filter.state {
        Some(StateFilter::Open) => drop(sql.push(" and open = 1")),
        Some(StateFilter::Closed) => drop(sql.push(" and open = 0")),
        Some(StateFilter::Is(state)) => drop(sql.push(" and state = ?").add_text(&state.to_string())),
        None => {}
    }
    if let Some(class) = filter.class {
        sql.push(" and class = ?").add_text(class.as_str());
    }
    match &filter.owner {
        Some(OwnerFilter::Is(owner)) => drop(sql.push(" and owner = ?").add_text(owner)),
        Some(OwnerFilter::Nobody) => drop(sql.push(" and owner is null")),
        None => {}
    }
    if let Some(title) = &filter.title {
        sql.push(" and folded like ? escape '!'").add_text(&containing(title));
    }
}

impl IncidentRow {
    pub(crate) fn of(row: &AnyRow) -> Result<Self, StoreError> {
        let score = row.number("score")?;
        let score = u8::try_from(score).map_err(|_| StoreError::damaged(format!("`score` cannot be {score}")))?;
        let merged_into = row.text_or_null("merged_into")?;
        let merged_into =
            merged_into.map(|id| IncidentId::parse(&id).ok_or_else(|| StoreError::damaged("`merged_into`")));
        Ok(Self {
            id: row.parsed("id", IncidentId::parse)?,
            title: row.text("title")?,
            level: level_of(row)?,
            score,
            class: PriorityClass::of(score),
            first: row.time("first_time")?,
            last: row.time("last_time")?,
            aware_at: row.time("aware_at")?,
            detections: row.count("detections")?,
            state: row.parsed("state", |text| text.parse().ok())?,
            owner: row.text_or_null("owner")?,
            merged_into: merged_into.transpose()?,
        })
    }
}

impl Writing<'_> {
    /// Keeps incidents as the picture has them now; one that had gone up in another is there again. `first_seq` is for those that
    /// are new.
    pub(crate) async fn save_incidents(&mut self, first_seq: i64, incidents: &[Incident]) -> Result<(), StoreError> {
        for (incidents, at) in incidents.chunks(INSERT_ROWS).zip(0..) {
            let first = first_seq + at * INSERT_ROWS as i64;
            self.run(upsert(self.places, first, incidents)).await?;
        }
        Ok(())
    }

    /// Makes one incident go up in another. What people added to it stays with it and is shown on the other's page: it may leave
    /// again. Returns whether it was there.
    pub(crate) async fn merge(&mut self, into: IncidentId, from: IncidentId) -> Result<bool, StoreError> {
        let (into, from) = (into.to_string(), from.to_string());
        // What went up in it before goes on with it, so that one step leads to where all of it is.
        let merged = "update incidents set merged_into = ? where (id = ? and merged_into is null) or merged_into = ?";
        if self.run(Sql::new(merged).text(&into).text(&from).text(&from)).await? == 0 {
            return Ok(false);
        }
        let moved = Sql::new("update detections set incident = ? where incident = ?");
        self.run(moved.text(&into).text(&from)).await?;
        Ok(true)
    }
}

fn upsert(places: Places, first_seq: i64, incidents: &[Incident]) -> Sql {
    let mut sql = Sql::of_many(
        places,
        "insert into incidents (seq, id, title, folded, level, score, class, first_time, last_time, aware_at, detections, \
         state, open, record) values ",
    );
    for (at, (incident, seq)) in incidents.iter().zip(first_seq..).enumerate() {
        sql.push(if at == 0 { "" } else { ", " }).push("(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
        sql.add_number(seq).add_text(&incident.id.to_string());
        sql.add_text(&incident.title).add_text(&searched(&incident.title));
        sql.add_number(level_number(incident.level)).add_number(incident.priority.score.into());
        sql.add_text(incident.priority.class.as_str());
        sql.add_number(incident.first.as_nanos()).add_number(incident.last.as_nanos());
        sql.add_number(incident.aware_at.as_nanos()).add_number(as_number(incident.detections));
        sql.add_text(&incident.state.to_string()).add_number(i64::from(!incident.state.is_closed()));
        sql.add_text(&to_json(incident));
    }
    sql.push(
        " on conflict (id) do update set title = excluded.title, folded = excluded.folded, level = excluded.level, \
         score = excluded.score, class = excluded.class, first_time = excluded.first_time, last_time = excluded.last_time, \
         aware_at = excluded.aware_at, detections = excluded.detections, state = excluded.state, open = excluded.open, \
         record = excluded.record, merged_into = null",
    );
    sql
}
