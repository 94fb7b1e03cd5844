//! `/metrics`: what Prometheus scrapes.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::header;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::ApiState;

const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// Metrics for Prometheus
#[utoipa::path(
    get, path = "/metrics", tag = "health", operation_id = "get_metrics",
    responses((status = OK, body = String, content_type = "text/plain"))
)]
async fn metrics(State(state): State<ApiState>) -> Response {
    ([(header::CONTENT_TYPE, EXPOSITION)], state.metrics.gather()).into_response()
}
