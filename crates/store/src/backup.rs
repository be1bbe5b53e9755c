//! A copy of the store while it is at work.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use sqlx::Connection;

use crate::database::{Database, make_private};
use crate::error::StoreError;
use crate::sql::Sql;
use crate::store::Store;

impl Store {
    /// Writes a copy as it is at one moment into a new file, for its owner alone: the whole of it or none. People read and write
    /// meanwhile. The copy is a store like any other.
    pub async fn backup(&self, path: &Path) -> Result<(), StoreError> {
        if let Database::Postgres(_) = self.database() {
            return Err(StoreError::BackupByPgDump);
        }
        if path.exists() {
            return Err(StoreError::conflict(format!("`{}` is there already: name a new file", path.display())));
        }
        let partial = Partial::make(path)?;
        let text =
            partial.0.to_str().ok_or_else(|| StoreError::conflict("the file's name is not UTF-8: name another"))?;
        let mut connection = self.database().connect().await?;
        Sql::new("vacuum into ?").text(text).run(&mut connection).await?;
        connection.close().await?;
        partial.become_whole(path)
    }
}

/// The file while it is written; removed where it does not become whole.
struct Partial(PathBuf);

impl Partial {
    fn make(path: &Path) -> Result<Self, StoreError> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        let partial = path.with_file_name(name);
        // Left by a program that was killed.
        let _ = fs::remove_file(&partial);
        make_private(&partial).map_err(|error| StoreError::io(&partial, error))?;
        Ok(Self(partial))
    }

    fn become_whole(self, path: &Path) -> Result<(), StoreError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let named = File::open(&self.0).and_then(|file| file.sync_all()).and_then(|()| fs::rename(&self.0, path));
        named.and_then(|()| File::open(folder)?.sync_all()).map_err(|error| StoreError::io(path, error))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Gone where it has become whole.
        let _ = fs::remove_file(&self.0);
    }
}
