//! What a server tells of itself, as a typed value.

use std::{collections::HashMap, time::Duration};

use serde::Serialize;

/// The parts of `INFO` that an operator asks for.
///
/// ```
/// use trackside_redis::{Flavour, ServerInfo};
/// let info = ServerInfo::parse("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\nrole:master\r\n");
/// assert_eq!((info.flavour, info.version.as_str()), (Flavour::Valkey, "8.0.1"));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ServerInfo {
    /// Whose server it is.
    pub flavour: Flavour,
    /// Its own version, such as `7.0.15`.
    pub version: String,
    /// `standalone`, `cluster` or `sentinel`.
    pub mode: String,
    /// What it is to others.
    pub role: Role,
    /// How long it has been running.
    pub uptime: Duration,
    /// Connections of clients.
    pub connected_clients: u64,
    /// Connections of clients that wait in a blocking command.
    pub blocked_clients: u64,
    /// How many connections it accepts.
    pub max_clients: Option<u64>,
    /// Memory used for data, in bytes.
    pub memory_used: u64,
    /// The limit in bytes; `None` without one.
    pub memory_max: Option<u64>,
    /// What happens at the limit, such as `noeviction`.
    pub memory_policy: String,
    /// Whether changes are appended to a file.
    pub aof_enabled: bool,
    /// Whether the last write of that file succeeded.
    pub aof_last_write_ok: bool,
    /// Whether the last snapshot succeeded.
    pub rdb_last_save_ok: bool,
    /// True while it reads its data and serves nobody.
    pub loading: bool,
    /// Keys that were dropped because of the memory limit, since the start.
    pub evicted_keys: u64,
    /// Commands a second, just now.
    pub ops_per_second: u64,
    /// Replicas that are connected to it.
    pub connected_replicas: u64,
}

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Flavour {
    /// Redis, or a server that says it is.
    Redis,
    /// Valkey.
    Valkey,
}

/// What a server is to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It takes writes.
    Primary,
    /// It copies another and takes none.
    Replica,
}

// === impl ServerInfo ===

impl ServerInfo {
    /// Reads the text of `INFO`. What is missing, as in an older server or one that hides it, is zero or empty.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let fields: HashMap<&str, &str> = text.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
        let text_of = |name: &str| fields.get(name).copied().unwrap_or_default().to_owned();
        let count = |name: &str| fields.get(name).and_then(|value| value.parse::<u64>().ok());
        let ok = |name: &str| fields.get(name).is_none_or(|value| *value == "ok");
        let valkey = fields.get("valkey_version").copied();
        Self {
            flavour: if valkey.is_some() { Flavour::Valkey } else { Flavour::Redis },
            version: valkey.map_or_else(|| text_of("redis_version"), str::to_owned),
            mode: fields
                .get("redis_mode")
                .or_else(|| fields.get("server_mode"))
                .copied()
                .unwrap_or_default()
                .to_owned(),
            role: if fields.get("role") == Some(&"slave") { Role::Replica } else { Role::Primary },
            uptime: Duration::from_secs(count("uptime_in_seconds").unwrap_or_default()),
            connected_clients: count("connected_clients").unwrap_or_default(),
            blocked_clients: count("blocked_clients").unwrap_or_default(),
            max_clients: count("maxclients"),
            memory_used: count("used_memory").unwrap_or_default(),
            memory_max: count("maxmemory").filter(|limit| *limit > 0),
            memory_policy: text_of("maxmemory_policy"),
            aof_enabled: count("aof_enabled") == Some(1),
            aof_last_write_ok: ok("aof_last_write_status"),
            rdb_last_save_ok: ok("rdb_last_bgsave_status"),
            loading: count("loading") == Some(1),
            evicted_keys: count("evicted_keys").unwrap_or_default(),
            ops_per_second: count("instantaneous_ops_per_sec").unwrap_or_default(),
            connected_replicas: count("connected_slaves").unwrap_or_default(),
        }
    }

    /// The used part of the memory limit, 0.0 to about 1.0; `None` without a limit.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people and alerts")]
    pub fn memory_ratio(&self) -> Option<f64> {
        self.memory_max.map(|limit| self.memory_used as f64 / limit as f64)
    }

    /// The version as numbers, for comparisons: `7.0.15` is `(7, 0, 15)`.
    #[must_use]
    pub fn version_numbers(&self) -> (u32, u32, u32) {
        let mut numbers = self.version.split('.').map(|part| part.parse().unwrap_or_default());
        let mut next = || numbers.next().unwrap_or_default();
        (next(), next(), next())
    }
}
