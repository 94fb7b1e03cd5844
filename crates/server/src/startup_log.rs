//! The first lines of the log: what this process is, which stores it uses, and where to go.

use std::net::SocketAddr;

use crate::{config::Config, wiring::Parts, worker};

/// For `serve`.
pub(crate) fn serve(config: &Config, parts: &Parts, address: SocketAddr) {
    stores(parts);
    workers(config, parts);
    if config.server.asks_for_keys() {
        let file = config.server.api_keys_file.display().to_string();
        tracing::info!(keys.file = file, "callers need an API key of {file}");
        if !address.ip().is_loopback() && !config.server.speaks_tls() {
            tracing::warn!(
                "keys travel in the clear: name a certificate (server.tls_cert_file), or let a proxy in front speak TLS"
            );
        }
    } else if !address.ip().is_loopback() {
        tracing::warn!(
            http.address = %address,
            "listening beyond loopback without credentials: whoever reaches this address may run tools"
        );
    }
    let scheme = if config.server.speaks_tls() { "https" } else { "http" };
    let url = format!("{scheme}://{address}");
    tracing::info!(
        http.url = url,
        docs = format!("{url}/docs"),
        health = format!("{url}/health"),
        "listening on {url}"
    );
}

/// For `worker`.
pub(crate) fn worker(config: &Config, parts: &Parts) {
    stores(parts);
    workers(config, parts);
}

fn stores(parts: &Parts) {
    let version = env!("CARGO_PKG_VERSION");
    match &parts.redis {
        Some(redis) => tracing::info!(
            version,
            store = "redis",
            redis.connected = redis.is_connected(),
            history = parts.history,
            "trackside {version}: queues, progress and the brake are kept in Redis; job history in {}",
            parts.history
        ),
        None => tracing::warn!(
            version,
            store = "memory",
            history = parts.history,
            "trackside {version}: no Redis is configured, so queues, progress and the brake are kept in memory and \
             nothing queued survives a restart (set TRACKSIDE_REDIS_URL); job history in {}",
            parts.history
        ),
    }
    for problem in parts.jobs.registry().problems() {
        tracing::warn!(
            tool.file = problem.file,
            reason = problem.reason,
            "a tool manifest was refused: {}",
            problem.file
        );
    }
}

fn workers(config: &Config, parts: &Parts) {
    let tools: Vec<String> = parts.jobs.registry().tools().into_iter().map(|tool| tool.name).collect();
    let origin = &parts.tools;
    tracing::info!(tools.count = tools.len(), tools.origin = origin, "tools ({origin}): {}", tools.join(", "));
    if config.worker.enabled {
        let names: Vec<String> = worker::queues(config, parts).iter().map(ToString::to_string).collect();
        let concurrency = config.worker.concurrency;
        tracing::info!(worker.concurrency = concurrency, "working on {}, {concurrency} tasks each", names.join(", "));
    } else {
        tracing::info!("no worker in this process: tasks wait for `trackside worker` or for your own workers");
    }
}
