//! The store: one connection that writes, several that read.
//!
//! Whatever is written goes through a [`Writing`]: one transaction for one fact, with what was changed, what is told of it and
//! its line in the audit log. It takes its row numbers first, which also lets programs that share a PostgreSQL write one after
//! the other: numbers come in the order of commits, and the audit log is one chain.

use std::sync::Arc;

use cresset_event::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{Any, AnyPool, Transaction};

use crate::audit::Detail;
use crate::database::{Database, StoreOptions};
use crate::digest::secret;
use crate::error::StoreError;
use crate::migrate::migrate;
use crate::sql::{Columns, Places, Sql};

/// The records of a centre. Cheap to clone; all clones are one store.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    database: Database,
    writer: AnyPool,
    readers: AnyPool,
    /// What values are hashed with before the audit log tells them.
    salt: String,
}

/// Who does something, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// The id of the person's account or token.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

impl Store {
    /// Opens the store at `sqlite:PATH` or `postgres://…`, and brings its schema up to date. The file of SQLite is made where
    /// there is none, for its owner alone.
    pub async fn open(address: &str, options: StoreOptions) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let database = Database::parse(address)?;
        database.make()?;
        database.check(&options).await?;
        let writer = database.writer(&options).await?;
        migrate(&database, &writer).await?;
        let salt = audit_salt(&writer).await?;
        let readers = database.readers(&options).await?;
        Ok(Self { inner: Arc::new(Inner { database, writer, readers, salt }) })
    }

    /// Closes the store, once what runs has ended.
    pub async fn close(&self) {
        self.inner.readers.close().await;
        self.inner.writer.close().await;
    }

    /// Returns the connections that read.
    pub(crate) fn readers(&self) -> &AnyPool {
        &self.inner.readers
    }

    /// Begins to read what is there at one moment.
    pub(crate) async fn read(&self) -> Result<Transaction<'static, Any>, StoreError> {
        Ok(self.inner.readers.begin_with(self.inner.database.begin_reading()).await?)
    }

    pub(crate) fn database(&self) -> &Database {
        &self.inner.database
    }

    pub(crate) fn salt(&self) -> &str {
        &self.inner.salt
    }

    /// Begins a transaction that writes. SQLite ends one by itself where the disk is full ("Response To Errors Within A
    /// Transaction" in its description), which the connection does not notice: it can begin no other, and a new one takes its
    /// place.
    async fn begin(&self) -> Result<Transaction<'static, Any>, StoreError> {
        let (writer, how) = (&self.inner.writer, self.inner.database.begin());
        match writer.begin_with(how).await {
            Err(sqlx::Error::InvalidSavePointStatement) => {
                writer.acquire().await?.close().await?;
                Ok(writer.begin_with(how).await?)
            }
            begun => Ok(begun?),
        }
    }

    /// Begins to write so many rows. What is dropped before [`Writing::commit`] was never written.
    pub(crate) async fn write(&self, rows: usize) -> Result<Writing<'_>, StoreError> {
        let mut transaction = self.begin().await?;
        let rows = rows as i64;
        let taken = Sql::new("update numbers set next = next + ? where name = 'rows' returning next").number(rows);
        let next = taken.row(&mut *transaction).await?.ok_or_else(|| StoreError::damaged("no numbers"))?;
        Ok(Writing {
            first: next.number("next")? - rows,
            places: self.inner.database.places(),
            transaction,
            salt: &self.inner.salt,
        })
    }
}

/// A transaction that writes.
pub(crate) struct Writing<'s> {
    pub(crate) transaction: Transaction<'static, Any>,
    /// The first of the numbers that were taken.
    pub(crate) first: i64,
    /// How queries of many rows are written.
    pub(crate) places: Places,
    salt: &'s str,
}

impl Writing<'_> {
    /// Writes a line into the audit log.
    pub(crate) async fn audit(&mut self, by: &By, act: &str, object: &str, detail: Detail) -> Result<(), StoreError> {
        crate::audit::append(&mut self.transaction, self.salt, by, act, object, &detail).await
    }

    /// Runs a query and returns how many rows it changed.
    pub(crate) async fn run(&mut self, sql: Sql) -> Result<u64, StoreError> {
        sql.run(&mut *self.transaction).await
    }

    /// Runs a query and returns its first row, if it has one.
    pub(crate) async fn row(&mut self, sql: Sql) -> Result<Option<AnyRow>, StoreError> {
        sql.row(&mut *self.transaction).await
    }

    /// Brings all of it to the disk, or nothing.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit().await?)
    }
}

/// Returns the salt of the audit log, which is made with the store.
async fn audit_salt(writer: &AnyPool) -> Result<String, StoreError> {
    let made = Sql::new("insert into audit_chain (id, salt) values (1, ?) on conflict (id) do nothing");
    made.text(&secret()?).run(writer).await?;
    let row = Sql::new("select salt from audit_chain where id = 1").row(writer).await?;
    row.ok_or_else(|| StoreError::damaged("the audit log has no salt"))?.text("salt")
}
