//! The history in PostgreSQL, for several machines that share one.

use std::{str::FromStr, time::Duration};

use sqlx::{
    PgPool, Row,
    postgres::{PgConnectOptions, PgPoolOptions, PgRow},
};

use super::{database_error, sql::job_history_over};
use crate::Error;

const CONNECTIONS: u32 = 8;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// The history in a PostgreSQL database.
///
/// ```no_run
/// # async fn open() -> Result<(), trackside_jobs::Error> {
/// use trackside_jobs::{JobHistory, PostgresJobHistory};
/// let history = PostgresJobHistory::connect("postgres://trackside@db.example.org/trackside").await?;
/// history.ping().await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct PostgresJobHistory {
    pool: PgPool,
}

// === impl PostgresJobHistory ===

impl PostgresJobHistory {
    /// Connects and brings the tables up to date; several processes may do so at once.
    ///
    /// # Errors
    /// When the URL is malformed, the server cannot be reached within five seconds, or the tables were made by a newer
    /// version. The error never holds the URL, which may carry a password.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let options = PgConnectOptions::from_str(url).map_err(|source| database_error("parse the URL", source))?;
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE_TIMEOUT);
        let pool = pool.connect_with(options.application_name("trackside")).await;
        let pool = pool.map_err(|source| database_error("connect", source))?;
        let migrated = sqlx::migrate!("migrations/postgres").run(&pool).await;
        migrated.map_err(|source| database_error("migrate", source.into()))?;
        Ok(Self { pool })
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

job_history_over!(PostgresJobHistory, PgRow);
