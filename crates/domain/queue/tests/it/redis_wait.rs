//! The step that waits on the server, and everything that ends its wait.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use trackside_core::{QueueName, TaskId};
use trackside_queue::{Config, QueueStore, StepReply, conformance::Harness};
use trackside_testkit::{RedisServer, eventually};

use crate::{
    kit::{claim, new_task, step},
    redis_kit::{OnRedis, PATIENCE},
};

/// A step for one task that waits until `hurry`.
async fn wait(redis: &OnRedis, queue: &QueueName, hurry: &CancellationToken) -> Option<StepReply> {
    redis.store.step_when_ready(queue, step(1), PATIENCE, hurry).await.unwrap()
}

fn ids(reply: Option<StepReply>) -> Vec<TaskId> {
    reply.map(|reply| reply.claimed.iter().map(|task| task.id).collect()).unwrap_or_default()
}

async fn is_blocked(redis: &OnRedis) -> bool {
    let info = trackside_redis::Command::new("INFO").arg("clients");
    let info = redis.service.execute("test.info", info).await.unwrap().into_string().unwrap();
    !info.contains("blocked_clients:0")
}

#[tokio::test]
async fn a_task_comes_with_the_wake_up_in_one_round_trip() {
    let server = RedisServer::builder().start().await.unwrap();
    let redis = OnRedis::at(&server.url(), "", Config::default()).await;
    let (queue, hurry) = (redis.queue(), CancellationToken::new());
    // The server learns the script.
    assert!(claim(&redis.store, &queue, 1).await.claimed.is_empty());
    for _ in 0..3 {
        let task = new_task(&queue);
        let enqueue = async {
            eventually(|| is_blocked(&redis), PATIENCE).await;
            redis.store.enqueue(&queue, std::slice::from_ref(&task)).await.unwrap();
        };
        let bring = async {
            loop {
                let brought = ids(wait(&redis, &queue, &hurry).await);
                // The push before may have been heard a second time, which ends one wait for nothing.
                if !brought.is_empty() {
                    return brought;
                }
            }
        };
        let (brought, ()) = tokio::join!(bring, enqueue);
        assert_eq!(brought, [task.id], "the step itself brought it");
    }
}

#[tokio::test]
async fn a_plain_push_ends_the_wait_of_a_step() {
    let redis = OnRedis::shared().await;
    let (queue, hurry) = (redis.queue(), CancellationToken::new());
    let waiting = async {
        loop {
            let claimed = match wait(&redis, &queue, &hurry).await {
                Some(reply) => reply.claimed,
                None => claim(&redis.store, &queue, 1).await.claimed,
            };
            if let Some(task) = claimed.into_iter().next() {
                return task.kind;
            }
        }
    };
    let push = async {
        tokio::task::yield_now().await;
        let push = trackside_redis::Command::new("LPUSH").key(redis.key(&format!("{queue}:queue")));
        redis.service.execute("test.push", push.arg(r#"{"kind": "pushed"}"#)).await.unwrap();
    };
    let started = tokio::time::Instant::now();
    let (kind, ()) = tokio::join!(waiting, push);
    assert_eq!(kind, "pushed");
    assert!(started.elapsed() < PATIENCE);
}

#[tokio::test]
async fn a_server_that_forgot_the_script_costs_one_wait() {
    let server = RedisServer::builder().start().await.unwrap();
    let redis = OnRedis::at(&server.url(), "", Config::default()).await;
    let (queue, hurry) = (redis.queue(), CancellationToken::new());
    server.cli(&["SCRIPT", "FLUSH"]);
    let task = new_task(&queue);
    redis.store.enqueue(&queue, std::slice::from_ref(&task)).await.unwrap();
    assert!(wait(&redis, &queue, &hurry).await.is_none(), "it only waited");
    assert_eq!(claim(&redis.store, &queue, 1).await.claimed[0].id, task.id);
}

#[tokio::test]
async fn a_restart_of_the_server_ends_the_wait_and_the_next_one_works() {
    let server = RedisServer::builder().start().await.unwrap();
    let redis = OnRedis::at(&server.url(), "", Config::default()).await;
    let (queue, hurry) = (redis.queue(), CancellationToken::new());
    assert!(claim(&redis.store, &queue, 1).await.claimed.is_empty());
    let restart = async {
        eventually(|| is_blocked(&redis), PATIENCE).await;
        server.kill9();
        server.restart().await.unwrap();
    };
    let (ended, ()) = tokio::join!(redis.store.step_when_ready(&queue, step(1), PATIENCE, &hurry), restart);
    assert!(!matches!(ended, Ok(Some(_))), "nobody answered the step");
    let task = new_task(&queue);
    let tasks = std::slice::from_ref(&task);
    eventually(|| async { redis.store.enqueue(&queue, tasks).await }, PATIENCE).await;
    let claimed = eventually(
        || async {
            let reply =
                redis.store.step_when_ready(&queue, step(1), Duration::from_millis(10), &hurry).await.ok()??;
            reply.claimed.first().map(|task| task.id)
        },
        PATIENCE,
    );
    // The server has forgotten the script: an ordinary step teaches it.
    let known = eventually(|| async { redis.store.step(&queue, step(0)).await }, PATIENCE);
    known.await;
    assert_eq!(claimed.await, task.id);
}

#[tokio::test]
async fn where_steps_may_not_wait_they_are_made_after_the_wait() {
    let server = RedisServer::builder().start().await.unwrap();
    let redis = OnRedis::at(&server.url(), "", Config::default()).await;
    let (queue, hurry) = (redis.queue(), CancellationToken::new());
    assert!(claim(&redis.store, &queue, 1).await.claimed.is_empty());
    server.cli(&["ACL", "SETUSER", "default", "-blpop"]);
    let task = new_task(&queue);
    redis.store.enqueue(&queue, std::slice::from_ref(&task)).await.unwrap();
    assert_eq!(ids(wait(&redis, &queue, &hurry).await), [task.id], "what the step brought is not lost");
    assert!(wait(&redis, &queue, &hurry).await.is_none(), "from now on it only waits");
}
