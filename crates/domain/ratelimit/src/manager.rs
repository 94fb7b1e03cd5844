//! [`RateLimiter`]: what users hold.

mod at_hand;
mod clock;
mod local;
mod outage;
mod overrides;
mod rules;
mod run;
mod stats;
mod table;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32},
    },
    time::Duration,
};

use foldhash::fast::RandomState;
use trackside_core::WorkerId;

pub use self::stats::PolicyStats;
use self::{
    clock::Clock,
    overrides::Overrides,
    rules::{Rules, Tally},
    table::Table,
};
use crate::{
    Answer, Ask, Config, Decision, Error, LimitState, Mode, Policy, PolicyName, RateLimitStore, Reservation,
    ReservationId, Settlement, Source, Subject, Verdict, metrics,
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
/// assert!(!denied.allowed && denied.retry_after.unwrap() <= 2 * minute);
/// // What a denied call did not take from the one limit, it did not take from the other.
/// assert_eq!(denied.limits().last().unwrap().remaining, 98);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct RateLimiter {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    store: Arc<dyn RateLimitStore>,
    source: Source,
    policies: HashMap<PolicyName, Rules, RandomState>,
    sync_every: Duration,
    deny_for: Duration,
    overrides: Overrides,
    table: Table,
    /// Held while this process decides by itself.
    gate: Mutex<()>,
    is_away: AtomicBool,
    /// How many limit together.
    processes: AtomicU32,
    /// By which they know this one.
    process: WorkerId,
    clock: Clock,
}

// === impl RateLimiter ===

impl RateLimiter {
    /// A limiter that counts in `store`. [`run`](Self::run) keeps it up to date.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when a policy could not be obeyed.
    pub fn new(store: Arc<dyn RateLimitStore>, config: Config) -> Result<Self, Error> {
        config.check()?;
        let Config { policies, sync_every, deny_for } = config;
        let mut first = 0;
        let rules = |(number, (name, policy)): (usize, (PolicyName, Policy))| {
            let rules = Rules { name: name.clone(), number, first, tally: Tally::default(), policy };
            first += u32::try_from(rules.policy.limits.len()).unwrap_or(0);
            (name, rules)
        };
        let inner = Arc::new(Inner {
            source: store.source(),
            store,
            table: Table::new(policies.len()),
            policies: policies.into_iter().enumerate().map(rules).collect(),
            sync_every,
            deny_for,
            overrides: Overrides::default(),
            gate: Mutex::default(),
            is_away: AtomicBool::new(false),
            processes: AtomicU32::new(1),
            process: WorkerId::generate("limits"),
            clock: Clock::default(),
        });
        metrics::observe(&inner);
        Ok(Self { inner })
    }

    /// The policies, by name.
    pub fn policies(&self) -> impl Iterator<Item = (&PolicyName, &Policy)> {
        self.inner.policies.iter().map(|(name, rules)| (name, &rules.policy))
    }

    /// Takes `cost` from every limit of the policy whose dimension the subject has, or from none of them. One round trip, or none for
    /// who was denied a moment ago and for [leased](Policy::leases) units.
    ///
    /// Not cancel-safe: after a drop or a timeout the call may have been counted.
    ///
    /// # Errors
    /// A denial is none. [`Error::UnknownPolicy`]; [`Error::InvalidInput`] when the subject has none of the dimensions or lacks the one
    /// that the policy counts within; [`Error::Unavailable`] while the store is away, unless the policy says otherwise.
    pub async fn check(&self, policy: &PolicyName, subject: &Subject, cost: u64) -> Result<Decision, Error> {
        let rules = self.inner.rules(policy, cost)?;
        match self.inner.at_hand(rules, subject, rules.within(subject)?, cost) {
            Some(decision) => Ok(decision),
            // Boxed: it is rare that it matters, and would be large in every caller.
            None => Box::pin(self.inner.check(rules, subject, cost)).await,
        }
    }

