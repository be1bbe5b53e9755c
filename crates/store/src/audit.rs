//! The audit log: what people did, in a chain that shows what was changed in it.
//!
//! Each row holds the digest of the row before it and of its own columns. It tells ids, and of values only digests with the
//! chain's salt: who compares a value with the log needs the store. A row that was changed, taken out, or put elsewhere is
//! found by the chain alone; an end that was cut off is found by whoever noted a head before. `tests/it/audit.rs` does each of
//! these to each row and column.

use std::collections::BTreeMap;

use cresset_event::Timestamp;
use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{Any, Transaction};

use crate::cursor::{Cursor, List, Page, page_rows};
use crate::digest::digest;
use crate::error::StoreError;
use crate::sql::{Columns, Sql, storable};
use crate::store::{By, Store};

/// What the digests begin with, so that none is one of something else.
const DOMAIN: &[u8] = b"cresset audit 1";
/// Rows that are checked at once: some megabytes.
const CHECKED_ROWS: i64 = 5000;

/// A row of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number: 1 is the first, and none is left out.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who: the id of an account or token.
    pub actor: String,
    /// What was done.
    pub act: String,
    /// To what: an id.
    pub object: String,
    /// Further ids and digests, as a JSON object.
    pub detail: String,
    /// The digest of the row before.
    pub previous: String,
    /// The digest of this row.
    pub hash: String,
}

/// Where the audit log ends: whoever notes it sees later whether anything before it was changed or cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditHead {
    /// How many rows there are.
    pub count: u64,
    /// The digest of the last.
    pub hash: String,
}

/// What a look at the whole audit log came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditCheck {
    /// Nothing was changed.
    Whole(AuditHead),
    /// The first row that is wrong.
    Wrong(AuditFault),
}

/// A row of the audit log that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {seq} of the audit log {wrong}")]
pub struct AuditFault {
    /// Its number.
    pub seq: u64,
    /// What is wrong with it.
    pub wrong: AuditWrong,
}

/// What is wrong with a row of the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuditWrong {
    /// It is not there, and later ones are.
    #[error("is missing")]
    Missing,
    /// It does not follow from the row before it.
    #[error("does not follow from the one before it")]
    Unlinked,
    /// Its columns are not those that its digest is of.
    #[error("was changed: its digest is not that of its columns")]
    Changed,
    /// It was there when the head was noted.
    #[error("was noted, and is not there any more")]
    CutOff,
    /// It is another one than was noted.
    #[error("is another one than was noted")]
    NotAsNoted,
}

/// What a row tells beside its object: ids, numbers, and digests of values.
#[derive(Debug, Default)]
pub(crate) struct Detail(BTreeMap<&'static str, Said>);

#[derive(Debug)]
enum Said {
    Plain(Value),
    Hidden(String),
}

impl Detail {
    /// Adds an id or a word of ours.
    pub(crate) fn id(mut self, name: &'static str, id: impl ToString) -> Self {
        self.0.insert(name, Said::Plain(id.to_string().into()));
        self
    }

    /// Adds a number.
    pub(crate) fn number(mut self, name: &'static str, number: u64) -> Self {
        self.0.insert(name, Said::Plain(number.into()));
        self
    }

    /// Adds a value that the log does not tell: its salted digest.
    pub(crate) fn hidden(mut self, name: &'static str, value: &str) -> Self {
        self.0.insert(name, Said::Hidden(value.to_owned()));
        self
    }

    fn to_json(&self, salt: &str) -> String {
        let said = self.0.iter().map(|(name, said)| {
            let value = match said {
                Said::Plain(value) => value.clone(),
                Said::Hidden(value) => json!({ "sha256": salted(salt, value) }),
            };
            ((*name).to_owned(), value)
        });
        Value::Object(said.collect()).to_string()
    }
}

/// Returns what the log tells of a value.
fn salted(salt: &str, value: &str) -> String {
    digest(&[b"cresset audit value 1", salt.as_bytes(), value.as_bytes()])
}

/// Returns what the first row follows from.
fn beginning(salt: &str) -> String {
    digest(&[DOMAIN, salt.as_bytes()])
}

impl AuditRow {
    /// Returns the digest that the row must have.
    fn own_hash(&self) -> String {
        let (seq, at) = (self.seq.to_le_bytes(), self.at.as_nanos().to_le_bytes());
        let texts = [&self.actor, &self.act, &self.object, &self.detail].map(|text| text.as_bytes());
        let [actor, act, object, detail] = texts;
        digest(&[DOMAIN, self.previous.as_bytes(), &seq, &at, actor, act, object, detail])
    }

    fn of(row: &AnyRow) -> Result<Self, StoreError> {
        Ok(Self {
            seq: row.count("seq")?,
            at: row.time("at")?,
            actor: row.text("actor")?,
            act: row.text("act")?,
            object: row.text("object")?,
            detail: row.text("detail")?,
            previous: row.text("previous")?,
            hash: row.text("hash")?,
        })
    }
}

/// Writes a row behind the last one. The transaction is one of [`Store::write`], of which there is one at a time.
pub(crate) async fn append(
    transaction: &mut Transaction<'static, Any>,
    salt: &str,
    by: &By,
    act: &str,
    object: &str,
    detail: &Detail,
) -> Result<(), StoreError> {
    let last = last(&mut **transaction).await?;
    let (count, previous) = last.map_or_else(|| (0, beginning(salt)), |head| (head.count, head.hash));
    let mut row = AuditRow {
        seq: count + 1,
        at: by.at,
        actor: storable(&by.actor).into_owned(),
        act: act.to_owned(),
        object: storable(object).into_owned(),
        detail: detail.to_json(salt),
        previous,
        hash: String::new(),
    };
    row.hash = row.own_hash();
    let insert =
        "insert into audit (seq, at, actor, act, object, detail, previous, hash) values (?, ?, ?, ?, ?, ?, ?, ?)";
    let sql = Sql::new(insert).number(crate::sql::as_number(row.seq)).time(row.at).text(&row.actor).text(&row.act);
    sql.text(&row.object).text(&row.detail).text(&row.previous).text(&row.hash).run(&mut **transaction).await?;
    Ok(())
}

async fn last<'e>(on: impl sqlx::Executor<'e, Database = Any>) -> Result<Option<AuditHead>, StoreError> {
    let row = Sql::new("select seq, hash from audit order by seq desc limit 1").row(on).await?;
    row.map(|row| Ok(AuditHead { count: row.count("seq")?, hash: row.text("hash")? })).transpose()
}

