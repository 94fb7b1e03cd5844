//! The table: what every operation answers while the store is in trouble.

use Says::{Code, Degraded, Refused, Same, Soon};

/// What an operation answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    /// What it answers when all is well.
    Same,
    /// A problem of the store, 503 with `Retry-After`.
    Refused,
    /// Another status than when all is well: it goes on without the store.
    Code(u16),
    /// The same as soon as it is noticed that the store is away.
    Soon(u16),
    /// The stream is opened, and begins with `degraded`.
    Degraded,
}

/// One operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// Method and path, as the API description has them.
    pub(crate) operation: &'static str,
    /// What is sent, with the names of the row's own things in angle brackets; nothing when empty.
    pub(crate) body: &'static str,
    /// The status when all is well.
    pub(crate) well: u16,
    /// The status when all is well and it was done before.
    pub(crate) again: u16,
    /// With the store away, hung, or slower than a command may be.
    pub(crate) lost: Says,
    /// With a store that takes no writes: a replica, or one with too few replicas.
    pub(crate) unwritable: Says,
    /// With a store that has no memory left.
    pub(crate) full: Says,
}

const fn row(operation: &'static str, body: &'static str, well: u16, [lost, unwritable, full]: [Says; 3]) -> Row {
    Row { operation, body, well, again: well, lost, unwritable, full }
}

/// The same row, whose status is another one when it was asked before.
const fn once(row: Row, again: u16) -> Row {
    Row { again, ..row }
}

const TASK: &str = r#"{"kind": "k", "payload": 1}"#;
const ONE: &str = r#"{"fence": <fence>}"#;
const MANY: &str = r#"{"tasks": [{"task_id": "<task>", "fence": <fence>}]}"#;
const SCHEDULE: &str = r#"{"queue": "<queue>", "kind": "k", "payload": 1, "every_ms": 3600000}"#;

/// Needs no store.
const APART: [Says; 3] = [Same; 3];
/// Reads the store, and nothing else.
const READS: [Says; 3] = [Refused, Same, Same];
/// Promises something that only the store can keep.
const WRITES: [Says; 3] = [Refused; 3];
/// Takes away from the store, for which there always is memory.
const FREES: [Says; 3] = [Refused, Refused, Same];

