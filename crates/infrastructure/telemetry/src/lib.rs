//! Logs, traces and metrics: tracing and OpenTelemetry set-up, propagation, Prometheus exposition.
