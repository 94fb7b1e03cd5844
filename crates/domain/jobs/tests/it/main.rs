//! Tools as real processes, histories in real databases, and jobs through the real queue.

mod databases;
mod jobs;
mod manifests;
mod processes;
mod repeats;
mod shipped_tools;
mod support;

#[cfg(feature = "redis")]
mod limits;
mod on_redis;
