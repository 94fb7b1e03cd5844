//! The scheduler, over stores in memory whose clock is moved by hand.

use std::{sync::Arc, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};
use trackside_core::{Clock, ManualClock, QueueName, ScheduleName, Timestamp};
use trackside_queue::{
    CatchUp, Config, Error, MemoryQueueStore, MemoryScheduleStore, PeekedTask, QueueManager, Schedule, ScheduleStatus,
    Scheduler, SchedulerConfig, Schedules, When,
};

const HOUR: Duration = Duration::from_secs(3_600);

/// Schedulers that share their stores, and tokio's clock with the stores' clock in step.
struct Bed {
    clock: ManualClock,
    queues: QueueManager,
    schedules: Schedules,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Bed {
    fn new() -> Self {
        let clock = ManualClock::default();
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let store = MemoryQueueStore::new(Config::default(), Arc::clone(&shared));
        let queues = QueueManager::new(Arc::new(store), Config::default());
        let schedules = Schedules::new(Arc::new(MemoryScheduleStore::new(shared)), queues.clone());
        Self { clock, queues, schedules, tracker: TaskTracker::new(), stop: CancellationToken::new() }
    }

    fn start(&self, schedulers: usize) {
        for _ in 0..schedulers {
            let scheduler = Scheduler::new(self.schedules.clone(), SchedulerConfig::default());
            self.tracker.spawn(scheduler.run(self.stop.clone()));
        }
    }

    async fn end(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Lets time pass in steps of a quarter of a second.
    async fn pass(&self, time: Duration) {
        let step = Duration::from_millis(250);
        for _ in 0..time.as_millis() / step.as_millis() {
            self.clock.advance(step);
            tokio::time::sleep(step).await;
        }
    }

    async fn made(&self) -> Vec<PeekedTask> {
        self.queues.peek(&queue(), 256).await.unwrap()
    }

    /// The slots of the tasks that were made, as seconds after the beginning.
    async fn slots(&self) -> Vec<u64> {
        let begin = ManualClock::default().now();
        self.made().await.iter().map(|task| task.id.unwrap().created_at().millis_since(begin) / 1_000).collect()
    }

    async fn status(&self) -> ScheduleStatus {
        self.schedules.get(&name()).await.unwrap().unwrap()
    }
}

fn queue() -> QueueName {
    "exports".parse().unwrap()
}

fn name() -> ScheduleName {
    "pulse".parse().unwrap()
}

fn every(interval: Duration) -> Schedule {
    Schedule::new(name(), queue(), When::Every { interval }, "pulse", r#"{"n": 1}"#)
}

fn all(max: u32) -> CatchUp {
    CatchUp::All { max: max.try_into().unwrap() }
}

fn seconds(since: Timestamp) -> u64 {
    since.millis_since(ManualClock::default().now()) / 1_000
}

#[tokio::test(start_paused = true)]
async fn each_slot_makes_one_task_however_many_schedulers_there_are() {
    let bed = Bed::new();
    bed.schedules.put(every(Duration::from_secs(10))).await.unwrap();
    bed.start(5);
    bed.pass(Duration::from_secs(35)).await;
    assert_eq!(bed.slots().await, [10, 20, 30]);
    let status = bed.status().await;
    let last = status.last_run.unwrap();
    assert_eq!((status.runs, last.slot.map(seconds)), (3, Some(30)));
    assert_eq!(Some(last.task_id), bed.made().await[2].id);
    assert_eq!((status.next_slot.map(seconds), status.next_run_at.map(seconds)), (Some(40), Some(40)));
    assert_eq!(bed.made().await[0].kind.as_deref(), Some("pulse"));
    assert_eq!(&bed.made().await[0].payload[..], br#"{"n": 1}"#);
    bed.end().await;
    bed.pass(Duration::from_secs(20)).await;
    assert_eq!(bed.made().await.len(), 3, "nobody schedules any more");
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_is_written_while_the_scheduler_waits_is_noticed() {
    let bed = Bed::new();
    bed.start(1);
    bed.pass(Duration::from_secs(5)).await;
    bed.schedules.put(every(Duration::from_secs(1))).await.unwrap();
    bed.pass(Duration::from_secs(3)).await;
    assert_eq!(bed.slots().await, [6, 7, 8]);
    bed.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_is_caught_up_with_as_the_schedule_says() {
    for (catch_up, expected) in [
        (CatchUp::Skip, vec![]),
        (CatchUp::Latest, vec![3 * 3_600]),
        (all(2), vec![2 * 3_600, 3 * 3_600]),
        (all(256), vec![3_600, 2 * 3_600, 3 * 3_600]),
    ] {
        let bed = Bed::new();
        bed.schedules.put(Schedule { catch_up, ..every(HOUR) }).await.unwrap();
        // Nobody schedules for three hours and a half.
        bed.clock.advance(HOUR * 7 / 2);
        bed.start(2);
        bed.pass(Duration::from_secs(2)).await;
        assert_eq!(bed.slots().await, expected, "{catch_up:?}");
        assert_eq!(bed.status().await.next_slot.map(seconds), Some(4 * 3_600));
        bed.clock.advance(HOUR / 2);
        bed.pass(Duration::from_secs(2)).await;
        assert_eq!(bed.slots().await.last(), Some(&(4 * 3_600)), "and then it goes on: {catch_up:?}");
        bed.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_is_a_little_late_is_not_left_out() {
    let bed = Bed::new();
    bed.schedules.put(Schedule { catch_up: CatchUp::Skip, ..every(HOUR) }).await.unwrap();
    bed.clock.advance(HOUR + Duration::from_secs(59));
    bed.start(1);
    bed.pass(Duration::from_secs(1)).await;
    assert_eq!(bed.slots().await, [3_600]);
    bed.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_rests_makes_nothing_and_goes_on_from_now() {
    let bed = Bed::new();
    bed.schedules.put(Schedule { catch_up: all(9), ..every(Duration::from_secs(10)) }).await.unwrap();
    bed.start(2);
    bed.pass(Duration::from_secs(12)).await;
    let resting = bed.schedules.pause(&name()).await.unwrap();
    assert_eq!((resting.paused, resting.next_slot), (true, None));
    assert!(bed.schedules.pause(&name()).await.unwrap().paused, "may be repeated");
    bed.pass(Duration::from_secs(33)).await;
    assert_eq!(bed.slots().await, [10]);
    let awake = bed.schedules.resume(&name()).await.unwrap();
    assert_eq!((awake.paused, awake.next_slot.map(seconds)), (false, Some(50)));
    assert_eq!(bed.schedules.resume(&name()).await.unwrap().next_slot, awake.next_slot, "may be repeated");
    bed.pass(Duration::from_secs(10)).await;
    assert_eq!(bed.slots().await, [10, 50]);
    let unknown: ScheduleName = "other".parse().unwrap();
    assert!(matches!(bed.schedules.resume(&unknown).await, Err(Error::UnknownSchedule(name)) if name == unknown));
    bed.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_schedule_is_run_by_hand_besides_its_slots() {
    let bed = Bed::new();
    bed.schedules.put(Schedule { paused: Some(true), ..every(HOUR) }).await.unwrap();
    let first = bed.schedules.run_now(&name(), None).await.unwrap();
    let second = bed.schedules.run_now(&name(), Some("once".into())).await.unwrap();
    let again = bed.schedules.run_now(&name(), Some("once".into())).await.unwrap();
    assert!(again.replayed && again.id == second.id);
    let made: Vec<_> = bed.made().await.iter().filter_map(|task| task.id).collect();
    assert_eq!(made, [first.id, second.id]);
    let status = bed.status().await;
    assert_eq!((status.last_run.map(|run| run.task_id), status.runs, status.paused), (Some(second.id), 0, true));
}

#[tokio::test(start_paused = true)]
async fn with_jitter_the_task_comes_later_and_the_slot_stays() {
    let bed = Bed::new();
    let jitter = Duration::from_secs(600);
    let status = bed.schedules.put(Schedule { jitter, ..every(HOUR) }).await.unwrap();
    let run_at = status.next_run_at.map(seconds).unwrap();
    assert!((3_600..=4_200).contains(&run_at));
    bed.start(1);
    bed.clock.advance(Duration::from_secs(run_at - 2));
    bed.pass(Duration::from_secs(1)).await;
    assert!(bed.made().await.is_empty());
    bed.pass(Duration::from_secs(2)).await;
    assert_eq!(bed.slots().await, [3_600]);
    bed.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_work_is_refused_with_its_field() {
    let bed = Bed::new();
    let good = every(HOUR);
    for (field, bad) in [
        ("every_ms", every(Duration::ZERO)),
        ("jitter_ms", Schedule { jitter: HOUR * 24 * 400, ..good.clone() }),
        ("catch_up", Schedule { catch_up: all(257), ..good.clone() }),
    ] {
        let refused = bed.schedules.put(bad).await.unwrap_err();
        assert!(matches!(refused, Error::InvalidSchedule { field: named, .. } if named == field), "{refused}");
    }
    for (field, bad) in [
        ("kind", Schedule { kind: String::new(), ..good.clone() }),
        ("payload", Schedule { payload: "{".into(), ..good.clone() }),
    ] {
        let refused = bed.schedules.put(bad).await.unwrap_err();
        assert!(matches!(refused, Error::InvalidTask { field: named, .. } if named == field), "{refused}");
    }
    assert_eq!(bed.schedules.get(&name()).await.unwrap(), None);
}
