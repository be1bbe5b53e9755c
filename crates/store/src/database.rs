//! The two databases: how each is reached, and the few words that each has of its own.
//!
//! All that differs is here: addresses, settings of a connection, how a transaction that writes begins. Queries and schema
//! are one text for both.

use std::fmt::Write;
use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Connection};
use tokio::time::sleep;

use crate::error::StoreError;
use crate::sql::Places;

/// Time between two tries to set up a file of SQLite.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// Bytes of a page of SQLite, its default.
const PAGE_BYTES: u64 = 4096;
/// Memory for pages, a connection: the last days of the indexes that rows are put into at random.
const CACHE_KIB: u64 = 64 << 10;
/// Pages of the write-ahead log before they go over into the file: 64 MB. A page that is written again and again goes over once.
const LOG_PAGES: u64 = 16_384;
/// How long a caller waits for a connection: longer than any transaction of ours takes, and no longer than a person waits.
const ACQUIRE_SECONDS: u64 = 30;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Connections that read; one more writes.
    pub readers_max: u32,
    /// How long to wait while another program writes.
    pub busy_wait: Duration,
    /// How large the file of SQLite may become, in bytes; beyond it the store is full. `None` is the disk's end.
    pub bytes_max: Option<u64>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { readers_max: 4, busy_wait: Duration::from_secs(5), bytes_max: None }
    }
}

/// Which database it is, and where.
#[derive(Debug, Clone)]
pub(crate) enum Database {
    Sqlite(PathBuf),
    Postgres(String),
}

impl Database {
    /// Reads an address.
    pub(crate) fn parse(address: &str) -> Result<Self, StoreError> {
        let (scheme, rest) = address.split_once(':').unwrap_or((address, ""));
        match scheme {
            // A database in memory is another one for each connection.
            "sqlite" if !rest.is_empty() && rest != ":memory:" => {
                Ok(Self::Sqlite(rest.strip_prefix("//").unwrap_or(rest).into()))
            }
            "postgres" | "postgresql" => Ok(Self::Postgres(address.to_owned())),
            _ => Err(StoreError::Address { scheme: scheme.to_owned() }),
        }
    }

    /// Makes the file of SQLite where there is none, for its owner alone; SQLite gives its other files the same permissions.
    pub(crate) fn make(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(path) => match make_private(path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                made => made.map_err(|error| StoreError::io(path, error)),
            },
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Connects once, to tell at once what is wrong: a pool would try again until its time is over.
    pub(crate) async fn check(&self, options: &StoreOptions) -> Result<(), StoreError> {
        let until = Instant::now() + options.busy_wait;
        loop {
            match self.set_up(options).await {
                // Of two that make the write-ahead log of a new file SQLite lets one wait, and tells the other at once.
                Err(StoreError::Busy(_)) if Instant::now() < until => sleep(BUSY_PAUSE).await,
                done => return done,
            }
        }
    }

    async fn set_up(&self, options: &StoreOptions) -> Result<(), StoreError> {
        let mut connection = self.connect().await?;
        sqlx::raw_sql(AssertSqlSafe(self.settings(options))).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    /// Opens the connection that writes.
    pub(crate) async fn writer(&self, options: &StoreOptions) -> Result<AnyPool, StoreError> {
        self.pool(1, self.settings(options)).await
    }

    /// Opens the connections that read.
    pub(crate) async fn readers(&self, options: &StoreOptions) -> Result<AnyPool, StoreError> {
        let mut settings = self.settings(options);
        settings.push_str(match self {
            Self::Sqlite(_) => "pragma query_only = on;",
            Self::Postgres(_) => "set default_transaction_read_only = on;",
        });
        self.pool(options.readers_max.max(1), settings).await
    }

    /// Opens a connection beside the pools.
    pub(crate) async fn connect(&self) -> Result<AnyConnection, StoreError> {
        Ok(AnyConnection::connect(&self.url()).await?)
    }

    /// Returns the statement that begins a transaction that writes: one that would have to wait at its first write, with SQLite,
    /// waits before it has read anything.
    pub(crate) fn begin(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "begin immediate",
            Self::Postgres(_) => "begin",
        }
    }

    /// Returns the statement that begins a transaction whose queries all see one moment.
    pub(crate) fn begin_reading(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "begin",
            Self::Postgres(_) => "begin isolation level repeatable read",
        }
    }

    /// Returns how the places of a query of many rows are written.
    pub(crate) fn places(&self) -> Places {
        match self {
            Self::Sqlite(_) => Places::Plain,
            Self::Postgres(_) => Places::Numbered,
        }
    }

    /// Returns the statement that lets one program after the other look after the schema, where the transaction does not.
    pub(crate) fn lock_schema(&self) -> Option<&'static str> {
        match self {
            Self::Sqlite(_) => None,
            // A number that nobody else takes: `cresset` in ASCII.
            Self::Postgres(_) => Some("select pg_advisory_xact_lock(27988549017167220)"),
        }
    }

    async fn pool(&self, connections: u32, settings: String) -> Result<AnyPool, StoreError> {
        let options = AnyPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(ACQUIRE_SECONDS))
            .idle_timeout(None)
            .max_lifetime(None)
            .after_connect(move |connection, _| {
                let settings = AssertSqlSafe(settings.clone());
                Box::pin(async move { sqlx::raw_sql(settings).execute(connection).await.map(|_| ()) })
            });
        Ok(options.connect(&self.url()).await?)
    }

    fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}?mode=rw", percent_encoded(path)),
            Self::Postgres(url) => url.clone(),
        }
    }

    /// Returns what each connection is told. With `synchronous = full` a commit is on the disk when it returns.
    fn settings(&self, options: &StoreOptions) -> String {
        let wait = options.busy_wait.as_millis();
        match self {
            Self::Sqlite(_) => {
                let pages = options.bytes_max.map_or(u64::from(u32::MAX) - 1, |bytes| bytes / PAGE_BYTES);
                format!(
                    "pragma busy_timeout = {wait}; pragma journal_mode = wal; pragma synchronous = full; \
                     pragma foreign_keys = on; pragma temp_store = memory; pragma cache_size = -{CACHE_KIB}; \
                     pragma wal_autocheckpoint = {LOG_PAGES}; \
                     pragma max_page_count = {pages};"
                )
            }
            Self::Postgres(_) => format!("set lock_timeout = {wait}; set client_min_messages = warning;"),
        }
    }
}

/// Makes a new file that its owner alone can read.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(|_| ())
}

/// Returns a path as an address holds it.
fn percent_encoded(path: &Path) -> String {
    path.as_os_str().as_encoded_bytes().iter().fold(String::new(), |mut text, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => text.push(char::from(*byte)),
            byte => write!(text, "%{byte:02x}").expect("a string takes all"),
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_database_is_refused_without_its_password() {
        for address in ["mysql://root:hunter2@host/db", "sqlite::memory:", "sqlite:", "records.db", ""] {
            let error = Database::parse(address).expect_err(address);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn any_path_fits_an_address() {
        assert_eq!(percent_encoded(Path::new("/a b/c?d#e%/ü.db")), "/a%20b/c%3fd%23e%25/%c3%bc.db");
    }
}
