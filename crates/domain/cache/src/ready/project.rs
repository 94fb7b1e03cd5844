//! What is cached of a project: its data and named entries, all invalidated by one call.

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, Invalidated, LoadError, LoadOptions, Receipt, Stamp, Tag, TypedCache, WriteOptions};

/// The name that is not an entry's.
const DATA: &str = "data";

/// Project data at `project:<id>:data` and entries at `project:<id>:<entry>`.
///
/// A writer who read the project before it changed cannot bring old data back: he says what he had
/// [`seen`](Self::seen) before he read, and what he puts is never served once the project was invalidated after that.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// # use std::sync::Arc;
/// # use trackside_cache::{CacheManager, Config, MemoryCacheStore, ProjectCache};
/// # let store = MemoryCacheStore::new(&Config::default(), Arc::new(trackside_core::SystemClock::default()));
/// # let cache = CacheManager::new(Arc::new(store), Config::default());
/// let projects: ProjectCache<String> = cache.projects()?;
/// let seen = projects.seen("42").await?;
/// let old = "read from the database".to_owned();
///
/// projects.invalidate("42").await?; // the project changes meanwhile
/// projects.put_data_as_of("42", &old, seen).await?;
/// assert_eq!(projects.data("42").await?, None);
/// # Ok::<(), trackside_cache::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct ProjectCache<T>(TypedCache<T>);

// === impl ProjectCache ===

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> ProjectCache<T> {
    pub(super) const fn new(cache: TypedCache<T>) -> Self {
        Self(cache)
    }

    /// The project's data. Cancel-safe.
    ///
    /// # Errors
    /// As [`TypedCache::get`]; [`Error::InvalidInput`] for a malformed project id, in every method.
    pub async fn data(&self, project_id: &str) -> Result<Option<Arc<T>>, Error> {
        self.0.get(&key(project_id, DATA)?).await
    }

    /// The project's data, loaded when there is none; see [`Namespace::get_or_load`](crate::Namespace::get_or_load).
    ///
    /// # Errors
    /// As [`TypedCache::get_or_load`].
    pub async fn data_or_load<F, Fut>(&self, project_id: &str, loader: F) -> Result<Option<Arc<T>>, Error>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<T>, LoadError>> + Send + 'static,
    {
        let options = LoadOptions { tags: vec![tag(project_id)?], ttl: None };
        self.0.get_or_load(&key(project_id, DATA)?, options, loader).await
    }

    /// Puts the project's data as they are now.
    ///
    /// # Errors
    /// As [`TypedCache::set`].
    pub async fn put_data(&self, project_id: &str, data: &T) -> Result<Receipt, Error> {
        self.put(project_id, DATA, data, None).await
    }

    /// Puts the project's data as they were when this was [`seen`](Self::seen).
    ///
    /// # Errors
    /// As [`TypedCache::set`].
    pub async fn put_data_as_of(&self, project_id: &str, data: &T, seen: Stamp) -> Result<Receipt, Error> {
        self.put(project_id, DATA, data, Some(seen)).await
    }

    /// A named entry of the project. Cancel-safe.
    ///
    /// # Errors
    /// As [`TypedCache::get`]; [`Error::InvalidInput`] for the name `data`.
    pub async fn entry(&self, project_id: &str, name: &str) -> Result<Option<Arc<T>>, Error> {
        self.0.get(&entry_key(project_id, name)?).await
    }

    /// A named entry, loaded when there is none.
    ///
    /// # Errors
    /// As [`TypedCache::get_or_load`]; [`Error::InvalidInput`] for the name `data`.
    pub async fn entry_or_load<F, Fut>(&self, project_id: &str, name: &str, loader: F) -> Result<Option<Arc<T>>, Error>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<T>, LoadError>> + Send + 'static,
    {
        let options = LoadOptions { tags: vec![tag(project_id)?], ttl: None };
        self.0.get_or_load(&entry_key(project_id, name)?, options, loader).await
    }

    /// Puts a named entry; `seen` as in [`put_data_as_of`](Self::put_data_as_of).
    ///
    /// # Errors
    /// As [`TypedCache::set`]; [`Error::InvalidInput`] for the name `data`.
    pub async fn put_entry(
        &self,
        project_id: &str,
        name: &str,
        value: &T,
        seen: Option<Stamp>,
    ) -> Result<Receipt, Error> {
        entry_key(project_id, name)?;
        self.put(project_id, name, value, seen).await
    }

    /// Removes the project's data.
    ///
    /// # Errors
    /// As [`TypedCache::delete`].
    pub async fn delete_data(&self, project_id: &str) -> Result<Receipt, Error> {
        self.0.delete(&key(project_id, DATA)?).await
    }

    /// Removes a named entry.
    ///
    /// # Errors
    /// As [`TypedCache::delete`]; [`Error::InvalidInput`] for the name `data`.
    pub async fn delete_entry(&self, project_id: &str, name: &str) -> Result<Receipt, Error> {
        self.0.delete(&entry_key(project_id, name)?).await
    }

    /// Invalidates everything of the project, in every process, in O(1).
    ///
    /// # Errors
    /// When the store refuses; never because it is away.
    pub async fn invalidate(&self, project_id: &str) -> Result<Invalidated, Error> {
        self.0.namespace().invalidate_tag(&tag(project_id)?).await
    }

    /// What a writer has seen who reads the project from its source after this.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn seen(&self, project_id: &str) -> Result<Stamp, Error> {
        self.0.namespace().stamp(&[tag(project_id)?]).await
    }

    /// The key of a project's data in [`cache`](Self::cache).
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a malformed project id.
    pub fn data_key(project_id: &str) -> Result<String, Error> {
        key(project_id, DATA)
    }

    /// The key of a named entry in [`cache`](Self::cache).
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a malformed project id, or the name `data`.
    pub fn entry_key(project_id: &str, name: &str) -> Result<String, Error> {
        entry_key(project_id, name)
    }

    /// The tag that everything of a project bears.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a malformed project id.
    pub fn tag(project_id: &str) -> Result<Tag, Error> {
        tag(project_id)
    }

    /// The cache behind it, whose keys are `<id>:<entry>`.
    #[must_use]
    pub const fn cache(&self) -> &TypedCache<T> {
        &self.0
    }

    async fn put(&self, project_id: &str, name: &str, value: &T, stamp: Option<Stamp>) -> Result<Receipt, Error> {
        let options = WriteOptions { tags: vec![tag(project_id)?], stamp, ..WriteOptions::default() };
        self.0.set(&key(project_id, name)?, value, options).await
    }
}

