//! `enqueue` of an acknowledgement: what follows when a task is done.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use trackside_core::{QueueName, TaskId};
use trackside_queue::{Error, Fence, NewTask};
use utoipa::ToSchema;

use super::{queue_tasks::EnqueueRequest, tasks::require};
use crate::{ApiState, extract::Without, middleware::correlation::RequestContext, problem::Problem, wire::TaskState};

/// A task that follows: as it would be enqueued, and its queue.
#[derive(Debug, ToSchema)]
#[schema(as = NextTask)]
pub(super) struct NextRequest {
    /// That of the task which is done, when left out.
    #[schema(value_type = Option<String>)]
    queue: Option<QueueName>,
    #[serde(flatten)]
    task: EnqueueRequest,
}

/// A task that follows.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NextTaskAccepted, example = json!({
    "task_id": "0198c2d4-7c1e-7448-8000-0d7f5a2f4c11", "queue": "agent_tasks", "status": "queued"
}))]
pub(super) struct NextAccepted {
    /// The new task; or the one that holds its unique key.
    task_id: String,
    queue: String,
    /// Where it is now.
    status: TaskState,
}

/// The tasks that follow, ready to be enqueued with the completion.
pub(super) async fn tasks(
    state: &ApiState,
    id: TaskId,
    fence: Fence,
    requests: Vec<NextRequest>,
    context: &RequestContext,
) -> Result<Vec<(QueueName, NewTask)>, Problem> {
    if requests.is_empty() {
        return Ok(Vec::new());
    }
    let home = require(state, id).await?.queue;
    let (mut next, mut ids) = (Vec::with_capacity(requests.len()), Vec::with_capacity(requests.len()));
    for (index, NextRequest { task, queue }) in requests.into_iter().enumerate() {
        let queue = queue.unwrap_or_else(|| home.clone());
        let task = task.into_task(&queue, context, None, &ids);
        let mut task = task.map_err(|problem| problem.of_item(index).inside("enqueue"))?;
        // They are those of the task which is done, not of the request that says so.
        (task.options.correlation_id, task.options.traceparent) = (None, None);
        ids.push(task.id);
        next.push((queue, task));
    }
    state.queues.next_tasks(id, fence, next).await.map_err(|error| match error {
        Error::Item { index, source } => match *source {
            Error::BatchTooLarge { given, limit } => too_many(given, limit),
            source => Problem::from(source).of_item(index).inside("enqueue"),
        },
        error => error.into(),
    })
}

fn too_many(given: usize, limit: usize) -> Problem {
    Problem::invalid_field("enqueue", format!("{given} tasks or dependencies, at most {limit}"))
}

// === impl NextRequest, NextAccepted ===

impl<'de> Deserialize<'de> for NextRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NextVisitor)
    }
}

struct NextVisitor;

impl<'de> Visitor<'de> for NextVisitor {
    type Value = NextRequest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<NextRequest, A::Error> {
        let mut queue = None;
        let task = EnqueueRequest::deserialize(MapAccessDeserializer::new(Without::new("queue", map, &mut queue)))?;
        Ok(NextRequest { queue: queue.flatten(), task })
    }
}

impl From<trackside_queue::NextTask> for NextAccepted {
    fn from(next: trackside_queue::NextTask) -> Self {
        let trackside_queue::NextTask { queue, task } = next;
        Self { task_id: task.id.to_string(), queue: queue.to_string(), status: task.state.into() }
    }
}
