//! The statements of the history, which SQLite and PostgreSQL both understand, and the port over either of them.
//!
//! The tables differ only in their types, see `migrations/`. JSON is kept as text: PostgreSQL's `jsonb` refuses the
//! escape `\u0000`, which parameters may hold.

use serde::Serialize;
use serde::de::DeserializeOwned;
use trackside_core::Timestamp;

use crate::JobRecord;

/// J-L1 to J-L3 in one statement, so that they hold between processes.
pub(super) const SAVE: &str = "
INSERT INTO jobs (job_id, tool, params, queue, user_id, project_id, correlation_id, created_at,
                  run, phase, state, percent, message, started_at, finished_at, worker_id, outputs, exit_code, error)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
ON CONFLICT (job_id) DO UPDATE SET
    run = excluded.run, phase = excluded.phase, state = excluded.state, percent = excluded.percent,
    message = excluded.message, started_at = excluded.started_at, finished_at = excluded.finished_at,
    worker_id = excluded.worker_id, outputs = excluded.outputs, exit_code = excluded.exit_code, error = excluded.error
WHERE jobs.state NOT IN ('completed', 'cancelled')
  AND (excluded.run > jobs.run OR (excluded.run = jobs.run AND excluded.phase >= jobs.phase))";

pub(super) const GET: &str = "SELECT * FROM jobs WHERE job_id = $1";

/// Ids are UUIDv7, so their order is the order of creation and the primary key is the index of every page.
pub(super) const LIST: &str = "
SELECT * FROM jobs
WHERE (CAST($1 AS TEXT) IS NULL OR tool = $1)
  AND (CAST($2 AS TEXT) IS NULL OR user_id = $2)
  AND (CAST($3 AS TEXT) IS NULL OR state = $3)
  AND (CAST($4 AS BIGINT) IS NULL OR created_at >= $4)
  AND (CAST($5 AS BIGINT) IS NULL OR created_at < $5)
  AND (CAST($6 AS TEXT) IS NULL OR job_id < $6)
ORDER BY job_id DESC LIMIT $7";

pub(super) const UNFINISHED: &str = "
SELECT * FROM jobs
WHERE state IN ('queued', 'running', 'parked') AND (CAST($1 AS TEXT) IS NULL OR job_id > $1)
ORDER BY job_id LIMIT $2";

pub(super) const COUNTS: &str = "SELECT state, COUNT(*) AS jobs FROM jobs GROUP BY state";

pub(super) const PRUNE: &str =
    "DELETE FROM jobs WHERE state IN ('completed', 'failed', 'cancelled') AND finished_at < $1";

/// A column that holds something that this program did not write.
pub(super) fn invalid(column: &str, reason: impl std::fmt::Display) -> sqlx::Error {
    sqlx::Error::Decode(format!("column {column}: {reason}").into())
}

pub(super) fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(millis).unwrap_or(0))
}

pub(super) fn to_json<T: Serialize>(column: &str, value: &T) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(format!("column {column}: {error}").into()))
}

pub(super) fn from_json<T: DeserializeOwned>(column: &str, text: &str) -> Result<T, sqlx::Error> {
    serde_json::from_str(text).map_err(|error| invalid(column, error))
}

/// PostgreSQL's text takes every character but NUL.
pub(super) fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

/// The run as the database's signed integer; a fence never gets near the limit.
pub(super) fn run(record: &JobRecord) -> i64 {
    i64::try_from(record.run).unwrap_or(i64::MAX)
}

