//! Continues a task's trace: the request, the queue and the tool are one.

use async_trait::async_trait;
use bytes::Bytes;
use tracing::Instrument as _;
use trackside_queue::{ClaimedTask, TaskContext, TaskFailure, TaskHandler};

/// A handler whose work belongs to the trace that the task carries, and whose tools continue it from there.
#[derive(Debug, Clone)]
pub(crate) struct Traced<H>(pub(crate) H);

#[async_trait]
impl<H: TaskHandler> TaskHandler for Traced<H> {
    async fn handle(&self, task: &ClaimedTask, context: &TaskContext) -> Result<Option<Bytes>, TaskFailure> {
        // A trace of its own in this process until the parent is set: a span that was entered cannot be moved.
        let span = tracing::info_span!(
            parent: None,
            "task.process",
            otel.kind = "consumer",
            queue.name = %task.queue,
            task.id = %task.id,
            task.kind = task.kind,
            task.attempt = task.attempt,
            correlation.id = %task.correlation_id,
        );
        if let Some(parent) = &task.traceparent {
            trackside_telemetry::set_parent(&span, parent);
        }
        let here = span.in_scope(trackside_telemetry::current_traceparent);
        let traceparent = here.or_else(|| task.traceparent.clone());
        let task = ClaimedTask { traceparent, ..task.clone() };
        self.0.handle(&task, context).instrument(span).await
    }
}
