//! Settings that are well formed but impossible together.

use anyhow::ensure;
use secrecy::ExposeSecret;
use trackside_core::QueueName;
use trackside_redis::RedisUrl;

use super::{Config, cache::cache, limits::limits, policy::policies, session};
use crate::alerts;

/// Refuses settings that cannot work, with the key and what to do.
pub(super) fn check(config: &Config) -> anyhow::Result<()> {
    let Config { server, queue, monitor, worker, scheduler, redis, history, .. } = config;
    ensure!(
        server.listen.ip().is_loopback() || server.asks_for_keys() || server.allow_insecure,
        "server.listen = {}: without credentials the service listens on loopback only; make API keys with \
         `trackside token create` and name their file as server.api_keys_file (TRACKSIDE_API_KEYS_FILE), or set \
         server.allow_insecure = true when something in front of the service checks callers",
        server.listen
    );
    ensure!(
        server.tls_cert_file.as_os_str().is_empty() == server.tls_key_file.as_os_str().is_empty(),
        "server.tls_cert_file and server.tls_key_file go together"
    );
    for (key, value) in [
        ("header_timeout_ms", server.header_timeout_ms),
        ("body_timeout_ms", server.body_timeout_ms),
        ("write_timeout_ms", server.write_timeout_ms),
        ("request_timeout_ms", server.request_timeout_ms),
    ] {
        ensure!(value > 0, "server.{key} must be at least 1");
    }
    ensure!(server.max_connections > 0, "server.max_connections must be at least 1");
    ensure!(server.max_in_flight > 0, "server.max_in_flight must be at least 1");
    for origin in &server.allowed_origins {
        let is_origin = url::Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == *origin);
        ensure!(is_origin, "server.allowed_origins: {origin:?} is no origin, such as https://console.example.org");
    }
    ensure!(worker.concurrency > 0, "worker.concurrency must be at least 1; use --no-worker to run no tasks");
    ensure!((10..=60_000).contains(&scheduler.poll_ms), "scheduler.poll_ms = {}: from 10 to 60000", scheduler.poll_ms);
    ensure!(redis.pool_size > 0, "redis.pool_size must be at least 1");
    ensure!(
        (1..=5_000).contains(&redis.connect_timeout_ms),
        "redis.connect_timeout_ms = {}: from 1 to 5000",
        redis.connect_timeout_ms
    );
    ensure!(
        redis.cert_file.as_os_str().is_empty() == redis.key_file.as_os_str().is_empty(),
        "redis.cert_file and redis.key_file go together"
    );
    ensure!(redis.command_timeout_ms > 0, "redis.command_timeout_ms must be at least 1");
    ensure!(queue.max_crashes > 0, "queue.max_crashes must be at least 1");
    ensure!(
        queue.renew_every_ms > 0 && queue.renew_every_ms * 2 <= queue.lease_ms,
        "queue.renew_every_ms = {} must be at most half of queue.lease_ms = {}",
        queue.renew_every_ms,
        queue.lease_ms
    );
    ensure!(monitor.every_ms >= 100, "monitor.every_ms = {}: at least 100", monitor.every_ms);
    ensure!(
        (0.0..=1.0).contains(&monitor.failure_rate_above),
        "monitor.failure_rate_above = {}: from 0 to 1",
        monitor.failure_rate_above
    );
    ensure!(
        monitor.backlog_clear <= monitor.backlog_above || monitor.backlog_above == 0,
        "monitor.backlog_clear = {} must not be above monitor.backlog_above = {}",
        monitor.backlog_clear,
        monitor.backlog_above
    );
    ensure!(
        monitor.scale_down_below <= monitor.scale_up_above,
        "monitor.scale_down_below = {} must not be above monitor.scale_up_above = {}",
        monitor.scale_down_below,
        monitor.scale_up_above
    );
    alerts::check(monitor)?;
    ensure!(
        server.heartbeat_ms > 0 && server.heartbeat_ms <= 15_000,
        "server.heartbeat_ms = {}: from 1 to 15000, so that proxies keep silent streams open",
        server.heartbeat_ms
    );
    for (key, names) in [("queue.names", &queue.names), ("worker.queues", &worker.queues)] {
        for name in names {
            name.parse::<QueueName>().map_err(|error| anyhow::anyhow!("{key}: {name:?}: {error}"))?;
        }
    }
    policies(config)?;
    cache(config)?;
    session::check(config)?;
    limits(config)?;
    for (name, webhook) in &config.webhooks {
        webhook.check(name)?;
    }
    let url = redis.url.expose_secret();
    if !url.is_empty() {
        // The reason never repeats the URL, which may carry a password.
        url.parse::<RedisUrl>().map_err(|error| anyhow::anyhow!("redis.url: {error}"))?;
    }
    let url = config.cache.redis_url.expose_secret();
    if !url.is_empty() {
        url.parse::<RedisUrl>().map_err(|error| anyhow::anyhow!("cache.redis_url: {error}"))?;
    }
    let url = history.database_url.expose_secret();
    ensure!(
        url.is_empty() || url.starts_with("postgres://") || url.starts_with("postgresql://"),
        "history.database_url must be a postgres:// URL, or empty for SQLite in data_dir"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{Overrides, load};

    fn error_of(key: &'static str, value: &str) -> String {
        let overrides = Overrides { config: None, values: vec![(key, value.to_owned())] };
        format!("{:#}", load(&overrides, &BTreeMap::new()).unwrap_err())
    }

    #[test]
    fn listening_beyond_loopback_has_to_be_asked_for() {
        assert!(error_of("server.listen", "0.0.0.0:8080").contains("loopback only"));
    }

    #[test]
    fn a_lease_must_outlive_its_renewal() {
        assert!(error_of("queue.renew_every_ms", "9000").contains("at most half"));
    }

    #[test]
    fn a_redis_url_that_cannot_work_is_refused_without_being_printed() {
        for url in ["http://:hunter2@h:6379", "redis://:hunter2@", "hunter2"] {
            let error = error_of("redis.url", url);
            assert!(error.starts_with("redis.url: ") && !error.contains("hunter2"), "{url}: {error}");
        }
    }

    #[test]
    fn a_database_url_of_another_kind_is_refused_without_being_printed() {
        let error = error_of("history.database_url", "mysql://root:hunter2@h/db");
        assert!(error.contains("postgres://") && !error.contains("hunter2"), "{error}");
    }
}
