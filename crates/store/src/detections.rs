//! Detections: rows that lists show, and the whole of one.
//!
//! A list reads the columns that it shows and filters by, never `facts`, `links` and `detail`, which are most of the bytes.

use std::collections::{HashMap, HashSet};

use cresset_detect::{DetectionId, Level};
use cresset_event::Timestamp;
use cresset_picture::{Facts, IncidentId, Link};
use sqlx::any::AnyRow;

use crate::cursor::{Cursor, List, Page, page_rows};
use crate::error::StoreError;
use crate::sql::{Columns, Places, Sql, as_number, containing, searched, to_json};
use crate::store::Store;

/// Detections that one page looks at for a title, which takes 20 to 50 ms. There is no bound to how many there are: a page that
/// has seen so many ends there, and the next one goes on.
const LOOKED_MAX: i64 = 10_000;
/// Rows of one insert: eighteen columns each, within the 32,766 places of SQLite.
pub(crate) const INSERT_ROWS: usize = 250;
/// What lists read.
const LISTED: &str =
    "seq, id, time, arrived, level, title, cause, kind, host, \"user\", process, incident, retro, withheld_by";

/// A detection that is to be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDetection {
    /// What the picture needs of it.
    pub facts: Facts,
    /// The kind of thing that found it: `rule`, `correlation` or `indicator`.
    pub kind: &'static str,
    /// Whether it was found in the past, by a hunt.
    pub retro: bool,
    /// The incident that it is in.
    pub incident: Option<IncidentId>,
    /// Why it is in it.
    pub links: Vec<Link>,
    /// The exclusion or silence for which it is in none.
    pub withheld_by: Option<String>,
    /// All of it as a JSON object, as programs get it.
    pub detail: String,
}

/// A detection as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetectionRow {
    /// Its place among all that was stored.
    pub seq: u64,
    /// Its id.
    pub id: DetectionId,
    /// When it happened.
    pub time: Timestamp,
    /// When it was read.
    pub arrived: Timestamp,
    /// How much it matters.
    pub level: Level,
    /// The title of the rule, or the name of the indicator.
    pub title: String,
    /// The id of the rule or indicator.
    pub cause: String,
    /// The kind of thing that found it.
    pub kind: String,
    /// The machine that it happened on.
    pub host: Option<String>,
    /// The account that did it.
    pub user: Option<String>,
    /// The program that did it.
    pub process: Option<String>,
    /// The incident that it is in.
    pub incident: Option<IncidentId>,
    /// Whether it was found in the past, by a hunt.
    pub retro: bool,
    /// The exclusion or silence for which it is in no incident.
    pub withheld_by: Option<String>,
}

/// All that is kept of a detection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDetection {
    /// What lists show.
    pub row: DetectionRow,
    /// What the picture needs of it.
    pub facts: Facts,
    /// Why it is in its incident.
    pub links: Vec<Link>,
    /// All of it as a JSON object.
    pub detail: String,
}

/// Which detections a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DetectionFilter {
    /// Those of this level and above.
    pub level_min: Option<Level>,
    /// Those of an incident.
    pub incident: Option<IncidentId>,
    /// Those of a machine.
    pub host: Option<String>,
    /// Those of a rule or an indicator.
    pub cause: Option<String>,
    /// Those that were found in the past, or those that were not.
    pub retro: Option<bool>,
    /// Those from this moment on.
    pub from_inclusive: Option<Timestamp>,
    /// Those before this moment.
    pub until_exclusive: Option<Timestamp>,
    /// Those whose title has this in it, in whatever case.
    pub title: Option<String>,
}

