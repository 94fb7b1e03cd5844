//! Enqueues that wait for a replica, or for the disk.

use std::time::Duration;

use trackside_core::ErrorKind;
use trackside_queue::{Config, Durability, Error, Intake, QueueStore, TaskState};
use trackside_testkit::{RedisServer, eventually};

use crate::{
    kit::{new_task, new_tasks},
    names::unique_queue,
    redis_kit::{OnRedis, PATIENCE},
};

fn with(durability: Durability) -> Intake {
    Intake { durability, ..Intake::default() }
}

async fn store_on(server: &RedisServer, patience: Duration) -> OnRedis {
    OnRedis::at(&server.url(), "", Config { durability_timeout: patience, ..Config::default() }).await
}

#[tokio::test]
async fn a_replicated_task_is_acknowledged_when_a_replica_has_it() {
    let primary = RedisServer::start().await.unwrap();
    let replica = RedisServer::builder().replica_of(&primary).start().await.unwrap();
    let follows = || async { replica.cli(&["INFO", "replication"]).contains("master_link_status:up") };
    eventually(follows, PATIENCE).await;
    let (redis, queue) = (store_on(&primary, PATIENCE).await, unique_queue());
    let tasks = new_tasks(&queue, 3);
    let added = redis.store.enqueue_with(&queue, &tasks, with(Durability::Replicated)).await.unwrap();
    assert!(added.iter().all(|answer| answer.state == TaskState::Queued && !answer.replayed));
    assert_eq!(replica.cli(&["LLEN", redis.key(&format!("{queue}:queue")).as_str()]), "3", "the replica has them");
    // With the scripts forgotten by the server, and with several at once.
    primary.cli(&["SCRIPT", "FLUSH"]);
    let more = (0..20)
        .map(|_| async { redis.store.enqueue_with(&queue, &[new_task(&queue)], with(Durability::Replicated)).await });
    futures::future::try_join_all(more).await.unwrap();
    assert_eq!(redis.store.stats(&queue).await.unwrap().created, 23);
}

#[tokio::test]
async fn a_task_that_no_replica_took_in_time_is_named_and_is_there() {
    let primary = RedisServer::start().await.unwrap();
    let replica = RedisServer::builder().replica_of(&primary).start().await.unwrap();
    let follows = || async { replica.cli(&["INFO", "replication"]).contains("master_link_status:up") };
    eventually(follows, PATIENCE).await;
    let (redis, queue) = (store_on(&primary, Duration::from_millis(300)).await, unique_queue());
    let task = new_task(&queue);
    replica.pause();
    for _ in 0..2 {
        let late = redis.store.enqueue_with(&queue, std::slice::from_ref(&task), with(Durability::Replicated)).await;
        let Err(Error::DurabilityNotReached { durability: Durability::Replicated, added }) = late else {
            panic!("a repetition adds nothing, and is not safer for that: {late:?}");
        };
        assert_eq!(added[0].id, task.id);
    }
    assert_eq!(redis.store.stats(&queue).await.unwrap().ready, [0, 0, 1, 0]);
    replica.resume();
    let again = || async {
        redis.store.enqueue_with(&queue, std::slice::from_ref(&task), with(Durability::Replicated)).await.is_ok()
    };
    eventually(again, PATIENCE).await;
    assert_eq!(redis.store.stats(&queue).await.unwrap().created, 1);
}

#[tokio::test]
async fn what_the_server_cannot_promise_is_refused_before_anything_is_added() {
    let alone = RedisServer::start().await.unwrap();
    let (redis, queue) = (store_on(&alone, PATIENCE).await, unique_queue());
    let refused =
        redis.store.enqueue_with(&queue, &[new_task(&queue)], with(Durability::Replicated)).await.unwrap_err();
    assert!(matches!(refused, Error::DurabilityUnavailable { .. }), "{refused:?}");
    assert_eq!(refused.kind(), ErrorKind::Refused);
    assert_eq!(redis.store.stats(&queue).await.unwrap().created, 0);

    // Without an append-only file no version of the server can.
    alone.cli(&["CONFIG", "SET", "appendonly", "no"]);
    let refused = redis.store.enqueue_with(&queue, &[new_task(&queue)], with(Durability::Fsynced)).await.unwrap_err();
    assert!(matches!(refused, Error::DurabilityUnavailable { .. }), "{refused:?}");
    assert_eq!(redis.store.stats(&queue).await.unwrap().created, 0);

    alone.cli(&["CONFIG", "SET", "appendonly", "yes"]);
    let can_wait = alone.cli(&["COMMAND", "INFO", "WAITAOF"]).to_lowercase().contains("waitaof");
    let fsynced = redis.store.enqueue_with(&queue, &[new_task(&queue)], with(Durability::Fsynced)).await;
    assert_eq!(fsynced.is_ok(), can_wait, "{fsynced:?}");
    assert_eq!(redis.store.stats(&queue).await.unwrap().created, u64::from(can_wait));
}
