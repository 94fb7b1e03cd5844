//! Results of knowledge-base searches.

use std::{fmt::Write, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::{Error, Invalidated, LoadError, LoadOptions, Receipt, Tag, TypedCache, WriteOptions};

/// Search results at `kb_search:<digest>`, the digest being one of knowledge base and query.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// # use std::sync::Arc;
/// # use trackside_cache::{CacheManager, Config, MemoryCacheStore, SearchCache};
/// # let store = MemoryCacheStore::new(&Config::default(), Arc::new(trackside_core::SystemClock::default()));
/// # let cache = CacheManager::new(Arc::new(store), Config::default());
/// let searches: SearchCache<Vec<String>> = cache.searches()?;
/// searches.put("handbook", "vacation", &vec!["page 7".into()]).await?;
/// assert!(searches.get("handbook", "vacation").await?.is_some());
/// searches.invalidate("handbook").await?; // it was indexed anew
/// assert!(searches.get("handbook", "vacation").await?.is_none());
/// # Ok::<(), trackside_cache::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct SearchCache<T>(TypedCache<T>);

// === impl SearchCache ===

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> SearchCache<T> {
    pub(super) const fn new(cache: TypedCache<T>) -> Self {
        Self(cache)
    }

    /// The results of a query. Cancel-safe.
    ///
    /// # Errors
    /// As [`TypedCache::get`].
    pub async fn get(&self, knowledge_base: &str, query: &str) -> Result<Option<Arc<T>>, Error> {
        self.0.get(&key(knowledge_base, query)).await
    }

    /// The results of a query, searched for when they are not there.
    ///
    /// # Errors
    /// As [`TypedCache::get_or_load`]; [`Error::InvalidName`] for a malformed name of a knowledge base.
    pub async fn get_or_search<F, Fut>(
        &self,
        knowledge_base: &str,
        query: &str,
        search: F,
    ) -> Result<Option<Arc<T>>, Error>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<T>, LoadError>> + Send + 'static,
    {
        let options = LoadOptions { tags: vec![tag(knowledge_base)?], ttl: None };
        self.0.get_or_load(&key(knowledge_base, query), options, search).await
    }

    /// Puts the results of a query.
    ///
    /// # Errors
    /// As [`TypedCache::set`]; [`Error::InvalidName`] for a malformed name of a knowledge base.
    pub async fn put(&self, knowledge_base: &str, query: &str, results: &T) -> Result<Receipt, Error> {
        let options = WriteOptions { tags: vec![tag(knowledge_base)?], ..WriteOptions::default() };
        self.0.set(&key(knowledge_base, query), results, options).await
    }

    /// Invalidates all results of a knowledge base, in O(1).
    ///
    /// # Errors
    /// When the store refuses; never because it is away.
    pub async fn invalidate(&self, knowledge_base: &str) -> Result<Invalidated, Error> {
        self.0.namespace().invalidate_tag(&tag(knowledge_base)?).await
    }
}

impl<T> Clone for SearchCache<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

fn tag(knowledge_base: &str) -> Result<Tag, Error> {
    Ok(format!("kb:{knowledge_base}").parse()?)
}

/// Queries are long and private: their digest is the key.
fn key(knowledge_base: &str, query: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(knowledge_base);
    // No knowledge base and query run into one another.
    digest.update([0]);
    digest.update(query);
    digest.finalize().iter().take(16).fold(String::new(), |mut key, byte| {
        // Writing to a string cannot fail.
        let _ = write!(key, "{byte:02x}");
        key
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_the_same_key_in_every_process_and_no_two_share_one() {
        assert_eq!(key("a", "b"), "59b271ae1bbcb1d31d41929817f4b16f");
        assert_ne!(key("ab", "c"), key("a", "bc"));
        assert_ne!(key("a", "b"), key("b", "a"));
    }
}
