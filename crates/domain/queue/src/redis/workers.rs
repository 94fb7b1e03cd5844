//! Workers on Redis: when what they say of themselves is noted, and how they are listed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

use tokio::time::Instant;
use trackside_core::{TaskId, Timestamp, WorkerId};
use trackside_redis::Reply;

use super::{
    Inner, Line,
    call::{failed, unexpected},
    record::Own,
    scripts::{NOTE, WORKERS},
};
use crate::{Error, Step, WorkerStatus, workers::NOTED_EVERY};

/// Workers whose times are remembered before those that are out of date are let go.
const REMEMBERED: usize = 1024;

/// When this process last noted something of each worker of a queue.
#[derive(Debug, Default)]
pub(super) struct Noted(Mutex<HashMap<WorkerId, Instant>>);

// === impl Noted ===

impl Noted {
    /// What the script is to note of the worker, when it is time for it; nothing of one that neither asks nor says.
    pub(super) fn due(&self, step: &Step) -> Option<String> {
        let said = match step.slots {
            Some(slots) => slots.to_string(),
            None if step.credits > 0 => format!("+{}", step.credits),
            None => return None,
        };
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if step.slots == Some(0) {
            return noted.remove(&step.worker).map(|_| said);
        }
        if noted.get(&step.worker).is_some_and(|at| at.elapsed() < NOTED_EVERY) {
            return None;
        }
        if noted.len() >= REMEMBERED {
            noted.retain(|_, at| at.elapsed() < NOTED_EVERY);
        }
        noted.insert(step.worker.clone(), Instant::now());
        Some(said)
    }
}

// === impl Inner ===

impl Inner {
    /// Notes what a worker that has places said of itself. Whatever goes wrong, the next time is near.
    pub(super) async fn note(&self, line: &Line, worker: &WorkerId, said: Option<String>) {
        let Some(said) = said else { return };
        if let Err(error) = self.call(line).arg(worker.as_str()).arg(said).run(self, &NOTE).await {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(queue.name = %line.name, worker.id = %worker, error, "a worker could not be noted");
        }
    }

    /// One round trip for about 256 workers and as many leases.
    pub(super) async fn workers(&self, line: &Line) -> Result<Vec<WorkerStatus>, Error> {
        let (mut workers, mut held) = (BTreeMap::new(), HashMap::new());
        let mut cursors = ["0".to_owned(), "0".to_owned()];
        while cursors.iter().any(|cursor| !cursor.is_empty()) {
            let [of_workers, of_leases] = &cursors;
            let call = self.call(line).arg(of_workers.as_str()).arg(of_leases.as_str());
            cursors = read(call.run(self, &WORKERS).await?, &mut workers, &mut held)?;
        }
        for (id, own) in held {
            let Ok(worker) = own.worker_id.parse::<WorkerId>() else { continue };
            let unseen = || WorkerStatus::seen(worker.clone(), own.started_at, own.started_at, 0);
            workers.entry(worker.clone()).or_insert_with(unseen).holds(id, own.started_at);
        }
        let mut workers: Vec<WorkerStatus> = workers.into_values().collect();
        workers.iter_mut().for_each(WorkerStatus::sort);
        Ok(workers)
    }
}

/// Adds a page, and answers the next cursors. What a page says twice counts once.
pub(super) fn read(
    reply: Reply,
    workers: &mut BTreeMap<WorkerId, WorkerStatus>,
    held: &mut HashMap<TaskId, Own>,
) -> Result<[String; 2], Error> {
    let shape = |error| failed(WORKERS.name(), error);
    let [of_workers, of_leases, rows, leases] = reply.into_array_of().map_err(shape)?;
    let mut rows = rows.into_array().map_err(shape)?.into_iter();
    while let (Some(id), Some(since), Some(seen), Some(slots)) = (rows.next(), rows.next(), rows.next(), rows.next()) {
        let id = id.into_string().map_err(shape)?;
        let id: WorkerId = id.parse().map_err(|_| unexpected(&WORKERS, "a name that no worker has"))?;
        let time = |at: Reply| at.as_u64().map(Timestamp::from_millis).map_err(shape);
        let worker = WorkerStatus::seen(id.clone(), time(since)?, time(seen)?, slots.as_u64().map_err(shape)?);
        workers.insert(id, worker);
    }
    for (id, own) in leases.into_pairs().map_err(shape)? {
        let id = TaskId::from_key(&id.into_string().map_err(shape)?)?;
        if let Some(own) = Own::read(&own.into_string().map_err(shape)?) {
            held.insert(id, own);
        }
    }
    Ok([of_workers.into_string().map_err(shape)?, of_leases.into_string().map_err(shape)?])
}

#[cfg(test)]
mod tests {
    use crate::workers::WORKER_TTL;

    #[test]
    fn the_script_lets_go_of_workers_when_every_store_does() {
        let line = format!("WORKER_TTL = KEYS[30], {}\n", WORKER_TTL.as_millis());
        assert!(include_str!("worker.lua").contains(&line));
    }
}
