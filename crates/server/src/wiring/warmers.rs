//! What the cache is warmed with, at start-up and by `POST /v1/cache/warm`.

use trackside_cache::{CacheManager, TOOL_REGISTRY, TypedCache, WriteOptions};
use trackside_jobs::JobService;

/// Has the tool registry put where other programs read it.
///
/// # Errors
/// When the settings leave no room for its namespace.
pub(super) fn add(cache: &CacheManager, jobs: &JobService) -> anyhow::Result<()> {
    let shared: TypedCache<serde_json::Value> = cache.tool_registry()?;
    let jobs = jobs.clone();
    cache.on_warm("tool registry", move || {
        let (shared, tools) = (shared.clone(), jobs.registry().tools());
        async move {
            shared.set(TOOL_REGISTRY, &serde_json::to_value(tools)?, WriteOptions::default()).await?;
            Ok(())
        }
    });
    Ok(())
}
