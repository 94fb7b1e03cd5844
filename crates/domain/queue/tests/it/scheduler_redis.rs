//! Many schedulers on one Redis, any of which may die at any moment.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::task::{JoinHandle, yield_now};
use tokio_util::sync::CancellationToken;
use trackside_core::{QueueName, ScheduleName, Timestamp};
use trackside_queue::{
    CatchUp, Config, MAX_BATCH, QueueManager, RedisQueueStore, RedisScheduleStore, Schedule, Scheduler,
    SchedulerConfig, Schedules, When,
};
use trackside_redis::RedisService;
use trackside_testkit::{FaultProxy, RedisServer, eventually};

use crate::redis_kit::{PATIENCE, connect};

const INTERVAL: Duration = Duration::from_millis(100);
const SCHEDULERS: usize = 4;

/// What one process has: its own view of the same store.
struct Process {
    schedules: Schedules,
    queues: QueueManager,
    stop: CancellationToken,
}

impl Process {
    fn new(service: &RedisService, offset_ms: &Arc<AtomicU64>) -> Self {
        let queues = RedisQueueStore::new(service.clone(), Config::default());
        let queues = QueueManager::new(Arc::new(queues), Config::default());
        let store = RedisScheduleStore::with_clock_offset(service.clone(), Arc::clone(offset_ms));
        let schedules = Schedules::new(Arc::new(store), queues.clone());
        Self { schedules, queues, stop: CancellationToken::new() }
    }

    fn schedule(&self) -> JoinHandle<()> {
        let config = SchedulerConfig {
            poll: Duration::from_millis(1),
            hold: Duration::from_millis(300),
            ..SchedulerConfig::default()
        };
        tokio::spawn(Scheduler::new(self.schedules.clone(), config).run(self.stop.clone()))
    }
}

fn pulse(number: usize) -> Schedule {
    let (name, queue) = (format!("pulse-{number}").parse().unwrap(), format!("queue-{number}").parse().unwrap());
    let schedule = Schedule::new(name, queue, When::Every { interval: INTERVAL }, "pulse", "{}");
    Schedule { catch_up: CatchUp::All { max: NonZeroU32::new(256).unwrap() }, ..schedule }
}

/// Checks that the tasks of a queue are those of all slots from `first` on, each once, and answers how many.
async fn every_slot_once(queues: &QueueManager, queue: &QueueName, first: Timestamp) -> usize {
    let tasks = queues.peek(queue, MAX_BATCH).await.unwrap();
    let mut slots: Vec<u64> = tasks.iter().map(|task| task.id.unwrap().created_at().as_millis()).collect();
    slots.sort_unstable();
    let step = u64::try_from(INTERVAL.as_millis()).unwrap();
    let expected: Vec<u64> = (0..slots.len() as u64).map(|n| first.as_millis() + n * step).collect();
    assert_eq!(slots, expected, "{queue}: a slot is missing, or there twice");
    assert_eq!(queues.stats(queue).await.unwrap().created, slots.len() as u64);
    slots.len()
}

#[tokio::test]
async fn schedulers_that_die_at_any_moment_miss_no_slot_and_make_none_twice() {
    let server = RedisServer::shared().await;
    let service = connect(&server.url(), &server.unique_prefix()).await;
    let offset_ms = Arc::new(AtomicU64::new(0));
    let process = Process::new(&service, &offset_ms);
    let schedules: Vec<Schedule> = (0..5).map(pulse).collect();
    let mut firsts = Vec::new();
    for schedule in &schedules {
        firsts.push(process.schedules.put(schedule.clone()).await.unwrap().next_slot.unwrap());
    }
    let mut running: Vec<_> = (0..SCHEDULERS).map(|_| process.schedule()).collect();
    let rounds = 120;
    for round in 0..rounds {
        offset_ms.fetch_add(100, Ordering::Relaxed);
        for _ in 0..rand::random_range(0..40) {
            yield_now().await;
        }
        let victim = &mut running[round % SCHEDULERS];
        victim.abort();
        *victim = process.schedule();
    }
    let is_done = |name: ScheduleName| {
        let schedules = process.schedules.clone();
        async move { schedules.get(&name).await.unwrap().unwrap().runs >= rounds as u64 }
    };
    for schedule in &schedules {
        eventually(|| is_done(schedule.name.clone()), PATIENCE).await;
    }
    process.stop.cancel();
    for scheduler in running {
        scheduler.await.unwrap();
    }
    for (schedule, first) in schedules.iter().zip(firsts) {
        assert!(every_slot_once(&process.queues, &schedule.queue, first).await >= rounds);
    }
}

#[tokio::test]
async fn a_scheduler_whose_answers_are_lost_is_taken_over_from() {
    let server = RedisServer::start().await.unwrap();
    let proxy = FaultProxy::start(server.port()).await.unwrap();
    let offset_ms = Arc::new(AtomicU64::new(0));
    let whole = Process::new(&connect(&server.url(), "").await, &offset_ms);
    let cut_off = Process::new(&connect(&format!("redis://127.0.0.1:{}", proxy.port()), "").await, &offset_ms);
    let schedule = pulse(0);
    let first = whole.schedules.put(schedule.clone()).await.unwrap().next_slot.unwrap();
    let runs = || async { whole.schedules.get(&schedule.name).await.unwrap().unwrap().runs };
    let lonely = cut_off.schedule();
    offset_ms.fetch_add(1_000, Ordering::Relaxed);
    eventually(|| async { runs().await >= 5 }, PATIENCE).await;
    proxy.cut();
    offset_ms.fetch_add(2_000, Ordering::Relaxed);
    let other = whole.schedule();
    eventually(|| async { runs().await >= 30 }, PATIENCE).await;
    proxy.heal();
    offset_ms.fetch_add(1_000, Ordering::Relaxed);
    eventually(|| async { runs().await >= 40 }, PATIENCE).await;
    for (process, scheduler) in [(&cut_off, lonely), (&whole, other)] {
        process.stop.cancel();
        scheduler.await.unwrap();
    }
    assert!(every_slot_once(&whole.queues, &schedule.queue, first).await >= 40);
}
