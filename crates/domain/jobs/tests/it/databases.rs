//! The laws of the history, on SQLite and on PostgreSQL.

use std::sync::{Arc, Weak};

use anyhow::{Context, Result};
use tokio::sync::Mutex;
use trackside_jobs::{JobFilter, JobHistory, JobState, PostgresJobHistory, SqliteJobHistory, conformance};
use trackside_testkit::PostgresServer;

/// One test per law and database.
macro_rules! laws {
    ($($law:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $law() -> anyhow::Result<()> {
                let folder = tempfile::tempdir()?;
                let history = trackside_jobs::SqliteJobHistory::open(folder.path().join("jobs.sqlite")).await?;
                trackside_jobs::conformance::$law(&history).await;
                Ok(())
            })*
        }

        mod postgres {
            $(#[tokio::test]
            async fn $law() -> anyhow::Result<()> {
                let database = super::Database::new(stringify!($law)).await?;
                let history = trackside_jobs::PostgresJobHistory::connect(&database.url).await?;
                trackside_jobs::conformance::$law(&history).await;
                Ok(())
            })*
        }
    };
}

laws!(
    a_job_has_one_row_and_keeps_its_origin,
    a_job_goes_forward_only,
    concurrent_saves_leave_the_furthest,
    a_job_is_read_back_as_it_was_saved,
    pages_neither_repeat_nor_skip,
    filters_hold_together,
    unfinished_jobs_are_found,
    pruning_takes_what_ended_long_ago,
);

/// A database of its own on a server that the tests of this process share.
struct Database {
    url: String,
    /// The last test that uses the server stops it.
    _server: Arc<PostgresServer>,
}

impl Database {
    async fn new(name: &str) -> Result<Self> {
        static RUNNING: Mutex<Weak<PostgresServer>> = Mutex::const_new(Weak::new());
        let mut running = RUNNING.lock().await;
        let server = match running.upgrade() {
            Some(server) => server,
            None => Arc::new(PostgresServer::start().await?),
        };
        *running = Arc::downgrade(&server);
        drop(running);
        let admin = sqlx::PgPool::connect(&server.url()).await?;
        sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&admin).await?;
        admin.close().await;
        let url = server.url();
        let base = url.strip_suffix("/postgres").context("the url names the first database")?.to_owned();
        Ok(Self { url: format!("{base}/{name}"), _server: server })
    }
}

#[tokio::test]
async fn rows_in_sqlite_survive_a_writer_that_never_closed_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("deep/jobs.sqlite");
    let job = conformance::record("durable", 1_000);
    let history = SqliteJobHistory::open(&file).await?;
    history.save(&job).await?;
    let second = SqliteJobHistory::open(&file).await?;
    assert_eq!(second.get(job.job_id).await?, Some(job.clone()), "a second process reads while the first has it open");
    let running = trackside_jobs::JobRecord { state: JobState::Running, run: 1, ..job.clone() };
    assert!(second.save(&running).await?);
    assert_eq!(history.get(job.job_id).await?.map(|job| job.state), Some(JobState::Running));
    drop((history, second));
    assert_eq!(SqliteJobHistory::open(&file).await?.list(&JobFilter::default(), None, 10).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn many_writers_of_one_sqlite_file_wait_for_each_other() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("jobs.sqlite");
    let (first, second) = (SqliteJobHistory::open(&file).await?, SqliteJobHistory::open(&file).await?);
    let jobs: Vec<_> = (0..200).map(|at| conformance::record("busy", at)).collect();
    let saves = jobs.iter().enumerate().map(|(n, job)| if n % 2 == 0 { first.save(job) } else { second.save(job) });
    for saved in futures::future::join_all(saves).await {
        assert!(saved?);
    }
    assert_eq!(first.counts().await?, [(JobState::Queued, 200)]);
    Ok(())
}

#[tokio::test]
async fn rows_in_postgres_survive_the_client_and_two_may_migrate_at_once() -> Result<()> {
    let database = Database::new("durable").await?;
    let (first, second) =
        tokio::try_join!(PostgresJobHistory::connect(&database.url), PostgresJobHistory::connect(&database.url))?;
    let job = conformance::record("durable", 1_000);
    first.save(&job).await?;
    first.close().await;
    assert_eq!(second.get(job.job_id).await?, Some(job));
    Ok(())
}

#[tokio::test]
async fn an_error_of_the_database_never_holds_its_password() {
    let error = PostgresJobHistory::connect("postgres://user:hunter2@127.0.0.1:1/db").await.unwrap_err();
    let mut text = format!("{error:?} {error}");
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        text.push_str(&error.to_string());
        source = error.source();
    }
    assert!(!text.contains("hunter2"), "{text}");
    assert!(error.kind().is_store_outage(), "{:?}", error.kind());
}