impl Store {
    /// Returns detections, the newest first. A page of those with some title may have fewer than there is room for, even none,
    /// and not be the last.
    pub async fn detections(
        &self,
        filter: &DetectionFilter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<DetectionRow>, StoreError> {
        let keys = |row: &AnyRow| Ok([row.number("time")?, row.number("seq")?]);
        let looked = match looked_at(filter, after)? {
            Some(sql) => sql.row(self.readers()).await?.as_ref().map(keys).transpose()?,
            None => None,
        };
        let rows = list(filter, after, looked, limit)?.rows(self.readers()).await?;
        let page = Page::of(List::Detections, limit, &rows, DetectionRow::of, keys)?;
        Ok(match looked {
            Some(looked) => page.looked_until(List::Detections, looked),
            None => page,
        })
    }

    /// Returns the detections that were stored behind a place, in that order, at most so many: for who listens and was away.
    pub async fn detections_behind(&self, seq: u64, limit: usize) -> Result<Vec<DetectionRow>, StoreError> {
        let sql = Sql::new(&format!("select {LISTED} from detections where seq > ? order by seq limit ?"));
        let rows = sql.number(as_number(seq)).number(limit as i64).rows(self.readers()).await?;
        rows.iter().map(DetectionRow::of).collect()
    }

    /// Returns the place of the detection that was stored last; 0 where there is none.
    pub async fn last_detection(&self) -> Result<u64, StoreError> {
        let row = Sql::new("select coalesce(max(seq), 0) as last from detections").row(self.readers()).await?;
        row.ok_or_else(|| StoreError::damaged("nothing can be counted"))?.count("last")
    }

    /// Returns all that is kept of a detection.
    pub async fn detection(&self, id: DetectionId) -> Result<StoredDetection, StoreError> {
        let sql = Sql::new("select * from detections where id = ?").text(&id.to_string());
        let row = sql.row(self.readers()).await?.ok_or_else(|| StoreError::not_found("detection", id))?;
        Ok(StoredDetection {
            row: DetectionRow::of(&row)?,
            facts: row.json("facts")?,
            links: row.json("links")?,
            detail: row.text("detail")?,
        })
    }

    /// Tells of each detection whether it is there already, in the order of `ids`.
    pub async fn known(&self, ids: &[DetectionId]) -> Result<Vec<bool>, StoreError> {
        let mut known = HashSet::new();
        for ids in ids.chunks(INSERT_ROWS) {
            for row in of_ids("id", ids).rows(self.readers()).await? {
                known.insert(row.parsed("id", DetectionId::parse)?);
            }
        }
        Ok(ids.iter().map(|id| known.contains(id)).collect())
    }

    /// Returns why each of these detections is in its incident; of what is not there, nothing.
    pub async fn links(&self, ids: &[DetectionId]) -> Result<HashMap<DetectionId, Vec<Link>>, StoreError> {
        let mut links = HashMap::new();
        for ids in ids.chunks(INSERT_ROWS) {
            for row in of_ids("id, links", ids).rows(self.readers()).await? {
                links.insert(row.parsed("id", DetectionId::parse)?, row.json("links")?);
            }
        }
        Ok(links)
    }
}

/// Makes the query of detections by their ids, of which there is one at least.
pub(crate) fn of_ids(columns: &str, ids: &[DetectionId]) -> Sql {
    let mut sql = Sql::new(&format!("select {columns} from detections where id in ("));
    for (at, id) in ids.iter().enumerate() {
        sql.push(if at == 0 { "?" } else { ", ?" }).add_text(&id.to_string());
    }
    sql.push(")");
    sql
}

/// Makes the query of a list, as far as a page looks.
pub(crate) fn list(
    filter: &DetectionFilter,
    after: Option<&Cursor>,
    looked: Option<[i64; 2]>,
    limit: usize,
) -> Result<Sql, StoreError> {
    let mut sql = Sql::new(&format!("select {LISTED} from detections where 1 = 1"));
    filter_by(&mut sql, filter, after)?;
    if let Some(title) = &filter.title {
        sql.push(" and folded like ? escape '!'").add_text(&containing(title));
    }
    if let Some([time, seq]) = looked {
        sql.push(" and (time, seq) >= (?, ?)").add_number(time).add_number(seq);
    }
    sql.push(" order by time desc, seq desc limit ?").add_number(page_rows(limit));
    Ok(sql)
}

/// Makes the query for the last one that a page looks at, where there is a title to look for.
pub(crate) fn looked_at(filter: &DetectionFilter, after: Option<&Cursor>) -> Result<Option<Sql>, StoreError> {
    if filter.title.is_none() {
        return Ok(None);
    }
    let mut sql = Sql::new("select time, seq from detections where 1 = 1");
    filter_by(&mut sql, filter, after)?;
    sql.push(" order by time desc, seq desc limit 1 offset ?").add_number(LOOKED_MAX - 1);
    Ok(Some(sql))
}

/// Says all of a filter but the title, and where the page begins.
fn filter_by(sql: &mut Sql, filter: &DetectionFilter, after: Option<&Cursor>) -> Result<(), StoreError> {
    if let Some(level) = filter.level_min.map(level_number).filter(|level| *level > 0) {
        // In the query's text and not bound: only so the indexes of the grave ones are used.
        sql.push(&format!(" and level >= {level}"));
    }
    if let Some(retro) = filter.retro {
        sql.push(&format!(" and retro = {}", i64::from(retro)));
    }
    if let Some(incident) = filter.incident {
        sql.push(" and incident = ?").add_text(&incident.to_string());
    }
    for (column, value) in [("host", &filter.host), ("cause", &filter.cause)] {
        if let Some(value) = value {
            sql.push(&format!(" and {column} = ?")).add_text(value);
        }
    }
    if let Some(from) = filter.from_inclusive {
        sql.push(" and time >= ?").add_number(from.as_nanos());
    }
    if let Some(until) = filter.until_exclusive {
        sql.push(" and time < ?").add_number(until.as_nanos());
    }
    if let Some([time, seq]) = Cursor::keys(after, List::Detections)? {
        sql.push(" and (time, seq) < (?, ?)").add_number(time).add_number(seq);
    }
    Ok(())
}

impl DetectionRow {
    fn of(row: &AnyRow) -> Result<Self, StoreError> {
        let incident = row.text_or_null("incident")?;
        let incident =
            incident.map(|id| IncidentId::parse(&id).ok_or_else(|| StoreError::damaged("`incident` is no id")));
        Ok(Self {
            seq: row.count("seq")?,
            id: row.parsed("id", DetectionId::parse)?,
            time: row.time("time")?,
            arrived: row.time("arrived")?,
            level: level_of(row)?,
            title: row.text("title")?,
            cause: row.text("cause")?,
            kind: row.text("kind")?,
            host: row.text_or_null("host")?,
            user: row.text_or_null("user")?,
            process: row.text_or_null("process")?,
            incident: incident.transpose()?,
            retro: row.number("retro")? != 0,
            withheld_by: row.text_or_null("withheld_by")?,
        })
    }
}

/// Makes the insert of some detections; those that are there already are left as they are.
pub(crate) fn insert(places: Places, first_seq: i64, detections: &[(&NewDetection, Option<IncidentId>)]) -> Sql {
    let mut sql =
        Sql::of_many(places, &format!("insert into detections ({LISTED}, folded, links, facts, detail) values "));
    for (at, ((new, incident), seq)) in detections.iter().zip(first_seq..).enumerate() {
        let row = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        sql.push(if at == 0 { "" } else { ", " }).push(row);
        let facts = &new.facts;
        sql.add_number(seq).add_text(&facts.id.to_string());
        sql.add_number(facts.time.as_nanos())
            .add_number(facts.arrived.as_nanos())
            .add_number(level_number(facts.level));
        sql.add_text(&facts.title).add_text(&facts.cause).add_text(new.kind);
        sql.add_text_or_null(facts.host.as_deref()).add_text_or_null(facts.user.as_deref());
        sql.add_text_or_null(facts.process.as_deref());
        sql.add_text_or_null(incident.map(|id| id.to_string()).as_deref());
        sql.add_number(i64::from(new.retro)).add_text_or_null(new.withheld_by.as_deref());
        sql.add_text(&searched(&facts.title)).add_text(&to_json(&new.links)).add_text(&to_json(facts));
        sql.add_text(&new.detail);
    }
    sql.push(" on conflict (id) do nothing");
    sql
}

/// Returns the number of a level, as it is kept: 0 is the least.
pub(crate) fn level_number(level: Level) -> i64 {
    Level::ALL.iter().position(|other| *other == level).map_or(0, |at| as_number(at as u64))
}

/// Reads the level of a row.
pub(crate) fn level_of(row: &AnyRow) -> Result<Level, StoreError> {
    let number = row.number("level")?;
    let level = usize::try_from(number).ok().and_then(|at| Level::ALL.get(at).copied());
    level.ok_or_else(|| StoreError::damaged(format!("`level` cannot be {number}")))
}
