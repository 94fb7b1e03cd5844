//! What a repair makes of a queue whose keys were touched from outside.

use std::time::Duration;

use tokio::task::JoinSet;
use trackside_core::{QueueName, TaskId};
use trackside_queue::{Due, QueueAudit, QueueStore, RepairPage, TaskState, conformance::Harness};
use trackside_testkit::RedisServer;

use crate::{
    kit::{claim, complete, new_tasks, step},
    redis_kit::OnRedis,
};

#[tokio::test]
async fn tasks_that_lost_their_places_return_to_their_levels() {
    let (redis, server) = (OnRedis::shared().await, RedisServer::shared().await);
    let queue = redis.queue();
    let mut tasks = new_tasks(&queue, 4);
    tasks[3].options.due = Due::After(Duration::from_secs(3_600));
    redis.store.enqueue(&queue, &tasks).await.unwrap();
    let list = redis.key(&format!("{queue}:queue"));
    server.cli(&["LREM", &list, "1", &tasks[0].id.to_key()]);
    server.cli(&["ZREM", &redis.tagged(&queue, "delayed"), &tasks[3].id.to_key()]);
    let audit = redis.store.audit(&queue).await.unwrap();
    assert_eq!((audit.is_balanced(), audit.unplaced, audit.ready), (false, 2, 2), "{audit:?}");

    let done = repair(&redis, &queue).await;
    assert_eq!((done.looked_at, done.repaired), (4, 2));
    let audit = balanced(&redis, &queue).await;
    assert_eq!((audit.ready, audit.delayed, audit.unadopted), (4, 0, 0));
    assert_eq!(repair(&redis, &queue).await.repaired, 0, "once");
    let expected = [1, 2, 0, 3].map(|index: usize| tasks[index].id);
    assert_eq!(claim(&redis.store, &queue, 10).await.claimed.iter().map(|it| it.id).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_record_that_somebody_wrote_is_handed_out_if_it_is_a_task() {
    let (redis, server) = (OnRedis::shared().await, RedisServer::shared().await);
    let queue = redis.queue();
    let (known, written) = (new_tasks(&queue, 1), TaskId::generate(&queue));
    redis.store.enqueue(&queue, &known).await.unwrap();
    let records = redis.tagged(&queue, "tasks");
    let record = server.cli(&["HGET", &records, &known[0].id.to_key()]);
    server.cli(&["HSET", &records, &written.to_key(), record.trim_end(), "no id", record.trim_end()]);
    server.cli(&["HINCRBY", &redis.tagged(&queue, "meta"), "created", "1"]);
    assert!(!redis.store.audit(&queue).await.unwrap().is_balanced());

    assert_eq!(repair(&redis, &queue).await.repaired, 1);
    let claimed = claim(&redis.store, &queue, 10).await.claimed;
    assert_eq!(claimed.iter().map(|it| it.id).collect::<Vec<_>>(), [known[0].id, written]);
    server.cli(&["HDEL", &records, "no id"]);
    assert_eq!(balanced(&redis, &queue).await.active, 2);
}

#[tokio::test]
async fn entries_that_name_no_task_are_dropped() {
    let (redis, server) = (OnRedis::shared().await, RedisServer::shared().await);
    let queue = redis.queue();
    redis.store.enqueue(&queue, &new_tasks(&queue, 3)).await.unwrap();
    let before = balanced(&redis, &queue).await;
    let ghost = TaskId::generate(&queue).to_key();
    for place in ["delayed", "lease", "dead"] {
        server.cli(&["ZADD", &redis.tagged(&queue, place), "99999999999999", &ghost]);
    }
    for place in ["parked", "tenants"] {
        server.cli(&["ZADD", &redis.tagged(&queue, place), "0", &ghost]);
    }
    for place in ["own", "waiting"] {
        server.cli(&["HSET", &redis.tagged(&queue, place), &ghost, "1"]);
    }
    assert!(!redis.store.audit(&queue).await.unwrap().is_balanced());

    assert_eq!(repair(&redis, &queue).await.repaired, 7);
    assert_eq!(balanced(&redis, &queue).await, before);
    for place in ["delayed", "lease", "dead", "parked", "own", "waiting", "tenants"] {
        assert_eq!(server.cli(&["EXISTS", &redis.tagged(&queue, place)]).trim(), "0", "{place}");
    }
}

#[tokio::test]
async fn a_task_whose_lease_got_lost_is_taken_back() {
    let (redis, server) = (OnRedis::shared().await, RedisServer::shared().await);
    let queue = redis.queue();
    redis.store.enqueue(&queue, &new_tasks(&queue, 1)).await.unwrap();
    let first = claim(&redis.store, &queue, 1).await.claimed;
    server.cli(&["DEL", &redis.tagged(&queue, "lease")]);
    assert_eq!(redis.store.audit(&queue).await.unwrap().unplaced, 1);

    assert_eq!(repair(&redis, &queue).await.repaired, 1);
    assert_eq!(balanced(&redis, &queue).await.active, 1);
    let again = claim(&redis.store, &queue, 1).await.claimed;
    assert_eq!((again[0].id, again[0].crashes), (first[0].id, 1));
    assert!(again[0].fence > first[0].fence);
}

#[tokio::test]
async fn a_long_queue_is_repaired_in_several_calls() {
    let (redis, server) = (OnRedis::shared().await, RedisServer::shared().await);
    let queue = redis.queue();
    let tasks = new_tasks(&queue, 5_000);
    for some in tasks.chunks(250) {
        redis.store.enqueue(&queue, some).await.unwrap();
    }
    server.cli(&["LTRIM", &redis.key(&format!("{queue}:queue")), "0", "4299"]);
    assert_eq!(redis.store.audit(&queue).await.unwrap().unplaced, 700);

    let first = redis.store.repair(&queue, None).await.unwrap();
    assert!((4_096..5_000).contains(&first.looked_at) && first.next.is_some(), "{first:?}");
    assert_eq!(first.repaired + rest(&redis, &queue, first).await.repaired, 700);
    let audit = balanced(&redis, &queue).await;
    assert_eq!((audit.ready, audit.unadopted), (5_000, 0));
}

#[tokio::test]
async fn a_repair_beside_busy_workers_loses_and_doubles_nothing() {
    let redis = OnRedis::shared().await;
    let queue = redis.queue();
    let tasks = new_tasks(&queue, 2_000);
    for some in tasks.chunks(250) {
        redis.store.enqueue(&queue, some).await.unwrap();
    }
    let mut workers = JoinSet::new();
    for _ in 0..3 {
        let (store, queue) = (redis.store.clone(), queue.clone());
        workers.spawn(async move {
            let mut done = Vec::new();
            loop {
                let claimed = store.step(&queue, step(16)).await.unwrap().claimed;
                if claimed.is_empty() {
                    return done;
                }
                store.step(&queue, complete(&claimed)).await.unwrap();
                done.extend(claimed.iter().map(|it| it.id));
            }
        });
    }
    let mut repairs = 0;
    while redis.store.audit(&queue).await.unwrap().completed < 2_000 {
        assert_eq!(repair(&redis, &queue).await.repaired, 0);
        repairs += 1;
    }
    let mut done: Vec<TaskId> = workers.join_all().await.into_iter().flatten().collect();
    done.sort_unstable();
    let mut expected: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
    expected.sort_unstable();
    assert_eq!(done, expected, "after {repairs} repairs");
    let status = redis.store.status(&queue, tasks[0].id).await.unwrap().map(|it| it.state);
    assert_eq!((balanced(&redis, &queue).await.completed, status), (2_000, Some(TaskState::Completed)));
}

/// All calls of a repair, added up.
async fn repair(redis: &OnRedis, queue: &QueueName) -> RepairPage {
    let first = redis.store.repair(queue, None).await.unwrap();
    let rest = rest(redis, queue, first).await;
    RepairPage { looked_at: first.looked_at + rest.looked_at, repaired: first.repaired + rest.repaired, next: None }
}

/// The calls after this one, added up.
async fn rest(redis: &OnRedis, queue: &QueueName, first: RepairPage) -> RepairPage {
    let mut sum = RepairPage { next: first.next, ..RepairPage::default() };
    while sum.next.is_some() {
        let page = redis.store.repair(queue, sum.next).await.unwrap();
        sum = RepairPage {
            looked_at: sum.looked_at + page.looked_at,
            repaired: sum.repaired + page.repaired,
            next: page.next,
        };
    }
    sum
}

async fn balanced(redis: &OnRedis, queue: &QueueName) -> QueueAudit {
    let audit = redis.store.audit(queue).await.unwrap();
    assert!(audit.is_balanced(), "{audit:?}");
    audit
}
