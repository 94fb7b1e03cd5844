//! What the limiter answers.

use std::{sync::Arc, time::Duration};

use crate::{Algorithm, Dimension, LimitName, Unit};

/// Whether a call may go on, and how its limits stand.
///
/// ```
/// use trackside_ratelimit::{Decision, Source};
/// fn seconds_to_wait(decision: &Decision) -> Option<u64> {
///     (!decision.allowed).then(|| decision.retry_after.map_or(60, |wait| wait.as_secs() + 1))
/// }
/// # let _ = (seconds_to_wait, Source::Redis);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Whether it may.
    pub allowed: bool,
    /// After which time it may, if nobody else takes what becomes free: exact, not the end of a window. `None` when it may now, or
    /// never. What weighs more than a call that was denied a moment ago is told the time of that one, which is the earliest possible.
    pub retry_after: Option<Duration>,
    /// Who decided.
    pub source: Source,
    /// True when it may only because the policy is a [shadow](crate::Policy::is_shadow).
    pub would_deny: bool,
    pub(crate) limits: Limits,
    /// How long ago the limits were looked at.
    pub(crate) age: Duration,
}

/// How one limit stands after the call.
///
/// ```
/// use trackside_ratelimit::LimitState;
/// fn used(state: &LimitState) -> u64 {
///     state.limit.saturating_sub(state.remaining)
/// }
/// # let _ = used;
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LimitState {
    /// The limit's name in its policy.
    pub name: LimitName,
    /// What has a counter of its own.
    pub dimension: Dimension,
    /// What is counted.
    pub unit: Unit,
    /// How many in the window, for this subject.
    pub limit: u64,
    /// The window.
    pub window: Duration,
    /// How many are left.
    pub remaining: u64,
    /// How it is counted.
    pub algorithm: Algorithm,
    /// When all are there again, if nobody takes more.
    pub reset: Duration,
    /// True when it had no room for the call.
    pub is_exceeded: bool,
}

/// The limits of a decision. One is copied: what is decided without a round trip would spend a quarter of its time on counting
/// references, and processors would wait for each other.
#[derive(Debug, Clone)]
pub(crate) enum Limits {
    One(LimitState),
    Several(Arc<[LimitState]>),
}

/// Who decided.
///
/// ```
/// assert_eq!(trackside_ratelimit::Source::Lease.as_str(), "lease");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The shared store, or what it said a moment ago.
    Redis,
    /// Units that this process had taken from the shared store before.
    Lease,
    /// This process alone.
    Local,
}

// === impl Decision ===

impl Decision {
    #[inline]
    pub(crate) fn new(allowed: bool, retry_after: Option<Duration>, source: Source, limits: Limits) -> Self {
        Self { allowed, retry_after, source, would_deny: false, limits, age: Duration::ZERO }
    }

    /// The limits that were checked, in the order of the policy. What a decision without a round trip says of what remains is as of
    /// the last one.
    pub fn limits(&self) -> impl ExactSizeIterator<Item = LimitState> {
        self.states().iter().map(|state| LimitState { reset: state.reset.saturating_sub(self.age), ..state.clone() })
    }

    /// The names of the limits that had no room.
    pub fn violated(&self) -> impl Iterator<Item = &LimitName> {
        self.states().iter().filter(|state| state.is_exceeded).map(|state| &state.name)
    }

    pub(crate) fn states(&self) -> &[LimitState] {
        self.limits.as_slice()
    }
}

// === impl Limits ===

impl Limits {
    pub(crate) fn as_slice(&self) -> &[LimitState] {
        match self {
            Self::One(state) => std::slice::from_ref(state),
            Self::Several(states) => states,
        }
    }
}

impl FromIterator<LimitState> for Limits {
    fn from_iter<T: IntoIterator<Item = LimitState>>(states: T) -> Self {
        let mut states = states.into_iter();
        match (states.next(), states.next()) {
            (Some(only), None) => Self::One(only),
            (first, second) => Self::Several(first.into_iter().chain(second).chain(states).collect()),
        }
    }
}

impl PartialEq for Limits {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

// === impl Source ===

impl Source {
    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Lease => "lease",
            Self::Local => "local",
        }
    }
}
