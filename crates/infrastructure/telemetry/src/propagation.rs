//! W3C trace context: how a trace goes on in the next process, or in the task that a queue holds.

use http::HeaderMap;
use opentelemetry::{
    Context, global,
    propagation::{Extractor, TextMapPropagator},
    trace::TraceContextExt,
};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::{OpenTelemetrySpanExt, SetParentError};
use trackside_core::TraceParent;

const TRACEPARENT: &str = "traceparent";

/// A carrier of one `traceparent`.
struct Single<'a>(&'a str);

/// What a request's `traceparent`, `tracestate` and `baggage` say; an empty context when they say nothing.
#[must_use]
pub fn extract(headers: &HeaderMap) -> Context {
    global::get_text_map_propagator(|propagator| propagator.extract(&HeaderExtractor(headers)))
}

/// Writes the current span's context into a request that is about to be sent. Writes nothing outside a span.
pub fn inject(headers: &mut HeaderMap) {
    let context = Span::current().context();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut HeaderInjector(headers)));
}

/// The current span as a `traceparent`, to be kept with a task; `None` outside a span or before
/// [`init`](crate::init).
///
/// ```
/// assert_eq!(trackside_telemetry::current_traceparent(), None);
/// ```
#[must_use]
pub fn current_traceparent() -> Option<TraceParent> {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    if !span.is_valid() {
        return None;
    }
    format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags()).parse().ok()
}

/// Makes `span` a child of the span that `parent` names. Must come before `span` is entered; without telemetry, or for
/// a span that nobody records, it does nothing.
pub fn set_parent(span: &Span, parent: &TraceParent) {
    attach(span, TraceContextPropagator::new().extract(&Single(parent.as_str())));
}

/// Makes `span` a child of the request's caller, when the headers name one.
pub fn set_parent_from_headers(span: &Span, headers: &HeaderMap) {
    let context = extract(headers);
    if context.span().span_context().is_valid() {
        attach(span, context);
    }
}

fn attach(span: &Span, context: Context) {
    // The other errors mean no telemetry, or a span that is filtered out: there is nothing to join.
    if let Err(SetParentError::AlreadyStarted) = span.set_parent(context) {
        tracing::debug!("a span was entered before its parent was set; it stays in a trace of its own");
    }
}

// === impl Single ===

impl Extractor for Single<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}
