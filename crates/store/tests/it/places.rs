//! Empty databases: files of SQLite, and databases of a PostgreSQL that these tests start and stop.

use std::future::Future;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cresset_store::{Store, StoreOptions};
use cresset_testing::not_installed;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use tempfile::TempDir;

/// An empty database.
pub(crate) struct Place {
    pub(crate) address: String,
    /// The folder of the file, and for what a test writes.
    pub(crate) folder: TempDir,
}

impl Place {
    pub(crate) fn is_sqlite(&self) -> bool {
        self.address.starts_with("sqlite:")
    }

    /// The file of SQLite.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("records.db")
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.address, StoreOptions::default()).await.expect("a store")
    }

    /// Opens a connection past the store.
    pub(crate) async fn connect(&self) -> AnyConnection {
        connect(&if self.is_sqlite() { format!("{}?mode=rwc", self.address) } else { self.address.clone() }).await
    }

    /// Waits until PostgreSQL has ended what it still did for programs that are gone.
    pub(crate) async fn others_are_gone(&self) {
        if self.is_sqlite() {
            return;
        }
        let others = "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
        let mut connection = self.connect().await;
        while !sqlx::query(others).fetch_all(&mut connection).await.expect("asked").is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        connection.close().await.expect("closed");
    }

    /// Does something past the store.
    pub(crate) async fn tamper(&self, sql: &str) -> u64 {
        let mut connection = self.connect().await;
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect(sql);
        connection.close().await.expect("closed");
        done.rows_affected()
    }
}

async fn connect(address: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(address).await.expect("a connection")
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

pub(crate) fn sqlite() -> Place {
    let folder = tempfile::tempdir().expect("a folder");
    Place { address: format!("sqlite:{}", folder.path().join("records.db").display()), folder }
}

pub(crate) fn over_sqlite<F: Future<Output = ()>>(test: impl FnOnce(Place) -> F) {
    block_on(test(sqlite()));
}

pub(crate) fn over_postgres<F: Future<Output = ()>>(test: impl FnOnce(Place) -> F) {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let Some(server) = Server::of_these_tests() else { return };
    let name = format!("place{}", MADE.fetch_add(1, Ordering::Relaxed));
    block_on(async {
        let mut connection = connect(&server.address("postgres")).await;
        let made = sqlx::raw_sql(AssertSqlSafe(format!("create database {name}"))).execute(&mut connection).await;
        made.expect("a database");
        connection.close().await.expect("closed");
        test(Place { address: server.address(&name), folder: tempfile::tempdir().expect("a folder") }).await;
    });
}

/// A PostgreSQL in a folder of its own, reached by a socket in it. It stops and is removed when the pipe to it closes, which
/// the end of the tests does, however they end.
struct Server {
    folder: String,
    _shell: Child,
}

/// PostgreSQL refuses root. Nothing outlives the tests, so that nothing needs to reach the disk.
const SERVE: &str = r#"
folder=$(mktemp -d) && cd "$folder" || exit 1
"$1/initdb" -D data -A trust -U postgres --no-sync >log 2>&1 &&
"$1/pg_ctl" -D data -l log -w -o "-k '$folder' -c listen_addresses= -c fsync=off -c max_connections=200" start >>log 2>&1 ||
{ cat log >&2; exit 1; }
echo "$folder"
read -r _
"$1/pg_ctl" -D data -m immediate stop >>log 2>&1
cd / && rm -rf "$folder"
"#;

impl Server {
    fn of_these_tests() -> Option<&'static Self> {
        static SERVER: OnceLock<Option<Server>> = OnceLock::new();
        SERVER.get_or_init(Self::start).as_ref()
    }

    fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            not_installed("the store over PostgreSQL", "PostgreSQL");
            return None;
        };
        let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
        let mut command = if is_root { Command::new("runuser") } else { Command::new("sh") };
        if is_root {
            command.args(["-u", "postgres", "--", "sh"]);
        }
        command.args(["-c", SERVE, "serve"]).arg(programs).current_dir("/");
        let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");
        let mut folder = String::new();
        BufReader::new(shell.stdout.take().expect("a pipe")).read_line(&mut folder).expect("a line");
        assert!(folder.ends_with('\n'), "PostgreSQL is installed and does not start");
        Some(Self { folder: folder.trim_end().into(), _shell: shell })
    }

    fn address(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", self.folder)
    }
}

/// Returns the folder of PostgreSQL's programs, where Debian puts them: the newest.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let folders = versions.map(|version| version.join("bin")).filter(|folder| folder.join("initdb").exists());
    folders.max_by_key(|folder| folder.parent().and_then(|version| version.file_name()?.to_str()?.parse::<u32>().ok()))
}
