//! Counts for people and charts.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use trackside_core::{ComponentHealth, HealthCheck};

use super::{Inner, RateLimiter};
use crate::{Outage, PolicyName};

/// What became of the checks of a policy in this process, since it started.
///
/// ```
/// use trackside_ratelimit::{PolicyStats, Source};
/// fn round_trips(stats: &PolicyStats) -> u64 {
///     stats.allowed[Source::Redis as usize] + stats.denied[Source::Redis as usize] - stats.remembered
/// }
/// # let _ = round_trips;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyStats {
    /// The policy.
    pub policy: PolicyName,
    /// Allowed, by [`Source`](crate::Source) in its order.
    pub allowed: [u64; 3],
    /// Denied, by [`Source`](crate::Source) in its order.
    pub denied: [u64; 3],
    /// How many of the denied were denied before, and cost no round trip.
    pub remembered: u64,
    /// Allowed because the policy is a shadow.
    pub shadow: u64,
    /// Neither, because the store is away or refuses.
    pub failed: u64,
}

// === impl RateLimiter ===

impl RateLimiter {
    /// What became of the checks, by policy in the order of their names.
    #[must_use]
    pub fn stats(&self) -> Vec<PolicyStats> {
        self.inner.stats()
    }

    /// How many processes limit together, as this one last heard.
    #[must_use]
    pub fn processes(&self) -> u32 {
        self.inner.processes.load(Ordering::Relaxed)
    }
}

// === impl Inner ===

impl Inner {
    pub(crate) fn stats(&self) -> Vec<PolicyStats> {
        let mut stats: Vec<PolicyStats> =
            self.policies.values().map(|rules| rules.stats(self.table.counted(rules.number), self.source)).collect();
        stats.sort_by(|a, b| a.policy.cmp(&b.policy));
        stats
    }
}

// === impl RateLimiter ===

#[async_trait]
impl HealthCheck for RateLimiter {
    fn name(&self) -> &'static str {
        "limits"
    }

    async fn check(&self) -> ComponentHealth {
        if !self.inner.is_away.load(Ordering::Acquire) {
            return ComponentHealth::ok();
        }
        let of = |outage| self.policies().filter(|(_, policy)| policy.outage == outage).count();
        let (local, closed, open) = (of(Outage::Local), of(Outage::Closed), of(Outage::Open));
        ComponentHealth::degraded(format!(
            "the store is away: {local} policies are limited by this process alone, {closed} let nobody pass, {open} everybody"
        ))
    }
}
