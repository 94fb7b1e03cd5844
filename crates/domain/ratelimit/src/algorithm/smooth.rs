//! The generic cell rate algorithm, told as a bucket that leaks: the level falls by `limit` in each `window`.

use super::{Room, Wait};
use crate::Quota;

/// What rounding may add up to.
const EPSILON: f64 = 1e-6;

/// How full the bucket was, and when.
#[derive(Debug, Clone, Default)]
pub(crate) struct Level {
    level: f64,
    at_us: u64,
}

// === impl Level ===

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "levels are far below 2^53, and never below zero"
)]
impl Level {
    /// Microseconds in which one unit leaks.
    fn unit_us(quota: &Quota) -> f64 {
        quota.window_ms() as f64 * 1_000.0 / quota.limit as f64
    }

    fn at(&self, quota: &Quota, now_us: u64) -> f64 {
        let leaked = now_us.saturating_sub(self.at_us) as f64 / Self::unit_us(quota);
        (self.level - leaked).max(0.0)
    }

    pub(crate) fn wait(&self, quota: &Quota, now_us: u64, cost: u64) -> Wait {
        if cost > quota.burst() || quota.limit == 0 {
            return Wait::Forever;
        }
        let over = self.at(quota, now_us) + cost as f64 - quota.burst() as f64;
        if over <= EPSILON {
            return Wait::No;
        }
        Wait::Millis((((over - EPSILON) * Self::unit_us(quota) / 1_000.0).ceil() as u64).max(1))
    }

    /// Takes units, and tells in microseconds when they will have leaked.
    pub(crate) fn add(&mut self, quota: &Quota, now_us: u64, units: u64) -> u64 {
        self.level = self.at(quota, now_us) + units as f64;
        self.at_us = self.at_us.max(now_us);
        self.at_us + (self.level * Self::unit_us(quota)) as u64
    }

    /// Takes out what has not leaked yet of units that will have at `gone_us`.
    pub(crate) fn give_back(&mut self, quota: &Quota, now_us: u64, gone_us: u64, units: u64) {
        let level = self.at(quota, now_us);
        self.at_us = self.at_us.max(now_us);
        let left = gone_us.saturating_sub(self.at_us) as f64 / Self::unit_us(quota);
        self.level = (level - left.min(units as f64)).max(0.0);
    }

    pub(crate) fn room(&self, quota: &Quota, now_us: u64) -> Room {
        let level = self.at(quota, now_us);
        let remaining = (quota.burst() as f64 - level + EPSILON).max(0.0) as u64;
        let reset = if level > EPSILON { (level * Self::unit_us(quota) / 1_000.0).ceil() as u64 } else { 0 };
        Room { remaining: if quota.limit == 0 { 0 } else { remaining }, reset }
    }
}
