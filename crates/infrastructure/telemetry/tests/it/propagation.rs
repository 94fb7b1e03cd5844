//! A trace goes on across headers and across a kept `traceparent`.

use std::sync::LazyLock;

use http::{HeaderMap, HeaderValue};
use opentelemetry::trace::TraceContextExt;
use trackside_core::TraceParent;
use trackside_telemetry::{current_traceparent, extract, inject, set_parent, set_parent_from_headers};

use crate::TELEMETRY;

const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn header() -> HeaderMap {
    HeaderMap::from_iter([(http::header::HeaderName::from_static("traceparent"), HeaderValue::from_static(HEADER))])
}

#[test]
fn a_request_continues_its_callers_trace_into_the_next_request() {
    LazyLock::force(&TELEMETRY);
    let span = tracing::info_span!("request");
    set_parent_from_headers(&span, &header());
    let mut next = HeaderMap::new();
    span.in_scope(|| inject(&mut next));
    let parent: TraceParent = next["traceparent"].to_str().unwrap().parse().unwrap();
    assert_eq!(parent.trace_id(), TRACE_ID);
    assert_ne!(parent.as_str(), HEADER, "the next request's parent is this request, not its caller");
    assert_eq!(extract(&next).span().span_context().trace_id().to_string(), TRACE_ID);
}

#[test]
fn a_task_continues_the_trace_that_was_kept_with_it() {
    LazyLock::force(&TELEMETRY);
    let kept = tracing::info_span!("enqueue").in_scope(current_traceparent).unwrap();
    let worker = tracing::info_span!("process");
    set_parent(&worker, &kept);
    let inside = worker.in_scope(current_traceparent).unwrap();
    assert_eq!(inside.trace_id(), kept.trace_id());
    assert_ne!(inside, kept);
}

#[test]
fn spans_that_are_not_logged_carry_the_trace_all_the_same() {
    LazyLock::force(&TELEMETRY);
    let outer = tracing::info_span!("outer");
    let (outside, inside) = outer.in_scope(|| {
        (current_traceparent().unwrap(), tracing::info_span!("inner").in_scope(current_traceparent).unwrap())
    });
    assert_eq!(outside.trace_id(), inside.trace_id());
    assert_ne!(outside, inside);
}

#[test]
fn outside_a_span_there_is_nothing_to_pass_on() {
    LazyLock::force(&TELEMETRY);
    let mut headers = HeaderMap::new();
    inject(&mut headers);
    assert!(headers.get("traceparent").is_none());
    assert_eq!(current_traceparent(), None);
}

#[test]
fn a_request_without_a_caller_starts_a_trace() {
    LazyLock::force(&TELEMETRY);
    let span = tracing::info_span!("request");
    set_parent_from_headers(&span, &HeaderMap::new());
    assert!(span.in_scope(current_traceparent).is_some());
}
