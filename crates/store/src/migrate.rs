//! The schema, and how an older one becomes it.
//!
//! Forwards only: each file of `migrations/` is run once, in order, in a transaction of its own that also writes the version
//! down, so that a program that is killed leaves one version or the next. A newer schema is refused, for what this program
//! would write into it nobody promised. `tests/it/migrations.rs` brings a database of each older version up.

use sqlx::{Any, AnyPool, Connection, Transaction};

use crate::database::Database;
use crate::error::StoreError;
use crate::sql::{Columns, Sql};

/// The schemas, the first one first.
const MIGRATIONS: [&str; 5] = [
    include_str!("../migrations/0001_records.sql"),
    include_str!("../migrations/0002_open.sql"),
    include_str!("../migrations/0003_titles.sql"),
    include_str!("../migrations/0004_forgotten.sql"),
    include_str!("../migrations/0005_saved_picture.sql"),
];

/// The schema that this program knows.
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// Brings the schema up to this program's.
pub(crate) async fn migrate(database: &Database, writer: &AnyPool) -> Result<(), StoreError> {
    let mut connection = writer.acquire().await?;
    loop {
        let mut transaction = connection.begin_with(database.begin()).await?;
        if let Some(lock) = database.lock_schema() {
            Sql::new(lock).rows(&mut *transaction).await?;
        }
        let version = version(&mut transaction).await?;
        if version > SCHEMA_VERSION {
            return Err(StoreError::Newer { found: version, known: SCHEMA_VERSION });
        }
        let next = usize::try_from(version).map_err(|_| StoreError::damaged("the schema's version is below zero"))?;
        let Some(migration) = MIGRATIONS.get(next) else { return Ok(()) };
        sqlx::raw_sql(*migration).execute(&mut *transaction).await?;
        Sql::new("update schema_version set version = ?").number(version + 1).run(&mut *transaction).await?;
        transaction.commit().await?;
    }
}

/// Reads the version of the schema, which is 0 before the first.
async fn version(transaction: &mut Transaction<'_, Any>) -> Result<i64, StoreError> {
    Sql::new("create table if not exists schema_version (version bigint not null)").run(&mut **transaction).await?;
    if let Some(row) = Sql::new("select version from schema_version").row(&mut **transaction).await? {
        return row.number("version");
    }
    Sql::new("insert into schema_version (version) values (0)").run(&mut **transaction).await?;
    Ok(0)
}
