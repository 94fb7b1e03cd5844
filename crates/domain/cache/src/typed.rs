//! Values as Rust types: JSON in the store, decoded once per copy in the process.

use std::{fmt, marker::PhantomData, sync::Arc};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Cached, Error, LoadError, LoadOptions, Namespace, Receipt, WriteOptions, Written};

/// A namespace whose values are JSON of one type. A hit in the process hands out the value as it was decoded before.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// # use std::sync::Arc;
/// # use trackside_cache::{CacheManager, Config, MemoryCacheStore, TypedCache};
/// # let store = MemoryCacheStore::new(&Config::default(), Arc::new(trackside_core::SystemClock::default()));
/// # let cache = CacheManager::new(Arc::new(store), Config::default());
/// let primes: TypedCache<Vec<u32>> = TypedCache::new(cache.namespace("primes")?);
/// primes.set("below ten", &vec![2, 3, 5, 7], Default::default()).await?;
/// assert_eq!(primes.get("below ten").await?.as_deref(), Some(&vec![2, 3, 5, 7]));
/// # Ok::<(), trackside_cache::Error>(()) }).unwrap();
/// ```
pub struct TypedCache<T> {
    namespace: Namespace,
    values: PhantomData<fn() -> T>,
}

// === impl TypedCache ===

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> TypedCache<T> {
    /// The values of a namespace, which must be of this type in every process.
    #[must_use]
    pub const fn new(namespace: Namespace) -> Self {
        Self { namespace, values: PhantomData }
    }

    /// The namespace, for everything that does not depend on the type.
    #[must_use]
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The value; `None` when there is none, or it is known that there is none. Cancel-safe.
    ///
    /// # Errors
    /// As [`Namespace::get`]; [`Error::Value`] when what is there is no JSON of a `T`.
    pub async fn get(&self, key: &str) -> Result<Option<Arc<T>>, Error> {
        match self.namespace.get(key).await? {
            Some(cached) => self.decode(&cached),
            None => Ok(None),
        }
    }

    /// Puts a value, whatever was there.
    ///
    /// # Errors
    /// As [`Namespace::set`]; [`Error::Value`] when it cannot be written as JSON.
    pub async fn set(&self, key: &str, value: &T, options: WriteOptions) -> Result<Receipt, Error> {
        self.namespace.set(key, self.encode(value)?, options).await
    }

    /// Puts a value if there is none.
    ///
    /// # Errors
    /// As [`Namespace::set_if_absent`]; [`Error::Value`] when it cannot be written as JSON.
    pub async fn set_if_absent(&self, key: &str, value: &T, options: WriteOptions) -> Result<Written, Error> {
        self.namespace.set_if_absent(key, self.encode(value)?, options).await
    }

    /// Removes a value.
    ///
    /// # Errors
    /// As [`Namespace::delete`].
    pub async fn delete(&self, key: &str) -> Result<Receipt, Error> {
        self.namespace.delete(key).await
    }

    /// The value, loaded when there is none; see [`Namespace::get_or_load`]. Cancel-safe.
    ///
    /// # Errors
    /// As [`Namespace::get_or_load`]; [`Error::Value`] when what is there is no JSON of a `T`.
    pub async fn get_or_load<F, Fut>(&self, key: &str, options: LoadOptions, loader: F) -> Result<Option<Arc<T>>, Error>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<T>, LoadError>> + Send + 'static,
    {
        let loader = || async move {
            let Some(value) = loader().await? else { return Ok(None) };
            Ok(Some(Bytes::from(serde_json::to_vec(&value)?)))
        };
        self.decode(&self.namespace.get_or_load(key, options, loader).await?)
    }

    fn encode(&self, value: &T) -> Result<Bytes, Error> {
        serde_json::to_vec(value).map(Bytes::from).map_err(|error| self.unsuitable(error))
    }

    fn decode(&self, cached: &Cached) -> Result<Option<Arc<T>>, Error> {
        cached.copy.decoded(|bytes| serde_json::from_slice(bytes)).map_err(|error| self.unsuitable(error))
    }

    fn unsuitable(&self, error: serde_json::Error) -> Error {
        Error::Value { namespace: self.namespace.name().clone(), source: Arc::new(error) }
    }
}

impl<T> Clone for TypedCache<T> {
    fn clone(&self) -> Self {
        Self { namespace: self.namespace.clone(), values: PhantomData }
    }
}

impl<T> fmt::Debug for TypedCache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedCache").field(&self.namespace).finish()
    }
}