    /// What [`check`](Self::check) would answer, without taking anything. One round trip. Cancel-safe.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub async fn peek(&self, policy: &PolicyName, subject: &Subject, cost: u64) -> Result<Decision, Error> {
        let inner = &self.inner;
        let rules = inner.rules(policy, cost)?;
        let ask = rules.ask(&inner.overrides, subject, cost, Mode::Peek)?;
        Box::pin(inner.decide(rules, &ask)).await
    }

    /// As [`check`](Self::check), for what costs so much as far as one can tell, and of places that are held until then. Allowed, it
    /// comes with a reservation to be [settled](Self::settle); one that never is has cost what was reserved, and its places are free
    /// when their leases end. One round trip.
    ///
    /// # Errors
    /// As [`check`](Self::check); [`Error::InvalidInput`] of a policy that counts by [`Algorithm::Fast`](crate::Algorithm::Fast).
    pub async fn reserve(
        &self,
        policy: &PolicyName,
        subject: &Subject,
        cost: u64,
    ) -> Result<(Decision, Option<Reservation>), Error> {
        let inner = &self.inner;
        let rules = inner.rules(policy, cost)?;
        let id = ReservationId::generate();
        let kept = rules.policy.longest().saturating_mul(2);
        let ask = rules.ask(&inner.overrides, subject, cost, Mode::Reserve { id, kept })?;
        if ask.is_fast() {
            let reason = "of a policy that counts by `fast`, which takes no reservations".to_owned();
            return Err(Error::InvalidInput { field: "policy", reason });
        }
        let decision = Box::pin(inner.decide(rules, &ask)).await;
        rules.tally.count(&decision);
        let decision = decision?;
        let reservation = Reservation { id, policy: policy.clone(), subject: subject.clone() };
        let reservation = decision.allowed.then_some(reservation);
        Ok((decision, reservation))
    }

    /// Ends a reservation. False when it was settled before, was kept for too long, or was made while the store was away. It may be
    /// repeated. One round trip.
    ///
    /// # Errors
    /// [`Error::UnknownPolicy`], and those of the store.
    pub async fn settle(&self, reservation: &Reservation, settlement: Settlement) -> Result<bool, Error> {
        let inner = &self.inner;
        let rules = inner.rules(&reservation.policy, 1)?;
        let ask = rules.ask(&inner.overrides, &reservation.subject, 1, Mode::Peek)?;
        let settled = inner.store.settle(&ask, reservation.id, settlement).await;
        inner.forget_denials_of(rules, &ask);
        metrics::settled(&settled);
        settled
    }

    /// Holds the places of a reservation for another window of their limits. False when one is lost, because it was not renewed in
    /// time: then somebody else may have it. One round trip; it may be repeated.
    ///
    /// # Errors
    /// As [`settle`](Self::settle).
    pub async fn renew(&self, reservation: &Reservation) -> Result<bool, Error> {
        let inner = &self.inner;
        let rules = inner.rules(&reservation.policy, 1)?;
        let ask = rules.ask(&inner.overrides, &reservation.subject, 1, Mode::Peek)?;
        inner.store.renew(&ask, reservation.id).await
    }
}

// === impl Inner ===

impl Inner {
    /// What a call of this cost is held against.
    fn rules(&self, name: &PolicyName, cost: u64) -> Result<&Rules, Error> {
        if cost == 0 {
            return Err(Error::InvalidInput { field: "cost", reason: "1 at least".to_owned() });
        }
        self.policies.get(name).ok_or_else(|| Error::UnknownPolicy { name: name.clone() })
    }

    async fn check(&self, rules: &Rules, subject: &Subject, cost: u64) -> Result<Decision, Error> {
        let mut ask = rules.ask(&self.overrides, subject, cost, Mode::Take)?;
        let turn = self.turn(rules, &ask);
        let _turn = match &turn {
            None => None,
            Some(turn) => {
                let turn = turn.lock().await;
                // Whoever was first may have brought enough for both.
                if let Some(decision) = self.at_hand(rules, subject, rules.within(subject)?, cost) {
                    return Ok(decision);
                }
                Some(turn)
            }
        };
        self.wish(rules, &mut ask);
        let decision = self.decide(rules, &ask).await;
        rules.tally.count(&decision);
        decision
    }

    /// Asks the store, or does without.
    async fn decide(&self, rules: &Rules, ask: &Ask) -> Result<Decision, Error> {
        match self.store.take(ask).await {
            Ok(answer) => {
                self.is_back();
                let decision = self.decision(&rules.policy, ask, &answer);
                self.learn(rules, ask, &answer, decision.states());
                Ok(decision)
            }
            Err(error) if error.is_outage() => self.without_store(rules, ask, error),
            Err(error) => Err(error),
        }
    }

    fn decision(&self, policy: &Policy, ask: &Ask, answer: &Answer) -> Decision {
        let verdicts = answer.counters.iter().map(|state| state.verdict);
        let would_deny = verdicts.clone().any(|verdict| verdict != Verdict::Room);
        let retry_after = verdicts.into_iter().try_fold(Duration::ZERO, |longest, verdict| match verdict {
            Verdict::Room => Some(longest),
            Verdict::After(wait) => Some(longest.max(wait)),
            Verdict::Never => None,
        });
        let limits = ask.counters.iter().zip(&answer.counters).filter_map(|(counter, state)| {
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
        let mut decision = Decision::new(answer.allowed, retry_after, self.source, limits.collect());
        decision.would_deny = answer.allowed && would_deny;
        decision
    }
}

// === impl Policy ===

impl Policy {
    /// The longest window of its limits.
    fn longest(&self) -> Duration {
        self.limits.iter().map(|limit| limit.quota.window).max().unwrap_or_default()
    }
}