impl<T> Clone for ProjectCache<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

fn tag(project_id: &str) -> Result<Tag, Error> {
    checked(project_id)?;
    Ok(format!("project:{project_id}").parse()?)
}

fn key(project_id: &str, name: &str) -> Result<String, Error> {
    checked(project_id)?;
    Ok(format!("{project_id}:{name}"))
}

fn entry_key(project_id: &str, name: &str) -> Result<String, Error> {
    if name == DATA || name.is_empty() {
        let reason = "must be a name, and `data` is the project's own".to_owned();
        return Err(Error::InvalidInput { field: "name", reason });
    }
    key(project_id, name)
}

/// A colon would make the entry of one project the data of another.
fn checked(project_id: &str) -> Result<(), Error> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if (1..=100).contains(&project_id.len()) && project_id.bytes().all(is_plain) {
        return Ok(());
    }
    let reason = "must be 1 to 100 letters, digits, '_', '-' or '.'".to_owned();
    Err(Error::InvalidInput { field: "project_id", reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_entry_is_taken_for_the_data_of_a_project() {
        assert_eq!(key("42", DATA).unwrap(), "42:data");
        assert_eq!(entry_key("42", "plan:draft").unwrap(), "42:plan:draft");
        for (project, name) in [("42", "data"), ("42", ""), ("4:2", "x"), ("", "x"), ("a b", "x"), ("{1}", "x")] {
            assert!(entry_key(project, name).is_err(), "{project:?} {name:?}");
        }
    }
}
