//! Which tool a task asks for, and with what.

use serde_json::{Map, Value};
use trackside_core::{Timestamp, WorkerId};
use trackside_queue::ClaimedTask;

use super::JOB_KIND;
use crate::{JobProgress, JobRecord, JobState};

/// Fields of an element by which a producer may name the tool.
const NAMES: [&str; 5] = ["tool", "task", "kind", "type", "name"];

/// A tool and its parameters, not validated.
#[derive(Debug, PartialEq)]
pub(super) struct ToolCall {
    pub(super) tool: String,
    pub(super) params: Value,
    /// The producer said that this is a tool, so one that does not exist is a job that failed.
    pub(super) is_certain: bool,
}

// === impl ToolCall ===

impl ToolCall {
    /// Reads `{"tool", "params"}`, `{"task", "params"}`, and parameters that stand beside the name. An element that
    /// names nothing is all parameters, for the tool that the task's kind names.
    pub(super) fn read(task: &ClaimedTask) -> Result<Self, String> {
        let payload: Value =
            serde_json::from_slice(&task.payload).map_err(|error| format!("the payload is not JSON: {error}"))?;
        let Value::Object(mut payload) = payload else {
            return Err("the payload of a job is a JSON object".to_owned());
        };
        let named_by = NAMES.into_iter().find(|name| match payload.get(*name).and_then(Value::as_str) {
            // `name` and the like may be parameters; they name the tool only where the queue read the kind from them.
            Some(value) => matches!(*name, "tool" | "task") || value == task.kind,
            None => false,
        });
        let tool = match named_by.and_then(|name| payload.remove(name)) {
            Some(Value::String(tool)) => tool,
            _ if task.kind == JOB_KIND => return Err("the payload does not name a tool".to_owned()),
            _ => task.kind.clone(),
        };
        let is_certain = task.kind == JOB_KIND || matches!(named_by, Some("tool" | "task"));
        let params = match payload.get("params") {
            Some(Value::Object(_)) => payload.remove("params").unwrap_or_default(),
            _ if task.kind == JOB_KIND => Value::Object(Map::new()),
            _ => Value::Object(payload),
        };
        Ok(Self { tool, params, is_certain })
    }

    /// The job as it starts.
    pub(super) fn record(&self, task: &ClaimedTask, worker_id: &WorkerId, now: Timestamp) -> JobRecord {
        JobRecord {
            job_id: task.id,
            tool: self.tool.clone(),
            params: self.params.clone(),
            queue: task.queue.clone(),
            user_id: task.user_id.clone(),
            project_id: task.project_id.clone(),
            correlation_id: task.correlation_id.clone(),
            run: task.fence.0,
            state: JobState::Running,
            progress: JobProgress::default(),
            created_at: task.enqueued_at,
            started_at: Some(now),
            finished_at: None,
            worker_id: Some(worker_id.to_string()),
            outputs: Vec::new(),
            exit_code: None,
            error: None,
        }
    }
}
