//! What `/metrics` shows.

use opentelemetry::{KeyValue, global};
use trackside_telemetry::DURATION_BOUNDARIES;

use crate::TELEMETRY;

#[test]
fn a_recorded_metric_is_shown_with_its_labels() {
    let metrics = TELEMETRY.metrics();
    let counter = global::meter("test").u64_counter("shop.orders").with_description("Orders taken").build();
    counter.add(3, &[KeyValue::new("kind", "new")]);
    let text = metrics.render();
    assert!(text.contains("# HELP shop_orders_total Orders taken"), "{text}");
    assert!(text.contains("shop_orders_total{kind=\"new\"} 3"), "{text}");
}

#[test]
fn durations_have_boundaries_from_half_a_millisecond_to_ten_seconds() {
    let metrics = TELEMETRY.metrics();
    let histogram = global::meter("test").f64_histogram("wait.duration").with_unit("s").build();
    histogram.record(0.0004, &[]);
    histogram.record(7.0, &[]);
    let text = metrics.render();
    for boundary in DURATION_BOUNDARIES {
        let expected = if boundary < 7.0 { 1 } else { 2 };
        let line = format!("wait_duration_seconds_bucket{{le=\"{boundary}\"}} {expected}\n");
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    assert!(text.contains("wait_duration_seconds_count 2"), "{text}");
}

#[test]
fn tracksides_own_instruments_keep_their_boundaries() {
    let metrics = TELEMETRY.metrics();
    let meter = global::meter("trackside");
    let histogram = meter.f64_histogram("run.duration").with_unit("s").with_boundaries(vec![60.0, 3_600.0]).build();
    histogram.record(90.0, &[]);
    let text = metrics.render();
    assert!(text.contains("run_duration_seconds_bucket{le=\"60\"} 0\n"), "{text}");
    assert!(text.contains("run_duration_seconds_bucket{le=\"3600\"} 1\n"), "{text}");
}

#[test]
fn the_process_says_who_it_is() {
    let text = TELEMETRY.metrics().render();
    let info = text.lines().find(|line| line.starts_with("target_info{")).unwrap_or_default();
    assert!(info.contains("service_version=\"1.2.3\"") && info.contains("service_name="), "{text}");
}
