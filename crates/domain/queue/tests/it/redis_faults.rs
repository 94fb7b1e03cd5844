//! Servers that die, answers that are lost, and memory that is full.

use std::{collections::HashSet, time::Duration};

use trackside_core::{ErrorKind, KeyPrefix};
use trackside_queue::{
    Config, MAX_BATCH, Outcome, QueueStore, RedisQueueStore, Settled, Settlement, Step, TaskState, conformance::Harness,
};
use trackside_redis::RedisService;
use trackside_testkit::{FaultProxy, Fsync, RedisServer, eventually};

use crate::{
    kit::{claim, complete, new_tasks, step},
    names::unique_queue,
    redis_kit::{OnRedis, PATIENCE},
};

#[tokio::test]
async fn a_thousand_tasks_survive_kill_9_and_restart_of_redis() {
    let server = RedisServer::builder().appendonly(Fsync::EverySec).start().await.unwrap();
    let redis = OnRedis::at(&server.url(), "", Config::default()).await;
    let queue = redis.queue();
    let tasks = new_tasks(&queue, 1_000);
    for chunk in tasks.chunks(MAX_BATCH) {
        redis.store.enqueue(&queue, chunk).await.unwrap();
    }
    let held = claim(&redis.store, &queue, 10).await.claimed;

    // With `everysec` a write may wait for the file while the disk is busy; what this shows is the restart.
    let is_written = || async { server.cli(&["INFO", "persistence"]).contains("aof_buffer_length:0") };
    eventually(is_written, PATIENCE).await;
    server.kill9();
    server.restart().await.unwrap();
    // The restarted server knows no script: the first call brings its source again.
    let reply = eventually(|| async { redis.store.step(&queue, complete(&held)).await }, PATIENCE).await;
    assert_eq!(reply.settled, [Settled::Applied(TaskState::Completed); 10], "the leases survived, too");
    let mut found: HashSet<_> = held.iter().map(|task| task.id).collect();
    loop {
        let claimed = claim(&redis.store, &queue, MAX_BATCH).await.claimed;
        if claimed.is_empty() {
            break;
        }
        found.extend(claimed.iter().map(|task| task.id));
        redis.store.step(&queue, complete(&claimed)).await.unwrap();
    }
    assert_eq!(found, tasks.iter().map(|task| task.id).collect());
    assert_eq!(redis.store.stats(&queue).await.unwrap().completed, 1_000);
}

/// A store whose answers can be lost, and one beside it that hears everything.
async fn behind_a_proxy(server: &RedisServer) -> (FaultProxy, RedisQueueStore, OnRedis) {
    let proxy = FaultProxy::start(server.port()).await.unwrap();
    let prefix = server.unique_prefix();
    let direct = OnRedis::at(&server.url(), &prefix, Config::default()).await;
    let service = RedisService::start(trackside_redis::Config {
        prefix: KeyPrefix::new(prefix),
        // Enough to be sent on a busy machine; signs of life would lose their answers, too, and end the connection.
        command_timeout: Duration::from_secs(2),
        ping_interval: Duration::from_secs(30),
        ..trackside_redis::Config::new(format!("redis://127.0.0.1:{}", proxy.port()).parse().unwrap())
    })
    .unwrap();
    service.wait_until_connected(PATIENCE).await.unwrap();
    (proxy, RedisQueueStore::new(service, Config::default()), direct)
}

