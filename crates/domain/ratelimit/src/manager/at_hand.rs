//! Decisions without a round trip: of who was denied a moment ago, and from units that were taken in advance.

use std::{iter, sync::Arc, time::Duration};

use super::{
    Inner,
    local::{Denial, Lease, lease_time},
    rules::Rules,
    table::Id,
};
use crate::{Algorithm, Answer, Ask, Decision, Limit, LimitState, Mode, Source, Subject, Verdict, decision::Limits};

/// What a counter says without being asked.
enum AtHand {
    Denied(Decision),
    Leased { seen_at: u64, state: LimitState },
}

// === impl Inner ===

impl Inner {
    /// What can be said at once, if anything can.
    #[inline]
    pub(super) fn at_hand(
        &self,
        rules: &Rules,
        subject: &Subject,
        within: Option<&str>,
        cost: u64,
    ) -> Option<Decision> {
        if rules.policy.is_shadow {
            return None;
        }
        let now = self.clock.now();
        if rules.policy.leases {
            return self.leased(rules, subject, within, cost, now);
        }
        self.denied(rules, subject, within, cost, now)
    }

    /// What a counter without leases says, if it says anything: that there is no room.
    #[inline]
    fn denied(&self, rules: &Rules, subject: &Subject, within: Option<&str>, cost: u64, now: u64) -> Option<Decision> {
        rules.rates(subject, within).find_map(|(limit, id)| {
            let units = limit.units(cost);
            self.table.with_counts(id, |local, counts| {
                let denial = local.denied(now, units)?;
                counts[rules.number].remembered += 1;
                Some(self.denied_again(denial, now, units, limit))
            })
        })
    }

    /// The same, and what leases have room for.
    fn leased(&self, rules: &Rules, subject: &Subject, within: Option<&str>, cost: u64, now: u64) -> Option<Decision> {
        let mut leased: Option<(u64, LimitState)> = None;
        let mut further = Vec::new();
        let mut counters = 0;
        let mut all_leased = true;
        for (limit, id) in rules.rates(subject, within) {
            let units = limit.units(cost);
            let said = self.table.with_counts(id, |local, counts| {
                if let Some(denial) = local.denied(now, units) {
                    counts[rules.number].remembered += 1;
                    return Some(AtHand::Denied(self.denied_again(denial, now, units, limit)));
                }
                let lease = all_leased.then(|| local.take_leased(now, units))??;
                // A call is counted with its first counter.
                counts[rules.number].leased += u64::from(counters == 0);
                Some(AtHand::Leased { seen_at: lease.seen_at, state: lease.state.clone() })
            });
            match said {
                Some(AtHand::Denied(decision)) => {
                    self.return_leased(rules, subject, within, cost, counters);
                    return Some(decision);
                }
                Some(AtHand::Leased { seen_at, state }) => {
                    counters += 1;
                    match &leased {
                        None => leased = Some((seen_at, state)),
                        Some(_) => further.push(state),
                    }
                }
                None => {
                    if std::mem::take(&mut all_leased) {
                        self.return_leased(rules, subject, within, cost, std::mem::take(&mut counters));
                    }
                }
            }
        }
        let (seen_at, first) = leased.filter(|_| all_leased)?;
        let limits = iter::once(first).chain(further).collect();
        let age = Duration::from_millis(now.saturating_sub(seen_at));
        Some(Decision { age, ..Decision::new(true, None, Source::Lease, limits) })
    }

    /// Gives back what was taken from the leases of the first counters of a call.
    #[cold]
    fn return_leased(&self, rules: &Rules, subject: &Subject, within: Option<&str>, cost: u64, counters: usize) {
        for (index, (limit, id)) in rules.rates(subject, within).take(counters).enumerate() {
            self.table.with_counts(id, |local, counts| {
                local.return_leased(limit.units(cost));
                counts[rules.number].leased -= u64::from(index == 0);
                Some(())
            });
        }
    }

