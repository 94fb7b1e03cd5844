//! Asking for a job.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use trackside_core::{CorrelationId, QueueName, TaskId, TraceParent, UserId};
use trackside_queue::{NewTask, Priority, TaskOptions, TaskState};

use super::JobService;
use crate::{
    Error, JOB_KIND, JobProgress, JobRecord, JobState,
    handler::{JOB_ATTEMPTS, Reporter},
    metrics,
};

/// The runner keeps the tool's time limit; the queue's is there for a runner that does not, and so comes later.
const BEYOND_THE_TOOL: Duration = Duration::from_secs(30);

/// What somebody asks for.
///
/// ```
/// use trackside_jobs::RunRequest;
/// let request = RunRequest::new("word-index", serde_json::json!({"top": 5}));
/// assert!(request.user_id.is_none());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RunRequest {
    /// The tool.
    pub tool: String,
    /// Its parameters.
    pub params: Value,
    /// The user on whose behalf it runs; the brake acts on this.
    pub user_id: Option<UserId>,
    /// The project it belongs to.
    pub project_id: Option<String>,
    /// The level it waits in.
    pub priority: Priority,
    /// The id that joins it to the request; `None` means its own id.
    pub correlation_id: Option<CorrelationId>,
    /// The trace it belongs to.
    pub traceparent: Option<TraceParent>,
    /// What the caller calls the request: asking again under the same key answers the first job.
    pub idempotency_key: Option<String>,
}

/// What somebody gets for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobReceipt {
    /// The id of the job, of its task, and of its stream.
    pub job_id: TaskId,
    /// Where it is: queued.
    pub status: JobState,
    /// The queue it waits in.
    pub queue: QueueName,
    /// The id that joins it to the request.
    pub correlation_id: CorrelationId,
    /// Whether the job was asked for before, under the same idempotency key, and nothing was started.
    pub replayed: bool,
}

// === impl RunRequest ===

impl RunRequest {
    /// A request of nobody in particular.
    pub fn new(tool: impl Into<String>, params: Value) -> Self {
        Self {
            tool: tool.into(),
            params,
            user_id: None,
            project_id: None,
            priority: Priority::Normal,
            correlation_id: None,
            traceparent: None,
            idempotency_key: None,
        }
    }
}

// === impl JobService ===

impl JobService {
    /// Checks the parameters and adds the job to its tool's queue.
    ///
    /// The queue comes first: what it has is a job, whatever happens to this process next, because the worker that
    /// starts it writes its row when there is none. Only then is the job announced, so that nothing is ever announced
    /// that does not exist. In one process no job starts before it was announced.
    ///
    /// # Errors
    /// [`Error::UnknownTool`], [`Error::InvalidParams`], the queue's errors. After a timeout the job may exist; its
    /// stream and its row then appear when it starts.
    pub async fn submit(&self, request: RunRequest) -> Result<JobReceipt, Error> {
        let tool = self.shared.registry.get(&request.tool)?;
        let params = Value::Object(tool.validate(request.params)?);
        let queue = tool.manifest.queue.clone();
        let payload = json!({ "tool": request.tool, "params": params }).to_string();
        let task = NewTask::new(&queue, JOB_KIND, payload).with(TaskOptions {
            priority: request.priority,
            timeout: Some(tool.manifest.timeout + BEYOND_THE_TOOL),
            max_attempts: JOB_ATTEMPTS,
            user_id: request.user_id.clone(),
            project_id: request.project_id.clone(),
            correlation_id: request.correlation_id.clone(),
            traceparent: request.traceparent,
            idempotency_key: request.idempotency_key,
            ..TaskOptions::default()
        });
        let job_id = task.id;
        let correlation_id = request.correlation_id.unwrap_or_else(|| CorrelationId::accept(Some(&job_id.to_string())));
        let submitting = self.shared.live.submitting(job_id);
        let added = self.queue.enqueue(&queue, task).await?;
        if added.replayed {
            // Announced when it was asked for first; or, when that was interrupted, by the worker that starts it.
            let (job_id, status) = (added.id, job_state(added.state));
            return Ok(JobReceipt { job_id, status, queue, correlation_id, replayed: true });
        }
        metrics::created(&request.tool);
        let record = JobRecord {
            job_id,
            tool: request.tool,
            params,
            queue: queue.clone(),
            user_id: request.user_id,
            project_id: request.project_id,
            correlation_id: correlation_id.clone(),
            run: 0,
            state: JobState::Queued,
            progress: JobProgress::default(),
            created_at: self.shared.clock.now(),
            started_at: None,
            finished_at: None,
            worker_id: None,
            outputs: Vec::new(),
            exit_code: None,
            error: None,
        };
        Reporter::new(Arc::clone(&self.shared), record).created().await;
        drop(submitting);
        Ok(JobReceipt { job_id, status: job_state(added.state), queue, correlation_id, replayed: false })
    }
}

/// The state of a job whose task is in this state.
pub(super) const fn job_state(state: TaskState) -> JobState {
    match state {
        TaskState::Queued | TaskState::Delayed | TaskState::Waiting | TaskState::Failed => JobState::Queued,
        TaskState::Parked => JobState::Parked,
        TaskState::Active => JobState::Running,
        TaskState::Completed => JobState::Completed,
        TaskState::Dead => JobState::Failed,
        TaskState::Cancelled => JobState::Cancelled,
    }
}
