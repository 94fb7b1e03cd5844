//! Settings: what they are. Where they come from is in `config/load.rs`.
//!
//! Field for field the same as `config.default.toml`, which is embedded and is the defaults.

pub(crate) mod cache;
mod check;
mod environment;
pub(crate) mod limits;
mod load;
pub(crate) mod policy;
pub(crate) mod session;
mod show;
pub(crate) mod webhooks;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use secrecy::SecretString;
use serde::Deserialize;

pub(crate) use load::{Loaded, Overrides, load};
pub(crate) use show::show;

/// The commented defaults.
pub(crate) const DEFAULTS: &str = include_str!("config.default.toml");

/// All settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) tools_dir: PathBuf,
    pub(crate) server: Server,
    pub(crate) redis: Redis,
    pub(crate) queue: Queue,
    pub(crate) monitor: Monitor,
    pub(crate) worker: Worker,
    pub(crate) scheduler: Scheduler,
    /// By source.
    pub(crate) webhooks: BTreeMap<String, webhooks::Webhook>,
    pub(crate) jobs: Jobs,
    pub(crate) history: History,
    pub(crate) progress: Progress,
    pub(crate) cache: cache::Cache,
    pub(crate) session: session::Session,
    pub(crate) limits: limits::Limits,
    pub(crate) log: Log,
}

/// `[server]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    pub(crate) listen: SocketAddr,
    pub(crate) allow_insecure: bool,
    /// Empty means that no keys are asked for.
    pub(crate) api_keys_file: PathBuf,
    pub(crate) allowed_hosts: Vec<String>,
    /// Origins whose pages may call the service.
    pub(crate) allowed_origins: Vec<String>,
    /// Empty, as the next one, means without TLS.
    pub(crate) tls_cert_file: PathBuf,
    pub(crate) tls_key_file: PathBuf,
    pub(crate) request_timeout_ms: u64,
    pub(crate) header_timeout_ms: u64,
    pub(crate) body_timeout_ms: u64,
    pub(crate) write_timeout_ms: u64,
    pub(crate) max_header_bytes: usize,
    pub(crate) max_connections: usize,
    pub(crate) max_in_flight: usize,
    pub(crate) max_body_bytes: usize,
    pub(crate) heartbeat_ms: u64,
    pub(crate) drain_ms: u64,
}

/// `[redis]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Redis {
    /// Empty means memory stores. Secret because it may carry a password.
    pub(crate) url: SecretString,
    pub(crate) prefix: String,
    pub(crate) pool_size: usize,
    pub(crate) connect_timeout_ms: u64,
    pub(crate) command_timeout_ms: u64,
    pub(crate) ca_file: PathBuf,
    pub(crate) cert_file: PathBuf,
    pub(crate) key_file: PathBuf,
}

/// `[queue]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Queue {
    pub(crate) names: Vec<String>,
    pub(crate) lease_ms: u64,
    pub(crate) renew_every_ms: u64,
    pub(crate) max_crashes: u32,
    pub(crate) dead_max_age_s: u64,
    pub(crate) dead_max_count: u64,
    pub(crate) retention_s: u64,
    pub(crate) idempotency_ttl_s: u64,
    pub(crate) max_payload_bytes: usize,
    pub(crate) compress_above: usize,
    pub(crate) durability: trackside_queue::Durability,
    pub(crate) durability_timeout_ms: u64,
    /// By queue.
    pub(crate) policy: BTreeMap<String, policy::Policy>,
}

/// `[monitor]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Monitor {
    pub(crate) every_ms: u64,
    pub(crate) backlog_above: u64,
    pub(crate) backlog_clear: u64,
    pub(crate) oldest_age_above_ms: u64,
    pub(crate) failure_rate_above: f64,
    pub(crate) failure_rate_attempts: u64,
    pub(crate) dead_above: u64,
    pub(crate) scale_up_above: u64,
    pub(crate) scale_down_below: u64,
    /// Empty means none. Secret because it may carry a token.
    pub(crate) webhook_url: SecretString,
    pub(crate) webhook_secret: SecretString,
}

/// `[worker]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Worker {
    pub(crate) enabled: bool,
    pub(crate) queues: Vec<String>,
    pub(crate) concurrency: usize,
    pub(crate) task_timeout_ms: u64,
}

/// `[scheduler]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scheduler {
    pub(crate) enabled: bool,
    pub(crate) poll_ms: u64,
}

/// `[jobs]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Jobs {
    pub(crate) max_output_bytes: u64,
    pub(crate) max_total_output_bytes: u64,
    pub(crate) retention_s: u64,
    /// The limits of each process of a tool; 0 is none.
    pub(crate) max_cpu_s: u64,
    pub(crate) max_memory_bytes: u64,
    pub(crate) max_file_bytes: u64,
    pub(crate) max_open_files: u64,
    pub(crate) max_processes: u64,
}

/// `[history]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct History {
    /// Empty means SQLite. Secret because it may carry a password.
    pub(crate) database_url: SecretString,
}

/// `[progress]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Progress {
    pub(crate) ttl_s: u64,
}

/// `[log]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) filter: String,
    pub(crate) format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Auto,
    Pretty,
    Json,
}

// === impl Server ===

impl Server {
    /// Whether clients speak TLS.
    pub(crate) fn speaks_tls(&self) -> bool {
        !self.tls_cert_file.as_os_str().is_empty()
    }

    /// Whether callers need an API key.
    pub(crate) fn asks_for_keys(&self) -> bool {
        !self.api_keys_file.as_os_str().is_empty()
    }
}
