//! When something is wrong with a queue, and when it is well again.

use std::time::Duration;

use trackside_core::QueueName;

use super::QueueActivity;
use crate::{Alert, AlertRule, AlertState, Observation, QueueAudit, QueueStats, limits};

/// Bounds of the alerts; a rule without one is off. An alert that fires is resolved at a lower bound, so that a value
/// which swings about the upper one does not alert again and again.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds {
    /// Ready tasks above which the backlog alerts.
    pub backlog_above: Option<u64>,
    /// Ready tasks at which the backlog is well again.
    pub backlog_clear: u64,
    /// The age of the oldest ready task above which it alerts; well again at half of it. Paused queues do not alert.
    pub oldest_age_above: Option<Duration>,
    /// The part of the attempts of the last minute, from 0 to 1, above which failures alert; well again at half of it.
    pub failure_rate_above: Option<f64>,
    /// Attempts within a minute below which the failure rate says nothing.
    pub failure_rate_attempts: u64,
    /// Dead letters above which they alert; well again when they are no more.
    pub dead_above: Option<u64>,
}

/// The rules with their thresholds.
#[derive(Debug)]
pub(super) struct Rules {
    thresholds: Thresholds,
}

/// What a rule looks at.
struct Look {
    rule: AlertRule,
    value: f64,
    above: f64,
    /// Where an alert that fires is resolved.
    clear: f64,
}

// === impl Thresholds ===

impl Default for Thresholds {
    /// The backlog alerts above 100 and is well again at 80; ages above 5 minutes, more than half of at least 20 attempts
    /// failing, and more than 1,000 dead letters alert.
    fn default() -> Self {
        Self {
            backlog_above: Some(100),
            backlog_clear: 80,
            oldest_age_above: Some(Duration::from_secs(300)),
            failure_rate_above: Some(0.5),
            failure_rate_attempts: 20,
            dead_above: Some(1_000),
        }
    }
}

// === impl Rules ===

impl Rules {
    pub(super) const fn new(thresholds: Thresholds) -> Self {
        Self { thresholds }
    }

    /// What is to be noted of a queue: rules that hold, and those that held.
    pub(super) fn observe(
        &self,
        queue: &QueueName,
        stats: &QueueStats,
        activity: &QueueActivity,
        audit: Option<&QueueAudit>,
        known: &[Alert],
    ) -> Vec<Observation> {
        let looks = self.looks(stats, activity, audit);
        looks
            .into_iter()
            .filter_map(|look| {
                let state = known.iter().find(|it| it.queue == *queue && it.rule == look.rule).map(|it| it.state);
                let is_firing = state == Some(AlertState::Firing);
                let holds = look.value > if is_firing { look.clear } else { look.above };
                // What never held needs no note.
                let (rule, value, threshold) = (look.rule, look.value, look.above);
                (holds || state.is_some()).then(|| Observation { queue: queue.clone(), rule, holds, value, threshold })
            })
            .collect()
    }

    fn looks(&self, stats: &QueueStats, activity: &QueueActivity, audit: Option<&QueueAudit>) -> Vec<Look> {
        let bounds = &self.thresholds;
        let mut looks = Vec::new();
        let mut look = |rule, value, above: Option<f64>, clear| {
            looks.extend(above.map(|above| Look { rule, value, above, clear }));
        };
        let backlog = stats.ready.iter().sum();
        let clear = bounds.backlog_above.map_or(0, |above| above.min(bounds.backlog_clear));
        look(AlertRule::Backlog, number(backlog), bounds.backlog_above.map(number), number(clear));
        let above = bounds.oldest_age_above.map(|age| number(limits::millis(age)));
        let age = stats.oldest_age.filter(|_| !stats.paused).map_or(0, limits::millis);
        look(AlertRule::OldestAge, number(age), above, above.unwrap_or_default() / 2.0);
        let rate = if activity.attempts < bounds.failure_rate_attempts { 0.0 } else { activity.failure_rate };
        let above = bounds.failure_rate_above;
        look(AlertRule::FailureRate, rate, above, above.unwrap_or_default() / 2.0);
        let above = bounds.dead_above.map(number);
        look(AlertRule::DeadLetters, number(stats.dead), above, above.unwrap_or_default());
        if let Some(audit) = audit {
            let missing = if audit.is_balanced() { 0 } else { audit.unplaced.max(1) };
            look(AlertRule::Unbalanced, number(missing), Some(0.0), 0.0);
        }
        looks
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts and milliseconds stay below 2^53")]
const fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use trackside_core::Timestamp;

    use super::*;

    fn backlog(ready: u64) -> QueueStats {
        QueueStats { ready: [0, 0, ready, 0], ..QueueStats::default() }
    }

    fn observe(stats: &QueueStats, known: &[Alert]) -> Vec<(AlertRule, bool)> {
        let (rules, queue) = (Rules::new(Thresholds::default()), "q".parse().unwrap());
        let seen = rules.observe(&queue, stats, &QueueActivity::default(), None, known);
        seen.into_iter().map(|seen| (seen.rule, seen.holds)).collect()
    }

    fn alert(state: AlertState) -> Alert {
        let (at, queue) = (Timestamp::from_millis(1), "q".parse().unwrap());
        Alert { queue, rule: AlertRule::Backlog, state, since: at, changed_at: at, value: 101.0, threshold: 100.0 }
    }

    #[test]
    fn a_backlog_alerts_above_one_bound_and_is_well_again_at_another() {
        assert_eq!(observe(&backlog(100), &[]), []);
        assert_eq!(observe(&backlog(101), &[]), [(AlertRule::Backlog, true)]);
        let firing = [alert(AlertState::Firing)];
        assert_eq!(observe(&backlog(81), &firing), [(AlertRule::Backlog, true)], "it swings about the bound");
        assert_eq!(observe(&backlog(80), &firing), [(AlertRule::Backlog, false)]);
        let resolved = [alert(AlertState::Resolved)];
        assert_eq!(observe(&backlog(100), &resolved), [(AlertRule::Backlog, false)]);
    }

    #[test]
    fn a_paused_queue_is_not_called_old() {
        let old = Some(Duration::from_secs(301));
        let stats = QueueStats { oldest_age: old, ..QueueStats::default() };
        assert_eq!(observe(&stats, &[]), [(AlertRule::OldestAge, true)]);
        assert_eq!(observe(&QueueStats { paused: true, ..stats }, &[]), []);
    }

    #[test]
    fn few_attempts_say_nothing_of_the_failure_rate() {
        let (rules, queue) = (Rules::new(Thresholds::default()), "q".parse().unwrap());
        let activity = |attempts| QueueActivity { attempts, failure_rate: 0.9, ..QueueActivity::default() };
        let rate = |attempts| rules.observe(&queue, &QueueStats::default(), &activity(attempts), None, &[]).len();
        assert_eq!((rate(19), rate(20)), (0, 1));
    }

    #[test]
    fn an_audit_that_does_not_balance_alerts() {
        let (rules, queue) = (Rules::new(Thresholds::default()), "q".parse().unwrap());
        let audit = QueueAudit { created: 3, ready: 2, ..QueueAudit::default() };
        let seen = rules.observe(&queue, &QueueStats::default(), &QueueActivity::default(), Some(&audit), &[]);
        assert_eq!((seen.len(), seen[0].rule, seen[0].holds), (1, AlertRule::Unbalanced, true));
    }
}
