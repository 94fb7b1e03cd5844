//! What the audit says of a queue whose keys were touched from outside.

use trackside_queue::{QueueStore, conformance::Harness};
use trackside_testkit::RedisServer;

use crate::{
    kit::{claim, complete, new_tasks},
    redis_kit::OnRedis,
};

#[tokio::test]
async fn elements_of_plain_clients_are_no_tasks_until_a_worker_meets_them() {
    let (redis, server) = (OnRedis::shared().await, RedisServer::shared().await);
    let queue = redis.queue();
    redis.store.enqueue(&queue, &new_tasks(&queue, 2)).await.unwrap();
    server.cli(&["LPUSH", &redis.key(&format!("{queue}:queue")), "{}", "no JSON", "{\"kind\": \"k\"}"]);
    let audit = redis.store.audit(&queue).await.unwrap();
    assert!(audit.is_balanced(), "{audit:?}");
    assert_eq!((audit.created, audit.ready, audit.unadopted), (2, 2, 3));

    let claimed = claim(&redis.store, &queue, 10).await.claimed;
    redis.store.step(&queue, complete(&claimed[..1])).await.unwrap();
    let audit = redis.store.audit(&queue).await.unwrap();
    assert!(audit.is_balanced(), "{audit:?}");
    assert_eq!((audit.created, audit.active, audit.completed, audit.dead), (5, 3, 1, 1));
}

#[tokio::test]
async fn a_task_that_lost_its_place_or_its_record_unbalances_the_audit() {
    let (redis, server) = (OnRedis::shared().await, RedisServer::shared().await);
    let queue = redis.queue();
    let tasks = new_tasks(&queue, 3);
    redis.store.enqueue(&queue, &tasks).await.unwrap();
    server.cli(&["RPOP", &redis.key(&format!("{queue}:queue"))]);
    let audit = redis.store.audit(&queue).await.unwrap();
    assert_eq!((audit.is_balanced(), audit.unplaced, audit.ready), (false, 1, 2), "{audit:?}");

    let queue = redis.queue();
    redis.store.enqueue(&queue, &tasks).await.unwrap();
    server.cli(&["HDEL", &redis.tagged(&queue, "tasks"), &tasks[0].id.to_key()]);
    let audit = redis.store.audit(&queue).await.unwrap();
    assert_eq!((audit.is_balanced(), audit.created, audit.ready), (false, 3, 2), "{audit:?}");
}

#[tokio::test]
async fn a_cancelled_task_is_counted_once_while_its_id_is_still_in_the_list() {
    let redis = OnRedis::shared().await;
    let queue = redis.queue();
    let tasks = new_tasks(&queue, 3);
    redis.store.enqueue(&queue, &tasks).await.unwrap();
    redis.store.cancel(&queue, tasks[1].id, "not needed").await.unwrap();
    for _ in 0..2 {
        let audit = redis.store.audit(&queue).await.unwrap();
        assert!(audit.is_balanced(), "{audit:?}");
        assert_eq!((audit.created, audit.cancelled, audit.unadopted), (3, 1, 0), "{audit:?}");
        claim(&redis.store, &queue, 10).await;
    }
}
