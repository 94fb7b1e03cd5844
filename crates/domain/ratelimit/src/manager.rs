//! [`RateLimiter`]: what users hold.

mod overrides;
mod run;

use std::{collections::HashMap, sync::Arc, time::Duration};

use trackside_core::WorkerId;

use self::overrides::Overrides;
use crate::{
    Algorithm, Answer, Ask, Config, Counter, Decision, Error, Group, Limit, LimitState, Mode, Policy, PolicyName,
    RateLimitStore, Reservation, ReservationId, Settlement, Subject, Verdict,
    metrics::{METRICS, decided},
};

/// Rate limits of a service. Clones share it all.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::{sync::Arc, time::Duration};
/// use trackside_core::SystemClock;
/// use trackside_ratelimit::{
///     Config, Dimension, Limit, MemoryRateLimitStore, Policy, PolicyName, Quota, RateLimiter, Subject,
/// };
///
/// let free: PolicyName = "free".parse()?;
/// let minute = Duration::from_secs(60);
/// let policy = Policy::of([
///     Limit::new(Dimension::User, Quota::new(2, minute)),
///     Limit::new(Dimension::Ip, Quota::new(100, minute)),
/// ]);
/// let store = Arc::new(MemoryRateLimitStore::new(Arc::new(SystemClock::default())));
/// let limiter = RateLimiter::new(store, Config { policies: [(free.clone(), policy)].into(), ..Config::default() })?;
///
/// let alice = Subject::of(Dimension::User, "alice")?.with(Dimension::Ip, "192.0.2.1")?;
/// assert!(limiter.check(&free, &alice, 1).await?.allowed);
/// assert!(limiter.check(&free, &alice, 1).await?.allowed);
/// let denied = limiter.check(&free, &alice, 1).await?;
/// assert!(!denied.allowed && denied.retry_after.unwrap() <= minute);
/// // What a denied call did not take from the one limit, it did not take from the other.
/// assert_eq!(denied.limits().last().unwrap().remaining, 98);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct RateLimiter {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Arc<dyn RateLimitStore>,
    policies: HashMap<PolicyName, Policy>,
    sync_every: Duration,
    overrides: Overrides,
    /// By which other processes know this one.
    process: WorkerId,
}

// === impl RateLimiter ===

impl RateLimiter {
    /// A limiter that counts in `store`. [`run`](Self::run) keeps it up to date.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when a policy could not be obeyed.
    pub fn new(store: Arc<dyn RateLimitStore>, config: Config) -> Result<Self, Error> {
        config.check()?;
        let Config { policies, sync_every } = config;
        let process = WorkerId::generate("limits");
        let inner = Inner { store, policies, sync_every, overrides: Overrides::default(), process };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The policies, by name.
    pub fn policies(&self) -> impl Iterator<Item = (&PolicyName, &Policy)> {
        self.inner.policies.iter()
    }

    /// Takes `cost` from every limit of the policy whose dimension the subject has, or from none of them. One round trip at most.
    ///
    /// Not cancel-safe: after a drop or a timeout the call may have been counted.
    ///
    /// # Errors
    /// A denial is none. [`Error::UnknownPolicy`]; [`Error::InvalidInput`] when the subject has none of the dimensions or lacks the one
    /// that the policy counts within; [`Error::Unavailable`] while the store is away, unless the policy says otherwise.
    pub async fn check(&self, policy: &PolicyName, subject: &Subject, cost: u64) -> Result<Decision, Error> {
        let decision = Box::pin(self.decide(policy, subject, cost, Mode::Take)).await;
        decided(policy, &decision);
        decision
    }

    /// What [`check`](Self::check) would answer, without taking anything. One round trip. Cancel-safe.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub async fn peek(&self, policy: &PolicyName, subject: &Subject, cost: u64) -> Result<Decision, Error> {
        Box::pin(self.decide(policy, subject, cost, Mode::Peek)).await
    }

    /// As [`check`](Self::check), for what costs so much as far as one can tell, and of places that are held until then. Allowed, it
    /// comes with a reservation to be [settled](Self::settle); one that never is has cost what was reserved, and its places are free
    /// when their leases end. One round trip.
    ///
    /// # Errors
    /// As [`check`](Self::check); [`Error::InvalidInput`] of a policy that counts by [`Algorithm::Fast`].
    pub async fn reserve(
        &self,
        policy: &PolicyName,
        subject: &Subject,
        cost: u64,
    ) -> Result<(Decision, Option<Reservation>), Error> {
        let id = ReservationId::generate();
        let kept = self.policy(policy)?.longest().saturating_mul(2);
        let decision = Box::pin(self.decide(policy, subject, cost, Mode::Reserve { id, kept })).await;
        decided(policy, &decision);
        let decision = decision?;
        let reservation = Reservation { id, policy: policy.clone(), subject: subject.clone() };
        let reservation = decision.allowed.then_some(reservation);
        Ok((decision, reservation))
    }