#[tokio::test]
async fn an_enqueue_whose_answer_was_lost_is_repeated_without_a_second_task() {
    let server = RedisServer::shared().await;
    let (proxy, store, direct) = behind_a_proxy(server).await;
    let queue = unique_queue();
    let tasks = new_tasks(&queue, 5);
    // The script is known to the server, so that the one message is enough.
    let other = unique_queue();
    direct.store.enqueue(&other, &new_tasks(&other, 1)).await.unwrap();
    proxy.drop_replies();
    let lost = store.enqueue(&queue, &tasks).await.unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Timeout, "{lost}");
    eventually(|| async { direct.store.stats(&queue).await.unwrap().created == 5 }, PATIENCE).await;

    let again = direct.store.enqueue(&queue, &tasks).await.unwrap();
    assert!(again.iter().all(|answer| answer.replayed && answer.state == TaskState::Queued), "{again:?}");
    assert_eq!(direct.store.stats(&queue).await.unwrap().created, 5);
    let claimed = claim(&direct.store, &queue, 20).await.claimed;
    assert_eq!(
        claimed.iter().map(|task| task.id).collect::<Vec<_>>(),
        tasks.iter().map(|it| it.id).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_settlement_whose_answer_was_lost_is_repeated_with_the_same_answer() {
    let server = RedisServer::shared().await;
    let (proxy, store, direct) = behind_a_proxy(server).await;
    let queue = unique_queue();
    direct.store.enqueue(&queue, &new_tasks(&queue, 3)).await.unwrap();
    let claimed = claim(&direct.store, &queue, 3).await.claimed;
    // The script for such settlements is known to the server, so that the one message is enough.
    let stranger = Settlement { id: new_tasks(&queue, 1)[0].id, fence: claimed[0].fence, outcome: Outcome::Released };
    let reply = direct.store.step(&queue, Step { settle: vec![stranger], ..step(0) }).await.unwrap();
    assert_eq!(reply.settled, [Settled::LeaseLost]);
    let failed = Outcome::Failed { error: "again".into(), retryable: true, retry_after: Some(PATIENCE) };
    let outcomes = [Outcome::completed(None), failed, Outcome::Released];
    let settle =
        claimed.iter().zip(outcomes).map(|(task, outcome)| Settlement { id: task.id, fence: task.fence, outcome });
    let settlements = Step { settle: settle.collect(), ..step(0) };

    proxy.drop_replies();
    let lost = store.step(&queue, settlements.clone()).await.unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Timeout, "{lost}");
    eventually(|| async { direct.store.stats(&queue).await.unwrap().active == 0 }, PATIENCE).await;

    let repeated = direct.store.step(&queue, settlements).await.unwrap();
    let expected = [TaskState::Completed, TaskState::Failed, TaskState::Queued].map(Settled::Applied);
    assert_eq!(repeated.settled, expected);
    let stats = direct.store.stats(&queue).await.unwrap();
    assert_eq!((stats.completed, stats.delayed, stats.ready[2], stats.active), (1, 1, 1, 0));
}

#[tokio::test]
async fn a_full_server_refuses_new_tasks_and_still_lets_work_finish() {
    let server = RedisServer::start().await.unwrap();
    let redis = OnRedis::at(&server.url(), "", Config::default()).await;
    let queue = redis.queue();
    let tasks = new_tasks(&queue, 20);
    redis.store.enqueue(&queue, &tasks).await.unwrap();
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);

    let refused = redis.store.enqueue(&queue, &new_tasks(&queue, 5)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused, "{refused}");
    let claimed = claim(&redis.store, &queue, 20).await.claimed;
    assert_eq!(claimed.len(), 20, "a full server is worked off");
    let reply = redis.store.step(&queue, complete(&claimed)).await.unwrap();
    assert_eq!(reply.settled, [Settled::Applied(TaskState::Completed); 20]);
    let stats = redis.store.stats(&queue).await.unwrap();
    assert_eq!((stats.created, stats.completed, stats.active), (20, 20, 0));
}

#[tokio::test]
async fn a_wait_outlives_a_restart_of_redis() {
    let server = RedisServer::builder().appendonly(Fsync::EverySec).start().await.unwrap();
    let redis = OnRedis::at(&server.url(), "", Config::default()).await;
    let queue = redis.queue();
    redis.store.wait_for_work(&queue, Duration::from_millis(10)).await.unwrap();
    server.kill9();
    server.restart().await.unwrap();
    let tasks = new_tasks(&queue, 1);
    eventually(|| async { redis.store.enqueue(&queue, &tasks).await }, PATIENCE).await;
    let claimed = eventually(
        || async {
            redis.store.wait_for_work(&queue, Duration::from_secs(5)).await.unwrap();
            let claimed = redis.store.step(&queue, step(1)).await.map(|reply| reply.claimed);
            claimed.ok().filter(|claimed| !claimed.is_empty())
        },
        PATIENCE,
    )
    .await;
    assert_eq!(claimed[0].id, tasks[0].id);
}