impl Store {
    /// Returns where the audit log ends.
    pub async fn audit_head(&self) -> Result<AuditHead, StoreError> {
        let begin = || AuditHead { count: 0, hash: beginning(self.salt()) };
        Ok(last(self.readers()).await?.unwrap_or_else(begin))
    }

    /// Notes that a backup is made.
    pub async fn audit_backup(&self, by: &By) -> Result<(), StoreError> {
        let mut writing = self.write(0).await?;
        writing.audit(by, "back_up", "backup", Detail::default()).await?;
        writing.commit().await
    }

    /// Notes that this store came out of a backup: the log goes on behind the row that was its last then.
    pub async fn audit_restored(&self, by: &By, backed_up_at: Timestamp) -> Result<(), StoreError> {
        let head = self.audit_head().await?;
        let mut writing = self.write(0).await?;
        let detail =
            Detail::default().id("backed_up_at", backed_up_at).number("rows", head.count).id("head", head.hash);
        writing.audit(by, "restore", "backup", detail).await?;
        writing.commit().await
    }

    /// Returns rows of the audit log, the newest first.
    pub async fn audit(&self, after: Option<&Cursor>, limit: usize) -> Result<Page<AuditRow>, StoreError> {
        let mut sql = Sql::new("select seq, at, actor, act, object, detail, previous, hash from audit");
        if let Some([seq]) = Cursor::keys(after, List::Audit)? {
            sql.push(" where seq < ?").add_number(seq);
        }
        sql.push(" order by seq desc limit ?").add_number(page_rows(limit));
        let rows = sql.rows(self.readers()).await?;
        Page::of(List::Audit, limit, &rows, AuditRow::of, |row| Ok([row.number("seq")?]))
    }

    /// Returns what the log tells of a value, to look for it there.
    pub fn audit_digest(&self, value: &str) -> String {
        salted(self.salt(), value)
    }

    /// Looks at the whole audit log: is every row as it was written, and is what was noted still there?
    pub async fn audit_verify(&self, noted: Option<&AuditHead>) -> Result<AuditCheck, StoreError> {
        let mut head = AuditHead { count: 0, hash: beginning(self.salt()) };
        loop {
            let rows = Sql::new("select * from audit where seq > ? order by seq limit ?");
            let rows = rows.number(crate::sql::as_number(head.count)).number(CHECKED_ROWS).rows(self.readers()).await?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                let row = AuditRow::of(row)?;
                if let Some(wrong) = wrong_with(&row, &head, noted) {
                    return Ok(AuditCheck::Wrong(wrong));
                }
                head = AuditHead { count: row.seq, hash: row.hash };
            }
        }
        let cut_off = noted.filter(|noted| noted.count > head.count);
        Ok(match cut_off {
            Some(_) => AuditCheck::Wrong(AuditFault { seq: head.count + 1, wrong: AuditWrong::CutOff }),
            None => AuditCheck::Whole(head),
        })
    }
}

/// Tells what is wrong with the row that comes behind `head`.
fn wrong_with(row: &AuditRow, head: &AuditHead, noted: Option<&AuditHead>) -> Option<AuditFault> {
    let expected = head.count + 1;
    let wrong = if row.seq != expected {
        return Some(AuditFault { seq: expected, wrong: AuditWrong::Missing });
    } else if row.own_hash() != row.hash {
        AuditWrong::Changed
    } else if row.previous != head.hash {
        AuditWrong::Unlinked
    } else if noted.is_some_and(|noted| noted.count == row.seq && noted.hash != row.hash) {
        AuditWrong::NotAsNoted
    } else {
        return None;
    };
    Some(AuditFault { seq: row.seq, wrong })
}
