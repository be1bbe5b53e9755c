//! Answers that were given to requests, so that one that is sent again is answered and not done again.
//!
//! The answer to an act is kept in the act's own transaction ([`Store::act_once`]): there is no moment at which the one is on the
//! disk and the other is not.

use cresset_event::Timestamp;

use crate::acts::{Act, Acted, do_act};
use crate::bounds::check_name;
use crate::error::StoreError;
use crate::sql::{Columns, Sql};
use crate::store::{By, Store, Writing};

/// How long answers are kept: whoever tries again later means it anew.
const KEPT_NANOS: i64 = 24 * 3600 * 1_000_000_000;

/// A request that may come more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The key that its sender gave it.
    pub key: String,
    /// A digest of all that it asks.
    pub digest: String,
}

/// What a request was answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Store {
    /// Returns what a request was answered with, if it came before, within a day. It is an error where its key came with another
    /// request.
    pub async fn answer_to(&self, by: &By, request: &Request) -> Result<Option<Answer>, StoreError> {
        let row = look_up(by, request).row(self.readers()).await?;
        row.map(|row| answer_of(&row, request)).transpose()
    }

    /// Keeps what a request was answered with. Where it was answered meanwhile, that answer holds and is returned.
    pub async fn save_answer(&self, by: &By, request: &Request, answer: Answer) -> Result<Answer, StoreError> {
        let mut writing = self.write(0).await?;
        if let Some(earlier) = earlier_answer(&mut writing, by, request).await? {
            return Ok(earlier);
        }
        save(&mut writing, by, request, &answer).await?;
        writing.commit().await?;
        Ok(answer)
    }

    /// Does an act if its request did not come before, and keeps the answer that `answer` makes of it, in one transaction; else
    /// returns the answer that was given.
    pub async fn act_once(
        &self,
        by: &By,
        act: &Act,
        request: &Request,
        answer: impl FnOnce(&Acted) -> Answer,
    ) -> Result<Answer, StoreError> {
        let mut writing = self.write(act.rows()).await?;
        if let Some(earlier) = earlier_answer(&mut writing, by, request).await? {
            return Ok(earlier);
        }
        let answer = answer(&do_act(&mut writing, by, act).await?);
        save(&mut writing, by, request, &answer).await?;
        writing.commit().await?;
        Ok(answer)
    }
}

fn oldest_kept(now: Timestamp) -> Timestamp {
    now.saturating_add_nanos(-KEPT_NANOS)
}

fn look_up(by: &By, request: &Request) -> Sql {
    let sql = Sql::new("select digest, status, body from requests where actor = ? and key = ? and at > ?");
    sql.text(&by.actor).text(&request.key).time(oldest_kept(by.at))
}

async fn earlier_answer(writing: &mut Writing<'_>, by: &By, request: &Request) -> Result<Option<Answer>, StoreError> {
    let row = writing.row(look_up(by, request)).await?;
    row.map(|row| answer_of(&row, request)).transpose()
}

fn answer_of(row: &sqlx::any::AnyRow, request: &Request) -> Result<Answer, StoreError> {
    if row.text("digest")? != request.digest {
        return Err(StoreError::KeyReused { key: request.key.clone() });
    }
    let status = u16::try_from(row.number("status")?).map_err(|_| StoreError::damaged("a request's status"))?;
    Ok(Answer { status, body: row.bytes("body")? })
}

/// Keeps an answer, and drops those that are too old.
async fn save(writing: &mut Writing<'_>, by: &By, request: &Request, answer: &Answer) -> Result<(), StoreError> {
    check_name("the idempotency key", &request.key)?;
    writing.run(Sql::new("delete from requests where at <= ?").time(oldest_kept(by.at))).await?;
    let insert = "insert into requests (actor, key, digest, at, status, body) values (?, ?, ?, ?, ?, ?)";
    let sql = Sql::new(insert).text(&by.actor).text(&request.key).text(&request.digest).time(by.at);
    writing.run(sql.number(answer.status.into()).bytes(&answer.body)).await?;
    Ok(())
}
