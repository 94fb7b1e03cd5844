//! Reports which tasks of a paused user were told to stop and which did, for `GET /v1/agents/{user_id}/brake`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use trackside_control::{AgentControl, BrakeScope, StopOutcome};
use trackside_core::{TaskId, UserId};
use trackside_queue::{ClaimedTask, TaskEvent, TaskObserver};

/// Reports that wait to be written; beyond it they are dropped with a warning, the brake itself does not depend on them.
const WAITING: usize = 4_096;

/// Watches the tasks of this process. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Reports {
    running: Arc<Mutex<HashMap<TaskId, Running>>>,
    queue: mpsc::Sender<Report>,
}

#[derive(Debug)]
struct Running {
    user_id: UserId,
    /// Whether the brake told it to stop.
    ordered: bool,
}

#[derive(Debug)]
pub(crate) struct Report {
    user_id: UserId,
    task: TaskId,
    outcome: StopOutcome,
}

// === impl Reports ===

impl Reports {
    /// A watcher, and what it has to say, for [`write()`].
    pub(crate) fn new() -> (Self, mpsc::Receiver<Report>) {
        let (queue, reports) = mpsc::channel(WAITING);
        (Self { running: Arc::default(), queue }, reports)
    }

    /// The brake has just told the tasks that `scope` holds to stop.
    pub(crate) fn ordered(&self, scope: &BrakeScope) {
        for (id, running) in self.running().iter_mut() {
            let held = match scope {
                BrakeScope::User(user_id) => running.user_id == *user_id,
                BrakeScope::Everyone => true,
            };
            if held && !running.ordered {
                running.ordered = true;
                self.say(running.user_id.clone(), *id, StopOutcome::Ordered);
            }
        }
    }

    fn started(&self, task: &ClaimedTask) {
        if let Some(user_id) = task.user_id.clone() {
            self.running().insert(task.id, Running { user_id, ordered: false });
        }
    }

    fn ended(&self, task: &ClaimedTask) {
        let running = self.running().remove(&task.id);
        if let Some(running) = running.filter(|running| running.ordered) {
            self.say(running.user_id, task.id, StopOutcome::Stopped);
        }
    }

    fn say(&self, user_id: UserId, task: TaskId, outcome: StopOutcome) {
        if self.queue.try_send(Report { user_id, task, outcome }).is_err() {
            tracing::warn!(task.id = %task, "a report for the brake's verification was dropped");
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<TaskId, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TaskObserver for Reports {
    fn on(&self, event: &TaskEvent) {
        match event {
            TaskEvent::Started { task } => self.started(task),
            TaskEvent::Finished { task, .. } | TaskEvent::Returned { task, .. } | TaskEvent::LeaseLost { task } => {
                self.ended(task);
            }
            _ => {}
        }
    }
}

/// Writes reports as they come, until `end`.
pub(crate) async fn write(control: AgentControl, mut reports: mpsc::Receiver<Report>, end: CancellationToken) {
    while let Some(Some(Report { user_id, task, outcome })) = end.run_until_cancelled(reports.recv()).await {
        if let Err(error) = control.report(&user_id, &task.to_string(), outcome).await {
            tracing::warn!(task.id = %task, %error, "a report for the brake's verification was not written");
        }
    }
}
