//! `/v1/cache/…`: entries as bytes with their type, invalidation by tag, warming and statistics.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use axum::{Json, extract::State, response::Response};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use trackside_cache::{NamespaceStats, Tag, WriteOptions};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiState,
    entries::{self, RawBody},
    extract::{StrictPath, StrictQuery},
    problem::Problem,
};

/// Warmers that run at once.
const WARM_AT_ONCE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PutQuery {
    ttl_s: Option<u64>,
    tags: Option<String>,
}

/// What happened in the caches of this process, by namespace.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CacheStats {
    namespaces: Vec<NamespaceView>,
    /// Changes that are written when the store is back.
    remembered_now: usize,
}

/// What happened in one namespace since the process started.
#[derive(Debug, Serialize, ToSchema)]
struct NamespaceView {
    namespace: String,
    /// Reads that a copy in the process answered.
    local_hits: u64,
    /// Reads that the store answered.
    store_hits: u64,
    misses: u64,
    /// Reads that something stale answered, because store or loader failed or took long.
    stale: u64,
    /// The part of the reads that found something, from 0 to 1; `null` without any.
    hit_ratio: Option<f64>,
    loads: u64,
    load_errors: u64,
    /// Calls that the store failed.
    errors: u64,
    writes: u64,
    /// Changes that were remembered because the store was away.
    remembered: u64,
    /// Copies in this process, and their bytes.
    local_entries: u64,
    local_bytes: u64,
    /// Entries in the store and bytes of their values, as the last sweep saw them.
    store_entries: Option<u64>,
    store_bytes: Option<u64>,
    /// Half of the calls of the store took no longer, 99 of 100 took no longer; to a factor of two.
    store_p50_ms: Option<f64>,
    store_p99_ms: Option<f64>,
    load_p99_ms: Option<f64>,
}

/// How warming ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"warmed": 1, "failed": 0, "parts": [{"name": "tool registry", "error": null}]}))]
struct Warmed {
    warmed: usize,
    failed: usize,
    parts: Vec<WarmedPart>,
}

/// One thing that was warmed, or not.
#[derive(Debug, Serialize, ToSchema)]
struct WarmedPart {
    name: String,
    error: Option<String>,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(stats)).routes(routes!(warm)).routes(routes!(invalidate)).routes(routes!(
        get_entry,
        put_entry,
        delete_entry
    ))
}

/// Read a cache entry
///
/// `HEAD` answers the same without the bytes.
#[utoipa::path(
    get, path = "/v1/cache/{namespace}/{key}", tag = "cache", operation_id = "get_cache_entry",
    params(
        ("namespace" = String, Path, description = "1 to 64 letters, digits, `_`, `-` or `.`; not `stats`, `tags` or `warm`", example = "page"),
        ("key" = String, Path, description = "1 to 512 bytes without control characters or braces", example = "home"),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags that the caller has: 304 when one is current")
    ),
    responses(
        (status = OK, body = serde_json::Value, content_type = "*/*", description = "The bytes with their type", headers(
            ("ETag" = Option<String>, description = "The version; absent when another program wrote the value"),
            ("X-Trackside-Stale" = Option<String>, description = "`true` when it is older than it should be")
        )),
        (status = NOT_MODIFIED, description = "The caller has it")
    )
)]
async fn get_entry(
    State(state): State<ApiState>,
    StrictPath((namespace, key)): StrictPath<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let cached = state.cache.namespace(&namespace)?.get(&key).await?;
    entries::found(cached.as_ref(), &key, &headers, "application/octet-stream")
}

/// Write a cache entry
#[utoipa::path(
    put, path = "/v1/cache/{namespace}/{key}", tag = "cache", operation_id = "put_cache_entry",
    params(
        ("namespace" = String, Path, description = "Where", example = "page"),
        ("key" = String, Path, description = "Under which key", example = "home"),
        ("ttl_s" = Option<u64>, Query, description = "How long it is fresh, in seconds; the namespace's when left out", example = 60),
        ("tags" = Option<String>, Query, description = "Tags, separated by commas", example = "shop:7"),
        ("If-Match" = Option<String>, Header, description = "Only over this version"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only when there is no entry")
    ),
    request_body(content = serde_json::Value, content_type = "application/octet-stream", description = "Any bytes of any type"),
    responses(
        (status = CREATED, description = "There was none", headers(("ETag" = String, description = "The version"))),
        (status = NO_CONTENT, description = "It replaced one", headers(("ETag" = String, description = "The version"))),
        (status = ACCEPTED, description = "The store is away; this process has it, and it is written when the store is back, or removed where another change may be newer")
    )
)]
async fn put_entry(
    State(state): State<ApiState>,
    StrictPath((namespace, key)): StrictPath<(String, String)>,
    StrictQuery(query): StrictQuery<PutQuery>,
    headers: HeaderMap,
    RawBody(value): RawBody,
) -> Result<Response, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(Arc::from);
    let tags = query.tags.iter().flat_map(|tags| tags.split(',')).map(str::parse).collect::<Result<_, _>>()?;
    let ttl = query.ttl_s.map(Duration::from_secs);
    let options = WriteOptions { ttl, tags, content_type, ..WriteOptions::default() };
    entries::put(&state.cache.namespace(&namespace)?, &key, value, options, &headers).await
}

