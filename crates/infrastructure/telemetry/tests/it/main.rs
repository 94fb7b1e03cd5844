//! Telemetry installed once in this process, as a program would.

mod config;
mod metrics;
mod propagation;

use std::sync::LazyLock;

use trackside_telemetry::{Config, Error, LogFormat, Telemetry, init};

/// Installed by the first test that needs it: a process has one.
static TELEMETRY: LazyLock<Telemetry> = LazyLock::new(|| {
    #[expect(clippy::unwrap_used, reason = "without it every test must fail")]
    init(&Config { log_format: LogFormat::Json, ..Config::new("it", "1.2.3") }).unwrap()
});

#[test]
fn a_second_start_is_an_error_and_changes_nothing() {
    let metrics = TELEMETRY.metrics();
    assert!(matches!(init(&Config::new("other", "0")), Err(Error::AlreadyInstalled)));
    opentelemetry::global::meter("test").u64_counter("still.counted").build().add(1, &[]);
    assert!(metrics.render().contains("still_counted_total 1"));
}

#[test]
fn a_filter_that_cannot_be_understood_is_an_error() {
    let config = Config { log_filter: "=,=".to_owned(), ..Config::new("it", "0") };
    let error = init(&config).unwrap_err();
    assert!(matches!(error, Error::InvalidFilter { .. }), "{error:?}");
    assert_eq!(error.kind(), trackside_core::ErrorKind::InvalidInput);
}
