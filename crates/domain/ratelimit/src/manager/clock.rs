//! The process' own clock.

/// Milliseconds since the limiter was made, and a while. It reads the counter of the processor where there is a steady one: the clock of
/// the system would take as long as the rest of a decision at hand.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    clock: quanta::Clock,
    started: u64,
}

/// Not zero: windows reach back from the first call as well.
const BEFORE: u64 = 100 * 86_400_000;

// === impl Clock ===

impl Clock {
    #[inline]
    pub(super) fn now(&self) -> u64 {
        self.clock.delta_as_nanos(self.started, self.clock.raw()) / 1_000_000 + BEFORE
    }
}

impl Default for Clock {
    fn default() -> Self {
        let clock = quanta::Clock::new();
        Self { started: clock.raw(), clock }
    }
}