/// Remove a cache entry
#[utoipa::path(
    delete, path = "/v1/cache/{namespace}/{key}", tag = "cache", operation_id = "delete_cache_entry",
    params(
        ("namespace" = String, Path, description = "Where", example = "page"),
        ("key" = String, Path, description = "Which key", example = "home"),
        ("If-Match" = Option<String>, Header, description = "Only this version")
    ),
    responses(
        (status = NO_CONTENT, description = "There is none now"),
        (status = ACCEPTED, description = "The store is away; it is removed when the store is back")
    )
)]
async fn delete_entry(
    State(state): State<ApiState>,
    StrictPath((namespace, key)): StrictPath<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    entries::delete(&state.cache.namespace(&namespace)?, &key, &headers).await
}

/// Invalidate all entries with a tag
///
/// In every namespace and process, in one step, however many there are.
#[utoipa::path(
    delete, path = "/v1/cache/tags/{tag}", tag = "cache", operation_id = "invalidate_cache_tag",
    params(("tag" = String, Path, description = "1 to 128 printable ASCII characters", example = "shop:7")),
    responses(
        (status = NO_CONTENT, description = "None of them is served any more"),
        (status = ACCEPTED, description = "The store is away; this process serves none of them, the others when the store is back")
    )
)]
async fn invalidate(State(state): State<ApiState>, StrictPath(tag): StrictPath<String>) -> Result<StatusCode, Problem> {
    Ok(entries::invalidated(state.cache.invalidate_tag(&tag.parse::<Tag>()?).await?))
}

/// Statistics of the cache in this process
#[utoipa::path(
    get, path = "/v1/cache/stats", tag = "cache", operation_id = "get_cache_stats",
    responses((status = OK, body = CacheStats))
)]
async fn stats(State(state): State<ApiState>) -> Json<CacheStats> {
    Json(figures(&state))
}

pub(super) fn figures(state: &ApiState) -> CacheStats {
    let namespaces = state.cache.stats().into_iter().map(Into::into).collect();
    CacheStats { namespaces, remembered_now: state.cache.remembered() }
}

/// Warm the cache
///
/// Runs everything that is warmed at start-up again, and answers when all of it is done.
#[utoipa::path(
    post, path = "/v1/cache/warm", tag = "cache", operation_id = "warm_cache", responses((status = OK, body = Warmed))
)]
async fn warm(State(state): State<ApiState>) -> Json<Warmed> {
    let mut parts = Vec::new();
    let tell = |progress: trackside_cache::WarmProgress| {
        parts.push(WarmedPart { name: progress.name, error: progress.error });
    };
    let outcome = state.cache.warm(WARM_AT_ONCE, tell).await;
    Json(Warmed { warmed: outcome.warmed, failed: outcome.failed, parts })
}

// === impl NamespaceView ===

impl From<NamespaceStats> for NamespaceView {
    fn from(stats: NamespaceStats) -> Self {
        let millis = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1_000.0);
        Self {
            hit_ratio: stats.hit_ratio(),
            namespace: stats.namespace,
            local_hits: stats.local_hits,
            store_hits: stats.store_hits,
            misses: stats.misses,
            stale: stats.stale,
            loads: stats.loads,
            load_errors: stats.load_errors,
            errors: stats.errors,
            writes: stats.writes,
            remembered: stats.remembered,
            local_entries: stats.local_entries,
            local_bytes: stats.local_bytes,
            store_entries: stats.store_entries,
            store_bytes: stats.store_bytes,
            store_p50_ms: millis(stats.store_p50),
            store_p99_ms: millis(stats.store_p99),
            load_p99_ms: millis(stats.load_p99),
        }
    }
}
