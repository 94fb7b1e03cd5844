//! What a process decides while the store is away.

use std::{
    sync::{PoisonError, atomic::Ordering},
    time::Duration,
};

use super::{Inner, rules::Rules};
use crate::{Algorithm, Ask, Decision, Error, LimitState, Mode, Outage, Source, algorithm::Wait};

// === impl Inner ===

impl Inner {
    /// The store answers: what was decided without it is forgotten as it is asked about.
    pub(super) fn is_back(&self) {
        if self.is_away.swap(false, Ordering::AcqRel) {
            tracing::info!("rate limits: the store is back");
        }
    }

    /// Decides as the policy says.
    pub(super) fn without_store(&self, rules: &Rules, ask: &Ask, error: Error) -> Result<Decision, Error> {
        if !self.is_away.swap(true, Ordering::AcqRel) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "rate limits: the store is away; each policy goes on as it says");
        }
        match rules.policy.outage {
            Outage::Closed => Err(error),
            Outage::Open => Ok(Decision::new(true, None, Source::Local, [].into_iter().collect())),
            Outage::Local => Ok(self.alone(rules, ask)),
        }
    }

    /// Decides by this process' share. Places are not limited meanwhile: nobody knows who holds one.
    fn alone(&self, rules: &Rules, ask: &Ask) -> Decision {
        // Nobody else takes between the look and the taking.
        let _gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, processes) = (self.clock.now(), self.processes.load(Ordering::Relaxed));
        let known = ask.counters.iter().filter(|counter| counter.quota.algorithm != Algorithm::Concurrent);
        let known: Vec<_> = known.filter_map(|counter| Some((counter, rules.id(ask, counter)?))).collect();
        let waits: Vec<Wait> = known
            .iter()
            .map(|(counter, id)| {
                self.table.update(*id, now, |local| local.wait_alone(&counter.quota, now, counter.units, processes))
            })
            .collect();
        let has_room = waits.iter().all(|wait| *wait == Wait::No);
        let allowed = has_room || rules.policy.is_shadow;
        let mut states = Vec::with_capacity(known.len());
        for ((counter, id), wait) in known.iter().zip(&waits) {
            let room = self.table.update(*id, now, |local| {
                if allowed && *wait == Wait::No && ask.mode != Mode::Peek {
                    local.take_alone(&counter.quota, now, counter.units, processes);
                }
                local.room_alone(&counter.quota, now, processes)
            });
            let Some(limit) = rules.policy.limits.iter().find(|limit| limit.name == counter.limit) else { continue };
            states.push(LimitState {
                name: limit.name.clone(),
                dimension: limit.dimension,
                unit: limit.unit,
                limit: counter.quota.limit,
                window: counter.quota.window,
                remaining: room.remaining,
                algorithm: counter.quota.algorithm,
                reset: Duration::from_millis(room.reset),
                is_exceeded: *wait != Wait::No,
            });
        }
        let retry_after = waits.iter().try_fold(0, |longest, wait| match wait {
            Wait::No => Some(longest),
            Wait::Millis(wait) => Some(longest.max(*wait)),
            Wait::Forever => None,
        });
        let retry_after = retry_after.filter(|_| !allowed).map(Duration::from_millis);
        let mut decision = Decision::new(allowed, retry_after, Source::Local, states.into_iter().collect());
        decision.would_deny = allowed && !has_room;
        decision
    }
}
