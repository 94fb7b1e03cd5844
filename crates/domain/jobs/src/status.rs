//! The port of the status store: the state of recent jobs, shared between processes and readable by anyone who knows
//! the key `job:{job_id}:status`.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;
use trackside_core::TaskId;

use crate::{Error, JobRecord};

/// Where the state of recent jobs is kept.
///
/// # Laws
/// - **S-L1** what was put is read back until its time to live is over, and not afterwards.
/// - **S-L2** [`put_if_absent`](JobStatusStore::put_if_absent) never replaces what is there.
#[async_trait]
pub trait JobStatusStore: Send + Sync + Debug + 'static {
    /// Writes the state of a job; it is kept for `ttl`.
    async fn put(&self, record: &JobRecord, ttl: Duration) -> Result<(), Error>;

    /// Writes the state of a job unless there is one already.
    async fn put_if_absent(&self, record: &JobRecord, ttl: Duration) -> Result<(), Error>;

    /// The state of a job, while it is kept.
    async fn get(&self, id: TaskId) -> Result<Option<JobRecord>, Error>;
}

/// The states of this process' jobs.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use trackside_jobs::{JobStatusStore, MemoryJobStatusStore};
/// let store = MemoryJobStatusStore::default();
/// let unknown = trackside_core::TaskId::generate(&"agent_tasks".parse().unwrap());
/// assert!(store.get(unknown).await.unwrap().is_none());
/// # });
/// ```
#[derive(Debug, Default)]
pub struct MemoryJobStatusStore {
    states: Mutex<HashMap<TaskId, (Instant, JobRecord)>>,
}

// === impl MemoryJobStatusStore ===

impl MemoryJobStatusStore {
    /// The states that have not expired. Expired ones go when the map would otherwise grow.
    fn states(&self) -> MutexGuard<'_, HashMap<TaskId, (Instant, JobRecord)>> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        if states.len() == states.capacity() {
            let now = Instant::now();
            states.retain(|_, (expires, _)| *expires > now);
        }
        states
    }
}

#[async_trait]
impl JobStatusStore for MemoryJobStatusStore {
    async fn put(&self, record: &JobRecord, ttl: Duration) -> Result<(), Error> {
        self.states().insert(record.job_id, (Instant::now() + ttl, record.clone()));
        Ok(())
    }

    async fn put_if_absent(&self, record: &JobRecord, ttl: Duration) -> Result<(), Error> {
        let now = Instant::now();
        let mut states = self.states();
        if states.get(&record.job_id).is_none_or(|(expires, _)| *expires <= now) {
            states.insert(record.job_id, (now + ttl, record.clone()));
        }
        Ok(())
    }

    async fn get(&self, id: TaskId) -> Result<Option<JobRecord>, Error> {
        let now = Instant::now();
        Ok(self.states().get(&id).filter(|(expires, _)| *expires > now).map(|(_, record)| record.clone()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use trackside_core::{CorrelationId, QueueName, Timestamp};

    use super::*;
    use crate::{JobProgress, JobState};

    fn job(state: JobState) -> JobRecord {
        let queue: QueueName = "agent_tasks".parse().unwrap();
        JobRecord {
            job_id: TaskId::generate(&queue),
            tool: "any".to_owned(),
            params: json!({}),
            queue,
            user_id: None,
            project_id: None,
            correlation_id: CorrelationId::generate(),
            run: 0,
            state,
            progress: JobProgress::default(),
            created_at: Timestamp::from_millis(0),
            started_at: None,
            finished_at: None,
            worker_id: None,
            outputs: Vec::new(),
            exit_code: None,
            error: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_state_is_kept_for_its_time_and_its_place_is_freed_afterwards() {
        const TTL: Duration = Duration::from_secs(600);
        let store = MemoryJobStatusStore::default();
        let first = job(JobState::Running);
        store.put(&first, TTL).await.unwrap();
        store.put_if_absent(&JobRecord { state: JobState::Queued, ..first.clone() }, TTL).await.unwrap();
        assert_eq!(store.get(first.job_id).await.unwrap(), Some(first.clone()), "nothing was replaced");
        tokio::time::advance(TTL).await;
        assert_eq!(store.get(first.job_id).await.unwrap(), None);
        for _ in 0..1_000 {
            store.put(&job(JobState::Queued), TTL).await.unwrap();
            tokio::time::advance(TTL).await;
        }
        assert!(store.states.lock().unwrap().len() < 10, "what expired is not kept");
        store.put_if_absent(&first, TTL).await.unwrap();
        assert_eq!(store.get(first.job_id).await.unwrap(), Some(first));
    }
}
