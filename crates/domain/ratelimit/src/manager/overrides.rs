//! Limits that single subjects have of their own, as this process knows them.

use std::{
    collections::HashMap,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use super::RateLimiter;
use crate::{Algorithm, Dimension, Error, LimitName, PolicyName, Subject, Target};

/// The overrides of the last version that was seen.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    /// False while there are none, so that the usual check costs one load.
    is_any: AtomicBool,
    version: AtomicU64,
    limits: RwLock<HashMap<Target, u64>>,
}

// === impl Overrides ===

impl Overrides {
    pub(super) fn get(&self, policy: &PolicyName, limit: &LimitName, value: &str) -> Option<u64> {
        if !self.is_any.load(Ordering::Acquire) {
            return None;
        }
        let target = Target { policy: policy.clone(), limit: limit.clone(), value: value.to_owned() };
        self.limits.read().unwrap_or_else(PoisonError::into_inner).get(&target).copied()
    }

    pub(super) fn all(&self) -> Vec<(Target, u64)> {
        let limits = self.limits.read().unwrap_or_else(PoisonError::into_inner);
        limits.iter().map(|(target, limit)| (target.clone(), *limit)).collect()
    }

    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(super) fn replace(&self, version: u64, all: Vec<(Target, u64)>) {
        let mut limits = self.limits.write().unwrap_or_else(PoisonError::into_inner);
        self.is_any.store(!all.is_empty(), Ordering::Release);
        *limits = all.into_iter().collect();
        self.version.store(version, Ordering::Release);
    }
}

// === impl RateLimiter ===

impl RateLimiter {
    /// Gives one subject a limit of its own instead of the policy's, for good; `None` takes it away. This process obeys at once, the
    /// others within [`Config::sync_every`](crate::Config::sync_every). One round trip or two; it may be repeated.
    ///
    /// # Errors
    /// [`Error::UnknownPolicy`]; [`Error::InvalidInput`] when the policy has no such limit, the subject lacks its dimension, or nobody
    /// could obey it; [`Error::TooManyOverrides`]; and those of the store.
    pub async fn set_override(
        &self,
        policy: &PolicyName,
        limit: &LimitName,
        subject: &Subject,
        to: Option<u64>,
    ) -> Result<(), Error> {
        let bad = |field, reason: String| Error::InvalidInput { field, reason };
        let known = self.inner.rules(policy, 1)?.policy.limits.iter().find(|known| known.name == *limit);
        let known =
            known.ok_or_else(|| bad("limit", format!("the policy {policy} has none that is called {limit}")))?;
        if let Some(to) = to {
            known.quota.check(to)?;
        }
        if known.quota.algorithm == Algorithm::Smooth && known.quota.burst.is_some() {
            return Err(bad("limit", "a limit with a burst of its own cannot be overridden".to_owned()));
        }
        let dimension: Dimension = known.dimension;
        let value = subject.get(dimension).ok_or_else(|| bad("subject", format!("has no {}", dimension.as_str())))?;
        let target = Target { policy: policy.clone(), limit: limit.clone(), value: value.to_owned() };
        self.inner.store.put_override(&target, to).await?;
        self.sync().await
    }

    /// The limits that subjects have of their own, in no particular order.
    #[must_use]
    pub fn overrides(&self) -> Vec<(Target, u64)> {
        self.inner.overrides.all()
    }
}
