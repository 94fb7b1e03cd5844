//! What is measured, under the names of OpenTelemetry's conventions where they have one.
//!
//! The instruments belong to the provider that is installed when the service starts; without one they do nothing.

use std::{sync::Weak, time::Duration};

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram, Meter},
};

use trackside_resilience::BreakerState;

use crate::service::Inner;

/// How long a call took, in seconds, with `db.operation.name` and, when it failed, `error.type`.
pub const OPERATION_DURATION: &str = "db.client.operation.duration";
/// Calls that failed, by `db.operation.name` and `error.type`.
pub const ERRORS: &str = "trackside.redis.errors";
/// How often a connection came into service, the first time included.
pub const CONNECTS: &str = "trackside.redis.connects";
/// Connections of the pool by `db.client.connection.state`: `used` is in service, `idle` is not.
pub const CONNECTION_COUNT: &str = "db.client.connection.count";
/// The size of the pool.
pub const CONNECTION_MAX: &str = "db.client.connection.max";
/// Calls that wait for their answer.
pub const PENDING_REQUESTS: &str = "db.client.connection.pending_requests";
/// 1 for the state the breaker is in, 0 for the others, by `state`.
pub const BREAKER_STATE: &str = "trackside.redis.breaker.state";
/// Memory that the server uses, in bytes.
pub const MEMORY_USED: &str = "trackside.redis.memory.used";
/// The server's memory limit in bytes; 0 without one.
pub const MEMORY_MAX: &str = "trackside.redis.memory.max";
/// Events that subscriptions lost, by `reason`.
pub const SUBSCRIPTION_GAPS: &str = "trackside.redis.subscription.gaps";

/// 0.1 ms to 10 s.
const DURATION_BOUNDARIES: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 10.0];

/// The instruments that calls write to.
#[derive(Debug)]
pub(crate) struct Metrics {
    duration: Histogram<f64>,
    errors: Counter<u64>,
    connects: Counter<u64>,
    gaps: Counter<u64>,
    system: KeyValue,
    address: KeyValue,
}

// === impl Metrics ===

impl Metrics {
    pub(crate) fn new(server_address: String) -> Self {
        let meter = meter();
        Self {
            duration: meter
                .f64_histogram(OPERATION_DURATION)
                .with_unit("s")
                .with_description("Duration of Redis operations as the caller sees them")
                .with_boundaries(DURATION_BOUNDARIES.to_vec())
                .build(),
            errors: meter.u64_counter(ERRORS).with_description("Redis operations that failed").build(),
            connects: meter.u64_counter(CONNECTS).with_description("Redis connections that came into service").build(),
            gaps: meter.u64_counter(SUBSCRIPTION_GAPS).with_description("Gaps reported to subscriptions").build(),
            system: KeyValue::new("db.system.name", "redis"),
            address: KeyValue::new("server.address", server_address),
        }
    }

    /// A call is over.
    pub(crate) fn called(&self, operation: &'static str, elapsed: Duration, error: Option<&'static str>) {
        let name = KeyValue::new("db.operation.name", operation);
        match error {
            None => self.duration.record(elapsed.as_secs_f64(), &[self.system.clone(), self.address.clone(), name]),
            Some(error) => {
                let error = KeyValue::new("error.type", error);
                self.errors.add(1, &[name.clone(), error.clone()]);
                self.duration.record(elapsed.as_secs_f64(), &[self.system.clone(), self.address.clone(), name, error]);
            }
        }
    }

    pub(crate) fn connected(&self, times: u64) {
        if times > 0 {
            self.connects.add(times, &[]);
        }
    }

    pub(crate) fn gap(&self, reason: &'static str) {
        self.gaps.add(1, &[KeyValue::new("reason", reason)]);
    }
}

/// Registers the gauges that are read when somebody looks.
pub(crate) fn observe(service: Weak<Inner>) {
    let meter = meter();
    let of = service.clone();
    meter
        .u64_observable_gauge(CONNECTION_COUNT)
        .with_callback(move |gauge| {
            let Some(inner) = of.upgrade() else { return };
            let up = inner.links().up();
            let down = inner.links().len().saturating_sub(up);
            gauge.observe(up as u64, &[KeyValue::new("db.client.connection.state", "used")]);
            gauge.observe(down as u64, &[KeyValue::new("db.client.connection.state", "idle")]);
        })
        .build();
    gauge(&meter, CONNECTION_MAX, service.clone(), |inner| inner.links().len() as u64);
    gauge(&meter, PENDING_REQUESTS, service.clone(), Inner::pending);
    gauge(&meter, MEMORY_USED, service.clone(), |inner| inner.memory().0);
    gauge(&meter, MEMORY_MAX, service.clone(), |inner| inner.memory().1);
    meter
        .u64_observable_gauge(BREAKER_STATE)
        .with_callback(move |gauge| {
            let Some(inner) = service.upgrade() else { return };
            let now = inner.breaker_state().as_str();
            for state in BREAKER_STATES {
                gauge.observe(u64::from(state == now), &[KeyValue::new("state", state)]);
            }
        })
        .build();
}

/// The label values of [`BREAKER_STATE`].
const BREAKER_STATES: [&str; 7] = [
    BreakerState::Closed.as_str(),
    BreakerState::Open { retry_after: Duration::ZERO }.as_str(),
    BreakerState::HalfOpen.as_str(),
    BreakerState::Ramping.as_str(),
    BreakerState::ForcedOpen.as_str(),
    BreakerState::ForcedClosed.as_str(),
    BreakerState::Disabled.as_str(),
];

fn gauge(meter: &Meter, name: &'static str, service: Weak<Inner>, read: fn(&Inner) -> u64) {
    meter
        .u64_observable_gauge(name)
        .with_callback(move |gauge| {
            if let Some(inner) = service.upgrade() {
                gauge.observe(read(&inner), &[]);
            }
        })
        .build();
}

fn meter() -> Meter {
    global::meter("trackside")
}
