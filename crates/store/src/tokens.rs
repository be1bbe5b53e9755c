//! Tokens of the API, and the link by which the first administrator comes in.
//!
//! A token is `cresset_ID_SECRET`. The secret has 256 bits of the system's randomness and is told once: what is kept is its
//! SHA-256, which needs no slow hash, for nobody tries 2^256 secrets out. It is compared in constant time.

use std::fmt;
use std::str::FromStr;

use cresset_event::Timestamp;
use sqlx::any::AnyRow;
use subtle::ConstantTimeEq;

use crate::acts::{Act, Acted};
use crate::audit::Detail;
use crate::bounds::check_name;
use crate::digest::{digest, new_id, secret};
use crate::error::StoreError;
use crate::sql::{Columns, Sql, to_json};
use crate::store::{By, Store, Writing};

/// What every token begins with, so that scanners of leaked secrets know it.
const PREFIX: &str = "cresset_";
/// What the link of the first administrator begins with.
const FIRST_RUN_PREFIX: &str = "cresset_first_";
/// The actor of what nobody did yet: the making of the first administrator.
const FIRST_RUN_ACTOR: &str = "first-run";
/// The actor, and the maker, of the token of whoever owns the folder of a centre.
const LOCAL_ACTOR: &str = "local";
/// The scope without which an administrator cannot issue tokens.
const ISSUING_SCOPE: &str = "tokens";
/// Whether a token lets somebody in at a time.
const HOLDS: &str = "revoked is null and (expires is null or expires > ?)";
/// How far "last used" may lag: a token that asks a thousand times a second is written once a minute.
const LAST_USED_NANOS: i64 = 60_000_000_000;

/// What a person or program may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sees.
    Viewer,
    /// Works on incidents.
    Analyst,
    /// Sees what matters now and hands it out.
    WatchOfficer,
    /// Says who is behind it.
    IntelligenceOfficer,
    /// Rehearses.
    ExerciseDirector,
    /// Looks after the centre.
    Administrator,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] = [
        Self::Viewer,
        Self::Analyst,
        Self::WatchOfficer,
        Self::IntelligenceOfficer,
        Self::ExerciseDirector,
        Self::Administrator,
    ];

    /// Returns its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Analyst => "analyst",
            Self::WatchOfficer => "watch_officer",
            Self::IntelligenceOfficer => "intelligence_officer",
            Self::ExerciseDirector => "exercise_director",
            Self::Administrator => "administrator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| {
            let words = Self::ALL.map(Self::as_str).join(", ");
            format!("`{text}` is no role; roles are {words}")
        })
    }
}

/// A token that is to be issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// What it may do that in; empty is all that its role may.
    pub scopes: Vec<String>,
    /// The member whose person it is.
    pub member: Option<String>,
    /// The person's nationality.
    pub nationality: Option<String>,
    /// What the person is cleared for.
    pub clearances: Vec<String>,
    /// Until when it holds, exclusive.
    pub expires: Option<Timestamp>,
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: String,
    /// What it was issued as.
    pub issued: NewToken,
    /// When.
    pub created: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it was taken back.
    pub revoked: Option<Timestamp>,
    /// When it was used last, to the minute.
    pub last_used: Option<Timestamp>,
}

/// A text that lets in whoever has it. It is shown by [`Secret::reveal`] alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Returns the text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A token that was just issued, and its secret, which is told this once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The token.
    pub token: Token,
    /// What to present: `cresset_ID_SECRET`.
    pub secret: Secret,
}

impl Store {
    /// Issues a token.
    pub async fn issue_token(&self, by: &By, new: NewToken) -> Result<Issued, StoreError> {
        let issued = Issued::new(by, new)?;
        self.act(by, &Act::IssueToken(Box::new(issued.clone()))).await?;
        Ok(issued)
    }

    /// Takes a token back: it lets nobody in any more. One that was taken back before is left as it is; the last one that can
    /// issue others is refused, but to whoever owns the folder of the centre, who can always issue another.
    pub async fn revoke_token(&self, by: &By, id: &str) -> Result<(), StoreError> {
        self.act(by, &Act::RevokeToken { id: id.to_owned() }).await.map(drop)
    }