    /// Of a call that weighs more than the one that was denied only the earliest time is known, and whether there is one.
    #[inline]
    fn denied_again(&self, denial: &Denial, now: u64, units: u64, limit: &Limit) -> Decision {
        let is_never = denial.free_at == u64::MAX || units > limit.quota.burst.unwrap_or(denial.state.limit);
        let wait = (!is_never).then(|| Duration::from_millis(denial.free_at.saturating_sub(now)));
        let age = Duration::from_millis(now.saturating_sub(denial.seen_at));
        let limits = Limits::One(denial.state.clone());
        Decision { allowed: false, retry_after: wait, source: self.source, would_deny: false, limits, age }
    }

    /// Where a call has to wait until another one has brought a lease for both; none unless all its counters are hot.
    pub(super) fn turn(&self, rules: &Rules, ask: &Ask) -> Option<Arc<tokio::sync::Mutex<()>>> {
        let is_leasing = rules.policy.leases && !rules.policy.is_shadow && ask.mode == Mode::Take && !ask.is_fast();
        if !is_leasing {
            return None;
        }
        let now = self.clock.now();
        let mut turns = ask.counters.iter().map(|counter| {
            let id = rules.id(ask, counter)?;
            self.table.with(id, |local| local.turn(&counter.quota, now))
        });
        let first = turns.next()??;
        turns.all(|turn| turn.is_some()).then_some(first)
    }

    /// Asks for more than a call needs, where that is worth it.
    pub(super) fn wish(&self, rules: &Rules, ask: &mut Ask) {
        if !rules.policy.leases || rules.policy.is_shadow || ask.mode != Mode::Take || ask.is_fast() {
            return;
        }
        let now = self.clock.now();
        let wish = |counter: &crate::Counter| {
            let id = rules.id(ask, counter)?;
            Some(self.table.update(id, now, |local| local.wish(&counter.quota, now, counter.units)))
        };
        let wishes: Vec<u64> = ask.counters.iter().map(|counter| wish(counter).unwrap_or(0)).collect();
        // A lease on one of several counters saves nothing.
        if wishes.iter().all(|wish| *wish > 0) {
            for (counter, wish) in ask.counters.iter_mut().zip(wishes) {
                counter.wish = wish;
            }
        }
    }

    /// Remembers what the store has answered.
    pub(super) fn learn(&self, rules: &Rules, ask: &Ask, answer: &Answer, states: &[LimitState]) {
        if rules.policy.is_shadow {
            return;
        }
        let now = self.clock.now();
        let takes = answer.allowed && ask.mode != Mode::Peek;
        let believed = u64::try_from(self.deny_for.as_millis()).unwrap_or(0);
        for ((counter, said), state) in ask.counters.iter().zip(&answer.counters).zip(states) {
            let Some(id) = rules.id(ask, counter).filter(|_| counter.quota.algorithm != Algorithm::Concurrent) else {
                continue;
            };
            let free_at = match said.verdict {
                Verdict::Room => None,
                Verdict::After(wait) => Some(now.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))),
                Verdict::Never => Some(u64::MAX),
            };
            let until = free_at.map(|free_at| free_at.min(now + believed));
            self.table.update(id, now, |local| {
                let units = if takes { counter.units + said.granted } else { 0 };
                local.answered(&counter.quota, now, said.remaining, units);
                local.denial = free_at.zip(until).map(|(free_at, until)| Denial {
                    until,
                    units: counter.units,
                    free_at,
                    seen_at: now,
                    state: state.clone(),
                });
                if said.granted > 0 {
                    let lasts = u64::try_from(lease_time(&counter.quota).as_millis()).unwrap_or(0);
                    let lease = Lease { units: said.granted, until: now + lasts, seen_at: now, state: state.clone() };
                    local.lease = Some(lease);
                }
            });
        }
    }

    /// A settlement may have made room.
    pub(super) fn forget_denials_of(&self, rules: &Rules, ask: &Ask) {
        for id in ask.counters.iter().filter_map(|counter| rules.id(ask, counter)) {
            self.forget_denial(id);
        }
    }

    fn forget_denial(&self, id: Id<'_>) {
        self.table.with(id, |local| {
            local.denial = None;
            Some(())
        });
    }
}

// === impl Ask ===

impl Ask {
    pub(super) fn is_fast(&self) -> bool {
        self.counters.iter().any(|counter| counter.quota.algorithm == Algorithm::Fast)
    }
}
