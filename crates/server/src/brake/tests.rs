//! The queues follow what is paused, whatever was lost on the way.

use std::{sync::Arc, time::Duration};

use trackside_control::{Config, MemoryControlBus, PauseRequest};
use trackside_core::{SystemClock, UserId};
use trackside_queue::{LeaseRequest, MemoryQueueStore, NewTask};

use super::*;

/// What a busy test machine may need; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(20);

struct Parts {
    control: AgentControl,
    queues: QueueManager,
    queue: QueueName,
}

impl Parts {
    async fn new(users: &[&str]) -> Self {
        let clock = Arc::new(SystemClock::default());
        let config = trackside_queue::Config::default();
        let store = MemoryQueueStore::new(config.clone(), clock.clone());
        let control = AgentControl::new(Arc::new(MemoryControlBus::new(clock)), Config::default());
        let queues = QueueManager::new(Arc::new(store), config);
        let parts = Self { control, queues, queue: "exports".parse().unwrap() };
        for user in users {
            let mut task = NewTask::new(&parts.queue, "work", "{}");
            task.options.user_id = Some(user.parse().unwrap());
            parts.queues.enqueue(&parts.queue, task).await.unwrap();
        }
        parts
    }

    /// Parks what the brakes in the queue hold; answers how many tasks were handed out.
    async fn lease(&self) -> usize {
        let worker_id = "remote".parse().unwrap();
        let request = LeaseRequest { worker_id, max_tasks: 10, lease: None, wait: Duration::ZERO };
        self.queues.lease(&self.queue, request).await.unwrap().len()
    }

    async fn parked(&self, user: &str) -> u64 {
        self.queues.parked(&trackside_queue::BrakeScope::User(id(user))).await.unwrap()
    }

    /// The loop, until `is_done`.
    async fn keep_until(&self, is_done: impl AsyncFn() -> bool) {
        let end = CancellationToken::new();
        let (reports, _unwritten) = Reports::new();
        let keeping = tokio::spawn(keep(self.control.clone(), self.queues.clone(), reports, end.clone()));
        let control = self.control.clone();
        let (running, control_end) = (end.clone(), end.clone());
        let control = tokio::spawn(async move { control.run(running).await });
        trackside_testkit::eventually(|| is_done(), PATIENCE).await;
        control_end.cancel();
        keeping.await.unwrap();
        control.await.unwrap();
    }
}

fn id(user: &str) -> UserId {
    user.parse().unwrap()
}

#[tokio::test]
async fn brakes_that_a_dead_process_left_in_a_queue_are_let_go_and_those_in_force_stay() {
    let parts = Parts::new(&["left", "held"]).await;
    let receipt = parts.control.pause(&id("left"), PauseRequest::default()).await.unwrap();
    let left = BrakeScope::from(id("left"));
    let change = BrakeChange { scope: scope(&left), engaged: true, revision: receipt.revision };
    parts.queues.apply_brake(&change).await.unwrap();
    assert_eq!(parts.lease().await, 1, "the other one");
    // The release reaches the state only: whoever made it died before the queues knew.
    parts.control.resume(&id("left")).await.unwrap();
    parts.control.pause(&id("held"), PauseRequest::default()).await.unwrap();
    assert_eq!(parts.parked("left").await, 1);

    parts.keep_until(async || parts.parked("left").await == 0).await;
    let mut task = NewTask::new(&parts.queue, "work", "{}");
    task.options.user_id = Some(id("held"));
    parts.queues.enqueue(&parts.queue, task).await.unwrap();
    assert_eq!(parts.lease().await, 1, "what was left behind is back");
    assert_eq!(parts.parked("held").await, 1);
}

#[tokio::test]
async fn a_change_that_failed_is_told_again() {
    let parts = Parts::new(&["ann"]).await;
    let mut told = Told { has_doubts: false, ..Told::new() };
    let receipt = parts.control.pause(&id("ann"), PauseRequest::default()).await.unwrap();
    let ann = BrakeScope::from(id("ann"));
    let on = BrakeChange { scope: scope(&ann), engaged: true, revision: receipt.revision };
    parts.queues.apply_brake(&on).await.unwrap();
    assert_eq!(parts.lease().await, 0);
    let receipt = parts.control.resume(&id("ann")).await.unwrap();
    told.failed(ann.clone(), &released(&ann, receipt.revision));
    let end = CancellationToken::new();
    let running = tokio::spawn({
        let (control, end) = (parts.control.clone(), end.clone());
        async move { control.run(end).await }
    });
    let again = async {
        while parts.parked("ann").await > 0 {
            told.compare(&parts.control, &parts.queues).await;
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.unwrap();
    assert_eq!(parts.lease().await, 1);
    end.cancel();
    running.await.unwrap();
}
