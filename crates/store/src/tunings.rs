//! Exclusions and silences, and the list of assets: what people say of their own ground.
//!
//! What they mean is the picture's matter; here they are texts, and none is ever lost: one that was taken back says when and by
//! whom.

use std::fmt;

use cresset_event::Timestamp;
use cresset_picture::Incident;
use sqlx::any::AnyRow;

use crate::acts::Acted;
use crate::audit::Detail;
use crate::bounds::{check_assets, check_definition, check_name};
use crate::error::StoreError;
use crate::sql::{Columns, Sql};
use crate::store::{By, Store, Writing};

/// Whether something is left out for good or for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TuningKind {
    /// What is known and harmless.
    Exclusion,
    /// What is known to come for a time.
    Silence,
}

impl TuningKind {
    /// Returns its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exclusion => "exclusion",
            Self::Silence => "silence",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Exclusion, Self::Silence].into_iter().find(|kind| kind.as_str() == text)
    }

    const fn acts(self) -> (&'static str, &'static str) {
        match self {
            Self::Exclusion => ("add_exclusion", "remove_exclusion"),
            Self::Silence => ("add_silence", "remove_silence"),
        }
    }
}

impl fmt::Display for TuningKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An exclusion or a silence that is to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTuning {
    /// Which of the two.
    pub kind: TuningKind,
    /// Its id, which detections name that it withholds.
    pub id: String,
    /// What it leaves out, in the picture's words (JSON).
    pub definition: String,
    /// Until when it holds, exclusive.
    pub until: Option<Timestamp>,
}

/// An exclusion or a silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TuningRow {
    /// What was added.
    pub tuning: NewTuning,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub author: String,
    /// When it was taken back, and by whom.
    pub removed: Option<(Timestamp, String)>,
}

/// The list of assets that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetsRow {
    /// Since when.
    pub at: Timestamp,
    /// Who put it in force.
    pub author: String,
    /// What it is written in: `toml` or `csv`.
    pub form: String,
    /// The list.
    pub text: String,
}

impl Store {
    /// Returns every exclusion and silence, in the order in which they were added, those that were taken back among them.
    pub async fn tunings(&self) -> Result<Vec<TuningRow>, StoreError> {
        let rows = Sql::new("select * from tunings order by seq").rows(self.readers()).await?;
        rows.iter().map(tuning_of).collect()
    }

    /// Returns the list of assets that is in force, if there ever was one.
    pub async fn assets(&self) -> Result<Option<AssetsRow>, StoreError> {
        let sql = Sql::new("select at, author, form, text from assets order by seq desc limit 1");
        let read = |row: AnyRow| {
            let (at, author) = (row.time("at")?, row.text("author")?);
            Ok(AssetsRow { at, author, form: row.text("form")?, text: row.text("text")? })
        };
        sql.row(self.readers()).await?.map(read).transpose()
    }
}

fn tuning_of(row: &AnyRow) -> Result<TuningRow, StoreError> {
    let tuning = NewTuning {
        kind: row.parsed("kind", TuningKind::parse)?,
        id: row.text("id")?,
        definition: row.text("definition")?,
        until: row.time_or_null("until")?,
    };
    let removed = row.time_or_null("removed_at")?.zip(row.text_or_null("removed_by")?);
    Ok(TuningRow { tuning, at: row.time("at")?, author: row.text("author")?, removed })
}

impl Writing<'_> {
    pub(crate) async fn add_tuning(&mut self, by: &By, new: &NewTuning) -> Result<Acted, StoreError> {
        check_name("the id", &new.id)?;
        check_definition(&new.definition)?;
        let insert = "insert into tunings (seq, id, kind, definition, at, author, until) values (?, ?, ?, ?, ?, ?, ?) \
                      on conflict (id) do nothing";
        let sql = Sql::new(insert).number(self.first).text(&new.id).text(new.kind.as_str()).text(&new.definition);
        if self.run(sql.time(by.at).text(&by.actor).time_or_null(new.until)).await? == 0 {
            return Err(StoreError::conflict(format!("`{}` is there already: take another id", new.id)));
        }
        let detail = Detail::default().hidden("definition", &new.definition);
        self.audit(by, new.kind.acts().0, &new.id, detail).await?;
        Ok(self.acted())
    }

    pub(crate) async fn remove_tuning(&mut self, by: &By, kind: TuningKind, id: &str) -> Result<Acted, StoreError> {
        let update =
            "update tunings set removed_at = ?, removed_by = ? where id = ? and kind = ? and removed_at is null";
        let sql = Sql::new(update).time(by.at).text(&by.actor).text(id).text(kind.as_str());
        if self.run(sql).await? == 0 {
            return Err(StoreError::not_found(kind.as_str(), id));
        }
        self.audit(by, kind.acts().1, id, Detail::default()).await?;
        Ok(self.acted())
    }

    pub(crate) async fn set_assets(
        &mut self,
        by: &By,
        form: &str,
        text: &str,
        changed: &[Incident],
    ) -> Result<Acted, StoreError> {
        check_assets(text)?;
        check_name("the form", form)?;
        let insert = "insert into assets (seq, at, author, form, text) values (?, ?, ?, ?, ?)";
        let sql = Sql::new(insert).number(self.first).time(by.at).text(&by.actor).text(form).text(text);
        self.run(sql).await?;
        self.save_incidents(self.first + 1, changed).await?;
        let detail = Detail::default().hidden("list", text).number("incidents", changed.len() as u64);
        self.audit(by, "set_assets", "assets", detail).await?;
        Ok(self.acted())
    }
}
