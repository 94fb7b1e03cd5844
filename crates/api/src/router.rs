//! All routes, put together once: for axum and for the API description.

use axum::{Router, middleware as axum_middleware};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    ApiState, middleware, openapi,
    problem::{Problem, ProblemKind},
    routes,
};

/// The whole HTTP surface, to be served by `axum::serve`.
///
/// Cancel `state.shutdown` when the server begins to shut down: until then, streams and long polls keep it open.
pub fn router(state: ApiState) -> Router {
    let (routes, document) = all(&state).split_for_parts();
    let document = openapi::complete(document);
    let routes = routes
        .merge(openapi::routes(&document))
        .fallback(|| async { Problem::new(ProblemKind::NotFound).with_detail("no such address; see /docs") });
    middleware::around(routes, &state).with_state(state)
}

/// The API description as it is served at `/openapi.json`.
#[must_use]
pub fn openapi_document() -> utoipa::openapi::OpenApi {
    openapi::complete(answering_at_once().merge(waiting()).into_openapi())
}

fn all(state: &ApiState) -> OpenApiRouter<ApiState> {
    let bound = axum_middleware::from_fn_with_state(state.clone(), middleware::timeout::bound);
    answering_at_once().layer(bound).merge(waiting())
}

/// Routes whose answer begins at once; a stream's first bytes do too.
fn answering_at_once() -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(openapi::base())
        .merge(routes::root::routes())
        .merge(routes::health::routes())
        .merge(routes::metrics::routes())
        // Tools and jobs.
        .merge(routes::tools::routes())
        .merge(routes::run::routes())
        .merge(routes::jobs::routes())
        .merge(routes::job_outputs::routes())
        .merge(routes::job_events::routes())
        .merge(routes::stats::routes())
        // Queues and tasks.
        .merge(routes::queues::routes())
        .merge(routes::queue_tasks::routes())
        .merge(routes::dead::routes())
        .merge(routes::tasks::routes())
        .merge(routes::settle::routes())
        .merge(routes::task_events::routes())
        // Progress.
        .merge(routes::progress::routes())
        // Agents and the brake.
        .merge(routes::agents::routes())
        .merge(routes::agent_events::routes())
        .merge(routes::brake::routes())
}

/// Routes that wait as long as their caller asks for, within a bound of their own.
fn waiting() -> OpenApiRouter<ApiState> {
    routes::lease::routes()
}
