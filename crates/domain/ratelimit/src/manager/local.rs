//! One counter as this process knows it. Times are milliseconds of the process' own clock.

use std::{sync::Arc, time::Duration};

use crate::{
    Algorithm, LimitState, Quota,
    algorithm::{Room, Wait, fast::Pair, smooth::Level},
};

/// A counter that is asked this often in a period is worth a lease.
const HOT: u64 = 25;
/// At most so much of what remains is taken in advance: one in so many.
const LEASE_SHARE: u64 = 10;
/// How much more than its share a process allows while it is alone: the shares of others are not known exactly.
const GENEROSITY: f64 = 1.25;

#[derive(Debug, Default)]
pub(super) struct Local {
    pub(super) denial: Option<Denial>,
    pub(super) lease: Option<Lease>,
    /// What this process has been asked for, in periods of leases; and what of its leases was used since that was looked at.
    asked: Pair,
    used: u64,
    /// What this process has taken, in windows.
    taken: Pair,
    /// What the store said last.
    last: Option<Last>,
    /// What this process allows by itself, since the store is away.
    alone: Option<Alone>,
    /// Whose turn it is to ask for a lease.
    turns: Arc<tokio::sync::Mutex<()>>,
}

/// Until when a counter has no room.
#[derive(Debug, Clone)]
pub(super) struct Denial {
    pub(super) until: u64,
    /// It has none for so much, and may have for less.
    pub(super) units: u64,
    /// When the store will have room, which may be later than the denial is believed.
    pub(super) free_at: u64,
    pub(super) seen_at: u64,
    pub(super) state: LimitState,
}

/// Units that were taken in advance.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    pub(super) units: u64,
    pub(super) until: u64,
    pub(super) seen_at: u64,
    pub(super) state: LimitState,
}

#[derive(Debug)]
struct Alone {
    limit: u64,
    level: Level,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    at: u64,
    remaining: u64,
    limit: u64,
    window: u64,
}

// === impl Local ===

impl Local {
    /// True while forgetting it would cost more than a round trip.
    pub(super) fn is_worth_keeping(&self, now: u64) -> bool {
        self.denial.as_ref().is_some_and(|denial| denial.until > now)
            || self.lease.as_ref().is_some_and(|lease| lease.until > now)
            || self.last.is_some_and(|last| last.at + last.window > now && last.remaining < last.limit)
    }

    /// Whether there is no room for so much, as the store said.
    pub(super) fn denied(&self, now: u64, units: u64) -> Option<&Denial> {
        self.denial.as_ref().filter(|denial| denial.until > now && units >= denial.units)
    }

    /// Takes from the lease.
    pub(super) fn take_leased(&mut self, now: u64, units: u64) -> Option<&Lease> {
        let lease = self.lease.as_mut().filter(|lease| lease.until > now && lease.units >= units)?;
        lease.units -= units;
        self.used += units;
        Some(lease)
    }

    /// Gives back to the lease what was taken from it a moment ago.
    pub(super) fn return_leased(&mut self, units: u64) {
        if let Some(lease) = &mut self.lease {
            lease.units += units;
            self.used -= units.min(self.used);
        }
    }

    /// How much is worth taking in advance with a call: as much as the last period was asked for, and a tenth of what remains.
    pub(super) fn wish(&mut self, quota: &Quota, now: u64, units: u64) -> u64 {
        let period = Quota { window: lease_time(quota), ..*quota };
        self.asked.add(&period, now, units + std::mem::take(&mut self.used));
        let asked = self.asked.count.max(self.asked.before);
        let remaining = self.last.map_or(0, |last| last.remaining);
        if asked < HOT { 0 } else { asked.min(remaining / LEASE_SHARE) }
    }

    /// How long a lease that is asked for together with others is waited for, or none while the counter is not hot.
    pub(super) fn turn(&mut self, quota: &Quota, now: u64) -> Option<Arc<tokio::sync::Mutex<()>>> {
        let period = Quota { window: lease_time(quota), ..*quota };
        let asked = self.asked.at(&period, now);
        let is_hot =
            asked.count.max(asked.before) >= HOT && self.last.is_some_and(|last| last.remaining >= LEASE_SHARE);
        is_hot.then(|| Arc::clone(&self.turns))
    }

    /// The store has answered; so much was taken.
    pub(super) fn answered(&mut self, quota: &Quota, now: u64, remaining: u64, units: u64) {
        self.taken.add(quota, now, units);
        let (limit, window) = (quota.limit, quota.window_ms());
        self.last = Some(Last { at: now, remaining, limit, window });
        self.alone = None;
    }

    /// The part of the counter that is this process' own: what it took of all that was taken, or one of as many parts as there are
    /// processes.
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    fn share(&self, quota: &Quota, processes: u32) -> f64 {
        let equal = 1.0 / f64::from(processes.max(1));
        let Some(last) = self.last else { return equal };
        let all = quota.limit.saturating_sub(last.remaining);
        let mine = quota.limit - self.taken.room(quota, last.at).remaining;
        // Of a few units nothing can be concluded.
        if all < 10 { equal } else { (mine as f64 / all as f64).clamp(equal / 10.0, 1.0) }
    }

    /// What this process allows by itself while the store is away, and how full that is. It begins with its share of what remained,
    /// and fills up as its share of the limit does.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "shares of limits, which are far below 2^53"
    )]
    pub(super) fn alone(&mut self, quota: &Quota, now: u64, processes: u32) -> (Quota, &mut Level) {
        let (share, last) = (self.share(quota, processes), self.last);
        let of = |limit: u64| Quota { limit, burst: None, algorithm: Algorithm::Smooth, ..*quota };
        let alone = self.alone.get_or_insert_with(|| {
            let limit = (quota.limit as f64 * (share * GENEROSITY).min(1.0)).ceil() as u64;
            let mut level = Level::default();
            if let Some(last) = last.filter(|last| last.at + last.window > now) {
                let left = (last.remaining.min(quota.limit) as f64 * share).ceil() as u64;
                level.add(&of(limit), last.at * 1_000, limit.saturating_sub(left));
            }
            Alone { limit, level }
        });
        (of(alone.limit), &mut alone.level)
    }

    /// Whether there is room for a call, as this process sees it when it is alone. What is more than its share, and less than the
    /// limit, has room when nothing else was taken.
    pub(super) fn wait_alone(&mut self, quota: &Quota, now: u64, units: u64, processes: u32) -> Wait {
        if units > quota.burst() {
            return Wait::Forever;
        }
        let (own, level) = self.alone(quota, now, processes);
        level.wait(&own, now * 1_000, units.min(own.limit))
    }

    pub(super) fn take_alone(&mut self, quota: &Quota, now: u64, units: u64, processes: u32) {
        let (own, level) = self.alone(quota, now, processes);
        level.add(&own, now * 1_000, units);
    }

    /// What is left of it.
    pub(super) fn room_alone(&mut self, quota: &Quota, now: u64, processes: u32) -> Room {
        let (own, level) = self.alone(quota, now, processes);
        level.room(&own, now * 1_000)
    }
}

/// How long a lease may be used: a tenth of the window, a second at most.
pub(super) fn lease_time(quota: &Quota) -> Duration {
    (quota.window / 10).clamp(Duration::from_millis(1), Duration::from_secs(1))
}
