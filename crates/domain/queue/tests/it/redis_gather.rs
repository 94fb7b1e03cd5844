//! Enqueues of many callers at once.

use std::collections::HashSet;

use futures::future::join_all;
use trackside_core::ErrorKind;
use trackside_queue::{Config, Error, QueuePolicy, QueueStore, RedisQueueStore, TaskState, conformance::Harness};
use trackside_redis::RedisService;
use trackside_testkit::RedisServer;

use crate::{
    kit::{claim, new_task, new_tasks},
    names::unique_queue,
    redis_kit::{OnRedis, PATIENCE},
};

const CALLERS: usize = 300;

fn scripts_run(server: &RedisServer) -> usize {
    let stats = server.cli(&["INFO", "commandstats"]);
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls=")?.split(',').next());
    calls.unwrap_or("0").parse().unwrap()
}

#[tokio::test]
async fn many_callers_share_calls_and_each_task_is_taken_in_once() {
    let server = RedisServer::start().await.unwrap();
    let redis = OnRedis::at(&server.url(), "", Config::default()).await;
    let queue = redis.queue();
    redis.store.enqueue(&queue, &new_tasks(&queue, 1)).await.unwrap();
    let tasks = new_tasks(&queue, CALLERS);
    let before = scripts_run(&server);
    let calls = tasks.iter().map(|task| redis.store.enqueue(&queue, std::slice::from_ref(task)));
    for (task, answer) in tasks.iter().zip(join_all(calls).await) {
        let answer = answer.unwrap()[0];
        assert_eq!((answer.id, answer.state, answer.replayed), (task.id, TaskState::Queued, false));
    }
    let scripts = scripts_run(&server) - before;
    assert!(scripts <= CALLERS / 10, "{scripts} scripts for {CALLERS} callers");
    let claimed = claim(&redis.store, &queue, 256)
        .await
        .claimed
        .into_iter()
        .chain(claim(&redis.store, &queue, 256).await.claimed);
    assert_eq!(claimed.map(|task| task.id).collect::<HashSet<_>>().len(), CALLERS + 1);
}

#[tokio::test]
async fn a_caller_with_a_known_task_costs_the_others_nothing() {
    let redis = OnRedis::shared().await;
    let queue = redis.queue();
    let known = new_task(&queue);
    redis.store.enqueue(&queue, std::slice::from_ref(&known)).await.unwrap();
    let mut tasks = new_tasks(&queue, 20);
    tasks.insert(10, known.clone());
    let calls = tasks.iter().map(|task| redis.store.enqueue(&queue, std::slice::from_ref(task)));
    let answers: Vec<_> = join_all(calls).await.into_iter().map(|answer| answer.unwrap()[0]).collect();
    assert!(answers.iter().all(|answer| answer.replayed == (answer.id == known.id)), "{answers:?}");
    assert_eq!(redis.store.stats(&queue).await.unwrap().created, 21);
}

#[tokio::test]
async fn the_limit_of_a_queue_holds_for_callers_that_come_together() {
    let redis = OnRedis::shared().await;
    let queue = redis.queue();
    let max_depth = Some(10);
    redis.store.set_policy(&queue, &QueuePolicy { max_depth, ..QueuePolicy::default() }).await.unwrap();
    let tasks = new_tasks(&queue, 30);
    let calls = tasks.iter().map(|task| redis.store.enqueue(&queue, std::slice::from_ref(task)));
    let (taken, refused): (Vec<_>, Vec<_>) = join_all(calls).await.into_iter().partition(Result::is_ok);
    assert_eq!((taken.len(), refused.len()), (10, 20));
    assert!(refused.iter().all(|answer| matches!(answer, Err(Error::QueueFull { .. }))), "{refused:?}");
}

#[tokio::test]
async fn every_caller_hears_that_redis_is_away() {
    let server = RedisServer::start().await.unwrap();
    // With the service's own deadline.
    let service = RedisService::start(trackside_redis::Config::new(server.url().parse().unwrap())).unwrap();
    service.wait_until_connected(PATIENCE).await.unwrap();
    let (store, queue) = (RedisQueueStore::new(service, Config::default()), unique_queue());
    server.kill9();
    let tasks = new_tasks(&queue, 50);
    let answers = join_all(tasks.iter().map(|task| store.enqueue(&queue, std::slice::from_ref(task)))).await;
    for answer in answers {
        let error = answer.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout), "{error}");
    }
}
