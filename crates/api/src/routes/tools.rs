//! `/api/tools`: what can be run.

use axum::{Json, extract::State};
use serde::Serialize;
use trackside_jobs::{ManifestProblem, ToolInfo};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::ApiState;

/// The tools, and the manifests that were refused.
#[derive(Debug, Serialize, ToSchema)]
struct Tools {
    tools: Vec<ToolView>,
    problems: Vec<ManifestProblemView>,
}

/// A tool and what it takes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tool, example = json!({
    "name": "word-index", "description": "Counts the words of a folder of text files",
    "parameters": {"type": "object", "required": ["input"], "properties": {"input": {"type": "string"}}},
    "timeout_ms": 60000, "outputs": ["*.json"], "queue": "agent_tasks"
}))]
struct ToolView {
    name: String,
    description: String,
    /// JSON Schema of `params`.
    parameters: serde_json::Value,
    /// How long one run may take.
    timeout_ms: u64,
    /// Which files it leaves.
    outputs: Vec<String>,
    /// Where its jobs wait.
    queue: String,
    /// Why it cannot run on this machine, such as a program that is not installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// A manifest that was refused.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ManifestProblem)]
struct ManifestProblemView {
    file: String,
    reason: String,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// What can be run
#[utoipa::path(
    get, path = "/api/tools", tag = "tools and jobs", operation_id = "list_tools", responses((status = OK, body = Tools))
)]
async fn list(State(state): State<ApiState>) -> Json<Tools> {
    let registry = state.jobs.registry();
    Json(Tools {
        tools: registry.tools().into_iter().map(Into::into).collect(),
        problems: registry.problems().into_iter().map(Into::into).collect(),
    })
}

// === impl ToolView, ManifestProblemView ===

impl From<ToolInfo> for ToolView {
    fn from(tool: ToolInfo) -> Self {
        Self {
            name: tool.name,
            description: tool.description,
            parameters: tool.parameters,
            timeout_ms: tool.timeout_ms,
            outputs: tool.outputs,
            queue: tool.queue,
            problem: tool.problem,
        }
    }
}

impl From<ManifestProblem> for ManifestProblemView {
    fn from(problem: ManifestProblem) -> Self {
        Self { file: problem.file, reason: problem.reason }
    }
}
