//! One file per resource: its handlers and what they take and answer. `router.rs` puts them together.

pub(crate) mod agent_events;
pub(crate) mod agents;
pub(crate) mod alerts;
pub(crate) mod audit;
pub(crate) mod brake;
pub(crate) mod dead;
pub(crate) mod health;
pub(crate) mod job_events;
pub(crate) mod job_outputs;
pub(crate) mod jobs;
pub(crate) mod lease;
pub(crate) mod metrics;
pub(crate) mod progress;
pub(crate) mod queue_tasks;
pub(crate) mod queues;
pub(crate) mod root;
pub(crate) mod run;
pub(crate) mod scale;
pub(crate) mod schedules;
pub(crate) mod settle;
pub(crate) mod settle_many;
pub(crate) mod stats;
pub(crate) mod task_events;
pub(crate) mod tasks;
pub(crate) mod tools;
pub(crate) mod webhooks;
