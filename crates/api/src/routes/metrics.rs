//! `/metrics`: what Prometheus scrapes.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::header;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{ApiState, queue_gauges};

const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// Metrics for Prometheus
///
/// What this process measured, and how full the queues are. While the store is away the queues are left out.
#[utoipa::path(
    get, path = "/metrics", tag = "health", operation_id = "get_metrics",
    responses((status = OK, body = String, content_type = "text/plain"))
)]
async fn metrics(State(state): State<ApiState>) -> Response {
    let queues = queue_gauges::render(&state.queues, &state.monitor).await;
    ([(header::CONTENT_TYPE, EXPOSITION)], state.metrics.gather() + &queues).into_response()
}
