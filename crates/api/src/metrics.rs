//! What is measured of the HTTP surface: names and bounded labels.

use std::{sync::LazyLock, time::Duration};

use http::{Method, StatusCode};
use opentelemetry::{
    KeyValue, global,
    metrics::{Histogram, UpDownCounter},
};

/// Time until an answer begins, in seconds, by method, route and status (OpenTelemetry, stable).
const REQUEST_DURATION: &str = "http.server.request.duration";
/// Event streams and sockets that are open, by route.
const OPEN_STREAMS: &str = "trackside.http.open_streams";

/// The bounds that the OpenTelemetry conventions give for the histogram.
const BOUNDARIES: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

static REQUESTS: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    let meter = global::meter("trackside");
    meter.f64_histogram(REQUEST_DURATION).with_unit("s").with_boundaries(BOUNDARIES.to_vec()).build()
});
static STREAMS: LazyLock<UpDownCounter<i64>> =
    LazyLock::new(|| global::meter("trackside").i64_up_down_counter(OPEN_STREAMS).build());

/// Counts an open stream for as long as it lives.
#[derive(Debug)]
pub(crate) struct OpenStream {
    route: &'static str,
}

/// Records one request.
pub(crate) fn request(method: &Method, route: Option<&str>, status: StatusCode, elapsed: Duration) {
    let mut labels = vec![
        KeyValue::new("http.request.method", known(method)),
        KeyValue::new("url.scheme", "http"),
        KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
    ];
    if let Some(route) = route {
        labels.push(KeyValue::new("http.route", route.to_owned()));
    }
    if status.is_server_error() {
        labels.push(KeyValue::new("error.type", status.as_str().to_owned()));
    }
    REQUESTS.record(elapsed.as_secs_f64(), &labels);
}

/// Methods are free text; the ones nobody registered share a label.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "_OTHER",
    }
}

// === impl OpenStream ===

impl OpenStream {
    pub(crate) fn count(route: &'static str) -> Self {
        STREAMS.add(1, &[KeyValue::new("http.route", route)]);
        Self { route }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        STREAMS.add(-1, &[KeyValue::new("http.route", self.route)]);
    }
}
