//! `/v1/projects/{project_id}/…`: what is cached of a project, as JSON documents.

use axum::{extract::State, response::Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::de::IgnoredAny;
use serde_json::Value;
use trackside_cache::{ProjectCache, WriteOptions};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiState,
    entries::{self, RawBody},
    extract::StrictPath,
    problem::{Problem, ProblemKind},
};

const JSON: &str = "application/json";

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(invalidate)).routes(routes!(get_data, put_data, delete_data)).routes(routes!(
        get_entry,
        put_entry,
        delete_entry
    ))
}

/// Read a project's data
#[utoipa::path(
    get, path = "/v1/projects/{project_id}/data", tag = "cache", operation_id = "get_project_data",
    params(
        ("project_id" = String, Path, description = "1 to 100 letters, digits, `_`, `-` or `.`", example = "42"),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags that the caller has: 304 when one is current")
    ),
    responses(
        (status = OK, body = Value, description = "The document", headers(("ETag" = Option<String>, description = "The version"))),
        (status = NOT_MODIFIED, description = "The caller has it")
    )
)]
async fn get_data(
    State(state): State<ApiState>,
    StrictPath(project_id): StrictPath<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    get(&state, &ProjectCache::<Value>::data_key(&project_id)?, &headers).await
}

/// Write a project's data
#[utoipa::path(
    put, path = "/v1/projects/{project_id}/data", tag = "cache", operation_id = "put_project_data",
    params(
        ("project_id" = String, Path, description = "Which project", example = "42"),
        ("If-Match" = Option<String>, Header, description = "Only over this version"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only when there is none")
    ),
    request_body = Value,
    responses(
        (status = CREATED, description = "There was none", headers(("ETag" = String, description = "The version"))),
        (status = NO_CONTENT, description = "It replaced one", headers(("ETag" = String, description = "The version"))),
        (status = ACCEPTED, description = "The store is away; it is written when the store is back, or removed where another change may be newer")
    )
)]
async fn put_data(
    State(state): State<ApiState>,
    StrictPath(project_id): StrictPath<String>,
    headers: HeaderMap,
    RawBody(document): RawBody,
) -> Result<Response, Problem> {
    put(&state, &project_id, &ProjectCache::<Value>::data_key(&project_id)?, document, &headers).await
}

/// Remove a project's data
#[utoipa::path(
    delete, path = "/v1/projects/{project_id}/data", tag = "cache", operation_id = "delete_project_data",
    params(
        ("project_id" = String, Path, description = "Which project", example = "42"),
        ("If-Match" = Option<String>, Header, description = "Only this version")
    ),
    responses(
        (status = NO_CONTENT, description = "There is none now"),
        (status = ACCEPTED, description = "The store is away; it is removed when the store is back")
    )
)]
async fn delete_data(
    State(state): State<ApiState>,
    StrictPath(project_id): StrictPath<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    delete(&state, &ProjectCache::<Value>::data_key(&project_id)?, &headers).await
}

/// Read a named entry of a project
#[utoipa::path(
    get, path = "/v1/projects/{project_id}/entries/{name}", tag = "cache", operation_id = "get_project_entry",
    params(
        ("project_id" = String, Path, description = "Which project", example = "42"),
        ("name" = String, Path, description = "Which entry; `data` is the project's own", example = "plan"),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags that the caller has: 304 when one is current")
    ),
    responses(
        (status = OK, body = Value, description = "The document", headers(("ETag" = Option<String>, description = "The version"))),
        (status = NOT_MODIFIED, description = "The caller has it")
    )
)]
async fn get_entry(
    State(state): State<ApiState>,
    StrictPath((project_id, name)): StrictPath<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    get(&state, &ProjectCache::<Value>::entry_key(&project_id, &name)?, &headers).await
}

/// Write a named entry of a project
#[utoipa::path(
    put, path = "/v1/projects/{project_id}/entries/{name}", tag = "cache", operation_id = "put_project_entry",
    params(
        ("project_id" = String, Path, description = "Which project", example = "42"),
        ("name" = String, Path, description = "Which entry", example = "plan"),
        ("If-Match" = Option<String>, Header, description = "Only over this version"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only when there is none")
    ),
    request_body = Value,
    responses(
        (status = CREATED, description = "There was none", headers(("ETag" = String, description = "The version"))),
        (status = NO_CONTENT, description = "It replaced one", headers(("ETag" = String, description = "The version"))),
        (status = ACCEPTED, description = "The store is away; it is written when the store is back, or removed where another change may be newer")
    )
)]
async fn put_entry(
    State(state): State<ApiState>,
    StrictPath((project_id, name)): StrictPath<(String, String)>,
    headers: HeaderMap,
    RawBody(document): RawBody,
) -> Result<Response, Problem> {
    put(&state, &project_id, &ProjectCache::<Value>::entry_key(&project_id, &name)?, document, &headers).await
}

/// Remove a named entry of a project
#[utoipa::path(
    delete, path = "/v1/projects/{project_id}/entries/{name}", tag = "cache", operation_id = "delete_project_entry",
    params(
        ("project_id" = String, Path, description = "Which project", example = "42"),
        ("name" = String, Path, description = "Which entry", example = "plan"),
        ("If-Match" = Option<String>, Header, description = "Only this version")
    ),
    responses(
        (status = NO_CONTENT, description = "There is none now"),
        (status = ACCEPTED, description = "The store is away; it is removed when the store is back")
    )
)]
async fn delete_entry(
    State(state): State<ApiState>,
    StrictPath((project_id, name)): StrictPath<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    delete(&state, &ProjectCache::<Value>::entry_key(&project_id, &name)?, &headers).await
}

/// Invalidate everything of a project
///
/// Its data and all its entries, in every process, in one step. Call it when the project changes.
#[utoipa::path(
    delete, path = "/v1/projects/{project_id}", tag = "cache", operation_id = "invalidate_project",
    params(("project_id" = String, Path, description = "Which project", example = "42")),
    responses(
        (status = NO_CONTENT, description = "None of it is served any more"),
        (status = ACCEPTED, description = "The store is away; this process serves none of it, the others when the store is back")
    )
)]
async fn invalidate(
    State(state): State<ApiState>,
    StrictPath(project_id): StrictPath<String>,
) -> Result<StatusCode, Problem> {
    Ok(entries::invalidated(state.cache.projects::<Value>()?.invalidate(&project_id).await?))
}

async fn get(state: &ApiState, key: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let cached = state.cache.projects::<Value>()?.cache().namespace().get(key).await?;
    entries::found(cached.as_ref(), key, headers, JSON)
}

async fn put(
    state: &ApiState,
    project_id: &str,
    key: &str,
    document: Bytes,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    serde_json::from_slice::<IgnoredAny>(&document).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        Problem::new(ProblemKind::MalformedJson).with_detail(place)
    })?;
    let tags = vec![ProjectCache::<Value>::tag(project_id)?];
    let options = WriteOptions { tags, ..WriteOptions::default() };
    let projects = state.cache.projects::<Value>()?;
    entries::put(projects.cache().namespace(), key, document, options, headers).await
}

async fn delete(state: &ApiState, key: &str, headers: &HeaderMap) -> Result<StatusCode, Problem> {
    entries::delete(state.cache.projects::<Value>()?.cache().namespace(), key, headers).await
}
