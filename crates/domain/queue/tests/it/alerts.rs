//! Alerts: one teller for each change, on both boards, and monitors side by side.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use trackside_core::{Clock, SystemClock};
use trackside_queue::{
    Alert, AlertBoard, AlertNotifier, AlertRule, AlertState, Config, MemoryAlertBoard, MemoryQueueStore, MonitorConfig,
    NewTask, Observation, QueueManager, QueueMonitor,
};

use crate::{names::unique_queue, processor_kit::TokioClock};

const LONG: Duration = Duration::from_secs(3_600);

fn observation(holds: bool, value: f64) -> Observation {
    Observation { queue: "exports".parse().unwrap(), rule: AlertRule::Backlog, holds, value, threshold: 100.0 }
}

async fn a_change_has_one_teller_and_is_told_at_last(board: &dyn AlertBoard) {
    assert_eq!(board.note(&[observation(false, 3.0)], LONG).await.unwrap(), []);
    let fired = board.note(&[observation(true, 140.5)], LONG).await.unwrap();
    assert_eq!((fired.len(), fired[0].state, fired[0].value), (1, AlertState::Firing, 140.5));
    assert_eq!(board.note(&[observation(true, 150.0)], LONG).await.unwrap(), [], "somebody else tells");
    assert_eq!(board.alerts().await.unwrap(), fired);

    // Nobody confirmed: a later caller, whose patience is over, tells it again.
    let again = loop {
        let again = board.note(&[observation(true, 150.0)], Duration::ZERO).await.unwrap();
        if !again.is_empty() {
            break again;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(again, fired, "the same change");
    board.told(&again[0]).await.unwrap();
    assert_eq!(board.note(&[observation(true, 150.0)], Duration::ZERO).await.unwrap(), []);

    let resolved = board.note(&[observation(false, 70.0)], LONG).await.unwrap();
    assert_eq!((resolved[0].state, resolved[0].since), (AlertState::Resolved, fired[0].since));
    board.told(&fired[0]).await.unwrap();
    assert_eq!(board.alerts().await.unwrap(), resolved, "remembered");
    let told_late = board.note(&[observation(false, 70.0)], LONG).await.unwrap();
    assert_eq!(told_late, [], "within the patience");
    board.told(&resolved[0]).await.unwrap();
    let fired = board.note(&[observation(true, 101.0)], LONG).await.unwrap();
    assert!(fired[0].since >= resolved[0].changed_at, "a new alert");
}

#[tokio::test]
async fn a_change_has_one_teller_in_memory() {
    a_change_has_one_teller_and_is_told_at_last(&MemoryAlertBoard::new(Arc::new(SystemClock::default()))).await;
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn a_change_has_one_teller_on_redis() {
    let redis = crate::redis_kit::OnRedis::shared().await;
    let board = trackside_queue::RedisAlertBoard::new(redis.service.clone());
    a_change_has_one_teller_and_is_told_at_last(&board).await;
}

/// Writes down what it is told, after it failed so many times.
#[derive(Clone)]
struct Diary {
    told: Arc<Mutex<Vec<Alert>>>,
    failures: Arc<Mutex<u32>>,
}

#[async_trait]
impl AlertNotifier for Diary {
    fn name(&self) -> &'static str {
        "diary"
    }

    async fn notify(&self, alert: &Alert) -> Result<(), String> {
        let mut failures = self.failures.lock().unwrap();
        if *failures > 0 {
            *failures -= 1;
            return Err("no ink".into());
        }
        self.told.lock().unwrap().push(alert.clone());
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn of_several_monitors_one_tells_each_change_until_it_is_heard() {
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::default());
    let store = MemoryQueueStore::new(Config::default(), Arc::clone(&clock));
    let queues = QueueManager::new(Arc::new(store), Config::default());
    let board: Arc<dyn AlertBoard> = Arc::new(MemoryAlertBoard::new(clock));
    let queue = unique_queue();
    queues.enqueue_many(&queue, (0..101).map(|_| NewTask::new(&queue, "k", "1")).collect()).await.unwrap();

    let diary = Diary { told: Arc::default(), failures: Arc::new(Mutex::new(2)) };
    let (end, config) =
        (CancellationToken::new(), MonitorConfig { patience: Duration::from_secs(10), ..MonitorConfig::default() });
    let monitors: Vec<_> = (0..3)
        .map(|_| {
            let monitor = QueueMonitor::new(queues.clone(), Arc::clone(&board), config.clone());
            tokio::spawn(monitor.with_notifier(diary.clone()).run(end.clone()))
        })
        .collect();
    // Paused time runs ahead: many looks of every monitor.
    tokio::time::sleep(Duration::from_secs(240)).await;
    let told = diary.told.lock().unwrap().clone();
    assert_eq!(
        told.iter().map(|alert| (alert.rule, alert.state)).collect::<Vec<_>>(),
        [(AlertRule::Backlog, AlertState::Firing)]
    );
    assert_eq!(told[0].message(), format!("queue {queue}: backlog is 101, above 100"));
    end.cancel();
    for monitor in monitors {
        monitor.await.unwrap();
    }
}

/// Never answers, and counts who asked.
struct Deaf(Arc<Mutex<u32>>);

#[async_trait]
impl AlertNotifier for Deaf {
    fn name(&self) -> &'static str {
        "deaf"
    }

    async fn notify(&self, _alert: &Alert) -> Result<(), String> {
        *self.0.lock().unwrap() += 1;
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_never_answers_holds_up_neither_the_watch_nor_the_others() {
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::default());
    let store = MemoryQueueStore::new(Config::default(), Arc::clone(&clock));
    let queues = QueueManager::new(Arc::new(store), Config::default());
    let board: Arc<dyn AlertBoard> = Arc::new(MemoryAlertBoard::new(clock));
    let queue = unique_queue();
    let backlog = (0..101).map(|_| NewTask::new(&queue, "k", "1")).collect();
    let tasks = queues.enqueue_many(&queue, backlog).await.unwrap();

    let diary = Diary { told: Arc::default(), failures: Arc::default() };
    let (asked, end) = (Arc::<Mutex<u32>>::default(), CancellationToken::new());
    let config = MonitorConfig { patience: Duration::from_millis(1), ..MonitorConfig::default() };
    let monitor = QueueMonitor::new(queues.clone(), board, config);
    let monitor = monitor.with_notifier(Deaf(Arc::clone(&asked))).with_notifier(diary.clone());
    let handle = monitor.handle();
    let monitor = tokio::spawn(monitor.run(end.clone()));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(*asked.lock().unwrap(), 1, "it is being told");
    assert!(handle.activity(&queue).unwrap().window >= Duration::from_secs(50), "the watch went on");

    // The next change of the alert ends the telling of the last one.
    for task in tasks {
        queues.cancel(task.id, "no need").await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let told: Vec<_> = diary.told.lock().unwrap().iter().map(|alert| alert.state).collect();
    assert_eq!(told, [AlertState::Firing, AlertState::Resolved]);
    assert_eq!(*asked.lock().unwrap(), 2);
    end.cancel();
    monitor.await.unwrap();
}