    /// Returns every token, the newest first, those that hold no more among them.
    pub async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        let rows = Sql::new("select * from tokens order by created desc, id").rows(self.readers()).await?;
        rows.iter().map(token_of_row).collect()
    }

    /// Returns the token that was presented, if it is one and holds at this moment.
    pub async fn token_of(&self, presented: &str, now: Timestamp) -> Result<Option<Token>, StoreError> {
        let Some((id, its_secret)) = presented.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')) else {
            return Ok(None);
        };
        let Some(row) = Sql::new("select * from tokens where id = ?").text(id).row(self.readers()).await? else {
            return Ok(None);
        };
        let token = token_of_row(&row)?;
        let holds = token.revoked.is_none() && token.issued.expires.is_none_or(|expires| now < expires);
        if !holds || !is_secret(its_secret, &row.text("secret_sha256")?) {
            return Ok(None);
        }
        if token.last_used.is_none_or(|last| now >= last.saturating_add_nanos(LAST_USED_NANOS)) {
            self.note_use(&token.id, now).await?;
        }
        Ok(Some(token))
    }

    /// Notes when a token was used. A store that is full or busy lets people in all the same: they may come to make room.
    async fn note_use(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        let noted = async {
            let mut writing = self.write(0).await?;
            writing.run(Sql::new("update tokens set last_used = ? where id = ?").time(now).text(id)).await?;
            writing.commit().await
        };
        match noted.await {
            Err(StoreError::Full(_) | StoreError::Busy(_)) => Ok(()),
            noted => noted,
        }
    }

    /// Issues an administrator's token for whoever owns the folder of the centre, in place of the one before. It is not the first
    /// administrator.
    pub async fn renew_local_token(&self, now: Timestamp) -> Result<Issued, StoreError> {
        let by = By { actor: LOCAL_ACTOR.into(), at: now };
        let mut writing = self.write(0).await?;
        revoke_local(&mut writing, &by).await?;
        let issued = Issued::new(&by, NewToken::administrator("whoever owns the data folder"))?;
        writing.issue_token(&by, &issued).await?;
        writing.commit().await?;
        Ok(issued)
    }

    /// Takes the token back that [`Store::renew_local_token`] issued, if it holds still.
    pub async fn revoke_local_token(&self, now: Timestamp) -> Result<(), StoreError> {
        let by = By { actor: LOCAL_ACTOR.into(), at: now };
        let mut writing = self.write(0).await?;
        revoke_local(&mut writing, &by).await?;
        writing.commit().await
    }

    /// Takes every token back, and lets the first administrator come in again by a link. Returns how many tokens let somebody in
    /// until then.
    pub async fn revoke_all_tokens(&self, by: &By) -> Result<u64, StoreError> {
        let mut writing = self.write(0).await?;
        let held = Sql::new(&format!("update tokens set revoked = ? where {HOLDS}"));
        let revoked = writing.run(held.time(by.at).time(by.at)).await?;
        writing.run(Sql::new("delete from first_run")).await?;
        writing.audit(by, "revoke_all_tokens", "tokens", Detail::default().number("tokens", revoked)).await?;
        writing.commit().await?;
        Ok(revoked)
    }

    /// Makes the link of the first administrator, in place of one that was not used. `None` where there is an administrator, or
    /// one came in by a link.
    pub async fn first_run_secret(&self, now: Timestamp, expires: Timestamp) -> Result<Option<Secret>, StoreError> {
        let mut writing = self.write(0).await?;
        let taken = "select 1 as one from first_run where used is not null \
                     union all select 1 from tokens where role = 'administrator' and revoked is null and created_by <> ? \
                     limit 1";
        if writing.row(Sql::new(taken).text(LOCAL_ACTOR)).await?.is_some() {
            return Ok(None);
        }
        let made = secret()?;
        let insert = "insert into first_run (id, secret_sha256, expires) values (1, ?, ?) \
                      on conflict (id) do update set secret_sha256 = excluded.secret_sha256, expires = excluded.expires";
        writing.run(Sql::new(insert).text(&secret_digest(&made)).time(expires)).await?;
        let by = By { actor: FIRST_RUN_ACTOR.into(), at: now };
        writing.audit(&by, "make_first_run_link", FIRST_RUN_ACTOR, Detail::default()).await?;
        writing.commit().await?;
        Ok(Some(Secret(format!("{FIRST_RUN_PREFIX}{made}"))))
    }

    /// Issues the first administrator's token to whoever has the link, once. `None` where the link is another, was used, or is
    /// too old.
    pub async fn use_first_run(
        &self,
        presented: &str,
        name: &str,
        now: Timestamp,
    ) -> Result<Option<Issued>, StoreError> {
        let Some(its_secret) = presented.strip_prefix(FIRST_RUN_PREFIX) else { return Ok(None) };
        let mut writing = self.write(0).await?;
        let open = Sql::new("select secret_sha256 from first_run where used is null and expires > ?").time(now);
        let Some(row) = writing.row(open).await? else { return Ok(None) };
        if !is_secret(its_secret, &row.text("secret_sha256")?) {
            return Ok(None);
        }
        writing.run(Sql::new("update first_run set used = ?").time(now)).await?;
        let by = By { actor: FIRST_RUN_ACTOR.into(), at: now };
        let issued = Issued::new(&by, NewToken::administrator(name))?;
        writing.issue_token(&by, &issued).await?;
        writing.commit().await?;
        Ok(Some(issued))
    }
}

impl NewToken {
    /// Returns an administrator's token, without clearances: they are given apart from the role.
    fn administrator(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            role: Role::Administrator,
            scopes: Vec::new(),
            member: None,
            nationality: None,
            clearances: Vec::new(),
            expires: None,
        }
    }
}

