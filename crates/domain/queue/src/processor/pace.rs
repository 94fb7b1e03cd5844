//! When to speak with the store: how settlements gather, how claims are spaced, how an outage is waited out.

use std::time::Duration;

use tokio::time::Instant;
use trackside_resilience::{Backoff, BackoffConfig, Jitter};

/// Tasks that one step settles or claims, however many places there are: a store takes as many in one go.
pub(super) const STEP_TASKS: usize = 64;
/// What a step costs by itself is little beside so many settlements.
const SMALLEST_HALF: usize = 16;
/// How long settlements may gather while every place is busy.
const FLUSH_AFTER: Duration = Duration::from_millis(2);
/// The longest pause between claims that keep coming back empty although the store saw work: enough to keep a core
/// free, and too short to be noticed.
const MAX_EMPTY_PAUSE: Duration = Duration::from_millis(20);
/// The pause after the gate refused a task.
const GATE_PAUSE: Duration = Duration::from_millis(250);

/// When the next claim may be made.
#[derive(Debug)]
pub(super) struct ClaimPace {
    /// When a claim is due; `None` while only a wake-up can tell.
    due: Option<Instant>,
    /// A wake-up came after the last claim was sent: what that claim saw is out of date.
    is_woken: bool,
    /// When the last claim was sent, if it was due: others come along with settlements, and find nothing for good reason.
    asked: Option<Instant>,
    /// Claims in a row that brought nothing.
    empty: u32,
    /// No claim before this.
    not_before: Instant,
}

/// The store is away, or was until now.
#[derive(Debug)]
pub(super) struct Outage {
    backoff: Backoff,
    /// Since when; `None` while the store answers.
    pub(super) since: Option<Instant>,
    /// When to try again.
    pub(super) retry_at: Option<Instant>,
}

/// When settlements that have gathered since `since` should be sent, while `idle` places of `concurrency` are free
/// besides those that they leave.
///
/// At once when a place is free anyway: the worker is not saturated, and waiting would only make the answer later. A
/// saturated worker waits for a quarter of its places, [`STEP_TASKS`] or [`FLUSH_AFTER`], so that one step serves many.
pub(super) fn flush_at(since: Instant, gathered: usize, idle: usize, concurrency: usize) -> Instant {
    let is_batch = gathered >= concurrency.div_ceil(4).min(STEP_TASKS);
    if idle > 0 || is_batch { since } else { since + FLUSH_AFTER }
}

/// Settlements that are worth a step beside another one: half of the places, so that two steps take turns.
pub(super) fn full_step(concurrency: usize) -> usize {
    half_of(concurrency).clamp(8, STEP_TASKS)
}

/// How many settlements one step takes. When all places end at once, a step for all of them would leave the worker idle while
/// the store works, and the store while the worker does: two halves take turns, where half is worth a step.
pub(super) fn largest_step(concurrency: usize) -> usize {
    let half = half_of(concurrency);
    if half < SMALLEST_HALF { STEP_TASKS } else { half.min(STEP_TASKS) }
}

const fn half_of(concurrency: usize) -> usize {
    concurrency.div_ceil(2)
}

// === impl ClaimPace ===

impl ClaimPace {
    pub(super) const fn new(now: Instant) -> Self {
        Self { due: Some(now), is_woken: false, asked: None, empty: 0, not_before: now }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due.map(|due| due.max(self.not_before))
    }

    /// True when a step that is sent now may claim.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        self.not_before <= now
    }

    /// When claims are open again, while they are not.
    pub(super) fn opens_after(&self, now: Instant) -> Option<Instant> {
        Some(self.not_before).filter(|at| *at > now)
    }

    /// There may be work now.
    pub(super) const fn wake(&mut self, now: Instant) {
        self.due = Some(now);
        self.is_woken = true;
    }

    /// A claim is on its way; its answer tells when the next one is due.
    pub(super) fn sent(&mut self, now: Instant) {
        self.is_woken = false;
        self.asked = self.due.take().filter(|due| *due <= now).map(|_| now);
    }

    /// A claim waits in the store until there is something.
    pub(super) const fn waits(&mut self, now: Instant) {
        (self.is_woken, self.due, self.asked) = (false, None, Some(now));
    }

    /// There may be work later, even if nothing wakes us.
    pub(super) fn wake_after(&mut self, now: Instant, delay: Duration) {
        self.due = Some(now + delay);
    }

    /// A claim was answered: with how many tasks, whether more are ready, and when the next one is due.
    pub(super) fn claimed(&mut self, now: Instant, count: usize, more_ready: bool, next_due: Option<Duration>) {
        self.due =
            if more_ready || self.is_woken { Some(now) } else { next_due.and_then(|after| now.checked_add(after)) };
        if count > 0 {
            self.empty = 0;
            return;
        }
        let is_hasty = self.asked.take().is_some_and(|asked| now - asked < MAX_EMPTY_PAUSE);
        self.empty = if is_hasty { self.empty.saturating_add(1) } else { 0 };
        if self.empty > 1 {
            let pause = Duration::from_millis(1) * 2_u32.saturating_pow(self.empty.min(16) - 2);
            self.not_before = self.not_before.max(now + pause.min(MAX_EMPTY_PAUSE));
        }
    }

    /// A step said that the queue is paused, so that what is ready cannot be had.
    pub(super) const fn paused(&mut self) {
        self.due = None;
    }

    /// The gate refused a task: claiming again at once would bring the same one.
    pub(super) fn refused(&mut self, now: Instant) {
        self.not_before = now + GATE_PAUSE;
        self.due = Some(self.not_before);
    }
}

