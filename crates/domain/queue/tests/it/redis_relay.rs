//! Messages between queues, with relays that die and queues that cannot be reached.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::{CancellationToken, DropGuard};
use trackside_core::QueueName;
use trackside_queue::{
    Dependency, NewTask, OutboxRelay, OutboxRequest, Outcome, QueueManager, QueueStore, RepairPage, Settlement, Step,
    TaskOptions, TaskState, conformance::Harness,
};
use trackside_testkit::{RedisServer, eventually};

use crate::{
    kit::{claim, complete, new_task, step},
    redis_kit::{OnRedis, PATIENCE},
};

const TURN: Duration = Duration::from_secs(5);

fn relay(redis: &OnRedis) -> (QueueManager, DropGuard) {
    let queues = QueueManager::new(Arc::new(redis.store.clone()), redis.config.clone());
    let shutdown = CancellationToken::new();
    tokio::spawn(OutboxRelay::new(queues.clone()).run(shutdown.clone()));
    (queues, shutdown.drop_guard())
}

/// Completes a new task of `queue` that brings these.
async fn bring(redis: &OnRedis, queue: &QueueName, next: Vec<(QueueName, NewTask)>) {
    redis.store.register(queue).await.unwrap();
    redis.store.enqueue(queue, &[new_task(queue)]).await.unwrap();
    let claimed = claim(&redis.store, queue, 1).await.claimed.remove(0);
    let outcome = Outcome::Completed { result: None, next };
    let settle = vec![Settlement { id: claimed.id, fence: claimed.fence, outcome }];
    redis.store.step(queue, Step { settle, ..step(0) }).await.unwrap();
}

async fn messages_left(redis: &OnRedis, queue: &QueueName) -> u64 {
    let server = RedisServer::shared().await;
    server.cli(&["ZCARD", &redis.tagged(queue, "outbox")]).trim().parse().unwrap()
}

#[tokio::test]
async fn a_relay_that_dies_between_delivery_and_removal_is_followed_by_another() {
    let redis = OnRedis::shared().await;
    let (from, to) = (redis.queue(), redis.queue());
    let options = TaskOptions { retention: Some(Duration::ZERO), ..TaskOptions::default() };
    let task = new_task(&to).with(options);
    bring(&redis, &from, vec![(to.clone(), task.clone())]).await;
    let request = OutboxRequest { relay: "dies".parse().unwrap(), turn: TURN, delivered: vec![], after: 0 };
    let page = redis.store.outbox(&from, &request).await.unwrap();
    redis.store.deliver(&to, &from, &page.messages).await.unwrap();
    // Delivered, done, and nothing is kept of it.
    let claimed = claim(&redis.store, &to, 8).await.claimed;
    assert_eq!(claimed.iter().map(|task| task.id).collect::<Vec<_>>(), [task.id]);
    redis.store.step(&to, complete(&claimed)).await.unwrap();
    assert_eq!((redis.store.status(&to, task.id).await.unwrap(), messages_left(&redis, &from).await), (None, 1));

    redis.advance(TURN).await;
    let (_queues, _end) = relay(&redis);
    eventually(|| async { messages_left(&redis, &from).await == 0 }, PATIENCE).await;
    let stats = redis.store.stats(&to).await.unwrap();
    assert_eq!((stats.created, stats.completed), (1, 1));
}

#[tokio::test]
async fn what_cannot_be_delivered_waits_in_its_order_and_keeps_nobody_else_waiting() {
    let (redis, server) = (OnRedis::shared().await, RedisServer::shared().await);
    let (from, closed, open) = (redis.queue(), redis.queue(), redis.queue());
    let list = redis.key(&format!("{closed}:queue"));
    server.cli(&["SET", &list, "of another program"]);
    let first = new_task(&closed);
    let mut after = new_task(&open);
    after.options.depends_on = vec![Dependency { id: first.id, queue: Some(closed.clone()) }];
    let (second, free) = (new_task(&closed), new_task(&open));
    let next = [(&closed, &first), (&open, &free), (&open, &after), (&closed, &second)];
    bring(&redis, &from, next.map(|(queue, task)| (queue.clone(), task.clone())).to_vec()).await;
    let (queues, _end) = relay(&redis);
    let state = |task: &NewTask| {
        let (queues, id) = (queues.clone(), task.id);
        async move { queues.status(id).await.unwrap().map(|status| status.state) }
    };
    eventually(|| async { state(&free).await == Some(TaskState::Queued) }, PATIENCE).await;
    // It could not be told from a task of which nothing is known.
    assert_eq!((state(&after).await, messages_left(&redis, &from).await), (None, 3));

    server.cli(&["DEL", &list]);
    eventually(|| async { messages_left(&redis, &from).await == 0 }, PATIENCE).await;
    assert_eq!(state(&after).await, Some(TaskState::Waiting));
    let claimed = claim(&redis.store, &closed, 8).await.claimed;
    assert_eq!(claimed.iter().map(|task| task.id).collect::<Vec<_>>(), [first.id, second.id]);
    redis.store.step(&closed, complete(&claimed)).await.unwrap();
    eventually(|| async { state(&after).await == Some(TaskState::Queued) }, PATIENCE).await;
}

#[tokio::test]
async fn a_repair_leaves_messages_and_those_who_wait_for_them_alone() {
    let redis = OnRedis::shared().await;
    let (here, there) = (redis.queue(), redis.queue());
    let before = new_task(&there);
    let mut after = new_task(&here);
    after.options.depends_on = vec![Dependency { id: before.id, queue: Some(there.clone()) }];
    bring(&redis, &here, vec![(there.clone(), before), (here.clone(), after.clone())]).await;
    for queue in [&here, &there] {
        let mut cursor = None;
        loop {
            let page: RepairPage = redis.store.repair(queue, cursor).await.unwrap();
            assert_eq!(page.repaired, 0, "{page:?}");
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
    }
    assert_eq!(messages_left(&redis, &here).await, 2);
    assert_eq!(redis.store.status(&here, after.id).await.unwrap().unwrap().state, TaskState::Waiting);
    let audit = redis.store.audit(&here).await.unwrap();
    assert!(audit.is_balanced() && audit.created == 2, "{audit:?}");
}
