//! A policy with what is counted about it, and the counters of a call.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{
    overrides::Overrides,
    table::{AtHandCounts, Id},
};
use crate::{
    Algorithm, Ask, Counter, Decision, Dimension, Error, Group, Limit, Mode, Policy, PolicyName, PolicyStats, Quota,
    Source, Subject,
};

#[derive(Debug)]
pub(super) struct Rules {
    pub(super) name: PolicyName,
    pub(super) policy: Policy,
    /// Its number among all policies.
    pub(super) number: usize,
    /// The number of its first limit among all limits of all policies.
    pub(super) first: u32,
    pub(super) tally: Tally,
}

/// What became of the checks of a policy.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Allowed, and denied, by [`Source`].
    allowed: [AtomicU64; 3],
    denied: [AtomicU64; 3],
    shadow: AtomicU64,
    failed: AtomicU64,
}

// === impl Rules ===

impl Rules {
    /// The value that everything is counted within.
    pub(super) fn within<'a>(&self, subject: &'a Subject) -> Result<Option<&'a str>, Error> {
        let Some(dimension) = self.policy.within else { return Ok(None) };
        subject.get(dimension).map(Some).ok_or_else(|| missing(&[dimension]))
    }

    /// The limits that count calls, for a subject: each with its counter.
    pub(super) fn rates<'a>(
        &'a self,
        subject: &'a Subject,
        within: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Limit, Id<'a>)> {
        let limits = self.policy.limits.iter().zip(self.first..);
        limits.filter(|(limit, _)| limit.quota.algorithm != Algorithm::Concurrent).filter_map(move |(limit, number)| {
            Some((limit, Id { limit: number, within, value: subject.get(limit.dimension)? }))
        })
    }

    /// The counter of one of its limits.
    pub(super) fn id<'a>(&self, ask: &'a Ask, counter: &'a Counter) -> Option<Id<'a>> {
        let index = self.policy.limits.iter().position(|limit| limit.name == counter.limit)?;
        let limit = self.first + u32::try_from(index).ok()?;
        Some(Id { limit, within: ask.group.within.as_deref(), value: &counter.value })
    }

    /// The counters that a call is held against.
    pub(super) fn ask(&self, overrides: &Overrides, subject: &Subject, cost: u64, mode: Mode) -> Result<Ask, Error> {
        let within = self.within(subject)?.map(ToOwned::to_owned);
        // Places are held by reservations, and are not for a single moment.
        let is_asked = |limit: &&Limit| limit.quota.algorithm != Algorithm::Concurrent || mode != Mode::Take;
        let counter = |limit: &Limit| {
            let value = subject.get(limit.dimension)?;
            let own = overrides.get(&self.name, &limit.name, value);
            Some(Counter {
                limit: limit.name.clone(),
                value: value.to_owned(),
                quota: Quota { limit: own.unwrap_or(limit.quota.limit), ..limit.quota },
                unit: limit.unit,
                units: limit.units(cost),
                wish: 0,
                is_shadow: self.policy.is_shadow,
            })
        };
        let counters: Vec<Counter> = self.policy.limits.iter().filter(is_asked).filter_map(counter).collect();
        if counters.is_empty() {
            let dimensions: Vec<_> = self.policy.limits.iter().map(|limit| limit.dimension).collect();
            return Err(missing(&dimensions));
        }
        Ok(Ask { group: Group { policy: self.name.clone(), within }, counters, mode })
    }

    /// What was counted, with what was decided at hand.
    pub(super) fn stats(&self, at_hand: AtHandCounts, source: Source) -> PolicyStats {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Tally { allowed, denied, shadow, failed } = &self.tally;
        let (mut allowed, mut denied) = (allowed.each_ref().map(count), denied.each_ref().map(count));
        allowed[Source::Lease as usize] += at_hand.leased;
        denied[source as usize] += at_hand.remembered;
        PolicyStats {
            policy: self.name.clone(),
            allowed,
            denied,
            remembered: at_hand.remembered,
            shadow: count(shadow),
            failed: count(failed),
        }
    }
}

/// A subject that has none of these dimensions.
fn missing(dimensions: &[Dimension]) -> Error {
    let mut names: Vec<&str> = Vec::new();
    for dimension in dimensions {
        if !names.contains(&dimension.as_str()) {
            names.push(dimension.as_str());
        }
    }
    Error::InvalidInput { field: "subject", reason: format!("the policy limits by {}", names.join(", ")) }
}

// === impl Tally ===

impl Tally {
    pub(super) fn count(&self, decision: &Result<Decision, Error>) {
        match decision {
            Ok(decision) if decision.would_deny => self.shadow.fetch_add(1, Ordering::Relaxed),
            Ok(decision) if decision.allowed => self.allowed[decision.source as usize].fetch_add(1, Ordering::Relaxed),
            Ok(decision) => self.denied[decision.source as usize].fetch_add(1, Ordering::Relaxed),
            Err(_) => self.failed.fetch_add(1, Ordering::Relaxed),
        };
    }
}