    /// Ends a reservation. False when it was settled before, or was kept for too long. It may be repeated. One round trip.
    ///
    /// # Errors
    /// [`Error::UnknownPolicy`], and those of the store.
    pub async fn settle(&self, reservation: &Reservation, settlement: Settlement) -> Result<bool, Error> {
        let ask = self.ask(&reservation.policy, &reservation.subject, 1, Mode::Peek)?;
        let settled = self.inner.store.settle(&ask, reservation.id, settlement).await;
        let outcome = match &settled {
            Ok(true) => "settled",
            Ok(false) => "unknown",
            Err(_) => "failed",
        };
        METRICS.settlements.add(1, &[opentelemetry::KeyValue::new("outcome", outcome)]);
        settled
    }

    /// Holds the places of a reservation for another window of their limits. False when one is lost, because it was not renewed in
    /// time: then somebody else may have it. One round trip; it may be repeated.
    ///
    /// # Errors
    /// As [`settle`](Self::settle).
    pub async fn renew(&self, reservation: &Reservation) -> Result<bool, Error> {
        let ask = self.ask(&reservation.policy, &reservation.subject, 1, Mode::Peek)?;
        self.inner.store.renew(&ask, reservation.id).await
    }

    async fn decide(&self, name: &PolicyName, subject: &Subject, cost: u64, mode: Mode) -> Result<Decision, Error> {
        if cost == 0 {
            return Err(Error::InvalidInput { field: "cost", reason: "1 at least".to_owned() });
        }
        let policy = self.policy(name)?;
        let ask = self.ask(name, subject, cost, mode)?;
        if matches!(mode, Mode::Reserve { .. }) && ask.is_fast() {
            let reason = "of a policy that counts by `fast`, which takes no reservations".to_owned();
            return Err(Error::InvalidInput { field: "policy", reason });
        }
        let answer = self.inner.store.take(&ask).await?;
        Ok(self.decision(policy, &ask, answer))
    }

    fn decision(&self, policy: &Policy, ask: &Ask, answer: Answer) -> Decision {
        let verdicts = answer.counters.iter().map(|state| state.verdict);
        let retry_after = verdicts.clone().try_fold(Duration::ZERO, |longest, verdict| match verdict {
            Verdict::Room => Some(longest),
            Verdict::After(wait) => Some(longest.max(wait)),
            Verdict::Never => None,
        });
        let would_deny = verdicts.into_iter().any(|verdict| verdict != Verdict::Room);
        let limits = ask.counters.iter().zip(answer.counters).filter_map(|(counter, state)| {
            let limit = policy.limits.iter().find(|limit| limit.name == counter.limit)?;
            Some(LimitState {
                name: limit.name.clone(),
                dimension: limit.dimension,
                unit: limit.unit,
                limit: counter.quota.limit,
                window: counter.quota.window,
                algorithm: counter.quota.algorithm,
                remaining: state.remaining,
                reset: state.reset,
                is_exceeded: state.verdict != Verdict::Room,
            })
        });
        let retry_after = retry_after.filter(|_| !answer.allowed);
        let mut decision = Decision::new(answer.allowed, retry_after, self.inner.store.source(), limits.collect());
        decision.would_deny = answer.allowed && would_deny;
        decision
    }

    fn policy(&self, name: &PolicyName) -> Result<&Policy, Error> {
        self.inner.policies.get(name).ok_or_else(|| Error::UnknownPolicy { name: name.clone() })
    }

    /// The counters that a call is held against.
    fn ask(&self, name: &PolicyName, subject: &Subject, cost: u64, mode: Mode) -> Result<Ask, Error> {
        let policy = self.policy(name)?;
        let within = match policy.within {
            Some(dimension) => Some(subject.get(dimension).ok_or_else(|| missing(&[dimension]))?.to_owned()),
            None => None,
        };
        // Places are held by reservations, and are not for a single moment.
        let is_asked = |limit: &&Limit| limit.quota.algorithm != Algorithm::Concurrent || mode != Mode::Take;
        let counters: Vec<Counter> = policy
            .limits
            .iter()
            .filter(is_asked)
            .filter_map(|limit| {
                let value = subject.get(limit.dimension)?;
                let own = self.inner.overrides.get(name, &limit.name, value);
                let quota = crate::Quota { limit: own.unwrap_or(limit.quota.limit), ..limit.quota };
                Some(Counter {
                    limit: limit.name.clone(),
                    value: value.to_owned(),
                    quota,
                    unit: limit.unit,
                    units: limit.units(cost),
                    wish: 0,
                    is_shadow: policy.is_shadow,
                })
            })
            .collect();
        if counters.is_empty() {
            let dimensions: Vec<_> = policy.limits.iter().map(|limit| limit.dimension).collect();
            return Err(missing(&dimensions));
        }
        Ok(Ask { group: Group { policy: name.clone(), within }, counters, mode })
    }
}

/// A subject that has none of these dimensions.
fn missing(dimensions: &[crate::Dimension]) -> Error {
    let names: Vec<&str> = dimensions.iter().map(|dimension| dimension.as_str()).collect();
    Error::InvalidInput { field: "subject", reason: format!("the policy limits by {}", names.join(", ")) }
}

// === impl Ask ===

impl Ask {
    fn is_fast(&self) -> bool {
        self.counters.iter().any(|counter| counter.quota.algorithm == Algorithm::Fast)
    }
}

// === impl Policy ===

impl Policy {
    /// The longest window of its limits.
    fn longest(&self) -> Duration {
        self.limits.iter().map(|limit| limit.quota.window).max().unwrap_or_default()
    }
}