/// Implements the port for a type with a `pool` of a database; one body, so that the two cannot drift apart.
macro_rules! job_history_over {
    ($history:ty, $row:ty) => {
        #[async_trait::async_trait]
        impl $crate::JobHistory for $history {
            async fn save(&self, record: &$crate::JobRecord) -> Result<bool, $crate::Error> {
                use $crate::history::sql;
                let fail = |source| $crate::history::database_error("save", source);
                let text = |text: &Option<String>| text.as_deref().map(sql::without_nul);
                let result = sqlx::query(sql::SAVE)
                    .bind(record.job_id.to_string())
                    .bind(&record.tool)
                    .bind(sql::to_json("params", &record.params).map_err(fail)?)
                    .bind(record.queue.as_str())
                    .bind(record.user_id.as_ref().map(|user| user.as_str()))
                    .bind(text(&record.project_id))
                    .bind(record.correlation_id.as_str())
                    .bind(sql::millis(record.created_at))
                    .bind(sql::run(record))
                    .bind(record.phase())
                    .bind(record.state.as_str())
                    .bind(f64::from(record.progress.percent))
                    .bind(text(&record.progress.message))
                    .bind(record.started_at.map(sql::millis))
                    .bind(record.finished_at.map(sql::millis))
                    .bind(text(&record.worker_id))
                    .bind(sql::to_json("outputs", &record.outputs).map_err(fail)?)
                    .bind(record.exit_code)
                    .bind(text(&record.error))
                    .execute(&self.pool)
                    .await
                    .map_err(fail)?;
                Ok(result.rows_affected() > 0)
            }

            async fn get(&self, id: trackside_core::TaskId) -> Result<Option<$crate::JobRecord>, $crate::Error> {
                let fail = |source| $crate::history::database_error("get", source);
                let row = sqlx::query($crate::history::sql::GET).bind(id.to_string()).fetch_optional(&self.pool);
                row.await.and_then(|row| row.as_ref().map(record).transpose()).map_err(fail)
            }

            async fn list(
                &self,
                filter: &$crate::JobFilter,
                after: Option<trackside_core::TaskId>,
                limit: u32,
            ) -> Result<Vec<$crate::JobRecord>, $crate::Error> {
                use $crate::history::sql;
                let rows = sqlx::query(sql::LIST)
                    .bind(filter.tool.as_deref())
                    .bind(filter.user_id.as_ref().map(|user| user.as_str()))
                    .bind(filter.state.map(|state| state.as_str()))
                    .bind(filter.since.map(sql::millis))
                    .bind(filter.until.map(sql::millis))
                    .bind(after.map(|id| id.to_string()))
                    .bind(i64::from(limit.min($crate::history::MAX_PAGE)))
                    .fetch_all(&self.pool)
                    .await;
                let records = rows.and_then(|rows| rows.iter().map(record).collect());
                records.map_err(|source| $crate::history::database_error("list", source))
            }

            async fn unfinished(
                &self,
                after: Option<trackside_core::TaskId>,
                limit: u32,
            ) -> Result<Vec<$crate::JobRecord>, $crate::Error> {
                let rows = sqlx::query($crate::history::sql::UNFINISHED)
                    .bind(after.map(|id| id.to_string()))
                    .bind(i64::from(limit.min($crate::history::MAX_PAGE)))
                    .fetch_all(&self.pool)
                    .await;
                let records = rows.and_then(|rows| rows.iter().map(record).collect());
                records.map_err(|source| $crate::history::database_error("unfinished", source))
            }

            async fn counts(&self) -> Result<Vec<($crate::JobState, u64)>, $crate::Error> {
                let rows = sqlx::query($crate::history::sql::COUNTS).fetch_all(&self.pool).await;
                let counts = rows.and_then(|rows| {
                    let count =
                        |row: &$row| Ok((state(row)?, u64::try_from(row.try_get::<i64, _>("jobs")?).unwrap_or(0)));
                    rows.iter().map(count).collect()
                });
                counts.map_err(|source| $crate::history::database_error("counts", source))
            }

            async fn prune(&self, before: trackside_core::Timestamp) -> Result<u64, $crate::Error> {
                use $crate::history::sql;
                let pruned = sqlx::query(sql::PRUNE).bind(sql::millis(before)).execute(&self.pool).await;
                pruned
                    .map(|pruned| pruned.rows_affected())
                    .map_err(|source| $crate::history::database_error("prune", source))
            }

            async fn ping(&self) -> Result<(), $crate::Error> {
                let answer = sqlx::query("SELECT 1").execute(&self.pool).await;
                answer.map(drop).map_err(|source| $crate::history::database_error("ping", source))
            }
        }

        fn state(row: &$row) -> Result<$crate::JobState, sqlx::Error> {
            let text: &str = row.try_get("state")?;
            $crate::JobState::parse(text).ok_or_else(|| $crate::history::sql::invalid("state", text))
        }

        fn record(row: &$row) -> Result<$crate::JobRecord, sqlx::Error> {
            use $crate::history::sql::{from_json, invalid, timestamp};
            let text = |column: &'static str| row.try_get::<&str, _>(column);
            let time =
                |column: &'static str| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.map(timestamp));
            let user_id = row.try_get::<Option<&str>, _>("user_id")?;
            #[expect(clippy::cast_possible_truncation, reason = "it was widened from this type")]
            let percent = row.try_get::<f64, _>("percent")? as f32;
            Ok($crate::JobRecord {
                job_id: text("job_id")?.parse().map_err(|error| invalid("job_id", error))?,
                tool: text("tool")?.to_owned(),
                params: from_json("params", text("params")?)?,
                queue: text("queue")?.parse().map_err(|error| invalid("queue", error))?,
                user_id: user_id.map(str::parse).transpose().map_err(|error| invalid("user_id", error))?,
                project_id: row.try_get("project_id")?,
                correlation_id: text("correlation_id")?.parse().map_err(|error| invalid("correlation_id", error))?,
                run: u64::try_from(row.try_get::<i64, _>("run")?).unwrap_or(0),
                state: state(row)?,
                progress: $crate::JobProgress { percent, message: row.try_get("message")? },
                created_at: timestamp(row.try_get("created_at")?),
                started_at: time("started_at")?,
                finished_at: time("finished_at")?,
                worker_id: row.try_get("worker_id")?,
                outputs: from_json("outputs", text("outputs")?)?,
                exit_code: row.try_get("exit_code")?,
                error: row.try_get("error")?,
            })
        }
    };
}

pub(super) use job_history_over;
