//! `/`: what runs here and where to look. `/problems/{slug}`: what a problem's `type` refers to.

use axum::{
    extract::State,
    response::{Html, IntoResponse, Response},
};
use http::{HeaderValue, header};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiState, StoreKind,
    extract::StrictPath,
    problem::{Problem, ProblemKind},
};

/// No script, no other host: the pages are plain.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// The same, for the page that has forms.
const WITH_FORMS: &str =
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What to do when the service asks for keys.
const KEYS: &str = "<h2>Keys</h2><p>This service asks for an API key. Programs send it as \
    <code>Authorization: Bearer trk_…</code> or <code>X-API-Key: trk_…</code>; whoever runs the service makes one with \
    <code>trackside token create</code>. This browser keeps one until it is closed:</p>\
    <form method=\"post\" action=\"/login\"><label>API key <input name=\"key\" type=\"password\" required \
    autocomplete=\"off\" size=\"40\"></label> <button>Log in</button></form>\
    <form method=\"post\" action=\"/logout\"><button>Log out</button></form>";

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(root)).routes(routes!(problem))
}

/// What runs here and where to look
#[utoipa::path(
    get, path = "/", tag = "service", operation_id = "get_root",
    responses((status = OK, body = String, content_type = "text/html"))
)]
async fn root(State(state): State<ApiState>) -> Response {
    let store = match state.store.kind {
        StoreKind::Memory => "Runs on stores in memory: <strong>nothing survives a restart</strong>.",
        StoreKind::Redis if state.store.durable => "Runs on Redis: what was accepted survives a restart.",
        StoreKind::Redis => "Runs on Redis without persistence: <strong>nothing survives a restart of Redis</strong>.",
    };
    let connection = match &state.redis {
        Some(redis) if redis.is_connected() => " Redis is connected.",
        Some(_) => " <strong>Redis is away.</strong>",
        None => "",
    };
    // Forms are for browsers; everything else shows its key with each request.
    let keys = if state.access.asks_for_keys() { KEYS } else { "" };
    let policy = if state.access.asks_for_keys() { WITH_FORMS } else { CONTENT_SECURITY_POLICY };
    let body = format!(
        "<h1>Trackside {version}</h1><p>{store}{connection} Up since {since}.</p><ul>\
         <li><a href=\"/docs/\">API documentation</a> to read and try, <a href=\"/openapi.json\">as OpenAPI</a></li>\
         <li><a href=\"/health\">Health</a> of every component</li>\
         <li><a href=\"/metrics\">Metrics</a> for Prometheus</li>\
         <li><a href=\"/api/stats\">Statistics</a>, <a href=\"/v1/queues\">queues</a>, \
         <a href=\"/api/jobs\">jobs</a>, <a href=\"/api/tools\">tools</a>, <a href=\"/v1/brake\">brake</a></li></ul>{keys}",
        version = state.build.version,
        since = state.build.started_at,
    );
    page("Trackside", &body, policy)
}

/// What a problem means and what to do about it
#[utoipa::path(
    get, path = "/problems/{slug}", tag = "service", operation_id = "get_problem_kind",
    params(("slug" = String, Path, description = "The `code` of a problem", example = "lease-lost")),
    responses((status = OK, body = String, content_type = "text/html"))
)]
async fn problem(StrictPath(slug): StrictPath<String>) -> Result<Response, Problem> {
    let kind = ProblemKind::ALL.into_iter().find(|kind| kind.slug() == slug);
    let kind = kind.ok_or_else(|| Problem::not_found("problem", &slug))?;
    let (title, status, advice) = (kind.title(), kind.status().as_u16(), kind.advice().replace('<', "&lt;"));
    Ok(page(
        title,
        &format!("<h1>{title}</h1><p><code>{slug}</code>, status {status}</p><p>{advice}</p>"),
        CONTENT_SECURITY_POLICY,
    ))
}

fn page(title: &str, body: &str, policy: &'static str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title>\
         <style>:root{{color-scheme:light dark}}body{{font:1rem/1.6 system-ui,sans-serif;max-width:44rem;margin:3rem auto;\
         padding:0 1rem}}</style></head><body>{body}</body></html>"
    );
    let mut response = Html(html).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
