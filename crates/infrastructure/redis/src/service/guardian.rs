//! The tasks that look after a service: they probe an open breaker, so that no caller is the one who finds out, and
//! watch the server's memory.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::{Duration, Instant},
};

use fred::error::ErrorKind as DriverKind;
use tokio::{
    sync::Notify,
    time::{interval, sleep},
};
use tokio_util::sync::CancellationToken;
use trackside_resilience::{BreakerState, Transition};

use super::{Inner, RedisService};
use crate::{Command, driver::call};

/// How often the server's memory is looked at.
const MEMORY_INTERVAL: Duration = Duration::from_secs(15);
/// The part of the memory limit from which it is warned about.
const MEMORY_WARNING: f64 = 0.80;
/// The part below which the warning is over.
const MEMORY_RELIEF: f64 = 0.75;
/// How long a probe may take.
const PROBE_TIMEOUT: Duration = Duration::from_millis(300);
/// How often an open breaker is looked at while there is no connection to probe.
const PROBE_PAUSE: Duration = Duration::from_millis(50);

/// Starts the tasks; they end with the service.
pub(super) fn start(inner: &Arc<Inner>) {
    let changed = Arc::new(Notify::new());
    let wake = Arc::clone(&changed);
    inner.breaker.on_transition(move |transition| {
        tell(transition);
        wake.notify_one();
    });
    let shutdown = inner.shutdown.clone();
    inner.tasks.spawn(until(shutdown.clone(), probe_breaker(Arc::downgrade(inner), changed)));
    inner.tasks.spawn(until(shutdown, watch_memory(Arc::downgrade(inner))));
}

/// One line when an outage begins and one when it is over; the attempts between them are for who looks closer.
fn tell(transition: &Transition) {
    let Transition { from, to, reason, .. } = transition;
    match (from, to) {
        (BreakerState::Closed | BreakerState::Ramping, BreakerState::Open { .. }) => {
            tracing::warn!(breaker.from = %from, breaker.reason = %reason, "redis circuit breaker opened");
        }
        (_, BreakerState::Closed) => {
            tracing::info!(breaker.from = %from, breaker.reason = %reason, "redis circuit breaker closed");
        }
        _ => {
            tracing::debug!(breaker.from = %from, breaker.to = %to, breaker.reason = %reason, "redis circuit breaker changed");
        }
    }
}

async fn until(shutdown: CancellationToken, task: impl Future<Output = ()>) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = task => {}
    }
}

/// Closes an open breaker when the server answers again.
async fn probe_breaker(service: Weak<Inner>, changed: Arc<Notify>) {
    loop {
        let Some(due) = service.upgrade().map(|inner| inner.breaker.probe_after()) else { return };
        match due {
            None => changed.notified().await,
            Some(due) if !due.is_zero() => sleep(due).await,
            Some(_) => {
                let Some(inner) = service.upgrade() else { return };
                probe(&inner).await;
                drop(inner);
                // Between probes that told nothing, such as those without a connection.
                sleep(PROBE_PAUSE).await;
            }
        }
    }
}

async fn probe(inner: &Inner) {
    // Without a connection there is nothing to find out: calls are refused for that reason anyway.
    let Ok(link) = inner.links.pick(|| crate::Operation::new("redis.probe")) else { return };
    let Some(permit) = inner.breaker.probe() else { return };
    let started = Instant::now();
    match call::command(link.client(), Command::new("PING"), PROBE_TIMEOUT).await {
        Ok(_) => permit.success(),
        Err(error) => {
            tracing::debug!(error = %error, duration_ms = started.elapsed().as_millis(), "redis does not answer yet");
            // Silence costs a longer pause. A server that says it is loading, or a connection that broke, tells that the
            // return is near: the permit is given back, and the next probe follows as soon as there is a connection.
            if *error.kind() == DriverKind::Timeout {
                permit.failure();
            }
        }
    }
}

/// Keeps the memory gauges fresh, and warns once when the limit comes near.
async fn watch_memory(service: Weak<Inner>) {
    let mut looks = interval(MEMORY_INTERVAL);
    let mut warned = false;
    loop {
        looks.tick().await;
        let Some(inner) = service.upgrade() else { return };
        if !inner.links.is_connected() {
            // Soon after it is back rather than a whole interval later.
            looks.reset_after(Duration::from_secs(1));
            continue;
        }
        // A failure is counted by the door and the connection's own log lines tell the rest.
        let Ok(info) = (RedisService { inner: Arc::clone(&inner) }).server_info().await else { continue };
        inner.memory_used.store(info.memory_used, Ordering::Relaxed);
        inner.memory_max.store(info.memory_max.unwrap_or_default(), Ordering::Relaxed);
        let Some(ratio) = info.memory_ratio() else { continue };
        if !warned && ratio >= MEMORY_WARNING {
            warned = true;
            tracing::warn!(
                redis.memory_used = info.memory_used,
                redis.memory_max = info.memory_max,
                redis.memory_policy = info.memory_policy,
                "redis has used more than 80 % of its memory limit"
            );
        } else if warned && ratio < MEMORY_RELIEF {
            warned = false;
            tracing::info!(redis.memory_used = info.memory_used, "redis has enough memory again");
        }
    }
}
