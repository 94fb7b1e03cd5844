//! Every operation on a Redis Cluster: all keys of a queue share a slot, and queues spread over the nodes.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use trackside_core::{QueueName, UserId};
use trackside_queue::{
    BrakeChange, BrakeScope, CancelOutcome, Config, Due, Handlers, Outcome, ProcessorConfig, QueueManager, QueueStore,
    Renewal, Settled, Settlement, Step, TaskProcessor, TaskState, conformance::Harness, handler_fn,
};
use trackside_testkit::{RedisCluster, eventually};

use crate::{
    kit::{claim, complete, new_tasks, step},
    redis_kit::{OnRedis, PATIENCE},
};

#[tokio::test]
async fn every_law_holds_on_three_nodes() -> Result<(), trackside_queue::Error> {
    let cluster = RedisCluster::start(3).await.unwrap();
    let laws = AtomicU32::new(0);
    let harness = || {
        let prefix = format!("law-{}:", laws.fetch_add(1, Ordering::Relaxed));
        let url = cluster.url();
        async move { OnRedis::at(&url, &prefix, OnRedis::patient()).await }
    };
    Box::pin(trackside_queue::queue_store_conformance!(in turn harness())).await
}

#[tokio::test]
async fn every_operation_works_on_three_nodes() {
    let cluster = RedisCluster::start(3).await.unwrap();
    let redis = OnRedis::at(&cluster.url(), "app:", Config::default()).await;
    let queues: Vec<QueueName> = (0..6).map(|_| redis.queue()).collect();
    for queue in &queues {
        every_operation(&redis, queue).await;
    }
    let mut listed = queues.clone();
    listed.sort();
    assert_eq!(redis.store.queues().await.unwrap(), listed);

    let holds = |node: &trackside_testkit::RedisServer| node.cli(&["KEYS", "*:meta"]).lines().count();
    let spread: HashSet<usize> = (0..3).filter(|index| holds(&cluster.nodes()[*index]) > 0).collect();
    assert!(spread.len() > 1, "six queues on one node of three");
}

#[tokio::test]
async fn managers_and_processors_serve_the_queues_of_every_node() {
    let cluster = RedisCluster::start(3).await.unwrap();
    let redis = OnRedis::at(&cluster.url(), "app:", OnRedis::patient()).await;
    let queues = QueueManager::new(Arc::new(redis.store.clone()), OnRedis::patient());
    let (shutdown, mut working, mut ids) = (CancellationToken::new(), JoinSet::new(), Vec::new());
    let ann: UserId = "ann".parse().unwrap();
    let brake = BrakeChange { scope: BrakeScope::User(ann.clone()), engaged: true, revision: 1 };
    for _ in 0..6 {
        let queue = redis.queue();
        queues.meet(&queue).await.unwrap();
        queues.apply_brake(&brake).await.unwrap();
        let mut tasks = new_tasks(&queue, 12);
        tasks[0].options.due = Due::After(Duration::from_secs(600));
        tasks[1].options.user_id = Some(ann.clone());
        ids.push((tasks[0].id, TaskState::Cancelled));
        ids.extend(tasks[1..].iter().map(|task| (task.id, TaskState::Completed)));
        queues.enqueue_many(&queue, tasks.clone()).await.unwrap();
        assert_eq!(queues.cancel(tasks[0].id, "no").await.unwrap(), CancelOutcome::Cancelled);
        let handlers = Handlers::new().on("test", handler_fn(|_, _| async { Ok(None) }));
        let processor = TaskProcessor::new(queues.clone(), queue, handlers, ProcessorConfig::default());
        working.spawn(processor.run(shutdown.clone()));
    }
    eventually(|| async { queues.parked(&brake.scope).await.unwrap() == 6 }, PATIENCE).await;
    queues.apply_brake(&BrakeChange { engaged: false, revision: 2, ..brake }).await.unwrap();
    for (id, state) in ids {
        let has_ended = || async { queues.status(id).await.unwrap().is_some_and(|status| status.state == state) };
        eventually(has_ended, PATIENCE).await;
    }
    for queue in queues.queues().await.unwrap() {
        let audit = queues.audit(&queue).await.unwrap();
        assert!(audit.is_balanced(), "{audit:?}");
        assert_eq!((audit.created, audit.completed, audit.cancelled), (12, 11, 1));
    }
    shutdown.cancel();
    while let Some(ended) = working.join_next().await {
        ended.unwrap();
    }
}

async fn every_operation(redis: &OnRedis, queue: &QueueName) {
    let store = &redis.store;
    let user: UserId = "u-1".parse().unwrap();
    assert!(store.register(queue).await.unwrap());
    let mut tasks = new_tasks(queue, 6);
    tasks[4].options.user_id = Some(user.clone());
    tasks[5].options.due = Due::After(Duration::from_secs(600));
    store.enqueue(queue, &tasks).await.unwrap();
    assert_eq!(store.peek(queue, 10).await.unwrap().len(), 5);

    let scope = BrakeScope::User(user);
    let change = BrakeChange { scope: scope.clone(), engaged: true, revision: 1 };
    store.set_brake(queue, &change).await.unwrap();
    let claimed = claim(store, queue, 10).await.claimed;
    assert_eq!(claimed.len(), 4);
    store.set_brake(queue, &BrakeChange { engaged: false, revision: 2, ..change }).await.unwrap();
    assert_eq!(store.unpark(queue, &scope, 10).await.unwrap(), 1);

    let failed = Outcome::Failed { error: "no".into(), retryable: false, retry_after: None };
    let settle = claimed[1..3].iter().map(|it| Settlement { id: it.id, fence: it.fence, outcome: failed.clone() });
    let renew = vec![Renewal { id: claimed[3].id, fence: claimed[3].fence, lease: Duration::from_secs(9) }];
    let reply = store.step(queue, Step { settle: settle.collect(), renew, ..step(0) }).await.unwrap();
    assert_eq!(reply.settled, [Settled::Applied(TaskState::Dead); 2]);
    store.step(queue, complete(&claimed[..1])).await.unwrap();

    assert_eq!(store.dead_letters(queue, None, 10).await.unwrap().len(), 2);
    assert_eq!(store.requeue_dead(queue, &[claimed[1].id.into()]).await.unwrap(), 1);
    assert_eq!(store.purge_dead(queue, &[claimed[2].id.into()]).await.unwrap(), 1);
    assert_eq!(store.cancel(queue, tasks[5].id, "no").await.unwrap(), Some(TaskState::Delayed));
    store.set_paused(queue, true).await.unwrap();
    assert_eq!(claim(store, queue, 5).await.claimed, []);
    store.set_paused(queue, false).await.unwrap();
    store.wait_for_work(queue, Duration::from_secs(20)).await.unwrap();
    assert_eq!(claim(store, queue, 5).await.claimed.len(), 2);
    assert_eq!(store.status(queue, claimed[0].id).await.unwrap().map(|it| it.state), Some(TaskState::Completed));
    let stats = store.stats(queue).await.unwrap();
    assert_eq!((stats.created, stats.completed, stats.cancelled, stats.purged, stats.active), (6, 1, 1, 1, 3));
}
