//! Calling a loader: how long it may take, and the lease that it has meanwhile.

use std::{pin::pin, sync::Arc, time::Duration};

use futures::future::{Either, select};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{Flight, Loader};
use crate::{Error, Loaded, NewEntry, WriteOptions};

/// How much longer than the loader its lease may last: enough to write what it found.
const LEASE_MARGIN: Duration = Duration::from_millis(500);
/// How often a lease is renewed in its time.
const RENEWALS: u32 = 3;

// === impl Flight ===

impl Flight {
    /// Runs a loader, and keeps others from running one.
    pub(super) async fn call_leased(&self, loader: Loader) -> Result<NewEntry, Error> {
        match select(pin!(self.call_loader(loader)), pin!(self.keep_lease())).await {
            Either::Left((loaded, _)) => loaded,
            // It is lost: what is loaded is for those who wait, and nobody else.
            Either::Right(((), loading)) => loading.await,
        }
    }

    /// Runs a loader for as long as it may take.
    pub(super) async fn call_loader(&self, loader: Loader) -> Result<NewEntry, Error> {
        let (stats, policy) = (&self.space.stats, &self.space.policy);
        let namespace = || self.space.name.clone();
        let failed = |source| Error::Loader { namespace: namespace(), source };
        stats.loads.add();
        let started = Instant::now();
        // A task of its own: a loader that panics is one that failed.
        let loading = AbortOnDropHandle::new(tokio::spawn(async move { loader().await }));
        let loaded = timeout(policy.load_timeout, loading).await;
        stats.load_times.add(started.elapsed());
        let loaded = match loaded {
            Ok(Ok(Ok(loaded))) => Ok(loaded),
            Ok(Ok(Err(error))) => Err(failed(Arc::from(error))),
            Ok(Err(panic)) => Err(failed(Arc::new(panic))),
            Err(_) => Err(self.too_slow(started.elapsed())),
        };
        loaded
            .and_then(|Loaded { value, ttl, stale_for }| {
                // A known absence has a time of its own.
                let ttl = ttl.or_else(|| self.options.ttl.filter(|_| value.is_some()));
                self.space.new_entry(value, &WriteOptions { ttl, stale_for, ..WriteOptions::default() })
            })
            .inspect_err(|_| stats.load_errors.add())
    }

    /// Long enough to be renewed in time, and, at the end, to write what was found.
    pub(super) fn lease(&self) -> Duration {
        self.space.policy.lease.min(self.space.policy.load_timeout + LEASE_MARGIN)
    }

    /// Renews the lease until it is lost. While the store is away it is tried again: the lease may still be there afterwards.
    async fn keep_lease(&self) {
        let lease = self.lease();
        loop {
            sleep(lease / RENEWALS).await;
            if let Ok(false) = self.inner.store.renew(&self.key, self.writer, lease).await {
                tracing::debug!(cache.namespace = %self.space.name, "the lease of a loader is lost");
                return;
            }
        }
    }
}
