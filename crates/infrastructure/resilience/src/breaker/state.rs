//! The states of a breaker as users see them, and the word in which they are kept.

use std::{fmt, time::Duration};

/// What a breaker does with calls now.
///
/// ```
/// use trackside_resilience::BreakerState;
/// assert_eq!(BreakerState::HalfOpen.as_str(), "half_open");
/// assert!(BreakerState::Ramping.lets_calls_through());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerState {
    /// Every call passes and is counted.
    Closed,
    /// No call passes.
    Open {
        /// How long until a probe is due; zero when it is due.
        retry_after: Duration,
    },
    /// A few calls, or only the prober's, find out whether the dependency is back.
    HalfOpen,
    /// The dependency is back; a growing part of the calls passes.
    Ramping,
    /// Held open by an operator.
    ForcedOpen,
    /// Held closed by an operator: calls are counted, the counts never open it.
    ForcedClosed,
    /// Switched off: calls pass and are not counted.
    Disabled,
}

/// Why a breaker changed its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransitionReason {
    /// Too many failures in a row.
    ConsecutiveFailures,
    /// Too large a part of the window's calls failed.
    FailureRate,
    /// Too large a part of the window's calls, or of the half-open ones, was slow.
    SlowCallRate,
    /// The open time is over and a probe was asked for.
    ProbeDue,
    /// A probe or a half-open call failed.
    ProbeFailed,
    /// A probe or a half-open call gave no answer in time.
    ProbeTimedOut,
    /// The probes succeeded.
    Recovered,
    /// The ramp is over.
    RampComplete,
    /// Somebody asked for it.
    Operator,
}

/// A change of state, as told to [`on_transition`](crate::CircuitBreaker::on_transition).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transition {
    /// The breaker's name.
    pub breaker: &'static str,
    /// 1 for the breaker's first change, then one more each time: tells the order when two threads report at once.
    pub sequence: u64,
    /// Before.
    pub from: BreakerState,
    /// After.
    pub to: BreakerState,
    /// Why.
    pub reason: TransitionReason,
}

/// A breaker seen at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerSnapshot {
    /// What it does with calls.
    pub state: BreakerState,
    /// Changes of state since it was made.
    pub transitions: u64,
    /// Calls in the window. While open: those that opened it.
    pub calls: u32,
    /// Calls in the window that failed.
    pub failed: u32,
    /// Calls in the window that were slow, whether they succeeded or failed.
    pub slow: u32,
    /// Failures since the last success.
    pub consecutive_failures: u32,
    /// Calls that were refused since the breaker was made.
    pub rejected: u64,
}

/// The state without its data, as it stands in the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Closed,
    Open,
    HalfOpen,
    Ramping,
    ForcedOpen,
    ForcedClosed,
    Disabled,
}

/// A breaker's whole state in one atomic load: `phase 3 bits | generation 21 | until 40`.
///
/// *until* is in milliseconds since the breaker was made (34 years): the end of the open time or of the ramp. The
/// generation tells the results of one period from those of another; it comes round after two million changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(u64);

const UNTIL_BITS: u32 = 40;
const PHASE_SHIFT: u32 = 61;
const GENERATION: u64 = (1 << (PHASE_SHIFT - UNTIL_BITS)) - 1;
const UNTIL: u64 = (1 << UNTIL_BITS) - 1;

// === impl BreakerState ===

impl BreakerState {
    /// The stable name used in logs, metrics and health answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen => "half_open",
            Self::Ramping => "ramping",
            Self::ForcedOpen => "forced_open",
            Self::ForcedClosed => "forced_closed",
            Self::Disabled => "disabled",
        }
    }

    /// True when most or a growing part of the calls passes.
    #[must_use]
    pub const fn lets_calls_through(self) -> bool {
        matches!(self, Self::Closed | Self::Ramping | Self::ForcedClosed | Self::Disabled)
    }
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl TransitionReason ===

impl TransitionReason {
    /// The stable name used in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::FailureRate => "failure_rate",
            Self::SlowCallRate => "slow_call_rate",
            Self::ProbeDue => "probe_due",
            Self::ProbeFailed => "probe_failed",
            Self::ProbeTimedOut => "probe_timed_out",
            Self::Recovered => "recovered",
            Self::RampComplete => "ramp_complete",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for TransitionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Word ===

impl Word {
    pub(crate) const fn new(phase: Phase, generation: u32, until_ms: u64) -> Self {
        let until = if until_ms > UNTIL { UNTIL } else { until_ms };
        Self((phase as u64) << PHASE_SHIFT | (generation as u64 & GENERATION) << UNTIL_BITS | until)
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    pub(crate) const fn is_closed(self) -> bool {
        self.0 >> PHASE_SHIFT == Phase::Closed as u64
    }

    pub(crate) const fn phase(self) -> Phase {
        match self.0 >> PHASE_SHIFT {
            0 => Phase::Closed,
            1 => Phase::Open,
            2 => Phase::HalfOpen,
            3 => Phase::Ramping,
            4 => Phase::ForcedOpen,
            5 => Phase::ForcedClosed,
            _ => Phase::Disabled,
        }
    }

    pub(crate) const fn generation(self) -> u32 {
        ((self.0 >> UNTIL_BITS) & GENERATION) as u32
    }

    /// The same number in the range that a word can hold.
    pub(crate) const fn next_generation(self) -> u32 {
        ((self.generation() as u64 + 1) & GENERATION) as u32
    }

    pub(crate) const fn until_ms(self) -> u64 {
        self.0 & UNTIL
    }

    /// The public state at `now_ms`.
    pub(crate) fn state(self, now_ms: u64) -> BreakerState {
        match self.phase() {
            Phase::Closed => BreakerState::Closed,
            Phase::Open => {
                BreakerState::Open { retry_after: Duration::from_millis(self.until_ms().saturating_sub(now_ms)) }
            }
            Phase::HalfOpen => BreakerState::HalfOpen,
            Phase::Ramping => BreakerState::Ramping,
            Phase::ForcedOpen => BreakerState::ForcedOpen,
            Phase::ForcedClosed => BreakerState::ForcedClosed,
            Phase::Disabled => BreakerState::Disabled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_keeps_its_three_parts_apart() {
        for phase in [
            Phase::Closed,
            Phase::Open,
            Phase::HalfOpen,
            Phase::Ramping,
            Phase::ForcedOpen,
            Phase::ForcedClosed,
            Phase::Disabled,
        ] {
            let word = Word::new(phase, (1 << 21) - 1, u64::MAX);
            assert_eq!(word.phase(), phase);
            assert_eq!(word.is_closed(), phase == Phase::Closed);
            assert_eq!(word.generation(), (1 << 21) - 1);
            assert_eq!(word.next_generation(), 0);
            assert_eq!(word.until_ms(), (1 << 40) - 1);
        }
    }
}
