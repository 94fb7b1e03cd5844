//! Ready-made caches under the names that other programs know.
//!
//! | cache | namespace | name in the store | TTL |
//! |---|---|---|---|
//! | [`ProjectCache`] | `project` | `project:<id>:data`, `project:<id>:<entry>` | 3600 s |
//! | [`tenant_configs`](CacheManager::tenant_configs) | `tenant_config` | `tenant:<id>:config` | 300 s |
//! | [`SearchCache`] | `kb_search` | `kb_search:<digest>` | 3600 s |
//! | [`tool_registry`](CacheManager::tool_registry) | `tool_registry` | `tool_registry` | 3600 s |
//! | [`job_statuses`](CacheManager::job_statuses) | `job_status` | `job:<id>:status` | 600 s |
//!
//! Their values are plain JSON in the store. Their settings may be replaced under the names of their namespaces.

mod project;
mod search;

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

pub use self::{project::ProjectCache, search::SearchCache};
use crate::{CacheManager, Error, Freshness, KeyLayout, Policy, TypedCache};

const HOUR: Duration = Duration::from_secs(3_600);
/// The key of the tool registry in its namespace.
pub const TOOL_REGISTRY: &str = "registry";

// === impl CacheManager ===

impl CacheManager {
    /// Project data and the named entries of projects.
    ///
    /// # Errors
    /// When this process uses too many namespaces.
    pub fn projects<T: Serialize + DeserializeOwned + Send + Sync + 'static>(&self) -> Result<ProjectCache<T>, Error> {
        Ok(ProjectCache::new(self.ready("project", HOUR, Duration::from_secs(30), ("project:", ""))?))
    }

    /// The configuration of each tenant, by tenant id.
    ///
    /// # Errors
    /// When this process uses too many namespaces.
    pub fn tenant_configs<T: Serialize + DeserializeOwned + Send + Sync + 'static>(
        &self,
    ) -> Result<TypedCache<T>, Error> {
        self.ready("tenant_config", Duration::from_secs(300), Duration::from_secs(30), ("tenant:", ":config"))
    }

    /// Results of knowledge-base searches.
    ///
    /// # Errors
    /// When this process uses too many namespaces.
    pub fn searches<T: Serialize + DeserializeOwned + Send + Sync + 'static>(&self) -> Result<SearchCache<T>, Error> {
        Ok(SearchCache::new(self.ready("kb_search", HOUR, Duration::from_secs(30), ("kb_search:", ""))?))
    }

    /// The registry of tools, at the key [`TOOL_REGISTRY`](crate::TOOL_REGISTRY).
    ///
    /// # Errors
    /// When this process uses too many namespaces.
    pub fn tool_registry<T: Serialize + DeserializeOwned + Send + Sync + 'static>(
        &self,
    ) -> Result<TypedCache<T>, Error> {
        self.ready("tool_registry", HOUR, Duration::from_secs(30), ("tool_", ""))
    }

    /// The status of each job, by job id. Whoever runs jobs writes it too, without telling, so copies are a second old at
    /// most.
    ///
    /// # Errors
    /// When this process uses too many namespaces.
    pub fn job_statuses<T: Serialize + DeserializeOwned + Send + Sync + 'static>(
        &self,
    ) -> Result<TypedCache<T>, Error> {
        self.ready("job_status", Duration::from_secs(600), Duration::from_secs(1), ("job:", ":status"))
    }

    fn ready<T: Serialize + DeserializeOwned + Send + Sync + 'static>(
        &self,
        name: &str,
        ttl: Duration,
        by: Duration,
        (head, tail): (&str, &str),
    ) -> Result<TypedCache<T>, Error> {
        let name = name.parse()?;
        // Others know the time to live of these: neither jitter nor time to be stale is added to it.
        let policy = self.policy_or(&name, |usual| Policy {
            ttl,
            ttl_jitter: 0.0,
            freshness: Freshness::Bounded { by },
            bounds: usual.bounds.clone(),
            ..Policy::default()
        });
        let layout = Some(KeyLayout::between(head, tail));
        Ok(TypedCache::new(self.namespace_of(name, Policy { layout, ..policy })?))
    }
}
