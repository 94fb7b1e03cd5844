//! The API description: generated from the routes, and completed with what all of them share.

use std::collections::HashMap;

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing,
};
use bytes::Bytes;
use http::header;
use utoipa::{
    OpenApi,
    openapi::{
        Components, ContentBuilder, HeaderBuilder, Ref, RefOr, ResponseBuilder,
        path::{Operation, PathItem},
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_swagger_ui::SwaggerUi;

use crate::{
    ApiState,
    access::{self, Guard},
    problem::{FieldError, MEDIA_TYPE, ProblemDocument},
};

/// How the two ways to show a key are called in the description.
const BEARER: &str = "api_key";
const HEADER: &str = "api_key_header";
const KEY_USE: &str = "For programs that need `Authorization` for something else, such as the token of a session";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Trackside",
        description = "Durable task queues, tool jobs, live progress and an emergency brake for AI-agent back ends.\n\n\
            Times are RFC 3339 in UTC with milliseconds, durations are in milliseconds (`…_ms`), time-to-live in seconds \
            (`…_s`). Unknown fields in requests are refused; unknown fields in answers must be ignored. Every answer \
            carries `X-Correlation-ID`, and every answer that is no success is a problem document (RFC 9457).",
        license(name = "MIT OR Apache-2.0")
    ),
    components(schemas(ProblemDocument, FieldError)),
    tags(
        (name = "tools and jobs", description = "Run tools, follow their jobs, fetch their outputs"),
        (name = "queues", description = "Enqueue tasks, lease them, look after queues and dead letters"),
        (name = "tasks", description = "What became of a task; what the holder of a lease says"),
        (name = "schedules", description = "Tasks that come again, by the calendar or at an interval"),
        (name = "webhooks", description = "What other services send: verified, and kept as tasks"),
        (name = "progress", description = "Operations with steps, and their live events"),
        (name = "cache", description = "Entries with a time to live, project data, invalidation by tag"),
        (name = "sessions", description = "Who is logged in, from where, and what is remembered of it"),
        (name = "limits", description = "Rate limits with several dimensions, reservations, places"),
        (name = "agents", description = "Pause and resume agents; the emergency brake"),
        (name = "health", description = "How the service is"),
        (name = "service", description = "What runs here")
    )
)]
struct Description;

/// The document that the routes are added to.
pub(crate) fn base() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

/// Adds to every operation what every operation can answer.
pub(crate) fn complete(mut document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    document.components.get_or_insert_with(Components::new);
    // A name that may hold slashes is a wildcard for the router and a plain parameter for the description.
    let paths = std::mem::take(&mut document.paths.paths);
    let documented = |path: &String| path.replace("{*", "{");
    let routes: HashMap<String, String> = paths.keys().map(|path| (documented(path), path.clone())).collect();
    document.paths.paths = paths.into_iter().map(|(path, item)| (documented(&path), item)).collect();
    if let Some(components) = &mut document.components {
        components.add_security_scheme(BEARER, SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        let header = ApiKey::Header(ApiKeyValue::with_description("X-API-Key", KEY_USE));
        components.add_security_scheme(HEADER, SecurityScheme::ApiKey(header));
        let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("The token of a session"));
        components.add_security_scheme("session_token", SecurityScheme::Http(token.build()));
        let cookie = ApiKeyValue::with_description("__Host-session", "The same in the cookie that a log-in has set");
        components.add_security_scheme("session_cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            // What asks for no key may ask for a session.
            let own = operation.security.take().unwrap_or_default();
            operation.security = Some(requirements(method, routes.get(path).unwrap_or(path)).unwrap_or(own));
            let problem = ResponseBuilder::new()
                .description("A problem document")
                .content(MEDIA_TYPE, ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build())
                .header(
                    "X-Correlation-ID",
                    HeaderBuilder::new().description(Some("The id under which the request stands in the log")).build(),
                )
                .build();
            operation.responses.responses.insert("default".to_owned(), RefOr::T(problem));
        }
    }
    document
}

/// The operations of a path, with their methods.
pub(crate) fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let there = [
        ("GET", &mut item.get),
        ("PUT", &mut item.put),
        ("POST", &mut item.post),
        ("DELETE", &mut item.delete),
        ("PATCH", &mut item.patch),
    ];
    there.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// The key that a route asks for, with the scope, where the service asks for keys.
fn requirements(method: &str, route: &str) -> Option<Vec<SecurityRequirement>> {
    match access::listed(method, route) {
        Some(Guard::Key(scope, _)) => {
            let with = |scheme: &str| SecurityRequirement::new(scheme, [scope.as_str()]);
            Some(vec![with(BEARER), with(HEADER)])
        }
        Some(Guard::Open) | None => None,
    }
}

/// `/openapi.json`, and `/docs` with its assets from the binary.
pub(crate) fn routes(document: &utoipa::openapi::OpenApi) -> Router<ApiState> {
    let json = Bytes::from(serde_json::to_vec(document).unwrap_or_default());
    let serve = move || async move { openapi_json(json) };
    let docs: Router<ApiState> = SwaggerUi::new("/docs")
        .config(utoipa_swagger_ui::Config::from("/openapi.json").try_it_out_enabled(true))
        .into();
    Router::new().route("/openapi.json", routing::get(serve)).merge(docs)
}

fn openapi_json(document: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document).into_response()
}
