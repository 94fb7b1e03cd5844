//! One counter, whatever its algorithm.

use crate::{
    Algorithm, Quota, ReservationId,
    algorithm::{Room, Wait, exact::Log, fast::Pair, places::Places, smooth::Level, window::Buckets},
};

#[derive(Debug)]
pub(super) enum Meter {
    Exact(Log),
    Window(Buckets),
    Smooth(Level),
    Fast(Pair),
    Concurrent(Places),
}

/// The time of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) us: u64,
}

// === impl Now ===

impl Now {
    pub(super) const fn ms(self) -> u64 {
        self.us / 1_000
    }
}

// === impl Meter ===

impl Meter {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Exact => Self::Exact(Log::default()),
            Algorithm::Window => Self::Window(Buckets::default()),
            Algorithm::Smooth => Self::Smooth(Level::default()),
            Algorithm::Fast => Self::Fast(Pair::default()),
            Algorithm::Concurrent => Self::Concurrent(Places::default()),
        }
    }

    pub(super) fn wait(&self, quota: &Quota, now: Now, units: u64, id: Option<ReservationId>) -> Wait {
        match self {
            Self::Exact(log) => log.wait(quota, now.ms(), units),
            Self::Window(buckets) => buckets.wait(quota, now.ms(), units),
            Self::Smooth(level) => level.wait(quota, now.us, units),
            Self::Fast(pair) => pair.wait(quota, now.ms(), units),
            Self::Concurrent(places) => places.wait(quota, now.ms(), id),
        }
    }

    /// Takes units and answers what [`give_back`](Self::give_back) wants to know of them.
    pub(super) fn add(&mut self, quota: &Quota, now: Now, units: u64, id: Option<ReservationId>) -> u64 {
        match self {
            Self::Exact(log) => log.add(quota, now.ms(), units),
            Self::Window(buckets) => buckets.add(quota, now.ms(), units),
            Self::Smooth(level) => level.add(quota, now.us, units),
            Self::Fast(pair) => {
                pair.add(quota, now.ms(), units);
                0
            }
            Self::Concurrent(places) => {
                if let Some(id) = id {
                    places.add(quota, now.ms(), id);
                }
                0
            }
        }
    }

    pub(super) fn give_back(&mut self, quota: &Quota, now: Now, stamp: u64, units: u64) {
        match self {
            Self::Exact(log) => log.give_back(stamp, units),
            Self::Window(buckets) => buckets.give_back(stamp, units),
            Self::Smooth(level) => level.give_back(quota, now.us, stamp, units),
            Self::Fast(_) | Self::Concurrent(_) => {}
        }
    }

    pub(super) fn leave(&mut self, id: ReservationId) {
        if let Self::Concurrent(places) = self {
            places.leave(id);
        }
    }

    pub(super) fn renew(&mut self, quota: &Quota, now: Now, id: ReservationId) -> bool {
        match self {
            Self::Concurrent(places) => places.renew(quota, now.ms(), id),
            _ => true,
        }
    }

    pub(super) fn room(&self, quota: &Quota, now: Now) -> Room {
        match self {
            Self::Exact(log) => log.room(quota, now.ms()),
            Self::Window(buckets) => buckets.room(quota, now.ms()),
            Self::Smooth(level) => level.room(quota, now.us),
            Self::Fast(pair) => pair.room(quota, now.ms()),
            Self::Concurrent(places) => places.room(quota, now.ms()),
        }
    }
}
