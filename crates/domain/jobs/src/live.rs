//! What this process knows by itself: the jobs that it runs, and those that it is just submitting.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::{CancellationToken, DropGuard};
use trackside_core::TaskId;

use crate::JobRecord;

/// Jobs of this process. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct LiveJobs {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The newest run of each job that runs here.
    running: Mutex<HashMap<TaskId, JobRecord>>,
    /// Jobs that the queue may have already and that were not announced yet.
    submitting: Mutex<HashMap<TaskId, CancellationToken>>,
}

/// Makes a running job known for as long as it lives.
#[derive(Debug)]
pub(crate) struct LiveJob {
    jobs: LiveJobs,
    id: TaskId,
    run: u64,
}

/// Holds back the start of a job until it was announced; dropping it lets the job start.
#[derive(Debug)]
pub(crate) struct Submitting {
    jobs: LiveJobs,
    id: TaskId,
    _release: DropGuard,
}

// === impl LiveJobs ===

impl LiveJobs {
    pub(crate) fn submitting(&self, id: TaskId) -> Submitting {
        let token = CancellationToken::new();
        lock(&self.inner.submitting).insert(id, token.clone());
        Submitting { jobs: self.clone(), id, _release: token.drop_guard() }
    }

    /// Returns once the job is announced, at once when this process is not submitting it.
    pub(crate) async fn announced(&self, id: TaskId) {
        let token = lock(&self.inner.submitting).get(&id).cloned();
        if let Some(token) = token {
            token.cancelled().await;
        }
    }

    pub(crate) fn started(&self, record: &JobRecord) -> LiveJob {
        lock(&self.inner.running).insert(record.job_id, record.clone());
        LiveJob { jobs: self.clone(), id: record.job_id, run: record.run }
    }

    pub(crate) fn get(&self, id: TaskId) -> Option<JobRecord> {
        lock(&self.inner.running).get(&id).cloned()
    }

    pub(crate) fn contains(&self, id: TaskId) -> bool {
        lock(&self.inner.running).contains_key(&id)
    }

    pub(crate) fn count(&self) -> usize {
        lock(&self.inner.running).len()
    }
}

// === impl LiveJob ===

impl LiveJob {
    /// Replaces what is known, unless a later run of the job took the place.
    pub(crate) fn update(&self, record: &JobRecord) {
        if let Some(known) = lock(&self.jobs.inner.running).get_mut(&self.id)
            && known.run == self.run
        {
            known.clone_from(record);
        }
    }
}

impl Drop for LiveJob {
    fn drop(&mut self) {
        let mut running = lock(&self.jobs.inner.running);
        if running.get(&self.id).is_some_and(|known| known.run == self.run) {
            running.remove(&self.id);
        }
    }
}

// === impl Submitting ===

impl Drop for Submitting {
    fn drop(&mut self) {
        lock(&self.jobs.inner.submitting).remove(&self.id);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
