//! The history in an SQLite file, which needs nothing to be installed.

use std::{path::Path, time::Duration};

use sqlx::{
    Row, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};

use super::{database_error, sql::job_history_over};
use crate::Error;

/// How long a writer waits for another process' write to end.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Several readers, and one writer at a time; more connections would only wait for each other.
const CONNECTIONS: u32 = 4;

/// The history in an SQLite file.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use trackside_jobs::{JobHistory, SqliteJobHistory};
/// let folder = tempfile::tempdir().unwrap();
/// let history = SqliteJobHistory::open(folder.path().join("jobs.sqlite")).await?;
/// assert!(history.counts().await?.is_empty());
/// # Ok::<(), trackside_jobs::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct SqliteJobHistory {
    pool: SqlitePool,
}

// === impl SqliteJobHistory ===

impl SqliteJobHistory {
    /// Opens the file, or makes it, and brings its tables up to date. Write-ahead logging lets readers go on while one
    /// writes; a commit survives the death of the process, and of the machine up to the last moments.
    ///
    /// # Errors
    /// When the file cannot be opened, or was written by a newer version.
    pub async fn open(file: impl AsRef<Path>) -> Result<Self, Error> {
        if let Some(folder) = file.as_ref().parent() {
            let made = tokio::fs::create_dir_all(folder).await;
            made.map_err(|source| Error::io("create", folder, source))?;
        }
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(BUSY_TIMEOUT);
        let pool = pool.connect_with(options).await.map_err(|source| database_error("open", source))?;
        let migrated = sqlx::migrate!("migrations/sqlite").run(&pool).await;
        migrated.map_err(|source| database_error("migrate", source.into()))?;
        Ok(Self { pool })
    }

    /// Closes every connection, so that the file holds all that was written.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

job_history_over!(SqliteJobHistory, SqliteRow);
