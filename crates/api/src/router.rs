//! All routes, put together once: for axum and for the API description.

use axum::{Router, middleware as axum_middleware};
use http::{HeaderValue, header};
use tower_http::set_header::SetResponseHeaderLayer;
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
    openapi::complete(answering_at_once().merge(with_session()).merge(waiting()).into_openapi())
}

fn all(state: &ApiState) -> OpenApiRouter<ApiState> {
    let bound = axum_middleware::from_fn_with_state(state.clone(), middleware::timeout::bound);
    // What these answer is of one user, or lets somebody in: nobody on the way keeps it.
    let no_store = SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let with_session = with_session().layer(state.sessions.clone()).layer(no_store);
    answering_at_once().merge(with_session).layer(bound).merge(waiting())
}

/// Routes that know the session of a request.
fn with_session() -> OpenApiRouter<ApiState> {
    routes::sessions::routes().merge(routes::user_sessions::routes())
}

/// Routes whose answer begins at once; a stream's first bytes do too.
fn answering_at_once() -> OpenApiRouter<ApiState> {
    resources().into_iter().fold(OpenApiRouter::with_openapi(openapi::base()), OpenApiRouter::merge)
}

/// The resources, in the order in which they are described.
fn resources() -> Vec<OpenApiRouter<ApiState>> {
    vec![
        routes::root::routes(),
        routes::login::routes(),
        routes::health::routes(),
        routes::metrics::routes(),
        // Tools and jobs.
        routes::tools::routes(),
        routes::run::routes(),
        routes::jobs::routes(),
        routes::job_outputs::routes(),
        routes::job_events::routes(),
        routes::stats::routes(),
        // Queues and tasks.
        routes::queues::routes(),
        routes::alerts::routes(),
        routes::audit::routes(),
        routes::repair::routes(),
        routes::scale::routes(),
        routes::policy::routes(),
        routes::workers::routes(),
        routes::queue_tasks::routes(),
        routes::dead::routes(),
        routes::tasks::routes(),
        routes::predecessors::routes(),
        routes::settle::routes(),
        routes::settle_many::routes(),
        routes::task_events::routes(),
        routes::schedules::routes(),
        routes::webhooks::routes(),
        // Progress.
        routes::progress::routes(),
        // The cache.
        routes::cache::routes(),
        routes::projects::routes(),
        // Rate limits.
        routes::limits::routes(),
        routes::limit_policies::routes(),
        routes::limit_overrides::routes(),
        // Agents and the brake.
        routes::agents::routes(),
        routes::agent_events::routes(),
        routes::brake::routes(),
    ]
}

/// Routes that wait as long as their caller asks for, within a bound of their own.
fn waiting() -> OpenApiRouter<ApiState> {
    routes::lease::routes()
}

/// Method and path of every documented operation, as the router has them.
#[cfg(test)]
pub(crate) fn documented_routes() -> Vec<(String, String)> {
    let mut document = answering_at_once().merge(waiting()).into_openapi();
    let of_path =
        |(path, item)| openapi::operations(item).map(move |(method, _)| (method.to_owned(), String::clone(path)));
    document.paths.paths.iter_mut().flat_map(of_path).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn no_two_resources_describe_different_things_by_one_name() {
        let mut seen = HashMap::new();
        for resource in resources().into_iter().chain([with_session(), waiting()]) {
            let components = resource.into_openapi().components.unwrap_or_default();
            for (name, schema) in components.schemas {
                let known = seen.entry(name.clone()).or_insert_with(|| schema.clone());
                assert!(*known == schema, "{name}");
            }
        }
        assert!(seen.len() > 50);
    }
}