impl Issued {
    /// Makes a token that is new, and holds once it is stored.
    pub fn new(by: &By, issued: NewToken) -> Result<Self, StoreError> {
        let id = new_id()?;
        let secret = Secret(format!("{PREFIX}{id}_{}", secret()?));
        let (created, created_by) = (by.at, by.actor.clone());
        Ok(Self { token: Token { id, issued, created, created_by, revoked: None, last_used: None }, secret })
    }

    /// Returns what is kept of the secret.
    fn digest(&self) -> String {
        let (_, its_secret) = self.secret.0.rsplit_once('_').unwrap_or_default();
        secret_digest(its_secret)
    }
}

impl Writing<'_> {
    pub(crate) async fn issue_token(&mut self, by: &By, issued: &Issued) -> Result<Acted, StoreError> {
        let (id, new) = (&issued.token.id, &issued.token.issued);
        check_name("the token's name", &new.name)?;
        let insert = "insert into tokens (id, name, secret_sha256, role, scopes, member, nationality, clearances, \
                      created, created_by, expires) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let sql = Sql::new(insert).text(id).text(&new.name).text(&issued.digest()).text(new.role.as_str());
        let sql = sql.text(&to_json(&new.scopes)).text_or_null(new.member.as_deref());
        let sql = sql.text_or_null(new.nationality.as_deref()).text(&to_json(&new.clearances));
        self.run(sql.time(by.at).text(&by.actor).time_or_null(new.expires)).await?;
        let detail = Detail::default().id("role", new.role).hidden("name", &new.name);
        self.audit(by, "issue_token", id, detail.id("scopes", new.scopes.join(" "))).await?;
        Ok(self.acted())
    }

    pub(crate) async fn revoke_token(&mut self, by: &By, id: &str) -> Result<Acted, StoreError> {
        if self.is_last_to_issue(by, id).await? && !self.is_local(by).await? {
            return Err(StoreError::conflict(
                "it is the last token that can issue others: issue one of the role administrator first, then take this one back",
            ));
        }
        let sql = Sql::new("update tokens set revoked = coalesce(revoked, ?) where id = ?").time(by.at).text(id);
        if self.run(sql).await? == 0 {
            return Err(StoreError::not_found("token", id));
        }
        self.audit(by, "revoke_token", id, Detail::default()).await?;
        Ok(self.acted())
    }

    /// Whether nobody but whoever holds this token, and whoever owns the folder, can issue tokens.
    async fn is_last_to_issue(&mut self, by: &By, id: &str) -> Result<bool, StoreError> {
        let issuing = format!(
            "select id from tokens where role = 'administrator' and created_by <> ? and {HOLDS} \
             and (scopes = '[]' or scopes like ?) limit 2"
        );
        let scope = format!("%\"{ISSUING_SCOPE}\"%");
        let sql = Sql::new(&issuing).text(LOCAL_ACTOR).time(by.at).text(&scope);
        let rows = sql.rows(&mut *self.transaction).await?;
        Ok(matches!(&rows[..], [only] if only.text("id")? == id))
    }

    /// Whether whoever does it owns the folder of the centre.
    async fn is_local(&mut self, by: &By) -> Result<bool, StoreError> {
        let sql = Sql::new("select 1 as one from tokens where id = ? and created_by = ?").text(&by.actor);
        Ok(self.row(sql.text(LOCAL_ACTOR)).await?.is_some())
    }
}

async fn revoke_local(writing: &mut Writing<'_>, by: &By) -> Result<(), StoreError> {
    let held = "update tokens set revoked = ? where created_by = ? and revoked is null returning id";
    if let Some(row) = writing.row(Sql::new(held).time(by.at).text(LOCAL_ACTOR)).await? {
        writing.audit(by, "revoke_token", &row.text("id")?, Detail::default()).await?;
    }
    Ok(())
}

fn token_of_row(row: &AnyRow) -> Result<Token, StoreError> {
    let issued = NewToken {
        name: row.text("name")?,
        role: row.parsed("role", |text| text.parse().ok())?,
        scopes: row.json("scopes")?,
        member: row.text_or_null("member")?,
        nationality: row.text_or_null("nationality")?,
        clearances: row.json("clearances")?,
        expires: row.time_or_null("expires")?,
    };
    Ok(Token {
        id: row.text("id")?,
        issued,
        created: row.time("created")?,
        created_by: row.text("created_by")?,
        revoked: row.time_or_null("revoked")?,
        last_used: row.time_or_null("last_used")?,
    })
}

fn secret_digest(secret: &str) -> String {
    digest(&[b"cresset secret 1", secret.as_bytes()])
}

/// Compares in a time that does not depend on how much is right.
fn is_secret(presented: &str, kept: &str) -> bool {
    secret_digest(presented).as_bytes().ct_eq(kept.as_bytes()).into()
}
