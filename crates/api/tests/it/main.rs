//! The HTTP surface as clients meet it: a real server on a free port, stores in memory, and a real client.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails where it stands")]

mod access_log;
mod agents;
mod away;
mod batches;
mod browser;
mod cache;
mod dead_letters;
mod dependencies;
mod documents;
mod exposure;
mod headers;
mod health;
mod hostile;
mod idempotency;
mod isolation;
mod jobs;
mod key_limits;
mod keys;
mod limits;
mod policy;
mod problems;
mod progress;
mod progress_away;
mod queues;
mod schedules;
mod service;
mod session_security;
mod sessions;
mod sockets;
mod task_options;
mod tasks;
mod webhooks;
mod workers;
