//! The sweep: entries without a TTL get one, and the store's memory is counted by namespace.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tokio::time::sleep;

use super::{CacheManager, Inner};
use crate::{Error, NamespaceName, SweepCursor};

/// Names that one page looks at.
const PAGE: usize = 256;

/// What the last whole sweep counted.
#[derive(Debug, Default)]
pub(crate) struct Sizes(Mutex<HashMap<NamespaceName, Size>>);

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Size {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

// === impl CacheManager ===

impl CacheManager {
    /// Looks once at all names of the store, a bounded number at a time with pauses in between, and gives every entry without
    /// a TTL that of its namespace. Tells how many there were. [`run`](Self::run) does it at times.
    ///
    /// # Errors
    /// When the store fails; what was done is done.
    pub async fn sweep(&self) -> Result<usize, Error> {
        self.inner.sweep().await
    }
}

// === impl Inner ===

impl Inner {
    pub(super) async fn sweep(&self) -> Result<usize, Error> {
        let (mut cursor, mut repaired) = (SweepCursor::default(), 0);
        let mut sizes: HashMap<NamespaceName, Size> = HashMap::new();
        let spaces = self.all_spaces();
        loop {
            let page = self.store.sweep(cursor, PAGE, self.config.default_policy.ttl).await?;
            for (name, bytes) in page.seen {
                // The longest match: `project:` is also the head of others' names.
                let owner = spaces.iter().filter(|space| space.layout.key_of(&name).is_some());
                if let Some(space) = owner.max_by_key(|space| space.layout.name("").len()) {
                    let size = sizes.entry(space.name.clone()).or_default();
                    size.entries += 1;
                    size.bytes += bytes;
                }
            }
            for name in &page.repaired {
                tracing::warn!(cache.entry = %name, "an entry without a time to live got one");
            }
            repaired += page.repaired.len();
            match page.next {
                Some(next) => cursor = next,
                None => break,
            }
            sleep(self.config.sweep_pause).await;
        }
        for space in spaces {
            sizes.entry(space.name.clone()).or_default();
        }
        *self.sizes.0.lock().unwrap_or_else(PoisonError::into_inner) = sizes;
        Ok(repaired)
    }
}

// === impl Sizes ===

impl Sizes {
    pub(super) fn of(&self, namespace: &NamespaceName) -> Option<Size> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(namespace).copied()
    }
}