/// Every documented operation has a row. One that is asked in two ways has two.
#[rustfmt::skip]
pub(crate) const TABLE: &[Row] = &[
    // What runs here.
    row("GET /", "", 200, APART),
    row("POST /login", "key=<key>", 303, APART),
    row("POST /logout", "", 303, APART),
    row("GET /problems/{slug}", "", 200, APART),
    row("GET /health", "", 200, APART),
    row("GET /health/live", "", 200, APART),
    row("GET /health/ready", "", 200, [Soon(503), Same, Same]),
    row("GET /metrics", "", 200, APART),
    row("GET /api/stats", "", 200, APART),
    // Tools and jobs: what they came to is in a history of its own.
    row("GET /api/tools", "", 200, APART),
    row("POST /api/run", r#"{"tool": "count"}"#, 202, WRITES),
    row("GET /api/jobs", "", 200, APART),
    row("GET /api/jobs/events", "", 200, APART),
    row("GET /api/jobs/ws", "", 101, APART),
    row("GET /api/jobs/{id}", "", 200, APART),
    row("DELETE /api/jobs/{id}", "", 200, FREES),
    row("GET /api/jobs/{id}/events", "", 200, [Degraded, Same, Same]),
    row("GET /api/jobs/{id}/outputs/{name}", "", 200, APART),
    // Queues.
    row("GET /v1/queues", "", 200, READS),
    row("GET /v1/queues/{queue}", "", 200, READS),
    row("GET /v1/queues/{queue}/audit", "", 200, READS),
    row("GET /v1/queues/{queue}/scale", "", 200, READS),
    row("GET /v1/queues/{queue}/policy", "", 200, READS),
    row("PUT /v1/queues/{queue}/policy", r#"{"max_depth": 1000}"#, 200, FREES),
    row("GET /v1/queues/{queue}/workers", "", 200, READS),
    row("POST /v1/queues/{queue}/pause", "", 200, FREES),
    row("POST /v1/queues/{queue}/resume", "", 200, FREES),
    row("POST /v1/queues/{queue}/repair", "", 200, READS),
    row("GET /v1/queues/{queue}/dead", "", 200, READS),
    row("DELETE /v1/queues/{queue}/dead", r#"{"all": true}"#, 200, FREES),
    row("POST /v1/queues/{queue}/dead/requeue", r#"{"all": true}"#, 200, FREES),
    row("GET /v1/queues/{queue}/tasks", "", 200, READS),
    row("POST /v1/queues/{queue}/tasks", TASK, 202, WRITES),
    row("POST /v1/queues/{queue}/tasks", r#"[{"kind": "k", "payload": 1}, {"kind": "k", "payload": 2}]"#, 202, WRITES),
    row("POST /v1/queues/{queue}/lease", r#"{"worker_id": "w", "wait_ms": 2000}"#, 200, FREES),
    row("GET /v1/alerts", "", 200, READS),
    // Tasks.
    row("GET /v1/tasks/{id}", "", 200, READS),
    row("DELETE /v1/tasks/{id}", "", 200, FREES),
    row("GET /v1/tasks/{id}/events", "", 200, [Degraded; 3]),
    row("GET /v1/tasks/{id}/predecessors", "", 200, READS),
    row("POST /v1/tasks/{id}/ack", ONE, 200, FREES),
    row("POST /v1/tasks/{id}/fail", r#"{"fence": <fence>, "error": "e"}"#, 200, FREES),
    row("POST /v1/tasks/{id}/release", ONE, 200, FREES),
    row("POST /v1/tasks/{id}/extend", ONE, 200, FREES),
    row("POST /v1/tasks/{id}/progress", r#"{"fence": <fence>, "percent": 40}"#, 200, FREES),
    row("POST /v1/tasks/ack", MANY, 200, FREES),
    row("POST /v1/tasks/fail", r#"{"tasks": [{"task_id": "<task>", "fence": <fence>, "error": "e"}]}"#, 200, FREES),
    row("POST /v1/tasks/release", MANY, 200, FREES),
    row("POST /v1/tasks/extend", MANY, 200, FREES),
    row("POST /v1/tasks/progress", MANY, 200, FREES),
    // Schedules.
    row("GET /v1/schedules", "", 200, READS),
    row("GET /v1/schedules/{name}", "", 200, READS),
    row("PUT /v1/schedules/{name}", SCHEDULE, 200, WRITES),
    once(row("DELETE /v1/schedules/{name}", "", 204, FREES), 404),
    row("POST /v1/schedules/{name}/pause", "", 200, FREES),
    row("POST /v1/schedules/{name}/resume", "", 200, WRITES),
    row("POST /v1/schedules/{name}/run", "", 202, WRITES),
    // Webhooks.
    row("POST /webhooks/{source}", r#"{"action": "opened"}"#, 202, WRITES),
    // Progress: taken by this process, and written when the store is back.
    row("GET /v1/progress/{id}", "", 200, APART),
    row("GET /v1/progress/{id}/events", "", 200, [Degraded, Same, Same]),
    row("PUT /v1/progress/{id}", "", 200, APART),
    row("PUT /v1/progress/{id}", r#"{"steps": [{"name": "read"}]}"#, 200, [Code(202); 3]),
    row("PATCH /v1/progress/{id}", r#"{"percent": 40}"#, 200, [Code(202); 3]),
    // The cache: this process has what it read and wrote. When nobody can tell what is newer, there is no entry afterwards.
    row("GET /v1/cache/stats", "", 200, APART),
    row("POST /v1/cache/warm", "", 200, APART),
    row("DELETE /v1/cache/tags/{tag}", "", 204, [Code(202); 3]),
    row("GET /v1/cache/{namespace}/{key}", "", 200, APART),
    once(row("PUT /v1/cache/{namespace}/{key}", "text", 204, [Code(202); 3]), 201),
    row("DELETE /v1/cache/{namespace}/{key}", "", 204, [Code(202), Code(202), Same]),
    row("GET /v1/projects/{project_id}/data", "", 200, APART),
    once(row("PUT /v1/projects/{project_id}/data", "{}", 204, [Code(202); 3]), 201),
    row("DELETE /v1/projects/{project_id}/data", "", 204, [Code(202), Code(202), Same]),
    row("GET /v1/projects/{project_id}/entries/{name}", "", 200, APART),
    once(row("PUT /v1/projects/{project_id}/entries/{name}", "{}", 204, [Code(202); 3]), 201),
    row("DELETE /v1/projects/{project_id}/entries/{name}", "", 204, [Code(202), Code(202), Same]),
    row("DELETE /v1/projects/{project_id}", "", 204, [Code(202); 3]),
    // Agents and the brake: it holds, whatever the store does.
    row("GET /v1/agents/{user_id}", "", 200, APART),
    row("GET /v1/agents/{user_id}/brake", "", 200, READS),
    row("GET /v1/agents/{user_id}/events", "", 200, APART),
    row("GET /v1/agents/{user_id}/ws", "", 101, APART),
    row("POST /v1/agents/{user_id}/status", r#"{"phase": "planning"}"#, 200, WRITES),
    row("POST /v1/agents/{user_id}/pause", r#"{"by": "ops"}"#, 200, APART),
    row("POST /v1/agents/{user_id}/resume", "", 200, FREES),
    row("GET /v1/brake", "", 200, APART),
    row("PUT /v1/brake", r#"{"by": "ops"}"#, 200, APART),
    row("DELETE /v1/brake", "", 200, READS),
    // Sessions: never "logged out" because nobody can tell.
    row("POST /v1/sessions", r#"{"user_id": "<user>"}"#, 201, WRITES),
    row("GET /v1/sessions/current", "", 200, READS),
    row("PATCH /v1/sessions/current", r#"{"context": {"a": 1}}"#, 200, WRITES),
    once(row("DELETE /v1/sessions/current", "", 204, FREES), 401),
    row("POST /v1/sessions/current/rotate", "", 200, WRITES),
    row("GET /v1/users/{user_id}/sessions", "", 200, READS),
    row("DELETE /v1/users/{user_id}/sessions", "", 204, FREES),
    once(row("DELETE /v1/users/{user_id}/sessions/{session_id}", "", 204, FREES), 404),
    // Limits: each policy as it says, and never a false 429.
    row("POST /v1/limits/check", r#"{"policy": "on-local", "subject": {"user": "<user>"}}"#, 200, APART),
    row("POST /v1/limits/check", r#"{"policy": "on-open", "subject": {"user": "<user>"}}"#, 200, APART),
    row("POST /v1/limits/check", r#"{"policy": "on-closed", "subject": {"user": "<user>"}}"#, 200, WRITES),
    row("POST /v1/limits/reserve", r#"{"policy": "on-local", "subject": {"user": "<user>"}}"#, 200, APART),
    row("POST /v1/limits/reserve", r#"{"policy": "on-closed", "subject": {"user": "<user>"}}"#, 200, WRITES),
    row("POST /v1/limits/settle", r#"{"reservation": "<reservation>", "cost": 1}"#, 200, FREES),
    row("POST /v1/limits/renew", r#"{"reservation": "<reservation>"}"#, 200, WRITES),
    row("GET /v1/limits/overrides", "", 200, APART),
    row("PUT /v1/limits/overrides", r#"{"policy": "free", "limit": "user", "subject": {"user": "<user>"}, "to": 9}"#, 204, WRITES),
    row("GET /v1/limits/policies", "", 200, APART),
];
