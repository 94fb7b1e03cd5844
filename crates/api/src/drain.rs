//! When a producer whom a full queue refused should come back.

use std::time::Duration;

use trackside_core::QueueName;
use trackside_queue::{Error, QueueActivity};

use crate::{
    ApiState,
    problem::{Problem, ProblemKind},
};

/// A shorter watch says little about the pace of the workers.
const WATCHED: Duration = Duration::from_secs(10);
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// The refusal of so many tasks, or whatever else went wrong. A full queue is likely to have room for them when its
/// workers, at the pace of the last minute, have done as many.
pub(crate) fn refused(state: &ApiState, queue: &QueueName, tasks: usize, error: Error) -> Problem {
    let problem = Problem::from(error);
    let activity = state.monitor.activity(queue).filter(|_| problem.kind() == ProblemKind::QueueFull);
    match activity.and_then(|activity| until_room(tasks, &activity)) {
        Some(wait) => problem.with_retry_after(wait),
        None => problem,
    }
}

/// `None` when the pace is not known.
fn until_room(tasks: usize, activity: &QueueActivity) -> Option<Duration> {
    if activity.window < WATCHED {
        return None;
    }
    let tasks = f64::from(u32::try_from(tasks).unwrap_or(u32::MAX));
    // Of a queue that stands still, longer than any duration.
    let wait = Duration::try_from_secs_f64(tasks / activity.completed_per_s).unwrap_or(LONGEST);
    Some(wait.clamp(SHORTEST, LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(tasks: usize, completed_per_s: f64, window: u64) -> Option<u64> {
        let window = Duration::from_secs(window);
        let activity = QueueActivity { window, completed_per_s, ..QueueActivity::default() };
        until_room(tasks, &activity).map(|wait| wait.as_secs())
    }

    #[test]
    fn the_wait_follows_the_pace_of_the_workers() {
        assert_eq!([wait(1, 50.0, 60), wait(300, 20.0, 60), wait(300, 0.5, 60)], [Some(1), Some(15), Some(60)]);
        assert_eq!(wait(1, 0.0, 60), Some(60), "nobody works");
        assert_eq!(wait(1, 50.0, 5), None, "the watch has just begun");
    }
}