// === impl Outage ===

impl Outage {
    /// Tries again often enough that several attempts fit into a lease.
    pub(super) fn new(lease: Duration) -> Self {
        let max = (lease / 8).min(Duration::from_secs(1));
        let initial = max.min(Duration::from_millis(100));
        let config = BackoffConfig { initial, factor: 2.0, max, jitter: Jitter::Proportional(0.5) };
        Self { backoff: Backoff::new(config), since: None, retry_at: None }
    }

    /// A call failed. Answers true when the outage begins with it.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        self.retry_at = Some(now + self.backoff.next_delay());
        self.since.replace(self.since.unwrap_or(now)).is_none()
    }

    /// A call succeeded. Answers how long the outage was, if there was one.
    pub(super) fn recovered(&mut self, now: Instant) -> Option<Duration> {
        self.retry_at = None;
        self.backoff.reset();
        self.since.take().map(|since| now - since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_steps_take_turns_where_half_of_the_places_is_worth_a_step() {
        for (places, most) in [(1, 64), (16, 64), (30, 64), (32, 16), (64, 32), (100, 50), (128, 64), (1_000, 64)] {
            assert_eq!(largest_step(places), most, "{places} places");
        }
    }

    #[test]
    fn settlements_leave_at_once_unless_every_place_is_busy() {
        let since = Instant::now();
        assert_eq!(flush_at(since, 1, 1, 64), since, "a place is free");
        assert_eq!(flush_at(since, 1, 0, 64), since + FLUSH_AFTER, "saturated");
        assert_eq!(flush_at(since, 16, 0, 64), since, "a quarter of the places");
        assert_eq!(flush_at(since, 64, 0, 1_000), since, "a batch");
        assert_eq!(flush_at(since, 1, 0, 1), since, "the only place must not idle");
    }

    #[test]
    fn empty_claims_are_spaced_out_and_a_task_ends_that() {
        let now = Instant::now();
        let mut pace = ClaimPace::new(now);
        pace.sent(now);
        pace.claimed(now, 0, true, None);
        assert_eq!(pace.due(), Some(now), "one empty claim means little");
        for _ in 0..40 {
            pace.sent(now);
            pace.claimed(now, 0, true, None);
        }
        assert_eq!(pace.due(), Some(now + MAX_EMPTY_PAUSE));
        let later = now + MAX_EMPTY_PAUSE;
        pace.claimed(later, 1, true, None);
        assert_eq!(pace.due(), Some(later));
    }

    #[test]
    fn a_claim_may_find_nothing_when_it_came_along_or_waited() {
        let now = Instant::now();
        let mut pace = ClaimPace::new(now);
        pace.sent(now);
        pace.claimed(now, 0, false, None);
        for _ in 0..40 {
            pace.sent(now);
            pace.claimed(now, 0, false, None);
            pace.waits(now);
            pace.claimed(now + MAX_EMPTY_PAUSE, 0, false, None);
        }
        assert!(pace.is_open(now));
        for _ in 0..40 {
            pace.waits(now);
            pace.claimed(now, 0, false, None);
        }
        assert!(!pace.is_open(now), "it waits for what never comes");
    }

    #[test]
    fn a_wake_up_during_a_claim_is_not_forgotten() {
        let now = Instant::now();
        let mut pace = ClaimPace::new(now);
        pace.sent(now);
        pace.wake(now);
        pace.claimed(now, 0, false, None);
        assert_eq!(pace.due(), Some(now));
        pace.sent(now);
        pace.claimed(now, 0, false, None);
        assert_eq!(pace.due(), None);
    }

    #[test]
    fn an_outage_is_counted_from_its_first_failure() {
        let now = Instant::now();
        let mut outage = Outage::new(Duration::from_secs(10));
        assert!(outage.failed(now));
        assert!(!outage.failed(now + Duration::from_secs(1)));
        assert!(outage.retry_at.is_some_and(|at| at <= now + Duration::from_secs(3)));
        assert_eq!(outage.recovered(now + Duration::from_secs(5)), Some(Duration::from_secs(5)));
        assert_eq!(outage.recovered(now), None);
    }
}
